"""processes: a function, many arguments -> its results, as they come, from several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from redub.errors import RedubError

Result = TypeVar("Result")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What NumPy, OpenCV and torch look at when they are loaded."""


def in_processes(work: Callable[..., Result], arguments: Sequence[tuple[Any, ...]], jobs: int, task: str) -> Iterator[Result]:
    """Yield the results of a function of a module for each of these arguments, in the order in which they come.

    Args:
        work: Is sent by its name.
        arguments: Of each call.
        jobs: Processes; the cores are shared out among them.
        task: What they do, behind "a process that": told if one is killed.

    Raises:
        RedubError: A process was killed.
    """
    # Forked children would inherit locks that another thread holds.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        with _threads(max(1, (os.cpu_count() or 1) // jobs)):
            futures = [pool.submit(work, *one) for one in arguments]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        hint = "It may have needed more memory than there is: try fewer jobs.  What is done is kept, so just run it again."
        raise RedubError(f"A process that {task} was killed.", hint) from error
    finally:
        # Whoever stops here does not want to wait for hundreds of others.
        pool.shutdown(cancel_futures=True)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let processes that begin now use so many threads each, unless the user has said how many.

    Where each takes all cores, threads wait for each other in busy loops: what takes a second alone then took minutes.
    """
    unset = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, str(count)))
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)
