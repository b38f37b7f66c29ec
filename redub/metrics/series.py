"""series: mouth gaps and loudness, frame by frame -> how well the one follows the other.

Two mouths open and close alike, syllable by syllable, or they do not; how wide a person's mouth stands on average says
nothing about that.  So a slow mean is taken away before the series are correlated, and only frames with speech count:
agreeing on a closed mouth in a pause is no merit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from redub.types import Bools, Doubles, Floats

HIGH_PASS_S = 0.6
"""Length of the moving mean that is taken away; a few syllables."""
SPEECH_RANGE_DB = 25.0
"""A frame holds speech if its sound is at most so much weaker than that of the clip's loudest frame."""
FLOOR_DB = 60.0
"""Loudness further below the loudest frame counts as this far: silence has no logarithm."""
MAX_LAG = 10
"""Frames by which a mouth is looked for too early or too late."""
LEAST_FRAMES = 8
"""A correlation over fewer frames says nothing, and is not a number."""
OPEN_GAP = 0.05
"""A mouth is open if its gap is wider than when closed by more than this share of the distance between the eyes."""
CLOSED_SHARE = 0.1
"""The quantile of all gaps that stands for a closed mouth, where a speaker is never silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How a painted mouth follows the true one, over the frames with speech.  What cannot be told is NaN."""

    following: float
    """Correlation of the gaps without their slow mean, at the same frames; -1 to 1."""
    raw: float
    """The same of the gaps as they are, which also rewards being open where the speaker mostly is."""
    spread: float
    """How much the painted gap moves, as a share of the true one's movement; 1 is right."""
    lag_frames: float
    """By how many frames the painted mouth is late, where it fits best; a negative one is early."""
    lag_s: float
    lag_following: float
    """The correlation at that lag."""


def high_pass(series: Doubles, rate_hz: float) -> Doubles:
    """Take the moving mean of `HIGH_PASS_S` away: (T,) -> (T,).

    The mean is taken over an odd number of frames around each one; at the ends, over those that there are.
    """
    count = round(HIGH_PASS_S * rate_hz) // 2 * 2 + 1
    weight = np.ones(count)
    middle = slice(count // 2, count // 2 + len(series))
    passed: Doubles = series - np.convolve(series, weight)[middle] / np.convolve(np.ones(len(series)), weight)[middle]
    return passed


def correlation(one: Doubles, other: Doubles) -> float:
    """Return Pearson's correlation of two series; NaN if they are short, or one does not move."""
    if len(one) < LEAST_FRAMES:
        return float("nan")
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / scale if scale > 1e-12 else float("nan")


def follow(painted: Doubles, true: Doubles, counts: Bools, rate_hz: float) -> Following:
    """Compare a painted mouth with the true one.

    Args:
        painted: (T,) gaps of consecutive frames.
        true: (T,) gaps at the same times.
        counts: (T,) which frames of the true mouth are compared: those with speech.
        rate_hz: Frames a second.
    """
    fine, true_fine = high_pass(painted, rate_hz), high_pass(true, rate_hz)
    lag, best = best_lag(fine, true_fine, counts)
    deviation = float(true_fine[counts].std()) if counts.any() else 0.0
    return Following(
        following=correlation(fine[counts], true_fine[counts]),
        raw=correlation(painted[counts], true[counts]),
        spread=float(fine[counts].std()) / deviation if deviation > 1e-12 else float("nan"),
        lag_frames=lag,
        lag_s=lag / rate_hz,
        lag_following=best,
    )


def best_lag(painted: Doubles, true: Doubles, counts: Bools) -> tuple[float, float]:
    """Return by how many frames a series is late, and its correlation when moved back by that; of equals the least lag.

    Args:
        painted: (T,) with its slow mean taken away.
        true: (T,) likewise.
        counts: (T,) which frames of the true series are compared.
    """
    places = np.flatnonzero(counts)
    found = (float("nan"), float("nan"))
    for lag in sorted(range(-MAX_LAG, MAX_LAG + 1), key=abs):
        inside = places[(places + lag >= 0) & (places + lag < len(painted))]
        value = correlation(painted[inside + lag], true[inside])
        if value > found[1] or (np.isnan(found[1]) and not np.isnan(value)):
            found = (float(lag), value)
    return found


def frame_rms(sound: Floats, rate_hz: int, edges_s: Sequence[float]) -> Doubles:
    """Return the strength of the sound while each frame is shown.

    Args:
        sound: (N,) from time zero on; beyond its end it is silent.
        rate_hz: Of the sound.
        edges_s: (T + 1,) when each frame begins, and when the last one ends.

    Returns:
        (T,) root mean square.
    """
    edges = np.rint(np.asarray(edges_s) * rate_hz).astype(int)
    energy = np.concatenate([[0.0], np.cumsum(np.asarray(sound, np.float64) ** 2)])
    within = np.diff(energy[np.clip(edges, 0, len(sound))])
    rms: Doubles = np.sqrt(np.maximum(within, 0.0) / np.maximum(np.diff(edges), 1))
    return rms


def decibels(rms: Doubles) -> Doubles:
    """Return loudness below the loudest frame, -`FLOOR_DB` to 0 dB: (T,) -> (T,)."""
    loudest = max(float(rms.max(initial=0.0)), 1e-12)
    level: Doubles = 20 * np.log10(np.maximum(rms / loudest, 10 ** (-FLOOR_DB / 20)))
    return level


def speech_frames(rms: Doubles) -> Bools:
    """Say which frames hold speech; none of a silent clip do: (T,) -> (T,)."""
    is_speech: Bools = (decibels(rms) >= -SPEECH_RANGE_DB) & (rms > 0)
    return is_speech


def closed_mouth(gap: Doubles, is_speech: Bools) -> float:
    """Return how far apart a speaker's inner lips are found while the mouth is closed.

    Args:
        gap: (T,) of all the speaker's true frames.
        is_speech: (T,) in which the mouth need not be closed.

    Returns:
        The median gap of frames without speech, or where there is none, the tenth percentile of all.
    """
    return float(np.median(gap[~is_speech])) if not is_speech.all() else float(np.quantile(gap, CLOSED_SHARE))


def open_share(gap: Doubles, closed: float) -> float:
    """Return the share of frames in which a mouth stands open by more than `OPEN_GAP`, 0 to 1."""
    return float((gap > closed + OPEN_GAP).mean()) if len(gap) else float("nan")
