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

from redub.types import RGB, Bools, Doubles, Floats

if TYPE_CHECKING:
    from redub.speech.syncnet import SyncModel

LAGS = 15
"""Frames at 25 Hz that are searched each way."""
RATE_HZ = 25.0
"""Instants a second, whatever the video's rate."""


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
    """(T,) whether somebody is heard to speak."""


def read_sync(faces: Floats, sounds: Floats, is_speech: Bools) -> SyncReading:
    """Find the lag at which a face and a sound fit best.

    Args:
        faces: (T, D) at 25 Hz instants; NaN where the face is not seen.
        sounds: (T, D) at the same instants.
        is_speech: (T,) whether somebody is heard at each of them.
    """
    raise NotImplementedError


def embed_track(model: SyncModel, crops: RGB, times_s: Doubles, speech: Floats) -> SyncSeries:
    """Embed a face and a sound at the 25 Hz instants of a track of any frame rate.

    Args:
        model: From `load_sync`.
        crops: (T, H, W, 3) canonical crops of the track, as 112 px ones.
        times_s: (T,) their true times, rising, counted from the speech's first sample.
        speech: (N,) mono at 16 kHz.
    """
    raise NotImplementedError


def sync_of_track(model: SyncModel, crops: RGB, times_s: Doubles, speech: Floats) -> SyncReading:
    """Read the sync of a track: `embed_track`, then `read_sync`."""
    series = embed_track(model, crops, times_s, speech)
    return read_sync(series.faces, series.sounds, series.is_speech)


def load_sync(path: Path | None = None) -> SyncModel:
    """Load a sync network: a file's, or without one the shipped one.

    Raises:
        RedubError: There is no such file, it is damaged, or none is shipped.
    """
    from redub.speech.syncnet import read_model

    return read_model(path)
