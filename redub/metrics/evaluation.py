"""evaluation: recordings, generator -> how good it is.

Two protocols, in both of which the generator is blindfolded.  *Own*: a clip's mouth is painted anew from the clip's own
sound, so that every frame has a true picture.  *Dub*: the sound of a clip is painted over another clip of the same
speaker, as users do; the other clip's untouched mouth shows what not listening at all would give.

Neither stills nor what a generator adapts to may come from the clip whose mouth is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from redub.choices import YARDSTICK, BlendChoice, LandmarkModel
from redub.config import Config
from redub.errors import PluginError, RedubError
from redub.media import Speech, open_speech
from redub.metrics.blindfold import blindfolded
from redub.metrics.identity import describe, spread
from redub.metrics.measuring import (
    LEAK_S,
    MARGIN_S,
    Bench,
    Pictures,
    Truth,
    as_mouth,
    dubbed_part,
    heard_truth,
    open_mouths,
    paint_and_compare,
    paint_mouth,
    watched_frames,
)
from redub.metrics.profile import Profile
from redub.metrics.recordings import Recording
from redub.metrics.repaint import Voice, rolled, room_noise, silence
from redub.metrics.report import Anchors, ClipReport, Mouth, Report, SpeakerReport
from redub.metrics.series import Following, closed_mouth, decibels, follow
from redub.metrics.sync import Watches
from redub.metrics.takes import Take, find_take, sort_by_speaker, take_stills
from redub.plugin import LoadContext, Region, echo
from redub.progress import Tell, silent
from redub.stages.generate import Model, take_references
from redub.types import RGB, Blend

if TYPE_CHECKING:
    from redub.speech.syncnet import SyncModel

ROLL_S = 0.8
"""By how much a sound is moved on for the rolled measure: more than the moving mean is long."""
MOST_FOLDS = 4
"""A speaker's clips are dealt into so many parts at most; each is measured with the others for material."""
STILLS = 5

Load = Callable[[tuple[Take, ...]], Model]
"""Loads the generator for one speaker.

It is given the takes that stills come from and that a generator may adapt to, and returns a model, which is used
until the next call: it may close the one before.
"""


class Protocol(StrEnum):
    """What is painted over what."""

    OWN = "own"
    DUB = "dub"
    BOTH = "both"


def evaluate(  # noqa: PLR0913  what may be asked of a measurement
    recordings: Sequence[Recording],
    load: Load | Model,
    *,
    protocol: Protocol = Protocol.BOTH,
    config: Config | None = None,
    profile: Profile | None = None,
    network: SyncModel | None = None,
    read_by: LandmarkModel = YARDSTICK,
    tell: Tell = silent,
) -> Report:
    """Measure how good a generator is.

    Args:
        recordings: People talking, best two or more recordings of each; from one alone only the second half is scored.
        load: A loaded model for everybody, or what loads one for each speaker.
        protocol: What is painted.
        config: For the analysis and the blending; ``blend.mode`` must be the one that the model was loaded for.
        profile: The mean course of the mouth in training.
        network: Compares lips and sound too, beside all else.
        read_by: What reads mouths off true and painted frames, whichever model finds the faces.
        tell: Is told of recordings while they are analysed, and then of painted frames.

    Returns:
        All measures of each clip and speaker; recordings that cannot be measured are named in it.

    Raises:
        RedubError: None can be measured, or the profile was read by another model.
        PluginError: It does not paint faces, or failed.
    """
    config, read_by = _settled(config or Config()), LandmarkModel(read_by)
    if profile is not None and profile.read_by is not read_by:
        raise RedubError(
            f"The profile was read by {profile.read_by}'s landmarks, and mouths are to be read by {read_by}'s.",
            "Make it anew with the same, or measure with its.",
        )
    takes, left_out = _find_takes(recordings, config, read_by, tell)
    speakers = sort_by_speaker(takes)
    ticker = _Ticker(tell, sum(_frames_to_paint(own, protocol) for own in speakers.values()))
    job = _Job(load=load, protocol=protocol, config=config, profile=profile, network=network, tick=ticker)
    done = [_evaluate_speaker(own, job) for own in speakers.values()]
    return Report(
        generator=done[0].generator,
        blend=str(config.blend.mode),
        protocol=str(protocol),
        clips=tuple(clip for one in done for clip in one.clips),
        speakers=tuple(one.speaker for one in done),
        left_out=left_out,
        network=network.name if network is not None else "",
        read_by=str(takes[0].read_by),
    )


