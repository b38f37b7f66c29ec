"""verdict: painted frames, the new sound -> how well the lips of a result go with it, shot by shot.

The frames are looked at as they are written, so that a result need not be read again; of a long shot only a part is.  What
the source's own lips and sound said of each other, when it was analysed, stands beside it: a result that is as sure as that
is as good as can be asked for.  A network that a generator was trained with judges its work too kindly; the landmark
measures of ``redub evaluate`` do not.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from redub.config import SyncConfig
from redub.errors import ConfigError, MediaError, WeightError
from redub.faces.follow import canonical_points
from redub.hearing import Curve, join, take_mouth
from redub.media import Frame, Speech, open_speech
from redub.media.place import Part
from redub.plan import Plan
from redub.speech.sync import RATE_HZ, SyncReading, embed_track, load_sync
from redub.speech.sync_features import SOUND_RATE_HZ
from redub.types import CropPath

if TYPE_CHECKING:
    from redub.speech.syncnet import SyncModel

VERSION = 1
WHOLE_S, EVERY_S, PART_S = 8.0, 60.0, 4.0
"""A shot is looked at for this long, and then for so much of every minute."""
LEAST_SCORED = 15
"""Instants: what was scored for less than this says nothing."""
TOLD = 6
"""Of more shots it is told how they are in the middle, and which is the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How lips and sound go together."""

    offset_frames: float | None
    """At 25 Hz, positive where the sound is early; None where nothing could be scored, as for the next two."""
    offset_s: float | None
    distance: float | None
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotVerdict:
    """One speaker in one shot."""

    shot: int
    """Counted from 1."""
    track: int
    start_s: float
    """When it begins in the result."""
    end_s: float
    before: Fit | None
    """The source's own lips and sound; None where nothing listened to it."""
    after: Fit | None
    """The painted lips and the new sound; None where there was too little speech to judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a result fits."""

    network: str
    shots: tuple[ShotVerdict, ...]

    def failures(self, config: SyncConfig) -> tuple[str, ...]:
        """Return why a result does not pass, one sentence each; none where it does."""
        judged = [one for one in self.shots if one.after is not None]
        if not judged:
            return ("Nothing of the result could be judged: no lips are painted while somebody is heard.",)
        found = []
        for one in judged:
            assert one.after is not None
            if one.after.confidence < config.gate_confidence:
                said = f"{one.after.confidence:.2f}, and {config.gate_confidence:g} is asked for"
                found.append(f"Shot {one.shot}: lips and sound suit each other by {said}.")
            elif one.after.offset_s is not None and abs(one.after.offset_s) > config.gate_offset_s:
                found.append(f"Shot {one.shot}: the sound is off by {one.after.offset_s:+.3f} s, and {config.gate_offset_s:g} is allowed.")
        return tuple(found)

    def told(self) -> list[str]:
        """Return the verdict in a few lines."""
        judged = [one for one in self.shots if one.after is not None]
        if not judged:
            return []
        if len(judged) <= TOLD:
            return [f"Shot {one.shot}: {_said(one.after)}{_compared(one.before)}." for one in judged]
        confidences = sorted(one.after.confidence for one in judged if one.after)
        before = sorted(one.before.confidence for one in judged if one.before)
        worst = min(judged, key=lambda one: one.after.confidence if one.after else 0.0)
        middle = f"{len(judged)} shots: lips and new sound suit each other by {np.median(confidences):.2f} in the middle"
        middle += f" (in the source by {np.median(before):.2f})" if before else ""
        return [f"{middle}.", f"The worst is shot {worst.shot}, at {worst.start_s:.1f} s: {_said(worst.after)}{_compared(worst.before)}."]

    def as_json(self, result: Path, config: SyncConfig) -> dict[str, Any]:
        """Return plain values."""
        failures = self.failures(config)
        return {
            "redub_verdict": VERSION,
            "result": result.name,
            "network": self.network,
            "passes": not failures,
            "failures": list(failures),
            "shots": [asdict(one) for one in self.shots],
        }


def _said(fit: Fit | None) -> str:
    if fit is None or fit.offset_s is None:
        return "nothing to judge"
    return f"lips and new sound suit each other by {fit.confidence:.2f}, {fit.offset_s:+.3f} s apart"


def _compared(fit: Fit | None) -> str:
    return "" if fit is None or fit.offset_s is None else f" (in the source by {fit.confidence:.2f}, {fit.offset_s:+.3f} s apart)"


@dataclass(slots=True, kw_only=True, eq=False)
class _Run:
    """Consecutive frames of one speaker."""

    key: tuple[int, int]
    """Shot and track."""
    index: int
    """Of the frame seen last."""
    start_s: float
    due_s: float
    pictures: list[Any] = field(default_factory=list)
    points: list[Any] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)


