"""painting: a desk, codes -> what SeqPix2Pix learns: frames from pose figures (section 3.4).

For a triplet of consecutive frames the generator G paints each from its figure; the discriminator D judges all three; the
predictor P says the third from the first two, once from painted and once from true ones (equations 10 to 13).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from redub.training.journal import as_sheet
from redub.training.loop import Lesson, Look
from redub.types import RGB, Floats, Ints
from redub_lumierenet.desk import SHOWN, Desk, as_floats, as_picture, seen_rows, tensor
from redub_lumierenet.losses import believed, feature_distance, gradient_distance, taught, weighted_l1
from redub_lumierenet.networks import VAE, Critic, UNet, start_as_pix2pix
from redub_lumierenet.recipe import MEMORY, Recipe, SeqCourse
from redub_lumierenet.samples import SIDE, Samples, mouth_weights

FRAMES = MEMORY + 1
RANGE = 2.0
"""Absolute differences are weighed as Pix2Pix weighs them, whose pictures run from -1 to 1."""


class SeqPix2Pix(nn.Module):
    """G, P and D; one optimiser descends them all, each its own loss."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        course = recipe.seq
        self.generator = UNet(3, SIDE, course.width, course.dropout, backdrop=course.backdrop)
        predicts = course.consistent or course.predicted
        self.predictor = UNet(3 * MEMORY, SIDE, course.predictor_width, course.dropout, backdrop=course.backdrop) if predicts else None
        self.critic = Critic(6 if course.conditional else 3, SIDE, course.critic_width) if course.belief else None
        start_as_pix2pix(self)

    def hang(self, picture: Tensor) -> None:
        """Begin with a picture (3, 256, 256) behind all that is painted."""
        for painter in (self.generator, self.predictor):
            if painter is not None:
                painter.hang(picture)

    def paint(self, figures: Tensor) -> Tensor:
        """(B, 3, s, s) in 0..1 -> (B, 3, 256, 256)."""
        painted: Tensor = self.generator(enlarged(figures))
        return painted


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TripletBatch:
    """Consecutive frames."""

    pictures: RGB
    """(3 B, 256, 256, 3), the three of each triplet together."""
    figures: RGB | None
    """(3 B, side, side, 3); None where codes stand for them."""
    codes: Floats | None
    """(3 B, 128)."""
    weights: Floats
    """(3 B, 1, 256, 256)."""
    is_alone: bool = False
    """These are frames of anywhere."""


def painting_lesson(desk: Desk, codes: Floats, vae: VAE, model: SeqPix2Pix, heard: Floats | None) -> Lesson[TripletBatch]:
    """Teach G, P and D.

    Args:
        desk: What is at hand.
        codes: (N, 128) of all figures.
        vae: Complete.
        model: What learns.
        heard: (N, 128) codes that the ear hears, for the sheet, if it has learnt to.
    """
    course, samples = desk.recipe.seq, desk.samples
    choices = targets(samples, course.every)

    def draw(step: int) -> TripletBatch:
        random = desk.random("seq", step)
        is_alone = bool(course.alone) and random.uniform() < course.alone
        last = desk.draw(random, choices, course.batch * FRAMES if is_alone else course.batch, apiece=1)
        rows = last if is_alone else (last[:, None] + np.arange(-MEMORY, 1)).ravel()
        is_coded = random.uniform() < course.reconstructed
        return TripletBatch(
            pictures=samples.pictures(rows), figures=None if is_coded else samples.figures(rows),
            codes=codes[rows] if is_coded else None, weights=mouth_weights(samples.points[rows], SIDE, course.mouth),
            is_alone=is_alone,
        )  # fmt: skip

    def loss(batch: TripletBatch) -> dict[str, Tensor]:
        true = as_floats(batch.pictures, desk.device)
        with desk.autocast():
            figures = enlarged(_figures(desk, vae, batch))
            painted = model.generator(figures)
            terms = _terms(desk, model, figures, painted, true, batch)
            # The discriminator's own loss reaches nobody else.
            lesson = _teach(model, figures, painted.detach(), true)
        total = torch.stack([getattr(course, name) * value for name, value in terms.items()]).sum()
        return {"loss": total + lesson, **terms, "critic": lesson}

    return Lesson(name="seq", model=model, draw=draw, loss=loss, look=lambda: _look(desk, codes, vae, model, heard), samples=course.batch)


