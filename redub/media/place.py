"""place: a target path -> a temporary file beside it that takes its place when it is complete.

The temporary file lies in the target's own folder, because only there is a rename one indivisible step.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av

from redub.errors import MediaError
from redub.media.opening import reason

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's name of the container for each suffix."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_target(target: Path, inputs: Sequence[Path], *, force: bool) -> str:
    """Return the container that a target's suffix names.

    Raises:
        MediaError: The suffix is unknown, or the target exists, is a folder, or is one of the inputs.
    """
    container = CONTAINERS.get(target.suffix.lower())
    if container is None:
        raise MediaError(f"{target} has no suffix that redub can write.", f"Choose one of: {', '.join(CONTAINERS)}.")
    if target.is_dir():
        raise MediaError(f"{target} is a folder.", f"Name a file in it:  --output {target / 'dubbed.mp4'}")
    for path in inputs:
        if target.exists() and path.exists() and target.samefile(path):
            raise MediaError(f"{target} is one of the inputs.", "Name another file with --output.")
    if target.exists() and not force:
        raise MediaError(f"{target} exists.", "Name another file with --output, or replace it with --force.")
    return container


def make_part(target: Path) -> Path:
    """Create the temporary file.

    Raises:
        MediaError: The folder is missing or cannot be written.
    """
    try:
        # The stem is cut so that a long name and its additions stay within 255 bytes.
        handle, name = tempfile.mkstemp(prefix=f".{target.stem[:60]}.", suffix=f".part{target.suffix}", dir=target.parent)
    except FileNotFoundError:
        raise MediaError(f"There is no folder {target.parent}.", f"Make it first:  mkdir -p {target.parent}") from None
    except OSError as error:
        raise _cannot_write(target, error) from error
    os.close(handle)
    return Path(name)


def publish(part: Path, target: Path) -> None:
    """Put the complete file in its place, with the permissions of any new file."""
    mask = os.umask(0)
    os.umask(mask)
    try:
        part.chmod(0o666 & ~mask)
        part.replace(target)
    except OSError as error:
        raise _cannot_write(target, error) from error


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
