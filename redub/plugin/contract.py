"""contract: what travels between redub and a generator plugin.  API 1.0.

A plugin is data plus one method: frozen `GeneratorInfo` records say what it needs and promises, and
`Generator.generate` paints.  Neither this module nor a declaration imports torch or cv2, so listing plugins is free.

Versions: ``API`` is the contract's own version, not redub's.  The host accepts the same major and a minor at or
below its own.  A minor adds keyword-only fields with defaults or new hooks; a major removes or changes a meaning.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from redub.types import RGB, Blend, Doubles, Floats

API = (1, 0)


class Region(StrEnum):
    """What a generator paints."""

    FACE = "face"
    """The canonical crop of a face."""
    FRAME = "frame"
    """The largest centred square of the picture; the rest passes through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioWindow:
    """The real speech around a frame that a generator may look at."""

    rate_hz: int
    before_s: float
    """Seconds before the middle of the frame."""
    after_s: float
    """Seconds after the middle of the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLimits:
    """How many frames one call may hold."""

    min_frames: int = 1
    max_frames: int = 64
    overlap_frames: int = 0
    """Frames of context that a call needs at each side for its middle to be the same as without cutting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One file of weights, with what a user must know of it."""

    name: str
    """File name; found beside the plugin's code, or in the folders that `redub.weights.find` names."""
    sha256: str
    """All 64 hex digits."""
    size_bytes: int
    licence: str
    """SPDX identifier."""
    source: str
    """Where the file, or the data it was trained on, comes from."""
    model_card: str = "MODEL_CARD.md"
    package: str = ""
    """Import package that carries the file, if one does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Sizes and weights for one way of blending."""

    input_px: int
    """Side of the square crop that is read."""
    output_px: int
    """Side of the square crop that is painted."""
    output_offset_px: int = 0
    """Where the painted square's top-left pixel lies in the one that is read (x and y alike)."""
    weights: tuple[WeightFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorInfo:
    """A generator's declaration.  The host believes it; ``redub plugins check NAME`` proves it."""

    name: str
    """What ``--generator`` is given: lower case letters, digits, hyphens."""
    summary: str
    """One sentence for the list."""
    api: tuple[int, int]
    """The contract's version it was written for: a literal, never `API`."""
    licence: str
    """SPDX identifier of the code."""
    region: Region
    modes: Mapping[Blend, Mode]
    """The blendings it offers; the first is its default."""
    audio: AudioWindow
    factory: str
    """``module:function``, called as ``function(LoadContext) -> Generator``; imported only when used."""
    frame_rate_hz: Fraction | None = None
    """Frames a second that it must be given; None means any."""
    clip: ClipLimits = field(default_factory=ClipLimits)
    references: int = 0
    """How many stills of the speaker it wants."""
    looks_at_mouth: bool = False
    """True only if what it paints depends on the mouth it is to replace, as ``echo`` does."""
    trainer: str = ""
    """``module:function`` behind ``redub train``, if there is one."""
    adapter: str = ""
    """``module:function`` behind ``redub adapt``, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadContext:
    """What a factory is told."""

    device: str
    """``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    mode: Blend
    weights: Mapping[str, Path] | None
    """Verified files by name; None asks for a tiny random model, for tests."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """Consecutive frames to paint.  All arrays are read-only."""

    frames: RGB
    """(T, H, W, 3) uint8, H = W = ``input_px``."""
    points: Floats
    """(T, 68, 2) landmarks in px of ``frames``; NaN for a FRAME generator where there is no face."""
    times_s: Doubles
    """(T,) when the middle of each frame is shown, counted from ``speech[0]``."""
    speech: Floats
    """(N,) mono in -1..1 at ``audio.rate_hz``; covers ``before_s`` to ``after_s`` around every frame, zeros where
    there is no sound."""
    references: RGB
    """(K, H, W, 3) stills of the speaker, from a slightly open to a wide open mouth."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Painted:
    """What a generator returns."""

    frames: RGB
    """(T, h, w, 3) uint8, h = w = ``output_px``."""
    alpha: Floats | None = None
    """(T, h, w) in 0..1: where the picture is to be used, within the host's own mask; None means everywhere."""


class Generator(ABC):
    """A loaded model.  Used by one thread; the host calls `close` when it is done."""

    @abstractmethod
    def generate(self, clip: Clip) -> Painted:
        """Paint each frame of a clip so that its mouth says the speech.

        Raises:
            ShapeError: An array is not as the declaration says.
            PluginError: The model failed, with what the user can do about it.
        """

    def close(self) -> None:
        """Free what the model holds; the default holds nothing."""
