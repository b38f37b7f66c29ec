"""store: a short piece of small pictures with its sound <-> one file, for training sets.

H.264 keeps an aligned face at about half a kilobyte a frame, because its neighbours are so alike; any player shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from redub.media.clock import as_ticks
from redub.media.opening import open_input
from redub.media.place import Part, clear_errors
from redub.media.sound import Resampler
from redub.types import RGB, Doubles, Floats

TIME_BASE = Fraction(1, 90_000)
SOUND_RATE_HZ = 16_000
SOUND_BPS = 28_000
"""Opus keeps speech up to 8 kHz at this rate with no loss that a feature would show."""


def store_piece(path: Path, pictures: Iterable[RGB], times: Iterable[Fraction], speech: Floats, *, crf: float = 19.0) -> None:
    """Write pictures with their times, and the sound that begins at time zero.

    Args:
        path: Ends in ``.mkv``; takes its place when it is complete.
        pictures: (H, W, 3) each, all of one even size.
        times: When each is shown, in seconds.
        speech: (N,) mono at 16 kHz.
        crf: Quality of the pictures, lower is better.

    Raises:
        MediaError: The file cannot be written.
    """
    part = Part(path)
    try:
        with clear_errors(path), av.open(f"file:{part.path}", "w", format="matroska") as output:
            picture = output.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "slow", "g": "100", "threads": "1"})
            picture.pix_fmt, picture.time_base, picture.codec_context.time_base = "yuv420p", TIME_BASE, TIME_BASE
            sound = output.add_stream("libopus", rate=SOUND_RATE_HZ, layout="mono")
            sound.bit_rate = SOUND_BPS
            for i, (rgb, time) in enumerate(zip(pictures, times, strict=True)):
                if i == 0:
                    picture.height, picture.width = rgb.shape[:2]
                frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
                frame.pts, frame.time_base = as_ticks(time, TIME_BASE), TIME_BASE
                output.mux(picture.encode(frame))
            output.mux(picture.encode(None))
            _add_sound(output, sound, speech)
        part.publish()
    finally:
        part.discard()


def _add_sound(output: av.container.OutputContainer, stream: av.AudioStream, speech: Floats) -> None:
    block = 960  # 60 ms, a length that Opus takes whole
    padded = np.concatenate([speech, np.zeros(-len(speech) % block, np.float32)])
    for start in range(0, len(padded), block):
        frame = av.AudioFrame.from_ndarray(padded[None, start : start + block].astype(np.float32), "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE_HZ, start, Fraction(1, SOUND_RATE_HZ)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def load_piece(path: Path) -> tuple[RGB, Doubles, Floats]:
    """Read what `store_piece` wrote.

    Returns:
        Pictures (T, H, W, 3), their times in seconds (T,), and the speech (N,) at 16 kHz.

    Raises:
        MediaError: It cannot be read.
    """
    with open_input(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        frames = list(container.decode(stream))
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        times_s = np.array([float(frame.pts * stream.time_base) for frame in frames])
    return pictures, times_s, _load_sound(path)


def _load_sound(path: Path) -> Floats:
    """Return the sound from the file's own zero on; `open_speech` would begin at the first picture, which comes later."""
    resampler = Resampler("flt", "mono", SOUND_RATE_HZ)
    blocks: list[Floats] = []
    with open_input(path) as container:
        for frame in container.decode(audio=0):
            blocks += [made.to_ndarray()[0] for made in resampler.push(frame)]
    blocks += [made.to_ndarray()[0] for made in resampler.push(None)]
    return np.concatenate(blocks)
