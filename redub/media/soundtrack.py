"""soundtrack: a track of sound -> packets for the result, copied where that is as good, else encoded once.

Copying keeps the sound as it is; encoding keeps its own rate and layout, and both begin at time zero to the sample:
the encoder's delay is written into the file, where players look for it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from typing import Any

import av
from av.codec import Codec
from av.container import OutputContainer

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.media.clock import as_ticks
from redub.media.decoding import Damage
from redub.media.opening import reason
from redub.media.sound import Resampler, first_samples, sound_frames
from redub.media.tracks import Found, Result, Track, copy_track, label, lead_before

KEPT = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be"},
    "matroska": {
        "aac", "mp3", "mp2", "ac3", "eac3", "dts", "truehd", "flac", "opus", "vorbis", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le",
    },
    "webm": {"opus", "vorbis"},
}  # fmt: skip
"""Codecs that players expect in each container; others are encoded anew."""

ENCODER = {"mp4": "aac", "mov": "aac", "matroska": "aac", "webm": "libopus"}


def add_sound(result: Result, found: Found, *, is_new: bool = False) -> Track:
    """Add an audio track.

    Args:
        result: ``config.audio_codec`` says what becomes of the new sound.
        found: What to add.
        is_new: True for the new sound; tracks of the source are always kept as well as they can be.

    Raises:
        MediaError: It can be neither copied nor encoded, or is to be copied and cannot be.
    """
    asked = result.config.audio_codec if is_new else "auto"
    can_copy = found.codec in KEPT[result.container]
    if asked in ("auto", "copy") and can_copy and loses_nothing(found.codec) and (result.stop is not None or lead_before(result, found)):
        # Encoding lossless sound anew loses nothing, and unlike packets its samples can be cut anywhere.
        return _encode(result, found, found.codec)
    if asked in ("auto", "copy") and can_copy:
        try:
            return copy_track(result, found)
        except ValueError:
            can_copy = False
    if asked == "copy":
        raise MediaError(f"This file cannot hold {found.codec} sound as it is.", "Leave encode.audio_codec at auto, or write a .mkv file.")
    codec = ENCODER[result.container] if asked == "auto" else asked
    if not is_new:
        result.notices.append(f"An audio track of the source is converted from {found.codec} to {codec}, which this kind of file can hold.")
    return _encode(result, found, codec)


def loses_nothing(codec: str) -> bool:
    """Say whether sound in a codec stays the same when it is encoded anew."""
    return codec.startswith("pcm_") or codec in ("flac", "alac")


def _encode(result: Result, found: Found, codec: str) -> Track:
    """Add a stream into which a track's sound is encoded, at its own rate and layout if the encoder can.

    Raises:
        MediaError: There is no such encoder, the container does not take it, or there is nothing to encode.
    """
    with closing(sound_frames(found.path, found.number)) as frames:
        first = next(frames)
    with av.open(io.BytesIO(), "w", format=result.container) as trial:
        # The header is written for all tracks at once, and then does not say which one it fails for.
        _add_encoder(trial, codec, first, result.config.audio_bitrate_bps)
        _start(trial, codec)
    stream = _add_encoder(result.output, codec, first, result.config.audio_bitrate_bps)
    label(stream, found, result.container)
    damage = Damage()
    return Track(_encoded(stream, found, result.stop, damage), damage)


MOST_BITS_A_SAMPLE = 5
"""Of one channel: 80 kbit/s at 16 kHz, 240 kbit/s at 48 kHz."""

_HINT = "Let redub choose with  --set encode.audio_codec=auto"


def check_encoder(container: str, codec: str) -> None:
    """Find out early whether a container can hold an encoder's sound.

    Raises:
        MediaError: It cannot, or there is no such encoder of sound.
    """
    silence = av.AudioFrame("fltp", "stereo", 1024)
    silence.sample_rate = 48_000
    with av.open(io.BytesIO(), "w", format=container) as trial:
        _add_encoder(trial, codec, silence, EncodeConfig().audio_bitrate_bps)
        _start(trial, codec)


def _start(trial: OutputContainer, codec: str) -> None:
    try:
        trial.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"{codec} sound cannot be written here: {reason(error)}.", _HINT) from error


def _add_encoder(output: OutputContainer, codec: str, first: av.AudioFrame, bits_per_s: int) -> Any:
    """Add a stream with an opened encoder for sound like a frame's.

    Raises:
        MediaError: There is no such encoder of sound, or the container does not take it.
    """
    rate, layout = _nearest_rate(codec, first.sample_rate), first.layout.name
    layout = next((name for name in (layout, _usual_layout(first.layout.nb_channels), "stereo") if _opens(codec, rate, name)), "stereo")
    formats = [form.name for form in Codec(codec, "w").audio_formats or ()]
    try:
        stream: Any = output.add_stream(codec, rate=rate)
        context: Any = stream.codec_context
        # An encoder's first choice may have fewer bits than the sound.
        context.format = next((name for name in formats if name.rstrip("p") == first.format.name.rstrip("p")), formats[0])
        context.layout = layout
        context.time_base = Fraction(1, rate)
        # Beyond some bits a sample an encoder only searches longer for what nobody hears.
        context.bit_rate = min(bits_per_s // 2, MOST_BITS_A_SAMPLE * rate) * context.layout.nb_channels
        context.open()
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"{codec} sound cannot be written here: {reason(error)}.", _HINT) from error
    return stream


def _encoded(stream: Any, found: Found, stop: Fraction | None, damage: Damage) -> Iterator[av.Packet[Any]]:
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

    for frame in sound_frames(found.path, found.number, damage, found.zero):
        yield from encoded(resampler.push(frame))
        if left is not None and position >= left:
            break
    yield from encoded(resampler.push(None))
    if position:
        yield from stream.encode(None)


def _nearest_rate(codec: str, rate: int) -> int:
    """Return the rate itself if the encoder takes it, else the next higher one that it takes."""
    try:
        encoder = Codec(codec, "w")
    except ValueError as error:
        raise MediaError(f"There is no encoder {codec!r} here.", _HINT) from error
    if encoder.type != "audio":
        raise MediaError(f"{codec} is no encoder of sound.", _HINT)
    known = encoder.audio_rates
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
