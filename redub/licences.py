"""licences: settings, a generator -> whose models a run uses, where they lie, and whether money may be made with the result.

A program under a free licence is free for every use only if the models that it runs with are.  Theirs depend on what they were
trained on, which no package manager tells; so it is written down here, part by part, with what to change where one is not free.
Nothing in here is advice of a lawyer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from redub import weights
from redub.choices import LandmarkModel
from redub.config import Config
from redub.errors import RedubError
from redub.faces.landmarks import landmark_model
from redub.faces.recognition import recognition_model
from redub.faces.shipped import LANDMARKS
from redub.plugin import manager
from redub.speech.shipped import SYNC
from redub.weights import WeightFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One model that a run may use."""

    role: str
    name: str
    licence: str
    """SPDX where there is one for it."""
    is_commercial: bool | None
    """Whether it may be used commercially; None where that has to be read, or asked."""
    is_used: bool
    """Whether a run with these settings and this generator uses it."""
    when: str
    """When a run does."""
    learnt_from: str
    path: Path | None
    """Where it lies; None where it is missing, or a part of a library."""
    is_missing: bool
    advice: str = ""
    """What a commercial user has to do."""


def list_parts(config: Config, generator: str = "") -> tuple[Part, ...]:
    """Return the models of a run, those of looking and listening first.

    Args:
        config: Its settings.
        generator: Its generator; without one those of all generators are listed, and count as used.

    Raises:
        PluginError: There is no such generator.
    """
    if generator:
        manager.find(generator)
    entries = [entry for entry in manager.find_generators().entries if generator in ("", entry.info.name)]
    adapts = config.adapt.use and any(entry.info.adapter for entry in entries)
    return (*_looking(config, adapts=adapts), _listening(config), *_painting(entries))


def hindrances(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return what of a run is not known to be free for commercial use."""
    return tuple(part for part in parts if part.is_used and part.is_commercial is not True)


def _looking(config: Config, *, adapts: bool) -> Iterator[Part]:
    is_own = config.tracks.landmarks is LandmarkModel.OWN
    yield Part(
        role="face detector", name="dlib's HOG detector", licence="BSL-1.0", is_commercial=True, is_used=True, when="always",
        learnt_from="pictures of faces that dlib's author annotated; a part of the library dlib", path=None, is_missing=False,
    )  # fmt: skip
    path = _found(landmark_model)
    yield Part(
        role="landmark model", name="dlib's 68 points", licence="CC0-1.0 by its author; its data excludes commercial use",
        is_commercial=False, is_used=not is_own, when='tracks.landmarks = "dlib"',
        learnt_from="iBUG 300-W (Imperial College London), whose makers ask that models trained on it are not used commercially",
        path=path, is_missing=path is None,
        advice="Use redub's own, the default:  --set tracks.landmarks=own  or ask Imperial College London for a licence.",
    )  # fmt: skip
    yield _shipped("landmark model", LANDMARKS, is_used=is_own, when='tracks.landmarks = "own"')
    path = _found(recognition_model)
    yield Part(
        role="recognition network", name="dlib's face descriptor", licence="CC0-1.0 by its author", is_commercial=None, is_used=adapts,
        when="a generator adapts to a video with several tracks, or a picture is given with --speaker",
        learnt_from="FaceScrub, VGG-Face and pictures from the web, half and half; its author asks for nothing, those data sets do",
        path=path, is_missing=path is None,
        advice="Adapt only videos with one track, or leave it out with --no-adapt; name speakers by number.",
    )  # fmt: skip


def _listening(config: Config) -> Part:
    return _shipped(
        "sync network", SYNC, is_used=config.speakers.listen or config.sync.judge, when="speakers.listen or sync.judge, and redub sync"
    )


def _painting(entries: list[manager.Entry]) -> Iterator[Part]:
    declared = [(entry.info.name, file) for entry in entries for mode in entry.info.modes.values() for file in mode.weights]
    for row in weights.ledger(declared):
        yield _shipped(f"generator {row.generator}", row.file, is_used=True, when=f"--generator {row.generator}")
    for entry in entries:
        if entry.info.names_weights:
            yield Part(
                role=f"generator {entry.info.name}", name="the weights that you name", licence="as their owner says",
                is_commercial=None, is_used=True, when=f"--generator {entry.info.name}",
                learnt_from="footage of a person who agreed to it: the file says who, and how", path=None, is_missing=False,
                advice="Let the person's agreement cover what you use it for.",
            )  # fmt: skip


def _shipped(role: str, file: WeightFile, *, is_used: bool, when: str) -> Part:
    row = weights.ledger([(role, file)])[0]
    advice = ""
    if row.is_commercial and file.licence.upper().startswith("CC-BY"):
        advice = "Name the source with what you publish: the licence asks for it."
    elif not row.is_commercial:
        advice = "Use another generator, or weights that you trained yourself." if role.startswith("generator") else "Read its licence."
    return Part(
        role=role, name=file.name, licence=file.licence, is_commercial=row.is_commercial, is_used=is_used, when=when,
        learnt_from=file.source, path=row.path, is_missing=row.path is None, advice=advice,
    )  # fmt: skip


def _found(find: Callable[[], Path]) -> Path | None:
    try:
        return find()
    except RedubError:
        return None
