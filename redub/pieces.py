"""pieces: plan, video, stretch -> a piece: consecutive crops of one face with the sound that belongs to them.

Training and adapting learn from pieces.  The crops are sampled just as they are for painting, so that a network sees in
learning what it will be given; each frame stands at its true middle, and the sound reaches half a second beyond the
frames, more than any network's window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from redub.faces.crop import take_crop
from redub.faces.geometry import apply_similarity, invert_similarity
from redub.media import Speech, open_video
from redub.offset import track_offset
from redub.plan import Plan
from redub.plugin import Piece
from redub.types import RGB, Doubles, Floats, Speaking, VideoFacts

LEAD = Fraction(1, 2)
"""Sound is taken from this many seconds before the first frame to as many behind the last."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """What a piece is besides its pictures."""

    starts: tuple[Fraction, ...]
    """When each of the T frames begins, and at last when the last one ends, counted from ``speech[0]``."""
    points: Doubles
    """(T, 68, 2) in the unit square of the canonical crop."""
    speech: Floats
    """(N,) at the sound's own rate."""

    @property
    def times_s(self) -> Doubles:
        """(T,) middles of the frames, counted from ``speech[0]``."""
        return np.array([float((start + stop) / 2) for start, stop in pairwise(self.starts)])


def follow_course(plan: Plan, sound: Speech, stretch: Speaking) -> Course:
    """Return times, landmarks and sound of a stretch, without a look at its pictures.

    Args:
        plan: Holds the stretch's track.
        sound: The plan's video, opened with `redub.media.open_speech`.
        stretch: Frames within its track.
    """
    ticks = [int(tick) for tick in plan.pts[stretch.start : stretch.stop + 1]]
    times = [(tick - int(plan.pts[0])) * plan.time_base for tick in ticks]
    if len(times) == len(stretch):
        times.append(plan.facts.duration)
    first = round((times[0] - LEAD) * sound.rate_hz)
    begin = Fraction(first, sound.rate_hz)
    track = plan.track(stretch.track)
    points = track.points[stretch.start - track.start : stretch.stop - track.start]
    return Course(
        starts=tuple(time - begin for time in times),
        points=apply_similarity(invert_similarity(_rows(plan, stretch)), points),
        speech=sound.window(first, round((times[-1] + LEAD) * sound.rate_hz)),
    )


def take_crops(plan: Plan, video: Path, stretch: Speaking, size_px: int) -> Iterator[RGB]:
    """Yield the crops of a stretch: (S, S, 3) each.

    Raises:
        MediaError: The video cannot be read.
    """
    rows = _rows(plan, stretch)
    with open_video(video, plan.pts) as reader:
        for frame in reader.read(stretch.start, stretch.stop):
            yield take_crop(frame, rows[frame.index - stretch.start], size_px)


def take_piece(plan: Plan, video: Path, sound: Speech, stretch: Speaking, size_px: int) -> Piece:
    """Cut one piece out of a video; all of its crops are in memory.

    Args:
        plan: Of this video.
        video: Where the crops come from.
        sound: The video's own sound, at 16 kHz.
        stretch: Frames within its track.
        size_px: Side of the crops.

    Returns:
        A piece to learn from, its speaker named after the track, its offset between lips and sound as far as that is known.

    Raises:
        MediaError: The video cannot be read.
    """
    course = follow_course(plan, sound, stretch)
    return Piece(
        name=f"{plan.source.name}/track{stretch.track}-{stretch.start}",
        speaker=f"track{stretch.track}",
        offset_s=track_offset(plan, stretch.track),
        crops=np.stack(list(take_crops(plan, video, stretch, size_px))),
        points=course.points.astype(np.float32),
        times_s=course.times_s,
        speech=course.speech,
    )


def frame_square(facts: VideoFacts) -> Doubles:
    """Return the similarity of the largest centred square of a video: (4,); canonical 0 is the left edge of its first pixel."""
    side = min(facts.height, facts.width)
    return np.array([np.log(side), 0.0, (facts.width - side) / 2 - 0.5, (facts.height - side) / 2 - 0.5])


def squared(plan: Plan) -> Plan:
    """Return a plan in whose pieces the crops are that square in every frame, in place of the registered faces."""
    row = frame_square(plan.facts)
    return replace(plan, crops=tuple(replace(path, similarities=np.tile(row, (len(path.similarities), 1))) for path in plan.crops))


def _rows(plan: Plan, stretch: Speaking) -> Doubles:
    path = plan.crop(stretch.track)
    return path.similarities[stretch.start - path.start : stretch.stop - path.start]
