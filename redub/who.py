"""who: what a user says of the speaker -> the plan with that speaker."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from redub.errors import NoFaceError, RedubError
from redub.faces.recognition import describe_face
from redub.files import check_file
from redub.persons import describe_tracks
from redub.plan import Plan
from redub.stages.speakers import best_first, pick_speakers
from redub.stills import load_stills

MAX_DISTANCE = 0.6
"""Farther descriptors are another person's: what dlib's authors advise for single pictures."""
_WORDS = re.compile(r"auto|left|right|\d+(,\d+)*")
_PICTURES = {".jpg", ".jpeg", ".png"}


def check_speaker(speaker: str) -> None:
    """Find out early whether a choice is one.

    Raises:
        RedubError: It is neither a word, nor track ids, nor a picture that is there.
    """
    if _WORDS.fullmatch(speaker):
        return
    if Path(speaker).suffix.lower() not in _PICTURES:
        hint = "Give auto, left, right, track ids such as 3 or 3,7, or a picture (JPEG, PNG) of the face."
        raise RedubError(f"--speaker {speaker!r} is not a choice.", hint)
    check_file(Path(speaker), "picture")


def choose(plan: Plan, video: Path, speaker: str) -> Plan:
    """Return a plan in which those speak whom the user chose, as long as they are seen.

    Args:
        plan: Of this video.
        video: Looked at only to compare faces with a picture.
        speaker: ``auto`` for whom the plan lets speak, ``left``, ``right``, track ids such as ``3`` or ``3,7``, or the path of
            a picture of the face.

    Raises:
        RedubError: The choice names no track, two that are seen at the same time, or somebody who is not seen.
    """
    if speaker == "auto":
        return plan
    if _WORDS.fullmatch(speaker):
        return replace(plan, speaking=pick_speakers(speaker, plan.shots, plan.tracks))
    check_speaker(speaker)
    return _like(plan, video, Path(speaker))


def _like(plan: Plan, video: Path, picture: Path) -> Plan:
    (still,) = load_stills(picture)
    if not plan.tracks:
        raise NoFaceError(f"No face was found in {video.name}.", "Look at it with:  redub show PLAN")
    wanted = describe_face(still.frame, still.similarity)
    found = describe_tracks(plan, video, [track.id for track in plan.tracks])
    distances = {track.id: float(np.linalg.norm(each - wanted)) for track, each in zip(plan.tracks, found, strict=True)}
    near = [track for track in plan.tracks if distances[track.id] < MAX_DISTANCE]
    if not near:
        nearest = min(distances, key=lambda number: distances[number])
        raise NoFaceError(
            f"Nobody in {video.name} looks like {picture.name}: the nearest is track {nearest} at a distance of "
            f"{distances[nearest]:.2f}, and below {MAX_DISTANCE} is a match.",
            f"Give a clearer picture, or the track itself:  --speaker {nearest}",
        )
    return replace(plan, speaking=best_first(plan.shots, near, lambda track: -distances[track.id]))
