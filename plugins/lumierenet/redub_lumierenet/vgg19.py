"""vgg19: a file of VGG-19 as torchvision publishes it -> a safetensors file with what the losses need.

    python -m redub_lumierenet.vgg19 vgg19-dcbb9e9d.pth vgg19.safetensors

The input is a state dict with ``features.0.weight`` and so on, as PyTorch's ``.pth`` or as safetensors; sixteen tensors of it are
kept, 4.6 MB.  A ``.pth`` is read as numbers only: what it might want to run is refused.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from redub.errors import RedubError
from redub.media.place import Part
from redub.training.checkpoint import read_tensors, write_tensors
from redub_lumierenet.losses import VGG_INDICES


def convert(source: Path, target: Path) -> None:
    """Write the convolutions up to pool3.

    Raises:
        RedubError: The source is no VGG-19, or the target exists or cannot be written.
    """
    if target.exists():
        raise RedubError(f"{target} exists.", "Name another file for the result.")
    tensors = _read(source)
    wanted = [f"features.{index}.{kind}" for indices in VGG_INDICES for index in indices for kind in ("weight", "bias")]
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise RedubError(f"{source} is no VGG-19 of torchvision: it has no {missing[0]}.", "Name a file such as vgg19-dcbb9e9d.pth")
    part = Part(target)
    try:
        write_tensors(part.path, {name: tensors[name].detach().float().contiguous() for name in wanted}, {"from": source.name})
        part.publish()
    finally:
        part.discard()


def _read(source: Path) -> dict[str, Tensor]:
    if source.suffix == ".safetensors":
        return read_tensors(source)[0]
    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RedubError(f"{source} cannot be read: {error}.", "Name a file of numbers only, such as vgg19-dcbb9e9d.pth") from error
    if not isinstance(found, dict):
        raise RedubError(f"{source} holds no state dict.", "Name a file such as vgg19-dcbb9e9d.pth")
    return found


def main() -> None:
    """Convert the file that the first argument names into the one that the second names."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m redub_lumierenet.vgg19 VGG19.pth VGG19.safetensors")
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except RedubError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")


if __name__ == "__main__":
    main()
