"""Sound and pictures are taken at the instants' true times, whatever the video's rate."""

import numpy as np
import pytest
import python_speech_features

from redub.errors import ShapeError
from redub.speech.sync_features import (
    BANDS,
    COLUMNS,
    MOUTH,
    MOUTH_SIZE,
    RATE_HZ,
    SOUND_RATE_HZ,
    as_grey,
    find_speech,
    instants,
    levelled,
    log_mel,
    mfcc_windows,
    mouth_shapes,
    nearest,
    sound_windows,
    take_mouths,
)  # fmt: skip


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=round(seconds * SOUND_RATE_HZ))).astype(np.float32)


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * SOUND_RATE_HZ)) / SOUND_RATE_HZ)).astype(np.float32)


def test_mfcc_are_those_of_the_library_that_the_published_network_was_trained_with():
    speech = noise(2.0)
    grid = python_speech_features.mfcc(speech.astype(np.float64) * 32768, SOUND_RATE_HZ)
    # Five pictures from number i on have their middle at (i + 2.5) / 25, and the columns 4i to 4i + 19.
    windows = mfcc_windows(speech, (np.arange(40) + 2.5) / 25)
    assert windows.shape == (40, 13, 20)
    for i in range(1, 40):
        np.testing.assert_allclose(windows[i], grid[4 * i : 4 * i + 20].T, atol=1e-3)


def test_mfcc_follow_a_sound_that_is_moved_by_any_number_of_samples():
    speech = noise(1.0)
    moved = np.concatenate([np.zeros(77, np.float32), speech])
    at = np.array([0.3, 0.4137, 0.61])
    np.testing.assert_allclose(mfcc_windows(moved, at + 77 / SOUND_RATE_HZ), mfcc_windows(speech, at), atol=1e-4)


def test_the_middle_of_a_window_is_its_instant():
    click = np.zeros(SOUND_RATE_HZ, np.float32)
    click[8000] = 1.0
    # Seen from 0.5 s the click lies in the middle; columns are 10 ms apart, and the two in the middle hold it alike.
    energy = log_mel(click, np.array([8000 - 1720 + 160 * k for k in range(COLUMNS)])).mean(axis=1)
    loud = np.flatnonzero(energy > energy.min() + 1)
    assert (loud[0] + loud[-1]) / 2 == pytest.approx((COLUMNS - 1) / 2)
    window = sound_windows(click + 1e-3 * noise(1.0), np.array([0.5]))[0].mean(axis=0)
    assert np.argsort(window)[-2:].tolist() in ([9, 10], [10, 9])


def test_a_column_is_the_same_whatever_else_is_asked_for():
    speech = noise(2.0)
    one, many = log_mel(speech, np.array([5000])), log_mel(speech, np.arange(4000, 6000, 250))
    np.testing.assert_array_equal(one[0], many[4])


def test_a_higher_tone_is_in_a_higher_band():
    at = np.array([4000])
    places = [int(log_mel(tone(hz), at)[0].argmax()) for hz in (200, 500, 1200, 2500, 5000)]
    assert places == sorted(set(places))


@pytest.mark.parametrize("gain", [0.03, 0.3, 3.0])
def test_loudness_and_a_steady_tone_of_the_microphone_do_not_matter(gain):
    speech = noise(2.0) * np.repeat(np.random.default_rng(4).uniform(0.3, 1, 40), 800).astype(np.float32)
    at = np.arange(0.3, 1.7, 0.04)
    np.testing.assert_allclose(sound_windows(gain * speech, at), sound_windows(speech, at), atol=0.02)
    # A microphone that swallows high frequencies: one coefficient of a filter, steady over time.
    dull = np.convolve(speech, [0.7, 0.3])[: len(speech)].astype(np.float32)
    np.testing.assert_allclose(sound_windows(dull, at), sound_windows(speech, at), atol=0.15)


def test_levels_are_means_where_somebody_speaks():
    bands = np.full((100, BANDS), 2.0, np.float32)
    bands[:50] = 15.0
    level = levelled(bands)
    assert level[:50] == pytest.approx(0.0, abs=1e-5)
    # What is far below speech is cut off.
    assert (level[50:] == -3.0).all()
    assert levelled(np.zeros((0, BANDS), np.float32)).shape == (0, BANDS)


@pytest.mark.parametrize(
    "speech", [np.zeros(0, np.float32), np.zeros(100, np.float32), np.full(9000, np.nan, np.float32), np.full(9000, np.inf, np.float32)]
)
def test_silence_and_broken_samples_are_numbers(speech):
    at = np.array([-1.0, 0.1, 0.3, 9.0])
    assert np.isfinite(sound_windows(speech, at)).all()
    assert np.isfinite(mfcc_windows(speech, at)).all()
    assert not find_speech(speech, at).any()


