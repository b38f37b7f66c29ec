"""The right moment among 31 is found where it can be, by length of the stretch, and confused where it cannot."""

import numpy as np
import pytest

from redub.speech.retrieval import CHANCE, FRAMES, retrieve, retrieve_all
from redub.speech.sync import SyncSeries


def events(count: int, seed: int = 0, features: int = 24) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(count, features)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def speaking(count: int) -> np.ndarray:
    return np.ones(count, np.bool_)


def test_what_fits_is_always_found_and_every_stretch_with_all_candidates_counts():
    line = events(100)
    found = retrieve(line, line, speaking(100))
    assert found.frames == FRAMES
    assert found.accuracy.tolist() == [1.0] * 6
    # 100 instants have 70 with 15 on both sides, and so many less one for each instant that a stretch is longer.
    assert found.counts.sum(axis=1).tolist() == [70 - 2 * k for k in range(6)]
    assert found.counts[:, 15].tolist() == [70 - 2 * k for k in range(6)]


@pytest.mark.parametrize("offset", [-12, -2, -1, 1, 2, 9])
def test_a_shift_is_found_as_such_and_is_right_within_one_frame(offset):
    line = events(160)
    faces, sounds = line[20:130], line[20 + offset : 130 + offset]
    found = retrieve(faces, sounds, speaking(110))
    assert (found.counts[:, 15 + offset] == found.counts.sum(axis=1)).all()
    assert found.accuracy.tolist() == [float(abs(offset) <= 1)] * 6
    # Where the offset is known the search is around it.
    around = retrieve(faces, sounds, speaking(110), offset_frames=offset)
    assert around.accuracy.tolist() == [1.0] * 6
    assert (around.counts[:, 15] == around.counts.sum(axis=1)).all()


def test_chance_is_three_in_31():
    total = sum((retrieve(events(400, seed), events(400, 50 + seed), speaking(400), frames=(5,)) for seed in range(1, 8)),
                start=retrieve(events(400), events(400, 50), speaking(400), frames=(5,)))  # fmt: skip
    assert total.accuracy[0] == pytest.approx(CHANCE, abs=0.02)
    assert pytest.approx(0.0968, abs=1e-4) == CHANCE


def test_longer_stretches_are_found_more_often():
    faces = events(600)
    sounds = faces + 3 * events(600, 9)
    accuracy = retrieve(faces, sounds, speaking(600)).accuracy
    assert (np.diff(accuracy) > 0).all()
    assert accuracy[0] < 0.6
    assert accuracy[-1] > 0.9


def test_silent_stretches_and_those_without_a_face_do_not_count():
    line = events(120)
    is_speech = speaking(120)
    is_speech[60:] = False
    found = retrieve(line, line, is_speech, frames=(5, 7))
    # Instants 15 to 59; of three, two must speak.
    assert found.counts.sum(axis=1).tolist() == [45, 44]
    faces = line.copy()
    faces[70] = np.nan
    assert retrieve(faces, line, speaking(120), frames=(5, 7)).counts.sum(axis=1).tolist() == [89, 85]


@pytest.mark.parametrize("count", [0, 1, 30, 31, 34])
def test_short_tracks_have_few_stretches_or_none(count):
    line = events(40)[:count]
    found = retrieve(line, line, speaking(count))
    assert found.counts.sum(axis=1).tolist() == [max(count - 30 - 2 * k, 0) for k in range(6)]
    assert np.isnan(found.accuracy[-1])


def test_tracks_are_summed():
    tracks = [
        SyncSeries(times_s=np.arange(50) / 25, faces=events(50, seed), sounds=events(50, seed), is_speech=speaking(50)) for seed in range(3)
    ]
    assert retrieve_all(tracks, (5, 9)).counts[:, 15].tolist() == [60, 48]
    assert np.isnan(retrieve_all([]).accuracy).all()
    with pytest.raises(ValueError, match="cannot be added"):
        retrieve_all(tracks, (5,)) + retrieve_all(tracks, (7,))
