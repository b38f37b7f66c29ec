"""redub: give a video of somebody talking a new sound track, and the mouth to go with it.

::

    import redub
    redub.redub("lecture.mp4", "spanish.wav", "speech2vid")

The public names load what they need when they are first used, so that ``import redub`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redub.config import Config
    from redub.errors import RedubError
    from redub.pipeline import Result, analyse, redub, render
    from redub.plan import Plan
    from redub.talking import speak

__all__ = ["Config", "Plan", "RedubError", "Result", "analyse", "redub", "render", "speak"]

_HOMES = {
    "Config": "config",
    "RedubError": "errors",
    "Plan": "plan",
    "Result": "pipeline",
    "analyse": "pipeline",
    "redub": "pipeline",
    "render": "pipeline",
    "speak": "talking",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
