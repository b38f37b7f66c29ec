"""identity: a painted crop -> 128 numbers that are near for one person and far for two.

dlib's recognition network (a ResNet of 29 layers trained on three million faces, 2017) wants a face in a chip of 150 px,
placed by its landmarks, with some forehead above it.  A generator's crop is placed by landmarks already, and so is
moved into the chip by one fixed similarity; the forehead that it lacks is gray, in painted and in true crops alike.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from redub.faces.cv import load_cv
from redub.faces.recognition import CHIP_PX, chip_square, describe_chip
from redub.plugin import Mode
from redub.types import RGB, Doubles

GRAY = (128, 128, 128)


def describe(crop: RGB, mode: Mode) -> Doubles:
    """Return the descriptor of a painted crop, or of a true one of the same size: (S, S, 3) -> (128,).

    Args:
        crop: S = ``output_px``.
        mode: Says where the crop lies in the canonical one.

    Raises:
        WeightError: The network's file is not installed.
    """
    return describe_chip(face_chip(crop, mode))


def face_chip(crop: RGB, mode: Mode) -> RGB:
    """Place a crop as dlib's network wants it: (S, S, 3) -> (150, 150, 3), gray where the crop does not reach."""
    cv, size = load_cv(), (CHIP_PX, CHIP_PX)
    chip = cv.warpAffine(crop, _chip_from_crop(mode), size, flags=cv.INTER_CUBIC, borderMode=cv.BORDER_CONSTANT, borderValue=GRAY)
    return np.ascontiguousarray(chip)


def distances(descriptors: Doubles, centre: Doubles) -> Doubles:
    """Return how far each of some descriptors is from another one: (K, 128), (128,) -> (K,).

    dlib's authors take two faces for one person's below 0.6.
    """
    apart: Doubles = np.linalg.norm(descriptors - centre, axis=-1)
    return apart


def spread(descriptors: Doubles) -> float:
    """Return the mean distance between two of some descriptors (K, 128); NaN for fewer than two."""
    first, second = np.triu_indices(len(descriptors), 1)
    return float(np.linalg.norm(descriptors[first] - descriptors[second], axis=-1).mean()) if len(first) else float("nan")


@cache
def _chip_from_crop(mode: Mode) -> Doubles:
    """Return the (2, 3) matrix that takes px of a crop to px of the chip in which dlib would put its canonical face."""
    side, left, top = chip_square()
    # dlib's corners are middles of pixels; the canonical square ends half a pixel outside of the crop's.
    scale = (CHIP_PX - 1) / side / mode.input_px
    place = 0.5 + mode.output_offset_px
    return np.array(
        [[scale, 0.0, (place - left * mode.input_px) * scale], [0.0, scale, (place - top * mode.input_px) * scale]]
    )  # fmt: skip
