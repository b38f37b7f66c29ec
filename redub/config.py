"""config: TOML and ``--set key=value`` -> one frozen dataclass a stage.

Defaults stand here and nowhere else.  An unknown key is an error that names the nearest known one: a misspelt
setting that is silently ignored costs its user an afternoon.
"""

from __future__ import annotations

import difflib
import sys
import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from math import isfinite, sqrt
from pathlib import Path
from typing import Any, get_type_hints

from redub.choices import BlendChoice, BlendRegion, Fit, LandmarkModel
from redub.errors import ConfigError


def _up_to(most: float, default: float) -> Any:
    """Declare a number that may be 0 to ``most``: beyond it a run would not end, or end in nonsense."""
    return field(default=default, metadata={"most": most})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotConfig:
    """How cuts are found."""

    threshold: float = _up_to(1000, 3.5)
    """A cut's frame difference exceeds its surroundings' mean by this factor."""
    min_difference: float = _up_to(255, 6.0)
    """Below this mean difference of luma (0 to 255) nothing is a cut."""
    min_length_s: float = _up_to(60, 0.3)
    """A shorter shot is joined to its successor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackConfig:
    """How faces are found and followed."""

    key_interval_s: float = _up_to(60, 1.0)
    """The face detector looks this often; between, points are followed (KLT)."""
    min_face_px: int = 60
    """Smaller faces are left alone."""
    min_score: float = _up_to(10, 0.25)
    """The detector's score; higher is surer."""
    min_length_s: float = _up_to(60, 0.4)
    """A shorter track is dropped."""
    max_gap_s: float = _up_to(10, 0.5)
    """A face lost for longer starts a new track; within a shorter gap it is interpolated."""
    landmarks: LandmarkModel = LandmarkModel.OWN
    """``own``: redub's network, free for every use; ``dlib``: the published model, whose training set excludes commercial use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerConfig:
    """Which face speaks, and so is painted."""

    listen: bool = True
    """Compare lips and sound; otherwise, or where that cannot be, the face that looks into the camera for longest is taken."""
    min_confidence: float = _up_to(50, 0.05)
    """A track may speak if its lips suit the sound by so much more at their best offset than at others."""
    chance: float = _up_to(50, 0.35)
    """And by more than chance does: chance suits a second of speech by so much, and n seconds by so much over the root of n."""
    usual_offset_s: float = _up_to(1, 0.12)
    """Three quarters of that will do where the offset is no larger than this: chance is seldom so lucky."""
    min_frame_confidence: float = _up_to(50, 0.13)
    """And it does speak while lips and sound suit each other by this around a frame; below, somebody else is heard."""
    window_s: float = _up_to(10, 2.0)
    """Length of what counts as around a frame."""
    min_stretch_s: float = _up_to(60, 1.0)
    """Whoever speaks or is silent for less than this goes on as before."""
    min_scored_s: float = _up_to(60, 0.8)
    """A track with less speech than this cannot be judged: it is taken as most of the video is."""
    max_yaw: float = _up_to(2, 0.35)
    """While nothing listens, a face counts as frontal if the nose is off the eyes' middle by less than this share of their distance."""

    def is_sure(self, confidence: float, offset_s: float, scored_s: float) -> bool:
        """Say whether lips go with a sound, as far as so many seconds of it tell."""
        if not scored_s > 0 or not isfinite(offset_s):
            return False
        share = 0.75 if abs(offset_s) <= self.usual_offset_s else 1.0
        return confidence >= max(self.min_confidence, share * self.chance / sqrt(scored_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class CropConfig:
    """How a face is registered."""

    smoothing_s: float = _up_to(5, 0.08)
    """Sigma of the zero-phase Gaussian over scale, angle and place; 0 switches it off."""
    max_jump: float = _up_to(10, 0.04)
    """A move between two frames above this share of the face's width is real: smoothing does not cross it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendConfig:
    """How the painted crop goes back."""

    mode: BlendChoice = BlendChoice.AUTO
    """``network`` puts back a crop painted in context, ``poisson`` matches gradients, ``feather`` matches the mean colour; ``auto`` is
    ``network`` where the speaker is learnt from the video first, else ``poisson``."""
    region: BlendRegion = BlendRegion.LOWER
    """``lower`` or ``whole`` face."""
    edge: float = _up_to(0.25, 0.05)
    """Width of the soft edge, as a share of the crop."""
    smoothing_frames: float = _up_to(50, 2.0)
    """Sigma of the low-pass over time on the boundary correction; 0 switches it off."""
    max_correction: float = _up_to(255, 25.0)
    """Largest colour correction at the boundary, of 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptConfig:
    """How a generator that can be adapted learns the speaker from the video itself, before it paints."""

    use: bool = True
    """Whether it does."""
    limit_s: float = _up_to(86_400, 0.0)
    """Take no longer than so many seconds for a person; 0 leaves it to the generator."""
    min_speech_s: float = _up_to(3600, 1.5)
    """A person must be seen speaking for so long."""
    max_footage_s: float = _up_to(3600, 60.0)
    """No more than so much of a person is learnt from, spread over the video."""
    max_persons: int = 4
    """No more persons than this are learnt, those who are seen longest."""
    max_distance: float = _up_to(2, 0.5)
    """Two tracks are one person's if dlib's face descriptors are nearer than this."""
    min_agreement: float = _up_to(2, 0.2)
    """Lips must go together with the sound, by so much more correlation than with the same sound moved away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """What happens when sound and video differ in length."""

    mode: Fit = Fit.HOLD
    """For longer sound: ``hold`` the last frame, ``loop`` or ``bounce`` the video; ``cut`` ends with the shorter one."""
    crossfade_s: float = _up_to(10, 0.5)
    """Length of the cross-fade where ``loop`` starts over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeConfig:
    """How the result is written."""

    codec: str = "libx264"
    """Any of the encoders that ``redub doctor`` lists."""
    crf: float = _up_to(63, 18.0)
    """Constant quality, lower is better; for hardware encoders the nearest thing they have."""
    preset: str = "medium"
    """Slower presets make smaller files."""
    audio_codec: str = "auto"
    """``auto`` copies the sound where the container can hold it and encodes it once where not; ``copy``, or an encoder."""
    audio_bitrate_bps: int = 192_000
    """For two channels; fewer or more get their share, and low sampling rates no more than they can use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncConfig:
    """How a result is judged, and when the offset between lips and sound is sure enough to act on it."""

    judge: bool = True
    """Tell after a run how the painted lips go with the new sound, and keep it beside the result."""
    max_spread_s: float = _up_to(1, 0.06)
    """Tracks that speak may differ by so much from their mean; beyond it they disagree, and nothing is repaired."""
    gate_offset_s: float = _up_to(1, 0.08)
    """For ``--gate``: the lips of a result may be off by so much."""
    gate_confidence: float = _up_to(50, 0.1)
    """For ``--gate``: and they have to suit the new sound by so much more than they suit it moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, one group a stage."""

    shots: ShotConfig = field(default_factory=ShotConfig)
    tracks: TrackConfig = field(default_factory=TrackConfig)
    speakers: SpeakerConfig = field(default_factory=SpeakerConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    blend: BlendConfig = field(default_factory=BlendConfig)
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)

    @classmethod
    def read(cls, path: Path) -> Config:
        """Read settings from a TOML file with a table for each group.

        Raises:
            ConfigError: The file is unreadable, or a name or value in it is not known.
        """
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(
                f"The settings file {path} cannot be read: {error}.",
                "Give a TOML file with a table for each group; redub show config prints one.",
            ) from error
        return cls().updated(tables)

    def analysis_settings(self) -> dict[str, dict[str, Any]]:
        """Return the groups that a plan depends on."""
        return {name: asdict(getattr(self, name)) for name in ("shots", "tracks", "speakers", "crops")}

    def updated(self, tables: dict[str, Any]) -> Config:
        """Return a copy with ``{"group": {"key": value}}`` put in; values are checked against the field's type."""
        groups = {}
        for name, values in tables.items():
            _check_name(name, [f.name for f in fields(self)], "group of settings")
            if not isinstance(values, dict):
                raise ConfigError(f"{name} is a group of settings, not a value.", f"Name a key in it, such as {name}.KEY.")
            groups[name] = _update(getattr(self, name), name, values)
        return replace(self, **groups)

    def set(self, assignment: str) -> Config:
        """Return a copy with one ``group.key=value`` put in, as ``--set`` writes it."""
        path, equals, text = assignment.partition("=")
        group, dot, key = path.strip().partition(".")
        if not equals or not dot:
            raise ConfigError(f"--set {assignment!r} is not of the form group.key=value.", "For example: --set encode.crf=20")
        try:
            value = tomllib.loads(f"value = {text.strip()}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        return self.updated({group: {key: value}})


def _update(group: Any, name: str, values: dict[str, Any]) -> Any:
    hints = get_type_hints(type(group))
    limits = {one.name: one.metadata.get("most") for one in fields(group)}
    changes = {}
    for key, value in values.items():
        _check_name(key, list(hints), f"setting of {name}")
        changes[key] = _as_type(value, hints[key], f"{name}.{key}", limits[key])
    return replace(group, **changes)


def _as_type(value: Any, kind: type, name: str, most: float | None) -> Any:
    if issubclass(kind, StrEnum):
        try:
            return kind(value)
        except ValueError:
            raise ConfigError(f"{name} is {value!r}.", f"Choose one of: {', '.join(kind)}.") from None
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name} is {value!r}, which is not a {kind.__name__}.", "Correct the value.")
    if isinstance(value, int | float):
        if not value >= 0:
            raise ConfigError(f"{name} is {value}, below zero or no number.", "Give zero or more.")
        if value > (most if most is not None else sys.maxsize):
            raise ConfigError(f"{name} is {value}, more than makes sense.", f"Give at most {most if most is not None else sys.maxsize:g}.")
    return value


def _check_name(name: str, known: list[str], what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
        raise ConfigError(f"There is no {what} called {name!r}.", hint)
