"""files: a path that somebody named -> the path of a file that can be read, or one clear error."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from redub.errors import MediaError


def check_file(path: Path, what: str) -> Path:
    """Return the path of an ordinary file that is there and not empty.

    A pipe is refused before it is opened: it would wait for somebody to write, and can be read only once.

    Args:
        path: What was named.
        what: The word for it in messages.

    Raises:
        MediaError: It is missing, a folder, a pipe or device, empty or unreadable.
    """
    try:
        if path.is_dir():
            raise MediaError(f"The {what} {path} is a folder, not a file.", "Name the file in it.")
        if path.exists() and not path.is_file():
            raise MediaError(f"The {what} {path} is not an ordinary file.", "Save it to a file first; it has to be read more than once.")
        with path.open("rb") as file:
            if not file.read(1):
                raise MediaError(f"The {what} {path} is empty.", "Its download or export may have failed; make it anew.")
    except FileNotFoundError:
        raise MediaError(f"There is no {what} {path}.", "Check the path and its spelling.") from None
    except OSError as error:
        raise MediaError(f"The {what} {path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    return path


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, which is read once a process unless it was written to meanwhile.

    Raises:
        OSError: It cannot be read.
    """
    status = path.stat()
    return _sha256(path.absolute(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size_bytes: int, mtime_ns: int) -> str:  # noqa: ARG001  size and time are part of the cache's key
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
