"""skin: a person -> the picture in which all their colours are looked up.

Colours are kept as the square roots of linear light, which gives dark tones enough of eight bits; the fourth channel is
gloss, for hair how tall a strand is.
"""

from __future__ import annotations

import numpy as np

from redub.faces.cv import load_cv
from redub.footage import atlas
from redub.footage.chart import Chart
from redub.footage.person import Person
from redub.types import RGB, Doubles, Floats

Chance = np.random.Generator


def paint_atlas(person: Person, chart: Chart) -> RGB:
    """Paint a person.

    Returns:
        (H, W, 4) uint8: square roots of linear RGB, and gloss.
    """
    chance = np.random.default_rng(person.paint_seed)
    picture = np.zeros((atlas.HEIGHT, atlas.WIDTH, 4), np.float32)
    for tile, part in (
        (atlas.FACE, _face(person, chart, chance)),
        (atlas.BACK, _plain(person, chance)),
        (atlas.EYE, _eye(person, chance)),
        (atlas.TEETH, _teeth(person, chance)),
        (atlas.GUMS, _gums(person, chance)),
        (atlas.STRANDS, _strands(person, chance)),
    ):
        left, top, side = tile
        picture[top : top + side, left : left + side] = part
    np.clip(picture, 0, 1, out=picture)
    picture[..., :3] = np.sqrt(picture[..., :3])
    return np.asarray(picture * 255 + 0.5, np.uint8)


def cloud(chance: Chance, side: int, cells: float, octaves: int = 1, fall: float = 0.5) -> Floats:
    """Return soft noise (S, S) of mean 0 and spread about 1, with so many cells along a side."""
    cv = load_cv()
    total, weight, power = np.zeros((side, side), np.float32), 1.0, 0.0
    for _ in range(octaves):
        count = min(max(int(cells), 2), side)
        grid = chance.standard_normal((count, count), np.float32)
        total += weight * cv.resize(grid, (side, side), interpolation=cv.INTER_CUBIC)
        power, weight, cells = power + weight**2, weight * fall, cells * 2.1
    return np.asarray(total * (1.25 / np.sqrt(power)), np.float32)


def _mix(picture: Floats, colour: Doubles | Floats, share: Floats) -> None:
    """Lay a colour over a picture (S, S, 3) in place."""
    picture += (np.asarray(colour, np.float32) - picture) * share[..., None]


def _tint(picture: Floats, factor: tuple[float, float, float], share: Floats) -> None:
    picture *= 1 + (np.asarray(factor, np.float32) - 1) * share[..., None]


def _face(person: Person, chart: Chart, chance: Chance) -> Floats:
    side = atlas.FACE[2]
    pale = float(np.clip(person.skin[0] / 0.6, 0.25, 1))
    uneven = 0.6 + 0.9 * person.age
    tone = 1 + uneven * (0.035 * cloud(chance, side, 7, 3) + 0.022 * cloud(chance, side, 60, 2))
    red = uneven * 0.03 * cloud(chance, side, 14, 3) * pale
    skin = np.empty((side, side, 3), np.float32)
    for channel, share in enumerate((0.25, -1.0, -1.0)):
        skin[..., channel] = person.skin[channel] * tone * (1 + share * red)
    _tint(skin, (1.03, 0.83, 0.82), chart.blush * person.blush * 0.7 * pale)
    _tint(skin, (1.02, 0.84, 0.82), chart.nose * person.blush * 0.7 * pale)
    _tint(skin, (1.02, 0.80, 0.76), chart.ears * pale)
    _tint(skin, (0.80, 0.74, 0.77), chart.under_eyes * (0.25 + 0.6 * person.age))
    _freckles(skin, person, chart, chance)
    # Pores: a little shade that is finer than the mesh.
    grain = cloud(chance, side, 330) * 0.018 + cloud(chance, side, 760) * 0.014
    skin *= (1 + uneven * grain)[..., None]
    gloss = np.full((side, side), 0.26, np.float32) * person.gloss
    gloss *= np.clip(1 + 0.12 * cloud(chance, side, 50, 2), 0.5, 1.6) * (1 + 0.6 * chart.nose)
    _whiskers(skin, gloss, person, chart, chance)
    lips = chart.lips * (0.72 + 0.28 * person.lipstick)
    streaks = 1 + 0.07 * load_cv().resize(chance.standard_normal((40, 300), np.float32), (side, side))
    skin += (person.lips.astype(np.float32) * streaks[..., None] - skin) * lips[..., None]
    gloss += chart.lips * (0.10 + 0.15 * person.lipstick)
    if person.lipstick:
        _tint(skin, (0.72, 0.62, 0.62), chart.crease * 0.7)
    _brows(skin, gloss, person, chart, chance)
    _mix(skin, np.array([0.012, 0.009, 0.008]), chart.lashes * person.lash)
    return np.concatenate([skin, gloss[..., None]], -1)


