"""pipeline: video, sound -> shots -> tracks -> speakers -> crops -> generate -> blend -> video.

`analyse` looks and makes a `Plan`, `render` executes a plan for one sound, `redub` does both and keeps the plan for
the next language.  Nothing else calls the stages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np

from redub import shelf
from redub.ahead import ahead
from redub.config import Config
from redub.errors import MediaError, NoFaceError, PlanError, PluginError
from redub.fit import Pass, Slot, Timeline, fit_lengths
from redub.media import Frame, Speech, SyntheticMark, VideoReader, VideoWriter, mix, open_speech, open_video, paint
from redub.media.place import check_target
from redub.plan import Plan, fingerprint
from redub.plugin import GeneratorInfo, Region, manager
from redub.progress import Tell, silent
from redub.stages.blend import blend_run
from redub.stages.crops import place_crops
from redub.stages.generate import Model, Repainted, Seen, generate, take_references
from redub.stages.shots import find_shots
from redub.stages.speakers import choose_speakers, pick_speakers
from redub.stages.tracks import find_tracks
from redub.types import RGB, Blend, Doubles, Floats, Ints
from redub.version import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run made."""

    output: Path
    plan: Path | None
    """The folder of the plan; None if it could not be kept."""
    frames: int
    painted_frames: int
    duration: Fraction
    decision: str
    """What was decided about the lengths of sound and video."""
    notices: tuple[str, ...]
    """What the user should know: conversions, tracks that could not be kept."""


def redub(
    video: Path | str,
    audio: Path | str,
    generator: str = "speech2vid",
    *,
    output: Path | str | None = None,
    plan: Path | str | None = None,
    config: Config | None = None,
    blend: Blend | None = None,
    speaker: str = "auto",
    device: str = "auto",
    force: bool = False,
    tell: Tell = silent,
) -> Result:
    """Give a video a new sound track and the mouth to go with it.

    Args:
        video: Somebody talking.
        audio: The new sound, in any format that FFmpeg reads.
        generator: A name from ``redub plugins``.
        output: Where the result goes; by default ``VIDEO.AUDIO.mp4`` beside the video.
        plan: A plan's folder; made there if there is none.  By default the one beside the video.
        config: All other settings.
        blend: The blending; by default the configured one or, where the generator lacks it, the generator's first.
        speaker: ``auto``, ``left``, ``right`` or track ids.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        force: Replace an output that exists.
        tell: Is told of the progress.

    Raises:
        RedubError: Something the user can repair; nothing is half-written.
    """
    config = config or Config()
    video, audio = shelf.check_file(Path(video), "video"), shelf.check_file(Path(audio), "sound")
    folder = Path(plan) if plan is not None else None
    # What is bound to fail must not cost an analysis first.
    manager.check_ready(generator, blend)
    check_target(_target(output, video, audio), [video, audio], force=force)
    found = shelf.find_plan(video, folder, config)
    notices: list[str] = []
    kept: Path | None = folder or shelf.folder_beside(video)
    if found is None:
        found = analyse(video, config, tell=tell)
        kept = _keep(found, folder, video, notices)
    result = render(
        found, video, audio, generator,
        output=output, config=config, blend=blend, speaker=speaker, device=device, force=force, tell=tell,
    )  # fmt: skip
    return replace(result, plan=kept, notices=(*notices, *result.notices))


def analyse(video: Path | str, config: Config | None = None, *, tell: Tell = silent) -> Plan:
    """Find shots, faces, speakers and crops of a video; the new sound plays no part in it.

    Raises:
        MediaError: The video cannot be read.
    """
    config = config or Config()
    video = shelf.check_file(Path(video), "video")
    source = fingerprint(video)
    with open_video(video) as reader:
        scan = find_shots(reader, config.shots, tell)
        tracks = find_tracks(reader, scan, config.tracks, tell)
    return Plan(
        source=source,
        facts=scan.facts,
        pts=scan.pts,
        time_base=scan.time_base,
        shots=scan.shots,
        tracks=tracks,
        crops=place_crops(tracks, scan.facts.frame_rate, config.crops),
        speaking=choose_speakers(scan.shots, tracks, config.speakers),
        settings=config.analysis_settings(),
    )


