"""cli_adapt: the command ``redub adapt``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redub.options import (
    AdaptTime,
    AsJson,
    BlendOption,
    ConfigOption,
    Debug,
    Device,
    Generator,
    PlanOption,
    Quiet,
    SetOption,
    Speaker,
    Video,
    Weights,
)

if TYPE_CHECKING:
    from redub.adapted import Outcome
    from redub.adapting import Job
    from redub.plan import Plan


def adapt(  # noqa: PLR0913  a command's options are its arguments
    video: Video,
    generator: Generator = "speech2vid",
    weights: Weights = "",
    plan: PlanOption = None,
    blend: BlendOption = None,
    speaker: Speaker = "auto",
    adapt_time: AdaptTime = None,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Learn the speakers anew, replacing what is there.")] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Let a generator learn the speakers of a video from the video itself; kept in its plan for any number of languages.

    Dubbing does this by itself where nobody has. Adapt only to people who agreed to be dubbed.
    """
    # They are the command line's, which itself lists this command.
    from redub.cli import _friendly, _print_json, _print_notices, _progress, _settings

    notices: list[str] = []
    with _friendly(as_json, debug), _progress(as_json, quiet) as tell:
        from redub.adapting import Job, check_adaptable
        from redub.blending import choose_blend
        from redub.errors import NoFaceError
        from redub.pipeline import analyse_into
        from redub.plugin import manager
        from redub.who import check_speaker, choose, or_the_only_person

        chosen = _settings(config, settings, None, True, adapt_time)
        entry = manager.find(generator)
        mode = choose_blend(entry, blend, chosen.blend.mode, notices, learns=True, named=weights)
        manager.check_ready(generator, mode, weights)
        job = Job(
            entry=entry, mode=mode, config=chosen.adapt, folder=None, device=device, weights=weights, force=force, tell=tell
        )  # fmt: skip
        check_adaptable(job)
        check_speaker(speaker)
        made, folder = analyse_into(video, plan, chosen, notices, tell=tell)
        made = choose(made, video, speaker)
        if speaker == "auto":
            made = or_the_only_person(made, video, chosen.adapt, notices)
        if not made.speaking:
            raise NoFaceError(f"Nobody speaks in the plan of {video.name}.", "Look at it with:  redub show PLAN")
        outcomes = _adapt(made, video, replace(job, folder=folder), notices)
    if as_json:
        _print_json({"plan": str(folder), "notices": notices, "persons": [_table(outcome) for outcome in outcomes]})
        return
    _print_notices(notices, as_json)
    if not quiet:
        for outcome in outcomes:
            typer.echo(outcome.told(generator))


def _adapt(plan: Plan, video: Path, job: Job, notices: list[str]) -> tuple[Outcome, ...]:
    import tempfile

    from redub.adapted import FOLDER, check_writable
    from redub.adapting import adapt_speakers

    assert job.folder is not None
    # Here it is the result: what is forgotten at the end would have been learnt for nothing.
    check_writable(job.folder / FOLDER)
    with tempfile.TemporaryDirectory(prefix="redub.") as scratch:
        return adapt_speakers(plan, video, job, Path(scratch), notices)


def _table(outcome: Outcome) -> dict[str, object]:
    return {
        "tracks": list(outcome.tracks),
        "file": str(outcome.file) if outcome.file else None,
        "before": outcome.before,
        "after": outcome.after,
        "remark": outcome.remark,
        "is_reused": outcome.is_reused,
    }
