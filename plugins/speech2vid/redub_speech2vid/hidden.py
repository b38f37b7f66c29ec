"""hidden: a registered face -> the same without its mouth, as the context encoder sees it (section 6.2).

The mask is fixed in the crop: one that followed the landmarks would tell how far the mouth was open.  It holds mouth, jaw line
and what moves with them on a face whose jaw is wide open, and all that a `redub.faces.masks.lower_face_mask` holds.  It is filled
with the median colour of the skin between eyes and mouth, so nothing of what is hidden reaches the network.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from redub.faces.canonical import CANONICAL_FACE
from redub.faces.cv import load_cv
from redub.faces.masks import LOWER_TOP, lower_face_mask
from redub.types import Bools, Doubles, Floats

TOP = LOWER_TOP - 0.006
"""Where the mask begins, below the nose's tip."""
BESIDE, DROP = 0.035, 0.14
"""How far it reaches beyond the jaw at the sides, and beyond a closed chin: so far does a jaw drop that is wide open."""
BOTTOM = 0.992
SKIN = ((0.24, 0.23), (0.76, 0.39))
"""Left top and right bottom of where the skin's colour is taken from: cheeks and nose, below the eyes and above the mask."""
OUTSIDE, INSIDE = 0.022, 0.033
"""What is learnt fades in over so much of the crop at each side of the mask's outline."""
SIDE_EDGE = 0.08
"""Width of the soft edge inside the jaw's line."""
DRAWN_PX = 896


def outline() -> Doubles:
    """Return the corners of the mask: (N, 2) in the unit square."""
    jaw = CANONICAL_FACE[2:15]
    fall = np.clip((jaw[:, 1] - TOP) / (CANONICAL_FACE[8, 1] - TOP), 0, 1)
    across = jaw[:, 0] + np.sign(jaw[:, 0] - 0.5) * BESIDE
    down = np.minimum(jaw[:, 1] + DROP * fall**2, BOTTOM)
    curve = np.stack([across, down], axis=1)
    side = float(np.interp(TOP, curve[:7, 1], curve[:7, 0]))
    return np.concatenate([[[side, TOP]], curve[curve[:, 1] > TOP], [[1 - side, TOP]]])


@lru_cache(maxsize=8)
def hidden_mask(size_px: int) -> Bools:
    """Return what is hidden of a crop: (size_px, size_px), read-only; a pixel that is hidden in part is hidden."""
    mask: Bools = _shrunk(_drawn(), size_px) > 0
    mask.setflags(write=False)
    return mask


@lru_cache(maxsize=8)
def fade(size_px: int) -> Floats:
    """Return how much it matters that a pixel is right: (size_px, size_px), 1 well inside the mask and 0 well outside, read-only."""
    cv2, inside = load_cv(), _drawn()
    # At the crop's lower side nothing may be shown: beyond it there is nothing that was painted.
    inside[round((1 - OUTSIDE) * DRAWN_PX) :] = 0
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    height = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    share = np.clip(((depth - height) / DRAWN_PX + OUTSIDE) / (OUTSIDE + INSIDE), 0, 1)
    soft = _shrunk((0.5 - 0.5 * np.cos(np.pi * share)).astype(np.float32), size_px)
    soft.setflags(write=False)
    return soft


def shown(size_px: int) -> Floats:
    """Return how much of a painted pixel is put back: (size_px, size_px), read-only.

    Less than is painted: where a head is turned, what lies beyond the line of its jaw is wall in the frame and cheek in the
    stills.  So it is the mask of blending, with a wider edge.
    """
    return lower_face_mask(size_px, SIDE_EDGE)


def hide(pictures: Tensor) -> Tensor:
    """Hide the mouths of registered faces: (B, 3, S, S) in 0..1 -> the same."""
    size = pictures.shape[-1]
    mask = torch.from_numpy(hidden_mask(size).copy()).to(pictures.device)
    (left, top), (right, bottom) = ((round(x * size), round(y * size)) for x, y in SKIN)
    skin = pictures[:, :, top:bottom, left:right].flatten(2).median(dim=2).values
    return torch.where(mask, skin[:, :, None, None], pictures)


def _drawn() -> NDArray[np.uint8]:
    inside = np.zeros((DRAWN_PX, DRAWN_PX), np.uint8)
    load_cv().fillPoly(inside, [np.rint(outline() * DRAWN_PX - 0.5).astype(np.int32)], 1)
    return inside


def _shrunk(picture: NDArray[Any], size_px: int) -> Floats:
    cv2 = load_cv()
    return np.asarray(cv2.resize(picture.astype(np.float32), (size_px, size_px), interpolation=cv2.INTER_AREA), np.float32)
