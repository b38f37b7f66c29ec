"""reader: a video file -> frames in presented order with exact times.

Decoding is sequential; a table of all frames' times (from a plan) makes it possible to start elsewhere.  A frame is
then known by its time, never by counting from a key frame, so that an index means the same frame however it was reached.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from redub.errors import MediaError
from redub.media.clock import as_fraction
from redub.media.decoding import Damage, decode, find_video
from redub.media.frame import Frame
from redub.media.opening import damaged_hint, open_input
from redub.media.upright import display_matrix, quarter
from redub.types import Ints

BLOCK_BYTES = 256 << 20
"""Decoded frames that reading backwards may hold at a time."""

DEFAULT_RATE = Fraction(25)


class VideoReader:
    """An opened video.  Every `read` has a decoder of its own, so several may be under way at a time.

    Use `open_video` to make one, and as a context manager.
    """

    def __init__(self, path: Path, pts: Ints | None = None) -> None:
        self.path = path
        self.damage = Damage()
        """What could not be decoded so far."""
        self._pts: list[int] | None = None if pts is None else [int(tick) for tick in pts]
        with open_input(path) as container:
            stream = find_video(container, path)
            self.stream_index = stream.index
            self.time_base = as_fraction(stream.time_base, Fraction(1, 90_000))
            self.nominal_rate = as_fraction(stream.average_rate or stream.guessed_rate, DEFAULT_RATE)
            self.estimated_frames = _estimate(container, stream, self.nominal_rate)
            self.sample_aspect = as_fraction(stream.sample_aspect_ratio, Fraction(1))
            first = next(_decoded(container, stream, self), None)
            if first is None:
                raise MediaError(f"The video {path} holds no picture that can be decoded.", damaged_hint(path))
            # AVI stores no presentation times, and FFmpeg's guesses at them go back and forth where there are B-frames.
            self._is_by_dts = container.format.name == "avi"
            raw = (stream.start_time or 0) if self._is_by_dts else _raw_pts(first)
            self._is_countable_only = self._is_by_dts or raw is None
            self.start = (raw or 0) * self.time_base
            """The file's own time of the first presented frame, in seconds."""
            self.display_matrix = display_matrix(first)
            self.rotation = quarter(self.display_matrix)
            self.native_size = (first.height, first.width)
            self.pixel_format = first.format.name
            self.has_alpha = any(part.is_alpha for part in first.format.components)
            tags = {key.lower(): value for key, value in stream.metadata.items()}
            self.hides_alpha = tags.get("alpha_mode") == "1" and not self.has_alpha
            """The picture is transparent, but not in what the decoder gives: so it is with VP8 and VP9."""
            self.is_interlaced = first.interlaced_frame
            self.color_range, self.color_matrix = int(first.color_range), int(first.colorspace)
            self.color_primaries, self.color_transfer = int(first.color_primaries), int(first.color_trc)

    @property
    def height(self) -> int:
        """Height of the upright frame."""
        return self.native_size[1 if self.rotation in (90, 270) else 0]

    @property
    def width(self) -> int:
        """Width of the upright frame."""
        return self.native_size[0 if self.rotation in (90, 270) else 1]

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: a reader holds no file, so that several `read` may be under way; each closes its own when it ends."""

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the frames ``start <= index < stop`` in presented order.

        Args:
            start: Above 0 it needs the table of times.
            stop: None reads to the end.

        Raises:
            MediaError: Eight packets in a row cannot be decoded, or changes its size on the way.
        """
        if start and self._pts is None:
            raise ValueError("reading from the middle needs the times of all frames")
        if stop is not None and stop <= start:
            return
        with closing(self._numbered(start)) as frames:
            for frame in frames:
                if stop is not None and frame.index >= stop:
                    return
                if frame.index >= start:
                    yield frame

    def pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames with these ascending indices."""
        wanted = list(indices)
        gap = max(1, round(self.nominal_rate * 2))
        while wanted:
            # Frames that lie close together share a run; farther ones are sought.
            count = 1
            while count < len(wanted) and wanted[count] - wanted[count - 1] <= gap:
                count += 1
            run, wanted = set(wanted[:count]), wanted[count:]
            for frame in self.read(min(run), max(run) + 1):
                if frame.index in run:
                    yield frame

    def read_backwards(self, start: int, stop: int) -> Iterator[Frame]:
        """Yield the frames ``start <= index < stop`` last first, holding a bounded number of them."""
        height, width = self.native_size
        block = max(1, BLOCK_BYTES // (height * width * 3))
        while stop > start:
            first = max(start, stop - block)
            yield from reversed(list(self.read(first, stop)))
            stop = first

    def _numbered(self, start: int) -> Generator[Frame, None, None]:
        """Yield frames with their numbers, from a key frame at or before ``start``."""
        done = -1
        if start and self._pts is not None and not self._is_countable_only:
            with closing(self._sought(start, self._pts)) as frames:
                for frame in frames:
                    done = frame.index
                    yield frame
            if not self._is_countable_only:
                return
        # Where the times in the file do not name its frames, only counting from the start does.
        with closing(self._from_begin()) as frames:
            for frame in frames:
                if frame.index > done:
                    yield frame

    def _from_begin(self) -> Generator[Frame, None, None]:
        """Yield all frames; each waits for its successor, which says how long it stands."""
        held: Frame | None = None
        with open_input(self.path) as container:
            stream = _prepared(container, self.path)
            clock = _Clock(self)
            origin = None
            for index, native in enumerate(_decoded(container, stream, self)):
                pts = clock.next(native)
                if self._pts is not None and (index >= len(self._pts) or pts != self._pts[index]):
                    message = f"{self.path} shows a frame at a time that its plan does not know."
                    raise MediaError(message, "Analyse it anew:  redub analyse VIDEO --force")
                origin = pts if origin is None else origin
                time = (pts - origin) * self.time_base
                if held is not None:
                    yield replace(held, duration=time - held.time)
                held = self._frame(index, pts, time, clock.length(native), native)
        if held is not None:
            yield held

    def _sought(self, start: int, table: list[int]) -> Generator[Frame, None, None]:
        """Yield frames from a key frame at or before ``start``, as far as their times name them; see `_is_countable_only`."""
        back = 0
        with open_input(self.path) as container:
            stream = _prepared(container, self.path)
            while True:
                target = table[max(0, start - back)]
                natives = _after_seek(container, stream, self, target, table[start])
                first = next(natives, None)
                found = None if first is None else _find(table, _raw_pts(first))
                if first is not None and found is not None and found <= start:
                    break
                natives.close()
                if back >= start:
                    self._is_countable_only = True
                    return
                back = max(back * 2, round(self.nominal_rate))
            yield self._known(found, first, table)
            for native in natives:
                raw = _raw_pts(native)
                number = found + 1 if raw is None else _find(table, raw)
                if number is None or not found < number < len(table):
                    self._is_countable_only = True
                    return
                found = number
                yield self._known(found, native, table)

    def _known(self, index: int, native: av.VideoFrame, table: list[int]) -> Frame:
        is_last = index + 1 == len(table)
        ticks = _Clock(self).length(native) if is_last else table[index + 1] - table[index]
        return self._frame(index, table[index], (table[index] - table[0]) * self.time_base, ticks, native)

    def _frame(self, index: int, pts: int, time: Fraction, ticks: int, native: av.VideoFrame) -> Frame:
        if (native.height, native.width) != self.native_size:
            height, width = self.native_size
            raise MediaError(
                f"{self.path} changes its size from {width} x {height} to {native.width} x {native.height} px at {float(time):.2f} s.",
                "Convert it to one size first.",
            )
        return Frame(
            index=index,
            pts=pts,
            time_base=self.time_base,
            time=time,
            duration=ticks * self.time_base,
            native=native,
            rotation=self.rotation,
        )


class _Clock:
    """Gives every frame a time later than the last one's, whatever the file says."""

    def __init__(self, reader: VideoReader) -> None:
        self.is_by_dts = reader._is_by_dts
        self.usual = max(1, round(1 / (reader.nominal_rate * reader.time_base)))
        self.last: int | None = None
        self.last_length = 0

    def next(self, native: av.VideoFrame) -> int:
        raw = native.dts if self.is_by_dts else _raw_pts(native)
        if self.last is None:
            pts = 0 if raw is None else raw
        elif raw is None:
            pts = self.last + self.last_length
        else:
            pts = max(raw, self.last + 1)
        self.last, self.last_length = pts, self.length(native)
        return pts

    def length(self, native: av.VideoFrame) -> int:
        return native.duration or self.usual


