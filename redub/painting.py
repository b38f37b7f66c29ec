"""painting: timeline, plan, generator -> finished frames, in shown order.

Consecutive frames of one face make a *run*.  Each run streams through generation, blending and painting; everything
else passes through untouched.  A handful of frames is held at any time, however long the video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np

from redub.ahead import ahead
from redub.config import Config
from redub.errors import MediaError
from redub.fit import Pass, Slot, Timeline
from redub.media import Frame, Speech, VideoReader, mix, open_video, paint
from redub.pieces import frame_square
from redub.plan import Plan
from redub.plugin import GeneratorInfo, Mode, Region
from redub.stages.blend import blend_run
from redub.stages.generate import Model, Repainted, Seen, generate, take_references
from redub.stills import Still, by_openness
from redub.types import RGB, Floats, Ints

AHEAD_FRAMES = 16
"""Painted frames that may wait for their blending: as many as a generator that works beside it paints in one call."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """A finished frame."""

    frame: Frame
    time: Fraction
    """When it is shown."""
    is_painted: bool


def mixed_passes(line: Timeline, reader: VideoReader, painter: Painter) -> Iterator[Shown]:
    """Paint all passes; where one fades into the next, mix the last frames of the one with the first of the other.

    Args:
        line: What is shown when.
        reader: The source, opened with the plan's times.
        painter: Paints each pass.

    Yields:
        ``line.frames`` frames, their times rising.

    Raises:
        MediaError: The source has fewer frames than its plan.
        PluginError: The generator failed.
    """
    sections = _sections(line)
    held: list[Shown] = []
    for number, passes in enumerate(sections):
        fade = passes[0].fade
        following = sections[number + 1][0].fade if number + 1 < len(sections) else 0
        waiting: deque[Shown] = deque()
        for i, shown in enumerate(painter.paint(_slots(line, passes, reader))):
            waiting.append(_mix(held[i], shown, (i + 1) / (fade + 1)) if i < fade else shown)
            if len(waiting) > following:
                yield waiting.popleft()
        held = list(waiting)


def _mix(one: Shown, other: Shown, weight: float) -> Shown:
    return Shown(frame=mix(one.frame, other.frame, weight), time=other.time, is_painted=one.is_painted or other.is_painted)


def _sections(line: Timeline) -> list[list[Pass]]:
    """Join passes that follow each other without a fade, so that a face is painted on through the turn or the hold."""
    sections: list[list[Pass]] = []
    for one in line.passes:
        if one.fade or not sections:
            sections.append([])
        sections[-1].append(one)
    return sections


def _slots(line: Timeline, passes: Iterable[Pass], reader: VideoReader) -> Iterator[tuple[Slot, Frame]]:
    """Decode the source frame of each slot."""
    frame: Frame | None = None
    for one in passes:
        if one.step == 0 and frame is not None:
            for slot in line.slots(one):
                yield slot, frame
            continue
        last = one.start + one.step * (one.count - 1)
        frames = reader.read(one.start, last + 1) if one.step > 0 else reader.read_backwards(last, one.start + 1)
        slots = line.slots(one)
        for frame in frames:
            yield next(slots), frame
        if next(slots, None) is not None:
            raise MediaError(f"{reader.path} ends before the frame that its plan names.", "Analyse it anew:  redub analyse VIDEO --force")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Painter:
    """Paints the speaker's face, run by run, and passes everything else through."""

    plan: Plan
    model: Model
    speech: Speech
    config: Config
    video: Path
    identity: tuple[Still, ...] = ()
    """Stand for the stills from the video, if there are any."""
    models: Callable[[int], Model] | None = None
    """Who paints each track; None lets ``model`` paint everything."""
    shots: frozenset[int] | None = None
    """Of a FRAME generator: the shots that it paints, by number; None for all."""
    early: dict[int, Future[RGB]] = field(default_factory=dict)
    """Stills that are being fetched already, by track or shot."""

    def paint(self, slots: Iterable[tuple[Slot, Frame]]) -> Iterator[Shown]:
        """Yield every frame with its time; those of the speaker painted."""
        owner = self._owners()
        for number, run in groupby(slots, key=lambda pair: int(owner[pair[0].index])):
            if number < 0:
                for slot, frame in run:
                    yield Shown(frame=frame, time=slot.time, is_painted=False)
            else:
                yield from self._paint_run(number, run)

    def _owners(self) -> Ints:
        """(T,) the track, or for a FRAME generator the shot, that each source frame is painted for; -1 for none."""
        owner = np.full(self.plan.facts.frames, -1, np.int64)
        if self.model.info.region is Region.FRAME:
            for number, shot in enumerate(self.plan.shots):
                if self.shots is not None and number not in self.shots:
                    continue
                owner[shot.start : shot.stop] = number
        else:
            for one in self.plan.speaking:
                owner[one.start : one.stop] = one.track
        return owner

    def _paint_run(self, number: int, run: Iterable[tuple[Slot, Frame]]) -> Iterator[Shown]:
        waiting: deque[Seen] = deque()

        def remember(items: Iterable[Repainted]) -> Iterator[Repainted]:
            # Blending looks a few frames ahead; the frames wait here for their patches.
            for item in items:
                waiting.append(item.seen)
                yield item

        model = self.model if self.models is None else self.models(number)
        items = ahead(generate(self._seen(number, run), model, self.speech, self._references(number)), AHEAD_FRAMES)
        patches = blend_run(
            remember(items),
            region=self.model.info.region,
            mode=self.model.mode,
            config=self.config.blend,
            frame_size=(self.plan.facts.height, self.plan.facts.width),
            frame_rate=self.plan.facts.frame_rate,
        )
        for patch in patches:
            seen = waiting.popleft()
            yield Shown(frame=paint(seen.frame, [patch]), time=seen.time, is_painted=True)

    def _seen(self, number: int, run: Iterable[tuple[Slot, Frame]]) -> Iterator[Seen]:
        if self.model.info.region is Region.FRAME:
            row, nowhere = frame_square(self.plan.facts), np.full((68, 2), np.nan, np.float32)
            for slot, frame in run:
                yield Seen(frame=frame, time=slot.time, duration=slot.duration, similarity=row, points=self._points(slot.index, nowhere))
            return
        track, path = self.plan.track(number), self.plan.crop(number)
        for slot, frame in run:
            i = slot.index - track.start
            yield Seen(frame=frame, time=slot.time, duration=slot.duration, similarity=path.similarities[i], points=track.points[i])

    def _points(self, index: int, nowhere: Floats) -> Floats:
        speaker = next((one for one in self.plan.speaking if one.start <= index < one.stop), None)
        if speaker is None:
            return nowhere
        track = self.plan.track(speaker.track)
        points: Floats = track.points[index - track.start]
        return points

    def _references(self, number: int) -> RGB:
        early = self.early.pop(number, None)
        return (
            early.result()
            if early is not None
            else fetch_stills(self.plan, self.video, self.model.info, self.model.mode, number, self.identity)
        )


