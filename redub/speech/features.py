"""features: sound -> MFCC windows for Speech2Vid, placed at each frame's true time.

The recipe is that of the paper's authors: 13 MFCC from 40 mel filters between 300 and 3700 Hz, 100 a second, the first
one dropped (section 3.1).  It sums magnitudes where the usual libraries sum powers.  Two things differ:

- The windows are not taken from one grid of columns, whose nearest one may be 5 ms off: each is computed where it
  belongs, whatever the video's frame rate.
- Filter energies have a floor, since the logarithm of digital silence is no number.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from redub.errors import ShapeError
from redub.types import Doubles, Floats, Ints

RATE_HZ = 16_000
HOP, LENGTH, FFT = 160, 400, 512
"""10 ms, 25 ms, and the next power of two, in samples."""
COLUMNS, COEFFICIENTS = 35, 12
"""A window is 0.35 s long; of the 13 coefficients the last 12 are used."""
FILTERS, LOWEST_HZ, HIGHEST_HZ = 40, 300.0, 3700.0
LIFTER, EMPHASIS = 22, 0.97
INT16 = 32_768.0
"""Samples are scaled to the range of 16-bit sound before anything else."""
FLOOR = 1.0
"""Least energy of a filter: far below the faintest noise of a recording, and log 1 = 0."""
SPAN = (COLUMNS - 1) * HOP + LENGTH
"""Samples that one window covers; the one before it counts too, through the pre-emphasis."""


def speech_windows(speech: Floats, times_s: Doubles, *, warp: float = 1.0) -> Floats:
    """Return the MFCC window around each instant.

    Args:
        speech: (N,) mono at 16 kHz in -1..1; beyond its ends there is silence.
        times_s: (T,) middles of the windows, counted from the first sample.
        warp: Moves the mel filters to frequencies higher by this factor, as a shorter vocal tract would the voice's;
            for augmentation.

    Returns:
        (T, 12, 35): coefficients by columns, the earliest first.

    Raises:
        ShapeError: The speech is not one channel of numbers.
    """
    if speech.ndim != 1:
        raise ShapeError(f"Speech of shape {speech.shape} is not one channel.", "Mix it down to one channel first.")
    starts = np.rint(np.asarray(times_s, np.float64) * RATE_HZ - SPAN / 2).astype(np.int64)
    columns = starts[:, None] + HOP * np.arange(COLUMNS)
    # Neighbouring windows mostly share columns: each is worked out once.
    wanted, place = np.unique(columns, return_inverse=True)
    coefficients = mfcc_at(speech, wanted, warp=warp)[:, 1:]
    windows = coefficients[place.reshape(columns.shape)].transpose(0, 2, 1)
    return np.ascontiguousarray(windows, np.float32)


def mfcc_at(speech: Floats, starts: Ints, *, warp: float = 1.0) -> Doubles:
    """Return 13 MFCC of the 25 ms that begin at each of these samples: (N,), (M,) -> (M, 13)."""
    result = np.empty((len(starts), COEFFICIENTS + 1))
    for first in range(0, len(starts), 4096):
        block = starts[first : first + 4096]
        energies = filter_energies(speech, block, warp)
        result[first : first + 4096] = np.log(np.maximum(energies, FLOOR)) @ _cosines()
    return result


def filter_energies(speech: Floats, starts: Ints, warp: float = 1.0) -> Doubles:
    """Return the sums of magnitudes under each of the 40 filters: (N,), (M,) -> (M, 40)."""
    place = starts[:, None] + np.arange(-1, LENGTH)
    inside = (place >= 0) & (place < len(speech))
    given = speech[np.clip(place, 0, max(len(speech) - 1, 0))] if len(speech) else np.float32(0)
    # Broken samples (no number, or without end) count as silence, like what lies outside.
    samples = np.where(inside & np.isfinite(given), given, 0).astype(np.float64) * INT16
    emphasised = samples[:, 1:] - EMPHASIS * samples[:, :-1]
    spectrum = np.abs(np.fft.rfft(emphasised * np.hamming(LENGTH), FFT))
    return np.asarray(spectrum @ _filters(round(warp, 4)))


@lru_cache(maxsize=64)
def _filters(warp: float) -> Doubles:
    """Triangles of height 1, evenly spaced in mel: (257, 40)."""
    low, high = 1127 * np.log1p(LOWEST_HZ / 700), 1127 * np.log1p(HIGHEST_HZ / 700)
    corners_hz = 700 * np.expm1(np.linspace(low, high, FILTERS + 2) / 1127) * warp
    bins_hz = np.linspace(0, RATE_HZ / 2, FFT // 2 + 1)[:, None]
    rise = (bins_hz - corners_hz[:-2]) / np.diff(corners_hz)[:-1]
    fall = (corners_hz[2:] - bins_hz) / np.diff(corners_hz)[1:]
    return np.maximum(0.0, np.minimum(rise, fall))


@lru_cache(maxsize=1)
def _cosines() -> Doubles:
    """The cosine transform and the lifter in one: (40, 13)."""
    k = np.arange(COEFFICIENTS + 1)
    table = np.sqrt(2 / FILTERS) * np.cos(np.pi * np.outer(np.arange(FILTERS) + 0.5, k) / FILTERS)
    return np.asarray(table * (1 + 0.5 * LIFTER * np.sin(np.pi * k / LIFTER)))
