"""vary: a drawn face -> a crop as a camera, a coder and the detector's box might give it.

The drawings are clean, lit well and framed exactly; the world is not.  What is learnt has to hold for both, so nearly everything
but the face's shape is left to chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from redub.faces.cv import load_cv
from redub.faces.follow import box_from_place
from redub.faces.geometry import similarity_from_points
from redub.faces.landmark_layers import CROP_PX
from redub.faces.landmark_net import LOWER, SPAN, mirrored, settled
from redub.types import Doubles, Floats

Chance = np.random.Generator


def place_of(points: Any) -> Doubles:
    """Return where the tracker would place a face: (middle x, middle y, side, roll) of the detector's box."""
    row = similarity_from_points(points)
    left, top, right, bottom = box_from_place(row)
    return np.array([(left + right) / 2, (top + bottom) / 2, right - left, row[1]])


def take(picture: Any, points: Any, place: Doubles, chance: Chance | None) -> tuple[Floats, Floats]:
    """Cut a face out, somewhat beside where it is.

    Args:
        picture: (S, S) uint8.
        points: (68, 2) px.
        place: From `place_of`.
        chance: None cuts it exactly and leaves it as it is.

    Returns:
        The crop (96, 96), settled, and the points in it, in px.
    """
    x, y, side, roll = place
    tilt, scale, shift, is_flipped = 0.0, 1.0, np.zeros(2), False
    if chance is not None:
        tilt = np.clip(chance.normal(0, 0.07 if chance.random() < 0.6 else 0.25), -0.6, 0.6)
        scale = np.exp(chance.normal(0, 0.06))
        shift = np.clip(chance.normal(0, 0.04, 2), -0.12, 0.12)
        is_flipped = chance.random() < 0.5
    ratio = CROP_PX / (SPAN * side * scale)
    cos, sin = ratio * np.cos(roll + tilt), ratio * np.sin(roll + tilt)
    turn = np.array([[cos, sin], [-sin, cos]])
    middle = np.array([x, y])
    to = np.array([CROP_PX - 1, CROP_PX - 1]) / 2 - np.array([0, LOWER * side * scale * ratio]) + shift * side * ratio
    matrix = np.column_stack([turn, to - turn @ middle])
    cv = load_cv()
    crop = cv.warpAffine(picture, matrix, (CROP_PX, CROP_PX), flags=cv.INTER_LINEAR, borderMode=cv.BORDER_REPLICATE)
    found = points @ turn.T + matrix[:, 2]
    if is_flipped:
        crop, found = np.ascontiguousarray(crop[:, ::-1]), (found * [-1, 1] + [CROP_PX - 1, 0])[mirrored()]
    if chance is not None:
        crop = spoil(crop, found, chance)
    return settled(crop), found.astype(np.float32)


def spoil(crop: Any, points: Any, chance: Chance) -> Any:
    """Paint the mouth anew, add glasses, hide something, light it otherwise, blur it, add noise, code it badly: each of them sometimes."""
    cv = load_cv()
    _paint_mouth(crop, points, chance)
    if chance.random() < 0.2:
        _put_glasses_on(crop, points, chance)
    if chance.random() < 0.35:
        _hide(crop, chance)
    light = crop.astype(np.float32) / 255
    if chance.random() < 0.7:
        light **= np.float32(np.exp(chance.normal(0, 0.35)))
    if chance.random() < 0.5:
        field = np.exp(chance.normal(0, 0.3, (3, 3))).astype(np.float32)
        light *= cv.resize(field, (CROP_PX, CROP_PX), interpolation=cv.INTER_CUBIC)
    if chance.random() < 0.5:
        light = cv.GaussianBlur(light, (0, 0), float(chance.uniform(0.3, 1.6)))
    if chance.random() < 0.15:
        light = _move(light, chance)
    if chance.random() < 0.2:
        side = int(chance.integers(40, CROP_PX))
        small = cv.resize(light, (side, side), interpolation=cv.INTER_AREA)
        light = cv.resize(small, (CROP_PX, CROP_PX), interpolation=cv.INTER_LINEAR)
    light = light * np.float32(np.exp(chance.normal(0, 0.25))) + np.float32(chance.normal(0, 0.06))
    if chance.random() < 0.6:
        light += chance.standard_normal(light.shape, np.float32) * np.float32(chance.exponential(0.02))
    levels = np.clip(light * 255, 0, 255).astype(np.uint8)
    if chance.random() < 0.4:
        coded = cv.imencode(".jpg", levels, [cv.IMWRITE_JPEG_QUALITY, int(chance.integers(15, 85))])[1]
        levels = cv.imdecode(coded, cv.IMREAD_GRAYSCALE)
    return levels


def _paint_mouth(crop: Any, points: Any, chance: Chance) -> None:
    """Give lips and what is between them another look.

    Drawn lips are as bright as the skin and what they open on is black.  In footage it is teeth above, often below as well, and
    a tongue; who has learnt that an open mouth is dark takes those for a mouth that is nearly closed.
    """
    outer, upper, lower = points[48:60], points[60:65], points[[60, 67, 66, 65, 64]]
    lips = _filled(outer) - _filled(np.concatenate([upper, lower[-2:0:-1]]))
    if chance.random() < 0.6:
        _lay_over(crop, np.maximum(lips, 0), crop * np.exp(chance.normal(-0.15, 0.2)))
    if chance.random() < 0.75:
        _open(crop, outer, upper, lower, chance)


