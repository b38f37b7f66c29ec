"""The offset of a sound is found, finer than a frame, with its sign; silence and ends do not count."""

import numpy as np
import pytest

from redub.speech.sync import LAGS, SyncSeries, pair_distances, read_sync, smoothed

FEATURES = 16


def events(count: int, seed: int = 0) -> np.ndarray:
    """Unrelated embeddings of length one, one an instant."""
    values = np.random.default_rng(seed).normal(size=(count, FEATURES)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def early_by(offset: int, count: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A face, and the sound of the same events that comes so many instants before it."""
    line = events(count + 2 * LAGS, seed)
    return line[LAGS : LAGS + count], line[LAGS + offset : LAGS + offset + count]


def gliding(times: np.ndarray) -> np.ndarray:
    """Embeddings that change smoothly over time, in instants."""
    phases, speeds = np.random.default_rng(3).uniform(0, 6.28, (2, FEATURES))
    values = np.sin(phases + times[:, None] * (0.1 + speeds / 8))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


EVERYWHERE = np.ones(80, np.bool_)


@pytest.mark.parametrize("offset", [-15, -7, -1, 0, 2, 14, 15])
def test_the_offset_is_positive_where_the_sound_is_early(offset):
    reading = read_sync(*early_by(offset), EVERYWHERE)
    assert reading.offset_frames == pytest.approx(offset, abs=0.05)
    assert reading.offset_s == pytest.approx(reading.offset_frames / 25)
    assert reading.distance == pytest.approx(0, abs=1e-3)
    # Unrelated vectors of length one are sqrt(2) apart.
    assert reading.confidence == pytest.approx(np.sqrt(2), abs=0.1)
    assert int(np.argmin(reading.distances)) == LAGS - offset


def test_delaying_the_sound_by_the_offset_repairs_it():
    faces, sounds = early_by(6)
    delayed = np.full_like(sounds, np.nan)
    delayed[6:] = sounds[:-6]
    assert read_sync(faces, delayed, EVERYWHERE).offset_frames == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("offset", [-3.4, -0.25, 0.3, 2.5, 7.75])
def test_the_offset_is_finer_than_a_frame(offset):
    at = np.arange(80.0)
    # A sound that is early says at t - offset what the face does at t.
    reading = read_sync(gliding(at), gliding(at + offset), EVERYWHERE)
    assert reading.offset_frames == pytest.approx(offset, abs=0.15)


def test_instants_beyond_the_ends_are_left_out_and_not_compared_with_nothing():
    faces, sounds = early_by(10, count=24)
    reading = read_sync(faces, sounds, np.ones(24, np.bool_))
    assert reading.offset_frames == pytest.approx(10, abs=0.05)
    # 24 instants have 14 pairs at this lag, and each of them is scored as if the clip were long.
    assert np.isnan(reading.frame_confidence[:10]).all()
    assert reading.frame_confidence[10:] == pytest.approx(np.sqrt(2), abs=0.3)
    assert reading.coverage == pytest.approx(14 / 24)
    assert not np.isfinite(pair_distances(faces, sounds)[0, :LAGS]).any()


def test_lags_of_which_hardly_a_pair_is_left_are_not_believed():
    # At lag 15 one pair is left, and it fits by chance.
    faces, sounds = early_by(0, count=16)
    sounds = sounds + 0.5 * events(16, seed=9)
    sounds[15] = faces[0]
    reading = read_sync(faces, sounds, np.ones(16, np.bool_))
    assert reading.offset_frames == pytest.approx(0, abs=0.3)
    assert np.isnan(reading.distances[[0, -1]]).all()


def test_silent_instants_do_not_count():
    faces, sounds = early_by(3)
    is_speech = np.zeros(80, np.bool_)
    is_speech[20:50] = True
    # Where nobody speaks another offset would win by far.
    others = early_by(-8, seed=5)
    faces[~is_speech], sounds[~is_speech] = others[0][~is_speech], others[1][~is_speech]
    reading = read_sync(faces, sounds, is_speech)
    assert reading.offset_frames == pytest.approx(3, abs=0.1)
    scored = np.isfinite(reading.frame_confidence)
    # The face goes with the sound three instants before it.
    assert np.flatnonzero(scored).tolist() == list(range(23, 53))
    assert reading.coverage == 1


def test_a_face_that_is_hidden_for_a_while_is_read_from_the_rest():
    faces, sounds = early_by(-4)
    faces[10:40] = np.nan
    reading = read_sync(faces, sounds, EVERYWHERE)
    assert reading.offset_frames == pytest.approx(-4, abs=0.05)
    assert np.isnan(reading.frame_confidence[10:40]).all()
    assert reading.coverage == pytest.approx((80 - 30 - 4) / 80)


@pytest.mark.parametrize("what", ["nobody speaks", "no face", "no sound", "no instant"])
def test_what_cannot_be_scored_is_no_number_and_no_confidence(what):
    count = 0 if what == "no instant" else 40
    faces, sounds = (values[:count].copy() for values in early_by(0))
    faces[:] = np.nan if what == "no face" else faces
    sounds[:] = np.nan if what == "no sound" else sounds
    reading = read_sync(faces, sounds, np.full(count, what != "nobody speaks"))
    assert np.isnan([reading.offset_frames, reading.offset_s, reading.distance]).all()
    assert (reading.confidence, reading.coverage) == (0.0, 0.0)
    assert np.isnan(reading.distances).all()
    assert reading.frame_confidence.shape == (count,)
    assert np.isnan(reading.frame_confidence).all()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_clip_of_a_few_instants_is_read(count):
    faces, sounds = early_by(0, count=count)
    reading = read_sync(faces, sounds, np.ones(count, np.bool_))
    assert reading.distance == pytest.approx(0, abs=1e-5)
    assert reading.coverage == 1


def test_a_voice_that_is_not_the_faces_gives_little_confidence():
    own = [read_sync(*early_by(0, seed=seed), EVERYWHERE).confidence for seed in range(8)]
    other = [read_sync(events(80, seed), events(80, 100 + seed), EVERYWHERE).confidence for seed in range(8)]
    assert max(other) < 0.2 * min(own)


def test_the_series_reads_itself():
    faces, sounds = early_by(5)
    series = SyncSeries(times_s=np.arange(80) / 25, faces=faces, sounds=sounds, is_speech=EVERYWHERE)
    assert series.read().offset_frames == read_sync(faces, sounds, EVERYWHERE).offset_frames


def test_confidence_is_smoothed_over_what_was_scored():
    values = np.full(20, np.nan, np.float32)
    values[5:10] = [1, 2, 3, 4, 5]
    smooth = smoothed(values, 5)
    assert smooth.shape == (20,)
    assert smooth[7] == pytest.approx(3)
    assert smooth[5] == pytest.approx(2)
    assert np.isnan(smooth[:3]).all()
    assert np.isnan(smooth[12:]).all()
    assert smoothed(np.zeros(0, np.float32)).shape == (0,)
