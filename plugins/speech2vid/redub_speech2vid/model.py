"""model: speech and stills -> the talking face (section 3 of the paper, Fig. 4, and the sharpening network of Fig. 6).

Three parts: an audio encoder (12 x 35 MFCC -> 256), an identity encoder (five stills -> 256 and maps for the skips) and
a decoder (512 -> 109 x 109 RGB).  What the decoder makes of the stills does not change from frame to frame, so it is
worked out once for a speaker (`Identity`): a convolution over joined maps is the sum of one over each of them.

Encoder layers are convolution, batch norm, ReLU; decoder layers convolution, ReLU; the last one a sigmoid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MFCC_ROWS, MFCC_COLUMNS = 12, 35
INPUT_PX, OUTPUT_PX = 112, 109
STILLS = 5
FEATURES = 256
"""Length of either encoder's feature."""
BATCH_NORM_EPS = 1e-4

Skip = Literal["relu2", "pool1", "relu1"]
Upsampling = Literal["bilinear", "transposed"]
SKIP_NAMES: tuple[Skip, ...] = ("relu2", "pool1", "relu1")
SKIPS: tuple[Skip, ...] = ("relu2", "pool1")
"""The paper leaves out earlier ones, with which the result stays too like the stills; its demo has ``relu1`` too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identity:
    """What the decoder needs of a speaker, worked out once."""

    feature: Tensor
    """(B, 256)."""
    skips: dict[str, Tensor]
    """Each skip's share of the convolution that follows it."""
    stills: Tensor | None = None
    """(K, 5, 3, S, S) the speakers' pictures, for a decoder that moves them; each is meant for as many frames in a row."""

    def repeat(self, count: int) -> Identity:
        """Return each speaker so often in a row: one for each frame, when as many frames share each speaker."""

        def repeated(maps: Tensor) -> Tensor:
            # Its gradient is a plain sum, which is quicker than that of an index.
            return maps[:, None].expand(-1, count, *maps.shape[1:]).flatten(0, 1)

        skips = {name: repeated(maps) for name, maps in self.skips.items()}
        return Identity(feature=repeated(self.feature), skips=skips, stills=self.stills)

    def join(self, other: Identity) -> Identity:
        """Return this and something else that the decoder needs: features beside each other, shares of convolutions added."""
        skips = {name: sum(one.skips[name] for one in (self, other) if name in one.skips) for name in {**self.skips, **other.skips}}
        return Identity(feature=torch.cat([self.feature, other.feature], 1), skips=skips, stills=self.stills)  # type: ignore[arg-type]

    def expand(self, count: int) -> Identity:
        """Return one speaker for several frames, without a copy."""
        skips = {name: maps.expand(count, -1, -1, -1) for name, maps in self.skips.items()}
        return Identity(feature=self.feature.expand(count, -1), skips=skips, stills=self.stills)


def _encoder_layer(inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, pad: int = 0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, pad), nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPS), nn.ReLU(inplace=True)
    )


