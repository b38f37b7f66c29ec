"""echo: crop, speech -> the same crop.

The first generator, built in through the hook that every other uses.  It changes nothing, so a run with it must give
its input back up to the codec and one resampling inside the mask: one run tests everything around a generator.
"""

from __future__ import annotations

from collections.abc import Iterable

from redub.plugin.contract import AudioWindow, Clip, ClipLimits, Generator, GeneratorInfo, LoadContext, Mode, Painted, Region, check_clip
from redub.plugin.spec import hookimpl
from redub.types import Blend

SIZE_PX = 256
"""As large as a face in most 720p video, so that resampling loses little."""

INFO = GeneratorInfo(
    name="echo",
    summary="Paints what was there: changes nothing, and tests everything else.",
    api=(1, 0),
    licence="Apache-2.0",
    region=Region.FACE,
    modes={blend: Mode(input_px=SIZE_PX, output_px=SIZE_PX) for blend in (Blend.POISSON, Blend.NETWORK, Blend.FEATHER)},
    audio=AudioWindow(rate_hz=16000, before_s=0.0, after_s=0.0),
    clip=ClipLimits(max_frames=32),
    looks_at_mouth=True,
    factory="redub.plugin.echo:load",
)


@hookimpl
def redub_generators() -> Iterable[GeneratorInfo]:
    """Declare the built-in generator."""
    yield INFO


def load(context: LoadContext) -> Generator:
    """Return an echo; there is nothing to load."""
    return Echo(INFO.modes[context.mode])


class Echo(Generator):
    """Returns copies of the frames that it is given."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode

    def generate(self, clip: Clip) -> Painted:
        check_clip(clip, INFO, self._mode)
        return Painted(frames=clip.frames.copy())
