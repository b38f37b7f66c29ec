"""cli_weights: the command ``redub weights``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from redub.options import AsJson, ConfigOption, Debug, SetOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redub.licences import Part

HELP = """\
List the models of a run: where each lies, its licence, what it learnt from, and whether it may be used commercially.

What a run uses depends on its generator and settings. Those that are given here are taken, so that the answer is that of the \
run; the last line says what a commercial user has to change. It is no lawyer's advice.

[b]redub weights[/b]                                                    everything that is installed
[b]redub weights -g speech2vid[/b]                                      what a run with speech2vid uses
[b]redub weights -g speech2vid --no-adapt[/b]                              and one that is free for every use
"""


def weights(
    generator: Annotated[
        str, typer.Option("--generator", "-g", metavar="NAME", help="What a run with this one uses.", show_default="all of them")
    ] = "",
    adapt: Annotated[bool | None, typer.Option("--adapt/--no-adapt", help="As for a run.", show_default="where the generator can")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the models of a run; what ``--help`` says stands in `HELP`."""
    from redub.cli import _friendly, _print_json, _settings

    with _friendly(as_json, debug):
        from redub.licences import hindrances, list_parts

        parts = list_parts(_settings(config, settings, None, adapt), generator)
        against = hindrances(parts)
    if as_json:
        rows = [{**asdict(part), "path": str(part.path) if part.path else None} for part in parts]
        _print_json({"parts": rows, "is_commercial": not against, "against": [part.name for part in against]})
    else:
        _print(parts, against, generator)


def _print(parts: Sequence[Part], against: Sequence[Part], generator: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for part in parts:
        word = {True: "commercial use: yes", False: "commercial use: no", None: "commercial use: read it"}[part.is_commercial]
        style = {True: "green", False: "bold red", None: "yellow"}[part.is_commercial]
        state = "missing" if part.is_missing else "used" if part.is_used else "not used"
        console.print(Text.assemble((part.role, "bold"), f"  {part.name}  ", (word, style), f"  ({state})"))
        lines = [f"licence: {part.licence}", f"learnt from: {part.learnt_from}", f"used: {part.when}"]
        lines += [f"file: {part.path}"] if part.path else []
        # An asked-for attribution is advice, too.
        lines += [part.advice] if part.advice else []
        for line in lines:
            console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    run = f"a run with {generator}" if generator else "everything that is installed"
    if not against:
        console.print(f"Nothing in {run} is known to exclude commercial use.", style="green", markup=False)
        return
    console.print(f"Before {run} is used commercially:", style="bold", markup=False)
    for part in against:
        console.print(f"  {part.role}, {part.name}: {part.advice}", markup=False, highlight=False, soft_wrap=True)
