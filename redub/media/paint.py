"""paint: a frame and RGB patches -> a frame that differs only where the patches are.

Only the patch is converted and only its samples are written, into a copy: whatever lies outside reaches the encoder
bit-identical to what was decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import av
import numpy as np

from redub.errors import MediaError
from redub.media.colour import coding_of
from redub.media.frame import Frame, IntBox, coded_box, turned
from redub.media.planes import Layout, Samples, copy_native, plane_words, sample_views, unpacked
from redub.types import Doubles, Floats, Patch


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
        rgb = turned(patch.rgb, -frame.rotation).transpose(2, 0, 1).astype(np.float32, order="C")
        alpha = np.ascontiguousarray(turned(patch.alpha, -frame.rotation), np.float32)
        if layout.kind == "rgb":
            for view, wanted in zip(views, rgb, strict=True):
                _blend(_part(view, box), wanted * np.float32(((1 << layout.bits) - 1) / 255), alpha, layout)
        else:
            _paint_yuv(native, layout, views, rgb, alpha, box)
    return replace(frame, native=native)


def _paint_yuv(native: av.VideoFrame, layout: Layout, views: list[Samples], rgb: Floats, alpha: Floats, box: IntBox) -> None:
    """Blend R, G, B (3, H, W) over a YUV or gray picture in place."""
    coding = coding_of(native, layout)
    _blend(_part(views[0], box), _weighed(rgb, coding.to_yuv[0], coding.zero[0]), alpha, layout)
    if layout.kind == "gray":
        return
    # Colour is weighed by alpha before it is averaged, so that pixels that are not painted do not bleed into it.
    stack = np.concatenate([rgb * alpha, alpha[None]])
    less, place = _subsampled(stack, box, layout.chroma_shift, (native.height, native.width))
    for i in (1, 2):
        target = _part(views[i], place)
        old = (target >> layout.shift).astype(np.float32)
        _store(target, old + (_weighed(less[:3], coding.to_yuv[i], 0.0) + less[3] * (np.float32(coding.zero[i]) - old)), layout)


def _weighed(rgb: Floats, weights: Doubles, zero: float) -> Floats:
    # Written out, because a matrix product of this shape wakes all threads of BLAS for nothing.
    red, green, blue = (np.float32(weight) for weight in weights)
    result: Floats = rgb[0] * red + rgb[1] * green + (rgb[2] * blue + np.float32(zero))
    return result


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


def _subsampled(values: Floats, box: IntBox, shift: tuple[int, int], size: tuple[int, int]) -> tuple[Floats, IntBox]:
    """Filter values of luma pixels to the chroma samples that they touch.

    Args:
        values: (C, H, W) of the box; zero around it, but continued where the box meets the frame's edge.
        box: In luma pixels.
        shift: Of the pixel format.
        size: (height, width) of the whole luma plane.

    Returns:
        (C, h, w) values and the chroma box in which they lie.
    """
    left, top, right, bottom = box
    rows, first_row = _filtered(values, top, bottom, shift[1], size[0], is_centred=True)
    turned_rows, first_column = _filtered(rows.swapaxes(1, 2), left, right, shift[0], size[1], is_centred=False)
    result = turned_rows.swapaxes(1, 2)
    return result, (first_column, first_row, first_column + result.shape[2], first_row + result.shape[1])


def _filtered(values: Floats, start: int, stop: int, shift: int, size: int, *, is_centred: bool) -> tuple[Floats, int]:
    """Filter lines ``start`` to ``stop`` of ``size`` down by ``1 << shift``; `redub.media.frame.full_chroma` shows the places.

    Returns:
        (C, h, W) lines and the number of the first one.
    """
    if shift == 0:
        return values, start
    step = 1 << shift
    reach = 0 if is_centred else step - 1
    first = start // step
    last = min((stop - 1 + reach) // step, (size - 1) // step)
    low, high = first * step - reach, last * step + step
    # "K" keeps the memory order of a turned view, so that lines stay together.
    padded = np.zeros_like(values, shape=(values.shape[0], high - low, values.shape[2]))
    padded[:, start - low : stop - low] = values
    if start == 0:
        padded[:, : start - low] = values[:, :1]
    if stop == size:
        padded[:, stop - low :] = values[:, -1:]
    weights = [1 / step] * step if is_centred else [(step - abs(d)) / step**2 for d in range(-reach, reach + 1)]
    count = (last - first) * step + 1
    result = padded[:, :count:step] * np.float32(weights[0])
    for i, weight in enumerate(weights[1:], 1):
        result += np.float32(weight) * padded[:, i : i + count : step]
    return result, first
