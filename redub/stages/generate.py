"""generate: crops, speech -> painted crops.

The host does what every generator would else do for itself: it registers and samples the crops, cuts a run into
calls of the declared length with the declared overlap, gives each call the real speech around it (never zeros inside
the file), and resamples time for a generator that wants a frame rate of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from redub.errors import PluginError, ShapeError
from redub.faces.crop import take_crop
from redub.faces.geometry import crop_points
from redub.media import Frame, Speech
from redub.plugin import Clip, Generator, GeneratorInfo, Mode, Painted
from redub.types import RGB, Doubles, Floats

Array = TypeVar("Array", bound=NDArray[Any])

CLIP_BUDGET_BYTES = 96 << 20
"""Decoded frames that wait for their call may take this much memory, so that 4K video takes shorter calls."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """A frame of a run, before it is painted."""

    frame: Frame
    time: Fraction
    """When the result shows it."""
    duration: Fraction
    similarity: Doubles
    """(4,) row of a `CropPath`."""
    points: Floats
    """(68, 2) px of the frame, or NaN."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repainted:
    """A frame of a run with its painted crop."""

    seen: Seen
    original: RGB
    """(S, S, 3) the frame's own crop, S = ``output_px``."""
    painted: RGB
    """(S, S, 3)."""
    alpha: Floats | None
    """(S, S)."""

    @property
    def similarity(self) -> Doubles:
        return self.seen.similarity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cell:
    """One frame as the generator counts them."""

    middle: Fraction
    crop: RGB
    points: Floats
    seen: list[Seen]
    """The frames that show what is painted here: one, or as many as the rates make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A loaded generator with what it declared."""

    info: GeneratorInfo
    mode: Mode
    generator: Generator


def generate(run: Iterable[Seen], model: Model, speech: Speech, references: RGB) -> Iterator[Repainted]:
    """Paint one run: consecutive frames of one face.

    Args:
        run: Frames in order, without a gap.
        model: The generator.
        speech: The new sound, at the rate that the generator declares.
        references: (K, H, W, 3) stills of the speaker, as many as declared.

    Yields:
        The same frames in the same order; at most one call's worth of them is held.

    Raises:
        PluginError: The generator failed, or returned what it did not declare.
    """
    for before, cells, after in _calls(_cells(run, model), model):
        painted = _call([*before, *cells, *after], model, speech, references)
        first, size = model.mode.output_offset_px, model.mode.output_px
        for i, cell in enumerate(cells, start=len(before)):
            for seen in cell.seen:
                yield Repainted(
                    seen=seen,
                    original=_own_crop(cell, seen, model)[first : first + size, first : first + size],
                    painted=painted.frames[i],
                    alpha=None if painted.alpha is None else painted.alpha[i],
                )


def take_references(frames: Iterable[tuple[Frame, Doubles]], mode: Mode, count: int) -> RGB:
    """Sample the stills of a speaker at the generator's input size.

    Args:
        frames: The frames with their similarity rows.
        mode: Says the size.
        count: How many the generator declared; fewer frames are repeated.

    Returns:
        (K, H, W, 3), read-only.
    """
    crops = [take_crop(frame, row, mode.input_px) for frame, row in frames]
    size = mode.input_px
    stack = np.stack([crops[i % len(crops)] for i in range(count)]) if crops and count else np.zeros((0, size, size, 3), np.uint8)
    stack.flags.writeable = False
    return stack


def _own_crop(cell: _Cell, seen: Seen, model: Model) -> RGB:
    """Two frames that share a cell differ in what lies under the mask: each is blended against its own crop."""
    return cell.crop if seen is cell.seen[0] else take_crop(seen.frame, seen.similarity, model.mode.input_px)


