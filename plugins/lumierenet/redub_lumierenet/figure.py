"""figure: pictures, landmarks -> pose figures w: which part of the person a pixel shows, and where on it.

The paper renders DensePose's answer: a part index I and surface coordinates U, V for every pixel.  All sources here keep to
that one form, (T, S, S, 3) uint8 with 10 times I, 255 times U, 255 times V: ready pictures, a DensePose network of the user's
own (`redub_lumierenet.densepose`), and by default what can be had of a face and its surroundings without any network of
that size: `from_landmarks`.

The default holds geometry only, as DensePose's does.  Face, lips, eyes and the mouth between the lips are drawn from landmarks
alone, in canonical coordinates, so that head pose, jaw and lips are in it.  Head and torso around them come from the silhouette
that `redub_lumierenet.silhouette` finds.  A figure knows nothing of teeth, tongue, wrinkles, gaze or hands.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np

from redub.faces.canonical import CANONICAL_FACE
from redub.faces.cv import load_cv
from redub.faces.geometry import apply_similarity, invert_similarity, similarity_from_points
from redub.types import RGB, Bools, Doubles, Floats, Ints
from redub_lumierenet.silhouette import silhouettes

FIGURE_PX = 256
INDEX_STEP = 10
"""I is shown so many times as large: as it is, 0 to 24 of 255 would be next to nothing for a network."""
LARGEST_INDEX = 24
MOUTH, LIPS, TORSO, EYES, FACE, HEAD = 4, 8, 12, 16, 20, 24
"""Parts of the default figure, far apart so that their borders are seen; DensePose has other parts, and none within the face."""
FINE = 2
"""Drawn so many times as large and averaged down, so that lips move by less than a pixel."""

_FOREHEAD = np.array([[0.07, -0.05], [0.16, -0.24], [0.32, -0.36], [0.5, -0.4], [0.68, -0.36], [0.84, -0.24], [0.93, -0.05]])
_MESH: Doubles = np.concatenate([CANONICAL_FACE, _FOREHEAD])
_HEAD_LOW, _HEAD_HIGH = -0.75, 1.75
"""What U and V of the head cover, in the unit square of the canonical face."""
_FACE_LOW, _FACE_HIGH = -0.45, 1.0
"""The same of the face itself: from the forehead to the chin, with the width in the middle of that."""
_NECK = 0.97
"""Below this height of the canonical face the torso begins."""
_LOWER = [*range(5, 12), *range(54, 60), *range(64, 68), 48]
_OPENED = 0.06
"""Triangles are found in a face whose mouth stands open by this, so that none of them joins the lips across it."""


class Estimator(Protocol):
    """Where pose figures come from."""

    def __call__(self, pictures: RGB, points: Floats, place: Place) -> RGB:
        """Return figures (T, S, S, 3) of consecutive pictures (T, S, S, 3) with landmarks (T, 68, 2) px, NaN where no face is."""


class Place(Protocol):
    """Which frames of which video pictures are, for sources that look figures up."""

    @property
    def source(self) -> str:
        """The video's file name without its ending."""

    @property
    def frames(self) -> Ints:
        """(T,) their numbers in it."""


def from_landmarks(pictures: RGB, points: Floats, place: Place | None = None) -> RGB:  # noqa: ARG001  one of several sources
    """Draw figures from landmarks and silhouettes; see `Estimator`."""
    size = pictures.shape[1]
    seen: Bools = np.asarray(np.isfinite(points).all(axis=(1, 2)))
    rows = np.zeros((len(points), 4))
    rows[seen] = similarity_from_points(points[seen].astype(np.float64))
    people = silhouettes(pictures, rows, seen)
    figures = np.zeros(pictures.shape, np.uint8)
    for i in np.flatnonzero(seen):
        figures[i] = _draw(points[i].astype(np.float64), rows[i], people[i], size)
    return figures


def figure_from_iuv(index: Any, u: Any, v: Any) -> RGB:
    """Return figures from DensePose's answer.

    Args:
        index: (..., H, W) part numbers, 0 to 24.
        u: (..., H, W) 0 to 1.
        v: Likewise.

    Raises:
        ValueError: There is a part above 24.
    """
    index = np.asarray(index)
    if index.size and (index.max() > LARGEST_INDEX or index.min() < 0):
        raise ValueError(f"part numbers run from {index.min()} to {index.max()}, not from 0 to {LARGEST_INDEX}")
    scaled = [np.rint(np.clip(np.asarray(one, np.float32), 0, 1) * 255) * (index > 0) for one in (u, v)]
    return np.stack([index * INDEX_STEP, *scaled], axis=-1).astype(np.uint8)


