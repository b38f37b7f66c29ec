"""probe: a media file -> what it says of itself.

What stands in a header is a claim: durations and rates are named for it.  What redub relies on is counted by decoding;
here only the first picture is decoded, because how it is turned and coloured stands nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.audio.stream import AudioStream
from av.video.reformatter import ColorPrimaries, ColorTrc
from av.video.stream import VideoStream

from redub.errors import MediaError
from redub.media.clock import MICROSECOND, as_fraction
from redub.media.decoding import is_still
from redub.media.mark import SyntheticMark, find_mark
from redub.media.opening import open_input
from redub.media.reader import VideoReader, open_video

_MATRICES = {0: "RGB", 1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020", 10: "BT.2020 CL"}
_RANGES = {1: "limited", 2: "full"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """One stream of a file."""

    kind: str
    """``video``, ``audio``, ``subtitle``, ``data``, ``attachment``."""
    codec: str
    detail: str
    """Size, rate and colour of a picture, rate and channels of a sound."""
    language: str
    """As tagged, or nothing."""
    title: str = ""
    duration_header_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file with its streams."""

    path: Path
    container: str
    size_bytes: int
    duration_header_s: float | None
    streams: tuple[StreamFacts, ...]
    chapters: int
    tags: dict[str, str]
    """Of the container, as they are."""
    mark: SyntheticMark | None
    """Says that redub made it, and with which generator."""


def probe(path: Path) -> FileFacts:
    """Read the headers of a file.

    Raises:
        MediaError: It cannot be read, or is no media file.
    """
    with open_input(path, "file") as container:
        reader = _picture(path) if any(not is_still(stream) for stream in container.streams.video) else None
        return FileFacts(
            path=path,
            container=container.format.long_name,
            size_bytes=path.stat().st_size,
            duration_header_s=None if container.duration is None else float(container.duration * MICROSECOND),
            streams=tuple(_stream(stream, reader) for stream in container.streams),
            chapters=len(container.chapters()),
            tags=dict(container.metadata),
            mark=find_mark(dict(container.metadata)),
        )


def _picture(path: Path) -> VideoReader | None:
    try:
        return open_video(path)
    except MediaError:
        # A picture that cannot be decoded is still listed.
        return None


def _stream(stream: Any, reader: VideoReader | None) -> StreamFacts:
    length = None if not stream.duration else float(stream.duration * as_fraction(stream.time_base, Fraction(1)))
    context = stream.codec_context if stream.type in ("video", "audio", "subtitle") else None
    return StreamFacts(
        kind=stream.type,
        codec=context.codec.canonical_name if context is not None else "unknown",
        detail=_detail(stream, reader),
        language=stream.metadata.get("language", "").replace("und", ""),
        title=stream.metadata.get("title", ""),
        duration_header_s=length,
    )


def _detail(stream: Any, reader: VideoReader | None) -> str:
    if isinstance(stream, VideoStream):
        if is_still(stream):
            return f"cover, {stream.width} x {stream.height} px"
        rate = stream.average_rate
        parts = [f"{stream.width} x {stream.height} px", f"{float(rate):.6g} frames/s" if rate else "", stream.pix_fmt or "unknown pixels"]
        if reader is not None and reader.stream_index == stream.index:
            parts += _look(reader)
        return ", ".join(part for part in parts if part)
    if isinstance(stream, AudioStream):
        return f"{stream.sample_rate} Hz, {stream.layout.name}"
    return ""


def _look(reader: VideoReader) -> list[str]:
    """Return how a picture is coloured and shown, as far as it is tagged."""
    aspect = reader.sample_aspect
    return [
        _MATRICES.get(reader.color_matrix, ""),
        _name(ColorPrimaries, reader.color_primaries, "primaries"),
        _name(ColorTrc, reader.color_transfer, "transfer"),
        _RANGES.get(reader.color_range, ""),
        f"pixels {aspect.numerator}:{aspect.denominator}" if aspect != 1 else "",
        f"turned {reader.rotation} degrees" if reader.rotation else "",
        "interlaced" if reader.is_interlaced else "",
    ]


def _name(kinds: Any, number: int, what: str) -> str:
    known = {int(kind): kind.name for kind in kinds if kind.name != "UNSPECIFIED"}
    return f"{what} {known[number]}" if number in known else ""
