"""plugin: what Speech2Vid reads, paints and hears.  Imports neither torch nor the network."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from redub.plugin import AudioWindow, Blend, ClipLimits, GeneratorInfo, Mode, Region, hookimpl

UNAVAILABLE = "Its network is not built yet and no weights are trained."

INFO = GeneratorInfo(
    name="speech2vid",
    summary="Paints any speaker's mouth from five stills and 0.35 s of sound (Jamaludin, Chung, Zisserman 2019).",
    api=(1, 0),
    licence="Apache-2.0",
    region=Region.FACE,
    # The network paints one px less at the top and left and two less at the bottom and right than it reads.
    modes={Blend.POISSON: Mode(input_px=112, output_px=109, output_offset_px=1)},
    frame_rate_hz=Fraction(25),
    audio=AudioWindow(rate_hz=16000, before_s=0.175, after_s=0.175),
    clip=ClipLimits(max_frames=64),
    references=5,
    factory="redub_speech2vid.generator:load",
    unavailable=UNAVAILABLE,
)


@hookimpl
def redub_generators() -> Iterable[GeneratorInfo]:
    """Declare Speech2Vid."""
    yield INFO