class AudioEncoder(nn.Module):
    """(B, 1, 12, 35) MFCC -> (B, 256)."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c1, c2, c3, c6 = (round(c * width) for c in (64, 128, 256, 512))
        self.conv1 = _encoder_layer(1, c1, 3, pad=1)
        self.conv2 = _encoder_layer(c1, c2, 3, pad=1)
        self.conv3 = _encoder_layer(c2, c3, 3, pad=1)
        self.conv4 = _encoder_layer(c3, c3, 3, pad=1)
        self.conv5 = _encoder_layer(c3, c3, 3, pad=1)
        self.fc6 = _encoder_layer(c3, c6, (5, 8))
        self.fc7 = _encoder_layer(c6, FEATURES, 1)

    def forward(self, mfcc: Tensor) -> Tensor:
        x: Tensor = self.fc7(self.hidden(mfcc))
        return x.flatten(1)  # (B, 256)

    def hidden(self, mfcc: Tensor) -> Tensor:
        """(B, 1, 12, 35) -> (B, 512, 1, 1): all but the last layer."""
        x = self.conv2(self.conv1(mfcc))  # (B, 128, 12, 35)
        # One row on top; pooling halves the time steps only.
        x = F.max_pool2d(F.pad(x, (0, 0, 1, 0), value=-torch.inf), 3, (1, 2))  # (B, 128, 11, 17)
        x = self.conv5(self.conv4(self.conv3(x)))  # (B, 256, 11, 17)
        hidden: Tensor = self.fc6(F.max_pool2d(x, 3, 2))  # (B, 256, 5, 8) -> (B, 512, 1, 1)
        return hidden


class IdentityEncoder(nn.Module):
    """(B, 15, 112, 112) stills, joined by channel, in 0..1 -> (B, 256) and the maps that skips may take.

    The layers of VGG-M; conv1 to conv5 can start from its weights for faces.
    """

    def __init__(self, stills: int = STILLS, width: float = 1.0) -> None:
        super().__init__()
        c1, c2, c3 = (round(c * width) for c in (96, 256, 512))
        self.conv1 = _encoder_layer(3 * stills, c1, 7, 2)
        self.conv2 = _encoder_layer(c1, c2, 5, 2, 1)
        self.conv3 = _encoder_layer(c2, c3, 3, pad=1)
        self.conv4 = _encoder_layer(c3, c3, 3, pad=1)
        self.conv5 = _encoder_layer(c3, c3, 3, pad=1)
        self.fc6 = _encoder_layer(c3, c3, 6)
        self.fc7 = _encoder_layer(c3, FEATURES, 1)

    def forward(self, stills: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        relu1 = self.conv1(stills)  # (B, 96, 53, 53)
        pool1 = F.max_pool2d(relu1, 3, 2)  # (B, 96, 26, 26)
        relu2 = self.conv2(pool1)  # (B, 256, 12, 12)
        x = F.max_pool2d(relu2, 3, 2, ceil_mode=True)  # (B, 256, 6, 6)
        x = self.fc7(self.fc6(self.conv5(self.conv4(self.conv3(x)))))  # (B, 256, 1, 1)
        return x.flatten(1), {"relu1": relu1, "pool1": pool1, "relu2": relu2}


Pad = tuple[int, int, int, int]


class Layer(nn.Module):
    """One layer of a decoder: twice the size, if it grows, then a convolution; or one transposed convolution of the same reach (Table 2).

    The maps may come with skips, whose shares of the convolution are worked out apart (`share`) and added.

    Args:
        inputs: Channels of the maps, without skips.
        outputs: Channels of what comes out.
        pad: Left, right, top, bottom.
        kernel: Side of the convolution.
        grows: Whether the size is doubled first.
        upsampling: How.
        skips: Channels of each source that a skip may come from, 0 where none does.
        late: Whether a skip's share is worked out at the size of its own maps and enlarged afterwards, at a quarter of the cost.
    """

    def __init__(  # noqa: PLR0913  a row of the table
        self,
        inputs: int,
        outputs: int,
        pad: Pad,
        *,
        kernel: int = 3,
        grows: bool = True,
        upsampling: Upsampling = "bilinear",
        skips: Sequence[int] = (),
        late: bool = False,
    ) -> None:
        super().__init__()
        self.pad, self.skips, self.grows, self.late = pad, tuple(skips), grows, late
        self.is_transposed = grows and upsampling == "transposed"
        # A transposed convolution of 4 and stride 2 doubles the size; what padding adds or takes is done after it.
        joined = sum(skips) + inputs
        shape = (joined, outputs, 4, 4) if self.is_transposed else (outputs, joined, kernel, kernel)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(outputs))
        reach = 4 if self.is_transposed else kernel * kernel
        # Without batch norm nothing else keeps the signal's size on its way up: with torch's usual, smaller weights the few
        # numbers of speech die out before they meet the skips, and most units with them.
        nn.init.normal_(self.weight, std=(2.0 / (joined * reach)) ** 0.5)

    def share(self, maps: Tensor, source: int = 0) -> Tensor:
        """A skip's share, without bias."""
        first = sum(self.skips[:source])
        rows = slice(first, first + self.skips[source])
        if self.late:
            return F.conv2d(maps, self.weight[:, rows], None, padding=self.weight.shape[-1] // 2)
        return self._convolve(maps, rows, None)

    def forward(self, x: Tensor, share: Tensor | None = None) -> Tensor:
        """Return what comes out, before any ReLU."""
        x = self._convolve(x, slice(sum(self.skips), None), self.bias)
        if share is not None and share.shape[2:] != x.shape[2:]:
            share = F.interpolate(share, x.shape[2:], mode="bilinear", align_corners=True)
        return x if share is None else x + share

    def _convolve(self, x: Tensor, rows: slice, bias: Tensor | None) -> Tensor:
        if self.is_transposed:
            x = F.conv_transpose2d(x, self.weight[rows], bias, stride=2, padding=1)
            # A 3x3 kernel with padding of one keeps the size; less or more padding crops or grows it.
            return F.pad(x, tuple(p - 1 for p in self.pad))
        if self.grows:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        left, right, top, bottom = self.pad
        weight = self.weight[:, rows]
        if torch.is_grad_enabled():
            # Convolutions that pad by more than one are slow to differentiate: a third of all time of a training.
            return F.conv2d(F.pad(x, self.pad), weight, bias)
        # The convolution pads alike on both sides; cutting off what is too much is quicker than copying the map into a larger one.
        x = F.conv2d(x, weight, bias, padding=(top, left))
        return x[:, :, : x.shape[2] - top + bottom, : x.shape[3] - left + right]


EVEN, NONE, LESS, TWO, WIDE = (1, 1, 1, 1), (0, 0, 0, 0), (2, 1, 2, 1), (2, 2, 2, 2), (3, 3, 3, 3)
"""Padding left, right, top, bottom.  Where its map must meet an encoder's the decoder grows by one, at the left and top."""
Norms = Mapping[str, nn.Module]


class Decoder(nn.Module):
    """(B, 256) of speech and an `Identity` -> (B, 3, 109, 109) in 0..1."""

    def __init__(self, skips: Sequence[Skip] = SKIPS, upsampling: Upsampling = "bilinear", width: float = 1.0) -> None:
        super().__init__()
        c64, c96, c128, c256, c512 = (round(c * width) for c in (64, 96, 128, 256, 512))
        a, b, c = ((channels,) if name in skips else () for name, channels in (("relu2", c256), ("pool1", c96), ("relu1", c96)))
        self.conv8 = Layer(2 * FEATURES, c128, NONE, kernel=1, grows=False)
        self.conv1_1 = Layer(c128, c128, EVEN, upsampling=upsampling)
        self.conv1_2 = Layer(c128, c256, EVEN, upsampling=upsampling)
        self.conv1_3 = Layer(c256, c512, NONE, upsampling=upsampling)
        self.conv2 = Layer(c512, c256, EVEN, upsampling=upsampling)
        self.conv3_1 = Layer(c256, c256, EVEN, upsampling=upsampling, skips=a)
        self.conv3_2 = Layer(c256, c96, WIDE, kernel=5, grows=False)
        self.conv4 = Layer(c96, c96, LESS, upsampling=upsampling, skips=b)
        self.conv5_1 = Layer(c96, c64, LESS, upsampling=upsampling, skips=c)
        self.conv5_2 = Layer(c64, c64 // 2, LESS, grows=False)
        self.conv5_3 = last_layer(c64 // 2, LESS)

    def shares(self, maps: dict[str, Tensor], source: int = 0) -> dict[str, Tensor]:
        """What the skips contribute, the same for all frames of a speaker; there is one source, the stills."""
        takers = {"relu2": self.conv3_1, "pool1": self.conv4, "relu1": self.conv5_1}
        return {name: taker.share(maps[name], source) for name, taker in takers.items() if taker.skips}

    def forward(self, speech: Tensor, identity: Identity, norms: Norms | None = None) -> Tensor:
        """Paint.

        Args:
            speech: (B, 256).
            identity: As many.
            norms: What stands between convolution and ReLU, by the layer's name, while it learns (`redub_speech2vid.norms`).
        """
        skips, up = identity.skips, Step(self, norms)
        x = torch.cat([speech, identity.feature], 1)[..., None, None]  # (B, 512, 1, 1)
        x = up("conv1_1", up("conv8", x))  # (B, 128, 2, 2)
        x = up("conv2", up("conv1_3", up("conv1_2", x)))  # 256 x 4 x 4, 512 x 6 x 6, (B, 256, 12, 12)
        x = up("conv3_1", x, skips.get("relu2"))  # (B, 256, 24, 24)
        x = up("conv3_2", x)  # (B, 96, 26, 26)
        x = up("conv4", x, skips.get("pool1"))  # (B, 96, 53, 53)
        x = up("conv5_1", x, skips.get("relu1"))  # (B, 64, 107, 107)
        x = up("conv5_2", x)  # (B, 32, 108, 108)
        # The last layer may be kept in single precision for finer colours.
        return torch.sigmoid(self.conv5_3(x.to(self.conv5_3.weight.dtype)))  # (B, 3, 109, 109)


class Step:
    """A decoder's layers, by name: convolution, norm if there is one, ReLU."""

    def __init__(self, decoder: nn.Module, norms: Norms | None) -> None:
        self.decoder, self.norms = decoder, norms

    def __call__(self, name: str, x: Tensor, share: Tensor | None = None) -> Tensor:
        x = getattr(self.decoder, name)(x, share)
        return F.relu(x if self.norms is None else self.norms[name](x))


def last_layer(inputs: int, pad: Pad, outputs: int = 3) -> Layer:
    """Return the layer that makes colours: it begins with an even gray."""
    layer = Layer(inputs, outputs, pad, grows=False)
    nn.init.normal_(layer.weight, std=0.02)
    return layer


def _no_bias(layer: nn.Conv2d) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Speech2Vid(nn.Module):
    """The generator of section 3: row (6) of Table 2 by default.

    Args:
        skips: Which maps of the identity encoder the decoder sees.
        upsampling: ``bilinear`` with a convolution, or ``transposed``.
        stills: Pictures of the speaker, joined by channel.
        width: Share of the table's channels; the features stay 256 long.
    """

    def __init__(
        self, *, skips: Sequence[Skip] = SKIPS, upsampling: Upsampling = "bilinear", stills: int = STILLS, width: float = 1.0
    ) -> None:
        super().__init__()
        self.audio = AudioEncoder(width)
        self.identity = IdentityEncoder(stills, width)
        self.decoder = Decoder(skips, upsampling, width)

    def identify(self, stills: Tensor) -> Identity:
        """(B, 15, 112, 112) in 0..1 -> what the decoder needs of the speakers."""
        feature, maps = self.identity(stills)
        return Identity(feature=feature, skips=self.decoder.shares(maps))

    def forward(self, mfcc: Tensor, identity: Identity) -> Tensor:
        """(B, 1, 12, 35) MFCC and as many identities -> (B, 3, 109, 109) RGB in 0..1."""
        pictures: Tensor = self.decoder(self.audio(mfcc), identity)
        return pictures


class Sharpener(nn.Module):
    """Ten 3x3 convolutions that add what blur took away (Fig. 6): (B, 3, H, W) in 0..1 -> the same."""

    def __init__(self, channels: int = 64, layers: int = 10) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for i in range(layers):
            last = i == layers - 1
            steps.append(nn.Conv2d(3 if i == 0 else channels, 3 if last else channels, 3, padding=1))
            steps += [] if last else [nn.ReLU(inplace=True)]
        self.steps = nn.Sequential(*steps)
        # It begins as the identity: what it adds grows from nothing.
        final = steps[-1]
        assert isinstance(final, nn.Conv2d)
        nn.init.normal_(final.weight, std=1e-3)
        _no_bias(final)

    def forward(self, pictures: Tensor) -> Tensor:
        added: Tensor = self.steps(pictures)
        return (pictures + added).clamp(0, 1)
