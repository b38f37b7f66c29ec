"""weights: trained parts -> one safetensors file, and back.

The file holds what painting needs, in half precision: the ear with the statistics of what it hears (``ear.``), the decoder
(``decoder.``) and the generator (``generator.``).  Its metadata say how they are built, at which frame rate, whom they show
(``face``), and who agreed to it (``consent``).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor, nn

from redub.errors import RedubError
from redub.media.place import Part
from redub.training.checkpoint import read_tensors, write_tensors
from redub_lumierenet.networks import BANDS, Decoder, Ear, UNet
from redub_lumierenet.recipe import Recipe
from redub_lumierenet.samples import LEAST_RATE_HZ, SIDE

LARGEST_HALF = 65504.0
FORMAT = "lumierenet-1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instructor:
    """Whom a file of weights holds."""

    ear: Ear
    decoder: Decoder
    generator: UNet
    mean: Tensor
    """(40,) of the energies."""
    deviation: Tensor
    """(40,)."""
    window: int
    ahead: int
    rate_hz: Fraction
    """Frames a second of the footage, which is how far the steps of sound lie apart."""


def write_weights(output: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write the weights; they take their place when they are complete.

    Raises:
        RedubError: The file cannot be written.
    """
    part = Part(output)
    try:
        write_tensors(part.path, {name: _half(tensor) for name, tensor in tensors.items()}, {"format": FORMAT, **metadata})
        part.publish()
    finally:
        part.discard()


def read_instructor(path: Path) -> Instructor:
    """Read weights, in single precision.

    Raises:
        RedubError: They cannot be read, or are not LumiereNet's.
    """
    tensors, metadata = read_tensors(path)
    try:
        if metadata["format"] != FORMAT:
            raise ValueError(f"its format is {metadata['format']}")
        ear = Ear(int(metadata["cells"]))
        decoder = Decoder(int(metadata["side"]), float(metadata["vae_width"]))
        generator = UNet(3, SIDE, float(metadata["width"]), 0.0, backdrop="generator.backdrop" in tensors)
        for name, network in (("ear", ear), ("decoder", decoder), ("generator", generator)):
            _fill(network, {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")})
        rate = Fraction(metadata["frame_rate"])
        mean, deviation = tensors["ear.mean"].float(), tensors["ear.deviation"].float()
        if rate < LEAST_RATE_HZ or mean.shape != (BANDS,) or deviation.shape != (BANDS,) or not (deviation > 0).all():
            raise ValueError("its rate or its statistics of sound make no sense")
        return Instructor(
            ear=ear.eval(), decoder=decoder.eval(), generator=generator.eval(), mean=mean, deviation=deviation,
            window=int(metadata["window"]), ahead=int(metadata["ahead"]), rate_hz=rate,
        )  # fmt: skip
    except (KeyError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise RedubError(f"The weights {path} are not those of LumiereNet: {error}.", "Name what  redub train lumierenet  made.") from error


def shape_facts(recipe: Recipe) -> dict[str, str]:
    """Return how the networks are built, as metadata say it."""
    return {
        "side": str(recipe.figure.side), "vae_width": f"{recipe.vae.width:g}", "width": f"{recipe.seq.width:g}",
        "cells": str(recipe.ear.cells), "window": str(recipe.ear.window), "ahead": str(recipe.ear.ahead),
    }  # fmt: skip


def _fill(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    wanted = {name: old for name, old in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    network.load_state_dict({name: tensors[name].to(old.dtype) for name, old in wanted.items()}, strict=False)


def _half(tensor: Tensor) -> Tensor:
    """Return a tensor in half precision, unless it counts something or is too large for it."""
    tensor = tensor.detach().to("cpu").contiguous()
    if not tensor.is_floating_point() or (tensor.numel() and float(tensor.abs().max()) > LARGEST_HALF):
        return tensor
    return tensor.to(torch.float16)
