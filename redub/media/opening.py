"""opening: path -> an open container, or one clear error.

Only plain files are read.  A playlist or a list of parts that poses as a video could otherwise make FFmpeg fetch
from the network or read other files of the machine, so such demuxers are refused and the only protocol is ``file``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from redub.errors import MediaError
from redub.files import check_file

PLAYLISTS = {"hls", "concat", "dash", "imf", "sdp", "rtsp", "applehttp", "webm_dash_manifest", "image2"}
"""Demuxers that open further files or connections which their input names; `image2` does where a name holds ``%d``."""


def open_input(path: Path, what: str = "video") -> InputContainer:
    """Open a file for reading.

    Args:
        path: An ordinary file.
        what: The word for it in messages.

    Raises:
        MediaError: It is missing, a folder, empty, unreadable, or no media file.
    """
    check_file(path, what)
    try:
        container: Any = av.open(f"file:{path}", "r", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except av.FFmpegError as error:
        raise MediaError(f"The {what} {path} cannot be read: {reason(error)}.", damaged_hint(path)) from error
    if PLAYLISTS & set(container.format.name.split(",")):
        container.close()
        raise MediaError(f"The {what} {path} is a list of other files, not one itself.", "Give the media file that it names.")
    return container  # type: ignore[no-any-return]


def reason(error: BaseException) -> str:
    """Return FFmpeg's own words for a failure, without numbers and call names."""
    words = getattr(error, "strerror", None) or str(error)
    return re.sub(r"^\[Errno -?\d+\]\s*", "", str(words)).rstrip(".")


def damaged_hint(path: Path) -> str:
    """Return what to do about a file that is no media file."""
    if path.suffix.lower() in {".mp4", ".mov", ".m4v", ".m4a"}:
        return "It is not a media file, or was cut off while it was copied or recorded; copy it again, or export it anew."
    return "It is not a media file that FFmpeg knows, or it is damaged; export it anew."
