"""lips: mouth openness, sound -> whether the lips move with the sound.

A voice that is dubbed over, a narrator who is not seen and a listener all come with a moving mouth and a voice that do not
belong together, and whoever learns from them learns nonsense.  Loudness rises and falls with the opening of the mouth,
so the two are correlated, for the lips need a moment to open at the lag that suits them best.  Some lag always suits
by chance; how much so is seen when the same sound is moved far away in time, and what counts is how much better it is
where it stands.  `docs/how-to/adapt.md` has what was measured on real clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from redub.types import Doubles, Floats

RATE_HZ = 25
"""Both are compared at this rate, whatever the video's."""
SMOOTH_S, TREND_S = 0.08, 1.0
"""Sigmas of the Gaussians that take away what is faster than a syllable, and slower than a phrase."""
LOUD_S = 0.04
"""Length of sound whose loudness counts for an instant."""
MAX_LAG_S = 0.4
MOVES = tuple(np.linspace(0.3, 0.7, 9))
"""The sound is moved by these shares of each stretch, for comparison."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """A mouth over some time, with the sound heard at that time."""

    openness: Doubles
    """(T,)."""
    times_s: Doubles
    """(T,) rising, counted from ``speech[0]``."""
    speech: Floats
    """(N,)."""
    rate_hz: int
    """Of the speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How well lips and sound go together."""

    correlation: float
    """At the lag that suits best, -1 to 1."""
    moved: float
    """The same with the sound moved away: the mean over several moves."""

    @property
    def margin(self) -> float:
        """By how much the sound suits better where it stands."""
        return self.correlation - self.moved


def compare(stretches: Sequence[Stretch]) -> Agreement:
    """Compare the mouth with the sound, over all stretches together.

    Args:
        stretches: Of one person.  Shorter ones than a second say little.

    Returns:
        0 for both where nothing moves or nothing is heard.
    """
    pairs = [_series(one) for one in stretches if len(one.times_s) > 1]
    best = _best(pairs)
    moved = [_best([(mouth, np.roll(sound, round(share * len(sound)))) for mouth, sound in pairs]) for share in MOVES]
    return Agreement(correlation=best, moved=float(np.mean(moved)))


def loudness(speech: Floats, rate_hz: int, times_s: Doubles) -> Doubles:
    """Return the root mean square around each instant: (N,), (T,) -> (T,)."""
    power = np.nan_to_num(speech.astype(np.float64), posinf=0.0, neginf=0.0) ** 2
    total = np.concatenate([[0.0], np.cumsum(power)])
    first, last = (np.clip(np.rint((times_s + side * LOUD_S / 2) * rate_hz).astype(int), 0, len(speech)) for side in (-1, 1))
    # What is left of a sum and its subtraction may lie below zero.
    mean: Doubles = np.maximum(total[last] - total[first], 0.0) / (LOUD_S * rate_hz)
    return np.sqrt(mean)


def _series(one: Stretch) -> tuple[Doubles, Doubles]:
    """Return openness and loudness at 25 Hz, both without what is too fast and too slow."""
    ticks = np.arange(one.times_s[0], one.times_s[-1] + 1e-9, 1 / RATE_HZ)
    # A cube root makes loud and soft syllables more alike, as ears do, and needs no floor for silence.
    loud = np.cbrt(loudness(one.speech, one.rate_hz, ticks))
    return _band(np.interp(ticks, one.times_s, one.openness)), _band(loud)


def _band(values: Doubles) -> Doubles:
    return _smooth(values, SMOOTH_S) - _smooth(values, TREND_S)


def _smooth(values: Doubles, sigma_s: float) -> Doubles:
    reach = int(np.ceil(4 * sigma_s * RATE_HZ))
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (sigma_s * RATE_HZ)) ** 2)
    share = np.convolve(np.ones(len(values)), weight)[reach : reach + len(values)]
    smooth: Doubles = np.convolve(values, weight)[reach : reach + len(values)] / share
    return smooth


def _best(pairs: Sequence[tuple[Doubles, Doubles]]) -> float:
    """Return the greatest correlation over the lags, of all pairs together."""
    reach = round(MAX_LAG_S * RATE_HZ)
    return max((_correlation(pairs, lag) for lag in range(-reach, reach + 1)), default=0.0)


def _correlation(pairs: Sequence[tuple[Doubles, Doubles]], lag: int) -> float:
    sums = np.zeros(3)
    for mouth, sound in pairs:
        shared = max(len(mouth) - abs(lag), 0)
        one, other = mouth[max(lag, 0) :][:shared], sound[max(-lag, 0) :][:shared]
        sums += one @ other, one @ one, other @ other
    return float(sums[0] / np.sqrt(sums[1] * sums[2])) if sums[1] * sums[2] > 0 else 0.0
