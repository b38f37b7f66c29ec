"""crop: frame, similarity -> the registered face at a generator's size.

A face is mostly larger in the frame than in the crop, and plain sampling would alias: skin turns to noise that a
network then learns.  So the crop is sampled finer by a whole factor and averaged down.  Luma and chroma are sampled as
they are coded and become RGB at the crop's size, which costs a third of converting the face first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from redub.faces.cv import load_cv
from redub.faces.geometry import crop_from_frame
from redub.types import RGB, Doubles

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from redub.media import Frame
    from redub.media.frame import IntBox


def take_crop(frame: Frame, similarity: Doubles, size_px: int, box: IntBox | None = None) -> RGB:
    """Sample the canonical crop of one frame, or a part of it.

    Args:
        frame: The upright frame.
        similarity: (4,) row of a `CropPath`.
        size_px: Side of the whole crop.
        box: Left, top, right, bottom of the part, in px of the crop; it costs what it holds.

    Returns:
        (size_px, size_px, 3) RGB, or the part; what lies outside the frame repeats its border.
    """
    box = box or (0, 0, size_px, size_px)
    parts = [_sample(part.samples, part.frame_from_samples, similarity, size_px, box) for part in frame.components()]
    return frame.joined(parts)


def take_luma(frame: Frame, similarity: Doubles, size_px: int, box: IntBox) -> NDArray[np.uint8]:
    """Sample the luma of a part of the canonical crop: (h, w) in 0..255.

    A third of the cost of `take_crop`.  Its colours weigh as the video's own standard has it.
    """
    luma = frame.luma()
    if luma is None:
        grey: NDArray[np.uint8] = np.rint(take_crop(frame, similarity, size_px, box).astype(np.float32) @ LUMA).astype(np.uint8)
        return grey
    return frame.seen(_sample(luma.samples, luma.frame_from_samples, similarity, size_px, box))


def _sample(samples: Any, frame_from_samples: Doubles, similarity: Doubles, size_px: int, box: IntBox) -> Any:
    """Sample a part of the crop from one component, which may be coarser than the frame."""
    cv2 = load_cv()
    pitch = float(np.abs(frame_from_samples[0, :2]).max())
    fine = max(1, round(float(np.exp(similarity[0])) / size_px / pitch))
    matrix = crop_from_frame(similarity, size_px * fine) @ frame_from_samples
    left, top, right, bottom = box
    matrix[:, 2] -= np.array([left, top]) * fine
    width, height = right - left, bottom - top
    # Where px are averaged anyway, the sharper and slower interpolation gains nothing.
    flags = cv2.INTER_LINEAR if fine > 1 else cv2.INTER_CUBIC
    picture = samples if samples.strides[1] == samples.itemsize and samples.strides[0] > 0 else np.ascontiguousarray(samples)
    crop = cv2.warpAffine(picture, matrix, (width * fine, height * fine), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA) if fine > 1 else crop
