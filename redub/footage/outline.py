"""outline: a head as it is held -> the 17 points of the jaw as they are seen, on the edge of the face.

Whoever annotates a picture after the iBUG scheme does not see the bone of the jaw: they mark the edge of the face against
neck, ear and background, from eye to eye around the chin, in steps of one length on each side.  On a head that is turned that
edge lies on another part of the skin than on one that is not.  So lines are laid over the skin, as the ribs of a fan, from the
cheeks outwards over the jaw.  Where each line reaches farthest outwards in the picture, there is the edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from redub.footage.kit import SKIN, Kit
from redub.types import Doubles, Floats, Ints

POINTS = 17
LINES_EACH = 8
"""So many lines stand between two of the kit's points."""
INWARDS = 0.55
"""A line begins at this share of the way from the middle of the face, at the height of the eyes, to the kit's jaw."""
BEHIND = np.array([0.3, 0.4, 0.6, 1.6, 2.2, 2.2, 0.8, 0.3, 0.2])
"""It ends so far behind each of the kit's points from the eye to the chin, in the kit's units of 8 mm.  At the corner of the jaw
skin still bends outwards behind the point; behind the other points are ear and throat, which are no edge of the face."""

_KITS: dict[str, Kit] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The lines, from the eye on the left of the picture to that on the right, with L places on all of them."""

    ends: Ints
    """(2, L) vertices; each place lies between two of them."""
    share: Floats
    """(L, 1): how far it is from the first to the second."""
    starts: Ints
    """(R,): the number of each line's first place."""
    ways: Floats
    """(R, 3): where each line leads, on the resting head."""

    def places(self, head: Floats) -> Floats:
        """Return where the places lie on a head: (V, 3) -> (L, 3)."""
        first, second = head[self.ends[0]], head[self.ends[1]]
        return np.asarray(first + (second - first) * self.share, np.float32)

    def points(self, seen: Any, turn: Any) -> Floats:
        """Return the 17 points (17, 2) on the edge of the face.

        Args:
            seen: (L, 2) the places in a picture, y downwards.
            turn: (3, 3) how the head is held.
        """
        ways = self.ways @ np.asarray(turn).T[:, :2] * [1, -1]
        stops = [*self.starts[1:], len(seen)]
        edge = np.empty((len(ways), 2))
        for number, (start, stop) in enumerate(zip(self.starts, stops, strict=True)):
            edge[number] = seen[start + np.argmax(seen[start:stop] @ ways[number])]
        middle = len(edge) // 2
        left, right = _steps(edge[: middle + 1]), _steps(edge[middle:])
        return np.concatenate([left, right[1:]]).astype(np.float32)


def draw_outline(kit: Kit) -> Outline:
    """Return the lines of a kit, worked out once in a process."""
    _KITS[kit.sha256] = kit
    return _draw(kit.sha256)


@cache
def _draw(sha256: str) -> Outline:
    kit = _KITS[sha256]
    rest, jaw = kit.neutral, kit.neutral[kit.landmarks[:POINTS]].astype(np.float64)
    along = np.linspace(0, POINTS - 1, (POINTS - 1) * LINES_EACH + 1)
    jaw[:, 2] -= np.concatenate([BEHIND, BEHIND[-2::-1]])
    targets = np.stack([np.interp(along, range(POINTS), column) for column in jaw.T], 1)
    i, j = np.concatenate([kit.corners[:, kit.part == SKIN][[a, b]] for a, b in ((0, 1), (1, 2), (2, 0))], 1)
    first, second = np.unique(np.sort([i, j], axis=0), axis=1)
    middle = np.array([0.0, (jaw[0, 1] + jaw[-1, 1]) / 2])
    lines = [_line(rest, first, second, middle, target) for target in targets]
    counts = [len(share) for _, share in lines]
    out = targets[:, :2] - middle
    return Outline(
        ends=np.concatenate([ends for ends, _ in lines], 1),
        share=np.concatenate([share for _, share in lines])[:, None].astype(np.float32),
        starts=np.cumsum([0, *counts[:-1]]),
        ways=np.pad(out / np.linalg.norm(out, axis=1, keepdims=True), ((0, 0), (0, 1))).astype(np.float32),
    )


def _line(rest: Floats, first: Ints, second: Ints, middle: Doubles, target: Doubles) -> tuple[Ints, Doubles]:
    """Return where the skin's edges, from a first to a second vertex, cross the upright plane from the middle to a target.

    Returns:
        The vertices (2, N) of the edges, and how far each crossing is from the first to the second (N,).
    """
    reach = float(np.linalg.norm(target[:2] - middle))
    way = (target[:2] - middle) / reach
    off = (rest[:, :2] - middle) @ [-way[1], way[0]]
    crossed = np.flatnonzero((off[first] < 0) != (off[second] < 0))
    a, b = first[crossed], second[crossed]
    share = off[a] / (off[a] - off[b])
    place = rest[a] + (rest[b] - rest[a]) * share[:, None]
    kept = ((place[:, :2] - middle) @ way > INWARDS * reach) & (place[:, 2] > target[2])
    return np.stack([a[kept], b[kept]]), share[kept]


def _steps(edge: Doubles) -> Doubles:
    """Return half the points of an edge (N, 2), from its begin to its end in steps of one length: (9, 2)."""
    smooth = np.pad(edge, ((2, 2), (0, 0)), mode="edge")
    smooth = (smooth[:-4] + smooth[1:-3] + smooth[2:-2] + smooth[3:-1] + smooth[4:]) / 5
    smooth[0], smooth[-1] = edge[0], edge[-1]
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(smooth, axis=0), axis=1))])
    wanted = np.linspace(0, length[-1], POINTS // 2 + 1)
    return np.stack([np.interp(wanted, length, column) for column in smooth.T], 1)