class Judge:
    """Looks at the frames of a result as they are written.

    Args:
        plan: Of the source: it says whose face is where.
        model: Embeds mouths and sounds.
        speech: The new sound, at 16 kHz.
    """

    def __init__(self, plan: Plan, model: SyncModel, speech: Speech) -> None:
        if speech.rate_hz != SOUND_RATE_HZ:
            raise ValueError(f"sound of {speech.rate_hz} Hz")
        self._plan, self._model, self._speech = plan, model, speech
        self._paths: dict[int, CropPath] = {path.track: path for path in plan.crops}
        self._owner = np.full(plan.facts.frames, -1, np.int64)
        for one in plan.speaking:
            self._owner[one.start : one.stop] = one.track
        self._shot = np.concatenate([np.full(len(shot), number) for number, shot in enumerate(plan.shots, 1)])
        self._run: _Run | None = None
        self._readings: dict[tuple[int, int], list[SyncReading]] = {}
        self._spans: dict[tuple[int, int], list[float]] = {}

    def see(self, frame: Frame, time: Fraction, *, is_painted: bool) -> None:
        """Look at the next frame of the result, which is shown at a time."""
        track = int(self._owner[frame.index]) if is_painted else -1
        key = (int(self._shot[frame.index]), track)
        run = self._run
        if run is not None and (run.key != key or abs(frame.index - run.index) > 1):
            self._end()
            run = None
        if track < 0:
            return
        middle = float(time + frame.duration / 2)
        if run is None:
            run = self._run = _Run(key=key, index=frame.index, start_s=float(time), due_s=middle)
        run.index = frame.index
        span = self._spans.setdefault(key, [float(time), 0.0])
        span[1] = float(time + frame.duration)
        since = float(time) - run.start_s
        if since >= WHOLE_S and since % EVERY_S >= PART_S:
            self._read(run)
        elif middle + float(frame.duration) / 2 >= run.due_s:
            path = self._paths[track]
            row = path.similarities[frame.index - path.start]
            run.pictures.append(take_mouth(frame, row, self._model))
            run.points.append(canonical_points(frame.gray(), row, self._plan.landmarks))
            run.times_s.append(middle)
            run.due_s = max(run.due_s + 1 / RATE_HZ, middle - 1 / RATE_HZ)
            if len(run.pictures) > WHOLE_S * RATE_HZ:
                self._read(run)

    def verdict(self) -> Verdict:
        """Return what was seen, shot by shot; nothing may be shown after it."""
        self._end()
        shots = []
        for (shot, track), (start_s, end_s) in sorted(self._spans.items(), key=lambda item: item[1][0]):
            curve = join(self._readings.get((shot, track), []))
            shots.append(
                ShotVerdict(
                    shot=shot, track=track, start_s=start_s, end_s=end_s, before=self._before(track),
                    after=_fit(curve) if curve.scored >= LEAST_SCORED else None,
                )
            )  # fmt: skip
        return Verdict(network=self._model.name, shots=tuple(shots))

    def _before(self, track: int) -> Fit | None:
        reading = self._plan.reading(track)
        if reading is None:
            return None
        return Fit(
            offset_frames=_number(reading.offset_s * RATE_HZ), offset_s=_number(reading.offset_s), distance=_number(reading.distance),
            confidence=reading.confidence,
        )  # fmt: skip

    def _end(self) -> None:
        if self._run is not None:
            self._read(self._run)
            self._run = None

    def _read(self, run: _Run) -> None:
        """Compare what has gathered of a run with the sound."""
        if len(run.pictures) > 1:
            first = round((run.times_s[0] - 0.5) * SOUND_RATE_HZ)
            speech = self._speech.window(first, round((run.times_s[-1] + 0.5) * SOUND_RATE_HZ))
            times_s = np.array(run.times_s) - first / SOUND_RATE_HZ
            points = np.stack(run.points)
            self._readings.setdefault(run.key, []).append(embed_track(self._model, np.stack(run.pictures), points, times_s, speech).read())
        run.pictures, run.points, run.times_s = [], [], []


def _fit(curve: Curve) -> Fit:
    return Fit(
        offset_frames=_number(curve.offset_frames), offset_s=_number(curve.offset_frames / RATE_HZ), distance=_number(curve.distance),
        confidence=curve.confidence,
    )  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def beside(result: Path) -> Path:
    """Return where the verdict of a result is kept."""
    return result.with_name(f"{result.name}.sync.json")


def keep_verdict(verdict: Verdict | None, result: Path, config: SyncConfig) -> list[str]:
    """Write a verdict beside its result, in the place of that of an older result.

    Returns:
        What the user should know: that it could not be kept, or nothing.
    """
    path = beside(result)
    if not _is_ours(path):
        return [f"{path} is something else; the verdict is not kept."] if verdict is not None else []
    try:
        # An older one would be another result's.
        path.unlink(missing_ok=True)
        if verdict is not None:
            part = Part(path)
            try:
                part.path.write_text(json.dumps(verdict.as_json(result, config), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
                part.publish()
            finally:
                part.discard()
    except (OSError, MediaError) as error:
        return [f"The verdict cannot be kept as {path}: {getattr(error, 'strerror', None) or error}."]
    return []


def _is_ours(path: Path) -> bool:
    """Say whether a path is free, or holds a verdict."""
    if not path.exists():
        return True
    try:
        return "redub_verdict" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def open_judge(plan: Plan, speech: Speech, audio: Path, config: SyncConfig, stack: ExitStack) -> Judge | None:
    """Return a judge for a result, or None where there is nothing to judge it with.

    Args:
        plan: Of the source.
        speech: The new sound, at any rate.
        audio: Its file.
        config: Whether it is wanted.
        stack: Closes what is opened.
    """
    if not config.judge or not plan.speaking:
        return None
    try:
        model = load_sync()
    except WeightError:
        return None
    heard = speech if speech.rate_hz == SOUND_RATE_HZ else stack.enter_context(open_speech(audio, SOUND_RATE_HZ))
    return Judge(plan, model, heard)


def check_can_judge(config: SyncConfig) -> None:
    """Find out early whether results can be judged.

    Raises:
        WeightError: No sync network is installed.
        ConfigError: Judging is switched off.
    """
    if not config.judge:
        raise ConfigError("--gate asks for a verdict, and sync.judge is off.", "Leave  --set sync.judge=false  away.")
    load_sync()
