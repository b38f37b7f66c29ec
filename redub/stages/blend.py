"""blend: painted crops -> patches for their frames.

The correction that makes a painted crop meet its surroundings is found in the canonical crop, where the mask never
moves, and is added before the one resampling into the frame.  So nothing outside the mask can change, the matrix is
factored once, and the correction can be held still over time: frames that are blended one by one flicker.

Held still is all but one thing: a change of brightness from one frame to the next that the whole edge shows alike.
That is a generator's own flicker, or a lamp's, and has to be followed at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import Protocol

import numpy as np

from redub.choices import BlendChoice
from redub.config import BlendConfig
from redub.faces.cv import load_cv
from redub.faces.geometry import frame_from_crop
from redub.faces.masks import lower_face_mask, soft_square_mask, whole_face_mask
from redub.faces.membrane import EdgeSamples, Membrane, make_membrane
from redub.plugin import Mode, Region
from redub.types import RGB, BlendRegion, Doubles, Floats, Ints, Patch

REFERENCE_RATE_HZ = 25
"""The frame rate at which ``smoothing_frames`` is meant."""
REACH = 2.5
"""The low-pass looks this many sigmas ahead and back; the frames until then wait."""


class PaintedCrop(Protocol):
    """A painted crop and what the frame shows in its place."""

    @property
    def original(self) -> RGB:
        """(S, S, 3) the frame's own crop, S = ``output_px``; beyond the frame its border is repeated."""

    @property
    def painted(self) -> RGB:
        """(S, S, 3)."""

    @property
    def alpha(self) -> Floats | None:
        """(S, S) the generator's own, 0 to 1."""

    @property
    def similarity(self) -> Doubles:
        """(4,) row of a `redub.types.CropPath`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sheet:
    """What all frames of a run share."""

    mask: Floats
    """(S, S)."""
    membrane: Membrane | None
    box: tuple[int, int, int, int]
    """Where in the crop the mask is not zero."""
    outline: Doubles
    """(n, 2) corners, px of the crop, of a convex shape around the mask."""
    mode: Mode
    is_open: bool
    """Whether the mask runs to a side of the crop, because the frame ends there too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Measured:
    samples: EdgeSamples
    brightness: Doubles
    """(3,) sum of the steps in brightness since the run began."""


def blend_run(
    run: Iterable[PaintedCrop],
    *,
    region: Region,
    mode: Mode,
    config: BlendConfig,
    frame_size: tuple[int, int],
    frame_rate: Fraction,
) -> Iterator[Patch]:
    """Turn one run of painted crops into patches.

    Args:
        run: Consecutive frames of one face in one shot; smoothing over time starts and ends with it.
        region: What the generator paints.
        mode: The sizes it paints in.
        config: How; ``config.mode`` must be one that the generator offers.
        frame_size: (height, width) px of the upright frames.
        frame_rate: Frames a second, which sets how many frames the smoothing spans.

    Yields:
        One patch for each crop, in order, after at most `REACH` sigmas of lookahead.  A face that lies wholly outside
        the frame gives one transparent px.
    """
    sigma = config.smoothing_frames * float(frame_rate) / REFERENCE_RATE_HZ
    crops = iter(run)
    first = next(crops, None)
    if first is None:
        return
    sheet = _sheet(region, mode, config, _inner_sides(first.similarity, region, frame_size))
    whole = chain([first], crops)
    corrected: Iterable[tuple[PaintedCrop, EdgeSamples | None]] = ((crop, None) for crop in whole)
    if sheet.membrane is not None:
        corrected = _smooth(_measured(whole, sheet.membrane, mode, frame_size), sigma)
    for crop, samples in corrected:
        yield _patch(crop, samples, sheet, config, frame_size)


def _sheet(region: Region, mode: Mode, config: BlendConfig, sides: tuple[bool, bool, bool, bool]) -> _Sheet:
    # Not all of the settings change the mask: the cache should not miss for those that do not.
    if region is Region.FRAME or config.mode == BlendChoice.NETWORK:
        return _make_sheet(None, mode, config.edge, sides, config.mode != BlendChoice.NETWORK)
    return _make_sheet(config.region, mode, config.edge, sides, True)


