"""place: a target path -> a temporary file beside it that takes its place when it is complete.

The temporary file lies in the target's own folder, because only there is a rename one indivisible step.  A run that
is killed cannot remove its own; the next run for the same target does.  Which of them still belong to somebody is
told by a lock, which the system drops with the process that holds it, however that ends: a process number could
by then be another's, and means nothing to a container or machine that shares the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av

from redub.errors import MediaError
from redub.media.opening import reason

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows: it refuses to remove what is in use, but no lock tells what is dead
    fcntl = None  # type: ignore[assignment]

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's name of the container for each suffix."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_target(target: Path, inputs: Sequence[Path], *, force: bool) -> str:
    """Return the container that a target's suffix names.

    Raises:
        MediaError: The suffix is unknown, or the target exists, is a folder, or is one of the inputs.
    """
    if target.is_dir():
        # Before the suffix: the current folder has none.
        raise MediaError(f"{target} is a folder.", f"Name a file in it:  --output {shlex.quote(str(target / 'dubbed.mp4'))}")
    container = find_container(target)
    for path in inputs:
        if target.exists() and path.exists() and target.samefile(path):
            raise MediaError(f"{target} is one of the inputs.", "Name another file with --output.")
    if target.exists() and not force:
        raise MediaError(f"{target} exists.", "Name another file with --output, or replace it with --force.")
    return container


def find_container(target: Path) -> str:
    """Return FFmpeg's name of the container that a suffix stands for.

    Raises:
        MediaError: The suffix is unknown.
    """
    container = CONTAINERS.get(target.suffix.lower())
    if container is None:
        raise MediaError(f"{target} has no suffix that redub can write.", f"Choose one of: {', '.join(CONTAINERS)}.")
    return container


class Part:
    """The temporary file of a target, locked as long as it is written.

    Making one removes those of the same target whose process is gone.

    Raises:
        MediaError: The folder is missing or cannot be written.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        _sweep(target)
        try:
            self._handle, self.path = _make(target)
        except FileNotFoundError:
            hint = f"Make it first:  mkdir -p {shlex.quote(str(target.parent))}"
            raise MediaError(f"There is no folder {target.parent}.", hint) from None
        except OSError as error:
            raise _cannot_write(target, error) from error
        if fcntl is None:
            # Nothing is locked, and what is open cannot be renamed there.
            self._release()

    def publish(self) -> None:
        """Put the complete file in its place, with the permissions of any new file."""
        mask = os.umask(0)
        os.umask(mask)
        try:
            self.path.chmod(0o666 & ~mask)
            self.path.replace(self.target)
        except OSError as error:
            raise _cannot_write(self.target, error) from error
        self._release()

    def discard(self) -> None:
        """Remove it; does nothing where it has taken its place."""
        self.path.unlink(missing_ok=True)
        self._release()

    def _release(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _prefix(target: Path) -> str:
    """Return how temporary names begin: cut, so that a long name and its additions stay within 255 bytes."""
    return f".{os.fsencode(target.stem)[:200].decode(errors='ignore')}."


def _make(target: Path) -> tuple[int, Path]:
    while True:
        handle, name = tempfile.mkstemp(prefix=_prefix(target), suffix=f".part{target.suffix}", dir=target.parent)
        path = Path(name)
        is_locked = _lock(handle, waits=True)
        if path.exists() or not is_locked:
            return handle, path
        # Another run took it for a dead one's before it was locked.
        os.close(handle)


def _sweep(target: Path) -> None:
    """Remove temporary files of a target that no process holds."""
    if fcntl is None:
        return
    pattern = re.compile(re.escape(_prefix(target)) + r"[a-z0-9_]{8}" + re.escape(f".part{target.suffix}"))
    # What cannot be listed, opened or locked is not ours to remove.
    with contextlib.suppress(OSError):
        for path in [path for path in target.parent.iterdir() if pattern.fullmatch(path.name) and path.is_file()]:
            with contextlib.suppress(OSError), path.open("rb") as file:
                if _lock(file.fileno(), waits=False):
                    path.unlink()


def _lock(handle: int, *, waits: bool) -> bool:
    """Say whether a file could be locked; some systems and network folders have no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


@contextmanager
def clear_errors(target: Path) -> Iterator[None]:
    """Turn what FFmpeg and the system say while a file is written into a `MediaError`."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise _cannot_write(target, error) from error


def _cannot_write(target: Path, error: BaseException) -> MediaError:
    number = getattr(error, "errno", None)
    if number in _FULL:
        hint = "Free some space, or name a file on another disk with --output."
        return MediaError(f"{target} cannot be written: the disk is full.", hint)
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MediaError(f"{target} cannot be written: {reason(error)}.", "Name a file in a folder of your own with --output.")
    return MediaError(f"{target} cannot be written: {reason(error)}.", "Try another encoder; see which there are with:  redub doctor")
