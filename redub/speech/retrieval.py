"""retrieval: embeddings of faces and of the sound -> how often the right moment is found among 31.

Section 5.1 of the Speech2Vid paper: a stretch of some frames is compared with the sound up to 15 frames earlier and later, and
is right if the nearest is within one frame of the true one; chance is 3 in 31, 9.7 %.  Longer stretches than the network's five
frames average the distances of consecutive instants.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from redub.speech.sync import LAGS, SyncSeries, pair_distances
from redub.types import Bools, Floats, Ints

FRAMES = (5, 7, 9, 11, 13, 15)
EACH = 5
"""Frames that one embedding is made from."""
NEAR = 1
"""Frames that a finding may be off."""
CHANCE = (2 * NEAR + 1) / (2 * LAGS + 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Retrieval:
    """What was found, by length of the stretches."""

    frames: tuple[int, ...]
    """K lengths in frames at 25 Hz."""
    counts: Ints
    """(K, 31) how often the sound was found to be early by -15..15 frames more than it is."""

    @property
    def accuracy(self) -> Floats:
        """(K,) share that is right, 0..1; NaN where there was no stretch of this length."""
        right = self.counts[:, LAGS - NEAR : LAGS + NEAR + 1].sum(axis=1)
        total = self.counts.sum(axis=1)
        return np.where(total > 0, right / np.maximum(total, 1), np.nan).astype(np.float32)

    def __add__(self, other: Retrieval) -> Retrieval:
        if self.frames != other.frames:
            raise ValueError(f"stretches of {self.frames} and of {other.frames} frames cannot be added")
        return Retrieval(frames=self.frames, counts=self.counts + other.counts)


def retrieve(faces: Floats, sounds: Floats, is_speech: Bools, *, offset_frames: float = 0.0, frames: Sequence[int] = FRAMES) -> Retrieval:
    """Look for the right moment from every stretch of one track.

    Only stretches count that have all 31 candidates, and speech in at least half of their instants.

    Args:
        faces: (T, D) at 25 Hz instants; NaN where the face is not seen.
        sounds: (T, D) at the same instants.
        is_speech: (T,) whether somebody is heard.
        offset_frames: By how much the sound is truly early; the search is then around it.
        frames: Lengths of the stretches.
    """
    shift = round(offset_frames)
    pairs = pair_distances(faces, _moved(sounds, shift, np.nan))
    speech = _moved(is_speech[:, None].astype(np.float32), shift, 0.0)
    counts = np.zeros((len(frames), 2 * LAGS + 1), np.int64)
    for row, length in enumerate(frames):
        instants = length - EACH + 1
        if instants > len(pairs):
            continue
        means = _window_means(pairs, instants)
        speaks = _window_means(speech, instants)[:, 0] >= 0.5
        usable = means[speaks & np.isfinite(means).all(axis=1)]
        # The sound at a later place is found where it is late.
        counts[row] = np.bincount(2 * LAGS - usable.argmin(axis=1), minlength=2 * LAGS + 1)
    return Retrieval(frames=tuple(frames), counts=counts)


def retrieve_all(tracks: Iterable[SyncSeries], frames: Sequence[int] = FRAMES) -> Retrieval:
    """Sum over tracks whose sound is where it belongs."""
    total = Retrieval(frames=tuple(frames), counts=np.zeros((len(frames), 2 * LAGS + 1), np.int64))
    for track in tracks:
        total = total + retrieve(track.faces, track.sounds, track.is_speech, frames=frames)
    return total


def _window_means(values: Floats, instants: int) -> Floats:
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, instants, axis=0).mean(axis=-1), np.float32)


def _moved(values: Floats, frames: int, blank: float) -> Floats:
    """Return a series later by so many instants; what nothing is left of is blank."""
    result = np.full_like(values, blank)
    count = max(len(values) - abs(frames), 0)
    result[max(frames, 0) :][:count] = values[max(-frames, 0) :][:count]
    return result