@lru_cache(maxsize=8)
def _make_sheet(kind: BlendRegion | None, mode: Mode, edge: float, sides: tuple[bool, bool, bool, bool], is_corrected: bool) -> _Sheet:
    cv = load_cv()
    first, size = mode.output_offset_px, mode.output_px
    mask = soft_square_mask(size, edge, sides)
    if kind is not None:
        shape = (lower_face_mask if kind is BlendRegion.LOWER else whole_face_mask)(mode.input_px, edge)
        mask = np.minimum(mask, shape[first : first + size, first : first + size])
    mask = np.where(mask < 1 / 512, np.float32(0), mask)
    rows, columns = np.nonzero(mask)
    hull = cv.convexHull(np.stack([columns, rows], 1).astype(np.float32))[:, 0]
    # One px more, so that the mask is zero all around unless it runs to the crop's own side.
    left, top = max(int(columns.min()) - 1, 0), max(int(rows.min()) - 1, 0)
    right, bottom = min(int(columns.max()) + 2, size), min(int(rows.max()) + 2, size)
    return _Sheet(
        mask=mask,
        membrane=make_membrane(mask) if is_corrected else None,
        box=(left, top, right, bottom),
        outline=np.asarray(hull, np.float64),
        mode=mode,
        is_open=not all(sides),
    )


def _inner_sides(similarity: Doubles, region: Region, frame_size: tuple[int, int]) -> tuple[bool, bool, bool, bool]:
    """Say which sides (left, top, right, bottom) of the crop have picture beyond them, and so need a soft edge."""
    if region is Region.FACE:
        return (True, True, True, True)
    left, top, right, bottom = _ends(np.array([[-0.5, -0.5], [0.5, 0.5]]), frame_from_crop(similarity, 1))
    height, width = frame_size
    return (left > 0.0, top > 0.0, right < width - 1.0, bottom < height - 1.0)


def _measured(
    run: Iterable[PaintedCrop], membrane: Membrane, mode: Mode, frame_size: tuple[int, int]
) -> Iterator[tuple[PaintedCrop, _Measured]]:
    brightness = np.zeros(3)
    before: EdgeSamples | None = None
    for crop in run:
        samples = membrane.measure(crop.original, crop.painted, _trust(crop, membrane, mode, frame_size))
        if before is not None:
            brightness = brightness + membrane.step(before, samples)
        yield crop, _Measured(samples=samples, brightness=brightness)
        before = samples


def _trust(crop: PaintedCrop, membrane: Membrane, mode: Mode, frame_size: tuple[int, int]) -> Floats | None:
    """Say which samples the frame does not show, or the generator does not stand for; None if there are none."""
    matrix, (height, width) = _frame_from_painted(crop.similarity, mode), frame_size
    x, y = matrix[:, :2] @ membrane.places.T + matrix[:, 2:]
    seen = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    if crop.alpha is not None:
        return np.asarray(seen * crop.alpha.reshape(-1)[membrane.pixels], np.float32)
    return None if seen.all() else seen.astype(np.float32)


def _smooth(run: Iterable[tuple[PaintedCrop, _Measured]], sigma: float) -> Iterator[tuple[PaintedCrop, EdgeSamples]]:
    """Low-pass what was measured with a zero-phase Gaussian; beyond the run's ends there is nothing to average."""
    reach = int(np.ceil(REACH * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-9)) ** 2)
    window: deque[_Measured | None] = deque([None] * len(weights), maxlen=len(weights))
    # Pictures are held only until their turn: the past is measures alone.
    waiting: deque[PaintedCrop] = deque()
    for one in chain(run, [None] * reach):
        window.append(None if one is None else one[1])
        if one is not None:
            waiting.append(one[0])
        middle = window[reach]
        if middle is not None:
            yield waiting.popleft(), _averaged(window, weights, middle)


def _averaged(window: Iterable[_Measured | None], weights: Doubles, middle: _Measured) -> EdgeSamples:
    samples = middle.samples
    plane, rest, weight = np.zeros_like(samples.plane), np.zeros_like(samples.rest), np.zeros_like(samples.weight)
    for share, one in zip(weights, window, strict=True):
        if one is None:
            continue
        # A frame whose edge is mostly hidden says little.
        said = share * one.samples.weight.sum()
        plane += said * one.samples.plane
        plane[0] += said * (middle.brightness - one.brightness)
        rest += share * one.samples.rest
        weight += share * one.samples.weight
    return replace(samples, plane=plane / max(float(weight.sum()), 1e-9), rest=rest, weight=weight)


