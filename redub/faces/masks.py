"""masks: a generator's size -> where a painted crop may be seen.

All masks are fixed in the canonical crop.  One that follows each frame's landmarks would let their noise flicker along
its edge, and could not be prepared once for all frames.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from redub.faces.canonical import CANONICAL_FACE
from redub.faces.cv import load_cv
from redub.types import Doubles, Floats

INSIDE_JAW = 0.04
"""How far the mask's sides stay inside the outline of the jaw, as a share of the crop."""
LOWER_TOP = 0.5 * float(CANONICAL_FACE[30, 1] + CANONICAL_FACE[33, 1])
"""The lower mask begins between the nose's tip and its base."""
WHOLE_TOP = float(CANONICAL_FACE[36:48, 1].mean()) - 0.11
"""The whole face's mask ends above the eyes, so that their lids move with the mouth's expression."""
BOTTOM = 0.965
"""Below a chin that has dropped, and inside the 109 of 112 pixels that a Speech2Vid generator paints."""
DRAWN_PX = 512
"""Masks are drawn at this size and averaged down: a mask of 109 px then has the same shape as one of 224 px."""


@lru_cache(maxsize=16)
def lower_face_mask(size_px: int, edge: float) -> Floats:
    """Return the mask of mouth, cheeks and chin.

    Args:
        size_px: Side of the crop.
        edge: Width of the soft edge, as a share of the crop; it lies inside the mask's outline.

    Returns:
        (size_px, size_px) float32: 1 well inside, 0 on and outside the outline, read-only.
    """
    return _drawn(_outline(LOWER_TOP), size_px, edge)


@lru_cache(maxsize=16)
def whole_face_mask(size_px: int, edge: float) -> Floats:
    """Return the mask of the face from above the eyes to the chin; like `lower_face_mask` otherwise."""
    return _drawn(_outline(WHOLE_TOP), size_px, edge)


def soft_square_mask(size_px: int, edge: float, sides: tuple[bool, bool, bool, bool] = (True, True, True, True)) -> Floats:
    """Return a square that fades out towards some of its sides, for what has no outline of its own.

    Args:
        size_px: Side of the square.
        edge: Width of the soft edge, as a share of the square.
        sides: Whether left, top, right and bottom fade; the others stay 1 to the last pixel.

    Returns:
        (size_px, size_px) float32.
    """
    place = (np.arange(size_px) + 0.5) / size_px
    left, top, right, bottom = sides
    across = np.minimum(_ramp(place, edge) if left else 1.0, _ramp(1 - place, edge) if right else 1.0) * np.ones(size_px)
    down = np.minimum(_ramp(place, edge) if top else 1.0, _ramp(1 - place, edge) if bottom else 1.0) * np.ones(size_px)
    return np.asarray(down[:, None] * across[None, :], np.float32)


def _outline(top: float) -> Doubles:
    """Return the corners of a jaw-shaped region: (N, 2) canonical."""
    jaw = CANONICAL_FACE[:17]
    # How far down the face, 0 at the nose's base and 1 at the chin.
    fall = np.clip((jaw[:, 1] - CANONICAL_FACE[33, 1]) / (CANONICAL_FACE[8, 1] - CANONICAL_FACE[33, 1]), 0, 1)
    # Inwards at the sides, but not at the chin: there the outline is let down, to leave room for a mouth that opens.
    across = jaw[:, 0] + np.sign(0.5 - jaw[:, 0]) * INSIDE_JAW * (1 - fall**2)
    down = jaw[:, 1] + (BOTTOM - CANONICAL_FACE[8, 1]) * fall
    curve = np.stack([across, down], axis=1)
    for _ in range(3):  # Chaikin's corner cutting: a polygon's corners would show in the soft edge
        curve = np.stack([0.75 * curve[:-1] + 0.25 * curve[1:], 0.25 * curve[:-1] + 0.75 * curve[1:]], axis=1).reshape(-1, 2)
    side = float(np.interp(top, curve[: len(curve) // 2, 1], curve[: len(curve) // 2, 0]))
    return np.concatenate([[[side, top]], curve[curve[:, 1] > top], [[1 - side, top]]])


def _drawn(outline: Doubles, size_px: int, edge: float) -> Floats:
    """Draw an outline with a soft edge inside it."""
    cv2 = load_cv()
    inside = np.zeros((DRAWN_PX + 2, DRAWN_PX + 2), np.uint8)
    cv2.fillPoly(inside, [np.rint(outline * DRAWN_PX + 0.5).astype(np.int32)], 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1] / DRAWN_PX
    soft = _ramp(depth, edge)
    mask = np.asarray(cv2.resize(soft.astype(np.float32), (size_px, size_px), interpolation=cv2.INTER_AREA), np.float32)
    mask.setflags(write=False)
    return mask


def _ramp(depth: Doubles, edge: float) -> Doubles:
    """Rise smoothly from 0 at a depth of 0 to 1 at ``edge``: cos² leaves no visible crease at either end."""
    share = np.clip(depth / max(edge, 1e-6), 0.0, 1.0)
    soft: Doubles = 0.5 - 0.5 * np.cos(np.pi * share)
    return soft
