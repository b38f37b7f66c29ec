"""speakers: shots, tracks, readings -> who speaks when.

A face that speaks goes with the sound; one that listens, or is shown while a narrator speaks, does not.  `redub.hearing` has
compared each track with the sound; here that becomes a decision for every frame.  In each shot the track speaks whose
confidence is highest around a frame, if it is high enough; silence belongs to whoever spoke before or speaks behind it.
That nobody speaks is an answer too.  A face that is lost and found again makes two tracks, each of which speaks in its time.
At no time do two faces speak.

Where nothing has listened, the face that looks into the camera for longest within a shot is taken for the speaker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from math import sqrt

import numpy as np

from redub.config import SpeakerConfig
from redub.errors import NoFaceError, RedubError
from redub.faces.landmarks import yaw
from redub.types import Doubles, Floats, Ints, Reading, Shot, Speaking, Track

NOBODY, UNKNOWN = -1, -2
"""Beside the places of tracks in a list: somebody is heard who is not seen, and nobody is heard."""
WHILE_S = 3.0
"""A track that is not sure as a whole may speak for a while at a time."""
LEAST_HEARD_S = 0.3
"""Where less speech than this is heard, there is nobody to be found."""


def choose_speakers(
    shots: Sequence[Shot],
    tracks: Sequence[Track],
    config: SpeakerConfig,
    readings: Sequence[Reading] | None = None,
    frame_rate: Fraction = Fraction(25),
) -> tuple[Speaking, ...]:
    """Decide who speaks when.

    Args:
        shots: In order.
        tracks: None of them reaches over a cut.
        config: How sure one has to be.
        readings: One for each track; None takes the longest frontal track of each shot, and those beside it in time.
        frame_rate: Turns the settings' seconds into frames.

    Returns:
        Stretches in order of time, none overlapping; empty where there is no face, or none that speaks.
    """
    if readings is None:
        return best_first(shots, tracks, lambda track: _frontal_frames(track, config))
    known = {reading.track: reading for reading in readings}
    pace = _Pace.of(config, frame_rate)
    labels = {shot.start: label_shot(shot, _inside(shot, tracks), known, pace) for shot in shots}
    decided = np.concatenate([row[row != UNKNOWN] for row in labels.values()])
    speaking: list[Speaking] = []
    for shot in shots:
        inside = _inside(shot, tracks)
        if any(pace.is_judged(known[track.id]) for track in inside):
            speaking += _stretches(settled(labels[shot.start], pace), inside, shot)
        elif any(known[track.id].heard_s >= LEAST_HEARD_S for track in inside) and (not len(decided) or (decided >= 0).mean() >= 0.5):
            speaking += best_first([shot], inside, lambda track: _frontal_frames(track, config))
    return tuple(speaking)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """The settings, in frames."""

    config: SpeakerConfig
    rate: float
    window: int
    least: int
    scored: float

    @classmethod
    def of(cls, config: SpeakerConfig, frame_rate: Fraction) -> _Pace:
        rate = float(frame_rate)
        return cls(
            config=config, rate=rate, window=max(1, round(config.window_s * rate)), least=max(1, round(config.min_stretch_s * rate)),
            scored=config.min_scored_s * rate,
        )  # fmt: skip

    @property
    def while_frames(self) -> int:
        return max(1, round(WHILE_S * self.rate))

    @property
    def least_while(self) -> float:
        """Confidence over a while that is more than chance at a given offset."""
        return max(self.config.min_frame_confidence, 0.75 * self.config.chance / sqrt(WHILE_S))

    def is_sure(self, reading: Reading) -> bool:
        """Say whether a track goes with the sound as a whole."""
        return self.config.is_sure(reading.confidence, reading.offset_s, reading.scored_s)

    def is_judged(self, reading: Reading) -> bool:
        """Say whether there is enough of a track to judge it."""
        return bool(np.isfinite(reading.frame_confidence).sum() >= max(self.scored, 1))


def label_shot(shot: Shot, tracks: Sequence[Track], readings: Mapping[int, Reading], pace: _Pace) -> Ints:
    """Say for each frame of a shot which of its tracks suits the sound.

    Returns:
        (T,) places in ``tracks``, or `NOBODY` where somebody is heard whom no track suits, or `UNKNOWN` where nobody is.
    """
    # Where any track of the video is sure, those that are not are read at its offset, and chance had no choice there.
    has_usual = any(pace.is_sure(reading) for reading in readings.values())
    best = np.full(len(shot), -np.inf)
    labels = np.full(len(shot), UNKNOWN)
    for place, track in enumerate(tracks):
        reading = readings[track.id]
        if not pace.is_judged(reading):
            continue
        rows = slice(track.start - shot.start, track.stop - shot.start)
        around = mean_around(reading.frame_confidence, pace.window)
        labels[rows] = np.where(np.isfinite(around) & (labels[rows] == UNKNOWN), NOBODY, labels[rows])
        may_speak = pace.is_sure(reading) or (has_usual & (mean_around(reading.frame_confidence, pace.while_frames) >= pace.least_while))
        # Of two that suit now, the one that suits the whole time goes first; but the longer that is, the less it says of now.
        bonus = reading.confidence * min(1.0, pace.config.window_s / max(reading.scored_s, 1e-9))
        worth = np.where(may_speak & (around >= pace.config.min_frame_confidence), around + bonus, -np.inf)
        labels[rows] = np.where(worth > best[rows], place, labels[rows])
        best[rows] = np.maximum(best[rows], worth)
    return labels


def mean_around(values: Floats, window: int) -> Floats:
    """Return the mean of the numbers within a window around each frame: (T,) -> (T,); NaN where there are none."""
    is_number = np.isfinite(values)
    ones = np.ones(window)
    count = _centred(is_number.astype(np.float64), ones)
    total = _centred(np.where(is_number, values, 0.0), ones)
    return np.where(count > 0.5, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _centred(values: Doubles, ones: Doubles) -> Doubles:
    first = (len(ones) - 1) // 2
    found: Doubles = np.convolve(values, ones)[first : first + len(values)]
    return found


def settled(labels: Ints, pace: _Pace) -> Ints:
    """Give silence to whoever speaks nearest to it, and what is too short to its longer neighbour: (T,) -> (T,)."""
    known = np.flatnonzero(labels != UNKNOWN)
    if not len(known):
        return np.full_like(labels, NOBODY)
    edges = (known[1:] + known[:-1] + 1) // 2
    labels = labels[known[np.searchsorted(edges, np.arange(len(labels)), side="right")]]
    runs = [[int(label), len(list(run))] for label, run in groupby(labels)]
    while len(runs) > 1:
        shortest = min(range(len(runs)), key=lambda i: runs[i][1])
        if runs[shortest][1] >= pace.least:
            break
        neighbour = max((i for i in (shortest - 1, shortest + 1) if 0 <= i < len(runs)), key=lambda i: runs[i][1])
        runs[shortest][0] = runs[neighbour][0]
        runs = [[label, sum(length for _, length in run)] for label, run in ((k, list(g)) for k, g in groupby(runs, key=lambda r: r[0]))]
    return np.repeat([label for label, _ in runs], [length for _, length in runs])


def _stretches(labels: Ints, tracks: Sequence[Track], shot: Shot) -> list[Speaking]:
    found, start = [], shot.start
    for label, run in groupby(labels):
        stop = start + len(list(run))
        if label >= 0:
            track = tracks[int(label)]
            first, last = max(start, track.start), min(stop, track.stop)
            if first < last:
                found.append(Speaking(track=track.id, start=first, stop=last))
        start = stop
    return found


def _inside(shot: Shot, tracks: Iterable[Track]) -> list[Track]:
    return [track for track in tracks if shot.start <= track.start < shot.stop]


def pick_speakers(choice: str, shots: Sequence[Shot], tracks: Sequence[Track]) -> tuple[Speaking, ...]:
    """Let the user choose: ``left`` or ``right`` of each shot, or track ids such as ``3`` or ``3,7``.

    Raises:
        RedubError: The choice names no track, or two that are seen at the same time.
    """
    if choice in ("left", "right"):
        side = -1 if choice == "left" else 1
        return best_first(shots, tracks, lambda track: side * float(track.boxes[:, ::2].mean()))
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


def where_heard(chosen: Sequence[Speaking], heard: Sequence[Speaking]) -> tuple[Speaking, ...]:
    """Leave of stretches that a user chose those parts in which their faces go with the sound.

    Args:
        chosen: What `pick_speakers` returned.
        heard: What `choose_speakers` did.  A face that is in none of it is left as it was chosen: the user knows better.
    """
    parts: list[Speaking] = []
    for one in chosen:
        own = [other for other in heard if other.track == one.track]
        cut = [Speaking(track=one.track, start=max(one.start, other.start), stop=min(one.stop, other.stop)) for other in own]
        parts += [part for part in cut if part.start < part.stop] if own else [one]
    return tuple(parts)


def best_first(shots: Iterable[Shot], tracks: Sequence[Track], worth: Callable[[Track], float]) -> tuple[Speaking, ...]:
    """Let the best track of each shot speak as long as it is seen, and further ones that do not overlap it, best first."""
    speaking: list[Speaking] = []
    for shot in shots:
        taken: list[Track] = []
        for track in sorted(_inside(shot, tracks), key=worth, reverse=True):
            if all(track.stop <= other.start or other.stop <= track.start for other in taken):
                taken.append(track)
        speaking += sorted(map(_whole, taken), key=lambda stretch: stretch.start)
    return tuple(speaking)


def meet(tracks: Iterable[Track]) -> bool:
    """Say whether two faces are ever seen at the same time."""
    ordered = sorted(tracks, key=lambda track: track.start)
    return any(following.start < one.stop for one, following in pairwise(ordered))


def _whole(track: Track) -> Speaking:
    return Speaking(track=track.id, start=track.start, stop=track.stop)


def _frontal_frames(track: Track, config: SpeakerConfig) -> float:
    """Count the frontal frames; size decides between equals, so that the presenter beats a face on a poster."""
    frontal = float(np.sum(np.abs(yaw(track.points)) < config.max_yaw))
    size_px = float(np.mean(track.boxes[:, 3] - track.boxes[:, 1]))
    return frontal + size_px * 1e-4
