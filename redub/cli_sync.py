"""cli_sync: the command ``redub sync``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redub.options import AsJson, ConfigOption, Debug, Force, PlanOption, Quiet, SetOption, Speaker

if TYPE_CHECKING:
    from redub.config import Config
    from redub.offset import TrackSync
    from redub.plan import Plan
    from redub.progress import Tell


HELP = """\
Tell for each face by how much lips and sound are apart, and repair it.

The offset is positive where the sound is early: [b]--fix[/b] then delays it; a negative one makes it come earlier. It is given \
in seconds, and in frames of 25 a second whatever the video's own rate. The confidence says how much better lips and sound \
suit each other at that offset than at others: of a face that does not speak it is near 0, and its offset means nothing.

[b]--fix[/b] takes the offset of the faces that speak, each by its confidence, and moves all sound by it. Pictures, subtitles \
and chapters stay as they are; the picture is not encoded anew. Where no face is sure enough, or where they disagree, \
nothing is written.

[b]redub sync talk.mp4[/b]                     see what is off
[b]redub sync talk.mp4 --fix -o good.mp4[/b]   repair it
[b]redub sync talk.mp4 --speaker left[/b]      by the face at the left alone
"""


def sync(  # noqa: PLR0913  a command's options are its arguments
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Somebody talking, with their own sound.", show_default=False)],
    fix: Annotated[bool, typer.Option("--fix", help="Write the video again with its sound moved so that it fits.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The repaired video.", show_default="VIDEO.synced.SUFFIX beside the video"),
    ] = None,
    force: Force = False,
    speaker: Speaker = "auto",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Another sync network (safetensors).", show_default="the shipped one")
    ] = None,
    plan: PlanOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Report and repair; what ``--help`` says stands in `HELP`."""
    # They are the command line's, which itself lists this command.
    from redub.cli import _friendly, _print_json, _print_notices, _progress, _settings

    notices: list[str] = []
    with _friendly(as_json, debug), _progress(as_json, quiet) as tell:
        from redub import offset
        from redub.media.place import check_target
        from redub.who import check_speaker, choose

        check_speaker(speaker)
        target = output or _beside(video)
        if fix:
            check_target(target, [video], force=force)
        chosen = _settings(config, settings)
        heard = choose(_listen(video, plan, chosen, weights, notices, tell), video, speaker)
        rows = offset.report(heard)
        found = offset.find_offset(heard, chosen) if fix else None
        if found is not None:
            from redub.media import delay_sound

            notices += delay_sound(video, target, found, force=force)
    _print_notices(notices, as_json)
    if as_json:
        fixed = {"output": str(target), "offset_s": found} if found is not None else {}
        _print_json({**offset.as_json(rows), **fixed})
    elif not quiet:
        _print_rows(rows)
        if found is not None:
            typer.echo(f"{offset.told(found)}.")
            typer.echo(str(target))


def _listen(video: Path, folder: Path | None, config: Config, weights: Path | None, notices: list[str], tell: Tell) -> Plan:
    """Return the video's plan with readings: those that are kept, or new ones.

    Raises:
        RedubError: There is no face or no sound in it, or no network to compare them.
    """
    from redub import shelf
    from redub.errors import NoFaceError
    from redub.files import check_file
    from redub.media import check_sound
    from redub.pipeline import analyse_into, hear
    from redub.speech.sync import load_sync

    check_file(video, "video")
    made = shelf.find_plan(video, folder, config, notices)
    if made is not None and made.readings and weights is None:
        return made
    # What is bound to fail must not cost an analysis first.
    check_sound(video)
    model = load_sync(weights)
    made = made or analyse_into(video, folder, config, [], tell=tell)[0]
    if not made.tracks:
        raise NoFaceError(f"No face was found in {video.name}.", "Smaller faces are found with  --set tracks.min_face_px=40")
    if made.readings and weights is None:
        return made
    config = replace(config, speakers=replace(config.speakers, listen=True))
    return hear(made, video, config, weights=weights, model=model, tell=tell)


def _beside(video: Path) -> Path:
    """Return where the repaired video goes: into a container like its own, or one that holds anything."""
    from redub.media.place import CONTAINERS

    suffix = video.suffix if video.suffix.lower() in CONTAINERS else ".mkv"
    return video.with_name(f"{video.stem}.synced{suffix}")


def _print_rows(rows: list[TrackSync]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("track", "begins", "ends", "offset", "frames", "confidence", "distance", "speaks", box=None, header_style="bold")
    for column in table.columns:
        column.justify = "right"
    for row in rows:
        said = ["-" if value is None else form.format(value) for value, form in (
            (row.offset_s, "{:+.3f} s"), (row.offset_frames, "{:+.1f}"), (row.confidence, "{:.2f}"), (row.distance, "{:.2f}"),
        )]  # fmt: skip
        table.add_row(str(row.id), f"{row.start_s:.2f} s", f"{row.end_s:.2f} s", *said, "yes" if row.speaking else "-")
    Console().print(table)
