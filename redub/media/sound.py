"""sound: any file's first audio track -> samples from time zero.

`sound_frames` is the one decoder of sound: what a generator hears and what the writer encodes begin at the same
instant and have the same length.  Time zero is the first presented frame of a file with pictures, else the file's
own start, so that encoder delay and container offsets never shift speech against lips.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from redub.errors import MediaError
from redub.media.clock import MICROSECOND, as_fraction
from redub.media.decoding import Damage, decode, find_sound, is_still
from redub.media.opening import open_input
from redub.media.reader import open_video
from redub.types import Floats

TOLERANCE = Fraction(1, 50)
"""A time stamp may disagree with the samples counted so far by this many seconds before a gap is filled."""

SILENCE_INSTEAD = "there is silence instead"
"""What stands in the place of sound that is damaged."""


class Speech:
    """Decoded mono sound, kept in an unlinked temporary file so that its length costs no memory.

    Use `open_speech` to make one, and as a context manager.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self.path, self.rate_hz = path, rate_hz
        self.samples = 0
        """How many there are at ``rate_hz``."""
        self.duration = Fraction(0)
        """Of the sound as it is in the file, exact at its own rate."""
        self._damage = Damage()
        self._file = tempfile.TemporaryFile(prefix="redub.")  # noqa: SIM115  closed by close()
        try:
            self._fill()
        except OSError as error:
            self.close()
            raise MediaError(f"The decoded sound of {path} cannot be kept: {error.strerror}.", "Set TMPDIR to a larger disk.") from error
        except BaseException:
            self.close()
            raise

    def _fill(self) -> None:
        def keep(frames: list[av.AudioFrame]) -> None:
            for frame in frames:
                self._file.write(frame.to_ndarray().astype("<f4", copy=False).tobytes())
                self.samples += frame.samples

        resampler = Resampler("flt", "mono", self.rate_hz)
        for frame in sound_frames(self.path, damage=self._damage):
            self.duration += Fraction(frame.samples, frame.sample_rate)
            keep(resampler.push(frame))
        keep(resampler.push(None))
        self._file.flush()

    @property
    def notices(self) -> list[str]:
        """What the user should know of it."""
        return self._damage.told(self.path, SILENCE_INSTEAD)

    def window(self, start: int, stop: int) -> Floats:
        """Return (stop - start,) samples; zeros before the sound and behind it."""
        result = np.zeros(max(0, stop - start), np.float32)
        first, last = max(start, 0), min(stop, self.samples)
        if first < last:
            self._file.seek(4 * first)
            result[first - start : last - start] = np.frombuffer(self._file.read(4 * (last - first)), "<f4")
        return result

    def __enter__(self) -> Speech:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Drop the decoded sound."""
        # On a full disk, what could not be written before cannot be now; it is thrown away anyway.
        with contextlib.suppress(OSError):
            self._file.close()


_MEAN = {"rematrix_maxval": "1.0"}
"""Channels that become one are averaged; FFmpeg would make float sound louder than any of them."""


class Resampler:
    """Converts frames to one format, layout and rate, also where a file changes its own on the way."""

    def __init__(self, form: str, layout: str, rate_hz: int) -> None:
        self._wanted = (form, layout, rate_hz)
        self._resampler: av.AudioResampler | None = None
        self._given: tuple[str, str, int] | None = None

    def push(self, frame: av.AudioFrame | None) -> list[av.AudioFrame]:
        """Return what is ready; None asks for the rest."""
        given = None if frame is None else (frame.format.name, frame.layout.name, frame.sample_rate)
        ready: list[av.AudioFrame] = []
        if self._resampler is not None and given != self._given:
            ready += self._resampler.resample(None)
            self._resampler = None
        if frame is None:
            return ready
        if self._resampler is None:
            form, layout, rate = self._wanted
            self._resampler, self._given = av.AudioResampler(format=form, layout=layout, rate=rate, options=_MEAN), given
        return ready + self._resampler.resample(frame)


def open_speech(path: Path, rate_hz: int) -> Speech:
    """Decode a file's first audio track to mono at one rate.

    Args:
        path: Any file with sound, also a video.
        rate_hz: What a generator wants.

    Raises:
        MediaError: The file cannot be read, holds no sound, or its sound is empty.
    """
    return Speech(Path(path), rate_hz)


def sound_duration(path: Path) -> Fraction:
    """Return the exact length of a file's sound in seconds, from time zero to its last sample."""
    return sum((Fraction(frame.samples, frame.sample_rate) for frame in sound_frames(path)), Fraction(0))


def check_sound(path: Path) -> None:
    """Find out early, by its first frame, whether a file holds sound that can be decoded.

    Raises:
        MediaError: The file cannot be read, or holds no sound, or nothing in it.
    """
    with closing(sound_frames(path)) as frames:
        next(frames)


