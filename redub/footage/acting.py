"""acting: what a mouth says -> the whole face and how the head is held, frame by frame."""

from __future__ import annotations

import numpy as np

from redub.footage.drawing import Poses
from redub.footage.kit import Kit
from redub.footage.lips import CONTROLS
from redub.footage.person import Person
from redub.types import Doubles, Floats

Chance = np.random.Generator


def act(  # noqa: PLR0913  each of them is the caller's to say
    kit: Kit, person: Person, mouth: Doubles, times_s: Doubles, facing: tuple[float, float], sway_px: float, chance: Chance
) -> tuple[Floats, Poses]:
    """Return expression weights (T, E) and poses: speech, blinks, glances, brows and small movements.

    Args:
        kit: Names the expressions.
        person: Whose habits they are.
        mouth: (T, 10) of `lips.CONTROLS`.
        times_s: (T,).
        facing: (yaw, pitch) rad in which the head is mostly held.
        sway_px: How far the camera moves.
        chance: Decides the rest.
    """
    weights = np.zeros((len(times_s), len(kit.names)))

    def add(name: str, values: Doubles | float, lean: float = 0.0) -> None:
        for suffix, side in (("", 0), ("_L", 1), ("_R", -1)):
            if name + suffix in kit.names:
                weights[:, kit.names.index(name + suffix)] += values * (1 + lean * side)

    for column, name in enumerate(CONTROLS):
        add(name, mouth[:, column], person.asymmetry)
    effort = _smooth(np.abs(np.gradient(mouth[:, 0], times_s) if len(times_s) > 1 else 0 * times_s), times_s, 0.25)
    effort /= max(float(effort.max()), 0.5)
    blink = _blinks(times_s, chance)
    add("eyeBlink", blink)
    add("browDown", 0.12 * blink)
    lively = chance.uniform(0.1, 0.9)
    lift = lively * np.clip(effort + 0.4 * _drift(chance, times_s, 0.5), 0, 1.2)
    add("browInnerUp", 0.5 * lift)
    add("browOuterUp", 0.45 * lift)
    add("browDown", chance.choice([0.0, chance.uniform(0, 0.5)], p=[0.7, 0.3]))
    mood = person.smile + chance.normal(0, 0.05)
    add("mouthSmile" if mood > 0 else "mouthFrown", abs(mood) * (1 - 0.5 * mouth[:, 4]), person.asymmetry)
    add("cheekSquint", max(mood, 0.0) * 0.8)
    add("eyeWide", chance.uniform(0, 0.3))
    add("eyeSquint", chance.uniform(0, 0.3))
    across, up = _glances(times_s, chance)
    for name, values in (
        ("eyeLookOut_L", across), ("eyeLookIn_R", across), ("eyeLookIn_L", -across), ("eyeLookOut_R", -across),
        ("eyeLookUp", up), ("eyeLookDown", -up),
    ):  # fmt: skip
        add(name, np.clip(values, 0, 0.8))
    return weights.astype(np.float32), _move(effort, times_s, facing, sway_px, chance)


def _move(effort: Doubles, times_s: Doubles, facing: tuple[float, float], sway_px: float, chance: Chance) -> Poses:
    calm = chance.uniform(0.3, 1.3)
    wide, quick = (_drift(chance, times_s, 0.8) for _ in range(2))
    nods = 0.035 * calm * (effort - effort.mean()) + 0.030 * calm * _drift(chance, times_s, 0.45)
    sway = np.stack([_drift(chance, times_s, 0.5), _drift(chance, times_s, 0.5)], 1) * sway_px
    return Poses(
        yaw=facing[0] + calm * (0.055 * wide + 0.015 * quick), pitch=facing[1] + nods,
        roll=chance.normal(0, 0.03) + calm * 0.022 * _drift(chance, times_s, 0.9),
        across=calm * 0.30 * _drift(chance, times_s, 0.9), up=calm * 0.16 * _drift(chance, times_s, 0.6), sway=sway,
    )  # fmt: skip


def _blinks(times_s: Doubles, chance: Chance) -> Doubles:
    blink = np.zeros(len(times_s))
    at = chance.uniform(-2, 3)
    while at < times_s[-1] + 0.2:
        since = times_s - at
        blink = np.maximum(blink, np.exp(-((since / np.where(since < 0, 0.05, 0.085)) ** 2)))
        at += 0.35 if chance.random() < 0.1 else chance.uniform(1.2, 5.0)
    return blink


def _glances(times_s: Doubles, chance: Chance) -> tuple[Doubles, Doubles]:
    """Return where the eyes look, across and up: they jump and rest; most of the time they meet the camera."""
    result = []
    jumps, at = [], 0.0
    while at < times_s[-1] + 1:
        jumps.append(at)
        at += chance.uniform(0.4, 2.2)
    which = np.searchsorted(jumps, times_s, side="right") - 1
    for reach in (0.22, 0.12):
        targets = chance.normal(0, reach, len(jumps)) * (chance.random(len(jumps)) < 0.6)
        result.append(_smooth(targets[which], times_s, 0.02))
    return result[0], result[1]


def _drift(chance: Chance, times_s: Doubles, spread_s: float) -> Doubles:
    """Return smooth noise (T,) of spread about 1."""
    step_s = times_s[1] - times_s[0] if len(times_s) > 1 else 0.04
    width = spread_s / step_s
    noise = chance.standard_normal(len(times_s) + 8 * int(width + 1))
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(noise, width) * np.sqrt(2 * np.sqrt(np.pi) * width)
    return np.asarray(smooth[4 * int(width + 1) :][: len(times_s)])


def _smooth(values: Doubles, times_s: Doubles, spread_s: float) -> Doubles:
    from scipy.ndimage import gaussian_filter1d

    step_s = times_s[1] - times_s[0] if len(times_s) > 1 else 0.04
    return np.asarray(gaussian_filter1d(values, max(spread_s / step_s, 0.3), mode="nearest"))
