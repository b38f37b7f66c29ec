"""clips: a seed -> faces and speech whose answers are known.

Everything is drawn with NumPy: a cartoon face whose landmarks and mouth opening are what they were drawn with, and
syllables whose loudness is what it was shaped with.  The same seed gives the same bytes on every machine.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from redub.faces.canonical import CANONICAL_FACE
from redub.plugin import Clip, GeneratorInfo, Mode, Region
from redub.types import RGB, Floats

Array = TypeVar("Array", bound=NDArray[Any])

USUAL_RATE = Fraction(25)
SYLLABLE_S = 0.22
LOWER_LIP = [55, 56, 57, 58, 59, 65, 66, 67]
UPPER_LIP = [49, 50, 51, 52, 53, 61, 62, 63]
OUTER_LIPS = slice(48, 60)
INNER_LIPS = slice(60, 68)
EYES = (slice(36, 42), slice(42, 48))
SKIN, LIPS, MOUTH, IRIS = (205, 160, 135), (170, 80, 80), (45, 15, 20), (50, 70, 90)


def face_points(openness: float) -> Floats:
    """Return the canonical face with its mouth opened.

    Args:
        openness: 0 closed, 1 wide open: the inner lips are then 0.12 of the crop apart.

    Returns:
        (68, 2) on the canonical unit square.
    """
    points = np.array(CANONICAL_FACE, np.float32)
    middle = points[48:68, 1].mean()
    points[INNER_LIPS, 1] = middle
    points[UPPER_LIP, 1] -= 0.04 * openness
    points[LOWER_LIP, 1] += 0.08 * openness
    points[5:12, 1] += 0.04 * openness
    return points


def draw_face(size_px: int, openness: float, seed: int = 0) -> tuple[RGB, Floats]:
    """Draw a face that fills its canonical crop.

    Args:
        size_px: Side of the crop, S.
        openness: Of the mouth, 0 to 1.
        seed: For the grain of the picture, so that no two regions are alike.

    Returns:
        The picture (S, S, 3) and its landmarks (68, 2) in px.
    """
    points = face_points(openness)
    y, x = (np.mgrid[0:size_px, 0:size_px].astype(np.float32) + 0.5) / size_px
    shade = np.stack([120 + 60 * x, 130 + 50 * y, 150 - 40 * x], axis=-1)
    shapes = [((np.append(points[0:17], points[26:16:-1], axis=0)), SKIN), (points[OUTER_LIPS], LIPS), (points[INNER_LIPS], MOUTH)]
    shapes += [(points[eye], IRIS) for eye in EYES]
    for outline, colour in shapes:
        shade[_inside(x, y, outline)] = colour
    grain = np.random.default_rng(seed).normal(0.0, 6.0, shade.shape)
    return np.clip(shade + grain, 0, 255).astype(np.uint8), (points * size_px - 0.5).astype(np.float32)


def make_speech(samples: int, rate_hz: int, seed: int = 0) -> Floats:
    """Make noise in syllables: each `SYLLABLE_S` swells and fades once, to a height of its own between 0.1 and 0.9.

    Returns:
        (N,) in -1..1.
    """
    times = np.arange(samples) / rate_hz
    random = np.random.default_rng(seed)
    heights = random.uniform(0.1, 0.9, int(times[-1] / SYLLABLE_S) + 1 if samples else 1)
    envelope = heights[(times / SYLLABLE_S).astype(int)] * np.sin(np.pi * times / SYLLABLE_S) ** 2
    speech: Floats = (envelope * random.uniform(-1.0, 1.0, samples)).astype(np.float32)
    return speech


def make_clip(info: GeneratorInfo, mode: Mode, frames: int, *, seed: int = 0, margin_s: float = 0.0) -> Clip:
    """Make a clip as the host would hand it to a generator.

    Args:
        info: What the generator declares.
        mode: The blending's sizes.
        frames: T.
        seed: For faces and speech.
        margin_s: Speech before and after what the declared window reaches.

    Returns:
        A clip with read-only arrays.  A FRAME generator gets no landmarks, as where no face is seen.
    """
    rate = info.audio.rate_hz
    step = 1 / (info.frame_rate_hz or USUAL_RATE)
    before, after = info.audio.before_s + margin_s, info.audio.after_s + margin_s
    times = before + np.array([float(step * i) for i in range(frames)])
    openness = np.random.default_rng(seed).uniform(0.0, 1.0, frames)
    drawn = [draw_face(mode.input_px, value, seed + i) for i, value in enumerate(openness)]
    stills = [draw_face(mode.input_px, (k + 1) / max(info.references, 1), seed + 7000 + k)[0] for k in range(info.references)]
    points = np.stack([landmarks for _, landmarks in drawn])
    return Clip(
        frames=frozen(np.stack([picture for picture, _ in drawn])),
        points=frozen(np.full_like(points, np.nan) if info.region is Region.FRAME else points),
        times_s=frozen(times),
        speech=frozen(make_speech(ceil((times[-1] + after) * rate) + 1, rate, seed)),
        references=frozen(np.stack(stills) if stills else np.zeros((0, mode.input_px, mode.input_px, 3), np.uint8)),
    )


def cut_clip(clip: Clip, info: GeneratorInfo, start: int, stop: int) -> Clip:
    """Return the frames ``start <= index < stop`` with the speech that they need, as the host cuts a run into calls."""
    rate = info.audio.rate_hz
    first = max(0, floor((clip.times_s[start] - info.audio.before_s) * rate))
    last = ceil((clip.times_s[stop - 1] + info.audio.after_s) * rate) + 1
    return replace(
        clip,
        frames=clip.frames[start:stop],
        points=clip.points[start:stop],
        times_s=frozen(clip.times_s[start:stop] - first / rate),
        speech=clip.speech[first:last],
    )


def frozen(array: Array) -> Array:
    """Return the array, made read-only."""
    array.flags.writeable = False
    return array


def _inside(x: Floats, y: Floats, outline: Floats) -> NDArray[np.bool_]:
    """Say which places lie inside a polygon: a ray to the right crosses its edges an odd number of times."""
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside
