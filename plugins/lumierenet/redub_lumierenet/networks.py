"""networks: the paper's modules: VAE, BLSTM, U-Net, discriminator.

What the paper leaves open is marked *ours*; docs/explanation/lumierenet.md has the list.  Pictures and figures go in and come out
in 0..1; the U-Net and the discriminator work in -1..1 within.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

LATENT = 128
CELLS = 256
BANDS = 40
ENCODER, DECODER = (32, 64, 128), (128, 64, 32, 3)
"""Channels at width 1: ours."""
UNET = (64, 128, 256, 512, 512, 512, 512, 512)
UNET_DROPPED = 3
CRITIC = (64, 128, 256, 512, 512, 512)
LEAST_CHANNELS = 4
STARKEST = 0.99
"""A backdrop begins no nearer to black and white than this, in -1..1: from there nothing would be learnt any more."""


def scaled(channels: int, width: float) -> int:
    """Return a layer's channels at a width; 3 are colours and stay."""
    return channels if channels == 3 else max(LEAST_CHANNELS, round(channels * width))


class Encoder(nn.Module):
    """(B, 3, S, S) -> mean and log variance of the codes, (B, 128) each."""

    def __init__(self, side: int = 256, width: float = 1.0) -> None:
        super().__init__()
        sizes = [3, *(scaled(one, width) for one in ENCODER)]
        self.convolutions = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes)])
        features = sizes[-1] * (side // 2 ** len(ENCODER)) ** 2
        self.mean, self.log_variance = nn.Linear(features, LATENT), nn.Linear(features, LATENT)

    def forward(self, figures: Tensor) -> tuple[Tensor, Tensor]:
        x = figures
        for convolution in self.convolutions:
            x = F.max_pool2d(F.relu(convolution(x)), 2)  # 128, 64, 32 px of 256
        x = x.flatten(1)
        return self.mean(x), self.log_variance(x)


class Decoder(nn.Module):
    """(B, 128) -> (B, 3, S, S) in 0..1.

    Three poolings and four upsamplings cannot mirror each other: it begins at half of the encoder's last grid, with an FC layer that
    the paper does not mention (ours).
    """

    def __init__(self, side: int = 256, width: float = 1.0) -> None:
        super().__init__()
        sizes = [scaled(DECODER[0], width), *(scaled(one, width) for one in DECODER)]
        self.grid = side // 2 ** len(DECODER)
        self.start = nn.Linear(LATENT, sizes[0] * self.grid**2)
        self.convolutions = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes)])

    def forward(self, codes: Tensor) -> Tensor:
        x = F.relu(self.start(codes)).view(len(codes), -1, self.grid, self.grid)
        *earlier, last = self.convolutions
        for convolution in earlier:
            x = F.relu(convolution(F.interpolate(x, scale_factor=2)))  # 32, 64, 128 px
        return torch.sigmoid(last(F.interpolate(x, scale_factor=2)))  # 256 px


