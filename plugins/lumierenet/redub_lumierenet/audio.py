"""audio: speech, times -> log energies of 40 mel bands around each of those times.

Section 3.3 of the paper takes one spectrum a frame, every 33.3 ms.  The usual library rounds that to whole samples and is 0.15 s
late after four minutes; here each window is placed at its frame's own time, so nothing adds up however long the sound is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from redub.types import Doubles, Floats

RATE_HZ = 16_000
BANDS = 40
FFT = 1024
WINDOW_S = 0.044
WINDOW = round(WINDOW_S * RATE_HZ)
PRE_EMPHASIS = 0.97
FLOOR = 1e-9
"""Energies are no smaller: digital silence has no logarithm, and what lies below is a recorder's noise."""
LARGEST = 4.0
"""Normalised energies are cut off at so many standard deviations."""
_AT_ONCE = 2048
"""Windows that are worked on at a time, so that memory does not grow with length."""


def energies(speech: Floats, times_s: Doubles) -> Floats:
    """Return the log mel energies around moments of a sound.

    Args:
        speech: (N,) mono in -1..1 at 16 kHz; beyond its ends it is silent.
        times_s: (T,) counted from ``speech[0]``, in any order; each window's middle is the nearest one to it that samples allow.

    Returns:
        (T, 40), natural logarithms.
    """
    starts = np.rint(np.asarray(times_s, np.float64) * RATE_HZ - WINDOW / 2).astype(np.int64)
    found = np.empty((len(starts), BANDS), np.float32)
    for first in range(0, len(starts), _AT_ONCE):
        part = starts[first : first + _AT_ONCE]
        found[first : first + len(part)] = _energies(speech, part)
    return found


def windows(speech: Floats, times_s: Doubles, lags_s: Sequence[float] | Doubles) -> Floats:
    """Return the log mel energies that a recurrent network reads for each of some moments.

    Args:
        speech: As for `energies`.
        times_s: (T,) middles of frames.
        lags_s: (W,) when each step is heard, counted from the frame's middle.

    Returns:
        (T, W, 40).
    """
    times = np.asarray(times_s, np.float64)[:, None] + np.asarray(lags_s, np.float64)[None]
    # Steps of neighbouring frames mostly fall together; to a tenth of a sample they are one.
    ticks, place = np.unique(np.rint(times * RATE_HZ * 10).astype(np.int64), return_inverse=True)
    return energies(speech, ticks / (RATE_HZ * 10))[place.reshape(times.shape)]


def normalised(values: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Return energies as the network takes them, by stored statistics: (..., 40) -> (..., 40)."""
    scaled: Floats = np.clip((values - mean) / deviation, -LARGEST, LARGEST).astype(np.float32)
    return scaled


def lags(rate_hz: float, look_back: int, look_ahead: int = 0) -> Doubles:
    """Return when the steps of a window are heard: ``look_back`` of them, the last one ``look_ahead`` frames after the frame itself."""
    places: Doubles = (np.arange(look_back) - (look_back - 1) + look_ahead) / rate_hz
    return places


@cache
def filters() -> Floats:
    """Return the 40 triangles from 0 Hz to 8 kHz, even on the mel scale: (513, 40)."""
    highest = 2595 * np.log10(1 + RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest, BANDS + 2) / 2595) - 1)
    edges = np.floor((FFT + 1) * edges_hz / RATE_HZ)
    places = np.arange(FFT // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (places - low) / np.maximum(middle - low, 1)
    falling = (high - places) / np.maximum(high - middle, 1)
    triangles: Floats = np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)
    # The middle of a triangle belongs to its falling side, as in the usual library.
    triangles[middle.astype(int), np.arange(BANDS)] = 1.0
    triangles.setflags(write=False)
    return triangles


def _energies(speech: Floats, starts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    # Pre-emphasis needs one more sample before each window.
    places = starts[:, None] + np.arange(-1, WINDOW)
    is_there = (places >= 0) & (places < len(speech))
    sound = np.where(is_there, speech[np.clip(places, 0, max(len(speech) - 1, 0))] if len(speech) else 0.0, 0.0)
    emphasised = sound[:, 1:] - PRE_EMPHASIS * sound[:, :-1]
    power = np.abs(np.fft.rfft(emphasised, FFT)) ** 2 / FFT
    # In double precision the sum does not depend on how many windows are worked on at a time.
    logs: Floats = np.log(np.maximum(power @ filters().astype(np.float64), FLOOR)).astype(np.float32)
    return logs
