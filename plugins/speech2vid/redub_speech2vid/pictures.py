"""pictures: drawn rows -> a batch of pictures and codes, changed together.

Chance is drawn where batches are drawn, on the CPU; the pixels are changed on the device that learns.  What is done to
the target is done to its stills, so that a network does not learn to change a face; only the small errors of
registration differ from still to still.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from redub_speech2vid.codes import Basis, mirrored, mouth_shapes
from redub_speech2vid.draws import Drawn
from redub_speech2vid.recipe import PictureSettings
from redub_speech2vid.samples import Samples

GRID = 4
"""Nodes of the smooth displacement along each side."""
GREY_SHARE = 0.08


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """What chance does to the pictures of K identities."""

    flip: Tensor
    """(K,) bool."""
    warp: Tensor
    """(K, 2, 4, 4) displacement in half crops."""
    scale: Tensor
    """(K, 2)."""
    jitter: Tensor
    """(K, stills, 3): shift in half crops, and a turn."""
    gamma: Tensor
    """(K,)."""
    gain: Tensor
    """(K, 3)."""
    offset: Tensor
    """(K,)."""
    mix: Tensor
    """(K, 3, 3) of colours."""
    softness: Tensor
    """(K,) sigma of a blur, px of the crop, as where footage is coarser; 0 leaves the pictures sharp."""
    softens: bool
    moves: bool
    """Whether any place changes at all."""
    lights: bool
    """Whether any colour does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureBatch:
    """K identities with M targets each."""

    stills: Tensor
    """(K, 5, S, S, 3) uint8."""
    targets: Tensor
    """(K, M, S, S, 3) uint8."""
    codes: Tensor
    """(K * M, components) float32."""
    windows: Tensor
    """(K * M, 1, 12, 35) float32 MFCC."""
    changes: Changes | None


class Mouths:
    """The codes of all samples, and of all in a mirror."""

    def __init__(self, samples: Samples, basis: Basis) -> None:
        points = [np.asarray(samples.points[one.start : one.stop]) for one in samples.stretches]
        self.codes = np.concatenate([basis.encode(mouth_shapes(part)) for part in points])
        self.mirrored = np.concatenate([basis.encode(mouth_shapes(mirrored(part))) for part in points])


def gather(
    samples: Samples, mouths: Mouths, drawn: Drawn, settings: PictureSettings, random: np.random.Generator
) -> PictureBatch:  # fmt: skip
    """Read what was drawn, and draw its changes."""
    identities, targets = drawn.targets.shape
    rows = drawn.targets.reshape(-1)
    stills = drawn.stills.copy()
    for k in np.flatnonzero(random.random(identities) < settings.single):
        stills[k] = stills[k, random.integers(stills.shape[1])]
    changes = draw_changes(random, identities, stills.shape[1], settings)
    is_flipped = np.repeat(changes.flip.numpy(), targets)
    codes = np.where(is_flipped[:, None], mouths.mirrored[rows], mouths.codes[rows])
    codes = codes + random.normal(0, settings.code, codes.shape) if settings.code else codes
    voices = random.integers(samples.windows.shape[1], size=len(rows))
    return PictureBatch(
        stills=torch.from_numpy(samples.crops[stills]),
        targets=torch.from_numpy(samples.crops[drawn.targets]),
        codes=torch.from_numpy(codes.astype(np.float32)),
        windows=torch.from_numpy(samples.windows[rows, voices].astype(np.float32))[:, None],
        changes=changes,
    )


def draw_changes(random: np.random.Generator, identities: int, stills: int, settings: PictureSettings) -> Changes:
    """Draw what happens to the pictures of some identities; a setting of 0 draws no change of its kind."""
    k, light = identities, settings.light
    warps = random.random() < settings.warp_share
    mix = np.eye(3) + random.normal(0, 0.06 * light, (k, 3, 3)) if light else np.tile(np.eye(3), (k, 1, 1))
    mix[random.random(k) < GREY_SHARE * light] = 1 / 3
    arrays: dict[str, Any] = {
        "warp": random.normal(0, settings.warp * warps, (k, 2, GRID, GRID)),
        "scale": 1 + random.normal(0, settings.scale * warps, (k, 2)),
        "jitter": random.normal(0, 1, (k, stills, 3)) * np.array([settings.jitter, settings.jitter, settings.turn_rad]),
        "gamma": np.exp(random.normal(0, 0.25 * light, k)),
        "gain": np.exp(random.normal(0, 0.12 * light, (k, 1)) + random.normal(0, 0.07 * light, (k, 3))),
        "offset": random.normal(0, 0.03 * light, k),
        "mix": mix,
        "softness": np.where(random.random(k) < settings.soft_share, random.uniform(0.3, 1, k) * settings.soft, 0.0),
    }
    moves = bool(warps and (settings.warp or settings.scale)) or bool(settings.jitter or settings.turn_rad)
    flip = torch.from_numpy(random.random(k) < settings.flip)
    return Changes(
        flip=flip,
        moves=moves,
        lights=light > 0,
        softens=bool(arrays["softness"].any()),
        **{name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()},
    )


