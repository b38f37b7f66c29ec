"""hair: a person's cut -> triangles that stand out of the scalp in shells, each with holes between its strands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from redub.footage import atlas
from redub.footage.kit import SKIN, Kit
from redub.footage.person import Person
from redub.types import Floats, Ints

SHELLS = (0.04, 0.45, 0.95)
_HEIGHT = {"short": (0.28, 0.75), "full": (0.7, 1.7), "medium": (0.95, 1.6), "long": (0.85, 1.35)}
"""Of the sides and of the top, in the kit's units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hair:
    """Triangles that turn with the head and never change their shape."""

    places: Floats
    """(V, 3)."""
    corners: Ints
    """(3, Q)."""
    chart: Floats
    """(2, 3, Q) px of the atlas."""
    layer: Floats
    """(Q,): 0 at the skin, 1 at the tips; strands that are shorter have a hole there."""
    density: Floats
    """(Q,): 0 nothing grows, 1 it grows thickly."""


def grows(kit: Kit, person: Person) -> Floats:
    """Return how thickly hair grows at each vertex (V,), 0 to 1; ears are left free."""
    x, y, z = kit.neutral.T
    if person.cut == "bald":
        return np.zeros(len(x), np.float32)
    back, waver = person.hairline
    front = np.interp(y, [-6, -5, -1, 0.2, 3.0, 5.0, 7.5, 9.2, 10.2, 11.2, 12.0], [-9, -4.6, -2.6, 1.5, 2.6, 3.6, 4.2, 5.6, 7.4, 9.0, 12])
    front = front - back * np.clip((y - 4.0) / 4.0, 0, 1) * (0.6 + 0.4 * np.abs(x) / 6)
    chance = np.random.default_rng(person.paint_seed + 1)
    a, b, c = chance.uniform(0, 6, 3)
    wave = waver * (0.28 * np.sin(x * 2.3 + a) + 0.2 * np.sin(x * 5.1 + b) + 0.2 * np.sin(y * 3.7 + c))
    thick = np.clip((front + wave - z) / 1.3, 0, 1) * np.clip((y + 5.6) / 1.6, 0, 1)
    is_ear = (y < 5.3) & (y > -4.5) & (z > -3.4) & (z < 3.2) & (np.abs(x) > np.interp(y, [-4, 0, 4, 5.3], [6.3, 7.2, 7.75, 8.2]))
    return np.asarray(np.where(is_ear | ~kit.is_skin, 0, thick), np.float32)


def grow(kit: Kit, person: Person, shape: Floats, growth: Floats, normals: Floats) -> Hair | None:
    """Return the hair of a person, or None where it is too short to stand out.

    Args:
        kit: Says where the scalp is.
        person: Says how the hair is cut.
        shape: (V, 3) the resting head.
        growth: (V,) from `grows`.
        normals: (V, 3).
    """
    if person.cut not in _HEIGHT:
        return None
    side, top = _HEIGHT[person.cut]
    scalp = kit.corners[:, (kit.part == SKIN) & (growth[kit.corners] > 0.01).any(0)]
    used, corners = np.unique(scalp, return_inverse=True)
    corners = corners.reshape(3, -1)
    rest, thick = kit.neutral[used], growth[used]
    above = np.clip((rest[:, 1] - 6.0) / 5.0, 0, 1)
    tall = (side + (top - side) * above) * np.clip(thick * 1.4, 0, 1)
    comb = np.stack(
        [0.75 * above * np.sign(rest[:, 0] - person.parting) + 0.15 * np.sign(rest[:, 0]), -0.55 + 0.35 * above, -0.55 - 0.1 * above], 1
    )
    comb *= 1 - 0.7 * person.curl
    out = normals[used]
    comb -= (comb * out).sum(1, keepdims=True) * out
    places, layers = [], []
    for layer in SHELLS:
        places.append(shape[used] + tall[:, None] * ((layer + 0.01) * out + layer * layer * comb))
        layers.append(np.full(corners.shape[1], layer, np.float32))
    chart = _chart(rest, person)[:, corners]
    # A triangle across the seam at the back would hold the whole tile.
    wraps = np.ptp(chart[0], axis=0) > 0.5 * atlas.STRANDS[2] * _AROUND
    chart[0] = np.where(wraps, chart[0] % (0.5 * atlas.STRANDS[2] * _AROUND), chart[0])
    count = len(used)
    shells = _Shells(
        np.concatenate(places), np.concatenate([corners + k * count for k in range(len(SHELLS))], 1),
        np.concatenate([chart] * len(SHELLS), 2), np.concatenate(layers), np.tile(thick[corners].mean(0), len(SHELLS)),
    )  # fmt: skip
    return shells.with_curtain(person, shape, kit).as_hair()


