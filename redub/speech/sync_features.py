"""sync_features: crops, sound -> what the sync networks see and hear, each at its true time.

All is compared at 25 instants a second, whatever the video's rate: each instant takes the picture that is nearest in time, and
sound whose middle it is, computed where it belongs instead of taken from the nearest column of a grid.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redub.errors import ShapeError
from redub.types import RGB, Bools, Doubles, Floats, Ints

RATE_HZ = 25.0
"""Instants a second."""
SOUND_RATE_HZ = 16_000
HOP, LENGTH, FFT = 160, 400, 512
"""10 ms, 25 ms, and the next power of two, in samples."""
COLUMNS, COLUMNS_EACH = 20, 4
"""The sound of one instant is 0.2 s long, and the next instant's begins so many columns later."""
SPAN = (COLUMNS - 1) * HOP + LENGTH
"""Samples that the columns of one instant cover."""
EMPHASIS = 0.97
INT16 = 32_768.0
"""Samples are scaled to the range of 16-bit sound before anything else."""

CROP_PX = 112
WIDE = (16, 44, 96, 112)
"""Left, top, right, bottom of what is kept of a 112 px crop for training, with room to move about."""
MOUTH = (24, 54, 88, 110)
"""Left, top, right, bottom of what the network looks at: from below the nose to the chin."""
MOUTH_SIZE = (MOUTH[3] - MOUTH[1], MOUTH[2] - MOUTH[0])
"""Height and width of it in px."""
LUMA = (0.299, 0.587, 0.114)

LIPS_AND_JAW = np.array([*range(48, 68), *range(3, 14)])
NOSE = slice(27, 36)
SHAPE_SIZE = 2 * len(LIPS_AND_JAW) + 3
SHAPE_UNIT, GAP_UNIT = 1 / 30, 1 / 50
"""Canonical squares that one unit of a place and of a distance is, so that both vary by about one."""

BANDS, LOWEST_HZ, HIGHEST_HZ = 40, 80.0, 6400.0
"""Of the mel filters."""
FLOOR = 1e-3
"""Least energy of a band, below the rounding of 16-bit sound: the logarithm of silence is no number."""
RANGE_LOG = 9.0
"""Bands are cut off so far below their own mean in speech, in natural logarithms of power (39 dB): what lies deeper is the
room, which differs from recording to recording."""
SPREAD_LOG = 3.0
"""What one unit of a band is, so that bands vary by about one."""
SPEECH_DB, RISE_DB, FAINTEST_DB = 30.0, 6.0, -66.0
"""Speech is what is within so much of the loudest, so much above what is the quietest, and louder than that at full scale 0."""
TOLERANCE_S = 0.021
"""A picture stands for an instant if it is no further away: half a frame at 25 Hz, and a little for rounded times."""


def instants(times_s: Doubles) -> Doubles:
    """Return the 25 Hz instants from a track's first picture to its last one: (N,) rising times -> (T,)."""
    if not len(times_s):
        return np.zeros(0)
    # Times are rounded, and the last picture is not to be lost by it.
    return np.asarray(times_s[0] + np.arange(int((times_s[-1] - times_s[0]) * RATE_HZ + 1e-3) + 1) / RATE_HZ, np.float64)


def nearest(times_s: Doubles, at_s: Doubles, tolerance_s: float = TOLERANCE_S) -> Ints:
    """Return which picture is the nearest to each instant.

    Args:
        times_s: (N,) times of the pictures, rising.
        at_s: (T,) instants.
        tolerance_s: Farthest a picture may be.  Slower videos show each picture longer, so half their longest usual gap
            counts where that is more; a hole in a track is no usual gap.

    Returns:
        (T,) indices; -1 where no picture is near enough.
    """
    if not len(times_s):
        return np.full(len(at_s), -1)
    reach_s = max(tolerance_s, 0.55 * float(np.median(np.diff(times_s)))) if len(times_s) > 1 else tolerance_s
    right = np.clip(np.searchsorted(times_s, at_s), 1, max(len(times_s) - 1, 1))
    left, right = right - 1, np.minimum(right, len(times_s) - 1)
    index = np.where(at_s - times_s[left] <= times_s[right] - at_s, left, right)
    return np.asarray(np.where(np.abs(times_s[index] - at_s) <= reach_s, index, -1), np.int64)


