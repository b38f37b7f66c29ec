"""plugin: what LumiereNet reads, paints and hears.  Imports neither torch nor the networks."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from redub.plugin import AudioWindow, Blend, ClipLimits, GeneratorInfo, Mode, Region, WeightFile, hookimpl

SLOWEST = Fraction(15)
"""Frames a second of the slowest footage that it learns from; steps of sound are a frame apart."""
WINDOW_S = 0.044
LARGEST_RATE_LAG_S = float(30 / SLOWEST)
"""How far the farthest step may lie from the frame: that many of the slowest footage's."""
WEIGHTS = (
    WeightFile(
        name="grid-s1.safetensors",
        sha256="5c7b89e4b132cb9b3715a56b8a034d08bbad6ea6b2585b1b41ab3ac31d29bcc4",
        size_bytes=9748324,
        licence="CC-BY-4.0",
        source="redub's repository; trained on speaker s1 of the GRID audiovisual sentence corpus (Cooke, Barker, Cunningham, Shao 2006)",
        package="redub_lumierenet",
    ),
)
"""Instructors that come with the plugin, asked for by name."""

INFO = GeneratorInfo(
    name="lumierenet",
    summary="Paints the whole picture of one person, whom it was trained on, from sound alone (Kim, Ganapathi 2019).",
    api=(1, 2),
    licence="Apache-2.0",
    region=Region.FRAME,
    modes={Blend.FEATHER: Mode(input_px=256, output_px=256, weights=WEIGHTS)},
    # It paints single frames, each from the sound around its own middle, so any frame rate is right.
    frame_rate_hz=None,
    # Pre-emphasis needs a sample more before a window, and rounding to samples one at both ends.
    audio=AudioWindow(rate_hz=16000, before_s=LARGEST_RATE_LAG_S + WINDOW_S / 2 + 2e-4, after_s=LARGEST_RATE_LAG_S + WINDOW_S / 2 + 2e-4),
    clip=ClipLimits(max_frames=32),
    names_weights=True,
    factory="redub_lumierenet.generator:load",
    trainer="redub_lumierenet.train:train",
)


@hookimpl
def redub_generators() -> Iterable[GeneratorInfo]:
    """Declare LumiereNet."""
    yield INFO
