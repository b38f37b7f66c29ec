"""Pieces for training, drawn: a cartoon face that opens its mouth as loudly as it speaks."""

from __future__ import annotations

import numpy as np
import pytest

from redub.plugin import Piece
from redub.testing import draw_face, make_speech

FRAMES, LEAD_S = 40, 0.5


def make_piece(name: str, speaker: str, seed: int, *, is_held_out: bool = False, frames: int = FRAMES, rate_hz: float = 25.0) -> Piece:
    times_s = LEAD_S + (np.arange(frames) + 0.5) / rate_hz
    speech = make_speech(int((times_s[-1] + LEAD_S) * 16000), 16000, seed)
    power = np.concatenate([[0.0], np.cumsum(speech.astype(np.float64) ** 2)])
    edges = np.rint((times_s[:, None] + [-0.02, 0.02]) * 16000).astype(int)
    openness = np.sqrt((power[edges[:, 1]] - power[edges[:, 0]]) / 640)
    openness = openness / openness.max()
    drawn = [draw_face(112, float(value), seed) for value in openness]
    return Piece(
        name=name, speaker=speaker, is_held_out=is_held_out, crops=np.stack([picture for picture, _ in drawn]),
        points=np.stack([(points + 0.5) / 112 for _, points in drawn]).astype(np.float32), times_s=times_s, speech=speech,
    )  # fmt: skip


@pytest.fixture(scope="session")
def pieces() -> list[Piece]:
    """Three speakers; one has two pieces, and one more of theirs is held out."""
    return [
        make_piece("a/000", "ann", 1),
        make_piece("a/001", "ann", 2),
        make_piece("b/000", "ben", 3, frames=30),
        make_piece("c/000", "cleo", 4, frames=14),
        make_piece("a/002", "ann", 5, is_held_out=True),
    ]
