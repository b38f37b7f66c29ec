"""photo: a JPEG or PNG file -> an upright RGB picture, no larger than asked for.

OpenCV decodes it and turns it as its EXIF data says.  The file's head is read here first, because OpenCV would
unpack whatever size a head claims, would fill the rest of a picture that was cut off with grey, and knows a dozen rarer
formats that nobody photographs in.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from redub.errors import MediaError
from redub.faces.cv import load_cv
from redub.files import check_file
from redub.types import RGB

MAX_PIXELS = 250_000_000
"""More than any camera takes; a picture of this size fills 750 MB when it is unpacked."""
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_FRAME_HEADERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD8)}
_ALPHA_KINDS = {4, 6}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    height: int
    width: int
    is_whole: bool
    is_jpeg: bool = False
    has_alpha: bool = False
    exif: bytes = b""
    """A PNG's chunk that says how it is turned."""


def read_photo(path: Path, max_side_px: int) -> RGB:
    """Read a photograph.

    Args:
        path: A JPEG or PNG of any depth and colours; what is transparent is laid on white.
        max_side_px: A picture with a longer side is scaled down to it, with its px averaged.

    Returns:
        (H, W, 3), H and W even: at an odd size the last line or column is left out.

    Raises:
        MediaError: It is missing, damaged, cut off, too large, or another kind of file.
    """
    check_file(path, "picture")
    head, data = _read(path)
    if head is None or head.height * head.width == 0:
        raise MediaError(f"The picture {path} is damaged.", "Copy it again, or export it anew.")
    if not head.is_whole:
        raise MediaError(f"The picture {path} is cut off: its end is missing.", "Copy it again, or export it anew.")
    if head.height * head.width > MAX_PIXELS:
        raise MediaError(f"The picture {path} has {head.width} x {head.height} px, too many to unpack.", "Scale it down first.")
    picture = _decoded(data, head, max_side_px)
    if picture is None or min(picture.shape[:2]) < 2:
        raise MediaError(f"The picture {path} is damaged, or is a single line.", "Copy it again, or export it anew.")
    return np.ascontiguousarray(_fitted(picture, max_side_px)[..., ::-1])


def _read(path: Path) -> tuple[_Head | None, bytes]:
    with path.open("rb") as file:
        begin = file.read(8)
        if not begin.startswith(JPEG) and begin != PNG:
            raise MediaError(f"The picture {path} is neither a JPEG nor a PNG.", "Export it as one of them.")
        data = begin + file.read()
    try:
        return (_png_head(data) if begin == PNG else _jpeg_head(data)), data
    except (struct.error, IndexError):
        return None, data


def _png_head(data: bytes) -> _Head | None:
    if data[12:16] != b"IHDR":
        return None
    width, height, _, kind = struct.unpack_from(">IIBB", data, 16)
    has_alpha, exif, place = kind in _ALPHA_KINDS, b"", 8
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        has_alpha = has_alpha or name == b"tRNS"
        exif = data[place:end] if name == b"eXIf" else exif
        if name == b"IEND":
            return _Head(height=height, width=width, is_whole=True, has_alpha=has_alpha, exif=exif)
        place = end
    return _Head(height=height, width=width, is_whole=False)


def _jpeg_head(data: bytes) -> _Head | None:
    height = width = 0
    place = 2
    while data[place] == 0xFF:
        kind = data[place + 1]
        if kind in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", data, place + 5)
        if kind == 0xDA:
            # Within what follows, an end marker can only be the end's.
            return _Head(height=height, width=width, is_whole=data.find(b"\xff\xd9", place) > 0, is_jpeg=True)
        place += 1 if kind == 0xFF else 2 if kind in _ALONE else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _decoded(data: bytes, head: _Head, max_side_px: int) -> Any:
    """Return (H, W, 3) BGR, or None where it cannot be decoded."""
    cv2 = load_cv()
    flags = cv2.IMREAD_COLOR
    if head.is_jpeg:
        # Half, a quarter or an eighth is decoded as such, in a fraction of time and memory.
        reduced = [(8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2)]
        flags = next((flag for step, flag in reduced if max(head.height, head.width) >= step * max_side_px), flags)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        return _on_white(picture, data, head) if picture is not None and head.has_alpha else picture
    except cv2.error:
        return None


def _on_white(picture: Any, data: bytes, head: _Head) -> Any:
    """Lay a PNG on white, as a viewer shows it; under its transparency any colour may hide."""
    cv2 = load_cv()
    raw = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if raw.ndim < 3 or raw.shape[2] < 4:
        return picture
    alpha = np.asarray(raw[..., 3] // (257 if raw.dtype == np.uint16 else 1), np.uint8)
    if head.exif:
        # Such a raw picture is not turned: as a PNG of its own with the same EXIF data it is.
        alone = cv2.imencode(".png", alpha)[1].tobytes()
        alpha = cv2.imdecode(np.frombuffer(alone[:33] + head.exif + alone[33:], np.uint8), cv2.IMREAD_GRAYSCALE)
    share = alpha[..., None].astype(np.float32) / 255
    return np.rint(picture * share + 255 * (1 - share)).astype(np.uint8)


def _fitted(picture: Any, max_side_px: int) -> Any:
    """Scale a picture down if it is too large, and make its sides even."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    if longest > max_side_px:
        size = tuple(max(side * max_side_px // longest // 2 * 2, 2) for side in (width, height))
        return load_cv().resize(picture, size, interpolation=load_cv().INTER_AREA)
    return picture[: height // 2 * 2, : width // 2 * 2]
