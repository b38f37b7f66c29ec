"""writer: finished frames, a new sound and what else the source holds -> a file.

Times are kept to the tick: a frame is shown exactly when it is said to be, also at a variable rate.  The file grows
under a temporary name beside its target and takes its place when it is complete, so that nothing half-written is
ever found there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.files import check_file
from redub.media.clock import as_ticks
from redub.media.decoding import find_sound
from redub.media.encoders import fitting, write_header
from redub.media.facts import kept_chapters, kept_tags
from redub.media.frame import Frame
from redub.media.mark import SyntheticMark, add_mark
from redub.media.opening import open_input
from redub.media.picture import Picture
from redub.media.place import Part, check_target, clear_errors
from redub.media.reader import VideoReader
from redub.media.sound import SILENCE_INSTEAD, time_zero
from redub.media.soundtrack import add_sound
from redub.media.subtitles import add_text
from redub.media.tracks import Found, Result, Track, copy_track, list_streams, names

AHEAD = Fraction(1, 2)
"""Sound is written this many seconds ahead of the picture, as muxers like it."""


class VideoWriter:
    """Writes one file; a context manager.  Without `finish` nothing remains.

    Args:
        target: ``.mp4``, ``.m4v``, ``.mov``, ``.mkv`` or ``.webm``.
        source: Gives time base, colour, rotation, tags, chapters and the other tracks.
        sound: Replaces the source's default audio track; None keeps it.
        encode: How.
        mark: Written into the file's tags.
        duration: Where the result ends, in seconds: sound, other tracks, chapters and the last picture are cut off
            there.  None lets each of them run to its own end.
        force: Replace a target that exists.

    Raises:
        MediaError: The target cannot be written, exists without ``force``, or is one of the inputs; an encoder or the
            container cannot do what is asked for.
    """

    def __init__(  # noqa: PLR0913  keyword-only, and each of them is the caller's to say
        self,
        target: Path,
        source: VideoReader,
        *,
        sound: Path | None,
        encode: EncodeConfig,
        mark: SyntheticMark | None,
        duration: Fraction | None = None,
        force: bool = False,
    ) -> None:
        self.target, self.source = Path(target), source
        self.notices: list[str] = []
        """What could not be kept as it was, one sentence each."""
        self._container = check_target(self.target, [source.path, *([sound] if sound else [])], force=force)
        if sound is not None:
            check_file(sound, "sound")
        self._tracks: list[Track] = []
        self._new_sound: tuple[Path, Track] | None = None
        self._stop = duration
        self._held: tuple[Frame, int] | None = None
        self._is_finished = False
        self._output: Any = None
        self._part = Part(self.target)
        try:
            with clear_errors(self.target):
                options = {"movflags": "+faststart"} if self._container in ("mp4", "mov") else {}
                self._output = av.open(f"file:{self._part.path}", "w", format=self._container, options=options)
                self._result = Result(output=self._output, container=self._container, config=encode, stop=duration, notices=self.notices)
                encode = fitting(encode, self._container, self.notices)
                self._picture = Picture(self._output, source, encode, self.notices)
                self._add_tracks(sound)
                self._add_facts(mark)
                write_header(self._output, encode.codec)
        except BaseException:
            self._discard()
            raise

    def write(self, frame: Frame, time: Fraction) -> None:
        """Show a frame from a time on, in seconds; times must grow.  One that begins behind the end is dropped."""
        if self._stop is not None and time >= self._stop and self._held is not None:
            return
        pts = as_ticks(time, self.source.time_base)
        with clear_errors(self.target):
            if self._held is not None:
                held, before = self._held
                # Two times that fall on one tick of a coarse clock are kept apart.
                pts = max(pts, before + 1)
                self._output.mux(self._picture.encode(held.native, before, pts - before))
            self._held = frame, pts
            self._pump(time + AHEAD)

    def finish(self) -> None:
        """Complete the file and put it in its place.

        Raises:
            MediaError: No frame was written, or the disk is full.
        """
        if self._held is None:
            raise MediaError(f"There is no frame to write to {self.target}.", "The video may be empty, or cut to nothing.")
        frame, pts = self._held
        with clear_errors(self.target):
            ticks = as_ticks(frame.duration, self.source.time_base)
            if self._stop is not None:
                ticks = min(ticks, as_ticks(self._stop, self.source.time_base) - pts)
            ticks = max(1, ticks)
            self._output.mux(self._picture.encode(frame.native, pts, ticks))
            self._output.mux(self._picture.flush())
            self._pump(None)
            self._output.close()
        self._part.publish()
        self._held, self._is_finished = None, True
        self._tell_damage()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._is_finished:
            self._discard()

    def _discard(self) -> None:
        self._tracks, self._held = [], None
        if self._output is not None:
            # Closing writes an end to what is thrown away; on a full disk it cannot.
            with contextlib.suppress(av.FFmpegError, OSError):
                self._output.close()
        self._part.discard()

    def _pump(self, until: Fraction | None) -> None:
        for track in self._tracks:
            for packet in track.until(until):
                self._output.mux(packet)

    def _tell_damage(self) -> None:
        self.notices += self.source.damage.told(self.source.path, "the pictures around them stand longer, or show traces of it")
        if self._new_sound is not None:
            path, track = self._new_sound
            self.notices += track.damage.told(path, SILENCE_INSTEAD)

    def _add_tracks(self, sound: Path | None) -> None:
        streams = list_streams(self.source.path, self.source.start)
        sounds = [one for one in streams if one.type == "audio"]
        if sound is not None:
            self._add_new_sound(sound)
            default = next((one for one in sounds if one.is_default), sounds[0] if sounds else None)
            sounds = [replace(one, is_default=False) for one in sounds if one is not default]
        for one in sounds:
            self._keep(one, add_sound)
        for one in streams:
            if one.type == "subtitle":
                self._keep(one, add_text)
            elif one.type == "video" and one.is_cover:
                self._keep(one, copy_track)
            elif one.type == "attachment" and self._container == "matroska":
                self._output.add_attachment(one.tags.get("filename", "file"), one.tags.get("mimetype", ""), one.data)
            elif one.type in ("data", "attachment"):
                self.notices.append(f"A {one.type} track ({one.codec or 'unknown'}) of the source is left out.")
            elif one.type == "video" and one.index != self.source.stream_index:
                self.notices.append("A second picture track of the source is left out.")

    def _add_new_sound(self, sound: Path) -> None:
        with open_input(sound, "sound") as container:
            find_sound(container, sound)
            zero = time_zero(container, sound)
        new = next(one for one in list_streams(sound, zero) if one.type == "audio")
        # A dub's language is not the source's.
        track = add_sound(self._result, replace(new, is_default=True), is_new=True)
        self._tracks.append(track)
        self._new_sound = sound, track

    def _keep(self, one: Found, add: Callable[[Result, Found], Track]) -> None:
        """Add a track of the source, or tell that it is left out."""
        try:
            self._tracks.append(add(self._result, one))
        except (MediaError, ValueError) as error:
            self.notices.append(f"A {one.type} track ({one.codec or 'unknown'}) of the source is left out: {error}.")

    def _add_facts(self, mark: SyntheticMark | None) -> None:
        with open_input(self.source.path) as container:
            tags = kept_tags(container)
            picture = dict(container.streams[self.source.stream_index].metadata)
            chapters = kept_chapters(container, self.source.start, self._stop)
        self._output.metadata.update(add_mark(tags, mark) if mark is not None else tags)
        self._picture.stream.metadata.update(names(picture, self._container))
        if chapters:
            self._output.set_chapters(chapters)
