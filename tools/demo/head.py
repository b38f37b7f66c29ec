"""head: a face kit's file and a seed -> one person's head, hair and clothes as triangles.

Lengths are the kit's: a unit is about 8 mm, the face looks along +z and y points up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags

from redub.footage.clothes import ring_tube, torso

F = NDArray[np.float32]
I = NDArray[np.int32]  # noqa: E741

PARTS = {
    "skin": ("M_Face", "M_BackHead"),
    "teeth": ("M_Teeth",),
    "gums": ("M_GumsTongue",),
    "eye": ("M_ScleraLeft", "M_ScleraRight"),
}
SHELLS = 28
EYES = ((21451, 22221), (23021, 23791))  # vertices of the left eyeball and of the right


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Triangles with what the shader needs at each corner."""

    places: F
    """(V, 3)."""
    rest: F
    """(V, 3): where the paint sticks."""
    shade: F
    """(V,): how open to the sky, from 0 to 1; for hair, how thickly it grows."""
    corners: I
    """(Q, 3)."""


class Head:
    """One person: shape, expressions, and where hair grows."""

    def __init__(self, kit: Path, seed: int) -> None:
        stored = np.load(kit)
        chance = np.random.default_rng(seed)
        self.names = [str(name) for name in stored["expression_names"]]
        self.expressions = stored["expressions"].astype(np.float32)
        materials = [str(name) for name in stored["materials"]]
        self.tri: I = stored["tri"]
        drawn = {name: np.isin(stored["tri_material"], [materials.index(m) for m in group]) for name, group in PARTS.items()}
        self.parts = {name: self.tri[chosen] for name, chosen in drawn.items()}
        neutral: F = stored["neutral"]
        mix = chance.normal(size=100) * 0.45
        self.shape: F = (neutral + np.tensordot(mix, stored["identities"].astype(np.float32), 1)).astype(np.float32)
        teeth = np.unique(self.parts["teeth"])
        is_upper = neutral[teeth, 1] > -3.35
        # Another person's teeth must not show through the lips.
        self.shape[teeth] += np.where(is_upper[:, None], (0, -0.22, -0.45), (0, -0.12, -0.5)).astype(np.float32)
        self.shape[np.unique(self.parts["gums"])] += (0, -0.15, -0.60)
        self.rest = neutral
        count = len(neutral)
        order = np.arange(len(self.tri))
        self._corners_of = coo_matrix((np.ones(self.tri.size), (self.tri.T.ravel(), np.tile(order, 3))), (count, len(order))).tocsr()
        self.shade = self._openness()
        self.growth = _hair(neutral)
        self.scalp = self._scalp()

    def express(self, weights: F) -> F:
        """Return the vertices (V, 3) for expression weights (E,)."""
        return np.asarray(self.shape + np.tensordot(weights, self.expressions, 1), np.float32)

    def normals(self, places: F) -> F:
        """Return unit normals (V, 3)."""
        a, b, c = (places[self.tri[:, i]] for i in range(3))
        n = self._corners_of @ np.cross(b - a, c - a)
        return np.asarray(n / (np.linalg.norm(n, axis=1, keepdims=True) + 1e-9), np.float32)

    def _openness(self) -> F:
        """How far each vertex stands out of its surroundings: a cheap stand-in for the sky that it sees."""
        i, j = np.concatenate([self.tri[:, [0, 1]], self.tri[:, [1, 2]], self.tri[:, [2, 0]]]).T
        near: csr_matrix = coo_matrix((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), (len(self.shape),) * 2).tocsr()
        near = diags(1 / np.maximum(np.asarray(near.sum(1)).ravel(), 1)) @ near
        normals = self.normals(self.shape)
        smooth, shade = self.shape.copy(), np.ones(len(self.shape))
        for turn in range(1, 61):
            smooth = near @ smooth
            if turn in (6, 20, 60):
                stands = ((self.shape - smooth) * normals).sum(1)
                shade *= np.clip(1 + 1.1 * np.minimum(stands, 0), 0.25, 1)
        shade = near @ near @ shade
        below_chin = np.clip((self.rest[:, 1] + 8.5) / 3, 0, 1) + np.clip((-12 - self.rest[:, 1]) / 3, 0, 1)
        is_neck = (self.rest[:, 1] < -4) & (self.rest[:, 2] < 8)
        return np.asarray(np.where(is_neck, shade * np.clip(0.62 + 0.38 * below_chin, 0, 1), shade), np.float32)

    def _scalp(self) -> I:
        skin = self.parts["skin"]
        return skin[(self.growth[skin] > 0.01).any(1)]


def _hair(rest: F) -> F:
    """How thickly hair grows at each vertex, from 0 to 1; the hair line of a short cut, ears left free."""
    x, y, z = rest.T
    front = np.interp(y, [-6, -5, -1, 0.2, 3.0, 5.0, 7.5, 9.2, 10.2, 11.2, 12.0], [-9, -4.6, -2.6, 1.5, 2.6, 3.6, 4.2, 5.6, 7.4, 9.0, 12])
    wave = 0.28 * np.sin(x * 2.3 + 1) + 0.2 * np.sin(x * 5.1) + 0.2 * np.sin(y * 3.7)
    grows = np.clip((front + wave - z) / 1.3, 0, 1)
    grows *= np.clip((y + 5.6) / 1.6, 0, 1)
    is_ear = (y < 5.3) & (y > -4.5) & (z > -3.4) & (z < 3.2) & (np.abs(x) > np.interp(y, [-4, 0, 4, 5.3], [6.3, 7.2, 7.75, 8.2]))
    skin = np.arange(len(rest)) < 14062
    return np.asarray(np.where(is_ear | ~skin, 0, grows), np.float32)


def clothes() -> dict[str, Mesh]:
    """Return a knitted jumper: ``cloth`` and its ``collar``."""
    places, around, down = torso()
    stitches = np.stack([around * 26 * (1 + 1.6 * down), down * 150, np.zeros_like(down)], -1)
    return {"cloth": _sheet(places, stitches, 0.35 + 0.65 * np.clip(down * 9, 0, 1)), "collar": _collar(places[0])}


def _collar(ring: NDArray[np.float64]) -> Mesh:
    tube, turn = ring_tube(ring)
    rest = np.stack(np.broadcast_arrays(np.linspace(0, 240, ring.shape[0])[None, :], turn[:, None] * 2, 0.0), -1)
    return _sheet(tube[:, ::-1], rest, np.clip(0.75 + 0.25 * np.cos(turn), 0.4, 1)[:, None] * np.ones(ring.shape[0]))


def _sheet(places: NDArray[np.float64], rest: NDArray[np.float64], shade: NDArray[np.float64]) -> Mesh:
    rows, columns = places.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    corners = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
    flat = [np.asarray(part, np.float32) for part in (places.reshape(-1, 3), rest.reshape(-1, 3), shade.reshape(-1))]
    return Mesh(places=flat[0], rest=flat[1], shade=flat[2], corners=np.asarray(corners, np.int32))