def _open(crop: Any, outer: Any, upper: Any, lower: Any, chance: Chance) -> None:
    """Fill what the lips open on with the dark, a tongue and teeth."""
    skin = float(np.median(crop[_filled(outer) > 0.5])) if (_filled(outer) > 0.5).any() else 120.0
    _lay_over(crop, _filled(np.concatenate([upper, lower[-2:0:-1]])), skin * chance.uniform(0.1, 0.8))
    if chance.random() < 0.3:
        _lay_over(crop, _filled(_band(lower, upper, chance.uniform(0.2, 0.8))), skin * chance.uniform(0.5, 0.9))
    bright = skin * chance.uniform(0.7, 1.5)
    if chance.random() < 0.75:
        _lay_over(crop, _filled(_band(upper, lower, chance.uniform(0.15, 0.75))), bright)
    if chance.random() < 0.5:
        _lay_over(crop, _filled(_band(lower, upper, chance.uniform(0.1, 0.5))), bright * chance.uniform(0.7, 1.0))


def _band(near: Any, far: Any, share: float) -> Any:
    """Return the outline of what lies along one lip and reaches a share of the way to the other: (8, 2)."""
    reach = near + share * (far - near)
    return np.concatenate([near, reach[-2:0:-1]])


def _filled(outline: Any) -> Any:
    """Return how much of each pixel an outline covers: (96, 96)."""
    mask = np.zeros((CROP_PX, CROP_PX), np.uint8)
    load_cv().fillPoly(mask, np.rint(np.asarray(outline) * 8).astype(np.int32)[None], 255, load_cv().LINE_AA, 3)
    return mask.astype(np.float32) / 255


def _lay_over(crop: Any, mask: Any, shade: Any) -> None:
    crop[:] = np.clip(crop + mask * (shade - crop.astype(np.float32)), 0, 255).astype(np.uint8)


def _move(light: Any, chance: Chance) -> Any:
    """Blur along a line, as a head that moves."""
    length, angle = chance.uniform(2, 7), chance.uniform(0, np.pi)
    kernel = np.zeros((9, 9), np.float32)
    for at in np.linspace(-length / 2, length / 2, 15):
        kernel[round(4 + at * np.sin(angle)), round(4 + at * np.cos(angle))] += 1
    return load_cv().filter2D(light, -1, kernel / kernel.sum())


def _hide(crop: Any, chance: Chance) -> None:
    """Lay one or two things over a crop: hands, microphones, hair, whatever: grey, striped, or noise."""
    cv = load_cv()
    for _ in range(chance.integers(1, 3)):
        mask = np.zeros(crop.shape, np.uint8)
        middle = chance.integers(0, CROP_PX, 2).tolist()
        half = chance.integers(4, 22, 2).tolist()
        cv.ellipse(mask, middle, half, float(chance.uniform(0, 180)), 0, 360, 255, -1) if chance.random() < 0.6 else cv.rectangle(
            mask, [m - h for m, h in zip(middle, half, strict=True)], [m + h for m, h in zip(middle, half, strict=True)], 255, -1
        )
        cover = np.full(crop.shape, chance.uniform(0, 255), np.float32)
        if chance.random() < 0.5:
            rough = chance.uniform(-60, 60, (6, 6)).astype(np.float32)
            cover += cv.resize(rough, (CROP_PX, CROP_PX), interpolation=cv.INTER_LINEAR)
        crop[mask > 0] = np.clip(cover, 0, 255)[mask > 0]


def _put_glasses_on(crop: Any, points: Any, chance: Chance) -> None:
    cv = load_cv()
    eyes = [points[36:42].mean(0), points[42:48].mean(0)]
    line = eyes[1] - eyes[0]
    apart, angle = float(np.hypot(*line)), float(np.degrees(np.arctan2(line[1], line[0])))
    colour, thick = float(chance.choice([chance.uniform(0, 60), chance.uniform(60, 255)], p=[0.7, 0.3])), int(chance.integers(1, 4))
    wide, high = chance.uniform(0.30, 0.44) * apart, chance.uniform(0.22, 0.38) * apart
    drop = chance.uniform(-0.02, 0.12) * apart
    power = chance.choice([2.0, 4.0, 8.0])
    turn = np.linspace(0, 2 * np.pi, 32)
    ring = np.stack([wide * _root(np.cos(turn), power), high * _root(np.sin(turn), power) + drop], 1)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    ring = ring @ np.array([[cos, sin], [-sin, cos]])
    is_dark = chance.random() < 0.1
    for eye in eyes:
        outline = np.rint((eye + ring) * 8).astype(np.int32)[None]
        if is_dark:
            cv.fillPoly(crop, outline, float(chance.uniform(0, 50)), cv.LINE_AA, 3)
        cv.polylines(crop, outline, True, colour, thick, cv.LINE_AA, 3)
    inner = [eyes[0] + line / apart * wide, eyes[1] - line / apart * wide]
    outer = [(eyes[0] - line / apart * wide, points[0]), (eyes[1] + line / apart * wide, points[16])]
    for start, end in [tuple(inner), *outer]:
        cv.line(crop, np.rint(start * 8).astype(int).tolist(), np.rint(end * 8).astype(int).tolist(), colour, thick, cv.LINE_AA, 3)


def _root(values: Doubles, power: float) -> Doubles:
    return np.asarray(np.sign(values) * np.abs(values) ** (2 / power))
