"""sync: embeddings of a face and of the sound at the same instants -> by how much the sound is off, and how well both fit.

Every instant of the face is compared with the sound up to 15 frames of 25 a second earlier and later, as SyncNet does
(Chung and Zisserman, "Out of time").  Three things differ from the published protocol: pairs that lie beyond an end are left
out instead of compared with zeros, windows in which nobody speaks are left out, and the offset is read off a parabola, finer
than a frame.  `redub.speech.syncnet` has the networks, and the published protocol as it is.

An offset is positive where the sound is **early**: the face at instant i goes with the sound at i - offset, and delaying the
sound by the offset repairs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from redub.speech.sync_features import RATE_HZ, find_speech, instants, nearest
from redub.types import RGB, Bools, Doubles, Floats

if TYPE_CHECKING:
    from redub.speech.syncnet import SyncModel

__all__ = [
    "LAGS", "RATE_HZ", "SyncReading", "SyncSeries", "embed_track", "load_sync", "pair_distances", "read_sync", "smoothed",
    "sync_of_track",
]  # fmt: skip

LAGS = 15
"""Frames at 25 Hz that are searched each way."""
LEAST_SHARE = 0.25
"""A lag counts if so many of the pairs that the best filled lag has are left of it at the ends, as at least."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyncReading:
    """What a face and a sound say of each other."""

    offset_frames: float
    """At 25 Hz, finer than a frame; positive where the sound is early.  NaN where nothing could be scored."""
    offset_s: float
    """The same in seconds."""
    distance: float
    """Mean distance at the lag where it is smallest.  NaN where nothing could be scored."""
    confidence: float
    """By how much that is less than the median over the lags; 0 where nothing could be scored."""
    distances: Floats
    """(31,) mean distance for the sound shifted by -15..15 instants against the face; NaN where too few pairs are left."""
    frame_confidence: Floats
    """(T,) the median less the distance at the best lag, of each instant of the face; NaN where it was not scored."""
    coverage: float
    """Share of the instants of speech that were scored."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyncSeries:
    """A face and the sound at the same instants, as a network embeds them."""

    times_s: Doubles
    """(T,) at 25 Hz, counted from the speech's first sample."""
    faces: Floats
    """(T, D); NaN where the face is not seen."""
    sounds: Floats
    """(T, D)."""
    is_speech: Bools
    """(T,) whether somebody is heard."""

    def read(self) -> SyncReading:
        """Read all of it."""
        return read_sync(self.faces, self.sounds, self.is_speech)


def read_sync(faces: Floats, sounds: Floats, is_speech: Bools) -> SyncReading:
    """Find the lag at which a face and a sound fit best.

    Args:
        faces: (T, D) at 25 Hz instants; NaN where the face is not seen.
        sounds: (T, D) at the same instants; NaN where there is none.
        is_speech: (T,) whether somebody is heard at each of them.
    """
    pairs = pair_distances(faces, sounds)
    pairs[~_lagged(is_speech)] = np.nan
    counts = np.isfinite(pairs).sum(axis=0)
    distances = np.where(counts >= max(1.0, LEAST_SHARE * counts.max(initial=0)), _mean(pairs), np.nan).astype(np.float32)
    if not np.isfinite(distances).any():
        return _nothing(len(faces))
    best, median = int(np.nanargmin(distances)), float(np.nanmedian(distances))
    offset = LAGS - best - _between(distances, best)
    return SyncReading(
        offset_frames=offset,
        offset_s=offset / RATE_HZ,
        distance=float(distances[best]),
        confidence=median - float(distances[best]),
        distances=distances,
        frame_confidence=(median - pairs[:, best]).astype(np.float32),
        coverage=float(counts[best] / is_speech.sum()),
    )


def pair_distances(faces: Floats, sounds: Floats) -> Floats:
    """Return how far each instant of the face is from the sound around it.

    Args:
        faces: (T, D).
        sounds: (T, D).

    Returns:
        (T, 31): at place k that of the face at i from the sound at i + k - 15; NaN beyond the ends.
    """
    count = len(faces)
    result = np.full((count, 2 * LAGS + 1), np.nan, np.float32)
    for k, lag in enumerate(range(-LAGS, LAGS + 1)):
        first, last = max(0, -lag), min(count, count - lag)
        if first < last:
            result[first:last, k] = np.linalg.norm(faces[first:last] - sounds[first + lag : last + lag], axis=1)
    return result


