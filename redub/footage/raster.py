"""raster: triangles on a plane -> which of them is seen at each pixel.

Triangles are painted from the farthest to the nearest, each row of each as one run of pixels; all rows of all triangles
are worked out at once.  A head has some twenty thousand triangles of a few pixels, for which this takes a few
milliseconds: no graphics card, driver or further library has to be there, and every machine draws the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from redub.types import Floats, Ints

Whole = NDArray[np.int32]


def runs(x: Floats, y: Floats, size: tuple[int, int]) -> tuple[Ints, Ints]:
    """Find the pixels whose middle lies in each triangle.

    Args:
        x: (3, Q) places of the corners in px, the middle of the first pixel being 0.
        y: (3, Q) the same, downwards.
        size: (height, width) of the picture.

    Returns:
        The pixels (N,) as numbers row by row, and the triangle (N,) of each, in the order of the triangles.
    """
    height, width = size
    x, y = _from_top(x, y)
    edge = np.ceil(np.clip(y, 0, height)).astype(np.int32)
    # Above its middle corner a triangle lies between its long side and one short side, below it between that and the other.
    rows = np.empty(2 * x.shape[1], np.int32)
    rows[0::2], rows[1::2] = edge[1] - edge[0], edge[2] - edge[1]
    half = np.repeat(np.arange(len(rows)), rows)
    starts = np.empty_like(rows)
    starts[0::2], starts[1::2] = edge[0], edge[1]
    starts -= np.cumsum(rows, dtype=np.int32) - rows
    row = np.arange(len(half), dtype=np.int32)
    row += starts.take(half)
    down = row.astype(np.float32)
    long_slope, long_place = _line(x[0], y[0], x[2], y[2])
    short_slope, short_place = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
    short_slope[0::2], short_place[0::2] = _line(x[0], y[0], x[1], y[1])
    short_slope[1::2], short_place[1::2] = _line(x[1], y[1], x[2], y[2])
    triangle = half >> 1
    one = long_slope.take(triangle) * down
    one += long_place.take(triangle)
    other = short_slope.take(half) * down
    other += short_place.take(half)
    left = np.ceil(np.clip(np.minimum(one, other), 0, width)).astype(np.int32)
    count = np.ceil(np.clip(np.maximum(one, other), 0, width)).astype(np.int32)
    count -= left
    kept = np.flatnonzero(count)
    count, triangle = count.take(kept), triangle.take(kept)
    start = row.take(kept)
    start *= np.int32(width)
    start += left.take(kept)
    start -= np.cumsum(count, dtype=np.int32) - count
    run = np.repeat(np.arange(len(count)), count)
    pixel = np.arange(len(run))
    pixel += start.take(run)
    return pixel, triangle.take(run)


def _from_top(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the corners (3, Q) of each triangle from its highest to its lowest."""
    xs, ys = list(x), list(y)
    for a, b in ((0, 1), (1, 2), (0, 1)):
        swaps = ys[a] > ys[b]
        xs[a], xs[b] = np.where(swaps, xs[b], xs[a]), np.where(swaps, xs[a], xs[b])
        ys[a], ys[b] = np.minimum(ys[a], ys[b]), np.maximum(ys[a], ys[b])
    return np.stack(xs), np.stack(ys)


def _line(x0: Floats, y0: Floats, x1: Floats, y1: Floats) -> tuple[Floats, Floats]:
    """Return slope and place of a side: it passes row r at ``slope * r + place``."""
    slope = (x1 - x0) / np.maximum(y1 - y0, np.float32(1e-4))
    return slope, x0 - slope * y0
