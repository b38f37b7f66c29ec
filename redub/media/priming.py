"""priming: sound that is copied into Matroska -> where its packets begin, and a template that tells what to discard.

The first packets of most codecs hold no sound of their own, but what the decoder needs to begin.  MP4 takes packets of
negative time and hides them; Matroska moves the whole file until none is left, unless the track says how much is to be
discarded (``CodecDelay``).  PyAV cannot say so of a copied track: FFmpeg keeps it in a field (``initial_padding``) that
only its own demuxers write.  So a header of a few elements is made in memory for its Matroska demuxer to read.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
from av.stream import Discard

from redub.media.clock import as_fraction, as_ticks

CODEC_ID = {
    "aac": b"A_AAC", "mp3": b"A_MPEG/L3", "mp2": b"A_MPEG/L2", "ac3": b"A_AC3", "eac3": b"A_EAC3", "dts": b"A_DTS", "opus": b"A_OPUS",
}  # fmt: skip
"""Matroska's names of the codecs whose packets need their predecessors."""

_PREDECESSORS = {"mp3": 2}
"""How many earlier packets a decoder needs; one elsewhere.  MP3 stores bits of a frame in the ones before."""


def lead_in(container: Any, index: int, codec: str, zero: Fraction) -> Fraction:
    """Return how long before time zero the first packet begins that is needed; 0 if none does.

    Args:
        container: Just opened; it is read up to time zero.
        index: Of the stream.
        codec: FFmpeg's name of it.
        zero: The file's own time that becomes 0.
    """
    stream = container.streams[index]
    for other in container.streams:
        other.discard = Discard.none if other.index == index else Discard.all
    base = as_fraction(stream.time_base, Fraction(1, 1000))
    shift = as_ticks(zero, base)
    early: list[tuple[int, Fraction | None]] = []
    end = 0
    try:
        for packet in container.demux(stream):
            if packet.size == 0 or packet.pts is None:
                continue
            if packet.pts >= shift:
                break
            early.append((packet.pts - shift, _said(packet, stream.codec_context.sample_rate)))
            end = packet.pts - shift + (packet.duration or 0)
    except av.FFmpegError:
        pass
    if not early:
        return Fraction(0)
    # The one that lasts beyond zero, or the first one behind it.
    sounding = len(early) - 1 if end > 0 else len(early)
    ticks, said = early[max(0, sounding - _PREDECESSORS.get(codec, 1))]
    # Matroska rounds times to milliseconds; the priming that it names is exact.
    return said if said is not None and abs(said + ticks * base) < base else -ticks * base


def first_heard(container: Any, index: int) -> Fraction:
    """Return the file's own time from which a track of sound is heard: what its packets hold before it is hidden.

    Args:
        container: Just opened; it is read up to the track's first packet.
        index: Of the stream.
    """
    stream = container.streams[index]
    base = as_fraction(stream.time_base, Fraction(1, 1000))
    for packet in container.demux(stream):
        if packet.size and packet.pts is not None:
            begin: Fraction = packet.pts * base
            heard = begin + (_said(packet, stream.codec_context.sample_rate) or 0)
            if {"mp4", "matroska"} & set(container.format.name.split(",")):
                # They hide what lies before zero, and Matroska rounds its times.
                return Fraction(0) if heard < base else heard
            return heard
    return Fraction(0)


def _said(packet: av.Packet[Any], rate_hz: int) -> Fraction | None:
    """Return how much of a packet its file says is to be discarded, in seconds."""
    if not packet.has_sidedata("skip_samples"):
        return None
    return Fraction(int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[:4], "little"), rate_hz)


@contextmanager
def primed(stream: Any, codec: str, lead: Fraction) -> Iterator[Any]:
    """Yield a template like an audio stream whose first ``lead`` seconds are to be discarded by players."""
    context = stream.codec_context
    samples = round(lead * context.sample_rate)
    private = bytes(context.extradata or b"")
    if codec == "opus" and len(private) >= 12:
        # Opus says it a second time, at its own rate.
        private = private[:10] + struct.pack("<H", min(round(lead * 48_000), 0xFFFF)) + private[12:]
    sound = _element(b"\xb5", struct.pack(">d", context.sample_rate)) + _number(b"\x9f", context.layout.nb_channels)
    track = (
        _number(b"\xd7", 1)
        + _number(b"\x73\xc5", 1)
        + _number(b"\x83", 2)
        + _element(b"\x86", CODEC_ID[codec])
        + (_number(b"\x56\xaa", round(Fraction(samples, context.sample_rate) * 10**9)) if samples else b"")
        + (_element(b"\x63\xa2", private) if private else b"")
        + _element(b"\xe1", sound)
    )
    segment = (
        _element(b"\x15\x49\xa9\x66", _number(b"\x2a\xd7\xb1", 1_000_000))
        + _element(b"\x16\x54\xae\x6b", _element(b"\xae", track))
        + _element(b"\x1f\x43\xb6\x75", _number(b"\xe7", 0))
    )
    content = _element(b"\x1a\x45\xdf\xa3", _element(b"\x42\x82", b"matroska")) + _element(b"\x18\x53\x80\x67", segment)
    with av.open(io.BytesIO(content), "r", format="matroska") as container:
        yield container.streams.audio[0]


def _element(name: bytes, content: bytes) -> bytes:
    """Return an EBML element; its length takes eight bytes, of which the first says so."""
    return name + (1 << 56 | len(content)).to_bytes(8, "big") + content


def _number(name: bytes, value: int) -> bytes:
    return _element(name, value.to_bytes(8, "big"))
