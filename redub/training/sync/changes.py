"""changes: a clip of mouths, its sound -> the same as of another face, camera, voice and room.

The few speakers of a small training set are soon known by heart; what is changed at random cannot be.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from redub.faces.cv import load_cv
from redub.speech.sync_features import BANDS, HIGHEST_HZ, LOWEST_HZ, LUMA, MOUTH, MOUTH_SIZE, WIDE
from redub.training.sync.recipe import PictureSettings, ShapeSettings, SoundSettings
from redub.types import RGB, Doubles, Floats

HEIGHT, WIDTH = MOUTH_SIZE
MIDDLE = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
WIDE_MIDDLE = MIDDLE + np.array([MOUTH[0] - WIDE[0], MOUTH[1] - WIDE[1]])
FIELD = (4, 5)
"""Places down and across at which a field of displacements is drawn."""
WOBBLE = 0.006
"""Spread of the angle and of the logarithm of the scale of each picture for itself."""


def plain_mouths(wide: RGB) -> RGB:
    """Return what the network sees of unchanged pictures: (T, 68, 80, 3) -> (T, 56, 64) grey."""
    left, top = MOUTH[0] - WIDE[0], MOUTH[1] - WIDE[1]
    colours = wide[:, top : top + HEIGHT, left : left + WIDTH].astype(np.float32)
    return np.rint(colours @ np.array(LUMA, np.float32)).astype(np.uint8)


def changed_mouths(wide: RGB, settings: PictureSettings, random: np.random.Generator) -> RGB:
    """Return a clip as of another face and camera: (T, 68, 80, 3) -> (T, 56, 64) grey."""
    cv2 = load_cv()
    weights = np.maximum(np.array(LUMA) + random.normal(0, settings.mix, 3), 0) + 1e-3
    weights = (weights / weights.sum()).astype(np.float32)[None]
    matrices = _matrices(len(wide), settings, random)
    field = _field(settings, random)
    table = _table(settings, random)
    blur = float(random.uniform(0.4, 1.3)) if random.random() < settings.blur else 0.0
    grain = float(random.uniform(2, 8)) if random.random() < settings.noise else 0.0
    patch = _patch(random) if random.random() < settings.erase else None
    result = np.empty((len(wide), HEIGHT, WIDTH), np.uint8)
    for picture, matrix, target in zip(wide, matrices, result, strict=True):
        grey = cv2.warpAffine(
            cv2.transform(picture, weights), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        if field is not None:
            grey = cv2.remap(grey, *field, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        grey = cv2.LUT(grey, table)
        if blur:
            grey = cv2.GaussianBlur(grey, (5, 5), blur)
        if grain:
            coarse = random.normal(0, grain, (HEIGHT // 2, WIDTH // 2)).astype(np.float32)
            grey = np.clip(grey + cv2.resize(coarse, (WIDTH, HEIGHT)), 0, 255)
        target[:] = grey
    if patch is not None:
        result[:, patch[0], patch[1]] = random.integers(256)
    return result


def changed_shapes(shapes: Floats, settings: ShapeSettings, random: np.random.Generator) -> Floats:
    """Return landmarks as of another face: (T, 65) -> the same, what is steady in them taken off."""
    moved = shapes - shapes.mean(axis=0)
    sizes = np.exp(random.normal(0, settings.scale) + random.normal(0, settings.each, shapes.shape[1]))
    return np.asarray(moved * sizes + random.normal(0, settings.jitter, shapes.shape), np.float32)


def changed_bands(bands: Floats, settings: SoundSettings, random: np.random.Generator) -> Floats:
    """Return sound as of another voice, microphone and room: (M, 40) logarithms of power -> (M, 40)."""
    bands = _with_tract(bands, float(np.exp(random.normal(0, settings.tract))))
    across = np.linspace(0, 1, BANDS)
    bands = bands + np.interp(across, np.linspace(0, 1, 7), random.normal(0, settings.tone, 7)).astype(np.float32)
    if random.random() < settings.noise:
        loud = bands.max(axis=1)
        speech = bands[loud >= np.quantile(loud, 0.95) - 7].mean()
        far = random.uniform(min(settings.loudest, settings.faintest), max(settings.loudest, settings.faintest))
        slope = np.interp(across, np.linspace(0, 1, 5), random.normal(0, 1.5, 5))
        # The logarithm of a noise's power in a band of some width trembles about so much.
        noise = speech - far + slope + 0.5 * random.gumbel(size=bands.shape)
        bands = np.logaddexp(bands, noise).astype(np.float32)
    return bands


def _matrices(count: int, settings: PictureSettings, random: np.random.Generator) -> Doubles:
    """Return where the wide picture comes to lie in each picture: (T, 2, 3)."""
    own = settings.scale / 2
    sizes = np.exp(random.normal(0, settings.scale * 0.75) + random.normal(0, own, 2))
    shear, angle = random.normal(0, settings.angle, 2)
    stretch = np.array([[sizes[0], shear], [0.0, sizes[1]]]) @ np.diag([-1.0 if settings.flip and random.random() < 0.5 else 1.0, 1.0])
    trembles = 1.0 if settings.jitter_px else 0.0
    angles = angle + trembles * random.normal(0, WOBBLE, count)
    scales = np.exp(trembles * random.normal(0, WOBBLE, count))
    cosine, sine = scales * np.cos(angles), scales * np.sin(angles)
    turns = np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1) @ stretch
    shifts = MIDDLE + random.normal(0, settings.shift_px, 2) + random.normal(0, settings.jitter_px, (count, 2))
    return np.concatenate([turns, (shifts - turns @ WIDE_MIDDLE)[..., None]], axis=2)


def _field(settings: PictureSettings, random: np.random.Generator) -> tuple[Floats, Floats] | None:
    if not settings.warp_px:
        return None
    cv2 = load_cv()
    steps = random.normal(0, settings.warp_px, (2, *FIELD)).astype(np.float32)
    moved_x, moved_y = (cv2.resize(one, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for one in steps)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return x + moved_x, y + moved_y


def _table(settings: PictureSettings, random: np.random.Generator) -> Any:
    """Return what each grey level becomes: (256,) uint8."""
    gamma, contrast = np.exp(random.normal(0, settings.gamma)), np.exp(random.normal(0, settings.contrast))
    levels = 255 * np.linspace(0, 1, 256) ** gamma * contrast + random.normal(0, settings.brightness)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def _patch(random: np.random.Generator) -> tuple[slice, slice]:
    """Return rows and columns of a patch at the left or right edge, where no mouth is."""
    height, width = int(random.integers(6, 21)), int(random.integers(6, 15))
    top, left = int(random.integers(0, HEIGHT - height)), int(random.choice([0, WIDTH - width]))
    return slice(top, top + height), slice(left, left + width)


def _with_tract(bands: Floats, factor: float) -> Floats:
    """Return sound whose formants lie higher by a factor; bands beyond the ends repeat the last one."""
    place = np.clip(_mel_place(_frequencies() / factor), 0, BANDS - 1)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, BANDS - 1)
    share = (place - below).astype(np.float32)
    return np.asarray(bands[:, below] * (1 - share) + bands[:, above] * share, np.float32)


@lru_cache(maxsize=1)
def _frequencies() -> Doubles:
    """Return the middle of each band in Hz: (40,)."""
    low, high = (1127 * np.log1p(edge / 700) for edge in (LOWEST_HZ, HIGHEST_HZ))
    return np.asarray(700 * np.expm1((low + (high - low) * np.arange(1, BANDS + 1) / (BANDS + 1)) / 1127), np.float64)


def _mel_place(frequencies_hz: Doubles) -> Doubles:
    """Return which band's middle a frequency is, with fractions."""
    low, high = (1127 * np.log1p(edge / 700) for edge in (LOWEST_HZ, HIGHEST_HZ))
    return np.asarray((1127 * np.log1p(frequencies_hz / 700) - low) / (high - low) * (BANDS + 1) - 1, np.float64)
