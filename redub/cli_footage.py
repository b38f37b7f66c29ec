"""cli_footage: the command ``redub make-footage``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from redub.options import AsJson, Debug, Quiet

HELP = """\
Draw clips of people who do not exist, talking, to train on.

Sound and lips fit exactly, and beside each clip stand the true 68 points, the mouth's opening and the times of the \
phonemes. Every person has a head, skin, hair and voice of their own; light, camera, clothes and background change with \
every clip. The same command gives the same clips; stopped, it goes on where it was.

The face kit (ICT-FaceKit's light model, MIT licence) is yours to bring, and so is espeak-ng, for the voices.

[b]redub make-footage --facekit KIT -o heads --clips 600[/b]    draw 600 clips of 300 people
[b]redub train sync heads/clips.json -o sync.safetensors[/b]    learn from them
"""


def make_footage(  # noqa: PLR0913  a command's options are its arguments
    facekit: Annotated[Path, typer.Option("--facekit", metavar="FOLDER", help="Where ict_facekit_light.npz lies.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The footage; completed if it is there.", show_default=False)
    ],
    clips: Annotated[int, typer.Option("--clips", metavar="N", min=1, help="Clips in all, with those that are there.")] = 100,
    takes: Annotated[int, typer.Option("--takes", metavar="N", min=1, help="Clips of each person.")] = 2,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", min=0.2, max=60.0, help="Length of a clip.")] = 4.0,
    size: Annotated[int, typer.Option("--size", metavar="PX", min=64, max=1024, help="Side of the square picture; even.")] = 320,
    fps: Annotated[int, typer.Option("--fps", metavar="N", min=5, max=120, help="Pictures a second.")] = 25,
    languages: Annotated[
        str | None,
        typer.Option(
            "--languages", metavar="A,B,...", help="Languages, as espeak-ng names them.", show_default="all that redub has text for"
        ),
    ] = None,
    speech: Annotated[
        Path | None,
        typer.Option("--speech", metavar="FOLDER", help="Recorded speech instead; the mouth then follows its energy and formants."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Clips that are drawn at a time.")] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Another number gives other people.")] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw footage; what ``--help`` says stands in `HELP`."""
    from redub.cli import _friendly, _print_json
    from redub.cli_train import _following

    with _friendly(as_json, debug), _following(as_json, quiet) as tell:
        from redub.errors import ConfigError
        from redub.footage import maker
        from redub.footage.filming import Order
        from redub.footage.sentences import LANGUAGES

        if size % 2:
            raise ConfigError(f"--size {size} is odd, and H.264 wants even pictures.", f"Write  --size {size + 1}")
        chosen = tuple(name.strip() for name in languages.split(",") if name.strip()) if languages is not None else LANGUAGES
        if not chosen:
            raise ConfigError("--languages names none.", f"For example:  --languages {','.join(LANGUAGES[:3])}")
        order = Order(
            kit=facekit, seconds=seconds, size_px=size, fps=fps, takes=takes, seed=seed, languages=chosen,
            recordings=maker.find_recordings(speech) if speech is not None else (),
        )  # fmt: skip
        try:
            made = maker.make_footage(order, clips, output, jobs=jobs, tell=tell)
        except KeyboardInterrupt:
            typer.echo(f"stopped; the same command goes on in {output}", err=True)
            raise typer.Exit(130) from None
    manifest = output / maker.MANIFEST
    if as_json:
        _print_json({"output": str(output), "manifest": str(manifest), "clips": clips, "made": made})
    elif not quiet:
        typer.echo(f"{made} clips drawn.")
        typer.echo(str(manifest))
