"""colour: how a frame's samples become RGB and back.

A frame says by which matrix and in which range its samples are coded; one that does not is read as players read it:
BT.709 from 720 lines up, BT.601 below, limited range.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import av
import numpy as np

from redub.media.planes import Layout
from redub.types import Doubles

FULL_RANGE = 2
HD_LINES = 720

_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""Shares of red and blue in luma, by FFmpeg's number of the matrix (ITU-T H.273, table 4)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coding:
    """``rgb = from_yuv @ (yuv - zero)`` with RGB in 0..255 and YUV in the samples' own units."""

    from_yuv: Doubles
    """(3, 3)"""
    to_yuv: Doubles
    """(3, 3)"""
    zero: Doubles
    """(3,) the samples of black."""
    top: int
    """The largest sample."""


def matrix_of(frame: av.VideoFrame) -> int:
    """Return the number of the frame's matrix, guessed from its height where it is not tagged."""
    tagged = int(frame.colorspace)
    return tagged if tagged in _WEIGHTS else guess_matrix(frame.height, frame.width)


def guess_matrix(height: int, width: int) -> int:
    """Return the matrix that players take for an untagged picture of this size, however it is turned."""
    return 1 if min(height, width) >= HD_LINES else 6


def coding_of(frame: av.VideoFrame, layout: Layout) -> Coding:
    """Return how a frame's samples are coded."""
    return _coding(matrix_of(frame), layout.bits, is_full_range(frame, layout))


def is_full_range(frame: av.VideoFrame, layout: Layout) -> bool:
    """Say whether samples use all their values; limited range is what no tag means."""
    return layout.is_full or int(frame.color_range) == FULL_RANGE


@lru_cache(maxsize=64)
def _coding(matrix: int, bits: int, is_full: bool) -> Coding:
    red, blue = _WEIGHTS[matrix]
    green = 1 - red - blue
    # Rows: Y, Cb, Cr for RGB in 0..1 (ITU-T H.273, equations 41 to 43).
    rows = np.array([
        [red, green, blue],
        [-red / (2 * (1 - blue)), -green / (2 * (1 - blue)), 0.5],
        [0.5, -green / (2 * (1 - red)), -blue / (2 * (1 - red))],
    ])  # fmt: skip
    unit = 1 << (bits - 8)
    top = (1 << bits) - 1
    size = np.array([top, top, top]) if is_full else np.array([219, 224, 224]) * unit
    zero = np.array([0 if is_full else 16 * unit, 128 * unit, 128 * unit], np.float64)
    to_yuv = rows * size[:, None] / 255
    return Coding(from_yuv=np.linalg.inv(to_yuv), to_yuv=to_yuv, zero=zero, top=top)
