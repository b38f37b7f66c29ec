"""lessons: a person's stretches -> what is learnt from, and what is held out to tell whether learning helped.

Frames beside each other are nearly the same, and so is what is heard at them; so what is held out stands in blocks, with a
gap around each that belongs to neither side and is longer than a network's window reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from redub.plan import Plan
from redub.types import Bools, Speaking

BLOCK_S = 5.0
"""Longer stretches are cut, so that what is chosen is spread over the footage; and one block is held out in so much."""
HELD_OUT = (0.6, 0.8)
"""The part of each block of the chosen footage, laid end to end, that is held out; a clip's end is often silent."""
GAP_S = 0.2
LEAST_S = 0.2
"""What is left of a stretch and shorter is left out."""
VOICED = 0.3
"""Where there is too much footage, blocks with a smaller share of frames with speech are left out first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Consecutive frames of one face."""

    stretch: Speaking
    is_held_out: bool


def seen_stretches(plan: Plan, tracks: Sequence[int]) -> list[Speaking]:
    """Return the stretches in which these tracks speak and their face was really seen, in order, blocks at most long."""
    most = max(1, round(BLOCK_S * plan.facts.frame_rate))
    found = []
    for one in plan.speaking:
        if one.track in tracks:
            track = plan.track(one.track)
            for start, stop in _runs(track.is_measured[one.start - track.start : one.stop - track.start], one.start):
                count = -(-(stop - start) // most)
                edges = [start + (stop - start) * i // count for i in range(count + 1)]
                found += [Speaking(track=one.track, start=a, stop=b) for a, b in pairwise(edges)]
    return found


def choose_stretches(stretches: Sequence[Speaking], is_speech: Bools, max_frames: int) -> list[Speaking]:
    """Choose stretches that hold no more frames than wanted, evenly spread, those with speech first.

    Args:
        stretches: In order.
        is_speech: (T,) for every frame of the video.
        max_frames: At least one stretch is chosen all the same.
    """
    if sum(map(len, stretches)) <= max_frames:
        return list(stretches)
    voiced = [one for one in stretches if is_speech[one.start : one.stop].mean() >= VOICED] or list(stretches)
    count = max(1, min(len(voiced), int(max_frames / np.mean([len(one) for one in voiced]))))
    while True:
        chosen = [voiced[int((i + 0.5) * len(voiced) / count)] for i in range(count)]
        if count == 1 or sum(map(len, chosen)) <= max_frames:
            return chosen
        count -= 1


def part_lessons(stretches: Sequence[Speaking], frame_rate: float) -> tuple[Lesson, ...]:
    """Part stretches into what is learnt from and what is held out.

    Args:
        stretches: In order, of one person.
        frame_rate: Of the video.

    Returns:
        In order; no frame of one kind lies within `GAP_S` of one of the other.
    """
    total = sum(map(len, stretches))
    blocks = max(1, round(total / (BLOCK_S * frame_rate)))
    place = (np.arange(total) + 0.5) * blocks / max(total, 1) % 1.0
    is_held = (place >= HELD_OUT[0]) & (place < HELD_OUT[1])
    owner = np.concatenate([np.full(len(one), i) for i, one in enumerate(stretches)]) if stretches else np.zeros(0, int)
    index = np.concatenate([np.arange(one.start, one.stop) for one in stretches]) if stretches else np.zeros(0, int)
    gap = int(np.ceil(GAP_S * frame_rate))
    near = np.isin(index, (index[is_held][:, None] + np.arange(-gap, gap + 1)).ravel())
    kind = np.where(is_held, 1, np.where(near, -1, 0))
    least = max(1, round(LEAST_S * frame_rate))
    lessons = []
    for value in (0, 1):
        for i, one in enumerate(stretches):
            rows = np.flatnonzero(owner == i)
            for start, stop in _runs(kind[rows] == value, one.start):
                if stop - start >= least:
                    lessons.append(Lesson(stretch=Speaking(track=one.track, start=start, stop=stop), is_held_out=value == 1))
    return tuple(sorted(lessons, key=lambda lesson: lesson.stretch.start))


def _runs(is_in: Bools, first: int) -> list[tuple[int, int]]:
    """Return begin and end of each run of True, counted from a first index."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_in, [False]]).astype(np.int8)))
    return [(first + int(start), first + int(stop)) for start, stop in edges.reshape(-1, 2)]
