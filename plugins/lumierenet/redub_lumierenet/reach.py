"""reach: heard codes, painter -> by how much more the mouth has to be told to move, so that it is painted as lively as it is.

Codes lose some of a mouth's movement, and so does what is painted from them.  How much in all is seen when held-out frames are painted
from sound and their mouths are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from redub.choices import LandmarkModel
from redub.faces.detect import detect_faces
from redub.faces.follow import look, look_twice, place_from_box
from redub.faces.geometry import similarity_from_points
from redub.faces.landmarks import mouth_openness
from redub.media.still import still_frame
from redub.types import RGB, Doubles, Floats, Ints
from redub_lumierenet.desk import Desk, as_picture, judged_rows, spread, tensor
from redub_lumierenet.hearing import Known, as_painted

LOOKED_AT, AT_ONCE = 96, 8
FACTORS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
LEAST_FACE_PX = 40


def find_reach(desk: Desk, known: Known, heard: Floats, paint: Callable[[Any], Any], manner: tuple[float, Floats | None]) -> float:
    """Return the factor, 1 to the recipe's ``most_reach``.

    Args:
        desk: With held-out pieces; without any, those that are learnt from serve.
        known: The statistics of the codes.
        heard: (N, 128) standardised codes that the ear hears, of all rows.
        paint: Codes (B, 128) -> pictures (B, 3, S, S) in 0..1.
        manner: How the codes are enlarged so far, and the pose that they rest on.
    """
    rows = spread(judged_rows(desk.samples), LOOKED_AT)
    true = _moved(_true_openness(desk, rows))
    gain, anchor = manner
    factors = [one for one in FACTORS if one <= desk.recipe.ear.most_reach] or [1.0]
    moved = []
    for factor in factors:
        pictures = _painted(desk, paint, as_painted(known, heard[rows], gain * factor, anchor))
        openness = _openness(pictures)
        if openness is None:
            # Nobody can be seen in what is painted yet.
            return 1.0
        moved.append(_moved(openness))
        if moved[-1] >= true:
            break
    return float(np.clip(np.interp(true, np.maximum.accumulate(moved), factors[: len(moved)]), 1.0, factors[-1]))


def _painted(desk: Desk, paint: Callable[[Any], Any], codes: Floats) -> RGB:
    with torch.inference_mode(), desk.autocast():
        parts = [paint(tensor(codes[i : i + AT_ONCE], desk.device)) for i in range(0, len(codes), AT_ONCE)]
    return np.stack([as_picture(one) for part in parts for one in part])


def _openness(pictures: RGB) -> Doubles | None:
    """Return how far the mouths of one face that hardly moves are open; None where none is found."""
    grays = [still_frame(picture).gray() for picture in pictures]
    faces = detect_faces(grays[0], LEAST_FACE_PX, 0.0)
    if not faces:
        return None
    # redub's own model: it is free for every use, and compared with itself alone.
    place = look_twice(grays[0], place_from_box(faces[0].box), LandmarkModel.OWN).place
    return np.asarray(mouth_openness(np.stack([look(gray, place, model=LandmarkModel.OWN).points for gray in grays])), np.float64)


def _true_openness(desk: Desk, rows: Ints) -> Doubles:
    pictures = desk.samples.pictures(rows)
    places = similarity_from_points(desk.samples.points[rows].astype(np.float64) * pictures.shape[1] - 0.5)
    grays = [still_frame(picture).gray() for picture in pictures]
    points = [look(gray, place, model=LandmarkModel.OWN).points for gray, place in zip(grays, places, strict=True)]
    return np.asarray(mouth_openness(np.stack(points)), np.float64)


def _moved(openness: Doubles) -> float:
    """Return how far mouths move, whatever a few faulty readings say."""
    low, high = np.quantile(openness, [0.1, 0.9])
    return float(high - low)
