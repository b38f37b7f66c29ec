"""tracks: everything that goes into the result beside the picture -> packets in the order of time.

A track is copied as packets wherever the new container can hold it well.  Each has an open file of its own and is
read only as far as the picture has come, so that memory does not grow with length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from redub.config import EncodeConfig
from redub.media.clock import as_fraction, as_ticks
from redub.media.decoding import is_still
from redub.media.opening import open_input


@dataclass(slots=True)
class Track:
    """Packets of one stream of the result."""

    packets: Iterator[av.Packet[Any]]
    _held: av.Packet[Any] | None = None

    def until(self, time: Fraction | None) -> Iterator[av.Packet[Any]]:
        """Yield the packets that begin by a time; None yields the rest."""
        while True:
            if self._held is None:
                self._held = next(self.packets, None)
            if self._held is None:
                return
            if time is not None and _begin(self._held) > time:
                return
            packet, self._held = self._held, None
            yield packet


def _begin(packet: av.Packet[Any]) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts or 0
    return ticks * as_fraction(packet.time_base, Fraction(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One stream of an input file."""

    path: Path
    type: str
    """``video``, ``audio``, ``subtitle``, ``data`` or ``attachment``."""
    index: int
    """In the file."""
    number: int
    """Among the streams of its type."""
    codec: str
    """FFmpeg's name of it, empty if unknown."""
    tags: dict[str, str]
    is_default: bool
    is_cover: bool
    disposition: int
    zero: Fraction
    """The file's own time that becomes 0."""
    data: bytes = b""
    """Of an attachment."""


def list_streams(path: Path, zero: Fraction) -> list[Found]:
    """Return the streams of a file, but for what only stores its chapters."""
    found: list[Found] = []
    with open_input(path) as container:
        has_chapters = bool(container.chapters())
        for stream in container.streams:
            if has_chapters and stream.type == "data" and stream.name == "bin_data":
                # MP4 keeps the chapters' names in a track of their own; the muxer makes it anew.
                continue
            context = None if stream.type in ("data", "attachment") else stream.codec_context
            found.append(
                Found(
                    path=path,
                    type=stream.type,
                    index=stream.index,
                    number=sum(one.type == stream.type for one in found),
                    codec=(stream.name or "") if context is None else context.codec.canonical_name,
                    tags=dict(stream.metadata),
                    is_default=bool(stream.disposition & Disposition.default),
                    is_cover=isinstance(stream, VideoStream) and is_still(stream),
                    disposition=int(stream.disposition),
                    zero=zero,
                    data=getattr(stream, "data", b""),
                )
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Where tracks are put."""

    output: OutputContainer
    """Its header is not yet written."""
    container: str
    """``mp4``, ``mov``, ``matroska`` or ``webm``."""
    config: EncodeConfig
    stop: Fraction | None
    """Time in the result at which tracks are cut off."""
    notices: list[str]


def copy_track(result: Result, found: Found) -> Track:
    """Add a stream whose packets are copied.

    Raises:
        ValueError: The container does not take it.
    """
    with open_input(found.path) as container:
        target: Any = result.output.add_stream_from_template(container.streams[found.index])
    label(target, found, result.container)
    return Track(_copied(target, found, None if found.is_cover else result.stop))


_MAC_LANGUAGES = {"deu": "ger", "nld": "dut"}
"""QuickTime knows few languages, and these by their other code."""


def label(target: Any, found: Found, container: str) -> None:
    """Give a new stream the language, title and role of the one it comes from."""
    target.metadata.update({key: value for key, value in found.tags.items() if key.lower() in ("language", "title", "handler_name")})
    if container == "mov" and "language" in target.metadata:
        language = target.metadata["language"]
        target.metadata["language"] = _MAC_LANGUAGES.get(language, language)
    role = found.disposition & ~int(Disposition.default)
    target.disposition = role | int(Disposition.default) if found.is_default else role


def _copied(target: Any, found: Found, stop: Fraction | None) -> Iterator[av.Packet[Any]]:
    with open_input(found.path) as container:
        stream = container.streams[found.index]
        for other in container.streams:
            if other.index != found.index:
                other.discard = Discard.all
        base = as_fraction(stream.time_base, Fraction(1, 1000))
        shift = as_ticks(found.zero, base)
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                return
            if packet is None:
                return
            if packet.size == 0 or packet.is_corrupt:
                continue
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            if packet.pts is None or packet.dts is None:
                continue
            if stop is not None:
                left = as_ticks(stop, base) - packet.pts
                if left <= 0:
                    return
                packet.duration = min(packet.duration or left, left)
            packet.stream = target
            yield packet
