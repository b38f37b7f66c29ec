"""vggface: published weights of VGG-M -> the safetensors file that a recipe names.

    python -m redub_speech2vid.vggface IN.mat OUT.safetensors

Reads MatConvNet's .mat (both of its kinds of network), and .npz archives of arrays as Caffe models are exported to, named
like ``conv1_weight`` or ``conv1/0``.  Batch norms are folded into the convolutions.  No format that can run code is read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from redub.errors import RedubError
from redub.media.place import Part
from redub.training.checkpoint import write_tensors
from redub.types import Floats
from redub_speech2vid.content import VggM

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
WEIGHT_NAMES, BIAS_NAMES = ("{}_weight", "{}.weight", "{}_w", "{}/0", "{}f"), ("{}_bias", "{}.bias", "{}_b", "{}/1", "{}b")


def convert(source: Path, target: Path, *, is_bgr: bool = False) -> None:
    """Write the five convolutions of a published VGG-M.

    Args:
        source: A .mat or .npz file.
        target: The safetensors file.
        is_bgr: The network was trained on blue first, as Caffe models are.

    Raises:
        RedubError: The file cannot be read, or holds another network.
    """
    arrays, mean = _read_mat(source) if source.suffix == ".mat" else _read_npz(source)
    wanted = VggM().state_dict()
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array, np.float32)) for name, array in arrays.items()}
    wrong = [name for name, tensor in wanted.items() if name not in tensors or tensors[name].shape != tensor.shape]
    if wrong:
        found = tuple(tensors[wrong[0]].shape) if wrong[0] in tensors else "nothing"
        raise RedubError(
            f"{source} holds no VGG-M: {wrong[0]} should be {tuple(wanted[wrong[0]].shape)} and is {found}.", "Name the VGG-M for faces."
        )
    if is_bgr:
        tensors["conv1.weight"] = tensors["conv1.weight"].flip(1).contiguous()
    metadata = {"source": source.name} | ({"mean": ",".join(f"{value:.3f}" for value in mean)} if mean else {})
    part = Part(target)
    try:
        write_tensors(part.path, tensors, metadata)
        part.publish()
    finally:
        part.discard()


def _read_npz(source: Path) -> tuple[dict[str, Floats], list[float]]:
    """Read an archive of arrays, filters being (out, in, height, width)."""
    try:
        with np.load(source, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError) as error:
        raise RedubError(f"{source} cannot be read: {error}.", "Give an .npz archive of plain arrays, or a .mat file.") from error
    found: dict[str, Floats] = {}
    for layer in LAYERS:
        for kind, patterns in (("weight", WEIGHT_NAMES), ("bias", BIAS_NAMES)):
            names = [pattern.format(layer) for pattern in patterns if pattern.format(layer) in arrays]
            if names:
                array = arrays[names[0]]
                found[f"{layer}.{kind}"] = array if kind == "weight" else array.reshape(-1)
    return found, [float(value) for value in np.ravel(arrays.get("mean", []))]


def _read_mat(source: Path) -> tuple[dict[str, Floats], list[float]]:
    """Read a MatConvNet network, filters being (height, width, in, out)."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(source, squeeze_me=True, struct_as_record=False)
    except (OSError, ValueError, NotImplementedError, MatReadError) as error:
        raise RedubError(f"{source} cannot be read: {error}.", "Save it as a .mat file of version 7 or older.") from error
    network = content.get("net", _Fields(content))
    layers = _listed(getattr(network, "layers", []))
    parameters = {str(one.name): one.value for one in _listed(getattr(network, "params", []))}
    found: dict[str, Floats] = {}
    last = ""
    for layer in layers:
        name, weights = str(getattr(layer, "name", "")), _weights(layer, parameters)
        if len(weights) in (1, 2) and name in LAYERS:
            found[f"{name}.weight"] = np.asarray(weights[0], np.float32).transpose(3, 2, 0, 1)
            channels = found[f"{name}.weight"].shape[0]
            found[f"{name}.bias"] = np.ravel(weights[1]).astype(np.float32) if len(weights) == 2 else np.zeros(channels, np.float32)
        elif len(weights) == 3 and last in LAYERS:
            _fold(found, last, weights)
        last = name
    return found, _mean(network)


def _weights(layer: Any, parameters: Mapping[str, Any]) -> list[Any]:
    """Return a layer's arrays: kept in the layer itself, or beside the layers under names."""
    named = [str(name) for name in _listed(getattr(layer, "params", []))]
    if named:
        return [parameters[name] for name in named if name in parameters]
    weights = getattr(layer, "weights", None)
    if weights is None and hasattr(layer, "filters"):
        weights = [layer.filters, layer.biases]
    return _listed(weights) if weights is not None else []


def _fold(found: dict[str, Floats], layer: str, norm: Sequence[Any]) -> None:
    """Put a batch norm into the convolution before it; its moments are means and standard deviations."""
    gain, offset, moments = (np.asarray(part, np.float32) for part in norm)
    scale = gain.ravel() / moments[:, 1]
    found[f"{layer}.bias"] = (found[f"{layer}.bias"] - moments[:, 0]) * scale + offset.ravel()
    found[f"{layer}.weight"] = found[f"{layer}.weight"] * scale[:, None, None, None]


def _mean(network: Any) -> list[float]:
    """Return the mean colour that is taken off pictures, if the file says it."""
    for place in ("meta", "normalization"):
        network = getattr(network, place, network)
    image = np.asarray(getattr(network, "averageImage", []), np.float64)
    if image.size < 3 or image.shape[-1] != 3:
        return []
    return [float(value) for value in image.reshape(-1, 3).mean(axis=0)]


class _Fields:
    """Reads a file's variables as a struct's fields: some networks are saved without one around them."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.__dict__.update(content)


def _listed(value: Any) -> list[Any]:
    """Return a cell or struct array as a list; one of a single element is read as that element."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return list(value.ravel())
    return [value] if not isinstance(value, list | tuple) and np.size(value) else list(value)


def main() -> None:
    """Convert a file that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m redub_speech2vid.vggface", description="Convert published VGG-M weights.")
    parser.add_argument("source", type=Path, help="a .mat or .npz file")
    parser.add_argument("target", type=Path, help="the .safetensors file")
    parser.add_argument("--bgr", action="store_true", help="the network was trained on blue first")
    options = parser.parse_args()
    try:
        convert(options.source, options.target, is_bgr=options.bgr)
    except RedubError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")


if __name__ == "__main__":
    main()
