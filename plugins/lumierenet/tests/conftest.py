"""Pieces of one person, drawn: a head before a wall that opens its mouth as loudly as it speaks."""

from __future__ import annotations

import numpy as np
import pytest

from redub.faces.canonical import CANONICAL_FACE
from redub.plugin import Piece
from redub.testing import make_speech

SIDE, LEAD_S = 256, 0.5
FACE_PX = 90
WALL, SKIN, HAIR, SHIRT, LIPS, MOUTH, EYES = (
    (60, 120, 190),
    (205, 160, 135),
    (70, 50, 40),
    (40, 110, 60),
    (170, 80, 80),
    (45, 15, 20),
    (50, 70, 90),
)


def _draw_person(openness: float, shift: float = 0.0, seed: int = 0):
    """Return a picture (256, 256, 3) and its landmarks (68, 2) px."""
    cv2 = pytest.importorskip("cv2")
    points = np.array(CANONICAL_FACE)
    points[[*range(55, 60), 65, 66, 67], 1] += 0.1 * openness
    points[5:12, 1] += 0.05 * openness
    points = points * FACE_PX + (SIDE / 2 - FACE_PX / 2 + shift, 80)
    picture = np.full((SIDE, SIDE, 3), WALL, np.float32) * np.linspace(0.8, 1.1, SIDE)[None, :, None]
    middle = points[27:31].mean(axis=0)
    cv2.ellipse(picture, tuple(int(one) for one in middle), (58, 80), 0, 0, 360, HAIR, -1)
    cv2.fillConvexPoly(
        picture,
        np.int32([[middle[0] - 30, 150], [middle[0] + 30, 150], [middle[0] + 110, 215], [255, 255], [0, 255], [middle[0] - 110, 215]]),
        SHIRT,
    )
    cv2.fillPoly(picture, [np.int32(np.rint(np.append(points[0:17], points[26:16:-1], axis=0)))], SKIN)
    for outline, colour in ((points[36:42], EYES), (points[42:48], EYES), (points[48:60], LIPS), (points[60:68], MOUTH)):
        cv2.fillPoly(picture, [np.int32(np.rint(outline))], colour)
    picture += np.random.default_rng(seed).normal(0, 2.0, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), points.astype(np.float32)


def _make_piece(name: str, seed: int, *, is_held_out: bool = False, frames: int = 24, rate_hz: float = 25.0, speaker: str = "ann") -> Piece:
    times_s = LEAD_S + (np.arange(frames) + 0.5) / rate_hz
    speech = make_speech(int((times_s[-1] + LEAD_S) * 16000), 16000, seed)
    loud = np.array([np.sqrt((speech[int(t * 16000) - 320 : int(t * 16000) + 320] ** 2).mean()) for t in times_s])
    drawn = [_draw_person(float(one), 6 * np.sin(i / 5), 100 * seed + i) for i, one in enumerate(loud / loud.max())]
    return Piece(
        name=name, speaker=speaker, is_held_out=is_held_out, crops=np.stack([picture for picture, _ in drawn]),
        points=np.stack([(points + 0.5) / SIDE for _, points in drawn]).astype(np.float32), times_s=times_s, speech=speech,
        source=name.partition("/")[0],
    )  # fmt: skip


@pytest.fixture(scope="session")
def pieces() -> list[Piece]:
    """Two pieces of one person, and one more that is held out."""
    return [_make_piece("a/000", 1), _make_piece("b/000", 2), _make_piece("c/000", 3, is_held_out=True)]


@pytest.fixture(scope="session")
def draw_person():
    """Draw a person: openness, shift in px, seed -> picture and landmarks."""
    return _draw_person


@pytest.fixture(scope="session")
def make_piece():
    """Make a piece of a talking person: name, seed, and what else may be said of it."""
    return _make_piece
