"""learning: what travels between redub and a plugin that is trained or adapted.  Since API 1.1.

The host finds, registers and cuts out the faces, or for a FRAME generator the squares, for training as for painting, so that
a network learns from exactly what it will be given.  A plugin gets `Piece` records and writes one safetensors file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from redub.progress import Tell, silent
from redub.types import RGB, Blend, Doubles, Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """Consecutive frames of one face, with the sound that belongs to them."""

    name: str
    speaker: str
    is_held_out: bool = False
    """Never learnt from: it tells how learning goes."""
    offset_s: float = 0.0
    """How much the sound is early against the lips: what is seen at a time t is heard at t - offset_s.  0 where nothing has
    measured it."""
    crops: RGB
    """(T, S, S, 3), S = ``input_px``."""
    points: Floats
    """(T, 68, 2) in the unit square of the canonical crop; for a FRAME generator, of the largest centred square."""
    times_s: Doubles
    """(T,) middles of the frames, counted from ``speech[0]``."""
    speech: Floats
    """(N,) mono in -1..1 at 16 kHz."""
    source: str = ""
    """The video's file name without its ending, as far as it is known.  Since API 1.2."""
    first_frame: int = 0
    """The number of the first frame in that video.  Since API 1.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What a trainer is told: ``module:function(TrainRequest) -> None``."""

    pieces: Callable[[], Iterator[Piece]]
    """Reads the footage, piece by piece; may be called again."""
    output: Path
    """The weights, once they are complete."""
    work: Path
    """A folder for checkpoints, curves and sample sheets.  What an earlier run left there is gone on with."""
    recipe: str = ""
    """A named set of values; empty for the plugin's own."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Single values, as ``--set`` gives them; the plugin checks names and values."""
    device: str = "auto"
    seed: int = 0
    limit_s: float | None = None
    """End training after so many seconds of work, earlier runs counted in."""
    base: Path | None = None
    """Weights to start from; None starts from nothing."""
    consent: str = ""
    """Who agreed to the training, in the user's words; to be kept with the weights.  Since API 1.2."""
    tell: Tell = silent


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptRequest:
    """What an adapter is told: ``module:function(AdaptRequest) -> Adapted``."""

    pieces: Sequence[Piece]
    """One person, speaking; some of them held out."""
    mode: Blend
    weights: Mapping[str, Path]
    """The weights to start from, by name: verified, or the user's own in the place of one."""
    output: Path
    """Where the adapted weights go; read again through ``LoadContext.adapted``."""
    device: str = "auto"
    seed: int = 0
    limit_s: float | None = None
    """Take no longer than so many seconds; the number of steps is fixed otherwise."""
    tell: Tell = silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """What an adapter returns."""

    before: float
    """Error on what was held out, with the weights it started from; smaller is better."""
    after: float
    """The same with what it wrote."""
    remark: str = ""
    """Why nothing was written, in one sentence; empty if ``output`` is there.  The host keeps it only if it is better."""