def analyse_into(video: Path, folder: Path | None, config: Config, *, force: bool = False, tell: Tell = silent) -> tuple[Plan, Path]:
    """Analyse a video and save the plan in a folder, or return the one that is there.

    Raises:
        PlanError: There is a plan that does not fit, and ``force`` is not given.
    """
    target = folder or shelf.folder_beside(video)
    shelf.check_file(video, "video")
    plan = None if force else shelf.find_plan(video, folder, config)
    if plan is None:
        plan = analyse(video, config, tell=tell)
        plan.save(target)
    return plan, target


def render(
    plan: Plan,
    video: Path | str,
    audio: Path | str,
    generator: str = "speech2vid",
    *,
    output: Path | str | None = None,
    config: Config | None = None,
    blend: Blend | None = None,
    speaker: str = "auto",
    device: str = "auto",
    force: bool = False,
    tell: Tell = silent,
) -> Result:
    """Execute a plan for one sound, streaming: memory does not grow with length.

    Args and errors are those of `redub`.
    """
    config = config or Config()
    video, audio = shelf.check_file(Path(video), "video"), shelf.check_file(Path(audio), "sound")
    plan.check_source(video)
    target = _target(output, video, audio)
    entry = manager.find(generator)
    info = entry.info
    notices: list[str] = []
    blending = _choose_blend(info, blend, config.blend.mode, notices)
    config = replace(config, blend=replace(config.blend, mode=blending))
    if speaker != "auto":
        plan = replace(plan, speaking=pick_speakers(speaker, plan.shots, plan.tracks))
    if info.region is Region.FACE and not plan.speaking:
        raise NoFaceError(
            f"No face to paint was found in {video.name}.",
            "See what was found with  redub show PLAN ; smaller faces are found with  --set tracks.min_face_px=40",
        )
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(video, plan.pts))
        speech = stack.enter_context(open_speech(audio, info.audio.rate_hz))
        line = fit_lengths(plan.pts, plan.time_base, plan.facts, speech.duration, config.fit)
        model = stack.enter_context(manager.load(entry, blending, device=device))
        mark = SyntheticMark(
            generator=info.name, weights_sha256=tuple(w.sha256 for w in info.modes[blending].weights), redub_version=VERSION
        )
        writer = stack.enter_context(
            VideoWriter(target, reader, sound=audio, encode=config.encode, mark=mark, duration=line.sound_stop, force=force)
        )
        painter = _Painter(
            plan=plan, model=Model(info=info, mode=info.modes[blending], generator=model), speech=speech, config=config, video=video
        )
        for done, (frame, time) in enumerate(_mixed(line, reader, painter), 1):
            writer.write(frame, time)
            tell("paint", done, line.frames)
        writer.finish()
    return Result(
        output=target, plan=None, frames=line.frames, painted_frames=painter.painted_frames, duration=line.duration,
        decision=line.decision, notices=(*notices, *writer.notices),
    )  # fmt: skip


AHEAD_FRAMES = 8
"""Painted frames that may wait for their blending."""

Shown = tuple[Frame, Fraction]
"""A finished frame and when it is shown."""


def _target(output: Path | str | None, video: Path, audio: Path) -> Path:
    return Path(output) if output is not None else video.with_name(f"{video.stem}.{audio.stem}.mp4")


def _keep(plan: Plan, folder: Path | None, video: Path, notices: list[str]) -> Path | None:
    """Save a new plan where the user said, or beside the video if that can be written."""
    target = folder or shelf.folder_beside(video)
    try:
        plan.save(target)
    except PlanError as error:
        if folder is not None:
            raise
        notices.append(f"{error.message} The next language will have to analyse again; name a folder with --plan to avoid it.")
        return None
    return target


def _choose_blend(info: GeneratorInfo, asked: Blend | None, usual: Blend, notices: list[str]) -> Blend:
    wanted = asked or usual
    if wanted in info.modes:
        return wanted
    offered = ", ".join(info.modes)
    if asked is not None:
        raise PluginError(f"The generator {info.name} cannot be blended with {asked!r}.", f"It offers: {offered}.")
    first = next(iter(info.modes))
    notices.append(f"{info.name} does not offer {usual!s} blending; {first!s} is used.")
    return first


