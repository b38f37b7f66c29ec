"""incontext: speech, stills and a frame whose mouth is hidden -> that frame with its mouth (section 6.2 of the paper, Fig. 14).

The encoders of Speech2Vid at 224 px, and a third one of their kind: the *context encoder* sees the frame that is painted over,
behind a mask (`redub_speech2vid.hidden`).  So pose, light and background are those of the frame, and what is painted can be
put back as it is.  Layers and sizes are a reconstruction: the figure gives none that can be read.

The table's network is large.  What is hidden is in the lower part of the crop, and nothing else is ever put back, so the last
layers may be restricted to the lower rows (``rows``).  And the shape ``slim`` works at half the size up to its last layer,
which paints four pixels at each place (Shi et al. 2016), and works out what skips contribute at the size of their own maps.

The shape ``moving`` is ``slim`` with another end.  It does not paint a face anew but says from where in each still a pixel is
to be taken, which stills are to be believed there, and where none of them shows what is needed; only there it paints.  So skin
and teeth are the speaker's own and sharp, whoever it is, and there is far less to be learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redub_speech2vid.model import (
    EVEN,
    FEATURES,
    LESS,
    NONE,
    STILLS,
    TWO,
    WIDE,
    AudioEncoder,
    Identity,
    IdentityEncoder,
    Layer,
    Norms,
    Step,
    last_layer,
)

CONTEXT_PX = 224
GRID_ROWS = 54
"""Rows of the maps from which on the decoder may be restricted to the lower ones."""
Shape = Literal["table", "slim", "moving"]
ContextSkip = Literal["pool2", "relu2", "pool1", "relu1"]
CONTEXT_SKIP_NAMES: tuple[ContextSkip, ...] = ("pool2", "relu2", "pool1", "relu1")
IDENTITY_SKIPS: tuple[ContextSkip, ...] = ("relu2", "pool1")
CONTEXT_SKIPS: tuple[ContextSkip, ...] = ("relu2", "pool1", "relu1")
"""The frame has no mouth that could be copied, so its earliest maps, which carry background and light, may be used."""
DECISION = 16.0
"""By how much the difference of two stills counts: a mean of all of them is a blur."""
REACH, PAINTED_AT_FIRST = 0.3, -2.0
"""How far a pixel may come from, in half crops; how little is painted before anything is learnt."""
IDENTITY, CONTEXT = 0, 1
"""Where a skip comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How the network is built; the table's by default."""

    width: float = 1.0
    """Share of the table's channels in the encoders of sound and stills, and in the decoder up to 26 px; features stay 256 long."""
    context: float = 1.0
    """The same in the context encoder, which works for every frame."""
    fine: float = 1.0
    """The same in the decoder from 54 px on, where most of the time goes."""
    identity_skips: tuple[ContextSkip, ...] = IDENTITY_SKIPS
    """Which maps of the stills the decoder sees."""
    context_skips: tuple[ContextSkip, ...] = CONTEXT_SKIPS
    """Which maps of the frame."""
    stills: int = STILLS
    """Pictures of the speaker, joined by channel."""
    rows: int = GRID_ROWS
    """How many of 54 rows of maps are painted from, the lowest ones."""
    shape: Shape = "table"


def painted_rows(rows: int) -> int:
    """Return the height of what is painted from so many rows of maps, px."""
    return 4 * rows + 8


