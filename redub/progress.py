"""progress: (stage, done, total) -> a terminal, JSON lines, silence, or a list.

Every long step is handed one callable, `Tell`, and knows nothing of terminals.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Tell = Callable[[str, int, int | None], None]
"""``tell(stage, done, total)``: frames done so far, and in all if that is known."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""


class Recorder:
    """Keeps what it is told, for tests: ``recorder.told == [(stage, done, total), ...]``."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int | None]] = []

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        self.told.append((stage, done, total))


class JsonLines:
    """Writes one JSON object a line, at most ten a second for a stage, so that a program can follow a run."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._last: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if done != total and now - self._last.get(stage, float("-inf")) < 0.1:
            return
        self._last[stage] = now
        print(json.dumps({"stage": stage, "done": done, "total": total}), file=self.stream, flush=True)


class Terminal:
    """Draws a bar a stage with frames a second and time left on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars: Progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, tuple[TaskID, float]] = {}

    def __enter__(self) -> Terminal:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = (self._bars.add_task(stage, total=total, rate=""), time.monotonic())
        task, began = self._tasks[stage]
        elapsed = time.monotonic() - began
        rate = f"{done / elapsed:.0f} frames/s" if elapsed > 0.5 else ""
        self._bars.update(task, completed=done, total=total, rate=rate)
