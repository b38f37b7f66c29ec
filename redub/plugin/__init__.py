"""plugin: the front door for authors of generators.

`spec` says which hook to implement, `contract` what to return; `manager` is the host's own side.
"""

from redub.plugin.contract import (
    API,
    AudioWindow,
    Clip,
    ClipLimits,
    Generator,
    GeneratorInfo,
    LoadContext,
    Mode,
    Painted,
    Region,
    check_clip,
)
from redub.plugin.device import choose_device
from redub.plugin.learning import Adapted, AdaptRequest, Piece, TrainRequest
from redub.plugin.spec import hookimpl
from redub.types import Blend
from redub.weights import WeightFile

__all__ = [
    "API",
    "AdaptRequest",
    "Adapted",
    "AudioWindow",
    "Blend",
    "Clip",
    "ClipLimits",
    "Generator",
    "GeneratorInfo",
    "LoadContext",
    "Mode",
    "Painted",
    "Piece",
    "Region",
    "TrainRequest",
    "WeightFile",
    "check_clip",
    "choose_device",
    "hookimpl",
]