def test_speech_is_what_is_loud():
    speech = 1e-4 * noise(4.0)
    speech[SOUND_RATE_HZ : 2 * SOUND_RATE_HZ] += noise(1.0, 1)
    at = np.array([0.5, 0.9, 1.1, 1.5, 1.9, 2.1, 3.0])
    assert find_speech(speech, at).tolist() == [False, False, True, True, True, False, False]
    # Nobody ever pauses.
    assert find_speech(noise(4.0), at).all()
    assert find_speech(1e-5 * noise(4.0), at).tolist() == [False] * 7


@pytest.mark.parametrize("rate", [24000 / 1001, 24, 25, 30000 / 1001, 50, 60])
def test_each_instant_takes_the_nearest_picture(rate):
    times = 3.0 + (np.arange(round(2 * rate)) + 0.5) / rate
    at = instants(times)
    assert at[0] == times[0]
    assert np.diff(at) == pytest.approx(1 / RATE_HZ)
    assert times[-1] - 1 / RATE_HZ < at[-1] <= times[-1] + 1e-3
    index = nearest(times, at)
    assert (index >= 0).all()
    assert (np.abs(times[index] - at) <= 0.5 / rate + 1e-3).all()
    assert (np.abs(times[None] - at[:, None]).min(axis=1) == np.abs(times[index] - at)).all()


def test_at_25_hz_every_picture_is_taken_once():
    times = 0.52 + np.arange(75) / 25
    assert nearest(times, instants(times)).tolist() == list(range(75))


def test_a_variable_rate_is_followed_and_a_hole_is_no_picture():
    random = np.random.default_rng(0)
    times = np.cumsum(random.uniform(0.025, 0.055, 60))
    times = np.concatenate([times[:30], times[30:] + 1.0])
    at = instants(times)
    index = nearest(times, at)
    hole = (at > times[29] + 0.03) & (at < times[30] - 0.03)
    assert (index[hole] == -1).all()
    assert hole.sum() >= 23
    assert (np.abs(times[index] - at)[index >= 0] <= 0.031).all()
    assert (index >= 0).sum() >= len(at) - hole.sum() - 3


def test_a_slow_video_has_a_picture_for_every_instant():
    times = np.arange(30) / 12
    assert (nearest(times, instants(times)) >= 0).all()


@pytest.mark.parametrize("count", [0, 1])
def test_a_track_of_hardly_any_picture(count):
    times = np.arange(count) / 25
    at = instants(times)
    assert len(at) == count
    assert nearest(times, at).tolist() == list(range(count))
    assert nearest(times, np.array([5.0])).tolist() == [-1]


def test_landmarks_say_how_far_the_mouth_is_open():
    from redub.faces.canonical import CANONICAL_FACE

    closed = np.array(CANONICAL_FACE, np.float64)
    opened = closed.copy()
    opened[[65, 66, 67, 55, 56, 57, 58, 59], 1] += 0.04
    moved = opened + np.array([0.2, -0.1])
    shapes = mouth_shapes(np.stack([closed, opened, moved]))
    assert shapes.shape == (3, 65)
    # 0.04 of the square: both lips' gap and the mouth's height, in fiftieths of it.
    np.testing.assert_allclose((shapes[1] - shapes[0])[[-3, -1]], 2.0, rtol=0.1)
    assert abs(shapes[1, -2] - shapes[0, -2]) < 1e-5
    np.testing.assert_allclose(shapes[2], shapes[1], atol=1e-4)
    with pytest.raises(ShapeError, match="68"):
        mouth_shapes(np.zeros((3, 67, 2)))


def test_the_mouth_is_cut_out_where_it_is():
    from redub.faces.canonical import CANONICAL_FACE

    lips, chin = CANONICAL_FACE[48:68] * 112, CANONICAL_FACE[8] * 112
    left, top, right, bottom = MOUTH
    assert left < lips[:, 0].min() - 12
    assert right > lips[:, 0].max() + 12
    assert top < lips[:, 1].min() - 6
    assert bottom > chin[1]
    crops = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
    mouths = take_mouths(crops)
    assert mouths.shape == (2, *MOUTH_SIZE, 3)
    np.testing.assert_array_equal(mouths[1, 3, 5], crops[1, top + 3, left + 5])
    with pytest.raises(ShapeError, match="112"):
        take_mouths(crops[:, :100])


def test_grey_is_luma():
    colours = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]]]], np.uint8)
    assert as_grey(colours)[0, 0].tolist() == [76, 150, 29, 255, 0]