def _freckles(skin: Floats, person: Person, chart: Chart, chance: Chance) -> None:
    cv = load_cv()
    side = len(skin)
    spots = np.zeros((side, side), np.uint8)
    count = int(30 + 900 * person.freckles)
    places = np.stack([chance.normal(side / 2, side * 0.13, count), chance.normal(side * 0.4, side * 0.09, count)], 1)
    for (x, y), depth in zip(np.rint(places * 16).astype(int), chance.uniform(30, 150, count), strict=True):
        cv.circle(spots, (int(x), int(y)), int(chance.uniform(8, 26)), int(depth), -1, cv.LINE_AA, 4)
    moles = np.zeros((side, side), np.uint8)
    for x, y in chance.uniform(0.22, 0.78, (int(chance.integers(1, 7)), 2)) * side:
        cv.circle(moles, (int(x * 16), int(y * 16)), int(chance.uniform(18, 38)), 220, -1, cv.LINE_AA, 4)
    share = cv.GaussianBlur(spots, (0, 0), 1.0).astype(np.float32) / 255
    _tint(skin, (0.62, 0.48, 0.40), share * (1 - chart.lips))
    _tint(skin, (0.42, 0.34, 0.32), cv.GaussianBlur(moles, (0, 0), 0.8).astype(np.float32) / 255)


def _whiskers(skin: Floats, gloss: Floats, person: Person, chart: Chart, chance: Chance) -> None:
    """Darken where a beard is shaved or grows; a full one gets its length from shells of hair."""
    side = len(skin)
    where = np.maximum(chart.beard * person.beard, chart.moustache * person.moustache)
    if not where.any():
        return
    dots = np.clip(0.8 + 0.28 * cloud(chance, side, 380) + 0.2 * cloud(chance, side, 20, 2), 0.2, 1.3)
    share = np.clip(where * (0.35 + 0.75 * np.clip((where - 0.3) * 2, 0, 1)) * dots, 0, 0.95)
    _mix(skin, person.hair * 0.55 + person.skin * 0.10, share)
    gloss *= 1 - 0.6 * np.clip(where, 0, 1)


def _brows(skin: Floats, gloss: Floats, person: Person, chart: Chart, chance: Chance) -> None:
    cv = load_cv()
    side = len(skin)
    mask = np.zeros((side, side), np.uint8)
    wide = side * 0.0145 * (0.6 + 0.4 * person.brow_weight)
    lift, arch = chance.normal(0, 1.2), chance.normal(0, 1.5)
    for number, line in enumerate(chart.brows):
        inwards = 1 if number == 0 else -1
        t = np.sort(chance.uniform(0.0, 1.0, int(300 * person.brow_weight)))
        along = np.stack([np.interp(t * 4, range(5), line[:, i]) for i in range(2)], 1)
        along[:, 1] += wide * 0.35 - lift - arch * np.sin(np.pi * t)
        thick = wide * np.clip(0.30 + 1.5 * t, 0, 1) * np.clip((1.02 - t) * 7, 0.35, 1)
        across = chance.uniform(-1, 1, len(t))
        start = along + np.stack([np.zeros_like(t), across * thick], 1)
        # From the nose outwards hairs lie flatter and flatter; those below point up, those above down.
        angle = np.interp(t, [0, 0.75, 1], [0.10, 0.35, 1.25]) * np.where(across > 0, 1, 0.4) + chance.normal(0, 0.12, len(t))
        length = chance.uniform(0.7, 1.25, len(t)) * wide * 0.95
        end = start + np.stack([-inwards * np.cos(angle), -np.sin(angle)], 1) * length[:, None]
        for a, b, depth in zip(start, end, chance.uniform(110, 220, len(t)), strict=True):
            fixed = [tuple(int(v) for v in np.rint(p * 16)) for p in (a, b)]
            cv.line(mask, *fixed, int(depth), 1, cv.LINE_AA, 4)
    strong = float(np.clip(0.75 + 0.3 * person.brow_weight, 0.6, 1.2))
    soft = cv.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32) / 255 + 0.45 * cv.GaussianBlur(mask, (0, 0), 3.0).astype(np.float32) / 255
    share = np.clip(soft * strong, 0, 0.96)
    _mix(skin, person.brows, share)
    gloss *= 1 - 0.7 * share


