"""identity: a painted crop -> 128 numbers that are near for one person and far for two.

dlib's recognition network (a ResNet of 29 layers trained on three million faces, 2017) wants a face in a chip of 150 px,
placed by its landmarks, with some forehead above it.  A generator's crop is placed by landmarks already, and so is
moved into the chip by one fixed similarity; the forehead that it lacks is gray, in painted and in true crops alike.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from redub.errors import WeightError
from redub.faces.canonical import CANONICAL_FACE
from redub.faces.cv import load_cv
from redub.faces.landmarks import PACKAGE
from redub.plugin import Mode
from redub.types import RGB, Doubles

FILE = Path("models") / "dlib_face_recognition_resnet_model_v1.dat"
CHIP_PX, PADDING = 150, 0.25
"""What the network was trained with."""
GRAY = (128, 128, 128)
_FINE = 10_000


def describe(crop: RGB, mode: Mode) -> Doubles:
    """Return the descriptor of a painted crop, or of a true one of the same size: (S, S, 3) -> (128,).

    Args:
        crop: S = ``output_px``.
        mode: Says where the crop lies in the canonical one.

    Raises:
        WeightError: The network's file is not installed.
    """
    return np.array(_network().compute_face_descriptor(face_chip(crop, mode)), np.float64)


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


def identity_model() -> Path:
    """Return the path of the network's file, without importing the package that carries it.

    Raises:
        WeightError: The package or the file in it is missing.
    """
    spec = find_spec(PACKAGE)
    for folder in list(spec.submodule_search_locations or ()) if spec else []:
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    raise WeightError(f"The recognition network {FILE.name} of the package {PACKAGE} is not installed.", f"pip install {PACKAGE}")


@cache
def _network() -> Any:
    import dlib

    path = identity_model()
    try:
        return dlib.face_recognition_model_v1(str(path))
    except RuntimeError as error:
        raise WeightError(f"The recognition network {path} is damaged: {error}.", f"pip install --force-reinstall {PACKAGE}") from error


@cache
def _chip_from_crop(mode: Mode) -> Doubles:
    """Return the (2, 3) matrix that takes px of a crop to px of the chip in which dlib would put its canonical face."""
    import dlib

    points = [dlib.point(*np.rint(point * _FINE).astype(int).tolist()) for point in CANONICAL_FACE]
    face = dlib.full_object_detection(dlib.rectangle(0, 0, _FINE, _FINE), points)
    chip = dlib.get_face_chip_details(face, CHIP_PX, PADDING).rect
    # dlib's corners are middles of pixels; the canonical square ends half a pixel outside of the crop's.
    scale = (CHIP_PX - 1) * _FINE / (chip.right() - chip.left()) / mode.input_px
    place = 0.5 + mode.output_offset_px
    left, top = (side / _FINE * mode.input_px for side in (chip.left(), chip.top()))
    return np.array([[scale, 0.0, (place - left) * scale], [0.0, scale, (place - top) * scale]])
