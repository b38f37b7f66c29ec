"""weights: trained parts -> one safetensors file, and back.

The file holds the network of `Speech2Vid` under its own names, in half precision.  Beside it, with the prefix ``teacher.``,
what further training needs: the shape's components and the layers around them; and with ``sharpener.`` the sharpening network.
Its metadata say how the network is built and what it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from redub.errors import ConfigError, RedubError
from redub.media.place import Part
from redub.training.checkpoint import read_tensors, write_tensors
from redub_speech2vid.codes import Basis
from redub_speech2vid.model import SKIP_NAMES, Speech2Vid, Upsampling
from redub_speech2vid.recipe import Recipe

TEACHER, SHARPENER = "teacher.", "sharpener."
LARGEST_HALF = 65504.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Base:
    """Weights to start from."""

    network: dict[str, Tensor]
    teacher: dict[str, Tensor]
    sharpener: dict[str, Tensor]

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

    Raises:
        RedubError: They cannot be read.
        ConfigError: Their network is built in another way.
    """
    tensors, metadata = read_tensors(path)
    wanted = shape_facts(recipe)
    differing = [key for key, value in wanted.items() if metadata.get(key) != value]
    if differing:
        shown = ", ".join(f"{key} {metadata.get(key)!r} and not {wanted[key]!r}" for key in differing)
        hint = "  ".join(f"--set {key}={metadata[key]}" for key in differing if key in metadata)
        raise ConfigError(f"The base {path.name} is built with {shown}.", hint or "Name weights that redub train made.")
    loaded = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    return Base(
        network={name: tensor for name, tensor in loaded.items() if not name.startswith((TEACHER, SHARPENER))},
        teacher={name.removeprefix(TEACHER): tensor for name, tensor in loaded.items() if name.startswith(TEACHER)},
        sharpener={name.removeprefix(SHARPENER): tensor for name, tensor in loaded.items() if name.startswith(SHARPENER)},
    )


def network_from(tensors: dict[str, Tensor], metadata: dict[str, str]) -> Speech2Vid:
    """Return the network that a file of weights holds, in single precision.

    Raises:
        RedubError: The tensors are not those of the network that the metadata describe.
    """
    try:
        skips = tuple(name for name in SKIP_NAMES if name in metadata["skips"].split(","))
        upsampling: Upsampling = "transposed" if metadata["upsampling"] == "transposed" else "bilinear"
        network = Speech2Vid(skips=skips, upsampling=upsampling, stills=int(metadata["stills"]), width=float(metadata["width"]))
        network.load_state_dict({name: tensors[name].to(old.dtype) for name, old in network.state_dict().items()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise RedubError(f"The weights are not those of Speech2Vid: {error}.", "Name weights that redub train made.") from error
    return network


def shape_facts(recipe: Recipe) -> dict[str, str]:
    """Return how the network is built, as metadata say it."""
    return {"width": f"{recipe.width:g}", "skips": ",".join(recipe.skips), "upsampling": recipe.upsampling}


def _half(tensor: Tensor) -> Tensor:
    """Return a tensor in half precision, unless it counts something or is too large for it."""
    tensor = tensor.detach().to("cpu").contiguous()
    if not tensor.is_floating_point() or (tensor.numel() and float(tensor.abs().max()) > LARGEST_HALF):
        return tensor
    return tensor.to(torch.float16)
