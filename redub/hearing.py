"""hearing: plan, video -> how each face goes with the video's own sound.

Each track is compared with the sound at 25 instants a second.  Mouths are those that tracking has kept, or else the video is read
once more for them; what a network needs of a picture is small, and of long tracks no more than a part is held at a time.
What stays are distances: from them the offset between lips and sound is read for each track, and how well both go together around
each frame, at the offset that the video has there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from redub.ahead import ahead
from redub.config import SpeakerConfig
from redub.errors import MediaError, WeightError
from redub.faces.crop import take_crop, take_luma
from redub.faces.mouths import Mouths
from redub.media import Frame, Speech, check_sound, open_speech, open_video
from redub.pieces import follow_course
from redub.plan import Plan
from redub.progress import Tell, silent
from redub.speech.sync import LAGS, RATE_HZ, SyncReading, embed_track, load_sync, pair_distances
from redub.speech.sync_features import CROP_PX, MOUTH, SOUND_RATE_HZ, SPEECH_DB, decibels, instants, nearest
from redub.types import Doubles, Floats, Reading, Speaking, Track

if TYPE_CHECKING:
    from redub.speech.syncnet import SyncModel

AHEAD = 8
"""Frames that are decoded before they are asked for."""
PART_S = 30.0
"""Longer tracks are compared in parts of at most this length."""
UNTOLD = "The speaker is taken to be the face that looks into the camera for longest."


def will_listen(video: Path, config: SpeakerConfig) -> bool:
    """Say whether there is something to listen to, as far as can be told before faces are found."""
    try:
        check_sound(video)
    except MediaError:
        return False
    return config.listen


def listen(  # noqa: PLR0913  keyword-only, and each of them may be at hand already
    plan: Plan,
    video: Path,
    config: SpeakerConfig,
    *,
    weights: Path | None = None,
    model: SyncModel | None = None,
    mouths: Mouths | None = None,
    tell: Tell = silent,
) -> Plan:
    """Compare every track of a plan with the video's own sound.

    Args:
        plan: Of this video.
        video: With its own sound.
        config: How sure one has to be.
        weights: A sync network's file; None takes the shipped one.
        model: A network that is loaded already; goes before ``weights``.
        mouths: What tracking kept of them; None looks at the video.
        tell: Is told of the progress.

    Returns:
        The plan with readings, or without them and with the reason why nothing could listen.

    Raises:
        MediaError: The video cannot be read.
        RedubError: The file that ``weights`` names is missing or damaged.
    """
    if not plan.tracks:
        return replace(plan, readings=(), network="", unheard="")
    if not config.listen:
        return replace(plan, readings=(), network="", unheard=f"Nothing listens (speakers.listen is off). {UNTOLD}")
    try:
        check_sound(video)
        model = model or load_sync(weights)
        sound = open_speech(video, SOUND_RATE_HZ)
    except (WeightError, MediaError) as error:
        if weights is not None and isinstance(error, WeightError):
            raise
        return replace(plan, readings=(), network="", unheard=f"{error.message} {UNTOLD}")
    with sound:
        readings = read_tracks(plan, video, sound, model, config, mouths, tell)
    return replace(plan, readings=readings, network=model.name, unheard="")


def read_tracks(  # noqa: PLR0913  all that `listen` has found
    plan: Plan, video: Path, sound: Speech, model: SyncModel, config: SpeakerConfig, mouths: Mouths | None = None, tell: Tell = silent
) -> tuple[Reading, ...]:
    """Compare every track of a plan with the video's sound.

    Args:
        plan: Its tracks and crops count.
        video: Read once, as far as there are tracks whose mouths were not kept.
        sound: The video's own, at 16 kHz.
        model: Embeds mouths and sounds.
        config: Says which tracks are sure of their offset; others are given that of those.
        mouths: What tracking kept of them, if it did.
        tell: Is told of the progress in frames.

    Returns:
        One for each track, in the same order.

    Raises:
        MediaError: The video cannot be read.
    """
    parts: dict[int, list[_Part]] = {track.id: [] for track in plan.tracks}
    for part in _compare(plan, video, sound, model, mouths, tell):
        parts[part.stretch.track].append(part)
    curves = {number: join([part.reading for part in found]) for number, found in parts.items()}
    usual = _usual_offset(list(curves.values()), config)
    return tuple(_reading(plan, track, curves[track.id], parts[track.id], usual, config) for track in plan.tracks)


@dataclass(slots=True, kw_only=True, eq=False)
class _Look:
    """A part of a track while its pictures are gathered."""

    stretch: Speaking
    frames: frozenset[int]
    """Which frames are nearest to the instants, and really show the face."""
    pictures: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A part of a track, compared."""

    stretch: Speaking
    first_s: float
    """When its first instant is, counted from the video's first frame."""
    pairs: Floats
    """(T, 31) as `pair_distances` gives them."""
    is_speech: Any
    """(T,)."""
    reading: SyncReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What the distances over the lags say of several parts together."""

    offset_frames: float
    """At 25 Hz; NaN where nothing was scored, as for the next two."""
    distance: float
    """At the best lag."""
    median: float
    """Over the lags."""
    scored: int
    """How many instants were scored."""

    @property
    def confidence(self) -> float:
        """By how much the best lag is better than the median one; 0 where nothing was scored."""
        return self.median - self.distance if self.scored else 0.0

    def is_sure(self, config: SpeakerConfig) -> bool:
        """Say whether lips go with the sound."""
        return config.is_sure(self.confidence, self.offset_frames / RATE_HZ, self.scored / RATE_HZ)


def _compare(plan: Plan, video: Path, sound: Speech, model: SyncModel, mouths: Mouths | None, tell: Tell) -> Iterator[_Part]:
    """Yield the compared parts of all tracks."""
    looks = sorted((look for track in plan.tracks for look in _looks(plan, track)), key=lambda look: look.stretch.start)
    loudest = _loudness(sound)
    total, done = max((look.stretch.stop for look in looks), default=0), 0
    waiting: list[_Look] = []
    for look in looks:
        pictures = _kept(plan, look, model, mouths)
        if pictures is None:
            waiting.append(look)
            continue
        yield _compared(plan, look, pictures, sound, model, loudest)
        done = max(done, look.stretch.stop)
        tell("listen", done, total)
    for look in _watched(plan, video, waiting, model, lambda seen: tell("listen", max(done, seen), total)):
        pictures = np.stack(look.pictures) if look.pictures else np.zeros((0, CROP_PX, CROP_PX, 3), np.uint8)
        yield _compared(plan, look, pictures, sound, model, loudest)


def _kept(plan: Plan, look: _Look, model: SyncModel, mouths: Mouths | None) -> Any:
    """Return the pictures of a part as tracking kept them, (T, 56, 64); None where it did not, or the network wants others."""
    from redub.speech.syncnet import OURS

    if mouths is None or model.kind != OURS:
        return None
    indices, path = sorted(look.frames), plan.crop(look.stretch.track)
    return mouths.take(indices, path.similarities[np.array(indices, np.int64) - path.start], CROP_PX, MOUTH)


def _watched(plan: Plan, video: Path, looks: Sequence[_Look], model: SyncModel, told: Callable[[int], None]) -> Iterator[_Look]:
    """Gather the pictures of parts, by their start, from the video; yield each part when it has all of them."""
    if not looks:
        return
    waiting = list(looks)
    live: list[_Look] = []
    first, last = looks[0].stretch.start, max(look.stretch.stop for look in looks)
    with open_video(video, plan.pts) as reader, closing(ahead(reader.read(first, last), AHEAD)) as frames:  # type: ignore[type-var]
        for frame in frames:
            while waiting and waiting[0].stretch.start <= frame.index:
                live.append(waiting.pop(0))
            for look in live:
                if frame.index in look.frames:
                    row = plan.crop(look.stretch.track).similarities[frame.index - plan.track(look.stretch.track).start]
                    look.pictures.append(take_mouth(frame, row, model))
            for look in [look for look in live if look.stretch.stop == frame.index + 1]:
                live.remove(look)
                yield look
            told(frame.index + 1)


def take_mouth(frame: Frame, similarity: Doubles, model: SyncModel) -> Any:
    """Return what a network needs of one frame, as it prepares it.

    Args:
        frame: The upright frame.
        similarity: (4,) row of a `CropPath`.
        model: Our own network looks at the mouth in grey, so no more than that is sampled.
    """
    from redub.speech.syncnet import OURS

    if model.kind == OURS:
        return take_luma(frame, similarity, CROP_PX, MOUTH)
    return model.prepare(take_crop(frame, similarity, CROP_PX)[None])[0]


def _looks(plan: Plan, track: Track) -> Iterator[_Look]:
    """Cut a track into parts, and choose the frames that are looked at."""
    length = max(1, round(PART_S * plan.facts.frame_rate))
    count = -(-len(track) // length)
    edges = [track.start + len(track) * i // count for i in range(count + 1)]
    times = _middles(plan)
    for start, stop in pairwise(edges):
        seen = start + np.flatnonzero(track.is_measured[start - track.start : stop - track.start])
        index = nearest(times[seen], instants(times[seen]))
        frames = frozenset(int(i) for i in seen[np.unique(index[index >= 0])]) if len(seen) else frozenset()
        yield _Look(stretch=Speaking(track=track.id, start=start, stop=stop), frames=frames)


def _middles(plan: Plan) -> Doubles:
    """Return the middles of all frames in seconds: (T,)."""
    starts = (plan.pts - plan.pts[0]) * float(plan.time_base)
    return np.asarray((starts + np.append(starts[1:], float(plan.facts.duration))) / 2, np.float64)


def _compared(plan: Plan, look: _Look, pictures: Any, sound: Speech, model: SyncModel, loudest: float) -> _Part:
    """Compare a part of a track, whose pictures are at hand, with the sound."""
    course = follow_course(plan, sound, look.stretch)
    rows = np.array(sorted(look.frames), np.int64) - look.stretch.start
    times_s = course.times_s[rows]
    series = embed_track(model, pictures, course.points[rows], times_s, course.speech)
    # What is loud in one track may be the hum of the room in another.
    is_speech = series.is_speech & (decibels(course.speech, series.times_s) >= loudest - SPEECH_DB)
    series = replace(series, is_speech=is_speech)
    first_s = _middles(plan)[look.stretch.start] + float(times_s[0] - course.times_s[0]) if len(times_s) else 0.0
    return _Part(
        stretch=look.stretch, first_s=first_s, pairs=pair_distances(series.faces, series.sounds), is_speech=is_speech, reading=series.read()
    )


def _loudness(sound: Speech) -> float:
    """Return how loud the sound is where it is loud, in dB below full scale."""
    levels = [np.full(1, -200.0)]
    for first in range(0, sound.samples, 60 * sound.rate_hz):
        block = sound.window(first, min(first + 60 * sound.rate_hz, sound.samples))
        levels.append(decibels(block, np.arange(0.05, len(block) / sound.rate_hz, 1 / RATE_HZ)))
    level = np.concatenate(levels)
    # Silence of any length between words must not count.
    return float(np.quantile(level[level > -66.0], 0.95)) if (level > -66.0).any() else 0.0


def join(readings: Sequence[SyncReading]) -> Curve:
    """Join the distances that were read of several parts, each by how much of it was scored."""
    counts = np.array([np.isfinite(reading.frame_confidence).sum() for reading in readings], np.float64)
    if not counts.sum():
        return Curve(offset_frames=float("nan"), distance=float("nan"), median=float("nan"), scored=0)
    curves = np.stack([reading.distances for reading in readings]).astype(np.float64)
    weights = counts[:, None] * np.isfinite(curves)
    total = weights.sum(axis=0)
    mean = np.where(total > 0, np.nansum(curves * weights, axis=0) / np.maximum(total, 1), np.nan)
    best = int(np.nanargmin(mean))
    return Curve(
        offset_frames=LAGS - best - parabola(mean, best), distance=float(mean[best]), median=float(np.nanmedian(mean)),
        scored=int(counts.sum()),
    )  # fmt: skip


def parabola(curve: Doubles, best: int) -> float:
    """Return how far beside the least value the bottom of the parabola through it and its neighbours is, -0.5 to 0.5."""
    if not 0 < best < len(curve) - 1:
        return 0.0
    before, here, behind = (float(value) for value in curve[best - 1 : best + 2])
    bend = before - 2 * here + behind
    return 0.5 * (before - behind) / bend if bend > 0 else 0.0


def _usual_offset(curves: Sequence[Curve], config: SpeakerConfig) -> float:
    """Return the offset of the tracks that are sure, the median by how sure and how long they are; NaN where none is."""
    sure = sorted((one for one in curves if one.is_sure(config)), key=lambda one: one.offset_frames)
    if not sure:
        return float("nan")
    weights = np.cumsum([one.confidence * one.scored for one in sure])
    return sure[int(np.searchsorted(weights, weights[-1] / 2))].offset_frames


def _reading(plan: Plan, track: Track, curve: Curve, parts: Sequence[_Part], usual: float, config: SpeakerConfig) -> Reading:
    offset = curve.offset_frames if curve.is_sure(config) or not np.isfinite(usual) else usual
    heard = sum(int(part.is_speech.sum()) for part in parts)
    confidence = np.full(len(track), np.nan, np.float32)
    for part in parts if np.isfinite(offset) and np.isfinite(curve.median) else ():
        place = _nearest_instants(plan, part)
        values = curve.median - _at_lag(part, round(LAGS - offset))
        rows = slice(part.stretch.start - track.start, part.stretch.stop - track.start)
        confidence[rows] = np.where(place >= 0, values[np.maximum(place, 0)], np.nan) if len(values) else np.nan
    return Reading(
        track=track.id,
        offset_s=curve.offset_frames / RATE_HZ,
        distance=curve.distance,
        confidence=curve.confidence,
        coverage=min(1.0, curve.scored / heard) if heard else 0.0,
        heard_s=heard / RATE_HZ,
        frame_confidence=confidence,
    )


def _at_lag(part: _Part, column: int) -> Floats:
    """Return each instant's distance to the sound at one lag, where that is speech: (T,)."""
    lag = column - LAGS
    place = np.arange(len(part.pairs)) + lag
    is_inside = (place >= 0) & (place < len(part.pairs))
    is_speech = np.zeros(len(part.pairs), bool)
    is_speech[is_inside] = part.is_speech[place[is_inside]]
    return np.where(is_speech, part.pairs[:, column], np.nan).astype(np.float32)


def _nearest_instants(plan: Plan, part: _Part) -> Any:
    """Return which instant is nearest to each frame of a part: (T,); -1 where none is near."""
    times = _middles(plan)[part.stretch.start : part.stretch.stop]
    place = np.rint((times - part.first_s) * RATE_HZ).astype(int)
    return np.where((place >= 0) & (place < len(part.pairs)), place, -1)
