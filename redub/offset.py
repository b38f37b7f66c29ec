"""offset: plan with readings -> what is reported of each track, and by how much the whole video's sound is off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

import numpy as np

from redub.config import Config, SpeakerConfig
from redub.errors import RedubError
from redub.plan import Plan
from redub.types import Reading

RATE_HZ = 25
"""Offsets are also given in frames at this rate, as the field does, whatever the video's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSync:
    """What is reported of a track."""

    id: int
    start_s: float
    end_s: float
    offset_frames: float | None
    """At 25 Hz; None where nothing could be scored, as for the next two."""
    offset_s: float | None
    """Positive where the sound is early: delaying it by this repairs it."""
    confidence: float
    distance: float | None
    speaking: bool
    """Whether it speaks at any time."""


def report(plan: Plan) -> list[TrackSync]:
    """Return what was read of each track, in the plan's order."""
    times = [*(float((int(tick) - int(plan.pts[0])) * plan.time_base) for tick in plan.pts), float(plan.facts.duration)]
    speaking = {one.track for one in plan.speaking}
    rows = []
    for reading in plan.readings:
        track = plan.track(reading.track)
        rows.append(
            TrackSync(
                id=track.id,
                start_s=times[track.start],
                end_s=times[track.stop],
                offset_frames=_number(reading.offset_s * RATE_HZ),
                offset_s=_number(reading.offset_s),
                confidence=reading.confidence,
                distance=_number(reading.distance),
                speaking=track.id in speaking,
            )
        )
    return rows


def as_json(rows: Sequence[TrackSync]) -> dict[str, Any]:
    """Return the report as plain values: ``{"tracks": [...]}``."""
    return {"tracks": [asdict(row) for row in rows]}


def find_offset(plan: Plan, config: Config) -> float:
    """Return by how many seconds the sound of a video is early, by the tracks that speak.

    Each counts by its confidence and by how much of it could be scored.

    Raises:
        RedubError: No track that speaks is sure enough, or those that are disagree.
    """
    speaking = {one.track for one in plan.speaking}
    sure = [one for one in plan.readings if one.track in speaking and _is_sure(one, config.speakers)]
    if not sure:
        raise RedubError(
            f"Nobody in {plan.source.name} goes with its sound clearly enough to say by how much that is off.",
            "Look at the confidence of each track with  redub sync VIDEO ; name whoever speaks with --speaker, or ask for less with"
            f"  --set speakers.chance={config.speakers.chance / 2:g}",
        )
    offsets = np.array([one.offset_s for one in sure])
    weights = np.array([one.confidence * max(1, scored(one)) for one in sure])
    mean = float(offsets @ weights / weights.sum())
    if np.abs(offsets - mean).max() > config.sync.max_spread_s:
        low, high = sure[int(offsets.argmin())], sure[int(offsets.argmax())]
        raise RedubError(
            f"The tracks of {plan.source.name} disagree: the sound is {low.offset_s:+.3f} s early by track {low.track} and"
            f" {high.offset_s:+.3f} s by track {high.track}.",
            "Cut the video where the offset changes and repair each part, or trust one track:  --speaker ID",
        )
    return mean


def track_offset(plan: Plan, number: int) -> float:
    """Return by how many seconds the sound is early against a track's lips, where that is known.

    Args:
        plan: Of the video.
        number: Of the track.

    Returns:
        The track's own offset if it is sure of it, else that of the tracks that are, their median; 0 where none is.
    """
    config = speaker_config(plan)
    sure = {one.track: one.offset_s for one in plan.readings if _is_sure(one, config)}
    return float(sure.get(number, np.median(list(sure.values())) if sure else 0.0))


def speaker_config(plan: Plan) -> SpeakerConfig:
    """Return the settings with which it was decided who speaks."""
    known = {one.name for one in fields(SpeakerConfig)}
    return SpeakerConfig(**{name: value for name, value in plan.settings.get("speakers", {}).items() if name in known})


def scored(reading: Reading) -> int:
    """Return how many frames of a track could be scored."""
    return int(np.isfinite(reading.frame_confidence).sum())


def told(offset_s: float) -> str:
    """Return an offset as a sentence without its full stop."""
    frames = f"{abs(offset_s) * RATE_HZ:.1f} frames of 25 a second"
    if abs(offset_s) < 0.5 / RATE_HZ:
        return f"Lips and sound go together to within half a frame ({offset_s:+.3f} s)"
    return f"The sound is {abs(offset_s):.3f} s ({frames}) {'early' if offset_s > 0 else 'late'}"


def _is_sure(reading: Reading, config: SpeakerConfig) -> bool:
    return config.is_sure(reading.confidence, reading.offset_s, reading.scored_s)


def _number(value: float) -> float | None:
    return float(value) if isfinite(value) else None
