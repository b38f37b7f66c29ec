"""generator: a load context -> a generator; imported only when it is used.

For blending it looks at the speech and at the stills, and at nothing else: not at the frames that it paints over.  In context
(`Blend.NETWORK`) it looks at those frames too, but at none of what `redub_speech2vid.hidden` hides.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from redub.errors import PluginError
from redub.plugin import Clip, Generator, LoadContext, Painted, check_clip, choose_device
from redub.speech.features import speech_windows
from redub.training.checkpoint import read_tensors
from redub.types import RGB, Blend
from redub_speech2vid.canvas import PLAIN, context_canvas
from redub_speech2vid.hidden import hide, shown
from redub_speech2vid.incontext import CONTEXT_PX, Build, InContext
from redub_speech2vid.model import Identity, Sharpener, Speech2Vid
from redub_speech2vid.plugin import INFO
from redub_speech2vid.weights import SHARPENER, check_mode, network_from

Network = Speech2Vid | InContext
Module = TypeVar("Module", bound=nn.Module)

BATCH = 8
"""Frames go through the network so many at a time, the last ones filled up: other numbers may take other ways through the
floating-point units, and a frame must not depend on where its video was cut."""
SPEAKERS = 4
"""So many speakers are remembered."""
TINY, CONTRAST = 1 / 16, 100.0
ROWS = 34
"""Of 54 rows of maps, those that a network without weights is painted from."""


def load(context: LoadContext) -> Generator:
    """Load the generator.

    Raises:
        RedubError: The weights cannot be read, or are not those of this network.
        PluginError: There are no weights, adapted ones do not belong to them, or there is no such device.
    """
    device = choose_device(context.device)
    if context.weights is None:
        return Speech2VidGenerator(_tiny(context.seed, context.mode), None, device, context)
    if not context.weights:
        said = f"The generator {INFO.name} has no trained weights yet, for {context.mode} or anything else."
        raise PluginError(said, "Use another one:  redub plugins")
    tensors, metadata = read_tensors(next(iter(context.weights.values())))
    if context.adapted is not None:
        tensors |= _adapted(context.adapted, tensors)
    sharpener = None
    if metadata.get("sharpen") == "1":
        sharpener = _sharpener({name.removeprefix(SHARPENER): tensor for name, tensor in tensors.items() if name.startswith(SHARPENER)})
    network = network_from(tensors, metadata)
    check_mode(network, context.mode)
    return Speech2VidGenerator(network, sharpener, device, context)


def _tiny(seed: int, mode: Blend) -> Network:
    build = Build(width=TINY, context=TINY, fine=TINY, rows=ROWS, shape="slim")
    # What others draw does not depend on whether a generator was loaded before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Network = InContext(build) if mode is Blend.NETWORK else Speech2Vid(width=TINY)
    with torch.no_grad():
        # Untrained it paints an even gray, in which no fault would be seen.
        network.decoder.conv5_3.weight.mul_(CONTRAST)
    return network


def _adapted(path: Path, base: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what adaptation replaced."""
    tensors, _ = read_tensors(path)
    strange = next((name for name, tensor in tensors.items() if name not in base or tensor.shape != base[name].shape), None)
    if strange is not None:
        said = f"{path.name} was adapted from other weights: it has another {strange}."
        raise PluginError(said, "Adapt anew:  redub adapt VIDEO --force")
    return tensors


def _sharpener(tensors: dict[str, Tensor]) -> Sharpener:
    try:
        sharpener = Sharpener(channels=len(tensors["steps.0.weight"]), layers=sum(name.endswith(".weight") for name in tensors))
        sharpener.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (KeyError, RuntimeError) as error:
        raise PluginError("The weights are to sharpen, but do not hold a whole network for it.", "Get the weights again.") from error
    return sharpener


