"""course: how long and how fast a stage learns -> its optimiser, its rate at each step, its precision."""

from __future__ import annotations

import math
import zlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from redub.training.settings import between


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How long and how fast a stage learns."""

    steps: int = between(0, 10**9, 1000)
    rate: float = between(0, 1e6, 1e-3)
    """The learning rate at its highest."""
    optimiser: Literal["adamw", "sgd", "rmsprop"] = "adamw"
    momentum: float = between(0, 0.9999, 0.9)
    """Of SGD; Adam's first beta."""
    memory: float = between(0, 0.99999, 0.99)
    """Adam's second beta; what RMSprop keeps of its mean square."""
    decay: float = between(0, 1, 1e-4)
    """Of the weights."""
    schedule: Literal["cosine", "fixed"] = "cosine"
    warm_up: int = between(0, 10**6, 0)
    """Steps in which the rate rises from nothing."""
    clip: float = between(0, 1e6, 0.0)
    """Longest gradient; 0 leaves it as it is."""
    average: float = between(0, 0.99999, 0.0)
    """Share of the running average of the weights that stays in each step; it is what is looked at and kept.  0 keeps
    the weights themselves."""
    settle: float = between(0, 1, 1.0)
    """From this share of the training on batch norms keep their statistics, so that what is learnt last is learnt with
    what will be used."""
    look_every: int = between(1, 10**9, 500)
    """Steps between looks at held-out pieces."""
    patience: int = between(0, 10**6, 0)
    """Stop after so many looks without a smaller held-out loss; 0 never does."""
    share: float = between(0, 1e6, 1.0)
    """Weight of the stage where a time limit is divided among stages."""


def make_optimiser(model: nn.Module, course: Course) -> torch.optim.Optimizer:
    """Return the optimiser that a course names, for what requires a gradient."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if course.optimiser == "sgd":
        return torch.optim.SGD(parameters, course.rate, momentum=course.momentum, weight_decay=course.decay)
    if course.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, course.rate, alpha=course.memory, weight_decay=course.decay)
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW(
        parameters, course.rate, betas=(course.momentum, course.memory), weight_decay=course.decay, fused=fused
    )  # fmt: skip


def rate_at(course: Course, step: int, share: float) -> float:
    """Return the learning rate of a step: it rises over the warm-up, and falls as a cosine where that is the schedule."""
    rising = min(1.0, (step + 1) / course.warm_up) if course.warm_up else 1.0
    falling = 0.5 + 0.5 * math.cos(math.pi * share) if course.schedule == "cosine" else 1.0
    return course.rate * rising * max(falling, 1e-3)


def chance(seed: int, name: str, step: int = 0) -> int:
    """Return a seed for one step of one stage: near numbers give unrelated ones."""
    return int(np.random.SeedSequence([seed, zlib.crc32(name.encode()), step]).generate_state(1)[0])


def autocast(device: str, precision: str = "auto") -> AbstractContextManager[Any]:
    """Return the context in which a network computes its loss.

    Args:
        device: As torch names it.
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the device has it in hardware.
    """
    kind = device.partition(":")[0]
    is_half = precision == "bfloat16" or (precision == "auto" and _has_bfloat16(kind))
    return torch.autocast(kind, torch.bfloat16) if is_half else nullcontext()


def _has_bfloat16(kind: str) -> bool:
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Emulated on a CPU it is slower than float32.  The probe is an internal one: without it, float32 is right anywhere.
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return kind == "cpu" and probe is not None and bool(probe())
