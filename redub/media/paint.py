"""paint: a frame and RGB patches -> a frame that differs only where the patches are.

Only the patch is converted and only its samples are written, into a copy: whatever lies outside reaches the encoder
bit-identical to what was decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import av
import numpy as np

from redub.errors import MediaError
from redub.media.colour import coding_of
from redub.media.frame import Frame, IntBox, coded_box, turned
from redub.media.planes import Layout, Samples, copy_native, plane_words, sample_views, unpacked
from redub.types import Floats, Patch


def paint(frame: Frame, patches: Sequence[Patch]) -> Frame:
    """Blend patches over a frame, in order.

    Args:
        frame: Left as it is.
        patches: Each wholly inside the upright frame.

    Returns:
        The same moment with a picture of its own.  Every sample under which all alpha is 0 is unchanged.

    Raises:
        ValueError: A patch is empty or reaches outside.
    """
    source, layout = unpacked(frame.native)
    native = copy_native(source) if source is frame.native else source
    views = sample_views(native, layout)
    for patch in patches:
        height, width = patch.alpha.shape
        box = coded_box((patch.left, patch.top, patch.left + width, patch.top + height), frame)
        # (H, 3, W): lines of one colour are long, and those of one place lie together.
        rgb = turned(patch.rgb, -frame.rotation).transpose(0, 2, 1).astype(np.float32, order="C")
        alpha = np.ascontiguousarray(turned(patch.alpha, -frame.rotation), np.float32)
        if layout.kind == "rgb":
            for i, view in enumerate(views):
                _blend(_part(view, box), rgb[:, i] * np.float32(((1 << layout.bits) - 1) / 255), alpha, layout)
        else:
            _paint_yuv(native, layout, views, rgb, alpha, box)
    return replace(frame, native=native)


def _paint_yuv(native: av.VideoFrame, layout: Layout, views: list[Samples], rgb: Floats, alpha: Floats, box: IntBox) -> None:
    """Blend R, G, B (H, 3, W) over a YUV or gray picture in place."""
    coding = coding_of(native, layout)
    # Line by line: so small a product stays in this thread, where one of the whole would wake all of BLAS for nothing.
    wanted: Floats = np.matmul(coding.to_yuv[: len(views)].astype(np.float32), rgb)
    wanted[:, 0] += np.float32(coding.zero[0])
    _blend(_part(views[0], box), wanted[:, 0], alpha, layout)
    if layout.kind == "gray":
        return
    less, place = _subsampled(wanted[:, 1:], alpha, box, layout.chroma_shift, (native.height, native.width))
    for i in (1, 2):
        target = _part(views[i], place)
        old = (target >> layout.shift).astype(np.float32)
        _store(target, old + (less[:, i - 1] + less[:, 2] * (np.float32(coding.zero[i]) - old)), layout)


def mix(first: Frame, second: Frame, weight: float) -> Frame:
    """Cross-fade two whole frames.

    Args:
        first: Gives time and index.
        second: Of the same size and pixel format.
        weight: Of the second, 0 to 1.

    Raises:
        MediaError: The frames differ in size or pixel format.
    """
    if (first.native.width, first.native.height, first.native.format.name) != (
        second.native.width, second.native.height, second.native.format.name
    ):  # fmt: skip
        raise MediaError("Two frames that are to be mixed differ in size or pixel format.", "Convert the video to one size first.")
    source, layout = unpacked(first.native)
    other, _ = unpacked(second.native)
    native = copy_native(source) if source is first.native else source
    word = np.dtype(np.uint8 if layout.bits == 8 else "<u2")
    share = round(min(max(weight, 0.0), 1.0) * 256)
    for target, added in zip(native.planes, other.planes, strict=True):
        width = min(target.line_size, abs(added.line_size)) // word.itemsize
        old = plane_words(target, word)[:, :width]
        new = plane_words(added, word)[:: -1 if added.line_size < 0 else 1, :width]
        old[:] = (old.astype(np.uint32) * (256 - share) + new.astype(np.uint32) * share + 128) >> 8
    return replace(first, native=native)


def _part(view: Samples, box: IntBox) -> Samples:
    left, top, right, bottom = box
    return view[top:bottom, left:right]


def _blend(target: Samples, wanted: Floats, alpha: Floats, layout: Layout) -> None:
    """Write ``target + alpha * (wanted - target)`` in place."""
    old = (target >> layout.shift).astype(np.float32)
    _store(target, old + alpha * (wanted - old), layout)


def _store(target: Samples, mixed: Floats, layout: Layout) -> None:
    top = (1 << layout.bits) - 1
    np.rint(mixed, out=mixed)
    np.clip(mixed, 0, top, out=mixed)
    if layout.shift:
        mixed *= 1 << layout.shift
    np.copyto(target, mixed, casting="unsafe")


def _subsampled(colour: Floats, alpha: Floats, box: IntBox, shift: tuple[int, int], size: tuple[int, int]) -> tuple[Floats, IntBox]:
    """Filter colours of luma pixels to the chroma samples that they touch; `redub.media.frame.full_chroma` shows the places.

    Colour is weighed by alpha before it is averaged, so that pixels that are not painted do not bleed into it.

    Args:
        colour: (H, 2, W) Cb and Cr of the box, from their zero.
        alpha: (H, W); 0 around the box, but continued where the box meets the frame's edge.
        box: In luma pixels.
        shift: Of the pixel format.
        size: (height, width) of the whole luma plane.

    Returns:
        (h, 3, w) Cb and Cr, each times alpha, and alpha; and the chroma box in which they lie.
    """
    (left, top, right, bottom), (height, width) = box, alpha.shape
    across, down = 1 << shift[0], 1 << shift[1]
    column, columns, before, after = _span(left, right, across, size[1], across - 1)
    row, rows, above, below = _span(top, bottom, down, size[0], 0)
    padded = np.zeros((above + height + below, 3, before + width + after), np.float32)
    inner = padded[above : above + height, :, before : before + width]
    np.multiply(colour, alpha[:, None], out=inner[:, :2])
    inner[:, 2] = alpha
    if left == 0:
        padded[..., :before] = padded[..., before, None]
    if right == size[1]:
        padded[..., before + width :] = padded[..., before + width - 1, None]
    if top == 0:
        padded[:above] = padded[above]
    if bottom == size[0]:
        padded[above + height :] = padded[above + height - 1]
    lines = reduce(np.add, [padded[i::down] for i in range(down)])
    # Means of means: the triangle that reaches to the neighbouring samples.
    near = reduce(np.add, [lines[..., i : i + columns * across] for i in range(across)])
    result = reduce(np.add, [near[..., i::across] for i in range(across)]) * np.float32(1 / (down * across**2))
    return result, (column, row, column + columns, row + rows)


def _span(start: int, stop: int, step: int, size: int, reach: int) -> tuple[int, int, int, int]:
    """Return which samples, one every ``step`` of ``size`` pixels, see pixels ``start`` to ``stop``.

    Returns:
        The first sample, their number, and how many pixels they see before ``start`` and from ``stop`` on.
    """
    first = start // step
    count = min((stop - 1 + reach) // step, (size - 1) // step) + 1 - first
    return first, count, start - first * step + reach, (first + count) * step - stop
