"""store: a short piece of small pictures with its sound <-> one file, for training sets.

H.264 keeps an aligned face at about half a kilobyte a frame, because its neighbours are so alike; any player shows it.
Sound and pictures count from the same zero, which is the first sample; the pictures may begin later.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from redub.errors import MediaError, ShapeError
from redub.media.clock import as_ticks
from redub.media.opening import open_input, reason
from redub.media.place import Part, clear_errors
from redub.media.sound import Resampler
from redub.types import RGB, Doubles, Floats

TIME_BASE = Fraction(1, 1000)
"""Matroska keeps whole milliseconds."""
SOUND_RATE_HZ = 16_000
SOUND_BPS = 56_000
"""Opus then changes MFCC by 8 % of their spread, which is less than the AAC of an ordinary video has done before; at half
the rate it would be 24 %."""
_CODING = {"preset": "slow", "g": "100", "threads": "1", "x264-params": "mbtree=0"}
"""With its tree of macroblocks x264 makes other pictures of the same ones each time, on processors with AVX-512."""
_ROUNDED = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP)
"""By default FFmpeg cuts fractions off, which darkens a picture by more than a level."""


def store_piece(path: Path, pictures: Iterable[RGB], times: Iterable[Fraction], speech: Floats, *, crf: float = 19.0) -> None:
    """Write pictures with their times, and the sound that begins at time zero.

    Args:
        path: Ends in ``.mkv``; takes its place when it is complete.
        pictures: (H, W, 3) each, all of one even size; at least one.
        times: When each is shown, in seconds, rising; kept to the millisecond.
        speech: (N,) mono at 16 kHz, at least one sample.
        crf: Quality of the pictures, lower is better.

    Raises:
        ShapeError: Pictures or speech are not as said.
        MediaError: The file cannot be written.
    """
    if speech.ndim != 1 or not len(speech):
        raise ShapeError(f"Speech of shape {speech.shape} is not one channel of sound.", "A piece needs at least one sample.")
    part = Part(path)
    try:
        with clear_errors(path), av.open(f"file:{part.path}", "w", format="matroska") as output:
            picture = output.add_stream("libx264", rate=25, options={**_CODING, "crf": str(crf)})
            picture.pix_fmt, picture.time_base, picture.codec_context.time_base = "yuv420p", TIME_BASE, TIME_BASE
            sound = output.add_stream("libopus", rate=SOUND_RATE_HZ, layout="mono")
            sound.bit_rate = SOUND_BPS
            _add_pictures(output, picture, pictures, times)
            _add_sound(output, sound, speech)
        part.publish()
    finally:
        part.discard()


def _add_pictures(output: OutputContainer, stream: VideoStream, pictures: Iterable[RGB], times: Iterable[Fraction]) -> None:
    converter = VideoReformatter()
    last: int | None = None
    for rgb, time in zip(pictures, times, strict=True):
        if last is None:
            stream.height, stream.width = rgb.shape[:2]
        if rgb.shape != (stream.height, stream.width, 3) or stream.height % 2 or stream.width % 2:
            raise ShapeError(f"A picture of shape {rgb.shape} cannot be stored here.", "All pictures of a piece are of one even size.")
        ticks = as_ticks(time, TIME_BASE)
        if last is not None and ticks <= last:
            raise ShapeError(f"A picture at {float(time):.4f} s does not come after the one before.", "Times rise by whole milliseconds.")
        frame = converter.reformat(av.VideoFrame.from_ndarray(rgb, "rgb24"), format="yuv420p", interpolation=_ROUNDED, threads=1)
        frame.pts, frame.time_base, last = ticks, TIME_BASE, ticks
        output.mux(stream.encode(frame))
    if last is None:
        raise ShapeError("A piece without pictures cannot be stored.", "It needs at least one.")
    output.mux(stream.encode(None))


def _add_sound(output: OutputContainer, stream: AudioStream, speech: Floats) -> None:
    # Opus says how much of its last packet is meant, so that the length survives.
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(speech[None], np.float32), "flt", "mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE_HZ, 0, Fraction(1, SOUND_RATE_HZ)
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def load_piece(path: Path) -> tuple[RGB, Doubles, Floats]:
    """Read what `store_piece` wrote.

    Returns:
        Pictures (T, H, W, 3), their times in seconds (T,), and the speech (N,) at 16 kHz: as long as it was,
        but with silence behind it where it was shorter than 216 samples, the least that Opus gives.

    Raises:
        MediaError: It cannot be read.
    """
    try:
        with open_input(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            frames = list(container.decode(stream))
        convert = VideoReformatter().reformat
        pictures: RGB = np.stack([convert(one, format="rgb24", interpolation=_ROUNDED, threads=1).to_ndarray() for one in frames])
        times_s: Doubles = np.array([frame.time for frame in frames], np.float64)
        return pictures, times_s, _load_sound(path)
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise MediaError(f"The piece {path} cannot be read: {reason(error)}.", "Its copy may have been cut off; make it anew.") from error


def _load_sound(path: Path) -> Floats:
    """Return the sound from the file's own zero on; `open_speech` would begin at the first picture, which comes later."""
    resampler = Resampler("flt", "mono", SOUND_RATE_HZ)
    blocks: list[Floats] = []
    with open_input(path) as container:
        for frame in container.decode(audio=0):
            blocks += [made.to_ndarray()[0] for made in resampler.push(frame)]
    blocks += [made.to_ndarray()[0] for made in resampler.push(None)]
    return np.concatenate(blocks)
