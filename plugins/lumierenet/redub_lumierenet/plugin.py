"""plugin: what LumiereNet reads, paints and hears.  Imports neither torch nor the networks."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from redub.plugin import AudioWindow, Blend, ClipLimits, GeneratorInfo, Mode, Region, hookimpl

UNAVAILABLE = "Its networks are not built yet and no weights are trained."

RATE = Fraction(30)
LOOK_BACK_FRAMES = 15
"""W in the paper: the recurrent network hears 15 steps that end with the frame's own."""
STEP_WINDOW_S = 0.0444
"""Length of one step's spectrum; a step is one frame, so its hop is three quarters of that."""

INFO = GeneratorInfo(
    name="lumierenet",
    summary="Paints one lecturer, whom it was trained on, from sound alone (Kim, Ganapathi 2019).",
    api=(1, 0),
    licence="Apache-2.0",
    region=Region.FRAME,
    modes={Blend.FEATHER: Mode(input_px=256, output_px=256)},
    frame_rate_hz=RATE,
    # The oldest step's spectrum is centred 14 frames before the frame's middle, the newest one on it.
    audio=AudioWindow(rate_hz=16000, before_s=float((LOOK_BACK_FRAMES - 1) / RATE) + STEP_WINDOW_S / 2, after_s=STEP_WINDOW_S / 2),
    clip=ClipLimits(max_frames=32),
    factory="redub_lumierenet.generator:load",
    unavailable=UNAVAILABLE,
)


@hookimpl
def redub_generators() -> Iterable[GeneratorInfo]:
    """Declare LumiereNet."""
    yield INFO
