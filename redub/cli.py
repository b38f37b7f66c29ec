"""cli: the command line.

``redub VIDEO --audio SOUND`` is the default command; the rest are sub-commands.  Every command is one library call;
heavy modules are imported inside it, so that ``--help`` is immediate.
"""

from __future__ import annotations

import difflib
import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from redub.choices import Fit
from redub.cli_adapt import adapt
from redub.cli_evaluate import evaluate
from redub.cli_footage import HELP as FOOTAGE_HELP
from redub.cli_footage import make_footage
from redub.cli_speak import speak
from redub.cli_sync import HELP as SYNC_HELP
from redub.cli_sync import sync
from redub.cli_train import pack, train
from redub.cli_weights import HELP as WEIGHTS_HELP
from redub.cli_weights import weights
from redub.config import Config
from redub.errors import RedubError
from redub.options import (
    AdaptOption,
    AdaptTime,
    AsJson,
    Audio,
    BlendOption,
    ConfigOption,
    Debug,
    Device,
    FitOption,
    Force,
    Gate,
    Generator,
    Identity,
    Output,
    PlanOption,
    Quiet,
    SetOption,
    Speaker,
    Video,
    Weights,
)
from redub.version import VERSION

if TYPE_CHECKING:
    from redub.pipeline import Result
    from redub.progress import Tell

MAIN = "dub"


HELP = """\
Give a video of somebody talking a new sound track, and the mouth to go with it.

The first run looks at the video and keeps what it found beside it (VIDEO.redub); dubbing it into the next language \
starts from there. Frames without the speaker's face pass through untouched. Results are marked as synthetic in \
their metadata.

[b]redub analyse[/b]   look at a video once, for any number of languages
[b]redub adapt[/b]     let a generator learn the speakers of a video, for any number of languages
[b]redub render[/b]    dub from a plan that is there
[b]redub show[/b]      show a plan, a file and its synthetic mark, or all settings
[b]redub plugins[/b]   list the generators, or check one
[b]redub train[/b]     train a generator on footage of people who agreed to it; [b]redub pack[/b] prepares the footage
[b]redub make-footage[/b]   draw clips of people who do not exist, to train on
[b]redub evaluate[/b]  measure how well a generator paints
[b]redub speak[/b]     make a talking video from photographs of a face
[b]redub sync[/b]      tell how lips and sound of a video go together, and repair it
[b]redub demo[/b]      see it at work on a bundled clip
[b]redub weights[/b]   tell whose models a run uses, and whether they may be used commercially
[b]redub doctor[/b]    tell what is installed
"""


class MainCommandFirst(TyperGroup):
    """Takes ``redub VIDEO ...`` for ``redub dub VIDEO ...``, so that the everyday command has no verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and not Path(args[0]).exists() and args[0] not in self.commands:
            near = difflib.get_close_matches(args[0], [name for name in self.commands if name != MAIN], 1, 0.75)
            if near:
                ctx.fail(f"There is no video and no command {args[0]!r}. Did you mean {near[0]}?")
        if args and args[0] not in self.commands and args[0] not in ("--version", "--install-completion", "--show-completion"):
            args = [MAIN, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        # Without its name, usage lines read as the command is typed.
        return ("" if name == MAIN else name), command, rest


app = typer.Typer(
    cls=MainCommandFirst, no_args_is_help=False, pretty_exceptions_enable=False, rich_markup_mode="rich", add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


@app.command(MAIN, hidden=True, help=HELP)
def dub(
    video: Video,
    audio: Audio,
    generator: Generator = "speech2vid",
    weights: Weights = "",
    output: Output = None,
    force: Force = False,
    blend: BlendOption = None,
    fit: FitOption = None,
    speaker: Speaker = "auto",
    identity: Identity = None,
    adapt: AdaptOption = None,
    adapt_time: AdaptTime = None,
    gate: Gate = False,
    plan: PlanOption = None,
    device: Device = "auto",
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Re-dub a video; what ``--help`` says stands in `HELP`."""
    with _friendly(as_json, debug), _progress(as_json, quiet) as tell:
        from redub.pipeline import redub

        chosen = _settings(config, settings, fit, adapt, adapt_time)
        result = redub(
            video, audio, generator,
            output=output, plan=plan, config=chosen, blend=blend, speaker=speaker, identity=identity or (),
            weights=weights, device=device, force=force, gate=gate, tell=tell,
        )  # fmt: skip
    _report(result, as_json, quiet)
    _pass(result, chosen, gate)


