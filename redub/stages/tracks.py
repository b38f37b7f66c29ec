"""tracks: video, shots -> faces, each followed through its shot.

As in section 4 of the Speech2Vid paper: dlib's HOG detector finds faces, a KLT tracker joins them and the regression
trees of Kazemi and Sullivan (2014), or redub's own network, find their landmarks.  The detector, by far the dearest of
the three, looks at key frames only; a face that it finds there is also followed backwards, to the frame in which it
appeared.  Landmarks are found on every frame and are the judge of the tracker: their answers fall apart when there is no
face any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from redub.choices import LandmarkModel
from redub.config import TrackConfig
from redub.faces.detect import detect_faces, overlap
from redub.faces.follow import Sight, box_from_place, confirm, find_again, follow, look_twice, place_from_box
from redub.faces.mouths import Mouths
from redub.progress import Tell
from redub.types import Doubles, Scan, Shot, Track

if TYPE_CHECKING:
    from redub.media import Frame, VideoReader

LARGEST_PX = 2_200_000
"""Frames above this area (about 1080p) are looked at reduced by a whole factor."""
BUFFER_BYTES = 64_000_000
"""How much of the past is kept for following faces backwards; a key interval of 1080p at 30 frames a second."""
COARSE_SHARE, FINE_SHARE = 1 / 6, 1 / 18
"""Smallest face, as a share of the frame's short side, that a coarse and a fine look of the detector can find."""
FINE_EVERY = 4
"""A shot's first look is fine, and every so many key frames again: a fine one costs what nine coarse ones cost."""
MAX_SPREAD = 0.04
"""Landmark answers further apart are no face's: on faces they stay below 0.03 up to a turn of 45 degrees."""
LENIENCE = 0.5
"""The detector confirms a face that was followed at a score lower by this: it must not be found, only recognised."""
MAX_DOUBTS = 2
"""A face that the detector did not confirm on so many key frames in a row ends at its last confirmation."""
MIN_INSIDE = 0.55
"""A face ends when less of its box than this lies in the frame."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Face:
    """A face while it is followed."""

    start: int
    """Frame of ``places[0]``."""
    last: Sight
    confirmed: int
    """Last frame in which the detector saw it."""
    places: deque[Doubles] = field(default_factory=deque)
    points: deque[Any] = field(default_factory=deque)
    is_measured: deque[bool] = field(default_factory=deque)
    missed: int = 0
    """Frames since it was last seen."""
    doubts: int = 0

    def add(self, sight: Sight | None) -> None:
        """Note what was seen in the next frame."""
        if sight is not None:
            self.last = sight
        self.places.append(self.last.place)
        self.points.append(self.last.points)
        self.is_measured.append(sight is not None)
        self.missed = 0 if sight is not None else self.missed + 1

    def add_before(self, sight: Sight) -> None:
        """Note what was seen in the frame before the first one."""
        self.start -= 1
        self.places.appendleft(sight.place)
        self.points.appendleft(sight.points)
        self.is_measured.appendleft(True)

    def place_at(self, index: int) -> Doubles | None:
        """Return where it was in a frame, or None where it was not followed."""
        return self.places[index - self.start] if self.start <= index < self.start + len(self.places) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """The settings in frames and in px of the pictures that are looked at."""

    interval: int
    max_gap: int
    min_length: int
    min_score: float
    reduction: int
    min_face_px: float
    coarse_px: float
    fine_px: float
    buffer: int
    model: LandmarkModel


def find_tracks(video: VideoReader, scan: Scan, config: TrackConfig, tell: Tell, mouths: Mouths | None = None) -> tuple[Track, ...]:
    """Find and follow the faces of a video.

    Args:
        video: Read once, from the first frame, in order; memory stays bounded.
        scan: Shots and size; a track never reaches over a cut.
        config: How often the detector looks, how small and how short a face may be.
        tell: Is told of every frame.
        mouths: Keeps those of all faces, for whoever wants to look at them later; None keeps none.

    Returns:
        Tracks by their first frame, then from left to right, numbered from 1 in that order; none where there is no face.

    Raises:
        MediaError: The video cannot be read.
        WeightError: The landmark predictor is not installed.
    """
    pace = _pace(scan, config)
    tracks: list[Track] = []
    frames = iter(video.read())
    for shot in scan.shots:
        grays = _grays(islice(frames, len(shot)), pace.reduction, scan.facts.frames, tell)
        # In a shot shorter than the least track, a face seen throughout is no fluke.
        own = replace(pace, min_length=min(pace.min_length, len(shot)))
        tracks += [track for face in _follow_shot(grays, shot, own, mouths) if (track := _as_track(face, own)) is not None]
    tracks.sort(key=lambda track: (track.start, float(track.boxes[0, 0])))
    return tuple(
        Track(id=number, start=track.start, boxes=track.boxes, points=track.points, is_measured=track.is_measured)
        for number, track in enumerate(tracks, 1)
    )


def _pace(scan: Scan, config: TrackConfig) -> _Pace:
    facts, rate = scan.facts, float(scan.facts.frame_rate)
    reduction = int(np.ceil(np.sqrt(facts.height * facts.width / LARGEST_PX)))
    short_px = min(facts.height, facts.width) / reduction
    min_face_px = config.min_face_px / reduction
    interval = max(round(config.key_interval_s * rate), 1)
    return _Pace(
        interval=interval,
        max_gap=round(config.max_gap_s * rate),
        min_length=max(round(config.min_length_s * rate), 1),
        min_score=config.min_score,
        reduction=reduction,
        min_face_px=min_face_px,
        coarse_px=max(min_face_px, short_px * COARSE_SHARE),
        fine_px=max(min_face_px, short_px * FINE_SHARE),
        model=config.landmarks,
        buffer=max(min(interval, BUFFER_BYTES * reduction**2 // (facts.height * facts.width)), 1),
    )


def _grays(frames: Iterable[Frame], reduction: int, total: int, tell: Tell) -> Iterator[Any]:
    for frame in frames:
        gray = frame.gray() if reduction == 1 else frame.gray(frame.height // reduction)
        yield np.ascontiguousarray(gray)
        tell("tracks", frame.index + 1, total)


def _follow_shot(grays: Iterable[Any], shot: Shot, pace: _Pace, mouths: Mouths | None) -> list[_Face]:
    """Follow all faces of one shot; returns those that ended as well as those that did not."""
    live: list[_Face] = []
    ended: list[_Face] = []
    past: deque[Any] = deque(maxlen=pace.buffer)

    def keep(index: int, sight: Sight) -> None:
        if mouths is not None:
            mouths.keep(index, sight, pace.reduction)

    for index, gray in enumerate(grays, shot.start):
        for face in live:
            sight = _see(gray, face, pace)
            face.add(sight)
            if sight is not None:
                keep(index, sight)
        number, rest = divmod(index - shot.start, pace.interval)
        if rest == 0 or index == shot.stop - 1:
            for face in live:
                _check(gray, index, face, pace)
            is_fine = rest == 0 and number % FINE_EVERY == 0
            for face in _new_faces(gray, index, live, pace, pace.fine_px if is_fine else pace.coarse_px):
                keep(index, face.last)
                _follow_back(face, past, [*live, *ended], keep, pace.model)
                live.append(_joined(face, ended, pace))
            past.clear()
        past.append(gray)
        gone = [face for face in live if face.missed > pace.max_gap or face.doubts >= MAX_DOUBTS or _is_double(face, live)]
        live = [face for face in live if face not in gone]
        ended += gone
    return [*ended, *live]


def _see(gray: Any, face: _Face, pace: _Pace) -> Sight | None:
    """Return the face in the next frame, or None where it is not seen."""
    sight = follow(gray, face.last, pace.model) if face.missed == 0 else None
    if sight is None or sight.spread > MAX_SPREAD:
        sight = find_again(gray, face.last, pace.min_score, pace.model)
    if sight is None or sight.spread > MAX_SPREAD or _inside(sight.place, gray) < MIN_INSIDE:
        return None
    return sight


def _check(gray: Any, index: int, face: _Face, pace: _Pace) -> None:
    """Let the detector confirm a face that was followed."""
    if face.missed == 0 and confirm(gray, face.last, pace.min_score - LENIENCE):
        face.confirmed, face.doubts = index, 0
    else:
        face.doubts += 1


def _new_faces(gray: Any, index: int, live: Sequence[_Face], pace: _Pace, smallest_px: float) -> list[_Face]:
    """Return the faces of a frame that are not yet followed."""
    new = []
    for found in detect_faces(gray, smallest_px, pace.min_score):
        if found.box[2] - found.box[0] < pace.min_face_px or any(_meets(found.box, face.last.place) for face in live):
            continue
        sight = look_twice(gray, place_from_box(found.box), pace.model)
        if sight.spread > MAX_SPREAD or _inside(sight.place, gray) < MIN_INSIDE:
            continue
        face = _Face(start=index, last=sight, confirmed=index)
        face.add(sight)
        new.append(face)
    return new


def _follow_back(face: _Face, past: deque[Any], others: Sequence[_Face], keep: Callable[[int, Sight], None], model: LandmarkModel) -> None:
    """Follow a new face through the frames before it, until it is lost or meets one that is known there."""
    sight: Sight | None = face.last
    for gray in reversed(past):
        sight = follow(gray, sight, model) if sight is not None else None
        if sight is None or sight.spread > MAX_SPREAD or _inside(sight.place, gray) < MIN_INSIDE:
            return
        known = (other.place_at(face.start - 1) for other in others)
        if any(place is not None and _meets(box_from_place(sight.place), place) for place in known):
            return
        face.add_before(sight)
        keep(face.start, sight)


def _joined(face: _Face, ended: list[_Face], pace: _Pace) -> _Face:
    """Return a new face as the continuation of one that ended just before, in the same place, if there is one."""
    for other in ended:
        gap = face.start - (other.start + len(other.places) - other.missed)
        if 0 <= gap <= pace.max_gap and _meets(box_from_place(face.places[0]), other.last.place):
            ended.remove(other)
            _drop_tail(other)
            face.places = other.places + deque([other.last.place] * gap) + face.places
            face.points = other.points + deque([other.last.points] * gap) + face.points
            face.is_measured = other.is_measured + deque([False] * gap) + face.is_measured
            face.start = other.start
            return face
    return face


def _drop_tail(face: _Face) -> None:
    """Forget the frames at the end in which a face was not seen."""
    for _ in range(face.missed):
        face.places.pop(), face.points.pop(), face.is_measured.pop()
    face.missed = 0


def _is_double(face: _Face, live: Sequence[_Face]) -> bool:
    """Say whether an older face is followed in the same place."""
    older = live[: live.index(face)]
    return any(overlap(box_from_place(face.last.place), box_from_place(other.last.place)) > 0.5 for other in older)


def _meets(box: Any, place: Doubles) -> bool:
    return overlap(box, box_from_place(place)) > 0.3


def _inside(place: Doubles, gray: Any) -> float:
    """Return the share of a face's box that lies in the picture."""
    left, top, right, bottom = box_from_place(place)
    width = min(right, gray.shape[1]) - max(left, 0.0)
    height = min(bottom, gray.shape[0]) - max(top, 0.0)
    return float(max(width, 0.0) * max(height, 0.0) / ((right - left) * (bottom - top)))


