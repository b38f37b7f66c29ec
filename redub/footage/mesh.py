"""mesh: triangles -> their normals, and how open to the sky each of them is."""

from __future__ import annotations

from typing import Any

import numpy as np

from redub.types import Floats, Ints


class Smoother:
    """Normals of triangles that share what they know with their neighbours.

    Args:
        corners: (3, Q) vertices.
        count: Of vertices.
    """

    def __init__(self, corners: Ints, count: int) -> None:
        from scipy.sparse import coo_matrix

        self.corners = corners
        size = corners.shape[1]
        flat = (corners.reshape(-1), np.tile(np.arange(size), 3))
        self.to_vertices: Any = coo_matrix((np.ones(3 * size, np.float32), flat), (count, size)).tocsr()
        self.to_triangles: Any = self.to_vertices.T.tocsr()

    def vertex_normals(self, places: Floats) -> Floats:
        """Return (V, 3) unit normals."""
        return _unit(self.to_vertices @ self._faces(places))

    def triangle_normals(self, places: Floats) -> Floats:
        """Return (Q, 3) unit normals, each the mean of its vertices'."""
        return _unit(self.to_triangles @ _unit(self.to_vertices @ self._faces(places)))

    def spread(self, values: Floats, times: int) -> Floats:
        """Return values (Q,) of triangles, made smooth."""
        share = np.asarray(self.to_vertices.sum(1)).reshape(-1)
        for _ in range(times):
            values = (self.to_triangles @ ((self.to_vertices @ values) / np.maximum(share, 1))) / 3
        return np.asarray(values, np.float32)

    def _faces(self, places: Floats) -> Floats:
        a, b, c = (places[each] for each in self.corners)
        return np.asarray(np.cross(b - a, c - a), np.float32)


def openness(places: Floats, smoother: Smoother) -> Floats:
    """Return how far each vertex stands out of its surroundings, 0 to 1: a cheap stand-in for the sky that it sees."""
    from scipy.sparse import coo_matrix, diags

    i, j = np.concatenate([smoother.corners[[0, 1]], smoother.corners[[1, 2]], smoother.corners[[2, 0]]], 1)
    near: Any = coo_matrix((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), (len(places),) * 2).tocsr()
    near = diags(1 / np.maximum(np.asarray(near.sum(1)).ravel(), 1)) @ near
    normals = smoother.vertex_normals(places)
    smooth, shade = places.astype(np.float64), np.ones(len(places))
    for turn in range(1, 61):
        smooth = near @ smooth
        if turn in (6, 20, 60):
            stands = ((places - smooth) * normals).sum(1)
            shade *= np.clip(1 + 1.1 * np.minimum(stands, 0), 0.25, 1)
    return np.asarray(near @ near @ shade, np.float32)


def _unit(vectors: Floats) -> Floats:
    length = np.sqrt((vectors * vectors).sum(1, keepdims=True))
    return np.asarray(vectors / (length + 1e-9), np.float32)
