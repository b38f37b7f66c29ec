"""chart: a kit -> what lies where on the skin's picture, once for all identities.

The skin is painted in the kit's own chart, so it moves with the face.  Each mask is a picture (S, S) from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from redub.faces.cv import load_cv
from redub.footage import atlas
from redub.footage.kit import SKIN, Kit
from redub.footage.raster import runs
from redub.types import Doubles, Floats

_KITS: dict[str, Kit] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Masks on the tile of the face."""

    rest: Floats
    """(S, S, 3): the place on the resting head."""
    lips: Floats
    beard: Floats
    moustache: Floats
    blush: Floats
    nose: Floats
    ears: Floats
    under_eyes: Floats
    lashes: Floats
    crease: Floats
    """Above the upper lids, where make-up goes."""
    brows: tuple[Doubles, Doubles]
    """(5, 2) px on the tile each, from the temple to the nose."""


def draw_chart(kit: Kit) -> Chart:
    """Return the chart of a kit, drawn once in a process."""
    _KITS[kit.sha256] = kit
    return _draw(kit.sha256)


@cache
def _draw(sha256: str) -> Chart:
    kit = _KITS[sha256]
    side = atlas.FACE[2]
    rest = _rest_map(kit, side)
    x, y, z = np.abs(rest[..., 0]), rest[..., 1], rest[..., 2]
    points = _points_on_tile(kit)
    lips = _lips(points, side)
    front = _step(z, 3.0, 8.0)
    edge = _distance(rest[..., :2], kit.neutral[kit.landmarks[[*range(48, 60), 48]], :2])
    beard = _step(-y + 0.13 * x, 1.2, 2.6) * _step(y, -9.5, -7.5) * _step(z, 1.5, 5.0)
    sideburn = _step(x, 6.4, 7.0) * _step(y, -4, -2.5) * _step(-y, -2.5, -1.0) * _step(z, 0.5, 2.0) * _step(-z, -5.0, -3.5)
    bare = _step(edge, 0.05, 0.5) * (1 - lips)
    beard = np.maximum(beard * _step(-(x + (y + 2.0) * 0.9 - 1.0), -5.4, -4.2), 0.8 * sideburn) * bare
    below_nose = -y - 0.10 * x**2
    moustache = _step(below_nose, 1.0, 2.0) * _step(y, -5.0, -3.8) * _step(-x, -3.5, -2.2) * _step(z, 7.0, 8.5)
    moustache = moustache * _step(edge, -0.05, 0.22) * (1 - 0.8 * lips)
    lash, crease = _lids(kit, rest)
    return Chart(
        rest=rest,
        lips=lips,
        beard=beard,
        moustache=moustache,
        blush=front * _blob(x, y, (4.6, -0.3), (2.6, 2.2)),
        nose=front * _blob(x, y, (0, 0.2), (1.6, 1.7)),
        ears=_step(x, 7.6, 8.6) * _step(-y, -6.0, -4.0),
        under_eyes=front * _blob(x, y, (3.1, 2.5), (1.6, 0.75)),
        lashes=lash,
        crease=crease,
        brows=(points[17:22], points[26:21:-1]),
    )


def _rest_map(kit: Kit, side: int) -> Floats:
    """Return the place on the resting head (S, S, 3) at each pixel of the face's tile; beyond the face, far away."""
    x, y = kit.places
    chosen = np.flatnonzero((kit.part == SKIN) & (x.max(0) < side) & (y.max(0) < side))
    x, y, corners = x[:, chosen], y[:, chosen], kit.corners[:, chosen]
    turned = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]) > 0
    order = np.where(turned, np.array([[0], [2], [1]]), np.array([[0], [1], [2]]))
    x, y, corners = (np.take_along_axis(each, order, 0) for each in (x, y, corners))
    pixel, triangle = runs(x, y, (side, side))
    down, across = np.divmod(pixel, side)
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    a, b, c = (each[triangle] for each in corners)
    left, top = across - x[0][triangle], down - y[0][triangle]
    u = (left * (y[2] - y[0])[triangle] - top * (x[2] - x[0])[triangle]) / area[triangle]
    v = ((x[1] - x[0])[triangle] * top - (y[1] - y[0])[triangle] * left) / area[triangle]
    at = kit.neutral[a] * (1 - u - v)[:, None] + kit.neutral[b] * u[:, None] + kit.neutral[c] * v[:, None]
    rest = np.full((side * side, 3), -99, np.float32)
    rest[pixel] = at
    return rest.reshape(side, side, 3)


