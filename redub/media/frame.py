"""frame: a decoded picture with its exact time -> RGB or gray, whole or a region.

A `Frame` keeps the decoder's own picture untouched and converts only what is asked for: looking at a face of
300 px in a 4K frame costs what 300 px cost.  Chroma is brought to full size here, with the siting that video codecs
mean, so that a region is the same as that part of the whole; FFmpeg's scaler only applies the matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from redub.media.colour import is_full_range, matrix_of
from redub.media.planes import Layout, Samples, find_layout, sample_views, unpacked
from redub.types import RGB, Doubles

IntBox = tuple[int, int, int, int]
"""(left, top, right, bottom) px, right and bottom exclusive."""

EXACT = int(Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
AREA = int(Interpolation.AREA | Interpolation.ACCURATE_RND)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Component:
    """Y, U or V, or R, G or B, of a frame."""

    samples: Samples
    """(h, w) a view into the decoder's own picture, which is never to be written to."""
    frame_from_samples: Doubles
    """(3, 3) takes x, y of a sample to px of the upright frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One presented frame."""

    index: int
    """Number in presented order, from 0."""
    pts: int
    """In ``time_base``, as the file has it."""
    time_base: Fraction
    time: Fraction
    """Seconds from the first presented frame."""
    duration: Fraction
    """Seconds until the next frame is shown; for the last one as the file says."""
    native: av.VideoFrame
    """As decoded, not upright; it may be the decoder's reference picture, so it is never written to."""
    rotation: int = 0
    """Degrees clockwise that a viewer turns it: 0, 90, 180 or 270."""

    @property
    def height(self) -> int:
        """Height of the upright frame."""
        return self.native.width if self.rotation in (90, 270) else self.native.height

    @property
    def width(self) -> int:
        """Width of the upright frame."""
        return self.native.height if self.rotation in (90, 270) else self.native.width

    @property
    def size_bytes(self) -> int:
        """Memory that the decoded picture takes."""
        return sum(plane.buffer_size for plane in self.native.planes)

    def rgb(self, box: IntBox | None = None) -> RGB:
        """Return the upright frame, or a region of it.

        Args:
            box: Lies wholly inside the frame.

        Returns:
            (H, W, 3), contiguous, a copy.

        Raises:
            ValueError: The box is empty or reaches outside.
        """
        left, top, right, bottom = coded_box(box, self)
        native, layout = unpacked(self.native)
        views = sample_views(native, layout)
        if layout.kind == "rgb":
            parts = [to_bytes(view[top:bottom, left:right], layout) for view in views]
        elif layout.kind == "gray":
            gray = self._seen_luma(views[0][top:bottom, left:right], layout)
            parts = [gray, gray, gray]
        else:
            parts = _rgb_parts(native, layout, views, (left, top, right, bottom))
        picture = np.empty((bottom - top, right - left, 3), np.uint8)
        for i, part in enumerate(parts):
            picture[..., i] = part
        return np.ascontiguousarray(turned(picture, self.rotation))

    def components(self) -> list[Component]:
        """Return the samples as coded, without copying, each with its place in the upright frame.

        For sampling a small picture from the frame: one that is warped component by component and converted at the end,
        by `joined`, costs a third of one that is converted first.
        """
        native, layout = unpacked(self.native)
        turn = _upright_from_coded(self.rotation, native.width, native.height)
        full = layout.chroma_shift if layout.kind == "yuv" else (0, 0)
        return [
            Component(samples=view, frame_from_samples=turn @ _coded_from_samples(full if number else (0, 0)))
            for number, view in enumerate(sample_views(native, layout))
        ]

    def luma(self) -> Component | None:
        """Return the samples of luma alone, as `components` does; None where the picture is coded as RGB."""
        native, layout = unpacked(self.native)
        if layout.kind == "rgb":
            return None
        turn = _upright_from_coded(self.rotation, native.width, native.height)
        return Component(samples=sample_views(native, layout)[0], frame_from_samples=turn)

    def seen(self, luma: Samples) -> NDArray[np.uint8]:
        """Stretch a picture sampled from `luma` to 0..255: (H, W) -> (H, W)."""
        _, layout = unpacked(self.native)
        return self._seen_luma(luma, layout)

    def joined(self, parts: Sequence[Samples]) -> RGB:
        """Convert pictures sampled from `components`, all of one size, to RGB: a list of (H, W) -> (H, W, 3)."""
        native, layout = unpacked(self.native)
        if layout.kind == "rgb":
            return np.stack([to_bytes(part, layout) for part in parts], -1)
        if layout.kind == "gray":
            return np.repeat(self._seen_luma(parts[0], layout)[..., None], 3, -1)
        return np.stack(_rgb_from_full(native, layout, parts), -1)

    def gray(self, height: int | None = None) -> NDArray[np.uint8]:
        """Return the upright frame's luma, stretched to 0..255.

        Args:
            height: Of the result, at most the frame's own; the width follows.  Pixels are averaged, not skipped.

        Returns:
            (H, W), contiguous.
        """
        native, layout = unpacked(self.native)
        if layout.kind == "rgb":
            native = _reformat(native, format="gray", dst_color_range=2)
            layout = find_layout("gray") or layout
            luma = sample_views(native, layout)[0]
            return np.ascontiguousarray(turned(_shrunk(luma, self._coded_size(height)), self.rotation))
        luma = to_bytes(sample_views(native, layout)[0], layout)
        return np.ascontiguousarray(turned(self._stretched(_shrunk(luma, self._coded_size(height)), layout), self.rotation))

    def _coded_size(self, height: int | None) -> tuple[int, int]:
        """Return the (height, width) that a coded picture is shrunk to for an upright height."""
        if height is None or height >= self.height:
            return self.native.height, self.native.width
        if height < 1:
            raise ValueError(f"a height of {height} px")
        width = max(1, round(self.width * height / self.height))
        return (width, height) if self.rotation in (90, 270) else (height, width)

    def _seen_luma(self, samples: Samples, layout: Layout) -> NDArray[np.uint8]:
        return self._stretched(to_bytes(samples, layout), layout)

    def _stretched(self, luma: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
        if is_full_range(self.native, layout):
            return luma
        # take() is twice as fast as indexing with an array, and as fast again with two samples at a time.
        if luma.strides[-1] == 1 and luma.shape[-1] % 2 == 0:
            pairs: NDArray[np.uint8] = _FULL_FROM_LIMITED_PAIRS.take(luma.view(np.uint16)).view(np.uint8)
            return pairs
        return _FULL_FROM_LIMITED.take(luma)


_FULL_FROM_LIMITED: NDArray[np.uint8] = np.clip(np.round((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
_FULL_FROM_LIMITED_PAIRS: NDArray[np.uint16] = _FULL_FROM_LIMITED.take(np.arange(1 << 16, dtype=np.uint16).view(np.uint8)).view(np.uint16)


def _upright_from_coded(degrees: int, width: int, height: int) -> Doubles:
    """Return the (3, 3) matrix that takes px of the picture as coded to px of the picture as seen."""
    right, bottom = width - 1, height - 1
    rows = {
        0: [[1, 0, 0], [0, 1, 0]],
        90: [[0, -1, bottom], [1, 0, 0]],
        180: [[-1, 0, right], [0, -1, bottom]],
        270: [[0, 1, 0], [-1, 0, right]],
    }[degrees]
    return np.array([*rows, [0, 0, 1]], np.float64)


def _coded_from_samples(shift: tuple[int, int]) -> Doubles:
    """Return the (3, 3) matrix that takes chroma samples to px; `full_chroma` draws where they lie."""
    return np.array([[1 << shift[0], 0, 0], [0, 1 << shift[1], ((1 << shift[1]) - 1) / 2], [0, 0, 1]], np.float64)


def coded_box(box: IntBox | None, frame: Frame) -> IntBox:
    """Return where a box of the upright frame lies in the picture as coded.

    Raises:
        ValueError: The box is empty or reaches outside.
    """
    if box is None:
        return 0, 0, frame.native.width, frame.native.height
    left, top, right, bottom = box
    if not (0 <= left < right <= frame.width and 0 <= top < bottom <= frame.height):
        raise ValueError(f"box {box} does not lie inside a frame of {frame.width} x {frame.height}")
    width, height = frame.native.width, frame.native.height
    if frame.rotation == 90:
        return top, height - right, bottom, height - left
    if frame.rotation == 180:
        return width - right, height - bottom, width - left, height - top
    if frame.rotation == 270:
        return width - bottom, left, width - top, right
    return box


def turned(picture: Any, degrees: int) -> Any:
    """Turn a picture (H, W, ...) clockwise by whole quarters, as a view."""
    return np.rot90(picture, -degrees // 90) if degrees else picture


def to_bytes(samples: Samples, layout: Layout) -> NDArray[np.uint8]:
    """Return samples of any depth as the nearest of 8 bits."""
    depth = layout.bits + layout.shift
    if depth == 8:
        return samples
    if layout.kind == "rgb":
        return np.round(samples * (255 / ((1 << depth) - 1))).astype(np.uint8)
    half = 1 << (depth - 9)
    shifted: NDArray[np.uint8] = np.minimum((samples.astype(np.uint32) + half) >> (depth - 8), 255).astype(np.uint8)
    return shifted


def _rgb_parts(native: av.VideoFrame, layout: Layout, views: list[Samples], box: IntBox) -> list[Samples]:
    """Return R, G, B of a region of a YUV picture."""
    left, top, right, bottom = box
    chroma = [full_chroma(view, layout.chroma_shift, box) for view in views[1:]]
    return _rgb_from_full(native, layout, [views[0][top:bottom, left:right], *chroma])


def _rgb_from_full(native: av.VideoFrame, layout: Layout, parts: Sequence[Samples]) -> list[Samples]:
    """Return R, G, B of Y, U, V that are all of one size and coded as in ``native``."""
    depth = layout.bits + layout.shift
    name = "yuv444p" if depth == 8 else f"yuv444p{depth}le"
    height, width = parts[0].shape
    whole = av.VideoFrame(width, height, name)
    for part, target in zip(parts, sample_views(whole, find_layout(name) or layout), strict=True):
        target[:] = part
    whole.colorspace = matrix_of(native)
    whole.color_range = 2 if is_full_range(native, layout) else 1
    picture = _reformat(whole, format="gbrp", dst_color_range=2)
    green, blue, red = sample_views(picture, _PLANAR_RGB)
    return [red, green, blue]


_PLANAR_RGB = Layout(
    kind="rgb", bits=8, shift=0, chroma_shift=(0, 0), places=((0, 1, 0), (1, 1, 0), (2, 1, 0)), has_alpha=False, is_full=True
)
"""Planes of ``gbrp`` in their own order."""


def full_chroma(chroma: Samples, shift: tuple[int, int], box: IntBox) -> Samples:
    """Interpolate a region of a chroma plane at every luma pixel.

    Chroma samples lie on the left one of their luma pixels, and vertically between them (MPEG-2, H.264 and later)::

        luma     x0   x1   x2   x3          y0
        chroma   c0        c1               -- c0
                                            y1
    """
    left, top, right, bottom = box
    # Only the columns around the region take part, so that its cost does not depend on the frame's width.
    first = max(0, (left >> shift[0]) - 1)
    near = chroma[:, first : (right >> shift[0]) + 2]
    rows = _interpolated(near, shift[1], top, bottom, offset=((1 << shift[1]) - 1) / 2, half=1 << shift[1])
    moved = first << shift[0]
    return _interpolated(rows.T, shift[0], left - moved, right - moved, offset=0.0, half=(1 << shift[0]) - 1).T


def _interpolated(samples: Samples, shift: int, start: int, stop: int, offset: float, half: int) -> Samples:
    """Interpolate lines linearly at luma places ``start`` to ``stop``; line i lies at ``(i << shift) + offset``.

    Ties go up if ``half`` is ``1 << shift`` and down if it is one less: one of each, or all colours would drift one way.
    """
    if shift == 0:
        return samples[start:stop]
    step = 1 << shift
    first = floor((start - offset) / step)
    lines = np.arange(first, floor((stop - 1 - offset) / step) + 2)
    wide: NDArray[Any] = samples[np.clip(lines, 0, len(samples) - 1)].astype(np.uint16 if samples.dtype == np.uint8 else np.uint32)
    result = np.empty_like(wide, dtype=samples.dtype, shape=(stop - start, samples.shape[1]))
    for phase in range(min(step, stop - start)):
        place = (start + phase - offset) / step
        lower = floor(place)
        # Weights are multiples of 1 / (2 * step): whole numbers are exact.
        weight = round((place - lower) * 2 * step)
        count = len(range(phase, stop - start, step))
        below, above = wide[lower - first :][:count], wide[lower - first + 1 :][:count]
        result[phase::step] = (below * (2 * step - weight) + above * weight + half) >> (shift + 1)
    return result


def _shrunk(luma: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Average a picture down to (height, width)."""
    if luma.shape == size:
        return luma
    picture = av.VideoFrame(luma.shape[1], luma.shape[0], "gray")
    gray = find_layout("gray")
    if gray is None:
        raise ValueError("gray has no layout")
    sample_views(picture, gray)[0][:] = luma
    small = _reformat(picture, width=size[1], height=size[0], interpolation=AREA)
    return sample_views(small, gray)[0]


def _reformat(picture: av.VideoFrame, interpolation: int = EXACT, **wanted: Any) -> av.VideoFrame:
    # One scaler a call: sizes change from call to call, and setting one up costs 0.05 ms.
    return VideoReformatter().reformat(picture, interpolation=interpolation, threads=1, **wanted)
