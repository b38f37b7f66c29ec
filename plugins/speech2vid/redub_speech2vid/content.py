"""content: pictures -> maps of five layers, by which a painted face is compared with the true one (section 3.2).

The paper takes a face recognition network, VGG-M, whose weights allow research only.  So there are others of its kind:
the *reader*, which learns from the same footage to read the mouth's shape off a picture, and an untrained VGG-M, whose
random layers serve surprisingly well for such a comparison (Liu et al. 2021).
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redub.errors import RedubError
from redub.training.checkpoint import read_tensors
from redub_speech2vid.codes import COMPONENTS

VGG_MEAN = (131.454, 103.987, 91.462)
"""Mean colour, 0 to 255, that the authors of the released VGG-M for faces name."""


class Reader(nn.Module):
    """(B, 3, 109, 109) in 0..1 -> the mouth's shape, and the maps of five layers."""

    def __init__(self) -> None:
        super().__init__()
        c1, c2, c3 = 24, 48, 96
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(3, c1, 5, 2, 2), nn.Conv2d(c1, c2, 3, 2, 1), nn.Conv2d(c2, c3, 3, 2, 1),
                nn.Conv2d(c3, c3, 3, 1, 1), nn.Conv2d(c3, c3, 3, 1, 1),
            ]
        )  # fmt: skip
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels) for channels in (c1, c2, c3, c3, c3)])
        self.hidden = nn.Linear(c3 * 7 * 7, 128)
        self.out = nn.Linear(128, COMPONENTS)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Return what each layer makes of pictures."""
        found, x = [], pictures * 4 - 2
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)))  # 55, 28, 14, 14, 14 px
            found.append(x)
        return found

    def code(self, maps: list[Tensor]) -> Tensor:
        """Return the mouth's shape: (B, COMPONENTS)."""
        x = F.max_pool2d(maps[-1], 2).flatten(1)  # (B, 96 * 7 * 7)
        code: Tensor = self.out(F.relu(self.hidden(x)))
        return code

    def forward(self, pictures: Tensor) -> Tensor:
        return self.code(self.maps(pictures))


class VggM(nn.Module):
    """The convolutions of VGG-M: (B, 3, 109, 109) in 0..1 -> the maps after each."""

    def __init__(self, width: float = 1.0, *, mean: tuple[float, ...] | None = None) -> None:
        super().__init__()
        c1, c2, c3 = (round(c * width) for c in (96, 256, 512))
        self.conv1 = nn.Conv2d(3, c1, 7, 2)
        self.conv2 = nn.Conv2d(c1, c2, 5, 2, 1)
        self.conv3 = nn.Conv2d(c2, c3, 3, padding=1)
        self.conv4 = nn.Conv2d(c3, c3, 3, padding=1)
        self.conv5 = nn.Conv2d(c3, c3, 3, padding=1)
        self.scale = 1.0 if mean is None else 255.0
        self.register_buffer("mean", torch.tensor(mean or (0.0, 0.0, 0.0)).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Return what each layer makes of pictures; on the scale of 0 to 1 whatever the input is scaled to."""
        x1 = F.relu(self.conv1(pictures * self.scale - self.mean))  # (B, 96, 52, 52)
        x2 = F.relu(self.conv2(F.max_pool2d(x1, 3, 2)))  # (B, 256, 12, 12)
        x3 = F.relu(self.conv3(F.max_pool2d(x2, 3, 2, ceil_mode=True)))  # (B, 512, 6, 6)
        x4 = F.relu(self.conv4(x3))
        x5 = F.relu(self.conv5(x4))
        return [x / self.scale for x in (x1, x2, x3, x4, x5)]


def random_vgg(seed: int, width: float = 0.5) -> VggM:
    """Return a VGG-M that has learnt nothing, the same one for the same seed."""
    network, chance = VggM(width), torch.Generator().manual_seed(seed)
    for layer in network.children():
        assert isinstance(layer, nn.Conv2d)
        inputs = layer.weight[0].numel()
        layer.weight.data = torch.randn(layer.weight.shape, generator=chance) * (2 / inputs) ** 0.5
        if layer.bias is not None:
            layer.bias.data.zero_()
    return network


def load_vgg(path: Path, scale: str) -> VggM:
    """Return VGG-M with the weights that ``python -m redub_speech2vid.vggface`` wrote.

    Args:
        path: The file.
        scale: ``unit`` shows it 0 to 1; ``vgg`` 0 to 255 less the mean colour, as it was trained.

    Raises:
        RedubError: The file is missing, damaged, or something else.
    """
    tensors, metadata = read_tensors(path)
    mean = tuple(float(part) for part in metadata["mean"].split(",")) if "mean" in metadata else VGG_MEAN
    network = VggM(mean=None if scale == "unit" else mean)
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError:
        raise RedubError(
            f"{path} does not hold the convolutions of VGG-M.", "Make it with:  python -m redub_speech2vid.vggface IN OUT.safetensors"
        ) from None
    return network


def start_identity(encoder: nn.Module, vgg: VggM) -> None:
    """Give the identity encoder's convolutions the weights of VGG-M.

    The first one reads five pictures at once: each gets a fifth, so that five alike give what one gave.
    """
    with torch.no_grad():
        for name, layer in vgg.named_children():
            assert isinstance(layer, nn.Conv2d)
            own = getattr(encoder, name)[0]
            stills = own.weight.shape[1] // layer.weight.shape[1]
            own.weight.copy_(layer.weight.repeat(1, stills, 1, 1) / stills if name == "conv1" else layer.weight)
            if layer.bias is not None:
                own.bias.copy_(layer.bias)
