"""decoding: a container -> frames of one of its streams, past what is broken.

A recording that was cut off or damaged is still worth most of its pictures: a packet that fails is skipped and
counted, and only when nothing comes any more is the file given up.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from redub.errors import MediaError
from redub.media.opening import damaged_hint, reason

MAX_FAILURES = 8
"""So many packets in a row may fail to decode before the file counts as broken."""

SKIPPING = frozenset({"h264", "hevc", "mpeg2video", "mpeg4"})
"""Decoders that can leave out single pictures; dav1d has to know at its start and then leaves out all of them."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Which parts of a stream could not be read or decoded; a part met again, in another pass, counts once."""

    places: set[int | None] = field(default_factory=set)

    def at(self, place: int | None) -> None:
        """Count the part at a time stamp; None stands for the end of the file."""
        self.places.add(place)

    def __len__(self) -> int:
        return len(self.places)

    def told(self, path: Path, instead: str) -> list[str]:
        """Return a sentence for the user, or none where nothing is damaged.

        Args:
            path: The file.
            instead: What stands in the place of what is missing.
        """
        if not self.places:
            return []
        parts = "One damaged part" if len(self) == 1 else f"{len(self)} damaged parts"
        return [f"{parts} of {path.name} could not be decoded; {instead}."]


def decode(
    container: InputContainer, stream: Any, path: Path, damage: Damage | None = None, wanted_from: int | None = None
) -> Generator[Any, None, None]:
    """Yield the frames of a stream as the decoder gives them.

    Args:
        container: At the place to begin from.
        stream: One of its streams.
        path: For messages.
        damage: Is told of each packet that cannot be read or decoded.
        wanted_from: Of pictures before this time stamp only those are decoded that others refer to.

    Raises:
        MediaError: `MAX_FAILURES` packets in a row cannot be decoded.
    """
    damage = Damage() if damage is None else damage
    failures = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            # A file that was cut off ends here; the decoder still holds its last frames.
            damage.at(None)
            packet = None
        if packet is not None and packet.size == 0:
            # To the decoder an empty packet is the end; some files hold them for a picture that stays.
            continue
        _skip(stream, packet, wanted_from)
        try:
            frames = stream.decode(packet)
            failures = 0 if frames else failures
        except av.EOFError:
            return
        except av.FFmpegError as error:
            damage.at(None if packet is None else packet.dts if packet.dts is not None else packet.pts)
            failures, frames = failures + 1, []
            if failures >= MAX_FAILURES:
                message = f"The {stream.type} in {path} failed to decode {failures} times in a row: {reason(error)}."
                raise MediaError(message, damaged_hint(path)) from error
        for frame in frames:
            if frame.is_corrupt:
                # Some decoders draw what they can and say so.
                damage.at(frame.pts)
            yield frame
        if packet is None:
            return


def _skip(stream: Any, packet: Any, wanted_from: int | None) -> None:
    """Let the decoder leave out a picture that nobody wants, if no other refers to it."""
    if wanted_from is not None and stream.codec_context.name in SKIPPING:
        is_early = packet is not None and packet.pts is not None and packet.pts < wanted_from
        stream.codec_context.skip_frame = "NONREF" if is_early else "DEFAULT"


def find_video(container: InputContainer, path: Path) -> VideoStream:
    """Return the stream to show; cover art and thumbnails do not count.

    Raises:
        MediaError: There is none, or its codec is unknown.
    """
    pictures = [stream for stream in container.streams.video if not is_still(stream)]
    if not pictures:
        found = "only sound" if container.streams.audio else "no picture"
        raise MediaError(f"{path} holds {found}.", "Give a video; the new sound is given with --audio.")
    best = container.streams.best("video")
    stream = next((one for one in pictures if best is not None and one.index == best.index), pictures[0])
    if stream.codec_context is None:
        raise MediaError(f"The picture in {path} is in a codec that this FFmpeg cannot decode.", "Convert it to H.264 first.")
    return stream


def find_sound(container: InputContainer, path: Path, number: int = 0) -> AudioStream:
    """Return an audio track.

    Raises:
        MediaError: There is none, or its codec is unknown.
    """
    if number >= len(container.streams.audio):
        raise MediaError(f"{path} holds no sound.", "Give a file with the new speech, such as a .wav or .mp3.")
    stream = container.streams.audio[number]
    if stream.codec_context is None:
        raise MediaError(f"The sound in {path} is in a codec that this FFmpeg cannot decode.", "Convert it to WAV first.")
    return stream


def is_still(stream: VideoStream) -> bool:
    """Say whether a picture stream is cover art or a thumbnail."""
    kinds = type(stream.disposition)
    return bool(stream.disposition & (kinds.attached_pic | kinds.timed_thumbnails))
