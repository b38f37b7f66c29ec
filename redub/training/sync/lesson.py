"""lesson: samples -> what the sync network learns: which instant of the sound goes with which of the face.

Inside a clip each instant of the face is compared with every instant of the sound, and the network learns to choose the right one
out of all of them, and the other way round ("Perfect Match", Chung, Chung and Kang 2019).  Face and voice of a clip are one person's
at all instants, so nothing but the movement tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from redub.draw.confusion import draw_retrieval
from redub.speech.retrieval import retrieve_all
from redub.speech.sync import LAGS, RATE_HZ, SyncSeries
from redub.speech.sync_features import levelled
from redub.speech.sync_layers import FRAMES as WINDOW
from redub.speech.sync_layers import VIEWS, ClipSync, centred, joined
from redub.speech.syncnet import STEADY_OVER
from redub.training.course import autocast, chance
from redub.training.loop import Lesson, Look
from redub.training.sync.changes import changed_bands, changed_mouths, changed_shapes, plain_mouths
from redub.training.sync.recipe import Recipe
from redub.training.sync.samples import Samples, Stretch

REACH = WINDOW // 2
LOOKED_AT, MOST_INSTANTS = 40, 750
"""Held-out stretches that are looked at, and of how much of each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Clips, each with its sound."""

    mouths: Tensor
    """(B, T+4, 56, 64) uint8."""
    shapes: Tensor
    """(B, T+4, 65)."""
    bands: Tensor
    """(B, 40, 4T+16)."""
    is_speech: Tensor
    """(B, T)."""


def sync_lesson(network: ClipSync, samples: Samples, recipe: Recipe, seed: int, device: str) -> Lesson[Batch]:
    """Teach the sync network."""
    settings, instants = recipe.loss, recipe.draw.instants
    usable = [one for one in samples.learnt_from if len(one) >= instants + 2 * REACH]
    shares = _shares(usable, recipe.draw.balance)
    wanted = _wanted(instants, settings.soft).to(device)

    def draw(step: int) -> Batch:
        random = np.random.default_rng(chance(seed, "sync-draw", step))
        chosen = random.choice(len(usable), recipe.draw.clips, p=shares)
        return _joined([_clip(samples, usable[int(i)], recipe, random) for i in chosen])

    def loss(batch: Batch) -> dict[str, Tensor]:
        scale = network.log_scale.exp().clamp(max=settings.most_scale)
        with autocast(device, recipe.precision):
            faces = network.embed_faces(batch.mouths.to(device), batch.shapes.to(device))
            sounds = network.embed_sounds(batch.bands.to(device))
        faces, sounds = centred(faces), centred(sounds)
        alike = torch.einsum("btvd,bsvd,v->vbts", faces, sounds, scale)
        by_face = -(wanted * F.log_softmax(alike, 3)).sum(3)
        by_sound = -(wanted * F.log_softmax(alike, 2)).sum(2)
        weight = batch.is_speech.to(device).float().clamp(min=settings.silent)
        views = ((by_face + by_sound) * weight).sum((1, 2)) / (2 * weight.sum())
        inside = views.mean()
        terms = {"loss": inside, **dict(zip(VIEWS, views.detach(), strict=True))}
        if settings.across:
            terms["across"] = _across(faces, sounds, scale)
            terms["loss"] = inside + settings.across * terms["across"]
        return terms

    return Lesson(
        name="sync", model=network, draw=draw, loss=loss, look=lambda: look_at(network, samples, recipe, device),
        samples=recipe.draw.clips * instants,
    )  # fmt: skip


def look_at(network: ClipSync, samples: Samples, recipe: Recipe, device: str) -> Look:
    """Say how often the right moment is found in held-out stretches, and what the loss is there."""
    held_out = [one for one in samples.held_out if len(one) > 2 * (LAGS + REACH)]
    chosen = held_out[:: max(1, len(held_out) // LOOKED_AT)]
    if not chosen:
        return Look()
    tracks = [embed_stretch(network, samples, one, recipe, device) for one in chosen]
    found = retrieve_all(tracks)
    values = {f"right_at_{frames}": float(share) for frames, share in zip(found.frames, found.accuracy, strict=True) if np.isfinite(share)}
    # Both views' similarities added up are twice those of what is joined.
    scale = float(network.log_scale.detach().exp().clamp(max=recipe.loss.most_scale).sum())
    losses = [value for one in tracks for value in _held_out_losses(one, scale, recipe.draw.instants)]
    loss = {"loss": float(np.mean(losses))} if losses else {}
    return Look(values={**loss, **values}, picture=np.asarray(draw_retrieval(found, "held out")))


def _held_out_losses(track: SyncSeries, scale: float, instants: int) -> list[float]:
    """Return the loss of each clip of a track at which somebody speaks, as long as those that are learnt from."""
    losses = []
    for first in range(REACH, len(track.faces) - REACH - instants + 1, instants):
        place = slice(first, first + instants)
        alike = torch.from_numpy(track.faces[place] @ track.sounds[place].T * scale)
        right = -(F.log_softmax(alike, 0) + F.log_softmax(alike, 1)).diagonal().numpy() / 2
        if track.is_speech[place].any():
            losses.append(float(right[track.is_speech[place]].mean()))
    return losses


def embed_stretch(network: ClipSync, samples: Samples, one: Stretch, recipe: Recipe, device: str) -> SyncSeries:
    """Embed a stretch as it was recorded, at most half a minute of it."""
    count = min(len(one), MOST_INSTANTS)
    rows = slice(one.start, one.start + count)
    mouths = torch.from_numpy(plain_mouths(samples.mouths[rows]))[None].to(device)
    bands = levelled(samples.bands[one.columns(0, count)].astype(np.float32))
    with torch.no_grad(), autocast(device, recipe.precision):
        shapes = torch.from_numpy(samples.shapes[rows].astype(np.float32))[None].to(device)
        sound = torch.from_numpy(bands.T[None].copy()).to(device)
        found = network.embed_faces(mouths, shapes, STEADY_OVER), network.embed_sounds(sound)
    faces, sounds = (joined(centred(one, STEADY_OVER))[0].cpu().numpy() for one in found)
    return SyncSeries(
        times_s=np.arange(count) / RATE_HZ,
        faces=np.pad(faces, ((REACH, REACH), (0, 0)), constant_values=np.nan),
        sounds=sounds,
        is_speech=samples.is_speech[rows],
    )


def _across(faces: Tensor, sounds: Tensor, scale: Tensor) -> Tensor:
    """Return how hard it is to find each instant among those of all clips."""
    alike = torch.einsum("nvd,mvd,v->vnm", faces.flatten(0, 1), sounds.flatten(0, 1), scale)
    places = torch.arange(alike.shape[1], device=alike.device).expand(len(alike), -1)
    return (F.cross_entropy(alike.transpose(1, 2), places) + F.cross_entropy(alike, places)) / 2


def _clip(samples: Samples, one: Stretch, recipe: Recipe, random: np.random.Generator) -> Batch:
    """Draw a clip of a stretch, and change it."""
    instants = recipe.draw.instants
    first = int(random.integers(len(one) - instants - 2 * REACH + 1))
    rows = slice(one.start + first, one.start + first + instants + 2 * REACH)
    place, whole = one.columns(first + REACH, instants), one.columns(0, len(one))
    most = recipe.sound.shift_columns
    shift = int(np.clip(random.integers(-most, most + 1), whole.start - place.start, whole.stop - place.stop))
    bands = changed_bands(samples.bands[place.start + shift : place.stop + shift].astype(np.float32), recipe.sound, random)
    speech = samples.is_speech[one.start + first + REACH :][:instants]
    return Batch(
        mouths=torch.from_numpy(changed_mouths(samples.mouths[rows], recipe.picture, random)),
        shapes=torch.from_numpy(changed_shapes(samples.shapes[rows].astype(np.float32), recipe.shape, random)),
        bands=torch.from_numpy(levelled(bands).T.copy()),
        is_speech=torch.from_numpy(speech.copy()),
    )


def _joined(clips: list[Batch]) -> Batch:
    return Batch(
        mouths=torch.stack([one.mouths for one in clips]), shapes=torch.stack([one.shapes for one in clips]),
        bands=torch.stack([one.bands for one in clips]),
        is_speech=torch.stack([one.is_speech for one in clips]),
    )  # fmt: skip


def _wanted(instants: int, soft: float) -> Tensor:
    """Return what share of the truth each instant of the sound has for each of the face: (T, T), rows and columns alike."""
    beside = torch.diag(torch.full((instants - 1,), soft / 2), 1)
    wanted = (1 - soft) * torch.eye(instants) + beside + beside.T
    # The first and the last have one neighbour.
    wanted[0, 0] += soft / 2
    wanted[-1, -1] += soft / 2
    return wanted


def _shares(usable: list[Stretch], balance: float) -> list[float]:
    """Return how often each stretch is drawn: speakers by the power of their footage, stretches of one by their length."""
    footage: dict[str, int] = {}
    for one in usable:
        footage[one.speaker] = footage.get(one.speaker, 0) + len(one)
    shares = np.array([footage[one.speaker] ** (balance - 1) * len(one) for one in usable], np.float64)
    return list(shares / shares.sum())


def is_usable(samples: Samples, recipe: Recipe) -> bool:
    """Say whether any stretch is long enough for a clip."""
    return any(len(one) >= recipe.draw.instants + 2 * REACH for one in samples.learnt_from)
