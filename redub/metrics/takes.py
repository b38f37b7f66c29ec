"""takes: recording -> somebody talking without a cut, and what is true of them.

Of each recording the longest stretch in which somebody speaks is measured, or in which a face is seen if analysis lets nobody
speak.  Its plan is made in memory, or is the one
beside the video if that fits; nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from redub import shelf
from redub.choices import LandmarkModel
from redub.config import Config
from redub.errors import NoFaceError, PlanError
from redub.faces.follow import canonical_points
from redub.faces.geometry import apply_similarity, invert_similarity, similarity_from_points
from redub.faces.landmarks import mouth_openness
from redub.media import open_speech, open_video
from redub.metrics.recordings import Recording
from redub.metrics.series import frame_rms, speech_frames
from redub.pipeline import analyse
from redub.plan import Plan, is_source
from redub.plugin import Mode
from redub.stages.crops import choose_references
from redub.stages.generate import take_references
from redub.stages.speakers import choose_speakers
from redub.types import RGB, Bools, Doubles, Track

SOUND_RATE_HZ = 16_000
LEAST_FRAMES = 16
"""Shorter stretches are not measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Take:
    """Consecutive frames of one recording in which one person speaks."""

    recording: Recording
    plan: Plan
    track: int
    """The id of the person's track in the plan."""
    start: int
    """The recording's frames ``start <= index < stop``, T of them."""
    stop: int
    times: tuple[Fraction, ...]
    """(T + 1,) when each frame begins and the last one ends, in seconds of the recording."""
    points: Doubles
    """(T, 68, 2) true landmarks in the unit square of the canonical crop."""
    gap: Doubles
    """(T,) between the true inner lips, as a share of the distance between the eyes."""
    rms: Doubles
    """(T,) of the recording's own sound."""
    is_speech: Bools
    """(T,) measured against the loudest frame of the whole stretch."""
    is_measured: Bools
    """(T,) False where the face was not seen."""
    read_by: LandmarkModel
    """What found ``points``, and is to read painted frames."""

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def rate_hz(self) -> float:
        """Frames a second, on average."""
        return float(self.plan.facts.frame_rate)

    @property
    def middles_s(self) -> Doubles:
        """(T,) when the middle of each frame is shown."""
        edges = np.array([float(time) for time in self.times])
        middles: Doubles = (edges[1:] + edges[:-1]) / 2
        return middles

    @property
    def similarities(self) -> Doubles:
        """(T, 4) canonical to frame px."""
        path = self.plan.crop(self.track)
        return path.similarities[self.start - path.start : self.stop - path.start]

    def part(self, start: int, stop: int) -> Take:
        """Return some of the frames, counted within the take."""
        arrays = {name: getattr(self, name)[start:stop] for name in ("points", "gap", "rms", "is_speech", "is_measured")}
        return replace(self, start=self.start + start, stop=self.start + stop, times=self.times[start : stop + 1], **arrays)

    def name(self) -> str:
        """Return the file's name, with the frames if they are not all."""
        whole = self.plan.facts.frames
        return self.recording.path.name + ("" if len(self) == whole else f" [{self.start}:{self.stop}]")


def find_take(recording: Recording, config: Config, read_by: LandmarkModel | None = None) -> Take:
    """Find the longest stretch of speech of a recording and measure what is true of it.

    Args:
        recording: Somebody talking.
        config: For the analysis.
        read_by: What reads the true mouth; None for what the analysis found the face with.

    Raises:
        NoFaceError: Nobody speaks in it for `LEAST_FRAMES`.
        MediaError: It cannot be read, or has no sound.
    """
    plan = _plan_of(recording, config)
    # Whoever names footage says that somebody talks in it, however unsure analysis is of that.
    speaking = plan.speaking or choose_speakers(plan.shots, plan.tracks, config.speakers)
    stretch = max(speaking, key=len, default=None)
    if stretch is None or len(stretch) < LEAST_FRAMES:
        raise NoFaceError(f"In {recording.path.name} no face is seen for long enough.", "Leave it out, or look at it with redub show.")
    track, path = plan.track(stretch.track), plan.crop(stretch.track)
    ticks = [(int(tick) - int(plan.pts[0])) * plan.time_base for tick in plan.pts] + [plan.facts.duration]
    times = tuple(ticks[stretch.start : stretch.stop + 1])
    seen = slice(stretch.start - track.start, stretch.stop - track.start)
    with open_speech(recording.path, SOUND_RATE_HZ) as sound:
        rms = frame_rms(sound.window(0, sound.samples), SOUND_RATE_HZ, [float(time) for time in times])
    take = Take(
        recording=recording,
        plan=plan,
        track=stretch.track,
        start=stretch.start,
        stop=stretch.stop,
        times=times,
        points=apply_similarity(invert_similarity(path.similarities[seen]), track.points[seen]),
        gap=mouth_openness(track.points[seen]),
        rms=rms,
        is_speech=speech_frames(rms),
        is_measured=track.is_measured[seen],
        read_by=plan.landmarks,
    )
    return take if read_by in (None, plan.landmarks) else _read_again(take, LandmarkModel(read_by))


def _read_again(take: Take, model: LandmarkModel) -> Take:
    """Return a take whose truth is what another model reads off its frames, as it will read painted ones."""
    with open_video(take.recording.path, take.plan.pts) as reader:
        frames = zip(reader.read(take.start, take.stop), take.similarities, strict=True)
        points = np.stack([canonical_points(frame.gray(), place, model) for frame, place in frames])
    return replace(take, points=points, gap=mouth_openness(points), read_by=model)


def take_stills(takes: Sequence[Take], mode: Mode, count: int) -> RGB:
    """Sample stills of a speaker as analysis chooses them, from the longest of some takes.

    Returns:
        (count, H, W, 3), H = W = ``input_px``, from a slightly open to a wide open mouth.
    """
    take = max(takes, key=len)
    track, rows = _track_of(take), take.similarities
    indices = choose_references(track, similarity_from_points(track.points))
    with open_video(take.recording.path, take.plan.pts) as reader:
        frames = {frame.index: frame for frame in reader.pick(sorted(set(indices)))}
    return take_references([(frames[index], rows[index - take.start]) for index in indices if index in frames], mode, count)


def _track_of(take: Take) -> Track:
    """Return the person's track, cut to the take."""
    track = take.plan.track(take.track)
    seen = slice(take.start - track.start, take.stop - track.start)
    return Track(
        id=track.id, start=take.start, boxes=track.boxes[seen], points=track.points[seen], is_measured=track.is_measured[seen]
    )  # fmt: skip


def _plan_of(recording: Recording, config: Config) -> Plan:
    """Return the plan beside the video if it fits, or a new one."""
    folder = shelf.folder_beside(recording.path)
    if (folder / "plan.json").exists():
        try:
            plan = Plan.load(folder)
        except PlanError:
            return analyse(recording.path, config)
        if plan.settings == config.analysis_settings() and is_source(recording.path, plan.source):
            return plan
    return analyse(recording.path, config)


def sort_by_speaker(takes: Iterable[Take]) -> dict[str, list[Take]]:
    """Group takes by speaker, in order of names and files."""
    speakers: dict[str, list[Take]] = {}
    for take in sorted(takes, key=lambda take: (take.recording.speaker, str(take.recording.path))):
        speakers.setdefault(take.recording.speaker, []).append(take)
    return speakers