def _plain(person: Person, chance: Chance) -> Floats:
    side = atlas.BACK[2]
    tone = 1 + 0.04 * cloud(chance, side, 9, 3)
    return np.concatenate([person.skin.astype(np.float32) * tone[..., None], np.full((side, side, 1), 0.22, np.float32)], -1)


def _eye(person: Person, chance: Chance) -> Floats:
    side = atlas.EYE[2]
    cv = load_cv()
    y, x = (np.mgrid[0:side, 0:side].astype(np.float32) + 0.5) / side * 2 - 1
    out = np.clip(np.hypot(x, y), 0, 1)
    white = np.empty((side, side, 3), np.float32)
    white[:] = np.array([0.60, 0.55, 0.52]) * chance.uniform(0.85, 1.1)
    _tint(white, (1.0, 0.80, 0.76), np.clip((np.abs(x) - 0.42) / 0.4, 0, 1))
    _tint(white, (1.0, 0.80, 0.78), np.clip(cloud(chance, side, 22, 3) - 0.6, 0, 1) * np.float32(0.5))
    rays = cv.resize(chance.standard_normal((3, 90), np.float32), (512, 64), interpolation=cv.INTER_LINEAR)
    turn = ((np.arctan2(y, x) / (2 * np.pi) + 0.5) * 511).astype(int)
    fibre = rays[np.clip((out / 0.46 * 63).astype(int), 0, 63), turn]
    iris = person.iris.astype(np.float32) * (1 + 0.30 * fibre + 0.6 * np.clip((0.26 - out) / 0.12, 0, 1))[..., None]
    _tint(iris, (0.16, 0.16, 0.16), np.clip((out - 0.355) / 0.07, 0, 1))
    size = float(chance.uniform(0.13, 0.19))
    iris *= np.clip((out - size) / 0.025, 0, 1)[..., None]
    white += (iris - white) * np.clip((0.445 - out) / 0.035, 0, 1)[..., None]
    return np.concatenate([white, np.full((side, side, 1), 0.9, np.float32)], -1)


def _teeth(person: Person, chance: Chance) -> Floats:
    side = atlas.TEETH[2]
    tone = 1 + 0.05 * cloud(chance, side, 12, 2)
    return np.concatenate([person.teeth.astype(np.float32) * tone[..., None], np.full((side, side, 1), 0.5, np.float32)], -1)


def _gums(person: Person, chance: Chance) -> Floats:
    side = atlas.GUMS[2]
    pink = np.array([0.34, 0.11, 0.10]) * float(np.clip(person.skin[0] / 0.5, 0.6, 1.05)) * chance.uniform(0.85, 1.15)
    tone = 1 + 0.12 * cloud(chance, side, 24, 3)
    return np.concatenate([pink.astype(np.float32) * tone[..., None], np.full((side, side, 1), 0.5, np.float32)], -1)


def _strands(person: Person, chance: Chance) -> Floats:
    """Paint hair as it lies: strands run down the tile, and are the shorter lumps the more they curl."""
    side = atlas.STRANDS[2]
    cv = load_cv()
    tall = max(4, int(6 + 90 * person.curl**1.5))
    fine = cv.resize(_tiling(chance, (tall, 230)), (side, side), interpolation=cv.INTER_LINEAR)
    coarse = cv.resize(_tiling(chance, (max(3, tall // 3), 48)), (side, side), interpolation=cv.INTER_CUBIC)
    height = np.clip(0.55 + 0.16 * fine + 0.17 * coarse, 0.05, 1)
    shade = np.clip(0.95 + 0.26 * fine + 0.20 * coarse, 0.3, 2)
    colour = person.hair.astype(np.float32) * shade[..., None]
    return np.concatenate([colour, height[..., None].astype(np.float32)], -1)


def _tiling(chance: Chance, size: tuple[int, int]) -> Floats:
    """Return noise whose last row and column are its first ones."""
    noise = chance.standard_normal(size, np.float32)
    noise[-1], noise[:, -1] = noise[0], noise[:, 0]
    return noise
