"""plugin: what Speech2Vid reads, paints and hears.  Imports neither torch nor the networks."""

from __future__ import annotations

from collections.abc import Iterable

from redub.plugin import AudioWindow, Blend, ClipLimits, GeneratorInfo, Mode, Region, WeightFile, hookimpl
from redub.speech.features import RATE_HZ, SPAN

WEIGHTS = (
    WeightFile(
        name="speech2vid.safetensors",
        sha256="50e8599d6f68a61e27c8705ecd1ab314ac11903b04efbc44b1faa350e1f06f23",
        size_bytes=14268394,
        licence="CC-BY-4.0",
        source="redub's repository; trained on the GRID audiovisual sentence corpus (Cooke, Barker, Cunningham, Shao 2006)",
        package="redub_speech2vid",
    ),
)

CONTEXT_WEIGHTS = (
    WeightFile(
        name="context.safetensors",
        sha256="5ce7a904d4c8501108b9a7ab5d8cbbcfc6a88bf10f9145680855542d8b76a260",
        size_bytes=18505604,
        licence="CC-BY-4.0",
        source="redub's repository; trained on the GRID corpus (Cooke, Barker, Cunningham, Shao 2006) and on drawn people",
        package="redub_speech2vid",
    ),
)

INFO = GeneratorInfo(
    name="speech2vid",
    summary="Paints any speaker's mouth from five stills and 0.35 s of sound (Jamaludin, Chung, Zisserman 2019).",
    api=(1, 1),
    licence="Apache-2.0",
    region=Region.FACE,
    # The network paints one px less at the top and left and two less at the bottom and right than it reads.
    modes={
        Blend.POISSON: Mode(input_px=112, output_px=109, output_offset_px=1, weights=WEIGHTS),
        # It paints in context, and puts back what it painted as it is (section 6.2).
        Blend.NETWORK: Mode(input_px=224, output_px=224, weights=CONTEXT_WEIGHTS),
    },
    # It paints single frames, each from the sound around its own middle, so any frame rate is right.
    frame_rate_hz=None,
    # 35 columns of 25 ms, one each 10 ms; pre-emphasis needs one more sample before the first.
    audio=AudioWindow(rate_hz=RATE_HZ, before_s=(SPAN / 2 + 1) / RATE_HZ, after_s=SPAN / 2 / RATE_HZ),
    # While one call is blended and encoded the next one is painted, so calls are short.
    clip=ClipLimits(max_frames=16),
    references=5,
    factory="redub_speech2vid.generator:load",
    trainer="redub_speech2vid.train:train",
    adapter="redub_speech2vid.adapt:adapt",
)


@hookimpl
def redub_generators() -> Iterable[GeneratorInfo]:
    """Declare Speech2Vid."""
    yield INFO
