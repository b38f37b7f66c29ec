"""ahead: an iterator -> the same items, made by a thread that works ahead.

Decoding and generating run beside blending and encoding: NumPy, OpenCV, torch and FFmpeg leave Python's lock while
they work, so two cores are kept busy by two threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")

_POLL_S = 0.1
"""How often a blocked side looks whether the other one is gone."""


def ahead(items: Iterable[Item], size: int) -> Iterator[Item]:
    """Yield the same items in the same order, at most ``size`` of them made before they are asked for.

    An exception of the source is raised here with its own traceback.  When the consumer stops early, the thread stops
    after the item that it is working on, and is waited for: the source is never used after this iterator is closed.
    """
    worker = _Worker(items, size)
    worker.start()
    try:
        while not isinstance(made := worker.take(), _End):
            yield made
        if made.error is not None:
            raise made.error
    finally:
        worker.is_abandoned.set()
        worker.join()


class _End:
    """Stands behind the last item, with the error that ended the work if there was one."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Worker(threading.Thread, Generic[Item]):
    def __init__(self, items: Iterable[Item], size: int) -> None:
        super().__init__(name="redub-ahead", daemon=True)
        self.items = items
        self.made: Queue[Item | _End] = Queue(size)
        self.is_abandoned = threading.Event()

    def run(self) -> None:
        try:
            for item in self.items:
                self._put(item)
                if self.is_abandoned.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  carried to the consumer, whoever raised what
            self._put(_End(error))
        else:
            self._put(_End())

    def take(self) -> Item | _End:
        """Wait for the next item."""
        while True:
            try:
                # A wait without an end could not be interrupted by Ctrl-C on every system.
                return self.made.get(timeout=_POLL_S)
            except Empty:
                continue

    def _put(self, item: Item | _End) -> None:
        while not self.is_abandoned.is_set():
            try:
                self.made.put(item, timeout=_POLL_S)
            except Full:
                continue
            return