def on_device(batch: PictureBatch, device: str) -> PictureBatch:
    """Move a batch to the device that learns."""
    moved = {one.name: _moved(getattr(batch, one.name), device) for one in fields(batch)}
    return PictureBatch(**moved)


def finish(batch: PictureBatch) -> tuple[Tensor, Tensor]:
    """Return the pictures as a network takes them.

    Returns:
        Stills (K, 15, S, S) and targets (K * M, 3, S, S), in 0..1, changed.
    """
    stills, targets = as_floats(batch.stills), as_floats(batch.targets)
    if batch.changes is not None:
        stills, targets = change(stills, batch.changes, is_still=True), change(targets, batch.changes, is_still=False)
    return join(stills), targets.flatten(0, 1).contiguous(memory_format=torch.channels_last)


def join(stills: Tensor) -> Tensor:
    """Join the stills of an identity by channel: (K, 5, 3, H, W) -> (K, 15, H, W)."""
    return stills.flatten(1, 2).contiguous(memory_format=torch.channels_last)


def as_floats(pictures: Tensor) -> Tensor:
    """(..., H, W, 3) uint8 -> (..., 3, H, W) in 0..1."""
    return pictures.movedim(-1, -3).float() / 255


def change(pictures: Tensor, changes: Changes, *, is_still: bool) -> Tensor:
    """Change the pictures of each identity: (K, M, 3, H, W) in 0..1 -> the same."""
    k, m = pictures.shape[:2]
    pictures = torch.where(changes.flip[:, None, None, None, None], pictures.flip(-1), pictures)
    if changes.moves:
        size = pictures.shape[-1]
        grid = places(changes, size)[:, None].expand(k, m, size, size, 2)
        if is_still:
            angle, shift = changes.jitter[..., 2, None, None, None], changes.jitter[:, :, None, None, :2]
            turned = torch.stack([-grid[..., 1], grid[..., 0]], -1)
            grid = grid * torch.cos(angle) + turned * torch.sin(angle) + shift
        # What is to be painted must stay sharp, what is looked at may blur a little.
        mode = "bilinear" if is_still else "bicubic"
        flat = F.grid_sample(pictures.flatten(0, 1), grid.flatten(0, 1), mode=mode, padding_mode="border", align_corners=False)
        pictures = flat.view_as(pictures).clamp(0, 1)
    if changes.softens:
        pictures = _softened(pictures, changes.softness)
    if not changes.lights:
        return pictures
    pictures = torch.einsum("kij,kmjhw->kmihw", changes.mix, pictures)
    one = (slice(None), None, None, None, None)
    lit = pictures.clamp(1e-4, 1) ** changes.gamma[one] * changes.gain[:, None, :, None, None] + changes.offset[one]
    return lit.clamp(0, 1)


def _softened(pictures: Tensor, sigmas: Tensor) -> Tensor:
    """Blur the pictures of those identities that are to be soft: (K, M, 3, H, W), (K,) -> the same."""
    chosen = torch.nonzero(sigmas > 0).flatten()
    soft, m = pictures[chosen], pictures.shape[1]
    soft = blur(soft.flatten(0, 1), sigmas[chosen].repeat_interleave(m), 2 * int(2.5 * float(sigmas.max()) + 1) + 1).view_as(soft)
    return pictures.index_copy(0, chosen, soft)


def blur(pictures: Tensor, sigmas: Tensor, kernel_px: int) -> Tensor:
    """Blur each picture with a Gaussian of its own: (B, 3, H, W), (B,) px -> (B, 3, H, W)."""
    count, channels, height, width = pictures.shape
    reach = kernel_px // 2
    place = torch.arange(-reach, reach + 1, device=pictures.device)
    kernel = torch.exp(-0.5 * (place[None] / sigmas[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = F.pad(pictures.reshape(1, count * channels, height, width), (reach,) * 4, mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=count * channels)
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=count * channels)
    return flat.view(count, channels, height, width)


def places(changes: Changes, size_px: int) -> Tensor:
    """Return where each pixel of a changed picture comes from: (K, H, W, 2) in -1..1, x before y."""
    k = len(changes.warp)
    unit = torch.eye(2, 3, device=changes.warp.device)[None].expand(k, 2, 3)
    grid = F.affine_grid(unit, [k, 1, size_px, size_px], align_corners=False)
    moved = F.interpolate(changes.warp, (size_px, size_px), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return grid * changes.scale[:, None, None] + moved


def _moved(value: Any, device: str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Changes):
        return replace(value, **{one.name: _moved(getattr(value, one.name), device) for one in fields(value)})
    return value
