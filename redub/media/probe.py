"""probe: a media file -> what its headers say, without decoding it.

What stands in a header is a claim: durations and rates are named for it.  What redub relies on is counted by decoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from redub.media.mark import SyntheticMark, find_mark
from redub.media.opening import open_input


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """One stream of a file."""

    kind: str
    """``video``, ``audio``, ``subtitle``, ``data``."""
    codec: str
    detail: str
    """Size and rate of a picture, rate and channels of a sound."""
    language: str
    """As tagged, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file with its streams."""

    path: Path
    container: str
    size_bytes: int
    duration_header_s: float | None
    streams: tuple[StreamFacts, ...]
    mark: SyntheticMark | None
    """Says that redub made it, and with which generator."""


def probe(path: Path) -> FileFacts:
    """Read the headers of a file.

    Raises:
        MediaError: It cannot be read, or is no media file.
    """
    with open_input(path, "file") as container:
        return FileFacts(
            path=path,
            container=container.format.long_name,
            size_bytes=path.stat().st_size,
            duration_header_s=None if container.duration is None else container.duration / av.time_base,
            streams=tuple(
                StreamFacts(
                    kind=stream.type,
                    codec=stream.codec_context.name if stream.codec_context else "unknown",
                    detail=_detail(stream),
                    language=stream.metadata.get("language", "").replace("und", ""),
                )
                for stream in container.streams
            ),
            mark=find_mark(dict(container.metadata)),
        )


def _detail(stream: object) -> str:
    if isinstance(stream, VideoStream):
        rate = stream.average_rate
        fps = f", {float(rate):.3f}".rstrip("0").rstrip(".") + " frames/s" if rate else ""
        return f"{stream.width} x {stream.height} px{fps}, {stream.pix_fmt or 'unknown pixels'}"
    if isinstance(stream, AudioStream):
        return f"{stream.sample_rate} Hz, {stream.layout.name}"
    return ""
