"""landmark_layers: crops of faces in grey -> 68 points in them.

A small network of inverted residuals that goes down to a sixteenth of the crop's side and back up to a quarter of it, where it
draws a map for each point.  A point is the middle of its map (integral regression, Sun et al. 2018): finer than the map's cells, and
it moves with the face, which a fully connected answer does only as far as it has learnt to.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POINTS = 68
CROP_PX = 96
STRIDE = 4


class Step(nn.Sequential):
    """Convolution, norm, ReLU."""

    def __init__(self, before: int, after: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        )


class Block(nn.Module):
    """An inverted residual: widen, look around in each channel, narrow, add."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.widen = Step(channels, 2 * channels, 1)
        self.around = Step(2 * channels, 2 * channels, 3, groups=2 * channels)
        self.narrow = nn.Sequential(nn.Conv2d(2 * channels, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.narrow(self.around(self.widen(x)))
        return x + added


class LandmarkNet(nn.Module):
    """Crops (B, 1, 96, 96), each of mean 0 and spread 1 -> points (B, 68, 2) in px of the crop, and the maps."""

    manner: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = Step(1, 12, 3, 2)
        self.fine = nn.Sequential(Step(12, 24, 3, 2), Block(24))
        self.middle = nn.Sequential(Step(24, 48, 3, 2), Block(48), Block(48))
        self.coarse = nn.Sequential(Step(48, 80, 3, 2), Block(80), Block(80), Block(80))
        self.coarse_up = nn.Conv2d(80, 48, 1, bias=False)
        self.middle_out = nn.Sequential(Block(48), nn.Conv2d(48, 40, 1, bias=False))
        self.fine_up = nn.Conv2d(24, 40, 1, bias=False)
        self.together = nn.Sequential(nn.BatchNorm2d(40), nn.ReLU(inplace=True), Step(40, 40, 3, groups=40))
        self.maps = nn.Conv2d(40, POINTS, 1)
        self.register_buffer("manner", torch.zeros(POINTS, 2))
        """How far beside the engine's mean face its points lie on average, in sides of the canonical square; not learnt here."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(self.stem(x))  # B, 24, 24, 24
        middle = self.middle(fine)  # B, 48, 12, 12
        coarse = self.coarse(middle)  # B, 80, 6, 6
        middle = self.middle_out(middle + F.interpolate(self.coarse_up(coarse), scale_factor=2))  # B, 40, 12, 12
        up = F.interpolate(middle, scale_factor=2, mode="bilinear", align_corners=False)
        maps = self.maps(self.together(self.fine_up(fine) + up)).float().flatten(2)  # B, 68, 24 * 24
        shares = maps.softmax(-1)
        side = CROP_PX // STRIDE
        at = torch.arange(side, device=x.device) * STRIDE + (STRIDE - 1) / 2
        grid = torch.stack([at.repeat(side), at.repeat_interleave(side)], -1)  # 24 * 24, 2
        return shares @ grid, maps