def _points_on_tile(kit: Kit) -> Doubles:
    """Return where the landmarks lie on the face's tile: (68, 2) px."""
    found = np.zeros((68, 2))
    flat = kit.corners.reshape(-1)
    for number, vertex in enumerate(kit.landmarks):
        corner = np.flatnonzero(flat == vertex)[0]
        found[number] = kit.places.reshape(2, -1)[:, corner]
    return found


def _lips(points: Doubles, side: int) -> Floats:
    cv = load_cv()
    mask = np.zeros((side, side), np.uint8)
    cv.fillPoly(mask, [np.rint(smooth_ring(points[48:60]) * 16).astype(np.int32)], 255, cv.LINE_AA, 4)
    return cv.GaussianBlur(mask, (0, 0), 2.0).astype(np.float32) / 255  # type: ignore[no-any-return]


def smooth_ring(points: Any) -> Doubles:
    """Return a closed curve (8 K, 2) through K points."""
    before, after, next_after = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    t = np.linspace(0, 1, 8, endpoint=False)[:, None, None]
    curve = 0.5 * (
        2 * points + (after - before) * t + (2 * before - 5 * points + 4 * after - next_after) * t**2
        + (3 * points - before - 3 * after + next_after) * t**3
    )  # fmt: skip
    return np.asarray(curve.transpose(1, 0, 2).reshape(-1, 2))


def _lids(kit: Kit, rest: Floats) -> tuple[Floats, Floats]:
    """Return the dark rim that lashes make, thick above and faint below, and the crease of the upper lids."""
    at = kit.neutral[kit.landmarks]
    lash, crease = np.zeros(rest.shape[:2], np.float32), np.zeros(rest.shape[:2], np.float32)
    for upper, lower in (((36, 37, 38, 39), (39, 40, 41, 36)), ((42, 43, 44, 45), (45, 46, 47, 42))):
        ring = np.asarray(smooth_ring(at[[*upper, *lower[1:3]], :2]), np.float32)
        near, low = _distance(rest[..., :2], ring[:25]), _distance(rest[..., :2], np.concatenate([ring[24:], ring[:1]]))
        lash = np.maximum(lash, np.maximum(_step(-near, -0.24, -0.10), 0.4 * _step(-low, -0.18, -0.05)))
        crease = np.maximum(crease, _step(-near, -1.1, -0.15) * _step(low - near, 0.0, 0.4))
    is_front = _step(rest[..., 2], 6.0, 7.5)
    return lash * is_front, crease * is_front


def _distance(places: Floats, line: Any) -> Floats:
    """Return how far each place (..., 2) is from a line of points (K, 2); 99 where it is farther than 2 in x or y."""
    line = np.asarray(line, np.float32)
    is_near = ((places > line.min(0) - 2) & (places < line.max(0) + 2)).all(-1)
    some, near = places[is_near], np.full(np.count_nonzero(is_near), 99, np.float32)
    for a, b in pairwise(line):
        along = b - a
        share = np.clip(((some - a) @ along) / (along @ along), 0, 1)
        off = some - a - share[:, None] * along
        np.minimum(near, np.sqrt((off * off).sum(-1)), out=near)
    result = np.full(places.shape[:-1], 99, np.float32)
    result[is_near] = near
    return result


def _step(value: Any, low: float, high: float) -> Floats:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _blob(x: Floats, y: Floats, middle: tuple[float, float], size: tuple[float, float]) -> Floats:
    return np.asarray(np.exp(-(((x - middle[0]) / size[0]) ** 2) - ((y - middle[1]) / size[1]) ** 2), np.float32)
