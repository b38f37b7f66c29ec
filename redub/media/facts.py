"""facts: a file's tags and chapters -> those of the result, on its clock."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from av.container import InputContainer

from redub.media.clock import as_fraction, as_ticks

if TYPE_CHECKING:
    # It is in PyAV's stubs alone.
    from av.container.core import Chapter

_MUXER_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder"}


def kept_tags(container: InputContainer) -> dict[str, str]:
    """Return a container's tags, but for those that its muxer writes."""
    return {key: value for key, value in container.metadata.items() if key.lower() not in _MUXER_TAGS}


def kept_chapters(container: InputContainer, zero: Fraction, stop: Fraction | None) -> list[Chapter]:
    """Return a container's chapters as they are in the result, without those of which nothing is left.

    Args:
        container: The source.
        zero: Its own time that becomes 0.
        stop: Where the result ends; None lets each chapter run to its own end.
    """
    moved = (_moved(chapter, zero, stop) for chapter in container.chapters())
    return [chapter for chapter in moved if chapter is not None]


def _moved(chapter: Chapter, zero: Fraction, stop: Fraction | None) -> Chapter | None:
    base = as_fraction(chapter["time_base"], Fraction(1, 1000))
    shift = as_ticks(zero, base)
    start, end = (max(0, chapter[key] - shift) for key in ("start", "end"))
    if stop is not None:
        end = min(end, as_ticks(stop, base))
    if end <= start and chapter["end"] > chapter["start"]:
        return None
    return {**chapter, "time_base": base, "start": start, "end": end}
