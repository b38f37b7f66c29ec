"""scene: chance -> light, camera and what stands behind somebody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from redub.faces.cv import load_cv
from redub.footage.skin import cloud
from redub.types import RGB, Doubles, Floats

Chance = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A lamp, a second one, and what comes from everywhere; linear RGB."""

    key: Floats
    """(3,) the direction towards it, seen from the camera."""
    key_colour: Floats
    fill: Floats
    fill_colour: Floats
    ambient: Floats
    """(4, 3): all around, and how it grows along x, y and z: the first two bands of spherical harmonics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Where it stands and what it does to a picture."""

    distance: float
    """From the head, in the kit's units of 8 mm."""
    zoom: float
    """px of the picture for a unit at the head."""
    middle: tuple[float, float]
    """Where the head's middle is at rest, in shares of the picture's width and height."""
    tilt: float
    """How far above the head it stands, in radians."""
    exposure: float
    """Against one that makes the face as bright as faces mostly are."""
    tint: Floats
    """(3,) of the white balance."""
    contrast: float
    blur_px: float
    noise: float
    """Spread in levels of 255."""
    sway_px: float
    """A hand that holds it."""
    crf: float
    """Of the coding."""


def make_light(chance: Chance) -> Light:
    """Draw a light: daylight, a lamp, a studio, an office."""
    angle, height = chance.uniform(-1.25, 1.25), chance.uniform(-0.05, 0.95)
    key = np.array([np.sin(angle) * np.cos(height), np.sin(height), np.cos(angle) * np.cos(height)])
    other = np.clip(-np.sign(angle) * chance.uniform(0.3, 1.2), -1.3, 1.3)
    fill = np.array([np.sin(other), chance.uniform(-0.2, 0.4), np.cos(other)])
    hard = chance.beta(1.6, 1.6)
    warm = chance.normal(0, 0.09)
    tint = np.array([1 + warm, 1.0, 1 - warm])
    ambient = np.zeros((4, 3))
    ambient[0] = (1.05 - 0.65 * hard) * (1 + chance.normal(0, 0.06, 3))
    ambient[1:] = (
        ambient[0]
        * chance.normal(np.array([[0], [0.35], [0.15]]), np.array([[0.18], [0.15], [0.12]]))
        * (1 + chance.normal(0, 0.1, (3, 3)))
    )
    return Light(
        key=_unit(key), key_colour=np.asarray((0.5 + 1.6 * hard) * tint, np.float32),
        fill=_unit(fill), fill_colour=np.asarray(chance.uniform(0.05, 0.5) * (2 - tint) * (1 + chance.normal(0, 0.08, 3)), np.float32),
        ambient=ambient.astype(np.float32),
    )  # fmt: skip


def make_camera(chance: Chance, size_px: int) -> Camera:
    """Draw a camera; the face takes between a third and two thirds of the picture's height."""
    face = chance.uniform(0.34, 0.6)
    return Camera(
        distance=float(np.exp(chance.uniform(np.log(62), np.log(240)))),
        zoom=float(face * size_px / 16.5),
        middle=(float(chance.normal(0.5, 0.045)), float(np.clip(0.49 + chance.normal(0, 0.035), 0.42, 0.58))),
        tilt=float(chance.normal(0.0, 0.06)),
        exposure=float(np.exp(chance.normal(0, 0.16))),
        tint=np.asarray(1 + chance.normal(0, 0.035, 3), np.float32),
        contrast=float(chance.uniform(0.85, 1.2)),
        blur_px=float(chance.choice([0.0, chance.uniform(0.3, 0.9)], p=[0.45, 0.55])),
        noise=float(chance.choice([chance.uniform(0.3, 1.5), chance.uniform(1.5, 5.0)], p=[0.65, 0.35])),
        sway_px=float(chance.choice([0.0, chance.uniform(0.3, 1.6)], p=[0.7, 0.3])),
        crf=float(chance.uniform(17, 29)),
    )


def tone_curve(camera: Camera, light_on: Light, skin: Doubles) -> RGB:
    """Return what each of 4096 steps of linear light, up to 4, becomes in red, green and blue: (4096, 3) uint8.

    The camera measures the light that falls on a face, and half of what its skin makes of it.
    """
    falls = 0.45 * light_on.key_colour + 0.3 * light_on.fill_colour + 0.5 * light_on.ambient[0]
    meter = float((falls * skin**0.55).mean())
    light = (np.arange(4096) / 1023.75)[:, None] * camera.exposure * camera.tint * (0.42 / meter)
    light = light**camera.contrast * 0.92
    # A film's shoulder and toe.
    shown = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    return np.asarray(np.clip(shown, 0, 1) ** (1 / 2.2) * 255 + 0.5, np.uint8)


