"""register: painted and true pictures -> the true ones, moved onto the painted ones.

Stills and the mouth's shape do not say how the head is turned in the frame that is to be painted, and no registration by
landmarks is exact; a network that is compared pixel by pixel hedges over all places an edge could be, and paints blur.  So
the true picture is first moved, by the affine map under which the faces fit best outside the mouth (Lucas and Kanade's least
squares), and only then compared.  The mouth is left out: how far it is open must not be explained away.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from redub_speech2vid.model import OUTPUT_PX

HALF_PX = OUTPUT_PX // 2
"""Side at which places are found."""
SMOOTHING = (0.2, 0.6, 0.2)
ROUNDS = 2
MOST = 0.05
"""No number of the map is further from rest, in half pictures."""
STIFFNESS = (1.5e-5, 1.5e-5, 5e-5, 5e-5, 5e-5, 5e-5, 5e-6, 5e-6)
"""Of shift, slope, and of the two that take up a difference of light."""
FACE_AT, FACE_REACH = (0.5, 0.45), (0.36, 0.36)
MOUTH_AT, MOUTH_REACH = (0.5, 0.68), (0.24, 0.19)
"""Centres and half axes, in the unit square: the face, and in it what is left out."""


def registered(painted: Tensor, true: Tensor) -> Tensor:
    """Move true pictures onto painted ones, on average not at all.

    Args:
        painted: (B, 3, H, W) in 0..1.
        true: Likewise.

    Returns:
        (B, 3, H, W) in 0..1, without gradient.
    """
    with torch.no_grad():
        maps = find_maps(painted, true)
        # What all of them have in common is where the painted face was put: a network that is followed everywhere would drift.
        maps = maps - maps.mean(dim=0) + torch.eye(2, 3, device=maps.device)
        grid = F.affine_grid(maps, list(true.shape), align_corners=True)
        moved = F.grid_sample(true.float(), grid, mode="bicubic", padding_mode="border", align_corners=True)
        return moved.clamp(0, 1).contiguous(memory_format=torch.channels_last)


def find_maps(painted: Tensor, true: Tensor) -> Tensor:
    """Return the affine maps, as `torch.nn.functional.affine_grid` takes them: (B, 2, 3)."""
    wanted, moving = _small(painted), _small(true)
    count, _, height, width = wanted.shape
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, size, device=wanted.device) for size in (height, width)), indexing="ij")
    weight = _weight(x, y).reshape(1, -1, 1)
    damping = torch.diag(torch.tensor(STIFFNESS, device=wanted.device)) * weight.sum() + 1e-4 * torch.eye(8, device=wanted.device)
    rest = torch.eye(2, 3, device=wanted.device)
    maps = rest.repeat(count, 1, 1)
    for _ in range(ROUNDS):
        grid = F.affine_grid(maps, [count, 1, height, width], align_corners=True)
        moved = F.grid_sample(moving, grid, padding_mode="border", align_corners=True)
        slopes = _slopes(moved, wanted, x, y)
        weighted = (slopes * weight).transpose(1, 2)
        found = torch.linalg.solve(weighted @ slopes + damping, weighted @ (wanted - moved).reshape(count, -1, 1))[..., 0]
        steps = torch.stack([found[:, [2, 3, 0]], found[:, [4, 5, 1]]], dim=1)
        maps = rest + (maps + steps - rest).clamp(-MOST, MOST)
    return maps


def _slopes(moved: Tensor, wanted: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return how each pixel changes with each number of the map, and with light: (B, H * W, 8)."""
    height, width = moved.shape[2:]
    mean = ((moved + wanted) / 2)[:, 0]
    across, down = torch.zeros_like(mean), torch.zeros_like(mean)
    across[:, :, 1:-1] = (mean[:, :, 2:] - mean[:, :, :-2]) * (width - 1) / 4
    down[:, 1:-1] = (mean[:, 2:] - mean[:, :-2]) * (height - 1) / 4
    columns = [across, down, across * x, across * y, down * x, down * y, torch.ones_like(mean), mean]
    return torch.stack(columns, dim=-1).flatten(1, 2)


def _small(pictures: Tensor) -> Tensor:
    """Return them gray, at half the size, a little smoothed: (B, 3, H, W) -> (B, 1, H / 2, W / 2)."""
    gray = F.avg_pool2d(pictures.float().mean(dim=1, keepdim=True), 2)
    kernel = torch.tensor(SMOOTHING, device=gray.device)
    gray = F.conv2d(F.pad(gray, (1, 1, 0, 0), mode="replicate"), kernel.view(1, 1, 1, 3))
    return F.conv2d(F.pad(gray, (0, 0, 1, 1), mode="replicate"), kernel.view(1, 1, 3, 1))


def _weight(x: Tensor, y: Tensor) -> Tensor:
    def inside(at: tuple[float, float], reach: tuple[float, float]) -> Tensor:
        across, down = ((x + 1) / 2 - at[0]) / reach[0], ((y + 1) / 2 - at[1]) / reach[1]
        return torch.exp(-(across**4) - down**4)

    return inside(FACE_AT, FACE_REACH) * (1 - inside(MOUTH_AT, MOUTH_REACH))
