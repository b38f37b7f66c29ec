"""desk: what every stage of a training has at hand: samples, codes, chance, device; and how held-out pieces are shown."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from redub.training.course import autocast, chance
from redub.training.journal import as_sheet
from redub.types import RGB, Ints
from redub_speech2vid.canvas import PLAIN, Canvas
from redub_speech2vid.draws import Drawer
from redub_speech2vid.pictures import Mouths, PictureBatch, as_floats, gather, join
from redub_speech2vid.recipe import PictureCourse, Recipe
from redub_speech2vid.samples import Samples, Stretch

SHOWN, LOOKED_AT, LEAST_ROWS = 6, 12, 8
"""Held-out pieces on a sheet, and in all; shorter ones are passed over."""
ROWS_EACH = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """What a stage works with."""

    recipe: Recipe
    samples: Samples
    mouths: Mouths
    drawer: Drawer
    device: str
    seed: int
    canvas: Canvas = PLAIN

    def random(self, stage: str, step: int) -> np.random.Generator:
        """Return the chance of one step, always the same."""
        return np.random.default_rng(chance(self.seed, f"{stage}-draw", step))

    def batch(self, stage: str, course: PictureCourse, step: int) -> PictureBatch:
        """Draw the batch of a step."""
        random = self.random(stage, step)
        if course.epochs:
            drawn = self.drawer.draw_in_order(self.seed, step, course.identities, random)
        else:
            drawn = self.drawer.draw(random, course.identities, course.targets)
        return gather(self.samples, self.mouths, drawn, self.recipe.picture, random)

    def autocast(self) -> AbstractContextManager[Any]:
        return autocast(self.device, self.recipe.precision)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """One held-out piece: stills of its first half, rows of its second."""

    rows: Ints
    stills: Tensor
    """(1, 15, S, S) on the device."""
    whole: Tensor
    """(T, 3, S, S) on the device: the true crops."""
    true: Tensor
    """(T, 3, height, width): what is painted of them."""


def held_out(desk: Desk) -> list[Shown]:
    """Return some held-out pieces, spread over all of them."""
    usable = [one for one in desk.samples.held_out if len(one) >= LEAST_ROWS]
    chosen = [usable[i] for i in sorted({int(i) for i in np.linspace(0, len(usable) - 1, LOOKED_AT)})] if usable else []
    return [show(desk, one) for one in chosen]


def show(desk: Desk, one: Stretch) -> Shown:
    """Prepare a piece for painting."""
    middle = (one.start + one.stop) // 2
    gap = desk.recipe.draw.gap_frames
    stills = desk.drawer.choose_stills(np.arange(one.start, middle), None)
    behind = np.arange(middle, one.stop)
    far = behind[desk.drawer.frames[behind] - desk.drawer.frames[middle - 1] >= gap]
    rows = far if len(far) else behind[-1:]
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), ROWS_EACH)).astype(int))]
    pictures = as_floats(torch.from_numpy(desk.samples.crops[stills]).to(desk.device))
    whole = as_floats(torch.from_numpy(desk.samples.crops[rows]).to(desk.device))
    return Shown(rows=rows, stills=join(pictures[None]), whole=whole, true=desk.canvas.cut(whole))


def sheet(desk: Desk, shown: list[Shown], painted: list[Tensor]) -> RGB | None:
    """Put true and painted pictures side by side, for the least, middling and most open mouth of each piece."""
    rows = []
    for one, pictures in list(zip(shown, painted, strict=True))[:SHOWN]:
        ranked = np.argsort(desk.drawer.openness[one.rows], kind="stable")
        places = [ranked[0], ranked[len(ranked) // 2], ranked[-1]]
        rows.append([as_picture(found[int(i)]) for i in places for found in (one.true, pictures)])
    return as_sheet(rows, 2) if rows else None


def as_picture(picture: Tensor) -> RGB:
    """(3, H, W) in 0..1 -> (H, W, 3) uint8."""
    values = (picture.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(values.permute(1, 2, 0).cpu().numpy())
