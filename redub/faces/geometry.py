"""geometry: landmarks -> where the canonical crop lies.

A face is registered by the similarity (scale, rotation, shift; no reflection) that takes the canonical face to its
landmarks, in the sense of least squares.  Only eyes and nose vote, as in section 4 of the Speech2Vid paper: they go
with the head and not with speech, so that a crop stands still while its mouth opens.

A similarity is a row ``(log scale, angle in radians, x, y)``: ``target = exp(s) * R(angle) @ source + (x, y)``; a path
is (T, 4).  In these coordinates it can be averaged and smoothed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from redub.faces.canonical import CANONICAL_FACE
from redub.faces.landmarks import EYES_AND_NOSE
from redub.types import Doubles


def fit_similarity(source: Any, target: Any, weights: Any = None) -> Doubles:
    """Return the similarity that takes points to points with the least squared distance.

    Args:
        source: (..., N, 2), at least two different points.
        target: (..., N, 2).
        weights: (..., N) of zero or more; None counts every point alike.

    Returns:
        (..., 4) rows.
    """
    z, w = _complex(source), _complex(target)
    share = np.ones(w.shape) if weights is None else np.asarray(weights, np.float64) + np.zeros(w.shape)
    return _row(*_fit(z, w, share))


def fit_robustly(source: Any, target: Any, rounds: int, grain: float = 1e-9) -> Doubles:
    """Fit a similarity to points some of which are wrong: one that the others contradict loses its vote by and by.

    Args:
        source: (..., N, 2).
        target: (..., N, 2).
        rounds: How often the votes are weighed again (Cauchy weights, as wide as twice the median error).
        grain: Errors are expected to be about this large at least, in the target's unit.

    Returns:
        (..., 4) rows.
    """
    z, w = _complex(source), _complex(target)
    a, b = _fit(z, w, np.ones(w.shape))
    for _ in range(rounds):
        error = np.abs(w - a[..., None] * z - b[..., None])
        width = 2.0 * np.median(error, axis=-1, keepdims=True) + grain
        a, b = _fit(z, w, 1.0 / (1.0 + (error / width) ** 2))
    return _row(a, b)


def similarity_from_points(points: Any, rounds: int = 1) -> Doubles:
    """Return the similarity that takes the canonical face's eyes and nose to those of ``points``.

    It is fitted robustly, so that a hair or a glint on one eye does not tilt the crop.

    Args:
        points: (..., 68, 2) px.
        rounds: How often the votes are weighed again; 0 gives plain least squares.

    Returns:
        (..., 4) rows, canonical to px; the angle lies in -pi..pi.
    """
    return fit_robustly(CANONICAL_FACE[EYES_AND_NOSE], np.asarray(points)[..., EYES_AND_NOSE, :], rounds)


def apply_similarity(row: Any, points: Any) -> Doubles:
    """Take points through similarities: (..., 4), (..., N, 2) -> (..., N, 2)."""
    row = np.asarray(row, np.float64)
    a, b = np.exp(row[..., 0] + 1j * row[..., 1]), row[..., 2] + 1j * row[..., 3]
    moved = np.ascontiguousarray(a[..., None] * _complex(points) + b[..., None])
    return moved.view(np.float64).reshape(*moved.shape, 2)


def invert_similarity(row: Any) -> Doubles:
    """Return the similarities that undo these: (..., 4) -> (..., 4)."""
    row = np.asarray(row, np.float64)
    b = -(row[..., 2] + 1j * row[..., 3]) * np.exp(-row[..., 0] - 1j * row[..., 1])
    return np.stack([-row[..., 0], -row[..., 1], b.real, b.imag], axis=-1)


def compose_similarity(second: Any, first: Any) -> Doubles:
    """Return the similarities that do ``first`` and then ``second``: (..., 4), (..., 4) -> (..., 4)."""
    second, first = np.asarray(second, np.float64), np.asarray(first, np.float64)
    shift = apply_similarity(second, first[..., None, 2:])[..., 0, :]
    return np.concatenate([second[..., :2] + first[..., :2], shift], axis=-1)


def frame_from_crop(row: Any, size_px: int) -> Doubles:
    """Return the matrices that take px of a square crop to px of the frame.

    Args:
        row: (..., 4), canonical to frame px.
        size_px: Side of the crop; its canonical square runs from -0.5 to ``size_px - 0.5``, pixel middles being whole.

    Returns:
        (..., 2, 3), as OpenCV takes them.
    """
    row = np.asarray(row, np.float64)
    scale = np.exp(row[..., 0]) / size_px
    cos, sin = scale * np.cos(row[..., 1]), scale * np.sin(row[..., 1])
    x, y = row[..., 2] + 0.5 * (cos - sin), row[..., 3] + 0.5 * (sin + cos)
    return np.stack([np.stack([cos, -sin, x], axis=-1), np.stack([sin, cos, y], axis=-1)], axis=-2)


def crop_from_frame(row: Any, size_px: int) -> Doubles:
    """Return the matrices that take px of the frame to px of a square crop: the inverse of `frame_from_crop`."""
    inverse = invert_similarity(row)
    scale = np.exp(inverse[..., 0]) * size_px
    cos, sin = scale * np.cos(inverse[..., 1]), scale * np.sin(inverse[..., 1])
    x, y = inverse[..., 2] * size_px - 0.5, inverse[..., 3] * size_px - 0.5
    return np.stack([np.stack([cos, -sin, x], axis=-1), np.stack([sin, cos, y], axis=-1)], axis=-2)


def crop_points(row: Any, points: Any, size_px: int) -> Doubles:
    """Take frame px to crop px: (..., 4), (..., N, 2) -> (..., N, 2)."""
    return apply_similarity(invert_similarity(row), points) * size_px - 0.5


def _fit(z: Any, w: Any, share: Any) -> tuple[Any, Any]:
    """Return (a, b) of the best w = a * z + b: as complex numbers a similarity is linear, and never a reflection."""
    share = share / share.sum(axis=-1, keepdims=True)
    z_mean, w_mean = (share * z).sum(axis=-1, keepdims=True), (share * w).sum(axis=-1, keepdims=True)
    z, w = z - z_mean, w - w_mean
    a = (share * z.conj() * w).sum(axis=-1) / (share * (z.real**2 + z.imag**2)).sum(axis=-1)
    return a, w_mean[..., 0] - a * z_mean[..., 0]


def _row(a: Any, b: Any) -> Doubles:
    row = np.empty((*np.shape(a), 4))
    row[..., 0], row[..., 1], row[..., 2], row[..., 3] = np.log(np.abs(a)), np.angle(a), b.real, b.imag
    return row


def _complex(points: Any) -> Any:
    points = np.ascontiguousarray(points, np.float64)
    return points.view(np.complex128)[..., 0]
