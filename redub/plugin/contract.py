"""contract: what travels between redub and a generator plugin.  API 1.2.

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
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redub.errors import ShapeError
from redub.types import RGB, Blend, Doubles, Floats
from redub.weights import WeightFile

API = (1, 2)


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
    """The blendings it offers.

    The first is taken where what `blend.mode` comes to is not among them, and for weights that a user names unless their metadata
    say another in ``blend``.
    """
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
    """``module:function`` behind ``redub train``, if there is one: takes a `TrainRequest`."""
    adapter: str = ""
    """``module:function`` behind ``redub adapt``, if there is one: takes an `AdaptRequest`, returns `Adapted`."""
    names_weights: bool = False
    """True where the user has to name the weights, because they are of one person: a file of their own, or one of those that
    the modes declare, by its name without the ending.  None is then taken unasked.  Since API 1.2."""
    unavailable: str = ""
    """Why it cannot be loaded for now, in one sentence for the list, such as a network that is not built yet; empty
    once it can.  The factory says the same when it is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadContext:
    """What a factory is told."""

    device: str
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``; for torch, `choose_device` turns it into one that is there."""
    mode: Blend
    weights: Mapping[str, Path] | None
    """Files by name: verified, or the user's own in the place of one; None asks for a tiny random model, for tests."""
    seed: int = 0
    adapted: Path | None = None
    """What the plugin's own adapter wrote for the speaker; None takes the weights as they are.  Since API 1.1."""


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
        """Free what the model holds; may be called twice.  The default holds nothing."""

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def check_clip(clip: Clip, info: GeneratorInfo, mode: Mode) -> None:
    """Raise `ShapeError` unless a clip is what was declared: the first line of most `Generator.generate` methods.

    Raises:
        ShapeError: An array has another shape or type; the message names both.
    """
    count, size, stills = len(clip.frames), mode.input_px, info.references
    wanted: dict[str, tuple[NDArray[Any], tuple[int, ...], type]] = {
        "frames": (clip.frames, (count, size, size, 3), np.uint8),
        "points": (clip.points, (count, 68, 2), np.float32),
        "times_s": (clip.times_s, (count,), np.float64),
        "speech": (clip.speech, (clip.speech.size,), np.float32),
        "references": (clip.references, (stills, size, size, 3), np.uint8),
    }
    for name, (array, shape, kind) in wanted.items():
        if array.shape != shape or array.dtype != kind:
            raise ShapeError(
                f"The clip's {name} are {array.shape} {array.dtype}; {info.name} declared {shape} {np.dtype(kind)}.",
                "Whoever made the clip must follow the declaration.",
            )
    if not info.clip.min_frames <= count <= info.clip.max_frames:
        raise ShapeError(
            f"The clip has {count} frames; {info.name} declared {info.clip.min_frames} to {info.clip.max_frames}.",
            "Whoever made the clip must follow the declaration.",
        )
