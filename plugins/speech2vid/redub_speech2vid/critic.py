"""critic: a mouth and its shape -> whether it is a photograph, and whether it has that shape.

Pixels alone are hedged over: where the lips part could be here or there, the mean is a gray smear in which no mouth opens.
A critic learns what mouths look like, together with the shape they are said to have (Reed et al. 2016, Miyato and Koyama 2018),
and the painter learns to be believed.  Least squares (Mao et al. 2017), since a score without bounds pulls too hard in the end.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from redub_speech2vid.canvas import PLAIN, Canvas
from redub_speech2vid.codes import COMPONENTS

TOP, BOTTOM, LEFT, RIGHT = 44, 92, 22, 86
"""Rows and columns of a picture of 109 px that are looked at: the mouth and what moves around it."""
FAR = 0.8
"""Shapes that differ less, summed over the first three components, may be taken for each other."""
SHAPE_WEIGHT = 0.5


class Critic(nn.Module):
    """(B, 3, H, W) in 0..1, as a canvas has it, and (B, COMPONENTS) -> scores; 1 is a photograph, -1 is not."""

    def __init__(self, canvas: Canvas = PLAIN) -> None:
        super().__init__()
        # At twice the size one more layer comes first, which looks at what only that size shows.
        factor = canvas.input_px // PLAIN.input_px
        channels = (3, 32, 64, 96) if factor == 1 else (3, 24, 32, 64, 96)
        self.rows = slice(*((edge + PLAIN.top) * factor - canvas.top for edge in (TOP, BOTTOM)))
        self.columns = slice(*((edge + PLAIN.left) * factor - canvas.left for edge in (LEFT, RIGHT)))
        self.convolutions = nn.ModuleList([nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(channels)])
        self.last = nn.Conv2d(channels[-1], 128, 3, padding=1)
        self.parts = nn.Conv2d(128, 1, 3, padding=1)
        self.whole = nn.Linear(128 * 6 * 8, 128)
        self.shape = nn.Linear(COMPONENTS, 128)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Return what each layer makes of the mouths."""
        x, found = pictures[:, :, self.rows, self.columns] * 4 - 2, []
        for convolution in (*self.convolutions, self.last):
            x = F.leaky_relu(convolution(x), 0.2)  # (48 x 64,) 24 x 32, 12 x 16, 6 x 8, 6 x 8 px
            found.append(x)
        return found

    def judge_parts(self, maps: list[Tensor]) -> Tensor:
        """Return whether each part is of a photograph: (B, 48)."""
        parts: Tensor = self.parts(maps[-1])
        return parts.flatten(1).float()

    def judge_shape(self, maps: list[Tensor], codes: Tensor) -> Tensor:
        """Return whether the mouths are photographs and have these shapes: (B,)."""
        whole = F.leaky_relu(self.whole(maps[-1].flatten(1)), 0.2)
        alike: Tensor = whole * self.shape(codes)
        return alike.sum(dim=1).float()

    def forward(self, pictures: Tensor, codes: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        maps = self.maps(pictures)
        return maps, self.judge_parts(maps), self.judge_shape(maps, codes)


def critic_loss(critic: Critic, painted: Tensor, true: Tensor, codes: Tensor) -> Tensor:
    """Return what the critic is to learn from: (B, 3, H, W), (B, 3, H, W), (B, COMPONENTS) -> scalar.

    Photographs that are said to have the shape of another one are to be refused as well: else the critic need not look at shapes.
    """
    maps, parts, shape = critic(true, codes)
    _, false_parts, false_shape = critic(painted.detach(), codes)
    other = codes.roll(1, dims=0)
    is_far = (codes - other)[:, :3].abs().sum(dim=1) > FAR
    wrong = critic.judge_shape(maps, other)
    believed = (parts - 1).square().mean() + SHAPE_WEIGHT * (shape - 1).square().mean()
    refused = (false_parts + 1).square().mean() + SHAPE_WEIGHT / 2 * (false_shape + 1).square().mean()
    loss: Tensor = believed + refused + SHAPE_WEIGHT / 2 * ((wrong + 1).square() * is_far).mean()
    return loss


def belief_loss(critic: Critic, painted: Tensor, true: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the painter is to learn from, without teaching the critic anything.

    Returns:
        How far it is from being believed, and how the critic's layers differ between painted and true mouths (Wang et al. 2018).
    """
    fixed = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    maps, parts, shape = functional_call(critic, fixed, (painted, codes))
    with torch.no_grad():
        wanted = critic.maps(true)
    unlike = torch.stack([(a.float() - b.float()).abs().mean() for a, b in zip(maps, wanted, strict=True)]).sum()
    return (parts - 1).square().mean() + SHAPE_WEIGHT * (shape - 1).square().mean(), unlike
