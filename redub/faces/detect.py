"""detect: gray picture -> boxes of the faces in it.

dlib's HOG detector: frontal faces, rotated up to some 30 degrees, no weights to fetch, and far fewer false alarms than
Haar cascades.  It cannot see a face below `HOG_FACE_PX`, and its cost goes with the area; so the picture is scaled
until the smallest face that is asked for has just that size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from redub.faces.cv import load_cv

HOG_FACE_PX = 72
"""Width of the smallest box that the detector reports: it slides a window of 80 px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A face in one picture."""

    box: tuple[float, float, float, float]
    """(left, top, right, bottom) px; may reach out of the picture."""
    score: float
    """Above 0.25 hardly ever wrong; a clear frontal face has 1 to 3."""


def detect_faces(gray: Any, min_face_px: float, min_score: float) -> list[Detection]:
    """Find the frontal faces of a picture.

    Args:
        gray: (H, W) uint8.
        min_face_px: Width of the smallest face that is looked for, in px of ``gray``: half of it costs four times as much.
        min_score: Fainter ones are left out.

    Returns:
        Detections that do not overlap, surest first.
    """
    scale = HOG_FACE_PX / max(min_face_px, 1.0)
    height, width = gray.shape
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    if size != (width, height):
        cv2 = load_cv()
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    rectangles, scores, _ = _detector().run(np.ascontiguousarray(gray), 0, min_score)
    across, down = width / size[0], height / size[1]
    found = [
        Detection(
            box=(r.left() * across, r.top() * down, (r.right() + 1) * across, (r.bottom() + 1) * down),
            score=float(score),
        )
        for r, score in zip(rectangles, scores, strict=True)
    ]
    return sorted(found, key=lambda face: -face.score)


def overlap(one: Any, other: Any) -> float:
    """Return intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return float(shared / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared))


@cache
def _detector() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()
