"""delay: a video, seconds -> the same video with its sound so much later or, below zero, earlier.

Nothing is encoded anew where that can be avoided: pictures keep their packets and their times, and packets of sound get
other times.  What lies before zero then is hidden, in MP4 by an edit list and in Matroska by a codec delay; the one keeps
times to the sample, the other to the millisecond.  Lossless sound cannot be hidden in Matroska, so it is cut and encoded
again, as losslessly.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite, lcm
from pathlib import Path
from typing import Any

import av
from av.stream import Discard

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.media.clock import as_fraction, as_ticks
from redub.media.decoding import Damage
from redub.media.facts import kept_chapters, kept_tags
from redub.media.opening import open_input
from redub.media.place import Part, check_target, clear_errors
from redub.media.priming import CODEC_ID, first_heard, lead_in, primed
from redub.media.reader import DEFAULT_RATE, VideoReader, open_video
from redub.media.soundtrack import add_sound, loses_nothing
from redub.media.subtitles import add_text
from redub.media.tracks import Found, Result, Track, copy_track, intact, is_matroska, is_taken, label, list_streams
from redub.media.writer import AHEAD

MOST_S = 3600.0
"""A sound that is off by more than an hour is another one."""
MOST_HZ = 2**31 - 1
MILLISECOND = Fraction(1, 1000)
WAITING = 64
"""Pictures that may come before the first one that says when it is to be decoded; no codec reorders more."""


def delay_sound(source: Path, output: Path, offset_s: float | Fraction, *, force: bool = False) -> tuple[str, ...]:
    """Write a video again with all of its sound later, and all else as it is.

    What lies before time zero then is not heard, and what comes late begins with silence.

    Args:
        source: A video with sound.
        output: ``.mp4``, ``.m4v``, ``.mov``, ``.mkv`` or ``.webm``; it has to be able to hold the source's picture.
        offset_s: How much later the sound is to be heard; below zero, earlier.
        force: Replace an output that exists.

    Returns:
        What could not be kept as it was, one sentence each.

    Raises:
        MediaError: The video cannot be read or has no sound, none of its sound would be left, or the output cannot be
            written, exists without ``force``, or cannot hold the picture as it is.
    """
    if not isfinite(offset_s) or abs(float(offset_s)) > MOST_S:
        raise MediaError(f"Sound cannot be moved by {offset_s} s.", f"Give at most {MOST_S:g} s, either way.")
    source, output = Path(source), Path(output)
    container = check_target(output, [source], force=force)
    reader = open_video(source)
    streams = list_streams(source, reader.start)
    if not any(one.type == "audio" for one in streams):
        raise MediaError(f"{source} holds no sound that could be moved.", "Give a video with sound.")
    part = Part(output)
    try:
        with clear_errors(output):
            notices = _write(part.path, container, reader, streams, Fraction(offset_s))
    except BaseException:
        part.discard()
        raise
    part.publish()
    return tuple(notices)


def _write(path: Path, container: str, reader: VideoReader, streams: Sequence[Found], offset: Fraction) -> list[str]:
    notices: list[str] = []
    options = {"movflags": "+faststart", "movie_timescale": str(_clock_hz(reader.path))} if container in ("mp4", "mov") else {}
    with _opened(path, container, options) as output:
        result = Result(output=output, container=container, config=EncodeConfig(), stop=None, notices=notices)
        tracks = {one.index: track for one in streams if (track := _add(result, one, offset)) is not None}
        picture = tracks.pop(reader.stream_index)
        with open_input(reader.path) as file:
            output.metadata.update(kept_tags(file))
            chapters = kept_chapters(file, reader.start, None)
        if chapters:
            output.set_chapters(chapters)
        output.start_encoding()
        for packet in picture.packets:
            now = (packet.dts or 0) * as_fraction(packet.time_base, MILLISECOND)
            for track in tracks.values():
                output.mux(list(track.until(now + AHEAD)))
            output.mux(packet)
        for track in tracks.values():
            output.mux(list(track.until(None)))
    for track in (picture, *tracks.values()):
        notices += track.damage.told(reader.path, "it is left out")
    return notices


@contextmanager
def _opened(path: Path, container: str, options: dict[str, str]) -> Iterator[Any]:
    output = av.open(f"file:{path}", "w", format=container, options=options)
    try:
        yield output
        output.close()
    except BaseException:
        # Closing writes an end to what is thrown away; on a full disk it cannot.
        with contextlib.suppress(av.FFmpegError, OSError):
            output.close()
        raise


def _clock_hz(path: Path) -> int:
    """Return ticks a second in which MP4 can say exactly when each sound begins; its own choice is 1000."""
    with open_input(path) as container:
        wanted = {*(stream.rate for stream in container.streams.audio), 1000}
    rates = [hz for hz in itertools.accumulate(sorted(wanted, reverse=True), lcm) if hz <= MOST_HZ]
    return rates[-1]


def _add(result: Result, found: Found, offset: Fraction) -> Track | None:
    """Add a stream of the source, or tell why it is left out.

    Raises:
        MediaError: It is picture or sound, and cannot be kept.
    """
    if found.type == "video" and not found.is_cover:
        return _add_picture(result, found)
    if found.type == "audio":
        return _add_sound(result, found, offset)
    try:
        if found.type == "subtitle":
            return add_text(result, found)
        if found.type == "attachment" and result.container == "matroska":
            result.output.add_attachment(found.tags.get("filename", "file"), found.tags.get("mimetype", ""), found.data)
            return None
        return _add_other(result, found)
    except (MediaError, ValueError) as error:
        result.notices.append(f"A {found.type} track ({found.codec or 'unknown'}) of the source is left out: {error}.")
        return None


def _add_picture(result: Result, found: Found) -> Track:
    with open_input(found.path) as container:
        template: Any = container.streams[found.index]
        if template.codec_context is None or not is_taken(result.container, template):
            raise MediaError(
                f"A {result.container} file cannot hold the picture of {found.path} ({found.codec or 'unknown'}) as it is.",
                "Name a file with the source's own suffix, or a .mkv file.",
            )
        target: Any = result.output.add_stream_from_template(template, opaque=True)
        if container.format.name == "avi" and template.codec_context.has_b_frames:
            raise _untold(found)
        context = target.codec_context
        if template.average_rate:
            context.framerate = template.average_rate
        if template.sample_aspect_ratio:
            context.sample_aspect_ratio = template.sample_aspect_ratio
        if _is_family(container.format.name, result.container):
            target.metadata.update({key: value for key, value in found.tags.items() if key.lower() != "duration"})
            if result.container in ("mp4", "mov"):
                context.codec_tag = template.codec_context.codec_tag
    label(target, found, result.container)
    damage = Damage()
    return Track(_pictures(target, found, damage), damage)


def _is_family(found: str, container: str) -> bool:
    """Say whether a file's kind is that of the result, so that its tags mean the same there."""
    kinds = set(found.split(","))
    return bool(kinds & {"mp4"}) if container in ("mp4", "mov") else "matroska" in kinds