def _settled(config: Config) -> Config:
    """Return settings that say which blending; unless they do it is that of a generator which learns nothing."""
    mode = BlendChoice.POISSON if config.blend.mode is BlendChoice.AUTO else config.blend.mode
    return replace(config, blend=replace(config.blend, mode=mode))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    load: Load | Model
    protocol: Protocol
    config: Config
    profile: Profile | None
    network: SyncModel | None
    tick: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    generator: str
    clips: tuple[ClipReport, ...]
    speaker: SpeakerReport


class _Ticker:
    """Counts painted frames."""

    def __init__(self, tell: Tell, total: int) -> None:
        self.tell, self.total, self.done = tell, total, 0

    def __call__(self) -> None:
        self.done += 1
        self.tell("evaluate", self.done, self.total)


def _find_takes(recordings: Sequence[Recording], config: Config, read_by: LandmarkModel, tell: Tell) -> tuple[list[Take], tuple[str, ...]]:
    takes: list[Take] = []
    left_out: list[str] = []
    for done, recording in enumerate(recordings, 1):
        try:
            takes.append(find_take(recording, config, read_by))
        except RedubError as error:
            left_out.append(f"{recording.path.name}: {error.message}")
        tell("analyse", done, len(recordings))
    if not takes:
        raise RedubError(f"None of the recordings can be measured; the first is left out: {' '.join(left_out[:1])}", "Name other footage.")
    return takes, tuple(left_out)


def _folds(takes: Sequence[Take]) -> list[tuple[list[Take], tuple[Take, ...]]]:
    """Return parts of a speaker's takes, each with the others: what is scored, and what material may come from."""
    if len(takes) == 1:
        half = len(takes[0]) // 2
        return [([takes[0].part(half, len(takes[0]))], (takes[0].part(0, half),))]
    count = min(len(takes), MOST_FOLDS)
    return [(list(takes[i::count]), tuple(take for j, take in enumerate(takes) if j % count != i)) for i in range(count)]


def _frames_to_paint(takes: Sequence[Take], protocol: Protocol) -> int:
    scored = [take for fold, _ in _folds(takes) for take in fold]
    runs = 2 + (protocol is not Protocol.DUB)
    frames = sum(len(take) for take in scored) * runs + 2 * watched_frames(scored[0])
    if protocol is not Protocol.OWN and len(takes) > 1:
        frames += sum(len(dubbed_part(_other(take, takes), take)) for take in scored)
    return frames


def _other(take: Take, takes: Sequence[Take]) -> Take:
    """Return the take after this one."""
    return takes[(takes.index(take) + 1) % len(takes)]


def _evaluate_speaker(takes: Sequence[Take], job: _Job) -> _Done:
    closed = closed_mouth(np.concatenate([take.gap for take in takes]), np.concatenate([take.is_speech for take in takes]))
    found: list[tuple[ClipReport, Pictures | None]] = []
    about: SpeakerReport | None = None
    name = ""
    for scored, material in _folds(takes):
        model = job.load if isinstance(job.load, Model) else job.load(material)
        if model.info.region is not Region.FACE:
            raise PluginError(f"{model.info.name} paints whole frames; only generators of faces can be measured.", "Name another one.")
        name = model.info.name
        stills = take_stills(material, model.mode, max(STILLS, model.info.references))
        bench = Bench(model=blindfolded(model), stills=stills, config=job.config, tick=job.tick)
        names = tuple(take.name() for take in material)
        if about is None:
            about = _about_speaker(scored[0], bench, closed)
        found += [_evaluate_clip(take, takes, bench, job, names) for take in scored]
    if about is None:
        raise RedubError("A speaker has no recording.", "This is a fault of redub.")
    compared = [pictures for _, pictures in found if pictures is not None]
    if compared:
        centre = np.concatenate([pictures.described_true for pictures in compared]).mean(axis=0)
        clips = [replace(clip, picture=None if pictures is None else pictures.summed_up(centre)) for clip, pictures in found]
    else:
        clips = [clip for clip, _ in found]
    return _Done(generator=name, clips=tuple(clips), speaker=about)


