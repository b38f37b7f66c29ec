"""cli_train: the commands ``redub train`` and ``redub pack``."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from redub.errors import ConfigError
from redub.options import AsJson, ConfigOption, Debug, Device, Quiet, SetOption

if TYPE_CHECKING:
    from redub.progress import Tell

Named = Annotated[
    list[Path],
    typer.Argument(metavar="FOOTAGE", help="Videos of people talking, folders of them, or manifests (JSON).", show_default=False),
]
Jobs = Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Videos that are looked at at a time.")]
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}


def train(  # noqa: PLR0913  a command's options are its arguments
    generator: Annotated[
        str, typer.Argument(metavar="GENERATOR", help="Which one: a name from [b]redub plugins[/b], or [b]sync[/b].", show_default=False)
    ],
    footage: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOOTAGE", help="Videos of people talking, folders of them, manifests, or packs of them.", show_default=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The weights: FILE.safetensors; or a folder for one person's, with all of the training.",
            show_default=False,
        ),
    ],
    work: Annotated[
        Path | None,
        typer.Option(
            "--work", metavar="FOLDER", help="For checkpoints, curves and samples.", show_default="OUTPUT.train beside the output"
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME", help="A named set of values.", show_default="the generator's own")
    ] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One value of the recipe.", show_default=False)
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="TIME", help="End after so long, as 90m, 2h or 600 (seconds).", show_default=False)
    ] = None,
    base: Annotated[Path | None, typer.Option("--base", metavar="WEIGHTS", help="Weights to start from.", show_default="none")] = None,
    consent: Annotated[
        str,
        typer.Option(
            "--consent",
            metavar="WHO",
            show_default=False,
            help="Who agreed to it and how; kept with the weights. A generator of whole pictures is not trained without.",
        ),
    ] = "",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="For whatever chance decides.")] = 0,
    device: Device = "auto",
    jobs: Jobs = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace weights that exist.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a generator, or the sync network, on footage of people talking.

    Train only on people who agreed that a model learns from their face and voice, and may show what it learnt.

    Ctrl-C leaves a checkpoint; the same command again goes on.
    """
    from redub.cli import _friendly, _print_json

    with _friendly(as_json, debug), _following(as_json, quiet) as tell:
        from redub.training.start import Training
        from redub.training.start import train as run

        training = Training(
            generator=generator, footage=footage, output=output, work=work, recipe=recipe, settings=parse_settings(settings),
            device=device, seed=seed, limit_s=None if limit is None else parse_duration(limit), base=base, consent=consent,
            jobs=jobs, force=force,
        )  # fmt: skip
        try:
            trained = run(training, tell=tell, say=_sayer(as_json, quiet))
        except KeyboardInterrupt:
            typer.echo("stopped; the same command goes on from the last checkpoint", err=True)
            raise typer.Exit(130) from None
    if as_json:
        _print_json(
            {"output": str(trained.output) if trained.is_complete else None, "work": str(trained.work), **trained.inventory.as_json()}
        )
    elif not quiet:
        typer.echo(str(trained.output) if trained.is_complete else "This stage is done; the weights are written once all of them are.")
        typer.echo(f"Curves and samples are in {trained.work}")


def pack(  # noqa: PLR0913  a command's options are its arguments
    footage: Named,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The pack; completed if it is there.", show_default=False)
    ],
    size: Annotated[int, typer.Option("--size", metavar="PX", min=16, help="Side of the faces.")] = 112,
    generator: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="GENERATOR",
            show_default="faces",
            help="Cut out what this generator learns from, and as large; for some that is the whole picture.",
        ),
    ] = "",
    jobs: Jobs = 1,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Cut the faces that speak out of footage, small enough to carry to the machine that trains.

    A pack holds faces and voices of people: keep it as carefully as the footage.
    """
    from redub.cli import _friendly, _print_json, _settings

    with _friendly(as_json, debug), _following(as_json, quiet) as tell:
        from redub.plugin import Region
        from redub.training.footage import find_footage
        from redub.training.pack import make_pack
        from redub.training.start import describe, find_trainer, remarks
        from redub.training.stock import take_stock

        _, size, region = find_trainer(generator) if generator else (None, size, Region.FACE)
        chosen, found = _settings(config, settings), find_footage(footage)
        notices = list(remarks(make_pack(found, output, size_px=size, region=region, jobs=jobs, config=chosen, tell=tell)))
        for notice in () if as_json else notices:
            typer.echo(f"note: {notice}", err=True)
        inventory = take_stock([output])
    if as_json:
        _print_json({"output": str(output), "notices": notices, **inventory.as_json()})
    elif not quiet:
        typer.echo(f"{output}: {describe(inventory)}")


def parse_duration(text: str) -> float:
    """Return seconds: ``90``, ``45s``, ``30m``, ``2h``, ``1h30m``.

    Raises:
        ConfigError: It is something else.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms]?)", text.strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip().lower():
        raise ConfigError(f"--limit {text!r} is not a time.", "Write 600 for seconds, 90m, 2h, or 1h30m.")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse_settings(assignments: list[str] | None) -> dict[str, str]:
    """Return what ``--set`` was given, by name.

    Raises:
        ConfigError: One is not of the form KEY=VALUE.
    """
    settings = {}
    for assignment in assignments or ():
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {assignment!r} is not of the form KEY=VALUE.", "For example: --set mouth.rate=1e-3")
        settings[key.strip()] = value.strip()
    return settings


class Pace:
    """Prints a line now and then: samples done, a second, and the time that is left."""

    def __init__(self, stream: TextIO | None = None, every_s: float = 20.0) -> None:
        self.stream = stream or sys.stderr
        self.every_s = every_s
        self._began: dict[str, tuple[int, float]] = {}
        self._told: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        first, began = self._began.setdefault(stage, (done, now))
        if done != total and now - self._told.get(stage, began) < self.every_s:
            return
        self._told[stage] = now
        a_second = (done - first) / max(now - began, 1e-9)
        line = f"{stage}: {done}" + (f" of {total}" if total else "")
        if done > first:
            line += f", {a_second:.1f} a second"
            line += f", {span((total - done) / a_second)} left" if total and total > done else ""
        print(line, file=self.stream, flush=True)


def span(seconds: float) -> str:
    """Return a length of time as people write it: ``40 s``, ``12 min``, ``3 h 5 min``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def _following(as_json: bool, quiet: bool) -> Iterator[Tell]:
    from redub.progress import JsonLines, silent

    yield silent if quiet else JsonLines() if as_json else Pace()


def _sayer(as_json: bool, quiet: bool) -> Callable[[str], None]:
    def say(sentence: str) -> None:
        if not as_json and not quiet:
            typer.echo(sentence)

    return say