class VAE(nn.Module):
    """Compresses pose figures (section 3.2)."""

    def __init__(self, side: int = 256, width: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(side, width), Decoder(side, width)

    def forward(self, figures: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return reconstructions, means and log variances; without noise (B, 128), the reconstructions of the means."""
        mean, log_variance = self.encoder(figures)
        codes = mean if noise is None else mean + noise * torch.exp(0.5 * log_variance)
        return self.decoder(codes), mean, log_variance


class Ear(nn.Module):
    """(B, W, 40) normalised energies -> (B, 128) codes (section 3.3): one BLSTM layer of 256 cells each way, and an FC layer.

    What each direction has come to at its own end of the window is joined: ours, for the paper does not say which outputs are.
    """

    def __init__(self, cells: int = CELLS, dropout: float = 0.0) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BANDS, cells, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2 * cells, LATENT)

    def forward(self, heard: Tensor) -> Tensor:
        _, (last, _) = self.lstm(heard)
        codes: Tensor = self.fc(self.dropout(torch.cat([last[0], last[1]], dim=-1)))
        return codes


class UNet(nn.Module):
    """(B, C, S, S) -> (B, 3, S, S), all in 0..1: the generator of Pix2Pix, G of three channels and P of three for each past frame.

    With a backdrop it paints what differs from a picture that is learnt along with it: where the camera stands still, most does
    not differ (ours).
    """

    def __init__(self, channels: int = 3, side: int = 256, width: float = 1.0, dropout: float = 0.5, *, backdrop: bool = False) -> None:
        super().__init__()
        depth = side.bit_length() - 1
        if side != 2**depth or not 4 <= depth <= len(UNET):
            raise ValueError(f"a U-Net of side {side}: it takes 16, 32, 64, 128 or 256")
        sizes = [scaled(one, width) for one in UNET[:depth]]
        self.downs = nn.ModuleList(_down(sizes, channels))
        self.ups = nn.ModuleList(_up(sizes))
        self.backdrop = nn.Parameter(torch.zeros(1, 3, side, side)) if backdrop else None
        self.dropout = dropout

    def hang(self, picture: Tensor) -> None:
        """Begin with a picture as the backdrop: (3, S, S) in 0..1."""
        if self.backdrop is not None:
            with torch.no_grad():
                self.backdrop.copy_(torch.atanh((picture * 2 - 1).clamp(-STARKEST, STARKEST))[None])

    def forward(self, pictures: Tensor) -> Tensor:
        x, skips = pictures * 2 - 1, []
        for i, down in enumerate(self.downs):
            x = down(x if i == 0 else F.leaky_relu(x, 0.2))
            skips.append(x)
        last = len(self.ups) - 1
        for i, up in enumerate(self.ups):
            x = F.relu(x)
            # The last layer decides the colours, and may be kept finer than the others.
            x = up(x.to(next(up.parameters()).dtype) if i == last else x)
            if 1 <= i <= UNET_DROPPED and i < last:
                x = F.dropout(x, self.dropout, self.training)
            if i < last:
                x = torch.cat([x, skips[-i - 2]], dim=1)
        painted: Tensor = torch.tanh(x if self.backdrop is None else x + self.backdrop) * 0.5 + 0.5
        return painted


def _down(sizes: Sequence[int], channels: int) -> list[nn.Module]:
    """Return convolutions that halve, all but the outermost and the innermost with batch norm."""
    made: list[nn.Module] = []
    before = [channels, *sizes]
    for i, size in enumerate(sizes):
        is_bare = i in (0, len(sizes) - 1)
        convolution = nn.Conv2d(before[i], size, 4, 2, 1, bias=is_bare)
        made.append(convolution if is_bare else nn.Sequential(convolution, nn.BatchNorm2d(size)))
    return made


def _up(sizes: Sequence[int]) -> list[nn.Module]:
    """Return transposed convolutions that double, the innermost first."""
    made: list[nn.Module] = []
    for i in range(len(sizes) - 1, 0, -1):
        taken = sizes[i] if i == len(sizes) - 1 else 2 * sizes[i]
        made.append(nn.Sequential(nn.ConvTranspose2d(taken, sizes[i - 1], 4, 2, 1, bias=False), nn.BatchNorm2d(sizes[i - 1])))
    return [*made, nn.ConvTranspose2d(2 * sizes[0], 3, 4, 2, 1)]


class Critic(nn.Module):
    """(B, C, S, S) in 0..1 -> (B,) scores: a discriminator of the DCGAN kind that looks at the whole picture at once.

    1 is a photograph, 0 is not; without a sigmoid, for least squares.
    """

    def __init__(self, channels: int = 3, side: int = 256, width: float = 1.0) -> None:
        super().__init__()
        depth = min(side.bit_length() - 3, len(CRITIC))
        sizes = [scaled(one, width) for one in CRITIC[:depth]]
        layers: list[nn.Module] = []
        for i, size in enumerate(sizes):
            convolution = nn.Conv2d([channels, *sizes][i], size, 4, 2, 1, bias=i == 0)
            layers.append(convolution if i == 0 else nn.Sequential(convolution, nn.BatchNorm2d(size)))
        self.layers = nn.ModuleList(layers)
        self.last = nn.Conv2d(sizes[-1], 1, side // 2**depth)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Return what each layer makes of the pictures: half the side each time, down to 4 px."""
        x, found = pictures * 2 - 1, []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            found.append(x)
        return found

    def forward(self, pictures: Tensor) -> Tensor:
        scores: Tensor = self.last(self.maps(pictures)[-1])
        return scores.flatten().float()


def start_as_pix2pix(network: nn.Module) -> None:
    """Draw a network's weights as Pix2Pix and DCGAN do: N(0, 0.02), the gains of norms N(1, 0.02)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
