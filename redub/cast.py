"""cast: persons who were learnt -> which model paints which track.

Adapted models are loaded when they are first wanted, and few are held at a time, however many persons a video has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from redub.adapted import Outcome
from redub.adapting import Job, adapt_speakers
from redub.errors import RedubError
from redub.plan import Plan
from redub.plugin import manager
from redub.stages.generate import Model

TOLD = 6
"""Of more persons it is told how many they are."""
LOADED = 3
"""Adapted models that are held at a time."""


def tell_outcomes(outcomes: tuple[Outcome, ...], generator: str) -> list[str]:
    """Return notices of what became of each person, in short where there are many."""
    told = [outcome.told(generator) for outcome in sorted(outcomes, key=lambda outcome: outcome.file is None)]
    if len(told) <= TOLD:
        return told
    return [*told[:TOLD], f"So it was with {len(told) - TOLD} more speakers:  redub show PLAN  lists them."]


class Cast:
    """Knows which model paints which track; adapted models are loaded when they are first wanted, and a few are held.

    Args:
        base: Paints everybody else; the caller closes it.
        outcomes: Who is adapted to.
        job: What they were adapted for.
        notices: Is told of weights that cannot be loaded.
    """

    def __init__(self, base: Model, outcomes: tuple[Outcome, ...], job: Job, notices: list[str]) -> None:
        self._base, self._job, self._notices = base, job, notices
        self._files = {track: outcome.file for outcome in outcomes if outcome.file is not None for track in outcome.tracks}
        self._held: dict[Path, Model] = {}
        self.weights_sha256 = tuple(outcome.sha256 for outcome in outcomes if outcome.file is not None)
        """Of the adapted weights."""

    def model(self, track: int) -> Model:
        """Return the model of a track; it may close that of another one."""
        file = self._files.get(track)
        if file is None:
            return self._base
        model = self._held.pop(file, None) or self._load(file)
        if model is not self._base:
            # The latest one stands last.
            self._held[file] = model
        return model

    def close(self) -> None:
        """Free all models but the base."""
        while self._held:
            self._held.popitem()[1].generator.close()

    def _load(self, file: Path) -> Model:
        while len(self._held) >= LOADED:
            self._held.pop(next(iter(self._held))).generator.close()
        job = self._job
        try:
            return replace(self._base, generator=manager.load(job.entry, job.mode, device=job.device, adapted=file, named=job.weights))
        except RedubError as error:
            self._notices.append(f"{error.message} The weights are used as they are.")
            self._files = {track: path for track, path in self._files.items() if path != file}
            return self._base


@contextmanager
def cast_speakers(plan: Plan, video: Path, base: Model, job: Job, notices: list[str]) -> Iterator[Cast]:
    """Adapt to the speakers as `adapt_speakers` does, and yield who paints them, for as long as they are to be painted."""
    with tempfile.TemporaryDirectory(prefix="redub.") as scratch:
        outcomes = adapt_speakers(plan, video, job, Path(scratch), notices)
        notices += tell_outcomes(outcomes, job.entry.info.name)
        cast = Cast(base, outcomes, job, notices)
        try:
            yield cast
        finally:
            cast.close()
