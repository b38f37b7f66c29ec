"""persons: plan, video -> which tracks show the same person.

A lecture that is cut makes dozens of tracks of one lecturer.  Each track is described by its own stills, which look into
the camera and are steady; tracks whose mean descriptors are near belong to one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from redub.errors import MediaError
from redub.faces.recognition import describe_face
from redub.media import open_video
from redub.plan import Plan
from redub.types import Doubles

STILLS = 3
"""How many stills of a track are looked at: some 20 ms each, and the decoding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who speaks in a video."""

    tracks: tuple[int, ...]
    """Ids, rising."""


def find_persons(plan: Plan, video: Path, max_distance: float) -> tuple[Person, ...]:
    """Group the tracks that speak by whom they show.

    Args:
        plan: Of this video.
        video: Where the faces are looked at.
        max_distance: Descriptors that are nearer are one person's; 0.6 is what dlib's authors advise for single pictures.

    Returns:
        Persons in the order of their first appearance.  A single track is not looked at.

    Raises:
        MediaError: The video cannot be read.
        WeightError: The recognition network is not installed.
    """
    lengths: dict[int, int] = {}
    for one in plan.speaking:
        lengths[one.track] = lengths.get(one.track, 0) + len(one)
    if len(lengths) < 2:
        return tuple(Person(tracks=(track,)) for track in lengths)
    tracks = list(lengths)
    groups = join_near(describe_tracks(plan, video, tracks), [lengths[track] for track in tracks], max_distance)
    return tuple(Person(tracks=tuple(sorted(tracks[i] for i in group))) for group in sorted(groups, key=min))


def join_near(descriptors: Sequence[Doubles], weights: Sequence[float], max_distance: float) -> list[list[int]]:
    """Join the two nearest groups again and again, until none are nearer than the greatest distance.

    Args:
        descriptors: (128,) each.
        weights: How much each counts in the mean of its group.
        max_distance: Between the means of two groups.

    Returns:
        Groups of indices.
    """
    groups = [[i] for i in range(len(descriptors))]
    means, shares = np.array(descriptors, np.float64), np.array(weights, np.float64)
    while len(groups) > 1:
        squares = (means**2).sum(axis=1)
        apart = squares[:, None] + squares[None] - 2 * means @ means.T
        apart[np.tril_indices(len(groups))] = np.inf
        one, other = np.unravel_index(int(apart.argmin()), apart.shape)
        if apart[one, other] >= max_distance**2:
            break
        means[one] = (shares[one] * means[one] + shares[other] * means[other]) / (shares[one] + shares[other])
        shares[one] += shares[other]
        groups[one] += groups.pop(int(other))
        means, shares = np.delete(means, other, 0), np.delete(shares, other)
    return groups


def describe_tracks(plan: Plan, video: Path, tracks: Sequence[int]) -> list[Doubles]:
    """Return the mean descriptor of each track's stills.

    Raises:
        MediaError: The video cannot be read, or ends too early.
        WeightError: The recognition network is not installed.
    """
    wanted: dict[int, list[tuple[int, Doubles]]] = {}
    for place, track in enumerate(tracks):
        path = plan.crop(track)
        stills = sorted(set(path.references)) or [path.start]
        for i in sorted({round(i) for i in np.linspace(0, len(stills) - 1, STILLS)}):
            wanted.setdefault(stills[i], []).append((place, path.similarities[stills[i] - path.start]))
    found: list[list[Doubles]] = [[] for _ in tracks]
    with open_video(video, plan.pts) as reader:
        for frame in reader.pick(sorted(wanted)):
            for place, row in wanted[frame.index]:
                found[place].append(describe_face(frame, row))
    if not all(found):
        raise MediaError(f"{video} ends before a frame that its plan names.", "Analyse it anew:  redub analyse VIDEO --force")
    return [np.mean(each, axis=0) for each in found]