class Speech2VidGenerator(Generator):
    """Paints a talking face from speech and five stills."""

    def __init__(self, network: Network, sharpener: Sharpener | None, device: str, context: LoadContext) -> None:
        self.device, self.mode = device, INFO.modes[context.mode]
        self.canvas = context_canvas(network.decoder.rows) if isinstance(network, InContext) else PLAIN
        self.type = torch.bfloat16 if has_bfloat16(device) else torch.float32
        self.network = _ready(_fused(network.eval()), device, self.type)
        # The last layer decides the colours: half precision would show as bands.
        self.network.decoder.conv5_3.float()
        self.sharpener = _ready(sharpener.eval(), device, self.type) if sharpener is not None else None
        self._known: OrderedDict[bytes, Identity] = OrderedDict()

    @torch.inference_mode()
    def generate(self, clip: Clip) -> Painted:
        check_clip(clip, INFO, self.mode)
        identity = self._identity(clip.references)
        windows = torch.from_numpy(speech_windows(clip.speech, clip.times_s))[:, None]
        count = len(windows)
        rows = torch.arange(count + -count % BATCH).clamp(max=count - 1)
        frames = torch.tensor(clip.frames)[rows] if self.canvas.has_context else None
        parts = [slice(start, start + BATCH) for start in range(0, len(rows), BATCH)]
        pictures = [self._paint(windows[rows[part]], identity, None if frames is None else frames[part]) for part in parts]
        painted = np.concatenate(pictures)[:count]
        if frames is None:
            return Painted(frames=painted)
        # Above what is painted the frame is as it was; none of it is put back.
        whole = np.concatenate([clip.frames[:, : self.canvas.top], painted], axis=1)
        return Painted(frames=whole, alpha=np.broadcast_to(shown(CONTEXT_PX), (count, CONTEXT_PX, CONTEXT_PX)))

    def _paint(self, windows: Tensor, identity: Identity, frames: Tensor | None) -> RGB:
        """(B, 1, 12, 35), and (B, 224, 224, 3) where frames are seen -> (B, height, width, 3)."""
        speech = windows.to(self.device, self.type)
        if frames is None:
            painted = self.network(speech, identity)
        else:
            seen = frames.to(self.device).permute(0, 3, 1, 2).float() / 255
            painted = self.network(speech, identity, hide(seen).to(self.type).contiguous(memory_format=torch.channels_last))
        if self.sharpener is not None:
            # What is added may be coarse; the sum may not.
            painted = painted + self.sharpener.steps(painted.to(self.type)).float()
        levels = (painted * 255).round_().clamp_(0, 255).to(torch.uint8)
        pictures: RGB = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return pictures

    def _identity(self, references: RGB) -> Identity:
        """Return what the network makes of the stills: the same for all frames of a speaker, so worked out once."""
        key = hashlib.blake2b(np.ascontiguousarray(references).tobytes(), digest_size=16).digest()
        if key not in self._known:
            stills = torch.tensor(references).permute(0, 3, 1, 2).flatten(0, 1)[None]  # (1, 15, S, S)
            stills = (stills.to(self.device).float() / 255).to(self.type)
            self._known[key] = self.network.identify(stills.contiguous(memory_format=torch.channels_last)).expand(BATCH)
            if len(self._known) > SPEAKERS:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def close(self) -> None:
        self._known.clear()


def has_bfloat16(device: str) -> bool:
    """Say whether a device computes in bfloat16 faster than in single precision."""
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Not public, and not in every version: without it single precision is right, only slower.
    is_native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return kind == "cpu" and is_native is not None and bool(is_native())


def _ready(network: Module, device: str, kind: torch.dtype) -> Module:
    return network.to(device, kind, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fused(network: Network) -> Network:
    """Put each batch norm of the encoders into the convolution before it."""
    for encoder in (network.audio, network.identity, *([network.context] if isinstance(network, InContext) else [])):
        for name, layer in encoder.named_children():
            assert isinstance(layer, nn.Sequential)
            convolution, norm = layer[0], layer[1]
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            setattr(encoder, name, nn.Sequential(fuse_conv_bn_eval(convolution, norm), nn.ReLU(inplace=True)))
    return network