_AROUND = 4
"""How often the tile of strands stands around the head."""


def _chart(rest: Floats, person: Person) -> Floats:
    """Return where each place lies on the tile of strands: they run away from the crown."""
    side = atlas.STRANDS[2]
    crown = np.array([0.5 * person.parting, 3.5, -1.0 + 3.0 * (1 - person.curl) * (person.cut == "short")], np.float32)
    out = rest - crown
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    polar = np.arccos(np.clip(out[:, 1], -1, 1))
    around = np.arctan2(out[:, 0], out[:, 2]) / (2 * np.pi) + 0.5
    around = around + 0.012 * np.sin(polar * 9 + rest[:, 0])
    return np.stack([around * side * _AROUND, polar / np.pi * side * (1 + person.curl)]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Shells:
    places: Floats
    corners: Ints
    chart: Floats
    layer: Floats
    density: Floats

    def with_curtain(self, person: Person, shape: Floats, kit: Kit) -> _Shells:
        """Add what hangs down behind the ears: a sheet around the back of the head."""
        if person.cut not in ("medium", "long"):
            return self
        chance = np.random.default_rng(person.paint_seed + 2)
        down = chance.uniform(-9.5, -6.5) if person.cut == "medium" else chance.uniform(-19.0, -13.0)
        half = np.abs(shape[kit.is_skin & (np.abs(kit.neutral[:, 1] - 5) < 1), 0]).max()
        parts = [self, _curtain(half + 0.75, 1.57, float(down), person, chance)]
        counts = np.cumsum([0] + [len(part.places) for part in parts])
        return _Shells(
            np.concatenate([part.places for part in parts]),
            np.concatenate([part.corners + count for part, count in zip(parts, counts, strict=False)], 1),
            np.concatenate([part.chart for part in parts], 2),
            np.concatenate([part.layer for part in parts]),
            np.concatenate([part.density for part in parts]),
        )

    def as_hair(self) -> Hair:
        return Hair(places=self.places.astype(np.float32), corners=self.corners, chart=self.chart, layer=self.layer, density=self.density)


def _curtain(half: float, reach: float, bottom: float, person: Person, chance: np.random.Generator) -> _Shells:
    """Return one sheet; its front edge stands at an angle of ``reach`` from the back, at the temples."""
    columns, rows = 46, 22
    angle, fall = np.meshgrid(np.linspace(-reach, reach, columns), np.linspace(0, 1, rows))
    y = 8.5 + (bottom - 8.5) * fall
    wide = half * np.interp(y, [-19, -12, -6, 0, 5, 8.5], [1.10, 1.02, 0.97, 1.03, 1.04, 0.97])
    wave = 1 + (0.03 + 0.05 * person.curl) * np.sin(y * (0.5 + 1.6 * person.curl) + 5 * np.sin(angle * 3)) * fall
    edge = np.clip((np.abs(angle) / reach - 0.8) / 0.2, 0, 1)
    x = wide * wave * np.sin(angle) * (1 - 0.06 * edge * fall)
    z = -0.6 - wide * 1.02 * np.cos(angle) + 1.6 * edge * np.clip((y + 2) / 8, 0, 1) + chance.normal(0, 0.04, x.shape)
    places = np.stack([x, y, z], -1).reshape(-1, 3)
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    corners = np.concatenate([np.stack([a, c, b]).reshape(3, -1), np.stack([b, c, d]).reshape(3, -1)], 1)
    side = atlas.STRANDS[2]
    chart = np.stack([(angle / (2 * np.pi) + 0.5) * side * _AROUND, fall * side * (1 + person.curl)]).reshape(2, -1)
    ends = np.clip((fall - 0.9) / 0.1, 0, 1).reshape(-1)[corners].mean(0)
    layer = np.maximum(0.15 + 0.75 * ends, 0.5 * edge.reshape(-1)[corners].mean(0))
    # Sheets are seen from both sides; runs are drawn of what faces the camera only.
    both = np.concatenate([corners, corners[[0, 2, 1]]], 1)
    return _Shells(
        places.astype(np.float32),
        both,
        chart.astype(np.float32)[:, both],
        np.tile(layer, 2).astype(np.float32),
        np.ones(both.shape[1], np.float32),
    )
