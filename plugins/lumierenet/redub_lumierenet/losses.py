"""losses: what figures and pictures are compared by.

`features` are the pool1, pool2 and pool3 layers of VGG-19, for the VAE (section 3.2, footnote 4) and for equation 11.  Without a
file of its weights a *stand-in* takes their place: a network of the same shape whose weights are drawn, which compares
edges and textures nearly as well (Liu et al. 2021), at a quarter of the width since it costs more than all else otherwise.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redub.errors import RedubError
from redub.training.checkpoint import read_tensors

VGG = ((64, 64), (128, 128), (256, 256, 256, 256))
"""Channels of the convolutions before each of the first three poolings."""
VGG_INDICES = ((0, 2), (5, 7), (10, 12, 14, 16))
"""Their places in torchvision's ``features``."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STAND_IN_WIDTH = 0.25


class Vgg(nn.Module):
    """(B, 3, H, W) in 0..1 -> what VGG-19 makes of them at pool1, pool2 and pool3."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        before, blocks = 3, []
        for block in VGG:
            layers = []
            for size in block:
                layers.append(nn.Conv2d(before, round(size * width), 3, padding=1))
                before = round(size * width)
            blocks.append(nn.ModuleList(layers))
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None])
        self.requires_grad_(requires_grad=False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x, found = (pictures - self.mean) / self.deviation, []
        for block in self.blocks:
            for convolution in block:  # type: ignore[attr-defined]
                x = F.relu(convolution(x))
            x = F.max_pool2d(x, 2)
            found.append(x)
        return found


def load_vgg(path: Path) -> Vgg:
    """Read VGG-19 from a file of ``python -m redub_lumierenet.vgg19``.

    Raises:
        RedubError: It cannot be read, or holds another network.
    """
    tensors, _ = read_tensors(path)
    vgg = Vgg()
    named = {
        f"blocks.{i}.{j}.{kind}": f"features.{index}.{kind}"
        for i, indices in enumerate(VGG_INDICES)
        for j, index in enumerate(indices)
        for kind in ("weight", "bias")
    }
    try:
        vgg.load_state_dict({**vgg.state_dict(), **{own: tensors[given].float() for own, given in named.items()}})
    except (KeyError, RuntimeError) as error:
        hint = "Make it with  python -m redub_lumierenet.vgg19 VGG19.pth vgg19.safetensors"
        raise RedubError(f"{path} does not hold the convolutions of VGG-19: {error}.", hint) from error
    return vgg


def stand_in(seed: int) -> Vgg:
    """Return a network like VGG-19 with drawn weights (He et al. 2015), the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vgg = Vgg(STAND_IN_WIDTH)
        for module in vgg.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias) if module.bias is not None else None
    return vgg


def feature_distance(vgg: Vgg, one: Tensor, other: Tensor) -> Tensor:
    """Return the squared distance of two batches of pictures in the features, as a mean over each layer, summed over the three."""
    with torch.no_grad():
        wanted = vgg(other)
    return torch.stack([F.mse_loss(a.float(), b.float()) for a, b in zip(vgg(one), wanted, strict=True)]).sum()


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of the codes from N(0, 1), as a mean over batch and codes."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def gradient_distance(one: Tensor, other: Tensor) -> Tensor:
    """Return how the differences between neighbouring pixels differ, which blur takes away first: (B, 3, H, W) twice -> scalar."""
    difference = one - other
    return difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()


def weighted_l1(one: Tensor, other: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean absolute difference, with a weight (B, 1, H, W) for each pixel if there is one."""
    difference = (one - other).abs()
    return difference.mean() if weight is None else (difference * weight).mean()


def taught(scores_true: Tensor, scores_painted: Tensor) -> Tensor:
    """Return what the discriminator descends: least squares in the place of the logarithms (section 4.4)."""
    return 0.5 * ((scores_true - 1).square().mean() + scores_painted.square().mean())


def believed(scores_painted: Tensor) -> Tensor:
    """Return what the generator descends of the same game."""
    return (scores_painted - 1).square().mean()