def sound_frames(
    path: Path, number: int = 0, damage: Damage | None = None, zero: Fraction | None = None
) -> Generator[av.AudioFrame, None, None]:
    """Decode an audio track in its own rate and layout, without a gap from time zero.

    A late start and missing stretches are filled with silence; what lies before time zero is cut off.

    Args:
        path: Any file with sound.
        number: Which of its audio tracks.
        damage: Is told of what could not be decoded.
        zero: The file's own time that is time zero; None takes `time_zero`.

    Raises:
        MediaError: The file cannot be read, or holds no such track, or nothing in it.
    """
    with open_input(path, "sound") as container:
        stream = find_sound(container, path, number)
        zero = time_zero(container, path) if zero is None else zero
        now = Fraction(0)
        damage = Damage() if damage is None else damage
        known = 0
        kinds = set(container.format.name.split(","))
        frames = decode(container, stream, path, damage)
        # Elsewhere the length in the header is a guess from the bit rate.
        for frame in _trimmed(frames, stream) if "mp4" in kinds else frames:
            rate = frame.sample_rate
            late = Fraction(0)
            if frame.pts is not None:
                late = frame.pts * as_fraction(frame.time_base, Fraction(1, rate)) - zero - now
            if late > TOLERANCE and kinds & _CONTINUOUS and len(damage) == known:
                damage.at(frame.pts)
            # What is known to be missing may be shorter than what a time stamp may be wrong by.
            is_exact, known = not now or len(damage) > known, len(damage)
            for part in _placed(frame, late, Fraction(0) if is_exact else TOLERANCE):
                now += Fraction(part.samples, rate)
                part.pts = None
                yield part
        if not now:
            raise MediaError(f"The sound in {path} has no samples.", "Its recording or export may have failed; make it anew.")


_CONTINUOUS = {"flac", "mp3", "aac", "ogg"}
"""Files without a gap: where one is, their reader has passed over damage in silence."""


def _placed(frame: av.AudioFrame, late: Fraction, tolerance: Fraction) -> list[av.AudioFrame]:
    """Return a frame with silence before it if it comes late, or without its start if it comes early."""
    samples = round(abs(late) * frame.sample_rate)
    if late > tolerance:
        return [*_silence(frame, samples), frame]
    return _without_start(frame, samples) if -late > tolerance else [frame]


def time_zero(container: InputContainer, path: Path) -> Fraction:
    """Return the file's own time at which its first picture is shown, or its sound begins."""
    if any(not is_still(stream) for stream in container.streams.video):
        try:
            with open_video(path) as reader:
                return reader.start
        except MediaError:
            return Fraction(0)
    # These count from an absolute zero, and a late start there is meant; elsewhere it is encoder delay or chance.
    kinds = set(container.format.name.split(","))
    if {"mp4", "matroska"} & kinds or ("flac" in kinds and _is_torn_flac(path)):
        return Fraction(0)
    return (container.start_time or 0) * MICROSECOND


def _is_torn_flac(path: Path) -> bool:
    """Say whether a FLAC file's first frames are damaged: something else stands before the first one that is found.

    Frames are numbered from the file's begin, unless it was cut out of a longer one without encoding it anew.
    """
    with open_input(path, "sound") as container:
        first = next((packet for packet in container.demux(audio=0) if packet.size > 1), None)
        return first is not None and int.from_bytes(bytes(first)[:2], "big") >> 1 != _FLAC_SYNC


_FLAC_SYNC = 0xFFF8 >> 1
"""What each frame begins with; the last of 16 bits says how its length is stored."""


def _trimmed(frames: Iterator[av.AudioFrame], stream: AudioStream) -> Iterator[av.AudioFrame]:
    """Cut the last frame where the header says that the track ends: a codec's frames are longer than what is meant."""
    held: av.AudioFrame | None = None
    for frame in frames:
        if held is not None:
            yield held
        held = frame
    if held is None:
        return
    base = as_fraction(stream.time_base, Fraction(1, held.sample_rate))
    if stream.duration and held.pts is not None:
        end = ((stream.start_time or 0) + stream.duration) * base
        samples = round((end - held.pts * as_fraction(held.time_base, base)) * held.sample_rate)
        if 0 < samples < held.samples:
            held = first_samples(held, samples)
    yield held


def _silence(like: av.AudioFrame, samples: int) -> Iterator[av.AudioFrame]:
    """Yield silence in the format of a frame, a second at a time."""
    channels = like.layout.nb_channels
    while samples > 0:
        count = min(samples, like.sample_rate)
        shape = (channels, count) if like.format.is_planar else (1, count * channels)
        old = like.to_ndarray()
        # Unsigned samples are silent in the middle.
        array = np.full(shape, 128 if old.dtype == np.uint8 else 0, old.dtype)
        yield _frame(array, like)
        samples -= count


def _without_start(frame: av.AudioFrame, samples: int) -> list[av.AudioFrame]:
    if samples >= frame.samples:
        return []
    skip = samples if frame.format.is_planar else samples * frame.layout.nb_channels
    return [_frame(np.ascontiguousarray(frame.to_ndarray()[:, skip:]), frame)]


def _frame(array: Any, like: av.AudioFrame) -> av.AudioFrame:
    fresh = av.AudioFrame.from_ndarray(array, like.format.name, like.layout.name)
    fresh.sample_rate = like.sample_rate
    fresh.pts = like.pts
    if like.time_base is not None:
        fresh.time_base = like.time_base
    return fresh


def first_samples(frame: av.AudioFrame, samples: int) -> av.AudioFrame:
    """Return the start of a frame."""
    keep = samples if frame.format.is_planar else samples * frame.layout.nb_channels
    return _frame(np.ascontiguousarray(frame.to_ndarray()[:, :keep]), frame)
