"""codes: landmarks -> the mouth's shape as a few numbers, zero at rest.

Lips and jaw relative to the speaker's own resting face, in units of how far that speaker opens the mouth, as principal
components.  So the same code means the same movement in every face, and a network can be taught to paint from it before
anything listens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redub.faces.landmarks import mouth_openness
from redub.types import Doubles, Floats

SHAPE = np.array([*range(48, 68), *range(4, 13)])
"""Lips, and the jaw from below one ear to the other."""
COMPONENTS = 12
REST_SHARE = 0.25
"""The least open share of a piece's frames is its resting face."""
LEAST_OPENING = 0.04
"""A piece whose mouth opens less counts as if it opened so far: its noise is not to become movement."""
UNIT = 0.45
MIRROR = np.array(
    [
        *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
        54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
    ]
)  # fmt: skip
"""Which landmark each becomes in a mirror."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """The principal components of mouth shapes."""

    vectors: Floats
    """(COMPONENTS, 58), orthonormal, the one that varies most first."""
    scale: float
    """Divides codes, so that the first component varies by one."""

    def encode(self, shapes: Floats) -> Floats:
        """(T, 58) -> (T, COMPONENTS)."""
        return np.asarray(shapes @ self.vectors.T / self.scale, np.float32)


def mirrored(points: Floats) -> Floats:
    """Return the landmarks of the face in a mirror: (T, 68, 2) in the unit square, to the same."""
    turned = points[:, MIRROR].copy()
    turned[..., 0] = 1 - turned[..., 0]
    return turned


def mouth_shapes(points: Floats) -> Floats:
    """Return the mouth's shape relative to rest.

    Args:
        points: (T, 68, 2) of one piece, in the unit square.

    Returns:
        (T, 58).
    """
    openness = mouth_openness(points)
    low, high = np.quantile(openness, [0.1, 0.9])
    rest = points[openness <= np.quantile(openness, REST_SHARE)].mean(axis=0)
    shapes = (points - rest)[:, SHAPE].reshape(len(points), -1) / (max(high - low, LEAST_OPENING) * UNIT)
    return np.asarray(shapes, np.float32)


def relative_opening(points: Floats) -> Floats:
    """Return how far the mouth is open, 0 and 1 being the tenth and ninetieth percentile of the piece: (T,)."""
    openness = mouth_openness(points)
    low, high = np.quantile(openness, [0.1, 0.9])
    return np.asarray((openness - low) / max(high - low, LEAST_OPENING), np.float32)


def fit_basis(shapes: Iterable[Floats]) -> Basis:
    """Find the components of shapes: (T, 58) each.  A component's sign is chosen so that its largest entry is positive."""
    found: Doubles = np.concatenate(list(shapes)).astype(np.float64)
    covariance = np.cov(found, rowvar=False)
    _, vectors = np.linalg.eigh(covariance)
    chosen: NDArray[np.float64] = vectors.T[::-1][:COMPONENTS]
    largest = np.take_along_axis(chosen, np.abs(chosen).argmax(axis=1)[:, None], axis=1)
    chosen = chosen * np.sign(largest)
    scale = float((found @ chosen[0]).std())
    return Basis(vectors=np.ascontiguousarray(chosen, np.float32), scale=max(scale, 1e-6))