def open_video(path: Path, pts: Ints | None = None) -> VideoReader:
    """Open a video for reading.

    Args:
        path: An ordinary file.
        pts: (T,) times of all frames as a plan keeps them; needed to read from the middle.

    Raises:
        MediaError: The file cannot be read, or holds no picture.
    """
    return VideoReader(Path(path), pts)


def _prepared(container: InputContainer, path: Path) -> VideoStream:
    """Return the stream to decode with as many threads as there are cores."""
    stream = find_video(container, path)
    stream.thread_type = "AUTO"
    return stream


def _decoded(
    container: InputContainer, stream: VideoStream, reader: VideoReader, wanted_from: int | None = None
) -> Generator[av.VideoFrame, None, None]:
    return decode(container, stream, reader.path, reader.damage, wanted_from)


def _after_seek(
    container: InputContainer, stream: VideoStream, reader: VideoReader, target: int, wanted_from: int
) -> Generator[av.VideoFrame, None, None]:
    """Decode from the key frame before a time; frames before it lack what they refer to."""
    try:
        container.seek(target, stream=stream)
    except av.FFmpegError:
        return
    is_whole = False
    for native in _decoded(container, stream, reader, wanted_from):
        is_whole = is_whole or native.key_frame
        if is_whole:
            yield native


def _raw_pts(native: av.VideoFrame) -> int | None:
    return native.pts if native.pts is not None else native.dts


def _find(table: list[int], pts: int | None) -> int | None:
    if pts is None:
        return None
    place = bisect_left(table, pts)
    return place if place < len(table) and table[place] == pts else None


def _estimate(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    """Guess the number of frames from the header; it may be wrong, and is for progress only."""
    if stream.frames:
        return stream.frames
    if stream.duration:
        return max(1, round(stream.duration * as_fraction(stream.time_base, Fraction(1)) * rate))
    if container.duration:
        return max(1, round(Fraction(container.duration, 1_000_000) * rate))
    return None
