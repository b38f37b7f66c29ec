"""Series whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from redub.metrics.series import (
    closed_mouth,
    correlation,
    decibels,
    follow,
    frame_rms,
    high_pass,
    open_share,
    speech_frames,
)

RATE = 25.0


def mouth(frames: int = 200, seed: int = 1) -> np.ndarray:
    """A gap that moves at random within a few frames, like syllables."""
    noise = np.random.default_rng(seed).normal(size=frames + 4)
    return 0.15 + 0.05 * np.convolve(noise, np.ones(5) / 5, mode="valid")


ALL = np.ones(200, bool)


@pytest.mark.parametrize(("rate_hz", "frames"), [(25.0, 15), (30.0, 19), (22.13, 13), (50.0, 31)])
def test_the_mean_that_is_taken_away_is_as_long_as_said(rate_hz, frames):
    impulse = np.zeros(101)
    impulse[50] = 1.0
    passed = high_pass(impulse, rate_hz)
    reach = np.flatnonzero(passed)
    assert (reach.min(), reach.max()) == (50 - frames // 2, 50 + frames // 2)
    assert passed[50] == pytest.approx(1 - 1 / frames)
    assert passed[reach.min()] == pytest.approx(-1 / frames)
    assert abs(frames / rate_hz - 0.6) <= 1 / rate_hz + 1e-9


def test_at_the_ends_the_mean_is_of_the_frames_that_there_are():
    passed = high_pass(np.arange(40.0), RATE)
    assert passed[0] == pytest.approx(0 - np.arange(8).mean())
    assert passed[39] == pytest.approx(39 - np.arange(32, 40).mean())
    np.testing.assert_allclose(passed[7:33], 0.0, atol=1e-12)


def test_a_clip_shorter_than_the_mean_loses_its_own_mean():
    np.testing.assert_allclose(high_pass(np.array([1.0, 2.0, 6.0]), RATE), [-2.0, -1.0, 3.0])


def test_a_perfect_mouth_follows_wholly():
    found = follow(mouth(), mouth(), ALL, RATE)
    assert found.following == pytest.approx(1.0)
    assert found.raw == pytest.approx(1.0)
    assert found.spread == pytest.approx(1.0)
    assert (found.lag_frames, found.lag_s) == (0, 0)


def test_a_mouth_that_does_the_opposite_follows_negatively():
    assert follow(0.3 - mouth(), mouth(), ALL, RATE).following == pytest.approx(-1.0)


def test_size_and_offset_do_not_change_following_but_the_spread_tells_them():
    found = follow(0.02 + 0.5 * mouth(), mouth(), ALL, RATE)
    assert found.following == pytest.approx(1.0)
    assert found.spread == pytest.approx(0.5)


def test_a_slow_drift_is_not_following():
    drift = 0.2 * np.sin(np.arange(200) / 200 * 2 * np.pi)
    counts = ALL.copy()
    counts[:8] = counts[-8:] = False  # there, the mean is one-sided
    found = follow(drift + 0.2 * mouth(seed=7), drift + mouth(seed=8), counts, RATE)
    assert found.raw > 0.9
    assert abs(found.following) < 0.3


@pytest.mark.parametrize("late", [-7, -1, 0, 3, 10])
def test_a_late_mouth_is_found_late(late):
    found = follow(np.roll(mouth(), late), mouth(), ALL, RATE)
    assert found.lag_frames == late
    assert found.lag_s == pytest.approx(late / 25)
    assert found.lag_following > 0.95
    if late:
        assert found.following < 0.9


def test_a_lag_beyond_the_reach_is_not_reported_as_one():
    assert follow(np.roll(mouth(), 15), mouth(), ALL, RATE).lag_following < 0.6


def test_only_the_frames_that_count_are_compared():
    counts = ALL.copy()
    counts[100:] = False
    painted = mouth()
    painted[115:] = mouth(seed=3)[115:]  # further from the frames that count than the mean reaches
    assert follow(painted, mouth(), counts, RATE).following == pytest.approx(1.0)
    assert follow(painted, mouth(), ALL, RATE).following < 0.9


def test_correlation_is_the_textbooks():
    one, other = mouth(seed=4), mouth(seed=5) + 0.5 * mouth(seed=4)
    assert correlation(one, other) == pytest.approx(np.corrcoef(one, other)[0, 1])


@pytest.mark.parametrize("series", [np.full(200, 0.1), np.zeros(200)])
def test_a_mouth_that_does_not_move_follows_nothing(series):
    found = follow(series, mouth(), ALL, RATE)
    assert np.isnan(found.following)
    assert found.spread == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(follow(mouth(), series, ALL, RATE).spread)


def test_a_few_frames_tell_nothing():
    counts = np.zeros(200, bool)
    counts[50:54] = True
    found = follow(mouth(), mouth(), counts, RATE)
    assert np.isnan(found.following)
    assert np.isnan(found.lag_frames)


def test_the_strength_of_each_frame_is_that_of_its_own_sound():
    rate_hz = 8000
    levels = np.array([0.5, 0.0, 0.1, 0.25])
    sound = np.repeat(levels, 320).astype(np.float32) * np.sqrt(2) * np.sin(2 * np.pi * 500 * np.arange(1280) / rate_hz)
    rms = frame_rms(sound.astype(np.float32), rate_hz, np.arange(7) * 0.04)
    np.testing.assert_allclose(rms, [*levels, 0.0, 0.0], atol=1e-6)


def test_frames_of_different_length_are_measured_over_their_own():
    sound = np.ones(1000, np.float32)
    np.testing.assert_allclose(frame_rms(sound, 1000, [0.0, 0.1, 0.5, 1.0, 2.0]), [1.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(frame_rms(sound, 1000, [0.75, 1.25]), [np.sqrt(0.5)])


def test_speech_is_what_is_within_25_db_of_the_loudest_frame():
    rms = 0.3 * 10 ** (np.array([0.0, -24.9, -25.1, -60.0, -3.0]) / 20)
    assert speech_frames(rms).tolist() == [True, True, False, False, True]
    assert not speech_frames(np.zeros(5)).any()
    np.testing.assert_allclose(decibels(np.array([0.2, 0.02, 0.0])), [0.0, -20.0, -60.0])


def test_a_closed_mouth_is_the_median_without_speech():
    gap = np.array([0.02, 0.03, 0.04, 0.30, 0.40])
    assert closed_mouth(gap, np.array([False, False, False, True, True])) == pytest.approx(0.03)


def test_where_speech_never_stops_a_closed_mouth_is_the_tenth_percentile():
    assert closed_mouth(np.linspace(0, 1, 101), np.ones(101, bool)) == pytest.approx(0.1)


def test_open_is_wider_than_closed_by_more_than_a_twentieth_of_the_eyes_distance():
    assert open_share(np.array([0.03, 0.07, 0.0799, 0.0801, 0.5]), closed=0.03) == pytest.approx(2 / 5)
