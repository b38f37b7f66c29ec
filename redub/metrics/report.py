"""report: what was measured on each clip -> means of speakers and groups, as JSON or Markdown.

A speaker counts once, however many clips there are of them; clips are drawn again and again (Efron's bootstrap) to tell
how far a mean can be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from redub.choices import YARDSTICK
from redub.metrics.series import Following

Numbers = dict[str, float]
"""Measures by their dotted names, such as ``own.following``."""

MEDIANS = ("lag_frames", "lag_s", "offset_frames", "offset_s")
"""What ends so is averaged by its median."""
DRAWS = 2000
COVERED = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Mouth:
    """How a painted mouth moves."""

    follows: Following
    landmark_distance: float
    """Mean distance of the mouth's landmarks, each mouth relative to its middle, as a share of that between the eyes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """What following is worth on this clip: the same measure for what should follow badly, and for the truth."""

    loudness_db: Following
    """The sound's loudness in dB in the place of the gap."""
    loudness_linear: Following
    profile: Following | None
    """The mean course of training clips in the place of the gap."""
    rolled: Mouth
    """The generator with the clip's own sound at wrong moments."""
    ceiling: Mouth
    """The true mouth, painted back by ``echo`` and read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """How the generator's pictures look, before blending."""

    mse: float
    """Mean squared difference from the true crop, 0 to 255 squared."""
    mse_mouth: float
    """The same under the lower mask."""
    sharpness: float
    """Gradient energy of luma under the lower mask, as a share of the true crop's."""
    identity: float
    """Distance of the pictures' descriptors from the mean descriptor of the speaker's true crops."""
    identity_true: float
    """The same of the true crops themselves: what a perfect picture would have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """How lips and sound go together, as a sync network sees it; NaN where there was nothing to compare."""

    distance: float
    """At the offset where it is least: LSE-D, on the network's own scale."""
    confidence: float
    """By how much that is less than at other offsets (their median): LSE-C, likewise."""
    offset_frames: float
    """At 25 Hz, positive where the sound is early."""
    offset_s: float
    coverage: float
    """Share of the instants of speech that were scored, 0..1."""
    right: dict[str, float]
    """How often the right moment is found among 31, to within one frame, by the length of a stretch in frames; chance is 0.097."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """The same of painted lips, and of what they should be like and unlike; None where a protocol was not asked for."""

    source: Sync
    """The true lips and their own sound."""
    own: Sync | None
    """Painted over the clip's own frames."""
    dub: Sync | None
    """Painted over another clip of the speaker."""
    dub_floor: Sync | None
    """That other clip's lips, untouched, under this sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipReport:
    """What was measured on one clip; None where a protocol was not asked for or cannot be."""

    clip: str
    speaker: str
    group: str
    frames: int
    speech_frames: int
    material: tuple[str, ...]
    """Where stills, and whatever the generator adapted to, come from."""
    anchors: Anchors
    own: Mouth | None
    """Painted over its own frames."""
    picture: Picture | None
    """Of ``own``."""
    dub: Mouth | None
    """The clip's sound painted over another clip of the speaker."""
    dub_over: str
    """That other clip."""
    dub_floor: Mouth | None
    """That other clip's mouth, untouched."""
    sync: SyncReport | None = None
    """None where there is no sync network."""

    def numbers(self) -> Numbers:
        """Return all measures by name."""
        return _flat({name: value for name, value in asdict(self).items() if isinstance(value, dict)})


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerReport:
    """What was measured once for a speaker."""

    speaker: str
    group: str
    closed_gap: float
    """Of the closed mouth, as a share of the distance between the eyes."""
    identity_stills: float
    """Mean distance between the descriptors of two of the speaker's stills."""
    open_in_silence: float
    """Share of frames in which the painted mouth stands open, although there is no sound."""
    open_in_noise: float
    """Likewise with the faint noise of a room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `redub.metrics.evaluate` found."""

    generator: str
    blend: str
    protocol: str
    clips: tuple[ClipReport, ...]
    speakers: tuple[SpeakerReport, ...]
    left_out: tuple[str, ...]
    """Recordings that could not be measured, and why."""
    network: str = ""
    """The sync network; empty where there is none."""
    read_by: str = str(YARDSTICK)
    """The landmark model that mouths were read with, true and painted ones alike."""

    def of_speaker(self, speaker: str) -> Numbers:
        """Return the means over one speaker's clips."""
        about = next(asdict(one) for one in self.speakers if one.speaker == speaker)
        return _mean(clip.numbers() for clip in self.clips if clip.speaker == speaker) | _flat(about, "speaker.")

    def of_group(self, group: str | None = None) -> Numbers:
        """Return the means over the speakers of a group, or over all speakers, and intervals of the main measures."""
        names = [one.speaker for one in self.speakers if group in (None, one.group)]
        clips = [clip for clip in self.clips if clip.speaker in names]
        means = _mean(self.of_speaker(name) for name in names)
        for measure in ("own.follows.following", "dub.follows.following", "sync.own.confidence", "sync.dub.confidence"):
            low, high = interval([(clip.speaker, clip.numbers().get(measure, math.nan)) for clip in clips])
            means |= {f"{measure}.low": low, f"{measure}.high": high}
        return means

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups, in order of name."""
        return tuple(sorted({one.group for one in self.speakers}))

    @property
    def loudness(self) -> str:
        """Which loudness tells more of the mouth, over all speakers: ``loudness_db`` or ``loudness_linear``."""
        means = self.of_group()
        return max(("loudness_db", "loudness_linear"), key=lambda name: _or_least(means.get(f"anchors.{name}.following")))

    def table(self) -> dict[str, Any]:
        """Return everything as JSON can hold it; what is not a number is None."""
        made: dict[str, Any] = {
            "generator": self.generator,
            "blend": self.blend,
            "protocol": self.protocol,
            "network": self.network,
            "read_by": self.read_by,
            "loudness": self.loudness,
            "all": self.of_group(),
            "groups": {group: self.of_group(group) for group in self.groups},
            "speakers": {one.speaker: {"group": one.group, **self.of_speaker(one.speaker)} for one in self.speakers},
            "clips": [asdict(clip) for clip in self.clips],
            "left_out": list(self.left_out),
        }
        plain: dict[str, Any] = _without_nan(made)
        return plain


def interval(values: Sequence[tuple[str, float]], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean over speakers, by drawing clips with replacement.

    Args:
        values: (speaker, measure) of each clip; what is not a number is left out.
        seed: Of the draws.

    Returns:
        NaN twice for fewer than three clips.
    """
    known = [(speaker, value) for speaker, value in values if not math.isnan(value)]
    if len(known) < 3:
        return math.nan, math.nan
    names = sorted({speaker for speaker, _ in known})
    owner = np.array([names.index(speaker) for speaker, _ in known])
    measure = np.array([value for _, value in known])
    drawn = np.random.default_rng(seed).integers(0, len(known), (DRAWS, len(known)))
    of_name = owner[drawn][..., None] == np.arange(len(names))
    count = of_name.sum(axis=1)
    total = (of_name * measure[drawn][..., None]).sum(axis=1)
    means = (total / np.maximum(count, 1)).sum(axis=1) / (count > 0).sum(axis=1)
    low, high = np.quantile(means, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Numbers:
    numbers: Numbers = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            numbers |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            numbers[prefix + name] = float(value)
    return numbers


def _mean(rows: Iterable[Numbers]) -> Numbers:
    """Average measures; a lag or an offset by its median, for a clip that fits anywhere throws a mean off."""
    gathered: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if not math.isnan(value):
                gathered.setdefault(name, []).append(value)
    return {name: float(np.median(values) if name.endswith(MEDIANS) else np.mean(values)) for name, values in gathered.items()}


def _or_least(value: float | None) -> float:
    return -math.inf if value is None else value


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
