"""heard: recorded speech -> how far the mouth goes, from its energy and the place of its formants.

Nobody says which phonemes these are.  The jaw follows loudness and how high the lowest formant lies, spreading and rounding
the second one, and hissing brings the teeth together.  What cannot be heard so is missing: lips that close silently, f beside s,
and a rounding that only shows.
"""

from __future__ import annotations

import numpy as np

from redub.footage.lips import CONTROLS, STEP_S
from redub.footage.person import Person
from redub.types import Doubles, Floats

QUIET = 0.03
"""Amplitude of a tone that is not taken for a loud one, however soft the rest is: a pause is no speech."""


def heard_curve(speech: Floats, rate_hz: int, person: Person, times_s: Doubles) -> Doubles:
    """Return how far each of `lips.CONTROLS` goes: (T, 10).

    Args:
        speech: (N,) of a recording whose loudest sample is about 0.6.
        rate_hz: 8000 or more.
        person: Says how far jaw and lips go.
        times_s: (T,) rising.
    """
    power, hz = _spectra(speech, rate_hz)
    low, middle, high = (power[:, (hz >= a) & (hz < b)] for a, b in ((150, 850), (900, 2700), (3000, 7500)))
    voiced, hiss = low.sum(1), high.sum(1)
    level = loudness(voiced + middle.sum(1), QUIET**2)
    first = _centre(low, hz[(hz >= 150) & (hz < 850)], 330, 680)
    second = _centre(middle, hz[(hz >= 900) & (hz < 2700)], 1150, 1900)
    hissing = np.clip((hiss / np.maximum(voiced + hiss, 1e-12) - 0.35) / 0.4, 0, 1) * loudness(voiced + hiss, QUIET**2)
    is_open = level * (0.40 + 0.60 * first) * (1 - 0.7 * hissing)
    rounds = np.clip(0.5 - second, 0, 0.5) * 2 * level * (1 - hissing)
    spreads = np.clip(second - 0.5, 0, 0.5) * 2 * level
    curve = np.zeros((len(level), len(CONTROLS)))
    curve[:, 0] = (0.95 * is_open + 0.05 * hissing) * person.jaw
    curve[:, 1] = (0.32 * level * (1 - 0.7 * rounds) + 0.2 * hissing) * person.jaw
    curve[:, 2] = (0.10 * level * (1 - rounds) + 0.1 * hissing) * person.lip
    curve[:, 3], curve[:, 4] = 0.40 * rounds * person.lip, 0.45 * rounds * person.lip
    curve[:, 5], curve[:, 6] = (0.30 * spreads + 0.15 * hissing) * person.lip, 0.18 * spreads * person.lip
    from scipy.ndimage import gaussian_filter1d

    curve = gaussian_filter1d(curve, 0.028 / STEP_S, axis=0, mode="nearest")
    lead_s = 0.03 + person.hurry_s
    at = np.arange(len(curve)) * STEP_S
    return np.stack([np.interp(times_s + lead_s, at, each) for each in curve.T], 1)


def loudness(power: Doubles, least: float = 1e-6) -> Doubles:
    """Return how loud each moment is, 0 to 1, against the loud ones beside it, or a least power that counts as loud."""
    level = np.log10(np.maximum(power, 1e-12))
    top = max(float(np.percentile(level, 95)), float(np.log10(least)))
    return np.asarray(np.clip((level - top + 2.6) / 2.6, 0, 1) ** 1.5)


def envelope(samples: Floats, rate_hz: int) -> Doubles:
    """Return how loud each moment is, 0 to 1: (L,), every `STEP_S`."""
    step = round(STEP_S * rate_hz)
    count = max(len(samples) // step, 1)
    padded = np.pad(samples.astype(np.float64), (0, max(count * step - len(samples), 0)))[: count * step]
    power = (padded.reshape(count, step) ** 2).mean(1)
    return loudness(np.convolve(power, np.ones(5) / 5, "same") + 1e-9)


def _spectra(speech: Floats, rate_hz: int) -> tuple[Doubles, Doubles]:
    """Return power (L, F) every `STEP_S`, which adds up to a tone's squared amplitude, and the frequencies (F,) in Hz."""
    step, size = round(STEP_S * rate_hz), round(0.025 * rate_hz)
    padded = np.pad(speech, (size // 2, size))
    count = len(speech) // step + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::step][:count] * np.hanning(size)
    points = max(512, size)
    power: Doubles = np.abs(np.fft.rfft(windows, points, axis=1)) ** 2 / (3 / 32 * size * points)
    hz: Doubles = np.fft.rfftfreq(points, 1 / rate_hz).astype(np.float64)
    return power, hz


def _centre(power: Doubles, hz: Doubles, low_hz: float, high_hz: float) -> Doubles:
    """Return where the middle of the power lies between two frequencies, 0 to 1."""
    centre = (power @ hz) / np.maximum(power.sum(1), 1e-12)
    return np.asarray(np.clip((centre - low_hz) / (high_hz - low_hz), 0, 1))
