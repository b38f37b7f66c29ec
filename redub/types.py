"""types: the words of the project.

Units and axes, said once:

- Boxes are ``(left, top, right, bottom)`` in px, right and bottom exclusive; sizes are ``(height, width)``; points are ``(x, y)``.
- Pixel coordinates have their origin at the **middle** of the top-left pixel, as OpenCV's warps have.
- Times count from the first presented frame, as `fractions.Fraction` seconds; a name that ends in ``_s`` is a float.
- Pictures are RGB uint8, upright as a viewer sees them (rotation flags applied).
- Axes: T frames, N samples, H W pixels, C channels, F features, K references, P points, B batch.
- Transforms are named from-to: ``crop_from_frame`` takes frame pixels to crop pixels.
- The **canonical crop** is a unit square: x and y run from 0 to 1 over the registered face. A generator that reads
  112 px sees it sampled at 112 x 112; so a plan does not depend on the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from redub.choices import Blend, BlendRegion, Fit

__all__ = [
    "RGB", "Blend", "BlendRegion", "Bools", "CropPath", "Doubles", "Fit", "Floats",
    "Ints", "Patch", "Reading", "Scan", "Shot", "Speaking", "Track", "VideoFacts",
]  # fmt: skip

RGB = NDArray[np.uint8]
"""(H, W, 3) or (T, H, W, 3) pictures."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Frames between two cuts: ``start <= index < stop``."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """One face through consecutive frames of one shot."""

    id: int
    start: int
    """Index of the first frame; the track covers ``start <= index < start + T`` without a gap."""
    boxes: Floats
    """(T, 4) px of the upright frame."""
    points: Floats
    """(T, 68, 2) px of the upright frame, iBUG order: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67."""
    is_measured: Bools
    """(T,) False where the face was not seen and the frame was interpolated."""

    @property
    def stop(self) -> int:
        return self.start + len(self.boxes)

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """A stretch in which one track speaks (and so is the one to paint): ``start <= index < stop``."""

    track: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """How the lips of one track go with the video's own sound."""

    track: int
    offset_s: float
    """How much the sound is early against the lips, so that delaying it by this repairs it; NaN where nothing could be scored."""
    distance: float
    """Mean distance of lips and sound at this offset; NaN where nothing could be scored."""
    confidence: float
    """By how much that is less than at other offsets (their median); 0 where nothing could be scored."""
    coverage: float
    """Share of the speech heard while the face is seen that was scored."""
    heard_s: float
    """How long somebody is heard to speak while the face is seen, whoever that is."""
    frame_confidence: Floats
    """(T,) the same for each frame of the track, at the offset that the video has there; NaN where it was not scored."""

    @property
    def scored_s(self) -> float:
        """How much speech was scored."""
        return self.coverage * self.heard_s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CropPath:
    """Where the canonical crop of one track lies in each of its frames."""

    track: int
    start: int
    similarities: Doubles
    """(T, 4): log scale, angle in radians (unwrapped), x, y of the transform that takes **canonical** to frame px:
    ``frame = exp(s) * R(angle) @ canonical + (x, y)``; smoothed over time with zero phase."""
    references: tuple[int, ...]
    """Frame indices of the five stills of this face, by mouth openness: 10, 30, 50, 70, 90th percentile."""

    @property
    def stop(self) -> int:
        return self.start + len(self.similarities)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """What is to be painted over one upright frame."""

    left: int
    top: int
    rgb: RGB
    """(H, W, 3); lies wholly inside the frame."""
    alpha: Floats
    """(H, W), 0 keeps the frame, 1 replaces it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What analysis and rendering need to know of a video's picture, as presented (upright)."""

    height: int
    width: int
    frames: int
    """Counted by decoding, not read from the header."""
    frame_rate: Fraction
    """Frames by duration; for a variable rate the mean."""
    duration: Fraction
    """From the first frame's time to the end of the last one, in seconds."""
    is_variable_rate: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """What one look through a whole video finds, before any face is looked for."""

    facts: VideoFacts
    pts: Ints
    """(T,) presentation times of all frames in ``time_base``, in presented order."""
    time_base: Fraction
    shots: tuple[Shot, ...]
    """In order, touching, covering the whole video."""
