"""crop: frame, similarity -> the registered face at a generator's size.

A face is mostly larger in the frame than in the crop, and plain sampling would alias: skin turns to noise that a
network then learns.  So the crop is sampled finer by a whole factor and averaged down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from redub.faces.cv import load_cv
from redub.faces.geometry import crop_from_frame, frame_from_crop
from redub.types import RGB, Doubles

if TYPE_CHECKING:
    from redub.media import Frame

MARGIN_PX = 4
"""Room around the crop for the interpolation's reach."""


def take_crop(frame: Frame, similarity: Doubles, size_px: int) -> RGB:
    """Sample the canonical crop of one frame.

    Args:
        frame: The upright frame.
        similarity: (4,) row of a `CropPath`.
        size_px: Side of the crop.

    Returns:
        (size_px, size_px, 3) RGB; what lies outside the frame repeats its border.
    """
    cv2 = load_cv()
    left, top, right, bottom = _box(frame, similarity, size_px)
    region = frame.rgb((left, top, right, bottom))
    fine = max(1, round(float(np.exp(similarity[0])) / size_px))
    matrix = crop_from_frame(similarity, size_px * fine)
    # The region's pixel (0, 0) is the frame's (left, top).
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    # Where px are averaged anyway, the sharper and slower interpolation gains nothing.
    flags = cv2.INTER_LINEAR if fine > 1 else cv2.INTER_CUBIC
    crop = cv2.warpAffine(region, matrix, (size_px * fine, size_px * fine), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(crop, (size_px, size_px), interpolation=cv2.INTER_AREA) if fine > 1 else crop)


def _box(frame: Frame, similarity: Doubles, size_px: int) -> tuple[int, int, int, int]:
    """Return the part of the frame that the crop needs; at least one pixel even if the crop lies outside."""
    ends = np.array([[-0.5, -0.5], [size_px - 0.5, -0.5], [-0.5, size_px - 0.5], [size_px - 0.5, size_px - 0.5]])
    matrix = frame_from_crop(similarity, size_px)
    corners = ends @ matrix[:, :2].T + matrix[:, 2]
    low = np.floor(corners.min(0)).astype(int) - MARGIN_PX
    high = np.ceil(corners.max(0)).astype(int) + 1 + MARGIN_PX
    left, top = (int(np.clip(low[i], 0, size - 1)) for i, size in enumerate((frame.width, frame.height)))
    right, bottom = (int(np.clip(high[i], start + 1, size)) for i, (start, size) in enumerate(((left, frame.width), (top, frame.height))))
    return left, top, right, bottom
