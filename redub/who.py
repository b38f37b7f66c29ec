"""who: what a user says of the speaker -> the plan with that speaker; and the shots of whom a generator's weights know."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from redub.adapting import who_was_heard
from redub.config import AdaptConfig
from redub.errors import NoFaceError, RedubError, WeightError
from redub.faces.recognition import describe_face
from redub.files import check_file
from redub.persons import describe_tracks, find_persons
from redub.plan import Plan
from redub.plugin import GeneratorInfo
from redub.stages.speakers import best_first, meet, pick_speakers
from redub.stills import load_stills
from redub.types import Doubles
from redub.weights import read_facts

MAX_DISTANCE = 0.6
"""Farther descriptors are another person's: what dlib's authors advise for single pictures."""
LEAST_SEEN = 0.5
"""Share of a video in which its only person is seen: who appears for a moment is no lecturer."""
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


def or_the_only_person(plan: Plan, video: Path, config: AdaptConfig, notices: list[str]) -> Plan:
    """Return a plan in which the only person of a video speaks, if analysis let nobody.

    Whoever dubs a video that shows one person for most of the time, and nobody else, means that person, however badly lips and sound go
    together.  Where faces are seen side by side, or different ones in turn, the user has to say who it is.

    Args:
        plan: Of this video.  If somebody speaks in it, or did before it was edited, it is returned as it is.
        video: Looked at only to compare the faces of several tracks.
        config: Whether faces may be compared, and how near those of one person are.
        notices: Is told.
    """
    if plan.speaking or not plan.readings or meet(plan.tracks) or who_was_heard(plan):
        return plan
    filled = replace(plan, speaking=best_first(plan.shots, plan.tracks, len))
    if sum(map(len, filled.speaking)) < LEAST_SEEN * plan.facts.frames or not _is_one_person(filled, video, config):
        return plan
    notices.append(
        f"The lips in {video.name} do not go with its sound for sure; the only person in it is taken for the speaker. "
        "If nobody in it speaks, leave it as it is; how sure redub is, tells  redub sync VIDEO"
    )
    return filled


def _is_one_person(plan: Plan, video: Path, config: AdaptConfig) -> bool:
    if len(plan.speaking) > 1 and not config.use:
        # Who leaves adapting out may do so for the terms of the network that compares faces.
        return False
    try:
        return len(find_persons(plan, video, config.max_distance)) == 1
    except WeightError:
        return False


def shots_to_paint(plan: Plan, video: Path, info: GeneratorInfo, files: Mapping[str, Path], notices: list[str]) -> frozenset[int] | None:
    """Return the numbers of the shots in which the person appears whom a generator's weights know; None for all.

    Weights of one person say what their face is like, in their metadata: ``face``, 128 numbers of `describe_face`.

    Args:
        plan: Of this video.
        video: Looked at only to compare faces.
        info: The generator.
        files: Its weights.
        notices: Is told of shots that are left out.

    Raises:
        NoFaceError: The person appears nowhere.
    """
    if not info.names_weights or not files:
        return None
    name, path = next(iter(files.items()))
    face = _face(path)
    if face is None:
        return None
    ids = [track.id for track in plan.tracks]
    distances = [float(np.linalg.norm(one - face)) for one in describe_tracks(plan, video, ids)] if ids else []
    same = [track for track, distance in zip(plan.tracks, distances, strict=True) if distance < MAX_DISTANCE]
    shots = frozenset(
        number for number, shot in enumerate(plan.shots) if any(one.start < shot.stop and shot.start < one.stop for one in same)
    )
    if not shots:
        nearest = f": the nearest face is at a distance of {min(distances):.2f}, and below {MAX_DISTANCE} is a match" if distances else ""
        hint = "Name the weights of whom it shows, or make a video from sound alone:  redub speak --generator NAME --weights NAME"
        raise NoFaceError(f"The person of the weights {name} does not appear in {video.name}{nearest}.", hint)
    if len(shots) < len(plan.shots):
        notices.append(f"The person of the weights appears in {len(shots)} of {len(plan.shots)} shots; the others stay as they are.")
    return shots


def _face(path: Path) -> Doubles | None:
    text = read_facts(path).get("face")
    if not text:
        return None
    try:
        face: Doubles = np.array(json.loads(text), np.float64)
    except (ValueError, TypeError):
        face = np.zeros(0)
    if face.shape != (128,) or not np.isfinite(face).all():
        raise WeightError(f"The weights {path} say nothing sensible of the face they know.", "Get them again, or train them anew.")
    return face


def _like(plan: Plan, video: Path, picture: Path) -> Plan:
    (still,) = load_stills(picture, model=plan.landmarks)
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
