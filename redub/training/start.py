"""start: generator, or the sync network; footage -> its trained weights.  What ``redub train`` does.

The host packs the footage, says what there is, and hands a `TrainRequest` to the plugin; it alone decides what may be
learnt from.  The work folder belongs to one generator and one set of footage: with other footage a training that is
gone on with would have learnt from people whom nobody named this time.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from redub.config import Config
from redub.errors import PluginError, RedubError
from redub.files import check_file
from redub.plugin import Region, TrainRequest, manager
from redub.plugin.discovery import cause
from redub.progress import Tell, silent
from redub.stills import CONSENT
from redub.training.footage import Footage, find_footage
from redub.training.pack import Packed, check_region, find_landmark_model, is_pack, make_pack
from redub.training.stock import ONE_IN, TAIL_LEAST_FRAMES, Inventory, is_all_packs, piece_reader, take_stock
from redub.weights import IN_FOLDER, SUFFIX

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows: nothing keeps two runs apart there
    fcntl = None  # type: ignore[assignment]

FOOTAGE, LABEL, LOCK, WORK = "footage.pack", "training.json", ".lock", "training"
OWN = {"sync": ("redub.training.sync.train:train", 112)}
"""What belongs to the engine and no plugin: its trainer, and the side of the crops that it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is to be trained, and on what."""

    generator: str
    footage: Sequence[Path]
    """Videos, folders of them, manifests; or packs."""
    output: Path
    """The weights; for a generator that paints whole pictures also a folder, which then holds the work folder, too."""
    work: Path | None = None
    """For packs, checkpoints and curves; None for a folder beside the output."""
    recipe: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    seed: int = 0
    limit_s: float | None = None
    base: Path | None = None
    consent: str = ""
    """Who agreed, and how; needed for a generator that paints whole pictures of one person."""
    jobs: int = 1
    """Videos that are packed at a time."""
    force: bool = False
    """Replace an output that exists."""

    @property
    def folder(self) -> Path:
        return self.work or self.output.with_suffix(".train")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What became of it."""

    inventory: Inventory
    is_complete: bool
    """The output is written.  One stage alone may not complete it."""
    output: Path
    """The weights."""
    work: Path


def train(training: Training, *, tell: Tell = silent, say: Callable[[str], None] = lambda _: None) -> Trained:
    """Train a generator, or go on with a training.

    Args:
        training: What and on what.
        tell: Is told of the progress.
        say: Is told in sentences what was found.

    Raises:
        RedubError: The generator has no trainer, the output exists, there is nothing to learn from, or the work folder
            belongs to another training.
        PluginError: The trainer failed.
        KeyboardInterrupt: It was stopped; the same call goes on.
    """
    trainer, size_px, region = find_trainer(training.generator)
    training = _in_folder(training) if region is Region.FRAME else training
    _check_places(training)
    if region is Region.FRAME:
        say(CONSENT)
        _check_consent(training)
    is_packed = is_all_packs(training.footage)
    footage = [] if is_packed else find_footage(training.footage)
    with _locked(training.folder):
        if is_packed:
            packs = list(training.footage)
            for pack in packs:
                check_region(pack, region)
            find_landmark_model(packs)
        else:
            _label(training.folder, {"generator": training.generator, "footage": [_row(one) for one in footage]})
            packs = [training.folder / FOOTAGE]
            # One that was begun is gone on with by the landmark model that it was begun with.
            usual = Config()
            config = usual.set(f"tracks.landmarks={find_landmark_model(packs)}") if is_pack(packs[0]) else usual
            for line in remarks(make_pack(footage, packs[0], size_px=size_px, region=region, jobs=training.jobs, config=config, tell=tell)):
                say(line)
        inventory = take_stock(packs)
        if is_packed:
            _label(training.folder, {"generator": training.generator, "footage": inventory.sha256})
        say(describe(inventory))
        request = TrainRequest(
            pieces=piece_reader(packs, inventory), output=training.output, work=training.folder, recipe=training.recipe,
            settings=training.settings, device=training.device, seed=training.seed, limit_s=training.limit_s,
            base=training.base, consent=training.consent, tell=tell,
        )  # fmt: skip
        before = _stamp(training.output)
        with nullcontext() if training.generator in OWN else _blame(training.generator):
            trainer(request)
    is_complete = _stamp(training.output) not in (None, before)
    return Trained(inventory=inventory, is_complete=is_complete, output=training.output, work=training.folder)


