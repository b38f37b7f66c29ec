"""sharpen: a desk -> what the sharpening network learns: stills that were blurred (section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from redub.training.journal import as_sheet
from redub.training.loop import Lesson, Look
from redub_speech2vid.desk import Desk, as_picture
from redub_speech2vid.model import Sharpener
from redub_speech2vid.pictures import as_floats, blur

LOOKED_AT = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlurBatch:
    """Pictures and how far each is blurred."""

    pictures: Tensor
    """(B, H, W, 3) uint8."""
    sigmas: Tensor
    """(B,) px."""


def sharpen_lesson(desk: Desk, sharpener: Sharpener) -> Lesson[BlurBatch]:
    """Teach a sharpener to undo a Gaussian blur, which is near to the one that networks leave."""
    course, samples = desk.recipe.sharpen, desk.samples

    def draw(step: int) -> BlurBatch:
        random = desk.random("sharpen", step)
        rows = desk.drawer.draw_rows(random, course.batch, desk.recipe.draw.balance)
        side = min(course.patch_px, samples.crops.shape[1])
        top, left = random.integers(0, samples.crops.shape[1] - side + 1, size=2)
        pictures = samples.crops[rows, top : top + side, left : left + side]
        sigmas = random.uniform(course.least_sigma, max(course.least_sigma, course.most_sigma), course.batch)
        return BlurBatch(pictures=torch.from_numpy(pictures), sigmas=torch.from_numpy(sigmas.astype(np.float32)))

    def loss(batch: BlurBatch) -> dict[str, Tensor]:
        true = as_floats(batch.pictures.to(desk.device))
        blurred = blur(true, batch.sigmas.to(desk.device), course.kernel_px)
        with desk.autocast():
            sharpened = sharpener(blurred)
        return {"loss": F.mse_loss(sharpened.float(), true), "blurred": F.mse_loss(blurred, true)}

    return Lesson(name="sharpen", model=sharpener, draw=draw, loss=loss, look=lambda: _look(desk, sharpener), samples=course.batch)


def _look(desk: Desk, sharpener: Sharpener) -> Look:
    rows = [(one.start + one.stop) // 2 for one in desk.samples.held_out]
    rows = rows[:: max(1, len(rows) // LOOKED_AT)][:LOOKED_AT]
    if not rows:
        return Look()
    course = desk.recipe.sharpen
    true = desk.canvas.cut(as_floats(torch.from_numpy(desk.samples.crops[np.array(rows)]).to(desk.device)))
    sigmas = torch.linspace(course.least_sigma, course.most_sigma, len(rows), device=desk.device)
    blurred = blur(true, sigmas, course.kernel_px)
    with desk.autocast():
        sharpened = sharpener(blurred).float()
    pictures = [[as_picture(kind[i]) for kind in (true, blurred, sharpened)] for i in range(min(6, len(rows)))]
    return Look(
        values={"loss": float(F.mse_loss(sharpened, true)), "blurred": float(F.mse_loss(blurred, true))}, picture=as_sheet(pictures)
    )
