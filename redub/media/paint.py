"""paint: a frame and RGB patches -> a frame that differs only where the patches are.

Only the patch is converted and only its samples are written, into a copy: whatever lies outside reaches the encoder
bit-identical to what was decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
        rgb = turned(patch.rgb, -frame.rotation).astype(np.float32)
        alpha = np.ascontiguousarray(turned(patch.alpha, -frame.rotation), np.float32)
        if layout.kind == "rgb":
            scale = ((1 << layout.bits) - 1) / 255
            for i, view in enumerate(views):
                _blend(_part(view, box), rgb[..., i] * scale, alpha, layout)
            continue
        coding = coding_of(native, layout)
        yuv = rgb.reshape(-1, 3) @ coding.to_yuv.T.astype(np.float32) + coding.zero.astype(np.float32)
        yuv = yuv.reshape(rgb.shape)
        _blend(_part(views[0], box), yuv[..., 0], alpha, layout)
        for i, view in enumerate(views[1:], 1):
            _blend_chroma(view, yuv[..., i], alpha, box, layout, (native.height, native.width))
    return replace(frame, native=native)


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
    mixed = old + alpha * (wanted - old)
    _store(target, mixed, layout)


def _blend_chroma(view: Samples, wanted: Floats, alpha: Floats, box: IntBox, layout: Layout, size: tuple[int, int]) -> None:
    """Blend at chroma's own places: the mean of what the alpha lets through, over the mean of the rest."""
    if layout.chroma_shift == (0, 0):
        _blend(_part(view, box), wanted, alpha, layout)
        return
    weight, place = _subsampled(alpha, box, layout.chroma_shift, size)
    paint, _ = _subsampled(alpha * wanted, box, layout.chroma_shift, size)
    target = _part(view, place)
    old = (target >> layout.shift).astype(np.float32)
    _store(target, old + (paint - weight * old), layout)


def _store(target: Samples, mixed: Floats, layout: Layout) -> None:
    top = (1 << layout.bits) - 1
    whole = np.clip(np.rint(mixed), 0, top).astype(target.dtype)
    target[:] = whole << layout.shift if layout.shift else whole


def _subsampled(values: Floats, box: IntBox, shift: tuple[int, int], size: tuple[int, int]) -> tuple[Floats, IntBox]:
    """Filter values of luma pixels to the chroma samples that they touch.

    Args:
        values: (H, W) of the box; zero around it, but continued where the box meets the frame's edge.
        box: In luma pixels.
        shift: Of the pixel format.
        size: (height, width) of the whole luma plane.

    Returns:
        (h, w) values and the chroma box in which they lie.
    """
    left, top, right, bottom = box
    rows, first_row = _filtered(values, top, bottom, shift[1], size[0], is_centred=True)
    columns, first_column = _filtered(rows.T, left, right, shift[0], size[1], is_centred=False)
    result = columns.T
    return result, (first_column, first_row, first_column + result.shape[1], first_row + result.shape[0])


def _filtered(values: Floats, start: int, stop: int, shift: int, size: int, *, is_centred: bool) -> tuple[Floats, int]:
    """Filter rows ``start`` to ``stop`` of ``size`` down by ``1 << shift``; see `redub.media.frame.full_chroma` for the places.

    Returns:
        The rows and the number of the first one.
    """
    if shift == 0:
        return values, start
    step = 1 << shift
    reach = 0 if is_centred else step - 1
    first = start // step
    last = min((stop - 1 + reach) // step, (size - 1) // step)
    low, high = first * step - reach, last * step + step
    padded = np.zeros((high - low, values.shape[1]), np.float32)
    padded[start - low : stop - low] = values
    if start == 0:
        padded[: start - low] = values[:1]
    if stop == size:
        padded[stop - low :] = values[-1:]
    weights = [1 / step] * step if is_centred else [(step - abs(d)) / step**2 for d in range(-reach, reach + 1)]
    count = (last - first) * step + 1
    result = np.zeros((last - first + 1, values.shape[1]), np.float32)
    for i, weight in enumerate(weights):
        result += np.float32(weight) * padded[i : i + count : step]
    return result, first