def describe(inventory: Inventory) -> str:
    """Say in a sentence what there is to learn from."""
    speakers = len(inventory.speakers)
    there = f"{inventory.frames} frames of {speakers} speaker{'s' * (speakers != 1)}"
    if inventory.held_out_frames:
        return f"{there}, {inventory.held_out_frames} of the frames held out."
    if inventory.longest_frames >= TAIL_LEAST_FRAMES:
        return f"{there}; nothing is marked as held out, so the end of every longer piece is."
    if inventory.pieces >= ONE_IN:
        return f"{there}; nothing is marked as held out, so one piece in {ONE_IN} is."
    return f"{there}; nothing is held out: there are few pieces, and all of them are short."


def remarks(packed: Sequence[Packed]) -> Iterator[str]:
    """Yield a sentence for each source of which nothing was packed."""
    for one in packed:
        if one.remark:
            yield f"{one.source.name} was left out: {one.remark.rstrip('.')}."


def find_trainer(name: str) -> tuple[Callable[[TrainRequest], None], int, Region]:
    """Return what trains a generator, and the side and kind of the crops that it wants.

    Raises:
        PluginError: There is no such generator, or it cannot be trained.
    """
    if name in OWN:
        module, _, function = OWN[name][0].partition(":")
        return getattr(importlib.import_module(module), function), OWN[name][1], Region.FACE
    entry = manager.find(name)
    if not entry.info.trainer:
        trained = [one.info.name for one in manager.find_generators().entries if one.info.trainer] + list(OWN)
        raise PluginError(f"The generator {name} cannot be trained.", f"These can: {', '.join(trained)}.")
    module, _, function = entry.info.trainer.partition(":")
    with _blame(name):
        trainer = getattr(importlib.import_module(module), function)
    # One pack serves all of its networks: the smaller ones learn from crops that are averaged down.
    return trainer, max(mode.input_px for mode in entry.info.modes.values()), entry.info.region


@contextmanager
def _blame(name: str) -> Iterator[None]:
    """Turn what a plugin's trainer raises into a `PluginError` that names it; a `RedubError` is meant for the user."""
    try:
        yield
    except RedubError:
        raise
    except Exception as error:
        raise PluginError(
            f"The trainer of {name} failed: {cause(error)}.", "This is a fault of the plugin; --debug shows where."
        ) from error


def _in_folder(training: Training) -> Training:
    """Let a name without an ending of weights be a folder, which then holds weights and training: all that is kept of a person."""
    if training.output.suffix == SUFFIX:
        return training
    work = training.work or training.output / WORK
    check_folder(training.output, work)
    return replace(training, output=training.output / IN_FOLDER, work=work)


def check_folder(folder: Path, work: Path) -> None:
    """Make the folder of a person, unless something else is there.

    Raises:
        RedubError: It is a file, holds something else, or cannot be made.
    """
    if folder.is_dir() and any(one.name not in (work.name, IN_FOLDER) for one in folder.iterdir()):
        raise RedubError(f"{folder} holds something else than a training.", "Name an empty or a new folder with --output.")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RedubError(f"The folder {folder} cannot be made: {error.strerror}.", "Name another with --output.") from error


def _check_consent(training: Training) -> None:
    if not training.consent.strip():
        raise RedubError(
            "A whole person is to be learnt, and it is not said that they agreed.",
            'Say who did and how; it is kept with the weights:  --consent "Ann Example, in writing, 1 May 2026"',
        )


def _check_places(training: Training) -> None:
    if training.output.suffix != ".safetensors":
        raise RedubError(f"{training.output} is no name for weights.", "Name a file that ends in .safetensors with --output.")
    if training.output.exists() and not training.force:
        raise RedubError(f"{training.output} exists.", "Name another file with --output, or replace it with --force.")
    if not training.output.parent.is_dir():
        raise RedubError(f"There is no folder {training.output.parent}.", "Make it first.")
    if training.base is not None:
        check_file(training.base, "base")


def _stamp(path: Path) -> tuple[int, int] | None:
    """Tell one file of this name from another."""
    if not path.exists():
        return None
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_ino


def _row(one: Footage) -> list[Any]:
    return [one.path.name, one.path.stat().st_size, one.speaker, one.is_held_out]


def _label(folder: Path, facts: dict[str, Any]) -> None:
    """Write what a work folder is for, or check that it is still the same."""
    path = folder / LABEL
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != facts:
            raise RedubError(f"{folder} belongs to a training on other footage, or of another generator.", "Name another with --work.")
        return
    if any(one.name != LOCK for one in folder.iterdir()):
        raise RedubError(f"{folder} holds something else than a training.", "Name an empty or a new folder with --work.")
    path.write_text(json.dumps(facts) + "\n", encoding="utf-8")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a work folder; the system drops the lock with the process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise RedubError(f"The work folder {folder} cannot be written: {error.strerror}.", "Name another with --work.") from error
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RedubError(f"Another training is at work in {folder}.", "Wait for it, or name another with --work.") from None
            except OSError:
                pass  # some network folders have no locks
        yield