def take_mouths(crops: RGB, box: tuple[int, int, int, int] = MOUTH) -> RGB:
    """Cut the mouth out of canonical crops: (T, S, S, 3) -> (T, 56, 64, 3).

    Raises:
        ShapeError: They are not colour pictures of 112 px.
    """
    if crops.ndim != 4 or crops.shape[1:] != (CROP_PX, CROP_PX, 3):
        raise ShapeError(f"Crops of shape {crops.shape} are not (T, {CROP_PX}, {CROP_PX}, 3).", "Take canonical crops of this size.")
    left, top, right, bottom = box
    return np.ascontiguousarray(crops[:, top:bottom, left:right])


def as_grey(pictures: RGB) -> NDArray[np.uint8]:
    """Return the luma of pictures: (T, H, W, 3) -> (T, H, W)."""
    result = np.empty(pictures.shape[:-1], np.uint8)
    # One by one, since floats are four times as large.
    for picture, target in zip(pictures, result, strict=True):
        target[:] = np.rint(picture.astype(np.float32) @ np.array(LUMA, np.float32))
    return result


def mouth_shapes(points: Floats | Doubles) -> Floats:
    """Return what the network takes of landmarks: where lips and jaw are seen from the nose, how open and how wide the mouth is.

    Args:
        points: (T, 68, 2) in the unit square of the canonical crop.

    Returns:
        (T, 65).

    Raises:
        ShapeError: They are not 68 points each.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise ShapeError(f"Landmarks of shape {points.shape} are not (T, 68, 2).", "Give the 68 points of every picture.")
    places = (points[:, LIPS_AND_JAW] - points[:, NOSE].mean(axis=1, keepdims=True)) / SHAPE_UNIT
    inner = np.linalg.norm(points[:, [61, 62, 63]] - points[:, [67, 66, 65]], axis=-1).mean(axis=-1)
    width, outer = (np.linalg.norm(points[:, one] - points[:, other], axis=-1) for one, other in ((54, 48), (51, 57)))
    return np.concatenate([places.reshape(len(points), -1), np.stack([inner, width, outer], axis=1) / GAP_UNIT], axis=1).astype(np.float32)


def log_mel(speech: Floats, starts: Ints) -> Floats:
    """Return the logarithms of the mel bands' power in the 25 ms that begin at each of these samples: (N,), (M,) -> (M, 40).

    Args:
        speech: Mono at 16 kHz in -1..1; beyond its ends there is silence.
        starts: In samples.
    """
    from python_speech_features import sigproc

    result = np.empty((len(starts), BANDS), np.float32)
    for first in range(0, len(starts), 4096):
        frames = frames_at(speech, starts[first : first + 4096]) * np.hamming(LENGTH)
        result[first : first + 4096] = np.log(np.maximum(sigproc.powspec(frames, FFT) @ _filters(), FLOOR))
    return result


def column_starts(times_s: Doubles) -> Ints:
    """Return the first samples of the 20 columns around each instant: (T,) -> (T, 20)."""
    starts = np.rint(np.asarray(times_s, np.float64) * SOUND_RATE_HZ - SPAN / 2).astype(np.int64)
    return np.asarray(starts[:, None] + HOP * np.arange(COLUMNS), np.int64)


def levelled(bands: Floats) -> Floats:
    """Take room, microphone and loudness off the bands of one recording, as far as they are steady.

    Args:
        bands: (M, 40) from `log_mel`.

    Returns:
        (M, 40): 0 is each band's mean where somebody speaks, and 3 natural logarithms are 1.
    """
    if not len(bands):
        return bands
    loud = bands.max(axis=1)
    is_loud = loud >= np.quantile(loud, 0.95) - SPEECH_DB / 10 * np.log(10)
    level = bands[is_loud].mean(axis=0)
    return np.asarray(np.maximum(bands - level, -RANGE_LOG) / SPREAD_LOG, np.float32)


def sound_windows(speech: Floats, times_s: Doubles) -> Floats:
    """Return what our network hears around each instant: (N,), (T,) -> (T, 40, 20)."""
    starts = column_starts(times_s)
    # Neighbouring windows mostly share columns: each is worked out once.
    wanted, place = np.unique(starts, return_inverse=True)
    bands = levelled(log_mel(speech, wanted))
    return np.ascontiguousarray(bands[place.reshape(starts.shape)].transpose(0, 2, 1))


def sound_course(speech: Floats, times_s: Doubles) -> Floats | None:
    """Return what our network hears from the first to the last of consecutive instants: (N,), (T,) -> (40, 4T + 16).

    None where instants are not a 25th of a second apart to the sample, for their windows share no columns then.
    """
    starts = column_starts(times_s)[:, 0]
    if not len(starts) or (np.diff(starts) != COLUMNS_EACH * HOP).any():
        return None
    columns = starts[0] + HOP * np.arange(COLUMNS_EACH * (len(starts) - 1) + COLUMNS)
    return np.ascontiguousarray(levelled(log_mel(speech, columns)).T)


def mfcc_windows(speech: Floats, times_s: Doubles) -> Floats:
    """Return what the published network hears around each instant: (N,), (T,) -> (T, 13, 20).

    It goes with five pictures whose middle is the instant; as published the sound begins with the first of them, and so
    its middle comes 7.5 ms later.
    """
    starts = np.rint((np.asarray(times_s, np.float64) - 0.1) * SOUND_RATE_HZ).astype(np.int64)[:, None] + HOP * np.arange(COLUMNS)
    wanted, place = np.unique(starts, return_inverse=True)
    return np.ascontiguousarray(mfcc(speech, wanted)[place.reshape(starts.shape)].transpose(0, 2, 1), np.float32)


def mfcc(speech: Floats, starts: Ints) -> Doubles:
    """Return 13 MFCC as python_speech_features computes them by default, of frames that begin anywhere: (N,), (M,) -> (M, 13)."""
    from python_speech_features import base, sigproc
    from scipy.fftpack import dct

    power = sigproc.powspec(frames_at(speech, starts), FFT)
    least = np.finfo(float).eps
    bands = np.maximum(power @ base.get_filterbanks(26, FFT, SOUND_RATE_HZ).T, least)
    result = base.lifter(dct(np.log(bands), type=2, axis=1, norm="ortho")[:, :13], 22)
    result[:, 0] = np.log(np.maximum(power.sum(axis=1), least))
    return np.asarray(result, np.float64)


def frames_at(speech: Floats, starts: Ints) -> Doubles:
    """Return pre-emphasised stretches of 25 ms in the range of 16-bit sound: (N,), (M,) -> (M, 400)."""
    place = starts[:, None] + np.arange(-1, LENGTH)
    inside = (place >= 0) & (place < len(speech))
    given: Any = speech[np.clip(place, 0, max(len(speech) - 1, 0))] if len(speech) else np.float32(0)
    # Broken samples (no number, or without end) count as silence, like what lies outside.
    samples = np.where(inside & np.isfinite(given), given, 0).astype(np.float64) * INT16
    return np.asarray(samples[:, 1:] - EMPHASIS * samples[:, :-1], np.float64)


def find_speech(speech: Floats, times_s: Doubles) -> Bools:
    """Say at which instants somebody is heard, by loudness alone: (N,), (T,) -> (T,).

    Music and noise count as well; what the lips say of them is another question.
    """
    level = decibels(speech, times_s)
    if not len(level):
        return np.zeros(0, np.bool_)
    loudest, quietest = np.quantile(level, 0.95), np.quantile(level, 0.05)
    # Where nobody ever pauses, the quietest is speech too, and may not raise the limit far.
    least = max(loudest - SPEECH_DB, min(quietest + RISE_DB, loudest - SPEECH_DB / 2), FAINTEST_DB)
    return np.asarray(level >= least, np.bool_)


def decibels(speech: Floats, times_s: Doubles) -> Doubles:
    """Return the loudness of the 0.1 s around each instant, 0 for full scale: (N,), (T,) -> (T,)."""
    power = np.concatenate([[0.0], np.cumsum(np.nan_to_num(speech.astype(np.float64), posinf=0.0, neginf=0.0) ** 2)])
    first, last = (np.clip(np.rint((times_s + side) * SOUND_RATE_HZ).astype(int), 0, len(speech)) for side in (-0.05, 0.05))
    mean = np.maximum(power[last] - power[first], 0.0) / (0.1 * SOUND_RATE_HZ)
    return np.asarray(10 * np.log10(mean + 1e-12), np.float64)


@lru_cache(maxsize=1)
def _filters() -> Doubles:
    from python_speech_features import base

    return np.asarray(base.get_filterbanks(BANDS, FFT, SOUND_RATE_HZ, LOWEST_HZ, HIGHEST_HZ).T, np.float64)
