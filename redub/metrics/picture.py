"""picture: painted crop, true crop -> how far they are apart, and how sharp the mouth is."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from redub.faces.landmarks import LEFT_EYE, RIGHT_EYE
from redub.faces.masks import lower_face_mask
from redub.plugin import Mode
from redub.types import RGB, Bools, Doubles

MOUTH = slice(48, 68)
LUMA = np.array([0.299, 0.587, 0.114])


@cache
def mouth_region(mode: Mode) -> Bools:
    """Return where in a painted crop the lower mask lies: (S, S), S = ``output_px``, read-only."""
    first, size = mode.output_offset_px, mode.output_px
    region: Bools = lower_face_mask(mode.input_px, 0.0)[first : first + size, first : first + size] > 0
    region.setflags(write=False)
    return region


def mean_square(painted: RGB, true: RGB, region: Bools | None = None) -> float:
    """Return the mean squared difference over pixels and colours, on the scale of 0 to 255.

    Args:
        painted: (S, S, 3).
        true: (S, S, 3).
        region: (S, S) where to look; None looks everywhere.
    """
    error = (painted.astype(np.float64) - true) ** 2
    return float((error if region is None else error[region]).mean())


def gradient_energy(picture: RGB, region: Bools) -> float:
    """Return the mean squared gradient of luma, in levels of 255 a pixel, over a region.

    Args:
        picture: (S, S, 3).
        region: (S, S).
    """
    down, across = np.gradient(picture @ LUMA)
    return float((down**2 + across**2)[region].mean())


def landmark_distance(painted: Any, true: Any) -> Doubles:
    """Return how far a mouth's landmarks are off: (..., 68, 2), (..., 68, 2) -> (...).

    Each mouth is taken relative to its own middle, so that its place does not count; the mean distance of the points
    is a share of the distance between the true eyes.  Both should be upright and of one scale.
    """
    painted, true = np.asarray(painted, np.float64), np.asarray(true, np.float64)
    off = (painted - painted[..., MOUTH, :].mean(axis=-2, keepdims=True) - true + true[..., MOUTH, :].mean(axis=-2, keepdims=True))[
        ..., MOUTH, :
    ]
    eyes = np.linalg.norm(true[..., RIGHT_EYE, :].mean(axis=-2) - true[..., LEFT_EYE, :].mean(axis=-2), axis=-1)
    distance: Doubles = np.linalg.norm(off, axis=-1).mean(axis=-1) / np.maximum(eyes, 1e-9)
    return distance
