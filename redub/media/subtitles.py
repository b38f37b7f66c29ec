"""subtitles: a track of text -> packets for the result, copied or converted to the text that the container holds."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from redub.errors import MediaError
from redub.media.clock import as_fraction, as_ticks
from redub.media.opening import open_input, reason
from redub.media.tracks import Found, Result, Track, copy_track, label

KEPT = {
    "mp4": {"mov_text"},
    "mov": {"mov_text"},
    "matroska": {"subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"},
    "webm": {"webvtt"},
}
ENCODER = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}


def add_text(result: Result, found: Found) -> Track:
    """Add a subtitle track.

    Raises:
        MediaError: It cannot be kept.
    """
    if found.codec in KEPT[result.container]:
        return copy_track(result, found)
    return _convert(result, found, ENCODER[result.container])


def _convert(result: Result, found: Found, codec: str) -> Track:
    """Add a stream into which text subtitles are converted.

    Raises:
        MediaError: They are pictures, or cannot be decoded.
    """
    with open_input(found.path) as container:
        source = container.streams.subtitles[found.number]
        context: Any = source.codec_context
        if context is None or not context.codec.text_sub:
            raise MediaError("it is not text, and this kind of file cannot hold it")
        try:
            context.open(strict=False)
        except av.FFmpegError as error:
            raise MediaError(reason(error)) from error
        header = context.subtitle_header
    stream: Any = result.output.add_stream(codec)
    stream.codec_context.subtitle_header = header
    stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
    label(stream, found, result.container)
    return Track(_converted(stream, found, result.stop))


def _converted(stream: Any, found: Found, stop: Fraction | None) -> Iterator[av.Packet[Any]]:
    with open_input(found.path) as container:
        source = container.streams.subtitles[found.number]
        context: Any = source.codec_context
        base = as_fraction(source.time_base, Fraction(1, 1000))
        for packet in container.demux(source):
            if packet.size == 0 or packet.pts is None:
                continue
            begin = packet.pts * base - found.zero
            end = begin + (packet.duration or 0) * base
            if stop is not None and begin >= stop:
                return
            if begin < 0 and end <= 0:
                continue
            begin, end = max(begin, Fraction(0)), end if stop is None else min(end, stop)
            text = context.decode2(packet)
            if text is None or not len(text):
                continue
            fresh = stream.codec_context.encode_subtitle(text)
            fresh.time_base = Fraction(1, 1000)
            fresh.pts = fresh.dts = as_ticks(begin, Fraction(1, 1000))
            fresh.duration = as_ticks(end - begin, Fraction(1, 1000))
            fresh.stream = stream
            yield fresh