def _mixed(line: Timeline, reader: VideoReader, painter: _Painter) -> Iterator[Shown]:
    """Paint all passes; where one fades into the next, mix the last frames of the one with the first of the other."""
    sections = _sections(line)
    held: list[Shown] = []
    for number, passes in enumerate(sections):
        fade = passes[0].fade
        following = sections[number + 1][0].fade if number + 1 < len(sections) else 0
        waiting: deque[Shown] = deque()
        for i, (frame, time) in enumerate(painter.paint(_slots(line, passes, reader))):
            waiting.append((mix(held[i][0], frame, (i + 1) / (fade + 1)) if i < fade else frame, time))
            if len(waiting) > following:
                yield waiting.popleft()
        held = list(waiting)


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


@dataclass(slots=True, kw_only=True)
class _Painter:
    """Paints the speaker's face, run by run, and passes everything else through."""

    plan: Plan
    model: Model
    speech: Speech
    config: Config
    video: Path
    painted_frames: int = 0

    def paint(self, slots: Iterable[tuple[Slot, Frame]]) -> Iterator[Shown]:
        """Yield every frame with its time; those of the speaker painted."""
        owner = self._owners()
        for number, run in groupby(slots, key=lambda pair: int(owner[pair[0].index])):
            if number < 0:
                for slot, frame in run:
                    yield frame, slot.time
            else:
                yield from self._paint_run(number, run)

    def _owners(self) -> Ints:
        """(T,) the track, or for a FRAME generator the shot, that each source frame is painted for; -1 for none."""
        owner = np.full(self.plan.facts.frames, -1, np.int64)
        if self.model.info.region is Region.FRAME:
            for number, shot in enumerate(self.plan.shots):
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

        items = ahead(generate(self._seen(number, run), self.model, self.speech, self._references(number)), AHEAD_FRAMES)
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
            self.painted_frames += 1
            yield paint(seen.frame, [patch]), seen.time

    def _seen(self, number: int, run: Iterable[tuple[Slot, Frame]]) -> Iterator[Seen]:
        if self.model.info.region is Region.FRAME:
            row, nowhere = self._square(), np.full((68, 2), np.nan, np.float32)
            for slot, frame in run:
                yield Seen(frame=frame, time=slot.time, duration=slot.duration, similarity=row, points=self._points(slot.index, nowhere))
            return
        track, path = self.plan.track(number), self.plan.crop(number)
        for slot, frame in run:
            i = slot.index - track.start
            yield Seen(frame=frame, time=slot.time, duration=slot.duration, similarity=path.similarities[i], points=track.points[i])

    def _square(self) -> Doubles:
        """(4,) similarity of the largest centred square; canonical 0 is the left edge of its first pixel."""
        height, width = self.plan.facts.height, self.plan.facts.width
        side = min(height, width)
        return np.array([np.log(side), 0.0, (width - side) / 2 - 0.5, (height - side) / 2 - 0.5])

    def _points(self, index: int, nowhere: Floats) -> Floats:
        speaker = next((one for one in self.plan.speaking if one.start <= index < one.stop), None)
        if speaker is None:
            return nowhere
        track = self.plan.track(speaker.track)
        points: Floats = track.points[index - track.start]
        return points

    def _references(self, number: int) -> RGB:
        """Fetch the stills of the run's speaker; they may lie anywhere in the video."""
        count = self.model.info.references
        if not count:
            return take_references([], self.model.mode, 0)
        if self.model.info.region is Region.FRAME:
            shot = self.plan.shots[number]
            indices = sorted({int(i) for i in np.linspace(shot.start, shot.stop - 1, count)})
            rows = {index: self._square() for index in indices}
        else:
            path = self.plan.crop(number)
            rows = {index: path.similarities[index - path.start] for index in path.references}
        with open_video(self.video, self.plan.pts) as reader:
            stills = {frame.index: (frame, rows[frame.index]) for frame in reader.pick(sorted(rows))}
        order = rows if self.model.info.region is Region.FRAME else self.plan.crop(number).references
        return take_references([stills[index] for index in order if index in stills], self.model.mode, count)