def _cells(run: Iterable[Seen], model: Model) -> Iterator[_Cell]:
    """Count frames as the generator does: as they come, or at its own rate."""
    rate_hz = model.info.frame_rate_hz
    size = model.mode.input_px
    if rate_hz is None:
        for seen in run:
            yield _cell(seen, seen.time + seen.duration / 2, [seen], size)
        return
    pending: _Cell | None = None
    tick: int | None = None
    last: Seen | None = None
    for seen in run:
        own = floor((seen.time + seen.duration / 2) * rate_hz)
        if tick is not None and own == tick and pending is not None:
            pending.seen.append(seen)
        else:
            if pending is not None:
                yield pending
            for skipped in range(own if tick is None else tick + 1, own):
                # Between two slow frames the generator still wants its own rate; what is shown then is the nearer one.
                middle = (skipped + Fraction(1, 2)) / rate_hz
                yield _cell(seen if last is None or middle >= seen.time else last, middle, [], size)
            pending, tick = _cell(seen, (own + Fraction(1, 2)) / rate_hz, [seen], size), own
        last = seen
    if pending is not None:
        yield pending


def _cell(seen: Seen, middle: Fraction, shown: list[Seen], size_px: int) -> _Cell:
    crop = take_crop(seen.frame, seen.similarity, size_px)
    return _Cell(middle=middle, crop=crop, points=crop_points(seen.similarity, seen.points, size_px).astype(np.float32), seen=shown)


def _calls(cells: Iterator[_Cell], model: Model) -> Iterator[tuple[list[_Cell], list[_Cell], list[_Cell]]]:
    """Group cells into calls: (context before, cells to paint, context after)."""
    limits = model.info.clip
    overlap = limits.overlap_frames
    before: deque[_Cell] = deque(maxlen=overlap)
    held: list[_Cell] = []
    size: int | None = None
    for cell in cells:
        held.append(cell)
        if size is None:
            size = _call_frames(cell, model)
        if len(held) == size + overlap:
            yield list(before), held[:size], held[size:]
            before.extend(held[:size])
            held = held[size:]
    if held:
        yield list(before), held, []


def _call_frames(cell: _Cell, model: Model) -> int:
    """Choose how many frames a call paints, within the declared limits and the memory budget; short calls are filled up."""
    limits = model.info.clip
    most = limits.max_frames - 2 * limits.overlap_frames
    frame_bytes = cell.seen[0].frame.size_bytes if cell.seen else 1
    fits = CLIP_BUDGET_BYTES // max(frame_bytes, 1)
    return max(1, min(most, fits))


def _call(cells: Sequence[_Cell], model: Model, speech: Speech, references: RGB) -> Painted:
    info = model.info
    # A run shorter than the least call is filled up with its last frame.
    filled = [*cells, *[cells[-1]] * (info.clip.min_frames - len(cells))]
    step = 1 / info.frame_rate_hz if info.frame_rate_hz else (filled[0].seen[0].duration if filled[0].seen else Fraction(1, 25))
    middles = [cell.middle for cell in cells] + [cells[-1].middle + step * (i + 1) for i in range(len(filled) - len(cells))]
    rate = info.audio.rate_hz
    start = floor((middles[0] - Fraction(info.audio.before_s)) * rate)
    stop = ceil((middles[-1] + Fraction(info.audio.after_s)) * rate) + 1
    clip = Clip(
        frames=_frozen(np.stack([cell.crop for cell in filled])),
        points=_frozen(np.stack([cell.points for cell in filled])),
        times_s=_frozen(np.array([float(middle - Fraction(start, rate)) for middle in middles])),
        speech=_frozen(speech.window(start, stop)),
        references=references,
    )
    painted = model.generator.generate(clip)
    _check(painted, len(filled), model)
    return painted


def _check(painted: object, count: int, model: Model) -> None:
    """Hold a plugin to its word: a wrong shape here is caught before it becomes a smeared video."""
    name, size = model.info.name, model.mode.output_px
    if not isinstance(painted, Painted):
        raise PluginError(f"The generator {name} returned a {type(painted).__name__}, not a Painted.", "This is a fault of the plugin.")
    expected = (count, size, size, 3)
    if painted.frames.shape != expected or painted.frames.dtype != np.uint8:
        raise ShapeError(
            f"The generator {name} painted {painted.frames.shape} {painted.frames.dtype}; it declared {expected} uint8.",
            "This is a fault of the plugin.",
        )
    if painted.alpha is not None and painted.alpha.shape != expected[:3]:
        raise ShapeError(
            f"The generator {name} returned an alpha of {painted.alpha.shape}; it declared {expected[:3]}.",
            "This is a fault of the plugin.",
        )


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