@app.command()
def analyse(
    video: Video,
    plan: PlanOption = None,
    force: Annotated[bool, typer.Option("--force", help="Make it anew, replacing the plan that is there.")] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Look at a video once: shots, faces, speakers, crops; kept for any number of languages."""
    with _friendly(as_json, debug), _progress(as_json, quiet) as tell:
        from redub.pipeline import analyse_into
        from redub.who import or_the_only_person

        notices: list[str] = []
        chosen = _settings(config, settings, None)
        made, folder = analyse_into(video, plan, chosen, notices, force=force, tell=tell)
        to_paint = or_the_only_person(made, video, chosen.adapt, notices).speaking
    _print_notices(notices, as_json)
    if as_json:
        _print_json(
            {"plan": str(folder), "notices": notices, "shots": len(made.shots), "tracks": len(made.tracks), "speaking": len(made.speaking)}
        )
    elif not quiet:
        typer.echo(f"{folder}: {len(made.shots)} shots, {len(made.tracks)} faces, {len(to_paint)} stretches to paint.")
        typer.echo(f"Look at it with:  redub show {folder}")


@app.command()
def render(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="What [b]redub analyse[/b] made.", show_default=False)],
    video: Video,
    audio: Audio,
    generator: Generator = "speech2vid",
    weights: Weights = "",
    output: Output = None,
    force: Force = False,
    blend: BlendOption = None,
    fit: FitOption = None,
    speaker: Speaker = "auto",
    identity: Identity = None,
    adapt: AdaptOption = None,
    adapt_time: AdaptTime = None,
    gate: Gate = False,
    device: Device = "auto",
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Dub from a plan that is there, and never analyse."""
    with _friendly(as_json, debug), _progress(as_json, quiet) as tell:
        from redub.pipeline import render as run
        from redub.plan import Plan

        chosen = _settings(config, settings, fit, adapt, adapt_time)
        result = run(
            Plan.load(plan), video, audio, generator,
            output=output, config=chosen, blend=blend, speaker=speaker, identity=identity or (), folder=plan,
            weights=weights, device=device, force=force, gate=gate, tell=tell,
        )  # fmt: skip
    _report(result, as_json, quiet)
    _pass(result, chosen, gate)


@app.command()
def show(
    what: Annotated[
        str, typer.Argument(metavar="PLAN|FILE|config", help="A plan's folder, a media file, or the word config.", show_default=False)
    ],
    video: Annotated[
        Path | None, typer.Option("--video", metavar="VIDEO", help="The plan's video.", show_default="the one beside the plan")
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Write the contact sheet and the timeline into the plan's folder.")
    ] = True,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what a plan holds (and draw it), what a media file is (and its synthetic mark), or all settings."""
    with _friendly(as_json, debug):
        from redub import show as shows

        if what == "config":
            shows.print_config(_settings(config, settings, None), as_json=as_json)
        elif Path(what).is_dir():
            shows.show_plan(Path(what), video, pictures=pictures, as_json=as_json)
        else:
            shows.show_file(Path(what), as_json=as_json)


@app.command()
def plugins(
    action: Annotated[str, typer.Argument(metavar="[list|check]")] = "list",
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="For check: which generator.", show_default=False)] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the generators that are installed, or check that one keeps what it declares."""
    with _friendly(as_json, debug):
        from redub import show as shows

        if action == "list" and name is None:
            shows.print_plugins(as_json=as_json)
        elif action == "check" and name is not None:
            raise typer.Exit(shows.print_check(name, as_json=as_json))
        else:
            raise RedubError(
                f"redub plugins {action} {name or ''}".strip() + " is not a command.", "Type  redub plugins  or  redub plugins check NAME"
            )


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where the demo is copied to.")] = Path("redub-demo"),
    generator: Generator = "speech2vid",
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Copy out a short clip of a rendered head with a Spanish voice, and re-dub it."""
    with _friendly(as_json, debug), _progress(as_json, quiet) as tell:
        from redub.demo import run_demo

        result = run_demo(folder, generator, force=force, tell=tell)
    _report(result, as_json, quiet)


@app.command()
def doctor(as_json: AsJson = False, debug: Debug = False) -> None:
    """Tell what is installed: versions, the torch build and device, encoders, models and their licences."""
    with _friendly(as_json, debug):
        from redub import doctor as doctors

        doctors.print_report(doctors.examine(), as_json=as_json)


app.command()(adapt)
app.command()(evaluate)
app.command()(speak)
app.command(help=SYNC_HELP)(sync)
app.command()(pack)
app.command("make-footage", help=FOOTAGE_HELP)(make_footage)
app.command()(train)
app.command(help=WEIGHTS_HELP)(weights)


@app.callback(invoke_without_command=True)
def _top(ctx: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"redub {VERSION}")
    elif ctx.invoked_subcommand is None:
        typer.echo("redub VIDEO --audio SOUND --generator speech2vid\nredub --help tells more; redub demo shows it at work.")


def main() -> None:
    """Run the command line: 0 done, 1 the user can repair it, 2 wrong usage or a bug, 3 not past the gate, 130 stopped by Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name must not end a run where the terminal cannot show it
    try:
        app(prog_name="redub")
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        print(f"error: This is a fault of redub: {type(error).__name__}: {error}", file=sys.stderr)
        print("hint: --debug shows where; please report it with what  redub doctor  prints", file=sys.stderr)
        sys.exit(2)


@contextmanager
def _friendly(as_json: bool, debug: bool) -> Iterator[None]:
    """Print an error that the user can repair as one sentence and a hint."""
    try:
        yield
    except RedubError as error:
        if debug:
            raise
        if as_json:
            _print_json({"error": error.message, "hint": error.hint, "kind": type(error).__name__})
        else:
            print(f"error: {error.message}", file=sys.stderr)
            if error.hint:
                print(f"hint: {error.hint}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("stopped; nothing was left half-written", file=sys.stderr)
        raise typer.Exit(130) from None


@contextmanager
def _progress(as_json: bool, quiet: bool) -> Iterator[Tell]:
    from redub.progress import JsonLines, Terminal, silent

    if as_json and not quiet:
        yield JsonLines()
    elif quiet or not sys.stderr.isatty():
        yield silent
    else:
        with Terminal() as terminal:
            yield terminal


def _settings(
    path: Path | None, assignments: list[str] | None, fit: Fit | None = None, adapt: bool | None = None, adapt_time_s: float | None = None
) -> Config:
    config = Config.read(path) if path else Config()
    for assignment in assignments or ():
        config = config.set(assignment)
    given: dict[str, dict[str, Any]] = {"fit": {"mode": fit}, "adapt": {"use": adapt, "limit_s": adapt_time_s}}
    return config.updated({group: {key: value for key, value in values.items() if value is not None} for group, values in given.items()})


def _report(result: Result, as_json: bool, quiet: bool) -> None:
    if as_json:
        _print_json(
            {
                "output": str(result.output),
                "plan": str(result.plan) if result.plan else None,
                "frames": result.frames,
                "painted_frames": result.painted_frames,
                "duration_s": float(result.duration),
                "decision": result.decision,
                "notices": list(result.notices),
                "verdict": asdict(result.verdict) if result.verdict is not None else None,
            }
        )
        return
    _print_notices(result.notices, as_json)
    if not quiet:
        typer.echo(f"{result.decision}.")
        typer.echo(f"{result.painted_frames} of {result.frames} frames painted.")
        for line in result.verdict.told() if result.verdict is not None else ():
            typer.echo(line)
        typer.echo(str(result.output))


def _pass(result: Result, config: Config, gate: bool) -> None:
    """With ``--gate``, end with 3 unless the result passes."""
    if not gate:
        return
    failures = ("The result could not be judged.",) if result.verdict is None else result.verdict.failures(config.sync)
    for failure in failures:
        print(f"gate: {failure}", file=sys.stderr)
    if failures:
        raise typer.Exit(3)


def _print_notices(notices: Iterable[str], as_json: bool) -> None:
    for notice in () if as_json else notices:
        print(f"note: {notice}", file=sys.stderr)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