def first_run(plan: Plan, info: GeneratorInfo, shots: frozenset[int] | None) -> int | None:
    """Return the track, or for a FRAME generator the shot, that is painted first as long as the video runs forwards; None for none."""
    if info.region is Region.FRAME:
        return min(range(len(plan.shots)) if shots is None else shots, default=None)
    return plan.speaking[0].track if plan.speaking else None


def fetch_stills(plan: Plan, video: Path, info: GeneratorInfo, mode: Mode, number: int, identity: Sequence[Still] = ()) -> RGB:
    """Fetch the stills of a run's speaker; they may lie anywhere in the video.

    Args:
        plan: Of this video.
        video: Is decoded around each of them.
        info: Says how many the generator wants.
        mode: Says their size.
        number: The track, or for a FRAME generator the shot.
        identity: Stand for the stills from the video, if there are any.

    Returns:
        (K, H, W, 3).

    Raises:
        MediaError: The video cannot be read.
    """
    count = info.references
    if not count:
        return take_references([], mode, 0)
    if identity:
        return take_references(by_openness(identity, count), mode, count)
    if info.region is Region.FRAME:
        shot = plan.shots[number]
        indices = sorted({int(i) for i in np.linspace(shot.start, shot.stop - 1, count)})
        rows = {index: frame_square(plan.facts) for index in indices}
    else:
        path = plan.crop(number)
        rows = {index: path.similarities[index - path.start] for index in path.references}
    with open_video(video, plan.pts) as reader:
        stills = {frame.index: (frame, rows[frame.index]) for frame in reader.pick(sorted(rows))}
    order = rows if info.region is Region.FRAME else plan.crop(number).references
    return take_references([stills[index] for index in order if index in stills], mode, count)