def embed_track(
    model: SyncModel, crops: RGB, points: Floats | Doubles | None, times_s: Doubles, speech: Floats
) -> SyncSeries:  # fmt: skip
    """Embed a face and a sound at the 25 Hz instants of a track of any frame rate.

    Args:
        model: From `load_sync`.
        crops: (N, 112, 112, 3) canonical crops of the track, or what ``model.prepare`` made of them.
        points: (N, 68, 2) landmarks in the unit square of the crop; the published network does without.
        times_s: (N,) the middles of their frames, rising, counted from the speech's first sample.
        speech: (M,) mono at 16 kHz.
    """
    at_s = instants(times_s)
    seen = nearest(times_s, at_s) >= 0
    # Over a hole the nearest picture stands, so that nothing foreign gets into what is taken off as steady.
    index = nearest(times_s, at_s, tolerance_s=np.inf)
    # What is prepared is small; so a long track's crops are not held twice.
    faces = model.embed_faces(model.prepare(crops)[index], None if points is None else points[index])
    # An instant is only as good as all pictures that its embedding was made from.
    faces[~_all_near(seen, model.reach_frames)] = np.nan
    sounds = model.embed_sound(speech, at_s)
    return SyncSeries(times_s=at_s, faces=faces, sounds=sounds, is_speech=find_speech(speech, at_s))


def sync_of_track(
    model: SyncModel, crops: RGB, points: Floats | Doubles | None, times_s: Doubles, speech: Floats
) -> SyncReading:  # fmt: skip
    """Read the sync of a track: `embed_track`, then `read_sync`."""
    return embed_track(model, crops, points, times_s, speech).read()


def load_sync(path: Path | None = None) -> SyncModel:
    """Load a sync network: a file's, or without one the shipped one.

    Raises:
        RedubError: There is no such file, it is damaged, or none is shipped.
    """
    from redub.speech.syncnet import read_model

    return read_model(path)


def smoothed(frame_confidence: Floats, instants_each: int = 9) -> Floats:
    """Return the mean confidence of so many instants around each, those left out that were not scored; NaN where none was."""
    padded = np.pad(frame_confidence.astype(np.float32), (instants_each // 2, instants_each), constant_values=np.nan)
    return _mean(np.lib.stride_tricks.sliding_window_view(padded, instants_each).T)[: len(frame_confidence)]


def _lagged(is_speech: Bools) -> Bools:
    """Return whether the sound of each pair is speech: (T,) -> (T, 31).

    The sound decides, since it is heard at its own time whatever the offset is.
    """
    padded = np.pad(is_speech.astype(np.bool_), (LAGS, LAGS + 1))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * LAGS + 1), np.bool_)[: len(is_speech)]


def _between(distances: Floats, best: int) -> float:
    """Return how far beside the least distance the bottom of the parabola through it and its neighbours is, -0.5 to 0.5."""
    if not 0 < best < 2 * LAGS:
        return 0.0
    before, here, behind = (float(value) for value in distances[best - 1 : best + 2])
    bend = before - 2 * here + behind
    # Comparisons with NaN, of a lag that does not count, are false.
    return 0.5 * (before - behind) / bend if bend > 0 else 0.0


def _all_near(seen: Bools, reach: int) -> Bools:
    """Say where all of the next ``reach`` instants on both sides are seen too; those beyond the ends are not."""
    padded = np.pad(seen, (reach, reach + 1))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).all(axis=1), np.bool_)[: len(seen)]


def _mean(values: Floats) -> Floats:
    """Return the mean of each column over what is a number; NaN where nothing is."""
    counts = np.isfinite(values).sum(axis=0)
    return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan).astype(np.float32)


def _nothing(count: int) -> SyncReading:
    nan = float("nan")
    return SyncReading(
        offset_frames=nan, offset_s=nan, distance=nan, confidence=0.0, distances=np.full(2 * LAGS + 1, nan, np.float32),
        frame_confidence=np.full(count, nan, np.float32), coverage=0.0,
    )  # fmt: skip
