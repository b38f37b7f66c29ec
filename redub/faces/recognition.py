"""recognition: frame, face -> 128 numbers that are near for one person and far for two.

dlib's recognition network (a ResNet of 29 layers trained on three million faces, 2017; in the public domain) comes
with the package that carries the landmark predictor.  It wants a face in a chip of 150 px, placed by the landmarks.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from redub.errors import WeightError
from redub.faces.canonical import CANONICAL_FACE
from redub.faces.crop import take_crop
from redub.faces.landmarks import PACKAGE
from redub.types import RGB, Doubles

if TYPE_CHECKING:
    from redub.media import Frame

FILE = Path("models") / "dlib_face_recognition_resnet_model_v1.dat"
CHIP_PX, PADDING = 150, 0.25
"""What the network was trained with."""
_FINE = 10_000


def describe_face(frame: Frame, similarity: Doubles) -> Doubles:
    """Return the descriptor of a face: (128,).

    Args:
        frame: The upright frame.
        similarity: (4,) row of a `CropPath`.

    Raises:
        WeightError: The network's file is not installed.
    """
    return describe_chip(take_crop(frame, _chip_row(similarity), CHIP_PX))


def describe_chip(chip: RGB) -> Doubles:
    """Return the descriptor of a face that lies as dlib's network wants it: (150, 150, 3) -> (128,).

    Raises:
        WeightError: The network's file is not installed.
    """
    return np.array(_network().compute_face_descriptor(np.ascontiguousarray(chip)), np.float64)


def recognition_model() -> Path:
    """Return the path of the network's file, without importing the package that carries it.

    Raises:
        WeightError: The package or the file in it is missing.
    """
    spec = find_spec(PACKAGE)
    for folder in list(spec.submodule_search_locations or ()) if spec else []:
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    raise WeightError(f"The recognition network {FILE.name} of the package {PACKAGE} is not installed.", f"pip install {PACKAGE}")


def _chip_row(similarity: Doubles) -> Doubles:
    """Return the similarity that takes the unit square of dlib's chip, not of the canonical crop, to the frame."""
    side, left, top = chip_square()
    corner = np.exp(similarity[0] + 1j * similarity[1]) * (left + 1j * top) + similarity[2] + 1j * similarity[3]
    return np.array([similarity[0] + np.log(side), similarity[1], corner.real, corner.imag])


@cache
def chip_square() -> tuple[float, float, float]:
    """Return side, left and top of the chip in the unit square of the canonical crop: where dlib puts the canonical face."""
    import dlib

    points = [dlib.point(*np.rint(point * _FINE).astype(int).tolist()) for point in CANONICAL_FACE]
    face = dlib.full_object_detection(dlib.rectangle(0, 0, _FINE, _FINE), points)
    chip = dlib.get_face_chip_details(face, CHIP_PX, PADDING).rect
    return (chip.right() - chip.left()) / _FINE, chip.left() / _FINE, chip.top() / _FINE


@cache
def _network() -> Any:
    import dlib

    path = recognition_model()
    try:
        return dlib.face_recognition_model_v1(str(path))
    except RuntimeError as error:
        raise WeightError(f"The recognition network {path} is damaged: {error}.", f"pip install --force-reinstall {PACKAGE}") from error