def make_wall(chance: Chance, size_px: int, light: Light) -> Floats:
    """Draw what stands behind: a wall, a room with things in it, trees, or lights, out of focus.

    Returns:
        (S, S, 3) linear RGB.
    """
    kind = chance.choice(["plain", "room", "noise", "lights"], p=[0.3, 0.4, 0.2, 0.1])
    wall = _gradient(chance, size_px)
    if kind == "room":
        _furnish(wall, chance)
    elif kind == "noise":
        greys = chance.uniform(0.02, 0.5, (3, 1))
        colours = greys * (1 + chance.uniform(-0.5, 0.5, (3, 3)) * chance.uniform(0.1, 1))
        for colour in colours:
            share = np.clip(0.5 + 0.5 * cloud(chance, size_px, chance.uniform(2, 12), 4, 0.6), 0, 1)
            wall += (colour.astype(np.float32) - wall) * share[..., None]
    elif kind == "lights":
        wall *= 0.3
        _hang_lights(wall, chance)
    soft = chance.uniform(0.0, 0.03) * size_px if kind in ("room", "lights") else chance.uniform(0, 0.01) * size_px
    if soft > 0.4:
        wall = load_cv().GaussianBlur(wall, (0, 0), float(soft))
    return np.asarray(wall * (0.55 + 0.35 * light.key_colour + 0.3 * light.ambient[0]), np.float32)


def _gradient(chance: Chance, size_px: int) -> Floats:
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32) / size_px
    grey = chance.beta(1.2, 1.6)
    colour = np.clip(grey * 0.7 * (1 + chance.normal(0, 0.22, 3)), 0.01, 0.9)
    slope = chance.normal(0, 0.35, 2)
    spot, wide = chance.uniform(0, 1, 2), chance.uniform(0.4, 1.2)
    light = (
        1
        + slope[0] * (x - 0.5)
        + slope[1] * (y - 0.5)
        + chance.uniform(0, 0.6) * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / wide**2)
    )
    texture = 1 + chance.uniform(0, 0.06) * cloud(chance, size_px, chance.uniform(20, 120), 3)
    return np.asarray(np.clip(light * texture, 0.05, 3)[..., None] * colour, np.float32)


def _furnish(wall: Floats, chance: Chance) -> None:
    """Put frames, windows, shelves with books, plants and edges of furniture on a wall."""
    cv = load_cv()
    size = len(wall)

    def at(low: float, high: float) -> int:
        return int(chance.uniform(low, high) * size)

    def some() -> tuple[float, ...]:
        return tuple(float(v) for v in chance.uniform(0.01, 0.65) * (0.4 + 0.6 * chance.random(3)))

    for _ in range(chance.integers(2, 9)):
        kind = chance.integers(5)
        x, y = at(-0.1, 1.0), at(-0.1, 0.9)
        wide, tall = at(0.06, 0.4), at(0.06, 0.45)
        if kind == 0:
            cv.rectangle(wall, (x, y), (x + wide, y + tall), some(), -1)
            cv.rectangle(wall, (x + 5, y + 5), (x + wide - 5, y + tall - 5), some(), -1)
        elif kind == 1:
            bright = float(chance.uniform(0.6, 2.2))
            cv.rectangle(wall, (x, y), (x + wide, y + tall), (bright, bright, bright * 1.05), -1)
            for k in range(1, 3):
                cv.line(wall, (x + wide * k // 3, y), (x + wide * k // 3, y + tall), some(), 3)
        elif kind == 2:
            _shelve(wall, (x, y + tall), (2 * wide, tall), some, chance)
        elif kind == 3:
            _plant(wall, (x, y + tall), chance)
        else:
            cv.ellipse(wall, (x, y), (wide // 2 + 1, tall // 2 + 1), float(chance.uniform(0, 180)), 0, 360, some(), -1)


def _shelve(wall: Floats, at: tuple[int, int], size: tuple[int, int], some: Callable[[], tuple[float, ...]], chance: Chance) -> None:
    """Put a shelf with books on a wall; ``at`` is its left end."""
    cv, (x, y) = load_cv(), at
    cv.rectangle(wall, (x, y), (x + size[0], y + 4), some(), -1)
    left = x
    while left < x + size[0]:
        thick = int(chance.uniform(0.012, 0.045) * len(wall))
        cv.rectangle(wall, (left, y - int(chance.uniform(0.5, 0.95) * size[1])), (left + thick - 1, y), some(), -1)
        left += thick


def _plant(wall: Floats, at: tuple[int, int], chance: Chance) -> None:
    cv = load_cv()
    green = (0.03 * float(chance.uniform(0.5, 2)), 0.12 * float(chance.uniform(0.5, 2)), 0.03)
    for angle in chance.uniform(-2.8, -0.3, 24):
        far = float(chance.uniform(0.05, 0.2) * len(wall))
        tip = (int(at[0] + far * np.cos(angle)), int(at[1] + far * np.sin(angle)))
        cv.line(wall, at, tip, green, int(chance.integers(2, 7)))


def _hang_lights(wall: Floats, chance: Chance) -> None:
    cv = load_cv()
    size = len(wall)
    for _ in range(chance.integers(10, 40)):
        colour = chance.uniform(0.2, 2.0) * (0.4 + 0.6 * chance.random(3))
        x, y = (chance.random(2) * size).astype(int)
        cv.circle(wall, (int(x), int(y)), int(chance.uniform(0.01, 0.06) * size), [float(v) for v in colour], -1, cv.LINE_AA)


def _unit(vector: Doubles) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