class WideEncoder(IdentityEncoder):
    """(B, 3 * stills, 224, 224) in 0..1 -> (B, 256) and the maps that skips may take: VGG-M, as it was meant to be used."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        relu1 = self.conv1(pictures)  # (B, 96, 109, 109)
        pool1 = F.max_pool2d(relu1, 3, 2)  # (B, 96, 54, 54)
        relu2 = self.conv2(pool1)  # (B, 256, 26, 26)
        pool2 = F.max_pool2d(relu2, 3, 2, ceil_mode=True)  # (B, 256, 13, 13)
        x = self.conv5(self.conv4(self.conv3(pool2)))  # (B, 512, 13, 13)
        x = self.fc7(self.fc6(F.max_pool2d(x, 3, 2)))  # (B, 512, 6, 6) -> (B, 256, 1, 1)
        return x.flatten(1), {"relu1": relu1, "pool1": pool1, "relu2": relu2, "pool2": pool2}


class ContextDecoder(nn.Module):
    """(B, 256) of speech, and identity joined with context -> (B, 3, 4 * rows + 8, 224) in 0..1, the lower part of the crop."""

    def __init__(self, build: Build) -> None:
        super().__init__()
        self.rows, slim = build.rows, build.shape != "table"
        self.is_slim, self.stills = slim, build.stills if build.shape == "moving" else 0
        c128, c256, c512 = (round(c * build.width) for c in (128, 256, 512))
        c96, c64 = (round(c * build.fine) for c in (96, 64))

        def joined(name: ContextSkip, channels: int) -> tuple[int, int]:
            identity = round(channels * build.width) if name in build.identity_skips else 0
            return identity, round(channels * build.context) if name in build.context_skips else 0

        self.conv8 = Layer(3 * FEATURES, c128, NONE, kernel=1, grows=False)
        self.conv1_1 = Layer(c128, c128, EVEN)
        self.conv1_2 = Layer(c128, c256, EVEN)
        self.conv1_3 = Layer(c256, c512, NONE)
        self.conv2 = Layer(c512, c256, LESS)
        self.conv3_1 = Layer(c256, c256, EVEN, skips=joined("pool2", 256), late=slim)
        self.conv3_2 = Layer(c256, c96, TWO if slim else WIDE, kernel=3 if slim else 5, skips=joined("relu2", 256), late=slim)
        self.conv4 = Layer(c96, c96, LESS, skips=joined("pool1", 96), late=slim)
        self.conv5_1 = Layer(c96, c64, TWO, grows=not slim, skips=joined("relu1", 96), late=slim)
        self.conv5_2 = Layer(c64, c64 if slim else c64 // 2, LESS if slim else TWO, grows=False)
        self.conv5_3 = (
            last_layer(c64, EVEN, outputs=12 + (3 * self.stills + 1 if self.stills else 0)) if slim else last_layer(c64 // 2, TWO)
        )
        if self.stills:
            with torch.no_grad():
                self.conv5_3.bias[12] = PAINTED_AT_FIRST

    def separate(self, stills: Tensor) -> Tensor | None:
        """Return stills one by one, if it moves them: (K, 15, S, S) -> (K, 5, 3, S, S)."""
        return stills.reshape(len(stills), self.stills, 3, *stills.shape[2:]).float() if self.stills else None

    def shares(self, maps: dict[str, Tensor], source: int) -> dict[str, Tensor]:
        """What the skips of one source contribute: `IDENTITY` or `CONTEXT`."""
        takers = {"pool2": self.conv3_1, "relu2": self.conv3_2, "pool1": self.conv4, "relu1": self.conv5_1}
        # Where the decoder is restricted to the lower rows, so are these.
        lower = {"pool1": self.rows, "relu1": 2 * self.rows + 1}
        return {
            name: taker.share(maps[name][:, :, -lower.get(name, len(maps[name][0, 0])) :], source)
            for name, taker in takers.items()
            if taker.skips[source]
        }

    def forward(self, speech: Tensor, scene: Identity, norms: Norms | None = None) -> Tensor:
        """Paint.

        Args:
            speech: (B, 256).
            scene: Identity joined with context, as many.
            norms: As for `redub_speech2vid.model.Decoder`.
        """
        skips, up = scene.skips, Step(self, norms)
        x = torch.cat([speech, scene.feature], 1)[..., None, None]  # (B, 768, 1, 1)
        x = up("conv1_1", up("conv8", x))  # (B, 128, 2, 2)
        x = up("conv2", up("conv1_3", up("conv1_2", x)))  # 256 x 4 x 4, 512 x 6 x 6, (B, 256, 13, 13)
        x = up("conv3_1", x, skips.get("pool2"))  # (B, 256, 26, 26)
        x = up("conv3_2", x, skips.get("relu2"))  # (B, 96, 54, 54)
        x = up("conv4", x[:, :, -self.rows :], skips.get("pool1"))  # (B, 96, 109, 109)
        x = up("conv5_1", x, skips.get("relu1"))  # (B, 64, 220, 220); slim (B, 64, 111, 111)
        x = up("conv5_2", x)  # (B, 32, 222, 222); slim (B, 64, 112, 112)
        x = self.conv5_3(x.to(self.conv5_3.weight.dtype))
        if not self.is_slim:
            return torch.sigmoid(x)  # (B, 3, 224, 224)
        painted = torch.sigmoid(F.pixel_shuffle(x[:, :12], 2))  # (B, 3, 224, 224)
        return painted if scene.stills is None or not self.stills else mixed(painted, x[:, 12:].float(), scene.stills)


def mixed(painted: Tensor, said: Tensor, stills: Tensor) -> Tensor:
    """Take pixels from stills, and paint where none of them has what is needed.

    Args:
        painted: (B, 3, H, W) in 0..1, the lower part of the crop.
        said: (B, 1 + 3 * N, H / 2, W / 2): where to paint, then how far each still is to be believed, then from where in each a
            pixel is taken, across and down.
        stills: (K, N, 3, S, S) in 0..1; B is a multiple of K, and as many frames in a row belong to each.

    Returns:
        (B, 3, H, W).
    """
    speakers, count = stills.shape[:2]
    each, (height, width), side = len(painted) // speakers, painted.shape[2:], stills.shape[-1]
    said = F.interpolate(said, (height, width), mode="bilinear", align_corners=False)
    belief = torch.softmax(DECISION * said[:, 1 : 1 + count], 1)[:, :, None]  # (B, N, 1, H, W)
    down, across = ((torch.arange(side - count, side, device=said.device) + 0.5) * 2 / side - 1 for count in (height, width))
    y, x = torch.meshgrid(down, across, indexing="ij")
    moved = REACH * torch.tanh(said[:, 1 + count :]).reshape(len(said), count, 2, height, width)  # (B, N, 2, H, W)
    grid = (moved + torch.stack([x, y])).permute(0, 1, 3, 4, 2)  # (B, N, H, W, 2)
    # All frames of a speaker look into the same stills, so they are stacked as one tall picture and nothing is copied.
    tall = grid.reshape(speakers, each, count, height, width, 2).transpose(1, 2).reshape(speakers * count, each * height, width, 2)
    taken = F.grid_sample(stills.flatten(0, 1).float(), tall, padding_mode="border", align_corners=False)
    taken = taken.view(speakers, count, 3, each, height, width).permute(0, 3, 1, 2, 4, 5).flatten(0, 1)  # (B, N, 3, H, W)
    share = torch.sigmoid(said[:, :1])
    return share * painted.float() + (1 - share) * (belief * taken).sum(1)


class InContext(nn.Module):
    """The network of section 6.2, built as a `Build` says."""

    def __init__(self, build: Build) -> None:
        super().__init__()
        self.audio = AudioEncoder(build.width)
        self.identity = WideEncoder(build.stills, build.width)
        self.context = WideEncoder(1, build.context)
        self.decoder = ContextDecoder(build)

    def identify(self, stills: Tensor) -> Identity:
        """(B, 15, 224, 224) in 0..1 -> what the decoder needs of the speakers, the same for all frames."""
        feature, maps = self.identity(stills)
        return Identity(feature=feature, skips=self.decoder.shares(maps, IDENTITY), stills=self.decoder.separate(stills))

    def place(self, frames: Tensor) -> Identity:
        """(B, 3, 224, 224) in 0..1, mouths hidden -> what the decoder needs of the frames."""
        feature, maps = self.context(frames)
        return Identity(feature=feature, skips=self.decoder.shares(maps, CONTEXT))

    def forward(self, mfcc: Tensor, identity: Identity, frames: Tensor) -> Tensor:
        """(B, 1, 12, 35) MFCC, as many identities and hidden frames -> (B, 3, 4 * rows + 8, 224) RGB in 0..1."""
        pictures: Tensor = self.decoder(self.audio(mfcc), identity.join(self.place(frames)))
        return pictures
