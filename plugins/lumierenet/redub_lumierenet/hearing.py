"""hearing: a desk, codes -> what the ear learns: the codes of a frame's figure from the sound around it (section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from redub.faces.geometry import apply_similarity, invert_similarity, similarity_from_points
from redub.training.loop import Lesson, Look
from redub.types import Doubles, Floats, Ints
from redub_lumierenet.audio import BANDS, FLOOR, LARGEST
from redub_lumierenet.desk import Desk, judged_rows, seen_rows, tensor
from redub_lumierenet.networks import LATENT, Ear
from redub_lumierenet.recipe import MOST_BACK, EarCourse
from redub_lumierenet.samples import Samples

SHAPES = 6
"""Components of the mouth's shape."""
JAW = [*range(5, 12), *range(48, 68)]
RIDGE = 1e-2
_DB = np.log(10) / 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What is learnt to hear, and how it is measured."""

    codes: Floats
    """(N, 128) standardised."""
    mean: Floats
    """(128,) of the codes of what is learnt from."""
    deviation: Floats
    """(128,)."""
    shapes: Floats
    """(N, 6) of the mouth, most variable first; the first one has a deviation of 1."""
    reads: Floats
    """(6, 128): shapes from standardised codes, as well as a linear map can."""
    heard_mean: Floats
    """(40,) of the energies of what is learnt from."""
    heard_deviation: Floats
    """(40,)."""


def know(samples: Samples, codes: Floats) -> Known:
    """Find all statistics in what is learnt from."""
    rows = np.concatenate(seen_rows(samples, samples.learnt_from))
    mean, deviation = codes[rows].mean(axis=0), codes[rows].std(axis=0) + 1e-6
    standard = (codes - mean) / deviation
    shapes = mouth_shapes(samples.points, rows)
    gram = standard[rows].T @ standard[rows] / len(rows) + RIDGE * np.eye(LATENT)
    reads = np.linalg.solve(gram, standard[rows].T @ shapes[rows] / len(rows)).T
    heard = samples.heard[rows, MOST_BACK].astype(np.float64)
    return Known(
        codes=standard.astype(np.float32), mean=mean, deviation=deviation, shapes=shapes, reads=reads.astype(np.float32),
        heard_mean=heard.mean(axis=0).astype(np.float32), heard_deviation=(heard.std(axis=0) + 1e-3).astype(np.float32),
    )  # fmt: skip


def mouth_shapes(points: Floats, rows: Ints) -> Floats:
    """Return components of the shape of lips and jaw, wherever the head is: (N, 68, 2) -> (N, 6); zeros where no face is.

    Args:
        points: In any unit.
        rows: Which of them the components are found from.
    """
    known = np.nan_to_num(points)
    registered = apply_similarity(invert_similarity(similarity_from_points(known)), known)[:, JAW].reshape(len(points), -1)
    mean = registered[rows].mean(axis=0)
    _, sizes, vectors = np.linalg.svd(registered[rows] - mean, full_matrices=False)
    scale = sizes[0] / np.sqrt(len(rows))
    shapes = (registered - mean) @ vectors[:SHAPES].T / max(float(scale), 1e-9)
    shapes[~np.isfinite(points).all(axis=(1, 2))] = 0
    return np.pad(shapes, ((0, 0), (0, SHAPES - shapes.shape[1]))).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardBatch:
    """Sound and what it is to tell."""

    heard: Floats
    """(B, W, 40) normalised."""
    codes: Floats
    """(B, 128)."""


def hearing_lesson(desk: Desk, known: Known, ear: Ear) -> Lesson[HeardBatch]:
    """Teach the ear the codes."""
    course, samples = desk.recipe.ear, desk.samples
    choices = seen_rows(samples, samples.learnt_from)
    reads = tensor(known.reads, desk.device)

    def draw(step: int) -> HeardBatch:
        random = desk.random("ear", step)
        rows = desk.draw(random, choices, course.batch)
        heard = _varied(_window(samples, rows, course).astype(np.float32), course, random)
        heard = np.clip((heard - known.heard_mean) / known.heard_deviation, -LARGEST, LARGEST)
        heard += random.normal(0, course.noise, heard.shape)
        return HeardBatch(heard=heard.astype(np.float32), codes=known.codes[rows])

    def loss(batch: HeardBatch) -> dict[str, Tensor]:
        codes = tensor(batch.codes, desk.device)
        with desk.autocast():
            found = ear(tensor(batch.heard, desk.device)).float()
        terms = {"codes": F.mse_loss(found, codes)}
        if course.mouth:
            terms["mouth"] = ((found - codes) @ reads.T).square().sum(dim=-1).mean()
        return {"loss": terms["codes"] + course.mouth * terms.get("mouth", terms["codes"] * 0), **terms}

    return Lesson(name="ear", model=ear, draw=draw, loss=loss, look=lambda: _look(desk, known, ear), samples=course.batch)


def hear(desk: Desk, known: Known, ear: Ear, rows: Ints) -> Floats:
    """Return the standardised codes that the ear hears: (K, 128)."""
    course, samples = desk.recipe.ear, desk.samples
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), 512):
            heard = _window(samples, rows[start : start + 512], course).astype(np.float32)
            heard = np.clip((heard - known.heard_mean) / known.heard_deviation, -LARGEST, LARGEST)
            found.append(ear(tensor(heard, desk.device)).float().cpu().numpy())
    return np.concatenate(found)


def find_gain(desk: Desk, known: Known, ear: Ear) -> float:
    """Return by how much what is heard of the mouth is to be enlarged, so that it moves as much as it does in truth.

    The best guess moves less than what is guessed.  Measured on held-out pieces where there are any.
    """
    samples = desk.samples
    rows = judged_rows(samples)
    heard = hear(desk, known, ear, rows) @ known.reads[0]
    true = known.codes[rows] @ known.reads[0]
    return float(np.clip(true.std() / max(float(heard.std()), 1e-6), 1.0, desk.recipe.ear.most_gain))


def find_anchor(samples: Samples, known: Known) -> Floats:
    """Return the standardised code of the real pose that is nearest to the mean of what is learnt from: (128,)."""
    codes = known.codes[np.concatenate(seen_rows(samples, samples.learnt_from))]
    nearest: Floats = codes[int((codes**2).sum(axis=-1).argmin())]
    return nearest


def as_painted(known: Known, heard: Floats, gain: float, anchor: Floats | None) -> Floats:
    """Return the codes that the decoder is given for what the ear hears, (K, 128) standardised; as `folded` has the ear say them."""
    enlarge, rest = (tensor.numpy() for tensor in _manner(known, gain, anchor))
    codes: Floats = ((heard @ enlarge.T + rest) * known.deviation + known.mean).astype(np.float32)
    return codes


def folded(known: Known, ear: Ear, gain: float, anchor: Floats | None) -> dict[str, Tensor]:
    """Return an ear's tensors such that it answers with codes as the decoder takes them.

    Args:
        known: The statistics.
        ear: Complete.
        gain: What is heard of the mouth is enlarged by this.
        anchor: (128,) a pose that all but the mouth rests on; None for the mean.
    """
    enlarge, rest = _manner(known, gain, anchor)
    scale = torch.from_numpy(known.deviation).double()[:, None]
    tensors = {name: value.detach().cpu() for name, value in ear.state_dict().items()}
    tensors["fc.weight"] = (scale * (enlarge @ tensors["fc.weight"].double())).float()
    tensors["fc.bias"] = (scale[:, 0] * (enlarge @ tensors["fc.bias"].double() + rest) + torch.from_numpy(known.mean).double()).float()
    tensors["mean"], tensors["deviation"] = torch.from_numpy(known.heard_mean), torch.from_numpy(known.heard_deviation)
    return tensors


def _manner(known: Known, gain: float, anchor: Floats | None) -> tuple[Tensor, Tensor]:
    """Return what standardised codes are multiplied by (128, 128), and what is added (128,)."""
    reads = torch.from_numpy(known.reads).double()
    # Onto the directions of the codes that the mouth's shape is read from.
    onto = torch.linalg.pinv(reads) @ reads
    rest = torch.zeros(LATENT, dtype=torch.float64) if anchor is None else torch.from_numpy(anchor).double()
    return torch.eye(LATENT, dtype=torch.float64) + (gain - 1) * onto, rest - onto @ rest


def _window(samples: Samples, rows: Ints, course: EarCourse) -> Floats:
    last = MOST_BACK + course.ahead
    return samples.heard[rows, last - course.window + 1 : last + 1]


def _varied(heard: Floats, course: EarCourse, random: np.random.Generator) -> Floats:
    """Change loudness and the balance of bands, the same for a whole window: (B, W, 40) -> (B, W, 40)."""
    count = len(heard)
    gain = random.uniform(-course.gain_db, course.gain_db, (count, 1)) * _DB
    tilt = random.uniform(-course.tilt_db, course.tilt_db, (count, 1)) * _DB * np.linspace(-0.5, 0.5, BANDS)
    varied: Floats = np.maximum(heard + (gain + tilt)[:, None], np.log(FLOOR)).astype(np.float32)
    return varied


def _look(desk: Desk, known: Known, ear: Ear) -> Look:
    samples = desk.samples
    rows = judged_rows(samples)
    found = hear(desk, known, ear, rows)
    off = found - known.codes[rows]
    values = {"codes": float((off**2).mean()), "mouth": float(((off @ known.reads.T) ** 2).sum(axis=-1).mean())}
    values["loss"] = values["codes"] + desk.recipe.ear.mouth * values["mouth"]
    true = known.shapes[rows, 0].astype(np.float64)
    values["follows"] = _correlation(found @ known.reads[0], true)
    values["could_follow"] = _correlation(known.codes[rows] @ known.reads[0], true)
    return Look(values=values)


def _correlation(one: Floats, other: Doubles) -> float:
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / max(float(np.sqrt((a**2).sum() * (b**2).sum())), 1e-9))
