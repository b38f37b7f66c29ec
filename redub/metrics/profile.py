"""profile: training recordings -> the mean course of a mouth, which is what a generator can know without listening.

Corpora are read out in one rhythm, and their mouths open and close at much the same moments in every clip.  Whoever has
learnt that course alone already follows a little; a generator must do better.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from redub.choices import YARDSTICK, LandmarkModel
from redub.config import Config
from redub.errors import RedubError
from redub.media.place import Part, clear_errors
from redub.metrics.recordings import Recording
from redub.metrics.takes import find_take
from redub.progress import Tell, silent
from redub.types import Doubles

RATE_HZ = 25.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """A mean series of mouth gaps, counted from the begin of the recordings."""

    rate_hz: float
    gap: Doubles
    """(T,) as shares of the distance between the eyes; NaN where no recording was."""
    read_by: LandmarkModel = YARDSTICK
    """What read the mouths."""

    def at(self, times_s: Doubles) -> Doubles:
        """Return the mean gap at some moments, NaN where there is none: (T,) -> (T,)."""
        places = (np.arange(len(self.gap)) + 0.5) / self.rate_hz
        gap: Doubles = np.interp(times_s, places, self.gap)
        half = 0.5 / self.rate_hz + 1e-9
        return np.where((times_s < places[0] - half) | (times_s > places[-1] + half), np.nan, gap)

    def save(self, path: Path) -> None:
        """Write it as JSON; a file that is there is replaced.

        Raises:
            MediaError: It cannot be written.
        """
        part = Part(path)
        try:
            with clear_errors(path):
                gap = [None if np.isnan(value) else round(float(value), 5) for value in self.gap]
                part.path.write_text(json.dumps({"rate_hz": self.rate_hz, "read_by": self.read_by, "gap": gap}) + "\n", encoding="utf-8")
            part.publish()
        finally:
            part.discard()

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Read what `save` wrote.

        Raises:
            RedubError: It is missing, or something else.
        """
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            gap = np.array([np.nan if value is None else float(value) for value in table["gap"]])
            rate_hz, read_by = float(table["rate_hz"]), LandmarkModel(table.get("read_by", YARDSTICK))
            if not (len(gap) and 0 < rate_hz <= 1000 and np.isfinite(gap).any()):
                raise ValueError("it holds no series")
        except (OSError, ValueError, KeyError, TypeError) as error:
            hint = 'It is JSON of the form {"rate_hz": 25, "gap": [0.01, ...]}, as redub.metrics.mean_profile makes it.'
            raise RedubError(f"The profile {path} cannot be read: {error}.", hint) from error
        return cls(rate_hz=rate_hz, gap=gap, read_by=read_by)


def mean_profile(
    recordings: Sequence[Recording], config: Config | None = None, tell: Tell = silent, read_by: LandmarkModel = YARDSTICK
) -> Profile:
    """Average the mouth gaps of recordings, moment by moment.

    Args:
        recordings: Of training; those in which nobody is seen to speak are left out.
        config: For the analysis.
        tell: Is told how many are done.
        read_by: What reads the mouths, as `redub.metrics.evaluate` is to read them.

    Raises:
        RedubError: Nobody speaks in any of them.
    """
    series = []
    for done, recording in enumerate(recordings, 1):
        try:
            take = find_take(recording, config or Config(), read_by)
        except RedubError:
            continue
        finally:
            tell("analyse", done, len(recordings))
        places = (np.arange(int(float(take.times[-1]) * RATE_HZ)) + 0.5) / RATE_HZ
        gap = np.interp(places, take.middles_s, take.gap)
        series.append(np.where(places < float(take.times[0]), np.nan, gap))
    length = max(map(len, series), default=0)
    if not length:
        raise RedubError("In none of the recordings somebody is seen to speak.", "Name videos of a face that talks.")
    stack = np.full((len(series), length), np.nan)
    for row, gap in zip(stack, series, strict=True):
        row[: len(gap)] = gap
    count = np.isfinite(stack).sum(axis=0)
    gap = np.where(count > 0, np.nansum(stack, axis=0) / np.maximum(count, 1), np.nan)
    return Profile(rate_hz=RATE_HZ, gap=gap, read_by=LandmarkModel(read_by))
