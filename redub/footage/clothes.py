"""clothes: shoulders and what they wear, as one sheet around the body and a collar, with colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from redub.types import Doubles, Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Clothes:
    """Triangles with a colour each; the body stands still."""

    places: Floats
    """(V, 3) of the kit's units."""
    corners: Ints
    """(3, Q)."""
    colour: Floats
    """(Q, 3) linear RGB."""
    shade: Floats
    """(Q,) how open to the sky."""


def torso(columns: int = 241, rows: int = 90) -> tuple[Doubles, Doubles, Doubles]:
    """Return places (rows, columns, 3) around shoulders and chest, and around (angle) and down (0 to 1) at each."""
    from scipy.interpolate import PchipInterpolator

    around, down = np.meshgrid(np.linspace(0, 2 * np.pi, columns), np.linspace(0, 1, rows))
    s = np.linspace(0, 1, 8)
    side = [(6.5, -10.6), (8.6, -11.9), (12.5, -13.2), (17, -14.9), (20.6, -17.2), (22.8, -22), (23.6, -30), (24.2, -45)]
    front = [(5.9, -14.9), (7.0, -16.6), (8.0, -19), (8.7, -22), (9.2, -26), (9.4, -31), (9.5, -37), (9.5, -45)]
    back = [(6.4, -9.6), (7.6, -11.4), (8.6, -14), (9.2, -18), (9.4, -22), (9.4, -28), (9.4, -36), (9.4, -45)]
    curve = {name: PchipInterpolator(s, line)(down) for name, line in (("side", side), ("front", front), ("back", back))}
    cos, sin = np.cos(around), np.sin(around)
    depth = np.where(sin > 0, curve["front"][..., 0], curve["back"][..., 0])
    height = curve["side"][..., 1] * cos**2 + np.where(sin > 0, curve["front"][..., 1], curve["back"][..., 1]) * sin**2
    square = 1 - 0.22 * np.clip(down * 3, 0, 1)
    x = curve["side"][..., 0] * np.sign(cos) * np.abs(cos) ** square
    z = -0.9 + depth * np.sign(sin) * np.abs(sin) ** square
    folds = 0.22 * np.sin(around * 7 + 9 * down) * np.sin(down * 14 + np.cos(around * 3)) * np.clip(down * 4 - 0.4, 0, 1)
    return np.stack([x, height + folds * 0.3, z + folds], -1), around, down


def ring_tube(ring: Doubles, thick: float = 0.55, tall: float = 0.85, turns: int = 25) -> tuple[Doubles, Doubles]:
    """Return a rolled collar (turns, columns, 3) along a ring (columns, 3), and the angle (turns,) around the roll."""
    turn = np.linspace(0, 2 * np.pi, turns)
    out = ring - ring.mean(0)
    out[:, 1] = 0
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    up = np.array([0, 1.0, 0])
    rise = (tall * np.sin(turn) + 0.1 * tall / 0.85)[:, None, None] * up
    return ring[None] + thick * np.cos(turn)[:, None, None] * out[None] + rise, turn


def dress(chance: np.random.Generator) -> Clothes:
    """Return what somebody wears today."""
    places, around, down = torso(181, 70)
    places = places * [chance.uniform(0.86, 1.02), 1, 1] + [0, chance.uniform(-1.2, 0.2), 0]
    sheet = _colours(chance, around, down)
    parts = [(places, sheet, 0.35 + 0.65 * np.clip(down * 9, 0, 1))]
    if chance.random() < 0.75:
        tube, turn = ring_tube(places[0], chance.uniform(0.25, 0.6), chance.uniform(0.35, 1.3), 17)
        plain = np.broadcast_to(sheet[0, :1] * chance.uniform(0.6, 1.2), tube.shape)
        shade = np.clip(0.75 + 0.25 * np.cos(turn), 0.4, 1)[:, None] * np.ones(len(places[0]))
        parts.append((tube[:, ::-1], plain, shade))
    flat = [_sheet(*part) for part in parts]
    counts = np.cumsum([0] + [len(part[0]) for part in flat])
    return Clothes(
        places=np.concatenate([part[0] for part in flat]).astype(np.float32),
        corners=np.concatenate([part[1] + count for part, count in zip(flat, counts, strict=False)], 1),
        colour=np.concatenate([part[2] for part in flat]).astype(np.float32),
        shade=np.concatenate([part[3] for part in flat]).astype(np.float32),
    )


def _colours(chance: np.random.Generator, around: Doubles, down: Doubles) -> Doubles:
    kind = chance.integers(5)
    base, other = (chance.uniform(0.01, 0.5) * (0.4 + 0.6 * chance.random(3)) for _ in range(2))
    share: Any = np.zeros_like(down)
    if kind == 1:
        share = (np.sin(down * chance.uniform(60, 220)) > chance.uniform(-0.3, 0.8)) * 1.0
    elif kind == 2:
        share = (np.sin(around * chance.integers(20, 70)) > 0.5) * 1.0
    elif kind == 3:
        share = 0.5 * (np.sin(down * 90) > 0) + 0.5 * (np.sin(around * 30) > 0)
    elif kind == 4 and chance.random() < 0.7:
        # An open jacket over a shirt.
        share = (np.abs(around - np.pi / 2) < 0.10 + 0.28 * (1 - down)) * 1.0
    mottled = 1 + 0.06 * chance.standard_normal(down.shape)
    return np.asarray((base + (other - base) * share[..., None]) * mottled[..., None])


def _sheet(places: Doubles, colour: Doubles, shade: Doubles) -> tuple[Doubles, Ints, Doubles, Doubles]:
    rows, columns = places.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    corners = np.concatenate([np.stack([a, b, c]).reshape(3, -1), np.stack([b, d, c]).reshape(3, -1)], 1)
    return places.reshape(-1, 3), corners, colour.reshape(-1, 3)[corners].mean(0), shade.reshape(-1)[corners].mean(0)