def _patch(crop: PaintedCrop, samples: EdgeSamples | None, sheet: _Sheet, config: BlendConfig, frame_size: tuple[int, int]) -> Patch:
    cv, matrix = load_cv(), _frame_from_painted(crop.similarity, sheet.mode)
    left, top, right, bottom = _clip(_ends(sheet.outline, matrix), frame_size)
    if right <= left or bottom <= top:
        return Patch(left=0, top=0, rgb=np.zeros((1, 1, 3), np.uint8), alpha=np.zeros((1, 1), np.float32))
    x0, y0, x1, y1 = sheet.box
    picture = crop.painted[y0:y1, x0:x1].astype(np.float32)
    if sheet.membrane is not None and samples is not None:
        samples = samples if config.mode in (BlendChoice.POISSON, BlendChoice.AUTO) else samples.flat()
        picture += sheet.membrane.correct(samples, config.max_correction)[y0:y1, x0:x1]
    mask = sheet.mask[y0:y1, x0:x1]
    if crop.alpha is not None:
        mask = mask * np.clip(crop.alpha[y0:y1, x0:x1], 0, 1)
    # The warp counts from the box's corner and ends at the patch's.
    matrix[:, 2] += matrix[:, :2] @ (x0, y0) - (left, top)
    size = (right - left, bottom - top)
    picture = _low_pass(picture, 1 / float(np.hypot(matrix[0, 0], matrix[1, 0])))
    rgb = cv.warpAffine(picture, matrix, size, flags=cv.INTER_CUBIC, borderMode=cv.BORDER_REPLICATE)
    beyond = cv.BORDER_REPLICATE if sheet.is_open else cv.BORDER_CONSTANT
    alpha = cv.warpAffine(mask, matrix, size, flags=cv.INTER_LINEAR, borderMode=beyond)
    return Patch(left=left, top=top, rgb=np.rint(np.clip(rgb, 0, 255, out=rgb)).astype(np.uint8), alpha=np.asarray(alpha, np.float32))


def _low_pass(picture: Floats, shrinkage: float) -> Floats:
    """Take away what the smaller size cannot show, so that it does not come back as shimmer."""
    if shrinkage <= 1.1:
        return picture
    cv = load_cv()
    kernel = _low_pass_kernel(round(shrinkage, 2))
    return np.asarray(cv.sepFilter2D(picture, cv.CV_32F, kernel, kernel, borderType=cv.BORDER_REPLICATE), np.float32)


@lru_cache(maxsize=64)
def _low_pass_kernel(shrinkage: float) -> Floats:
    """Return a sinc with its first zero at the smaller picture's px, windowed to two of them at each side (Lanczos)."""
    reach = int(np.ceil(2 * shrinkage))
    place = np.arange(-reach, reach + 1) / shrinkage
    kernel = np.where(np.abs(place) < 2, np.sinc(place) * np.sinc(place / 2), 0.0)
    normed: Floats = (kernel / kernel.sum()).astype(np.float32)
    return normed


def _frame_from_painted(similarity: Doubles, mode: Mode) -> Doubles:
    """Return the (2, 3) matrix from px of the painted crop to px of the frame."""
    matrix = np.array(frame_from_crop(similarity, mode.input_px), np.float64)
    matrix[:, 2] += matrix[:, :2].sum(axis=1) * mode.output_offset_px
    return matrix


def _ends(points: Doubles, matrix: Doubles) -> tuple[float, float, float, float]:
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    (left, top), (right, bottom) = moved.min(axis=0), moved.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _clip(ends: tuple[float, float, float, float], frame_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the box of whole px within the frame around a shape; empty if there is none."""
    height, width = frame_size
    low: Ints = np.floor(ends[:2]).astype(np.int64) - 1
    high: Ints = np.ceil(ends[2:]).astype(np.int64) + 2
    return max(0, int(low[0])), max(0, int(low[1])), min(width, int(high[0])), min(height, int(high[1]))
