"""weights: trained parts -> one safetensors file, and back.

The file holds the network of `Speech2Vid` under its own names, in half precision.  Beside it, with the prefix ``teacher.``,
what further training needs: the shape's components and the layers around them; and with ``sharpener.`` the sharpening network.
Its metadata say how the network is built and what it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from redub.errors import ConfigError, PluginError, RedubError
from redub.media.place import Part
from redub.training.checkpoint import read_tensors, write_tensors
from redub.types import Blend
from redub_speech2vid.codes import Basis
from redub_speech2vid.incontext import CONTEXT_SKIP_NAMES, Build, InContext, Shape
from redub_speech2vid.model import SKIP_NAMES, STILLS, Speech2Vid, Upsampling
from redub_speech2vid.recipe import Recipe, build_facts

TEACHER, SHARPENER = "teacher.", "sharpener."
LARGEST_HALF = 65504.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Base:
    """Weights to start from."""

    network: dict[str, Tensor]
    teacher: dict[str, Tensor]
    sharpener: dict[str, Tensor]
    is_same: bool = True
    """Whether it is the same kind of network."""

    def fill(self, network: nn.Module) -> None:
        """Put the weights into a network; of another kind, as many as fit.

        A layer that takes more than it did here takes the rest at first for nothing; one that takes less has lost its skips,
        which stand in front.
        """
        if self.is_same:
            network.load_state_dict(self.network)
            return
        own = network.state_dict()
        for name in own.keys() & self.network.keys():
            old, new = self.network[name], own[name]
            if old.shape == new.shape:
                new.copy_(old)
            elif old.ndim == 4 and old.shape[0] == new.shape[0] and old.shape[2:] == new.shape[2:]:
                count = min(old.shape[1], new.shape[1])
                new.zero_()
                new[:, :count].copy_(old[:, -count:])
        network.load_state_dict(own)

    def basis(self) -> Basis | None:
        """Return the components that its teacher was taught with, if it had one."""
        if "basis" not in self.teacher:
            return None
        return Basis(vectors=self.teacher["basis"].numpy(), scale=float(self.teacher["scale"]))


def write_weights(output: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write the weights; they take their place when they are complete.

    Raises:
        RedubError: The file cannot be written.
    """
    part = Part(output)
    try:
        write_tensors(part.path, {name: _half(tensor) for name, tensor in tensors.items()}, metadata)
        part.publish()
    finally:
        part.discard()


def read_base(path: Path, recipe: Recipe) -> Base:
    """Read weights that were written here.

    What paints in context may start from what does not: from its ear, its teacher, and as much of its painter as fits.

    Raises:
        RedubError: They cannot be read.
        ConfigError: Their network is built in another way.
    """
    tensors, metadata = read_tensors(path)
    wanted = build_facts(recipe)
    is_same = metadata.get("blend", "poisson") == recipe.blend
    compared = wanted if is_same else {"width": wanted["width"]}
    differing = [key for key, value in compared.items() if metadata.get(key) != value]
    if differing or (not is_same and recipe.blend != "network"):
        shown = ", ".join(f"{key} {metadata.get(key)!r} and not {compared[key]!r}" for key in differing) or "a context encoder"
        hint = "  ".join(f"--set {key}={metadata[key]}" for key in differing if key in metadata)
        raise ConfigError(f"The base {path.name} is built with {shown}.", hint or "Name weights that redub train made.")
    loaded = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    return Base(
        network={name: tensor for name, tensor in loaded.items() if not name.startswith((TEACHER, SHARPENER))},
        teacher={name.removeprefix(TEACHER): tensor for name, tensor in loaded.items() if name.startswith(TEACHER)},
        sharpener={name.removeprefix(SHARPENER): tensor for name, tensor in loaded.items() if name.startswith(SHARPENER)},
        is_same=is_same,
    )


def network_from(tensors: dict[str, Tensor], metadata: dict[str, str]) -> Speech2Vid | InContext:
    """Return the network that a file of weights holds, in single precision.

    Raises:
        RedubError: The tensors are not those of the network that the metadata describe.
    """
    try:
        network = InContext(context_build(metadata)) if metadata.get("blend") == "network" else _plain(metadata)
        network.load_state_dict({name: tensors[name].to(old.dtype) for name, old in network.state_dict().items()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise RedubError(f"The weights are not those of Speech2Vid: {error}.", "Name weights that redub train made.") from error
    return network


def check_mode(network: Speech2Vid | InContext, mode: Blend) -> None:
    """Raise `PluginError` unless a network paints for a blending."""
    if isinstance(network, InContext) is not (mode is Blend.NETWORK):
        raise PluginError(f"These weights do not paint for {mode} blending.", "Choose the other one with --blend.")


def _plain(metadata: Mapping[str, str]) -> Speech2Vid:
    skips = tuple(name for name in SKIP_NAMES if name in metadata["skips"].split(","))
    upsampling: Upsampling = "transposed" if metadata["upsampling"] == "transposed" else "bilinear"
    return Speech2Vid(skips=skips, upsampling=upsampling, stills=int(metadata["stills"]), width=float(metadata["width"]))


def context_build(metadata: Mapping[str, str]) -> Build:
    """Return how a network is built that paints in context.

    Raises:
        KeyError: The metadata do not say it.
        ValueError: They say nonsense.
    """
    skips = [
        tuple(name for name in CONTEXT_SKIP_NAMES if name in metadata[f"context.{key}"].split(","))
        for key in ("identity_skips", "context_skips")
    ]
    return Build(
        width=float(metadata["width"]), context=float(metadata["context.width"]), fine=float(metadata["context.fine"]),
        rows=int(metadata["context.rows"]), shape=_shape(metadata["context.shape"]),
        identity_skips=skips[0], context_skips=skips[1], stills=int(metadata.get("stills", STILLS)),
    )  # fmt: skip


def _shape(name: str) -> Shape:
    shapes: dict[str, Shape] = {one: one for one in get_args(Shape)}
    return shapes[name]


def _half(tensor: Tensor) -> Tensor:
    """Return a tensor in half precision, unless it counts something or is too large for it."""
    tensor = tensor.detach().to("cpu").contiguous()
    if not tensor.is_floating_point() or (tensor.numel() and float(tensor.abs().max()) > LARGEST_HALF):
        return tensor
    return tensor.to(torch.float16)
