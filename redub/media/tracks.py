"""tracks: everything that goes into the result beside the picture -> packets in the order of time.

A track is copied as packets wherever the new container can hold it well.  Each has an open file of its own and is
read only as far as the picture has come, so that memory does not grow with length.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from redub.config import EncodeConfig
from redub.media.clock import as_fraction, as_ticks
from redub.media.decoding import Damage, is_still
from redub.media.opening import open_input
from redub.media.priming import CODEC_ID, lead_in, primed


@dataclass(slots=True)
class Track:
    """Packets of one stream of the result."""

    packets: Iterator[av.Packet[Any]]
    damage: Damage = field(default_factory=Damage)
    """What of its source could not be read; complete when the packets are."""
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
    lead = lead_before(result, found)
    with ExitStack() as stack:
        template: Any = stack.enter_context(open_input(found.path)).streams[found.index]
        if found.type == "audio" and is_matroska(result.container) and found.codec in CODEC_ID:
            template = stack.enter_context(primed(template, found.codec, lead))
        elif lead:
            # Nothing tells a player to discard it.
            lead = Fraction(0)
        if found.type in ("audio", "subtitle") and not is_taken(result.container, template):
            # The header is written for all tracks at once, and then does not say which one it fails for.
            raise ValueError(f"this kind of file does not take this {found.codec}")
        target: Any = result.output.add_stream_from_template(template)
    label(target, found, result.container)
    damage = Damage()
    return Track(_copied(target, found, result, lead, damage), damage)


def is_matroska(container: str) -> bool:
    """Say whether a container is one of those that know no negative times."""
    return container in ("matroska", "webm")


def lead_before(result: Result, found: Found) -> Fraction:
    """Return how long before time zero sound has to begin in Matroska, in seconds."""
    if found.type != "audio" or not is_matroska(result.container):
        return Fraction(0)
    with open_input(found.path) as container:
        return lead_in(container, found.index, found.codec, found.zero)


def is_taken(container: str, template: Any) -> bool:
    """Say whether a container can begin with a stream like this one; only writing a header tells."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            # A picture is asked for its encoder otherwise, and some can be decoded only.
            trial.add_stream_from_template(template, opaque=True)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


_MAC_LANGUAGES = {"deu": "ger", "nld": "dut"}
"""QuickTime knows few languages, and these by their other code."""


def label(target: Any, found: Found, container: str) -> None:
    """Give a new stream the language, title and role of the one it comes from."""
    target.metadata.update(names(found.tags, container))
    role = found.disposition & ~int(Disposition.default)
    target.disposition = role | int(Disposition.default) if found.is_default else role


_NO_TITLE = re.compile("handler|media|gpac|l-smash", re.IGNORECASE)
"""What programs put where MP4 keeps a track's name, if it has none."""


def names(tags: dict[str, str], container: str) -> dict[str, str]:
    """Return the language and title of a track as a container keeps them."""
    known = {key.lower(): value for key, value in tags.items()}
    kept = {"language": known["language"]} if "language" in known else {}
    if container == "mov" and kept:
        kept["language"] = _MAC_LANGUAGES.get(kept["language"], kept["language"])
    handler = known.get("handler_name", "")
    title = known.get("title") or known.get("name") or ("" if _NO_TITLE.search(handler) else handler)
    if title:
        kept["title"] = title
    if container in ("mp4", "mov") and (title or handler):
        # Players show this one there.
        kept["handler_name"] = title or handler
    return kept


def _copied(target: Any, found: Found, result: Result, lead: Fraction, damage: Damage) -> Iterator[av.Packet[Any]]:
    with open_input(found.path) as container:
        stream = container.streams[found.index]
        for other in container.streams:
            if other.index != found.index:
                other.discard = Discard.all
        base = as_fraction(stream.time_base, Fraction(1, 1000))
        shift = as_ticks(found.zero, base)
        first = as_ticks(-lead, base) if found.type == "audio" and is_matroska(result.container) else None
        last = None if result.stop is None or found.is_cover else as_ticks(result.stop, base)
        for packet in intact(container.demux(stream), damage):
            if found.codec == "mov_text" and packet.size == 2:
                # An empty text that fills a gap; the muxer makes its own.
                continue
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            if packet.pts is None or packet.dts is None or (first is not None and packet.pts < first):
                continue
            if last is not None and packet.pts >= last:
                return
            if last is not None:
                packet.duration = min(packet.duration or last - packet.pts, last - packet.pts)
            if found.type in ("subtitle", "video") and not _begun(packet, is_cover=found.is_cover):
                continue
            packet.stream = target
            yield packet


def intact(packets: Iterator[av.Packet[Any]], damage: Damage) -> Iterator[av.Packet[Any]]:
    """Yield packets up to where a file cannot be read any more, without empty ones and those that it calls damaged."""
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            damage.at(None)
            return
        if packet is None:
            return
        if packet.is_corrupt:
            damage.at(packet.dts)
        elif packet.size:
            yield packet


def _begun(packet: av.Packet[Any], *, is_cover: bool) -> bool:
    """Let a text or cover that begins before time zero begin there; say whether anything of it is left."""
    if packet.pts is None or packet.pts >= 0:
        return True
    left = (packet.duration or 0) + packet.pts
    packet.pts = packet.dts = 0
    if not is_cover:
        packet.duration = max(0, left)
    return is_cover or left > 0