def _draw(points: Doubles, row: Doubles, person: Bools, size: int) -> RGB:
    cv2 = load_cv()
    side = size * FINE
    # Pixel middles are whole numbers in both sizes.
    fine = (points + 0.5) * FINE - 0.5
    fine_row = np.array([row[0] + np.log(FINE), row[1], *((row[2:] + 0.5) * FINE - 0.5)])
    body = np.zeros((size, size, 3), np.float32)
    # Its colours are even slopes and its outline is a whole pixel's: drawn finer it would come out the same.
    _draw_body(body, person, row)
    canvas: Floats = np.asarray(cv2.resize(body, (side, side), interpolation=cv2.INTER_NEAREST), np.float32)
    mesh = np.concatenate([fine, apply_similarity(fine_row, _FOREHEAD)])
    _draw_face(canvas, mesh)
    small: RGB = np.rint(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)).astype(np.uint8)
    return small


def _draw_body(canvas: Floats, person: Bools, row: Doubles) -> None:
    """Draw head and torso where the silhouette is."""
    y, x = np.nonzero(person)
    if not len(y):
        return
    inside = apply_similarity(invert_similarity(row), np.stack([x, y], axis=-1).astype(np.float64))
    is_head = inside[:, 1] < _NECK
    share = (inside[is_head] - _HEAD_LOW) / (_HEAD_HIGH - _HEAD_LOW)
    _colour(canvas, y[is_head], x[is_head], HEAD, share)
    y, x, inside = y[~is_head], x[~is_head], inside[~is_head]
    if len(y):
        left, right = _edges(person)
        across = (x - left[y]) / np.maximum(right[y] - left[y], 1.0)
        down = (inside[:, 1] - _NECK) / 2.0
        _colour(canvas, y, x, TORSO, np.stack([across, down], axis=-1))


def _edges(person: Bools) -> tuple[Doubles, Doubles]:
    """Return where the silhouette begins and ends in each row, smoothed over rows so that its ragged edge makes no streaks."""
    cv2 = load_cv()
    width = person.shape[1]
    is_there = person.any(axis=1)
    left = np.where(is_there, person.argmax(axis=1), 0.0)
    right = np.where(is_there, width - 1.0 - person[:, ::-1].argmax(axis=1), width - 1.0)
    rows = np.arange(len(person))
    both = np.stack([np.interp(rows, rows[is_there], edge[is_there]) for edge in (left, right)], axis=-1)
    smooth = cv2.GaussianBlur(both, (1, 0), sigmaX=1e-3, sigmaY=width / 64, borderType=cv2.BORDER_REPLICATE)
    return smooth[:, 0], smooth[:, 1]


def _draw_face(canvas: Floats, mesh: Doubles) -> None:
    cv2 = load_cv()
    side = canvas.shape[0]
    corners, plane = _triangles()
    label = np.zeros((side, side), np.int32)
    shift = 4
    ends = np.rint(mesh[corners] * 2**shift).astype(np.int64).clip(-(2**20), 2**20).astype(np.int32)
    for number, one in enumerate(ends, start=1):
        cv2.fillConvexPoly(label, one, number, lineType=cv2.LINE_8, shift=shift)
    left, top = np.clip(np.floor(mesh.min(axis=0)).astype(int), 0, side)
    right, bottom = np.clip(np.ceil(mesh.max(axis=0)).astype(int) + 1, 0, side)
    y, x = np.nonzero(label[top:bottom, left:right])
    y, x = y + top, x + left
    of = label[y, x] - 1
    # Within a triangle canonical places are an affine function of the picture's.
    sides = np.concatenate([mesh[corners], np.ones((len(corners), 3, 1))], axis=-1)
    sides[np.abs(np.linalg.det(sides)) < 1e-6] = np.eye(3)
    maps = np.linalg.solve(sides, plane)
    inside = maps[of, 0] * x[:, None] + maps[of, 1] * y[:, None] + maps[of, 2]
    middle = np.array([0.5, (_FACE_LOW + _FACE_HIGH) / 2])
    _colour(canvas, y, x, FACE, (inside - middle) / (_FACE_HIGH - _FACE_LOW) + 0.5)
    index = np.ascontiguousarray(canvas[..., 0])
    for part, outline in ((EYES, range(36, 42)), (EYES, range(42, 48)), (LIPS, range(48, 60)), (MOUTH, range(60, 68))):
        cv2.fillPoly(index, [np.rint(mesh[outline] * 2**shift).astype(np.int32)], float(part * INDEX_STEP), shift=shift)
    canvas[..., 0] = index


def _colour(canvas: Floats, y: Ints, x: Ints, part: int, share: Doubles) -> None:
    """Give pixels (N,) their part and their place on it, (N, 2) in the unit square."""
    canvas[y, x, 0] = part * INDEX_STEP
    canvas[y, x, 1:] = np.clip(share, 0, 1) * 255


@cache
def _triangles() -> tuple[Ints, Doubles]:
    """Return the corners of the face's triangles (N, 3), and where those lie in the canonical face (N, 3, 2)."""
    from scipy.spatial import Delaunay

    opened = _MESH.copy()
    opened[[i for i in _LOWER if i not in (48, 54, 60, 64)], 1] += _OPENED
    corners: Ints = np.asarray(Delaunay(opened).simplices, np.int64)
    return corners, _MESH[corners]
