"""speakers: shots, tracks -> who speaks when.

Until something listens (audio-visual sync), the face that looks into the camera for longest within a shot is taken
for the speaker.  A face that is lost and found again makes two tracks of one person, so further tracks of the shot
that do not overlap it speak too.  At no time do two faces speak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np

from redub.config import SpeakerConfig
from redub.errors import NoFaceError, RedubError
from redub.faces.landmarks import yaw
from redub.types import Shot, Speaking, Track


def choose_speakers(shots: Sequence[Shot], tracks: Sequence[Track], config: SpeakerConfig) -> tuple[Speaking, ...]:
    """Take the longest frontal track of each shot, and those beside it in time, for the speaker.

    Returns:
        Stretches in order of time, none overlapping; empty where there is no face.
    """
    return _best_first(shots, tracks, lambda track: _frontal_frames(track, config))


def pick_speakers(choice: str, shots: Sequence[Shot], tracks: Sequence[Track]) -> tuple[Speaking, ...]:
    """Let the user choose: ``left`` or ``right`` of each shot, or track ids such as ``3`` or ``3,7``.

    Raises:
        RedubError: The choice names no track, or two that are seen at the same time.
    """
    if choice in ("left", "right"):
        side = -1 if choice == "left" else 1
        return _best_first(shots, tracks, lambda track: side * float(track.boxes[:, ::2].mean()))
    known = {track.id: track for track in tracks}
    listed = ", ".join(str(number) for number in sorted(known)) or "none"
    hint = f"Give auto, left, right, or one of the tracks: {listed} (redub show PLAN draws them)."
    try:
        numbers = [int(part) for part in choice.split(",")]
    except ValueError:
        raise RedubError(f"--speaker {choice!r} is not a choice.", hint) from None
    missing = [number for number in numbers if number not in known]
    if missing:
        raise NoFaceError(f"There is no track {missing[0]}.", hint)
    chosen = sorted((known[number] for number in set(numbers)), key=lambda track: track.start)
    for one, following in pairwise(chosen):
        if following.start < one.stop:
            raise RedubError(f"Tracks {one.id} and {following.id} are seen at the same time; only one face can speak.", hint)
    return tuple(_whole(track) for track in chosen)


def _best_first(shots: Iterable[Shot], tracks: Sequence[Track], worth: Callable[[Track], float]) -> tuple[Speaking, ...]:
    speaking: list[Speaking] = []
    for shot in shots:
        taken: list[Track] = []
        for track in sorted((t for t in tracks if shot.start <= t.start < shot.stop), key=worth, reverse=True):
            if all(track.stop <= other.start or other.stop <= track.start for other in taken):
                taken.append(track)
        speaking += sorted(map(_whole, taken), key=lambda stretch: stretch.start)
    return tuple(speaking)


def _whole(track: Track) -> Speaking:
    return Speaking(track=track.id, start=track.start, stop=track.stop)


def _frontal_frames(track: Track, config: SpeakerConfig) -> float:
    """Count the frontal frames; size decides between equals, so that the presenter beats a face on a poster."""
    frontal = float(np.sum(np.abs(yaw(track.points)) < config.max_yaw))
    size_px = float(np.mean(track.boxes[:, 3] - track.boxes[:, 1]))
    return frontal + size_px * 1e-4
