"""desk: what every stage of a training has at hand: samples, chance, device; and how held-out pieces are shown."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from redub.training.course import autocast, chance
from redub.types import RGB, Floats, Ints
from redub_lumierenet.losses import Vgg, load_vgg, stand_in
from redub_lumierenet.recipe import Recipe
from redub_lumierenet.samples import Samples, Stretch

ROWS_A_PIECE = 4
"""Rows that are drawn from a piece at a time, for a piece is opened as a whole."""
LOOKED_AT, SHOWN = 24, 5
"""Held-out rows that are measured, and of those, on a sheet."""
AVERAGED = 96
"""Frames whose mean is the usual picture."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """What a stage works with."""

    recipe: Recipe
    samples: Samples
    device: str
    seed: int
    vgg: Vgg

    def random(self, stage: str, step: int) -> np.random.Generator:
        """Return the chance of one step, always the same."""
        return np.random.default_rng(chance(self.seed, f"{stage}-draw", step))

    def autocast(self) -> AbstractContextManager[Any]:
        return autocast(self.device, self.recipe.precision)

    def draw(self, random: np.random.Generator, choices: list[Ints], count: int, apiece: int = ROWS_A_PIECE) -> Ints:
        """Draw rows, a few from each of some pieces; longer pieces come more often.

        Args:
            random: Chance.
            choices: The rows of each piece that may be drawn, at least one.
            count: How many rows in all.
            apiece: How many of them from one piece.
        """
        sizes = np.array([len(one) for one in choices], np.float64)
        places = random.choice(len(choices), -(-count // apiece), p=sizes / sizes.sum())
        rows = np.concatenate([random.choice(choices[int(i)], apiece) for i in places])
        return np.asarray(rows[:count], np.int64)

    def look_rows(self) -> Ints:
        """Return held-out rows that are looked at, spread over all of them; of what is learnt from where nothing is held out."""
        return spread(judged_rows(self.samples), LOOKED_AT)

    def usual_picture(self) -> Tensor:
        """Return the mean of frames spread over what is learnt from: (3, 256, 256) in 0..1, on the device."""
        rows = np.concatenate(seen_rows(self.samples, self.samples.learnt_from))
        return self.pictures(spread(rows, AVERAGED)).mean(dim=0)

    def figures(self, rows: Ints) -> Tensor:
        """Return (K, 3, side, side) in 0..1, on the device."""
        return as_floats(self.samples.figures(rows), self.device)

    def pictures(self, rows: Ints) -> Tensor:
        """Return (K, 3, 256, 256) in 0..1, on the device."""
        return as_floats(self.samples.pictures(rows), self.device)


def make_desk(recipe: Recipe, samples: Samples, device: str, seed: int) -> Desk:
    """Put a desk together; reads VGG-19 where the recipe wants it."""
    from pathlib import Path

    vgg = load_vgg(Path(recipe.vgg19)) if recipe.features == "vgg19" else stand_in(0)
    vgg = vgg.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Desk(recipe=recipe, samples=samples, device=device, seed=seed, vgg=vgg)


def spread(rows: Ints, count: int) -> Ints:
    """Return so many rows or fewer, evenly spread."""
    chosen: Ints = rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))]
    return chosen


def seen_rows(samples: Samples, stretches: tuple[Stretch, ...]) -> list[Ints]:
    """Return for each piece the rows in which a face is in the picture, leaving out pieces without.

    A speaker beside the largest centred square, as beside their slides, is followed but not in it.
    """
    found = []
    for one in stretches:
        points = samples.points[one.start : one.stop]
        middle = points.mean(axis=1)
        is_seen = np.isfinite(points).all(axis=(1, 2)) & ((middle > 0) & (middle < 1)).all(axis=1)
        found.append(np.arange(one.start, one.stop)[is_seen])
    return [rows for rows in found if len(rows)]


def judged_rows(samples: Samples) -> Ints:
    """Return the rows that are held out and show the person; those that are learnt from where there are none."""
    return np.concatenate(seen_rows(samples, samples.held_out) or seen_rows(samples, samples.learnt_from))


def as_floats(pictures: RGB, device: str) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) in 0..1, laid out as the networks want it."""
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2)
    return (tensor.float() / 255).contiguous(memory_format=torch.channels_last)


def as_picture(picture: Tensor) -> RGB:
    """(3, H, W) in 0..1 -> (H, W, 3) uint8."""
    values = (picture.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(values.permute(1, 2, 0).cpu().numpy())


def tensor(values: Floats, device: str) -> Tensor:
    """Return floats on a device."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(device)