def _pictures(target: Any, found: Found, damage: Damage) -> Iterator[av.Packet[Any]]:
    with open_input(found.path) as container:
        stream = container.streams[found.index]
        _read_only(container, stream)
        base = as_fraction(stream.time_base, MILLISECOND)
        shift = as_ticks(found.zero, base)
        usual = as_ticks(1 / as_fraction(stream.average_rate, DEFAULT_RATE), base)
        for packet in _in_decoding_order(intact(container.demux(stream), damage), found):
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.duration = packet.duration or usual
            packet.stream = target
            yield packet


def _in_decoding_order(packets: Iterator[Any], found: Found) -> Iterator[Any]:
    """Give pictures that do not say when they are to be decoded their times, before the first one that does.

    Raises:
        MediaError: A picture does not say when it is shown.
    """
    waiting: list[Any] = []
    for packet in packets:
        if packet.pts is None:
            raise _untold(found)
        waiting.append(packet)
        if packet.dts is None and len(waiting) < WAITING:
            continue
        yield from _timed(waiting)
        waiting = []
    yield from _timed(waiting)


def _untold(found: Found) -> MediaError:
    return MediaError(f"{found.path} does not say when each of its pictures is shown.", "Convert it to a .mkv or .mp4 file first.")


def _timed(packets: list[Any]) -> list[Any]:
    """Count back from the last of these packets, which says when it is decoded, or else from the first one shown."""
    last = packets[-1].dts if packets and packets[-1].dts is not None else min((one.pts for one in packets), default=0)
    step = max(1, min((one.duration for one in packets if one.duration), default=1))
    for i, packet in enumerate(reversed(packets)):
        packet.dts = last - i * step if packet.dts is None else packet.dts
    return packets


