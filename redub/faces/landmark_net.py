"""landmark_net: gray picture and face boxes -> 68 points in each, by redub's own network.

It has only ever seen people who do not exist, drawn with their points, so nobody's pictures and no other model stand behind
it; its model card says how it was made.  Every crop is brought to mean 0 and spread 1, so that exposure does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from redub.errors import WeightError
from redub.faces.cv import load_cv
from redub.faces.geometry import apply_similarity, invert_similarity, similarity_from_points
from redub.faces.landmark_layers import CROP_PX, LandmarkNet
from redub.faces.shipped import LANDMARKS
from redub.types import Doubles, Floats, Ints
from redub.weights import find

SPAN, LOWER = 1.43, 0.066
"""The crop's side, and how much lower its middle is than the box's, in sides of the detector's box: an open mouth is in it."""
KIND = "redub-landmarks-1"
FAINT = 4.0
"""A crop whose spread is less than so many levels of 255 is not stretched further: it holds noise."""


def answer(gray: Any, boxes: Sequence[Doubles], network: LandmarkNet | None = None) -> Doubles:
    """Find the points of a face in several boxes at once: (N, 68, 2) px.

    Every second crop is mirrored.  So what the network does worse on one side than on the other becomes less in the mean.

    Args:
        gray: (H, W) uint8.
        boxes: N of (left, top, right, bottom) px.
        network: Another one than that which is shipped.

    Raises:
        WeightError: The weights are missing or damaged.
    """
    network = network or _network()
    crops = np.empty((len(boxes), 1, CROP_PX, CROP_PX), np.float32)
    corners = np.empty((len(boxes), 3))
    for number, box in enumerate(boxes):
        corners[number] = left, top, scale = crop_of(box)
        matrix = np.array([[1 / scale, 0, -left / scale], [0, 1 / scale, -top / scale]])
        crop = load_cv().warpAffine(gray, matrix, (CROP_PX, CROP_PX), flags=load_cv().INTER_LINEAR, borderMode=load_cv().BORDER_REPLICATE)
        crops[number, 0] = settled(crop[:, ::-1] if number % 2 else crop)
    with torch.inference_mode(), _on_one_thread():
        points = network(torch.from_numpy(crops))[0].numpy().astype(np.float64)
    points[1::2, :, 0] = CROP_PX - 1 - points[1::2, :, 0]
    points[1::2] = points[1::2][:, mirrored()]
    found: Doubles = points * corners[:, None, 2:] + corners[:, None, :2]
    return conventional(found, network.manner.numpy())


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Let torch compute on one thread: in so small a network others are waited for longer than they help, in busy loops."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def conventional(points: Doubles, manner: Any) -> Doubles:
    """Move points to where the engine's faces have them: what one model calls the corner of a mouth may be another's cheek.

    Args:
        points: (N, 68, 2) px.
        manner: (68, 2) how far beside they lie on average, in sides of the canonical square that eyes and nose tell.
    """
    place = similarity_from_points(points)
    moved: Doubles = apply_similarity(place, apply_similarity(invert_similarity(place), points) - manner)
    return moved


def crop_of(box: Any) -> tuple[float, float, float]:
    """Return where the crop's first pixel lies (x, y), and how many px of the picture one of its px is."""
    side = (box[2] - box[0] + box[3] - box[1]) / 2
    scale = SPAN * side / CROP_PX
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2 + LOWER * side
    return x - scale * (CROP_PX - 1) / 2, y - scale * (CROP_PX - 1) / 2, scale


def settled(crop: Any) -> Floats:
    """Bring a crop to mean 0 and spread 1."""
    crop = crop.astype(np.float32)
    return np.asarray((crop - crop.mean()) / max(float(crop.std()), FAINT), np.float32)


@cache
def mirrored() -> Ints:
    """Return which point of a mirrored face each of the 68 is."""
    order = np.arange(68)
    order[:17] = order[16::-1]
    order[17:27] = order[26:16:-1]
    order[31:36] = order[35:30:-1]
    order[36:48] = [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    order[48:60] = [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]
    order[60:68] = [64, 63, 62, 61, 60, 67, 66, 65]
    return order


def read_network(path: Path) -> LandmarkNet:
    """Read a network's weights.

    Raises:
        WeightError: The file is damaged, or none of this network.
    """
    network = LandmarkNet()
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise WeightError(f"The landmark network {path} cannot be used: {error}.", "Get or train it again.") from error
    # Small convolutions side by side are a tenth quicker so on processors.
    return folded(network.eval().requires_grad_(False)).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def folded(network: LandmarkNet) -> LandmarkNet:
    """Let each norm become part of the convolution before it, which answers the same in less time."""
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for number, (one, following) in enumerate(pairwise(module)):
                if isinstance(one, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                    module[number], module[number + 1] = fuse_conv_bn_eval(one, following), nn.Identity()
    return network


@cache
def _network() -> LandmarkNet:
    return read_network(find(LANDMARKS))
