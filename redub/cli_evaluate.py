"""cli_evaluate: ``redub evaluate``, the command that measures how good a generator is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redub.choices import YARDSTICK, BlendChoice, LandmarkModel
from redub.errors import MediaError, PluginError
from redub.options import AsJson, BlendOption, ConfigOption, Debug, Device, Force, Generator, Quiet, SetOption, Weights

if TYPE_CHECKING:
    from redub.choices import Blend
    from redub.config import Config
    from redub.metrics import Profile, Recording, Report
    from redub.progress import Tell
    from redub.speech.syncnet import SyncModel


class Protocol(StrEnum):
    """As `redub.metrics.Protocol`, which is too heavy to import for a help text."""

    OWN = "own"
    DUB = "dub"
    BOTH = "both"


def evaluate(  # noqa: PLR0913  a command's options are its arguments
    footage: Annotated[
        list[Path], typer.Argument(metavar="FOOTAGE", help="Videos, or manifests of videos with their speakers.", show_default=False)
    ],
    generator: Generator = "speech2vid",
    weights: Weights = "",
    protocol: Annotated[
        Protocol, typer.Option("--protocol", help="Paint clips with their own sound, with another clip's of the speaker, or both.")
    ] = Protocol.BOTH,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the report as Markdown.", show_default=False)
    ] = None,
    force: Force = False,
    split: Annotated[
        list[str] | None, typer.Option("--split", metavar="NAME", help="What of a manifest; again for more.", show_default="test")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="JSON", help="The mean course of the mouth in training.", show_default=False)
    ] = None,
    sync_weights: Annotated[
        Path | None,
        typer.Option(
            "--sync-weights", metavar="FILE", help="Another sync network, such as the published one.", show_default="the shipped one"
        ),
    ] = None,
    adapt: Annotated[
        bool, typer.Option("--adapt/--no-adapt", help="Adapt to each speaker first, from clips that are not measured.")
    ] = False,
    read_by: Annotated[
        LandmarkModel, typer.Option("--read-by", help="The landmark model that reads true and painted mouths, whichever found the faces.")
    ] = YARDSTICK,
    blend: BlendOption = None,
    device: Device = "auto",
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure how good a generator is: how the mouth follows the speech, lips and sound, the picture, and the mouth without speech."""
    # They are the command line's, which itself lists this command.
    from redub.cli import _friendly, _print_json, _progress, _settings

    with _friendly(as_json, debug), _progress(as_json, quiet) as tell:
        from redub.metrics import Profile, find_network, find_recordings, write_page

        if output is not None:
            _check_target(output, force=force)
        course = Profile.read(profile) if profile is not None else None
        recordings = find_recordings(footage, split or ["test"])
        chosen = _settings(config, settings, None)
        network = find_network(sync_weights) if chosen.sync.judge or sync_weights is not None else None
        wish = _Wish(
            protocol=protocol, blend=blend, device=device, weights=weights, profile=course, network=network, adapts=adapt,
            read_by=read_by,
        )  # fmt: skip
        report = _measure(recordings, generator, chosen, wish, tell)
        if output is not None:
            write_page(report, output)
    if as_json:
        _print_json(report.table())
    elif not quiet:
        _print(report)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    protocol: Protocol
    blend: Blend | None
    device: str
    weights: str
    profile: Profile | None
    network: SyncModel | None
    adapts: bool
    read_by: LandmarkModel


def _measure(recordings: list[Recording], name: str, config: Config, wish: _Wish, tell: Tell) -> Report:
    """Load a generator and measure it, by the blending that was asked for or that a run would choose."""
    from redub import metrics
    from redub.blending import choose_blend
    from redub.plugin import manager
    from redub.stages.generate import Model

    entry = manager.find(name)
    modes = entry.info.modes
    blend = choose_blend(entry, wish.blend, config.blend.mode, [], learns=wish.adapts, named=wish.weights)
    manager.check_ready(name, blend, wish.weights)
    config = replace(config, blend=replace(config.blend, mode=BlendChoice(blend)))
    with manager.load(entry, blend, device=wish.device, named=wish.weights) as generator:
        model = Model(info=entry.info, mode=modes[blend], generator=generator)
        measure = partial(
            metrics.evaluate, recordings, protocol=metrics.Protocol(wish.protocol), config=config, profile=wish.profile,
            network=wish.network, read_by=wish.read_by, tell=tell,
        )  # fmt: skip
        if not wish.adapts:
            return measure(model)
        if not entry.info.adapter:
            raise PluginError(f"The generator {name} cannot be adapted.", "Measure it as it is, without --adapt.")
        with metrics.adapting(entry, blend, model, device=wish.device, named=wish.weights) as (load, remarks):
            report = measure(load)
        for remark in remarks:
            typer.echo(f"note: not adapted to {remark}", err=True)
        return report


def _check_target(target: Path, *, force: bool) -> None:
    """Find out before an hour of measuring whether the report can be written."""
    if target.is_dir():
        raise MediaError(f"{target} is a folder.", "Name a file in it with --output.")
    if not target.parent.is_dir():
        raise MediaError(f"There is no folder {target.parent}.", "Make it first.")
    if target.exists() and not force:
        raise MediaError(f"{target} exists.", "Name another file with --output, or replace it with --force.")


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    from redub.metrics import markdown

    Console().print(Markdown(markdown(report)))
