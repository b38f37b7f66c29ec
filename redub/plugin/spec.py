"""spec: the one hook that a generator plugin implements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from redub.plugin.contract import GeneratorInfo

PROJECT = "redub"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def redub_generators() -> Iterable[GeneratorInfo]:
    """Declare the generators that this distribution provides.

    Called once, early, for every command: return data and import nothing heavy.  A complete plugin::

        # mouthbar.py, with the entry point  [project.entry-points.redub]  mouthbar = "mouthbar"
        from redub.plugin import AudioWindow, Blend, GeneratorInfo, Mode, Region, hookimpl

        @hookimpl
        def redub_generators():
            yield GeneratorInfo(
                name="mouthbar", summary="A bar as high as the sound is loud.", api=(1, 0), licence="MIT",
                region=Region.FACE, modes={Blend.FEATHER: Mode(input_px=128, output_px=128)},
                audio=AudioWindow(rate_hz=16000, before_s=0.04, after_s=0.04), factory="mouthbar:load",
            )

    .. versionadded:: API 1.0
    """
    return ()