def _as_track(face: _Face, pace: _Pace) -> Track | None:
    """Return a finished face with its gaps filled, in px of the frame, or None if it is too short or too small."""
    _drop_tail(face)
    count = len(face.places)
    if face.doubts >= MAX_DOUBTS:
        count = min(count, face.confirmed + 1 - face.start)
    if count < pace.min_length:
        return None
    is_measured = np.array(face.is_measured, bool)[:count]
    points = _filled(np.array(face.points, np.float64)[:count], is_measured)
    boxes = _filled(box_from_place(np.array(face.places))[:count], is_measured)
    if np.median(boxes[:, 2] - boxes[:, 0]) < pace.min_face_px * 0.9:
        return None
    # Reduced px to frame px, with the origin in the middle of the first pixel.
    points, boxes = ((array + 0.5) * pace.reduction - 0.5 for array in (points, boxes))
    return Track(id=0, start=face.start, boxes=boxes.astype(np.float32), points=points.astype(np.float32), is_measured=is_measured)


def _filled(values: Doubles, is_measured: Any) -> Doubles:
    """Interpolate over the rows that were not measured: (T, ...) -> (T, ...)."""
    flat = values.reshape(len(values), -1)
    known = np.flatnonzero(is_measured)
    filled = [np.interp(np.arange(len(values)), known, column[known]) for column in flat.T]
    return np.stack(filled, axis=1).reshape(values.shape)
