"""upright: how a file says that its picture is to be turned -> quarters of a turn."""

from __future__ import annotations

from math import atan2, degrees
from typing import Any

import av
import numpy as np


def display_matrix(native: av.VideoFrame) -> list[int] | None:
    """Return the nine numbers by which a viewer turns the picture, if there are any."""
    data: Any = native.side_data.get("DISPLAYMATRIX")
    return None if data is None else [int(value) for value in np.frombuffer(data, "<i4")]


def quarter(matrix: list[int] | None) -> int:
    """Return the clockwise turn in a display matrix, to the nearest quarter.

    A mirrored picture is worked on as its own mirror image: a face stands upright in it all the same.
    """
    if matrix is None:
        return 0
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if a * d - b * c < 0:
        a = -a
    return round(degrees(atan2(b, a)) / 90) * 90 % 360
