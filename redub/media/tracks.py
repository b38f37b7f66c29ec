"""tracks: everything that goes into the result beside the picture -> packets in the order of time.

A track is copied as packets wherever the new container can hold it well, and encoded once where it cannot.  Each has
an open file of its own and is read only as far as the picture has come, so that memory does not grow with length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import OutputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.media.clock import as_fraction, as_ticks
from redub.media.opening import open_input, reason
from redub.media.reader import is_still
from redub.media.sound import Resampler, first_samples, sound_frames

SOUND_KEPT = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be"},
    "matroska": {
        "aac", "mp3", "mp2", "ac3", "eac3", "dts", "truehd", "flac", "opus", "vorbis", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le",
    },
    "webm": {"opus", "vorbis"},
}  # fmt: skip
"""Codecs that players expect in each container; others are encoded anew."""

SOUND_ENCODER = {"mp4": "aac", "mov": "aac", "matroska": "aac", "webm": "libopus"}

TEXT_KEPT = {
    "mp4": {"mov_text"},
    "mov": {"mov_text"},
    "matroska": {"subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"},
    "webm": {"webvtt"},
}
TEXT_ENCODER = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}


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
    """Return the streams of a file."""
    found: list[Found] = []
    with open_input(path) as container:
        for stream in container.streams:
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


def add_sound(
    output: OutputContainer,
    container: str,
    found: Found,
    config: EncodeConfig,
    stop: Fraction | None,
    notices: list[str],
    *,
    is_new: bool = False,
) -> Track:
    """Add an audio track: copied where the container holds it well, else encoded once.

    Raises:
        MediaError: It can be neither copied nor encoded, or is not to be and cannot be copied.
    """
    asked = config.audio_codec if is_new else "auto"
    can_copy = found.codec in SOUND_KEPT[container]
    if asked == "copy" and not can_copy:
        raise MediaError(f"This file cannot hold {found.codec} sound as it is.", "Leave encode.audio_codec at auto, or write a .mkv file.")
    if asked == "copy" or (asked == "auto" and can_copy):
        return copy_track(output, found, stop)
    codec = SOUND_ENCODER[container] if asked == "auto" else asked
    if not is_new:
        notices.append(f"An audio track of the source is converted from {found.codec} to {codec}, which this kind of file can hold.")
    return encode_sound(output, found, codec, config, stop)


def add_text(output: OutputContainer, container: str, found: Found, stop: Fraction | None) -> Track:
    """Add a subtitle track, converted if the container holds only another kind of text.

    Raises:
        MediaError: It cannot be kept.
    """
    if found.codec in TEXT_KEPT[container]:
        return copy_track(output, found, stop)
    return convert_text(output, found, TEXT_ENCODER[container], stop)


def copy_track(output: OutputContainer, found: Found, stop: Fraction | None) -> Track:
    """Add a stream whose packets are copied, up to a time in the result."""
    with open_input(found.path) as container:
        target: Any = output.add_stream_from_template(container.streams[found.index])
    _label(target, found)
    return Track(_copied(target, found, stop))


def _label(target: Any, found: Found) -> None:
    """Give a new stream the language, title and role of the one it comes from."""
    target.metadata.update({key: value for key, value in found.tags.items() if key.lower() in ("language", "title", "handler_name")})
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


def encode_sound(output: OutputContainer, found: Found, codec: str, config: EncodeConfig, stop: Fraction | None) -> Track:
    """Add a stream into which a track's sound is encoded, at its own rate and layout if the encoder can.

    Raises:
        MediaError: There is no such encoder, the container does not take it, or there is nothing to encode.
    """
    first = next(sound_frames(found.path, found.number), None)
    if first is None:
        raise MediaError(f"The sound in {found.path} has no samples.", "Its recording or export may have failed; make it anew.")
    rate, layout = _nearest_rate(codec, first.sample_rate), first.layout.name
    layout = next((name for name in (layout, _usual_layout(first.layout.nb_channels), "stereo") if _opens(codec, rate, name)), "stereo")
    try:
        stream = output.add_stream(codec, rate=rate)
    except ValueError as error:
        raise MediaError(f"{codec} sound cannot be written here: {error}.", "Choose another with  --set encode.audio_codec=aac") from error
    context: Any = stream.codec_context
    context.layout = layout
    context.time_base = Fraction(1, rate)
    context.bit_rate = config.audio_bitrate_bps * max(2, context.layout.nb_channels) // 2
    context.open()
    _label(stream, found)
    return Track(_encoded(stream, found, stop))


def _encoded(stream: AudioStream, found: Found, stop: Fraction | None) -> Iterator[av.Packet[Any]]:
    context: Any = stream.codec_context
    rate = context.sample_rate
    left = None if stop is None else as_ticks(stop, Fraction(1, rate))
    resampler = Resampler(context.format.name, context.layout.name, rate)
    position = 0

    def encoded(frames: list[av.AudioFrame]) -> Iterator[av.Packet[Any]]:
        nonlocal position
        for frame in frames:
            if left is not None and position + frame.samples > left:
                if position >= left:
                    return
                frame = first_samples(frame, left - position)
            frame.pts, frame.time_base = position, Fraction(1, rate)
            position += frame.samples
            yield from stream.encode(frame)

    for frame in sound_frames(found.path, found.number):
        yield from encoded(resampler.push(frame))
        if left is not None and position >= left:
            break
    yield from encoded(resampler.push(None))
    if position:
        yield from stream.encode(None)


def _nearest_rate(codec: str, rate: int) -> int:
    """Return the rate itself if the encoder takes it, else the next higher one that it takes."""
    try:
        known = Codec(codec, "w").audio_rates
    except ValueError as error:
        raise MediaError(f"There is no encoder {codec!r} here.", "Choose another with  --set encode.audio_codec=aac") from error
    if not known or rate in known:
        return rate
    return min((one for one in known if one >= rate), default=max(known))


def _usual_layout(channels: int) -> str:
    return {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}.get(channels, "stereo")


def _opens(codec: str, rate: int, layout: str) -> bool:
    context: Any = av.CodecContext.create(codec, "w")
    try:
        context.sample_rate, context.layout = rate, layout
        context.format = Codec(codec, "w").audio_formats[0].name  # type: ignore[index]
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True


def convert_text(output: OutputContainer, found: Found, codec: str, stop: Fraction | None) -> Track:
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
    stream: Any = output.add_stream(codec)
    stream.codec_context.subtitle_header = header
    stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
    _label(stream, found)
    return Track(_converted(stream, found, stop))


def _converted(stream: Any, found: Found, stop: Fraction | None) -> Iterator[av.Packet[Any]]:
    with open_input(found.path) as container:
        source = container.streams.subtitles[found.number]
        context: Any = source.codec_context
        base = as_fraction(source.time_base, Fraction(1, 1000))
        for packet in container.demux(source):
            if packet.size == 0 or packet.pts is None:
                continue
            begin = packet.pts * base - found.zero
            if stop is not None and begin >= stop:
                return
            text = context.decode2(packet)
            if text is None or not len(text):
                continue
            fresh = stream.codec_context.encode_subtitle(text)
            fresh.time_base = Fraction(1, 1000)
            fresh.pts = fresh.dts = as_ticks(begin, Fraction(1, 1000))
            fresh.duration = as_ticks((packet.duration or 0) * base, Fraction(1, 1000))
            fresh.stream = stream
            yield fresh