def _about_speaker(take: Take, bench: Bench, closed: float) -> SpeakerReport:
    rate, length = bench.model.info.audio.rate_hz, LEAK_S + 2 * MARGIN_S
    first, size = bench.model.mode.output_offset_px, bench.model.mode.output_px
    own: RGB = bench.stills[:STILLS, first : first + size, first : first + size]
    return SpeakerReport(
        speaker=take.recording.speaker,
        group=take.recording.group,
        closed_gap=closed,
        identity_stills=spread(np.stack([describe(still, bench.model.mode) for still in own])),
        open_in_silence=open_mouths(take, bench, silence(length, rate), closed),
        open_in_noise=open_mouths(take, bench, room_noise(length, rate), closed),
    )


def _evaluate_clip(
    take: Take, takes: Sequence[Take], bench: Bench, job: _Job, material: tuple[str, ...]
) -> tuple[ClipReport, Pictures | None]:
    truth, rate_hz = Truth.of(take), take.rate_hz
    own = dub = floor = pictures = None
    over = _other(take, takes) if len(takes) > 1 and job.protocol is not Protocol.OWN else None
    part = dubbed_part(over, take) if over is not None else None
    watches = Watches(job.network, take, part)
    with open_speech(take.recording.path, bench.model.info.audio.rate_hz) as sound:
        voice = Voice(sound=sound, begins=take.times[0])
        anchors = _anchors(take, truth, bench, sound, job.profile)
        if job.protocol is not Protocol.DUB:
            points, pictures = paint_and_compare(take, bench, voice, watches.see_own)
            own = as_mouth(points, truth, rate_hz)
        if part is not None:
            wanted = heard_truth(part, take)
            dub = as_mouth(paint_mouth(part, bench, voice, watches.see_dub), wanted, part.rate_hz)
            floor = as_mouth(part.points, wanted, part.rate_hz)
    report = ClipReport(
        clip=take.name(),
        speaker=take.recording.speaker,
        group=take.recording.group,
        frames=len(take),
        speech_frames=int(truth.counts.sum()),
        material=material,
        anchors=anchors,
        own=own,
        picture=None,
        dub=dub,
        dub_over=over.name() if over is not None else "",
        dub_floor=floor,
        sync=watches.report(),
    )
    return report, pictures


def _anchors(take: Take, truth: Truth, bench: Bench, sound: Speech, profile: Profile | None) -> Anchors:
    moved = Voice(sound=rolled(sound, ROLL_S), begins=take.times[0])
    return Anchors(
        loudness_db=follow(decibels(take.rms), truth.gap, truth.counts, take.rate_hz),
        loudness_linear=follow(take.rms, truth.gap, truth.counts, take.rate_hz),
        profile=_profile(take, truth, profile) if profile is not None else None,
        rolled=as_mouth(paint_mouth(take, bench, moved), truth, take.rate_hz),
        ceiling=_ceiling(take, truth, bench),
    )


def _profile(take: Take, truth: Truth, profile: Profile) -> Following:
    gap = profile.at(take.middles_s)
    known = np.isfinite(gap)
    return follow(gap[known], truth.gap[known], truth.counts[known], take.rate_hz)


def _ceiling(take: Take, truth: Truth, bench: Bench) -> Mouth:
    """Paint the true mouth back where it was, and read it as a painted one is read."""
    blend = Blend(bench.config.blend.mode)
    model = Model(info=echo.INFO, mode=echo.INFO.modes[blend], generator=echo.load(_context(blend)))
    voice = Voice(sound=silence(1, echo.INFO.audio.rate_hz), begins=take.times[0])
    mirror = replace(bench, model=model, stills=take_references([], model.mode, 0))
    return as_mouth(paint_mouth(take, mirror, voice), truth, take.rate_hz)


def _context(blend: Blend) -> LoadContext:
    return LoadContext(device="cpu", mode=blend, weights=None)
