"""rendered: pictures that were drawn, and their sound -> a video that begins with both at once, and says what it is."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from redub.media.mark import SyntheticMark, add_mark
from redub.media.place import Part, clear_errors
from redub.types import RGB

_BT709, _LIMITED = 1, 1
_CODING = {"preset": "veryfast", "threads": "1", "x264-params": "mbtree=0:colorprim=bt709:transfer=bt709:colormatrix=bt709"}
"""One thread, and without x264's tree of macroblocks: the same pictures always become the same bytes."""
_EXACT = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND)


def write_rendered(  # noqa: PLR0913  each of them is the caller's to say
    target: Path,
    pictures: Iterable[RGB],
    rate: Fraction,
    sound: NDArray[np.int16],
    rate_hz: int,
    *,
    mark: SyntheticMark,
    note: str,
    crf: float,
) -> None:
    """Write H.264 with AAC.

    Args:
        target: ``.mp4``; takes its place when it is complete.
        pictures: (H, W, 3) each, of one even size; at least one.
        rate: Pictures a second.
        sound: (N,) mono; its first sample is heard as the first picture appears.
        rate_hz: Of the sound; one that AAC knows.
        mark: Says what made it.
        note: A sentence for the file's comment, behind the mark's.
        crf: Quality of the pictures, lower is better.

    Raises:
        MediaError: The file cannot be written.
    """
    part = Part(target)
    try:
        with clear_errors(target), av.open(f"file:{part.path}", "w", format="mp4", options={"movflags": "+faststart"}) as output:
            output.metadata.update(add_mark({"comment": note}, mark))
            picture = output.add_stream("libx264", rate=rate, options={**_CODING, "crf": f"{crf:.1f}"})
            voice = output.add_stream("aac", rate=rate_hz, layout="mono")
            voice.bit_rate = 96_000
            rest = iter(pictures)
            first = next(rest)
            picture.height, picture.width, picture.pix_fmt = *first.shape[:2], "yuv420p"
            _add_sound(output, voice, sound, rate_hz)
            _add_pictures(output, picture, chain([first], rest), rate)
        part.publish()
    finally:
        part.discard()


def _add_pictures(output: Any, stream: Any, pictures: Iterable[RGB], rate: Fraction) -> None:
    convert = VideoReformatter().reformat
    for number, rgb in enumerate(pictures):
        frame = convert(
            av.VideoFrame.from_ndarray(rgb, "rgb24"), format="yuv420p", interpolation=_EXACT, threads=1,
            dst_colorspace=_BT709, dst_color_range=_LIMITED,
        )  # fmt: skip
        frame.pts, frame.time_base = number, 1 / rate
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _add_sound(output: Any, stream: Any, sound: NDArray[np.int16], rate_hz: int) -> None:
    block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), "s16", "mono")
    # With a time, the encoder's 1024 samples of lead get negative ones, and the file says that they are not to be heard.
    block.sample_rate, block.pts, block.time_base = rate_hz, 0, Fraction(1, rate_hz)
    output.mux(stream.encode(block))
    output.mux(stream.encode(None))
