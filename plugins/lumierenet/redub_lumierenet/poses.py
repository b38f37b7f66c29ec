"""poses: a desk -> what the VAE learns: codes of pose figures (section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from redub.training.journal import as_sheet
from redub.training.loop import Lesson, Look
from redub.types import RGB, Floats
from redub_lumierenet.desk import SHOWN, Desk, as_floats, as_picture, seen_rows, tensor
from redub_lumierenet.losses import divergence, feature_distance, weighted_l1
from redub_lumierenet.networks import LATENT, VAE
from redub_lumierenet.samples import mouth_weights

AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FigureBatch:
    """Figures and how much their pixels count."""

    figures: RGB
    """(B, side, side, 3)."""
    weights: Floats
    """(B, 1, side, side)."""


def pose_lesson(desk: Desk, vae: VAE) -> Lesson[FigureBatch]:
    """Teach the VAE to give figures back."""
    course, samples, side = desk.recipe.vae, desk.samples, desk.recipe.figure.side
    choices = seen_rows(samples, samples.learnt_from)

    def draw(step: int) -> FigureBatch:
        rows = desk.draw(desk.random("vae", step), choices, course.batch)
        return FigureBatch(figures=samples.figures(rows), weights=mouth_weights(samples.points[rows], side, course.mouth))

    def loss(batch: FigureBatch) -> dict[str, Tensor]:
        figures = as_floats(batch.figures, desk.device)
        noise = torch.randn(len(figures), LATENT, device=desk.device)
        with desk.autocast():
            painted, mean, log_variance = vae(figures, noise)
            terms = {"features": feature_distance(desk.vgg, painted, figures)} if course.features else {}
        terms["pixels"] = weighted_l1(painted.float(), figures, tensor(batch.weights, desk.device))
        terms["divergence"] = divergence(mean.float(), log_variance.float())
        total = torch.stack([getattr(course, name) * value for name, value in terms.items()]).sum()
        return {"loss": total, **terms}

    return Lesson(name="vae", model=vae, draw=draw, loss=loss, look=lambda: _look(desk, vae), samples=course.batch)


def find_codes(desk: Desk, vae: VAE) -> Floats:
    """Return the codes of all figures: (N, 128), the means that the encoder finds."""
    count = len(desk.samples.points)
    codes = np.empty((count, LATENT), np.float32)
    with torch.inference_mode(), desk.autocast():
        for start in range(0, count, AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, count))
            codes[rows] = vae.encoder(desk.figures(rows))[0].float().cpu().numpy()
    return codes


def _look(desk: Desk, vae: VAE) -> Look:
    rows, side = desk.look_rows(), desk.recipe.figure.side
    figures = desk.figures(rows)
    with desk.autocast():
        given = vae(figures)[0].float()
    mouth = tensor(mouth_weights(desk.samples.points[rows], side, 2.0) - 1, desk.device)
    share = mouth.mean().clamp(min=1e-6)
    values = {
        "loss": float(weighted_l1(given, figures, 1 + (desk.recipe.vae.mouth - 1) * mouth)),
        "plain": float(weighted_l1(given, figures)),
        "mouth": float(weighted_l1(given, figures, mouth) / share),
    }
    shown = np.unique(np.linspace(0, len(rows) - 1, SHOWN).astype(int))
    return Look(values=values, picture=as_sheet([[as_picture(kind[i]) for i in shown] for kind in (figures, given)]))
