"""generator: a load context -> a generator; imported only when it is used.

It listens, and looks at nothing: not at the frames that it paints over, nor at landmarks.  Each frame is painted from the sound
around its own time, at any frame rate of the video, so that cutting a run into calls changes nothing.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from redub.errors import PluginError
from redub.plugin import Clip, Generator, LoadContext, Painted, check_clip, choose_device
from redub.types import RGB, Floats
from redub_lumierenet.audio import BANDS, lags, normalised, windows
from redub_lumierenet.networks import Decoder, Ear, UNet
from redub_lumierenet.painting import enlarged
from redub_lumierenet.plugin import INFO, LARGEST_RATE_LAG_S, SLOWEST
from redub_lumierenet.samples import SIDE
from redub_lumierenet.weights import Instructor, read_instructor

Network = TypeVar("Network", bound=nn.Module)

BATCH = 4
"""Frames go through the networks so many at a time, the last ones filled up: other numbers may take other ways through the
floating-point units, and a frame must not depend on where its video was cut."""
TINY = 1 / 16
CONTRAST = 30.0


def load(context: LoadContext) -> Generator:
    """Load the generator.

    Raises:
        RedubError: The weights cannot be read, or are not those of this network.
        PluginError: They hear farther than declared, or there is no such device.
    """
    device = choose_device(context.device)
    instructor = _tiny(context.seed) if context.weights is None else read_instructor(next(iter(context.weights.values())))
    steps = lags(float(instructor.rate_hz), instructor.window, instructor.ahead)
    if -steps[0] > LARGEST_RATE_LAG_S or steps[-1] > LARGEST_RATE_LAG_S:
        raise PluginError("The weights hear farther around a frame than this plugin declares.", "Upgrade redub-lumierenet.")
    return LumiereNetGenerator(instructor, device, context)


def _tiny(seed: int) -> Instructor:
    # What others draw does not depend on whether a generator was loaded before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        ear, decoder, generator = Ear(8), Decoder(64, TINY), UNet(3, SIDE, TINY, 0.0)
    with torch.no_grad():
        # Untrained they paint an even gray, in which no fault would be seen.
        for layer in (ear.fc, decoder.convolutions[-1], generator.ups[-1]):
            layer.weight.mul_(CONTRAST)  # type: ignore[operator]
    return Instructor(
        ear=ear.eval(), decoder=decoder.eval(), generator=generator.eval(), mean=torch.full((BANDS,), -10.0),
        deviation=torch.full((BANDS,), 4.0), window=15, ahead=0, rate_hz=SLOWEST,
    )  # fmt: skip


class LumiereNetGenerator(Generator):
    """Paints one person from speech."""

    def __init__(self, instructor: Instructor, device: str, context: LoadContext) -> None:
        self.device, self.mode = device, INFO.modes[context.mode]
        self.type = torch.bfloat16 if has_bfloat16(device) else torch.float32
        self.steps_s = lags(float(instructor.rate_hz), instructor.window, instructor.ahead)
        self.mean, self.deviation = instructor.mean.numpy(), instructor.deviation.numpy()
        self.ear = instructor.ear.to(device)
        self.decoder = _ready(instructor.decoder, device, self.type)
        backdrop = instructor.generator.backdrop
        backdrop = None if backdrop is None else nn.Parameter(backdrop.detach().to(device, copy=True))
        self.generator = _ready(_fused(instructor.generator), device, self.type)
        # The last layer and the backdrop decide the colours: half precision would show as bands.
        self.generator.ups[-1].float()
        if backdrop is not None:
            self.generator.backdrop = backdrop

    @torch.inference_mode()
    def generate(self, clip: Clip) -> Painted:
        check_clip(clip, INFO, self.mode)
        heard = normalised(windows(clip.speech, clip.times_s, self.steps_s), self.mean, self.deviation)
        count = len(heard)
        filled = torch.from_numpy(np.concatenate([heard, np.repeat(heard[-1:], -count % BATCH, axis=0)]))
        return Painted(frames=self._paint_all(filled)[:count])

    @torch.inference_mode()
    def paint_heard(self, heard: Floats) -> RGB:
        """Paint from energies that were found before: (T, W, 40), not normalised -> (T, 256, 256, 3)."""
        return self._paint_all(torch.from_numpy(normalised(heard, self.mean, self.deviation)))

    def _paint_all(self, heard: Tensor) -> RGB:
        return np.concatenate([self._paint(self._pose(heard[start : start + BATCH])) for start in range(0, len(heard), BATCH)])

    @torch.inference_mode()
    def paint_figures(self, figures: RGB) -> RGB:
        """Paint from given pose figures in the place of heard ones: (T, s, s, 3) -> (T, 256, 256, 3)."""
        shown = torch.from_numpy(np.ascontiguousarray(figures)).permute(0, 3, 1, 2).to(self.device).float() / 255
        return np.concatenate([self._paint(shown[start : start + BATCH].to(self.type)) for start in range(0, len(shown), BATCH)])

    def _pose(self, heard: Tensor) -> Tensor:
        """(B, W, 40) -> (B, 3, side, side)."""
        figures: Tensor = self.decoder(self.ear(heard.to(self.device)).to(self.type))
        return figures

    def _paint(self, figures: Tensor) -> RGB:
        """(B, 3, side, side) -> (B, 256, 256, 3)."""
        return as_pictures(self.generator(enlarged(figures).contiguous(memory_format=torch.channels_last)).float())


def as_pictures(painted: Tensor) -> RGB:
    """(B, 3, H, W) in 0..1 -> (B, H, W, 3) uint8."""
    levels = (painted * 255).round_().clamp_(0, 255).to(torch.uint8)
    pictures: RGB = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pictures


def has_bfloat16(device: str) -> bool:
    """Say whether a device computes in bfloat16 faster than in single precision."""
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Not public, and not in every version: without it single precision is right, only slower.
    is_native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return kind == "cpu" and is_native is not None and bool(is_native())


def _fused(generator: UNet) -> UNet:
    """Fold batch norms into the convolutions before them."""
    for layers, is_transposed in ((generator.downs, False), (generator.ups, True)):
        for i, layer in enumerate(layers):
            if isinstance(layer, nn.Sequential):
                layers[i] = fuse_conv_bn_eval(layer[0], layer[1], is_transposed)  # type: ignore[type-var, arg-type]
    return generator


def _ready(network: Network, device: str, kind: torch.dtype) -> Network:
    return network.eval().to(device, kind, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