def targets(samples: Samples, every: int) -> list[Ints]:
    """Return for each piece that is learnt from the rows that may be last in a triplet: none shows a moment twice, or nobody."""
    found = []
    for rows in seen_rows(samples, samples.learnt_from):
        whole = np.all([samples.follows[rows - i] & np.isin(rows - i - 1, rows) for i in range(MEMORY)], axis=0)
        found.append(rows[whole][::every])
    return [rows for rows in found if len(rows)]


def enlarged(figures: Tensor) -> Tensor:
    """Return figures at the size that is painted: (B, 3, s, s) -> (B, 3, 256, 256)."""
    if figures.shape[-1] == SIDE:
        return figures
    return F.interpolate(figures, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def _figures(desk: Desk, vae: VAE, batch: TripletBatch) -> Tensor:
    if batch.codes is None:
        if batch.figures is None:
            raise ValueError("a batch has neither figures nor codes")
        return as_floats(batch.figures, desk.device)
    with torch.no_grad():
        decoded: Tensor = vae.decoder(tensor(batch.codes, desk.device))
    return decoded


def _terms(desk: Desk, model: SeqPix2Pix, figures: Tensor, painted: Tensor, true: Tensor, batch: TripletBatch) -> dict[str, Tensor]:
    """Return what G and P descend, by the names of their weights."""
    course: SeqCourse = desk.recipe.seq
    mine, theirs = (one.unflatten(0, (-1, FRAMES)) for one in (painted, true))  # type: ignore[no-untyped-call]
    terms: dict[str, Tensor] = {}
    if model.critic is not None:
        fixed = {name: parameter.detach() for name, parameter in model.critic.named_parameters()}
        # The game is summed over the three frames.
        terms["belief"] = FRAMES * believed(functional_call(model.critic, fixed, (_shown(figures, painted, course),)))
    if course.features and not batch.is_alone:
        terms["features"] = feature_distance(desk.vgg, mine[:, -1], theirs[:, -1])
    if model.predictor is not None and not batch.is_alone:
        past = torch.cat([one[:, :-1].flatten(1, 2) for one in (mine, theirs)])
        from_painted, from_true = model.predictor(past).chunk(2)
        terms["consistent"] = RANGE * weighted_l1(from_painted.float(), theirs[:, -1])
        terms["predicted"] = RANGE * weighted_l1(from_true.float(), theirs[:, -1])
    if course.direct:
        weights = tensor(batch.weights, desk.device)
        terms["direct"] = RANGE * weighted_l1(painted.float(), true, weights / weights.mean())
    if course.gradient:
        terms["gradient"] = RANGE * gradient_distance(painted.float(), true)
    return terms


def _teach(model: SeqPix2Pix, figures: Tensor, painted: Tensor, true: Tensor) -> Tensor:
    if model.critic is None:
        return torch.zeros((), device=true.device)
    shows_figures = model.critic.layers[0].in_channels == 6
    pairs = [torch.cat([figures.detach(), one], dim=1) if shows_figures else one for one in (true, painted)]
    return FRAMES * taught(*(model.critic(one) for one in pairs))


def _shown(figures: Tensor, painted: Tensor, course: SeqCourse) -> Tensor:
    return torch.cat([figures, painted], dim=1) if course.conditional else painted


def _look(desk: Desk, codes: Floats, vae: VAE, model: SeqPix2Pix, heard: Floats | None) -> Look:
    rows = desk.look_rows()
    true, figures = desk.pictures(rows), desk.figures(rows)
    with desk.autocast():
        given = vae.decoder(tensor(codes[rows], desk.device)).float()
        from_figures, from_given = (model.paint(one).float() for one in (figures, given))
    mouth = tensor(mouth_weights(desk.samples.points[rows], SIDE, 2.0) - 1, desk.device)
    values = {"loss": float(F.l1_loss(from_figures, true))}
    for name, painted in (("", from_figures), ("_given", from_given)):
        error = (painted - true).square()
        values[f"psnr{name}"] = _psnr(error.mean())
        values[f"psnr_mouth{name}"] = _psnr((error * mouth).mean() / mouth.mean().clamp(min=1e-6))
    columns = [true, enlarged(figures), enlarged(given), from_figures, from_given]
    if heard is not None:
        with desk.autocast():
            columns.append(model.paint(vae.decoder(tensor(heard[rows], desk.device))).float())
    shown = np.unique(np.linspace(0, len(rows) - 1, SHOWN).astype(int))
    return Look(values=values, picture=as_sheet([[as_picture(kind[i]) for kind in columns] for i in shown]))


def _psnr(error: Tensor) -> float:
    return float(-10 * torch.log10(error.clamp(min=1e-10)))