@dataclass(frozen=True, slots=True)
class _Start:
    """Where the copy of a track of sound begins, in the file's own time."""

    first: Fraction
    """When its first packet begins, to within a tick."""
    heard: Fraction
    """What lies before is hidden."""
    written: Fraction
    """The time that its first packet is given."""


def _add_sound(result: Result, found: Found, offset: Fraction) -> Track:
    shifted = replace(found, zero=found.zero - offset)
    if is_matroska(result.container) and loses_nothing(found.codec):
        return add_sound(result, shifted)
    start = _find_start(shifted)
    with ExitStack() as stack:
        template: Any = stack.enter_context(open_input(found.path)).streams[found.index]
        if is_matroska(result.container):
            # Where nothing tells a player to hide the beginning, it is left out.
            lead = start.heard - start.first if found.codec in CODEC_ID else Fraction(0)
            template = stack.enter_context(primed(template, found.codec, lead)) if found.codec in CODEC_ID else template
            # The muxer adds this lead to all times, but rounded.
            start = replace(start, first=start.heard - lead, written=start.heard - as_ticks(lead, MILLISECOND) * MILLISECOND)
        if template.codec_context is None or not is_taken(result.container, template):
            return add_sound(result, shifted)
        target: Any = result.output.add_stream_from_template(template)
    label(target, found, result.container)
    damage = Damage()
    return Track(_sounds(target, shifted, start, damage), damage)


def _find_start(found: Found) -> _Start:
    with open_input(found.path) as container:
        base = as_fraction(container.streams[found.index].time_base, MILLISECOND)
        whole = first_heard(container, found.index)
    begin = max(found.zero, whole)
    with open_input(found.path) as container:
        lead = lead_in(container, found.index, found.codec, begin)
    # At a track's own begin the file may say how much is hidden, more exactly than by its times.
    first = (begin if begin == whole else as_ticks(begin, base) * base) - lead
    return _Start(first=first, heard=begin, written=first)


def _sounds(target: Any, found: Found, start: _Start, damage: Damage) -> Iterator[av.Packet[Any]]:
    """Yield the packets of a track from where it begins.

    Raises:
        MediaError: There are none.
    """
    rounding: Fraction | None = None
    is_heard = False
    with open_input(found.path) as container:
        stream: Any = container.streams[found.index]
        _read_only(container, stream)
        base = as_fraction(stream.time_base, MILLISECOND)
        # A move finer than the file's own ticks is kept until the muxer rounds it.
        fine = Fraction(1, lcm(base.denominator, stream.codec_context.sample_rate or 1))
        for packet in intact(container.demux(stream), damage):
            if packet.pts is None or packet.pts * base <= start.first - base:
                continue
            begin = packet.pts * base
            if rounding is None:
                rounding = start.written - begin if abs(start.first - begin) < base else Fraction(0)
            is_heard = is_heard or begin + (packet.duration or 1) * base > start.heard
            packet.duration = as_ticks((packet.duration or 0) * base, fine)
            packet.dts = packet.pts = as_ticks(begin + rounding - found.zero, fine)
            packet.time_base, packet.stream = fine, target
            yield packet
    if not is_heard:
        raise MediaError(f"None of the sound of {found.path} would be left.", "Move it by less.")


def _add_other(result: Result, found: Found) -> Track:
    with open_input(found.path) as container:
        if not is_taken(result.container, container.streams[found.index]):
            raise ValueError(f"this kind of file does not take {found.codec or 'it'}")
    return copy_track(result, found)


def _read_only(container: Any, stream: Any) -> None:
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
