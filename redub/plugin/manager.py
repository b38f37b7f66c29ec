"""manager: what is installed -> a generator, loaded.

Discovery is a function of the environment, without globals, and never fails: a plugin is accepted wholly or not at
all, and what speaks against one is a line that names the distribution to blame.
"""

from __future__ import annotations

import difflib
import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redub import weights
from redub.errors import PluginError, RedubError, WeightError
from redub.plugin import discovery, rules
from redub.plugin.contract import Clip, Generator, GeneratorInfo, LoadContext, Painted
from redub.plugin.learning import Adapted, AdaptRequest
from redub.types import Blend


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A generator that is installed."""

    info: GeneratorInfo
    distribution: str
    """Who provides it, as ``redub-speech2vid 1.0``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a plugin."""

    about: str
    """The entry point, or the generator, that it is about."""
    distribution: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.distribution}: {self.message}. {self.hint}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What is installed."""

    entries: tuple[Entry, ...]
    """Sorted by name."""
    problems: tuple[Problem, ...]
    """Sorted by distribution."""


def find_generators() -> Catalogue:
    """Ask every installed plugin what it provides.

    ``REDUB_PLUGINS=a,b`` asks only the distributions or entry points of these names (besides the built-in ``echo``), and
    an empty value none: so a broken environment is bisected with one variable.
    """
    found: list[Entry] = []
    problems: list[Problem] = []
    wishes, sources = discovery.wishes(), discovery.installed()
    for source in sources:
        own_names = {source.name, source.point.name}
        if wishes is not None and source.name != "redub" and not own_names & set(wishes):
            continue
        try:
            found += [Entry(info=info, distribution=source.distribution) for info in discovery.read(source)]
        except PluginError as error:
            problems.append(Problem(about=source.point.name, distribution=source.distribution, message=error.message, hint=error.hint))
    entries, clashes = _without_duplicates(found)
    known = {name for source in sources for name in (source.name, source.point.name)}
    missing = [
        Problem(about=wish, distribution=wish, message="REDUB_PLUGINS names it, but it is not installed", hint="Correct the variable.")
        for wish in wishes or ()
        if wish not in known
    ]
    return Catalogue(
        entries=tuple(sorted(entries, key=lambda entry: entry.info.name)),
        problems=tuple(sorted([*problems, *clashes, *missing], key=lambda problem: (problem.distribution, problem.about))),
    )


def find(name: str) -> Entry:
    """Return the generator of this name.

    Raises:
        PluginError: It is not installed, or it is broken; says what is there and what to type.
    """
    catalogue = find_generators()
    for entry in catalogue.entries:
        if entry.info.name == name:
            return entry
    for problem in catalogue.problems:
        if name == problem.about or problem.distribution.split()[0] in (name, f"redub-{name}"):
            raise PluginError(f"The generator {name} cannot be used: {problem.distribution}: {problem.message}.", problem.hint)
    names = [entry.info.name for entry in catalogue.entries]
    near = difflib.get_close_matches(name, names, 1)
    hints = [f"Did you mean {near[0]}?"] if near else []
    provided = {part for source in discovery.installed() for part in (source.point.name, source.name.removeprefix("redub-"))}
    if discovery.wishes() is not None and name in provided:
        hints.append("It is installed, but REDUB_PLUGINS hides it.")
    elif rules.is_name(name):
        hints.append(f"Install it:  pip install redub-{name}")
    raise PluginError(f"There is no generator {name!r}; installed: {', '.join(names)}.", " ".join(hints) or "See:  redub plugins")


def check_ready(name: str, mode: Blend | None = None, named: str = "") -> Entry:
    """Return the generator of this name, unless it is known beforehand that it will not load.

    Called before a video is analysed: missing weights must not cost an hour first.

    Args:
        name: As for `find`.
        mode: The blending that will be asked for; None takes its first.
        named: The weights that the user named, if any; see `find_weights`.

    Raises:
        PluginError: It is not installed, declares itself unavailable, does not offer this blending, or wants other weights named.
        WeightError: A weight file is missing or is not the declared one.
    """
    entry = find(name)
    if entry.info.unavailable:
        raise PluginError(f"The generator {name} cannot paint yet: {entry.info.unavailable}", "Use another one:  redub plugins")
    _weights(entry.info, mode, named)
    return entry


def load(  # noqa: PLR0913  what a user may say of a model
    entry: Entry | str,
    mode: Blend | None = None,
    *,
    device: str = "auto",
    seed: int = 0,
    tiny: bool = False,
    adapted: Path | None = None,
    named: str = "",
) -> Generator:
    """Load a generator with its verified weights.

    Args:
        entry: What `find` returned, or a name for it.
        mode: One of the blendings that it offers; None takes its first.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        seed: For whatever in it is random.
        tiny: Ask for a tiny random model instead of the weights, for tests.
        adapted: What its adapter wrote for the speaker; None takes the weights as they are.
        named: The weights that the user named, if any; see `find_weights`.

    Returns:
        A generator whose unexpected exceptions come as `PluginError` with their cause; close it, or use it in a
        ``with`` statement.

    Raises:
        PluginError: It does not offer this blending, or its factory failed.
        WeightError: A weight file is missing or is not the declared one.
    """
    entry = find(entry) if isinstance(entry, str) else entry
    chosen = _chosen(entry.info, mode)
    files = None if tiny else _weights(entry.info, chosen, named)
    with _Blame(entry, "could not be loaded"):
        generator = _make(entry.info, LoadContext(device=device, mode=chosen, weights=files, seed=seed, adapted=adapted))
    return _Guarded(generator, entry)


