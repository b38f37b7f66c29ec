"""recipe: the values of a sync training, each of which ``--set`` can change."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from redub.errors import ConfigError
from redub.training.course import Course
from redub.training.settings import between, with_settings

COURSE = Course(steps=2500, rate=1e-3, decay=1e-2, warm_up=50, clip=5.0, average=0.99, look_every=250, memory=0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawSettings:
    """Which clips make a batch."""

    clips: int = between(1, 4096, 12)
    instants: int = between(8, 500, 44)
    """Of one clip; all of them compete.  Shorter pieces are passed over."""
    balance: float = between(0, 1, 0.5)
    """A speaker is drawn in proportion to the footage there is to this power: 1 as it lies, 0 all alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSettings:
    """How pictures are changed, a clip all alike unless said otherwise.  Spreads are standard deviations."""

    flip: bool = True
    mix: float = between(0, 1, 0.15)
    """Of the weights with which colours become grey."""
    scale: float = between(0, 1, 0.08)
    """Of the logarithm, across and down each with half as much of its own."""
    angle: float = between(0, 1, 0.06)
    """Radians, and of the shear."""
    shift_px: float = between(0, 16, 2.0)
    jitter_px: float = between(0, 4, 0.35)
    """Of each picture for itself, as landmarks tremble."""
    warp_px: float = between(0, 8, 0.0)
    """Of a smooth field that makes another face of it."""
    gamma: float = between(0, 1, 0.25)
    """Of the logarithm."""
    contrast: float = between(0, 1, 0.15)
    brightness: float = between(0, 100, 12.0)
    """Grey levels."""
    blur: float = between(0, 1, 0.3)
    """Share of clips that are blurred."""
    noise: float = between(0, 1, 0.3)
    """Share of clips that are noisy, in grains of two px, as coding leaves them."""
    erase: float = between(0, 1, 0.3)
    """Share of clips of which a patch beside the mouth is wiped out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSettings:
    """How landmarks are changed.  Spreads are standard deviations."""

    scale: float = between(0, 1, 0.2)
    """Of the logarithm of how far all move."""
    each: float = between(0, 1, 0.1)
    """Of the logarithm of how far each number moves."""
    jitter: float = between(0, 2, 0.08)
    """Of each number of each picture; lips vary by about one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundSettings:
    """How the sound of a clip is changed."""

    tract: float = between(0, 0.5, 0.15)
    """Spread of the logarithm of the vocal tract's length."""
    tone: float = between(0, 5, 1.0)
    """Spread of each of seven bends of the gain over frequency, in natural logarithms of power (1 is 4.3 dB)."""
    noise: float = between(0, 1, 0.7)
    """Share of clips that are noisy."""
    loudest: float = between(-5, 20, 0.7)
    faintest: float = between(-5, 20, 9.0)
    """The noise lies so far below speech, in natural logarithms of power."""
    shift_columns: int = between(0, 8, 1)
    """Hundredths of a second by which the sound of a whole clip is off at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """What is descended."""

    soft: float = between(0, 0.9, 0.0)
    """Share of the truth that the two neighbours of the true instant get."""
    silent: float = between(0, 1, 0.05)
    """Weight of instants at which nobody speaks."""
    most_scale: float = between(1, 1000, 40.0)
    """Highest factor of the similarities."""
    across: float = between(0, 10, 0.0)
    """Weight of finding the instant among all clips of the batch too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A sync training."""

    width: float = between(0.05, 8, 1.0)
    features: int = between(8, 4096, 128)
    dropout: float = between(0, 0.9, 0.2)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    stage: Literal["", "sync"] = ""
    """The stage to be learnt anew where a checkpoint of other settings is there."""
    draw: DrawSettings = field(default_factory=DrawSettings)
    picture: PictureSettings = field(default_factory=PictureSettings)
    shape: ShapeSettings = field(default_factory=ShapeSettings)
    sound: SoundSettings = field(default_factory=SoundSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    sync: Course = COURSE


def choose_recipe(name: str, settings: Mapping[str, str]) -> Recipe:
    """Return the recipe with single values put in.

    Args:
        name: Empty or ``own``; there is one.
        settings: As ``--set`` gives them.

    Raises:
        ConfigError: A name is not known, or a value makes no sense.
    """
    if name not in ("", "own"):
        near = difflib.get_close_matches(name, ["own"], 1)
        raise ConfigError(f"There is no recipe {name!r}.", f"Did you mean {near[0]}?" if near else "There is: own.")
    return with_settings(Recipe(), settings)


def what_matters(recipe: Recipe) -> dict[str, Any]:
    """Return what must not change once a training has begun, as JSON holds it.

    How long it learns, and how often it is looked at, may.
    """
    facts = asdict(recipe)
    facts.pop("stage")
    for free in ("steps", "look_every", "patience", "share"):
        facts["sync"].pop(free)
    return facts