def adapt(entry: Entry, request: AdaptRequest) -> Adapted:
    """Let a generator's adapter learn a person.

    Returns:
        Two errors that are numbers, with ``request.output`` in its place; or a remark why there is nothing.

    Raises:
        PluginError: It has no adapter, or its adapter failed, or did not do what it says.
    """
    info = entry.info
    if not info.adapter:
        raise PluginError(f"The generator {info.name} cannot be adapted.", "Use another one:  redub plugins")
    with _Blame(entry, "could not be adapted"):
        result = _find_function(info.adapter)(request)
        if not isinstance(result, Adapted):
            raise TypeError(f"{info.adapter} returned a {type(result).__name__}, not an Adapted")
        if not result.remark and not (math.isfinite(result.before) and math.isfinite(result.after)):
            raise ValueError(f"its errors are {result.before} and {result.after}")
        if not result.remark and not request.output.is_file():
            raise FileNotFoundError(f"{info.adapter} wrote no weights")
    return result


def find_weights(entry: Entry, mode: Blend | None = None, named: str = "") -> dict[str, Path]:
    """Return the weight files of a blending, by name.

    Args:
        entry: The generator.
        mode: Its blending; None takes its first.
        named: In the place of a generator's own weights, and always for one that has its weights named: one that it declares, without
            the ending, a file, or the folder of a training.  A file of the user's own is not verified, for nobody declared it.

    Raises:
        PluginError: It does not offer this blending, has its weights named and none are, or has none that could be replaced by one file.
        WeightError: A weight file is missing or is not the declared one.
    """
    return _weights(entry.info, mode, named)


def _chosen(info: GeneratorInfo, mode: Blend | None) -> Blend:
    chosen = mode if mode is not None else next(iter(info.modes))
    if chosen not in info.modes:
        raise PluginError(f"The generator {info.name} does not offer the blending {chosen}.", f"Choose one of: {', '.join(info.modes)}.")
    return chosen


def _weights(info: GeneratorInfo, mode: Blend | None, named: str = "") -> dict[str, Path]:
    declared = {file.name: file for file in info.modes[_chosen(info, mode)].weights}
    if not named and not info.names_weights:
        return {name: weights.find(file) for name, file in declared.items()}
    if not named:
        learn = f"redub train {info.name} FOOTAGE... -o NAME"
        ready = ", or one that comes with it:  " + ", ".join(Path(name).stem for name in declared) if declared else ""
        raise PluginError(
            f"The generator {info.name} paints only a person whom it was trained on, and nobody's weights are named.",
            f"Name them with --weights: what  {learn}  made{ready}",
        )
    if f"{named}{weights.SUFFIX}" in declared:
        return {f"{named}{weights.SUFFIX}": weights.find(declared[f"{named}{weights.SUFFIX}"])}
    if not info.names_weights and len(declared) != 1:
        said = f"The generator {info.name} has {len(declared) or 'no'} files of weights, whose place one file cannot take."
        raise PluginError(said, "Leave --weights out.")
    path = Path(named) / weights.IN_FOLDER if Path(named).is_dir() else Path(named)
    if not path.is_file():
        raise WeightError(f"There are no weights {path}.", f"Name what  redub train {info.name}  made.")
    # A plugin may ask for its own file by its name.
    return {path.name if info.names_weights else next(iter(declared)): path}


def _make(info: GeneratorInfo, context: LoadContext) -> Generator:
    generator = _find_function(info.factory)(context)
    if not isinstance(generator, Generator):
        raise TypeError(f"{info.factory} returned a {type(generator).__name__}, not a Generator")
    return generator


def _find_function(reference: str) -> Any:
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(module), function)


class _Guarded(Generator):
    """A plugin's generator, whose bugs are the plugin's and not redub's."""

    def __init__(self, inner: Generator, entry: Entry) -> None:
        self._inner = inner
        self._entry = entry

    def generate(self, clip: Clip) -> Painted:
        with _Blame(self._entry, "failed while it painted"):
            return self._inner.generate(clip)

    def close(self) -> None:
        with _Blame(self._entry, "failed while it was closed"):
            self._inner.close()


@dataclass(frozen=True)
class _Blame:
    """Turns whatever a plugin raises into a `PluginError` that names it; a `RedubError` is already meant for the user."""

    entry: Entry
    what: str

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, RedubError):
            raise PluginError(
                f"The generator {self.entry.info.name} ({self.entry.distribution}) {self.what}: {discovery.cause(error)}.",
                "This is a fault of the plugin; --debug shows where.",
            ) from error


def _without_duplicates(found: list[Entry]) -> tuple[list[Entry], list[Problem]]:
    """Drop a name that is claimed twice: choosing one silently would paint with a stranger's.  A built-in one stays."""
    owners: dict[str, list[Entry]] = {}
    for entry in found:
        owners.setdefault(entry.info.name, []).append(entry)
    entries, clashes = [], []
    for name, group in owners.items():
        is_built_in = group[0].distribution.split()[0] == "redub"
        if len(group) == 1 or is_built_in:
            entries.append(group[0])
        if len(group) > 1:
            blamed = dict.fromkeys(entry.distribution for entry in group[is_built_in:])
            clashes.append(
                Problem(
                    about=name,
                    distribution=" and ".join(blamed),
                    message=f"the generator name {name} is " + ("built in" if is_built_in else "claimed more than once"),
                    hint="Uninstall all but one." if len(blamed) > 1 else "Uninstall it, or rename its generator.",
                )
            )
    return entries, clashes
