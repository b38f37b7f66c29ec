"""MFCC windows: the recipe's numbers, at each frame's true time, whatever the sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.fft import dct
from scipy.signal import lfilter

from redub.errors import ShapeError
from redub.media import open_speech
from redub.speech.features import FLOOR, RATE_HZ, filter_energies, mfcc_at, speech_windows

RATES = [Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(2213, 100)]
COLUMN_STARTS = range(0, 35 * 160, 160)
"""Of a window's columns, counted from its first sample."""
SPAN = COLUMN_STARTS[-1] + 400


def voice(count: int, seed: int = 0) -> np.ndarray:
    """Return (N,) of a buzz at 120 Hz with a rising formant, and breath."""
    time = np.arange(count) / 16_000
    buzz = np.sign(np.sin(2 * np.pi * 120 * time)) * (0.6 + 0.4 * np.sin(2 * np.pi * (700 + 300 * time) * time))
    return (0.2 * buzz + 0.01 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def slow_mfcc(speech: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Work the authors' recipe out step by step, for columns that lie inside the sound: (M, 12)."""
    emphasised = lfilter([1, -0.97], [1], speech.astype(float) * 2**15)
    window = [0.54 - 0.46 * np.cos(2 * np.pi * n / 399) for n in range(400)]
    hertz = np.arange(257) * 16_000 / 512
    corners = [700 * (np.exp(mel / 1127) - 1) for mel in np.linspace(*(1127 * np.log(1 + f / 700) for f in (300, 3700)), 42)]
    rows = []
    for start in starts:
        wave = emphasised[start : start + 400] * window
        magnitude = [abs(np.sum(wave * np.exp(-2j * np.pi * f / 16_000 * np.arange(400)))) for f in hertz]
        logs = []
        for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
            triangle = np.interp(hertz, [low, middle, high], [0, 1, 0], left=0, right=0)
            logs.append(np.log(max(np.dot(triangle, magnitude), 1.0)))
        cepstrum = dct(logs, type=2) / 2 * np.sqrt(2 / 40)
        rows.append([cepstrum[n] * (1 + 11 * np.sin(np.pi * n / 22)) for n in range(1, 13)])
    return np.array(rows)


def nearest_start(time: Fraction) -> int:
    """Return the first sample of the window that is centred on a time."""
    return round(time * 16_000 - Fraction(SPAN, 2))


def test_the_recipe_worked_out_slowly_gives_the_same() -> None:
    speech = voice(16_000)
    speech[9000:11_000] = 0
    speech[12_000:12_400] *= 1e-4
    starts = np.array([0, 1, 333, 4000, 8800, 9500, 11_990, 15_600])
    np.testing.assert_allclose(mfcc_at(speech, starts)[:, 1:], slow_mfcc(speech, starts), rtol=0, atol=1e-6)


def test_a_window_is_the_recipes_columns_in_order() -> None:
    speech = voice(16_000)
    (window,) = speech_windows(speech, np.array([0.5]))
    assert window.shape == (12, 35)
    assert window.dtype == np.float32
    start = nearest_start(Fraction(1, 2))
    expected = slow_mfcc(speech, start + np.array(COLUMN_STARTS)).T
    np.testing.assert_allclose(window, expected, rtol=0, atol=1e-4)


def test_the_recipe_holds_on_real_sound(shared_clips: Path) -> None:
    with open_speech(shared_clips / "train" / "grid_a_1.mpg", RATE_HZ) as sound:
        speech = sound.window(0, sound.samples)
    starts = np.arange(0, len(speech) - 400, 3001)
    np.testing.assert_allclose(mfcc_at(speech, starts)[:, 1:], slow_mfcc(speech, starts), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.3f}")
@pytest.mark.parametrize("frame", [0, 7, 1000, 90_001])
def test_a_click_lies_in_the_columns_that_cover_it(rate: Fraction, frame: int) -> None:
    middle = (frame + Fraction(1, 2)) / rate
    start = nearest_start(middle)
    # Pages of zeros that nobody touches take no memory, not even an hour of them.
    speech = np.zeros(max(start, 0) + 2 * SPAN, np.float32)
    for place in (start, start + 159, start + 2920, start + 5000, start + SPAN - 1):
        if place < 0:
            continue
        speech[place] = 0.5
        (window,) = speech_windows(speech, np.array([float(middle)]))
        speech[place] = 0
        # A click goes on in the sample behind it, through the pre-emphasis.
        covering = [any(start + first <= at < start + first + 400 for at in (place, place + 1)) for first in COLUMN_STARTS]
        assert np.any(window != 0, axis=0).tolist() == covering


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.3f}")
def test_windows_are_centred_on_the_true_time_after_an_hour(rate: Fraction) -> None:
    speech = np.zeros(3700 * RATE_HZ, np.float32)
    for frame in (int(3600 * rate), int(3600 * rate) + 1, int(3600 * rate) + 12):
        middle = (frame + Fraction(1, 2)) / rate
        about = int(middle * RATE_HZ)
        matters = [place for place in range(about - 2930, about - 2910) if _is_heard(speech, place, middle)]
        matters += [place for place in range(about + 2910, about + 2930) if _is_heard(speech, place, middle)]
        first, last = min(matters) + 1, max(matters)  # the one before the window is heard through the pre-emphasis
        assert last - first + 1 == SPAN
        assert abs(Fraction(first + last + 1, 2) - middle * RATE_HZ) <= Fraction(1, 2)


def _is_heard(speech: np.ndarray, place: int, middle: Fraction) -> bool:
    speech[place] = 1
    windows = speech_windows(speech, np.array([float(middle)]))
    speech[place] = 0
    return bool(windows.any())


def test_only_the_samples_of_its_span_and_the_one_before_change_a_window() -> None:
    speech, middle = voice(16_000), 0.5
    start = nearest_start(Fraction(1, 2))
    window = speech_windows(speech, np.array([middle]))
    for place, matters in ((start - 2, False), (start - 1, True), (start, True), (start + SPAN - 1, True), (start + SPAN, False)):
        other = speech.copy()
        other[place] += 0.5
        assert np.array_equal(speech_windows(other, np.array([middle])), window) != matters, place


@given(shift=st.integers(-3000, 3000), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_later_sound_gives_the_same_windows_later(shift: int, seed: int) -> None:
    speech = np.concatenate([np.zeros(3000, np.float32), voice(8000, seed)])
    moved = np.concatenate([np.zeros(3000 + shift, np.float32), voice(8000, seed)])
    times = np.array([0.31, 0.35, 0.481])
    # Some columns begin in the silence before the sound, some end behind its last sample.
    np.testing.assert_allclose(speech_windows(moved, times + shift / RATE_HZ), speech_windows(speech, times), rtol=0, atol=1e-5)


SAMPLE = st.one_of(st.floats(-1, 1, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, 1.0, -1.0]))


@given(speech=arrays(np.float32, st.integers(0, 900), elements=SAMPLE), time=st.floats(-1, 1))
@settings(max_examples=60, deadline=None)
def test_whatever_the_samples_features_are_finite(speech: np.ndarray, time: float) -> None:
    windows = speech_windows(speech, np.array([time, time + 0.04]))
    assert windows.shape == (2, 12, 35)
    assert np.isfinite(windows).all()


@pytest.mark.parametrize("count", [0, 1, 399, 16_000])
def test_digital_silence_is_zero(count: int) -> None:
    assert not speech_windows(np.zeros(count, np.float32), np.array([0.0, 0.5, 7.0])).any()


def test_outside_the_sound_there_is_silence() -> None:
    speech = voice(8000)
    inside = np.concatenate([np.zeros(8000, np.float32), speech, np.zeros(8000, np.float32)])
    times = np.array([-0.4, -0.1, 0.0, 0.02, 0.25, 0.48, 0.55, 0.9])
    assert np.array_equal(speech_windows(speech, times), speech_windows(inside, times + 0.5))
    assert not speech_windows(speech, times)[[0, -1]].any()


def test_no_instants_give_no_windows() -> None:
    assert speech_windows(voice(1000), np.zeros(0)).shape == (0, 12, 35)


def test_a_broken_sample_spoils_only_the_columns_that_cover_it() -> None:
    speech = voice(16_000)
    window = speech_windows(speech, np.array([0.5]))[0]
    start = nearest_start(Fraction(1, 2))
    for bad in (np.nan, np.inf, -np.inf):
        broken = speech.copy()
        broken[start + 3000] = bad
        found = speech_windows(broken, np.array([0.5]))[0]
        same = [not first <= 3001 < first + 401 for first in COLUMN_STARTS]
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found[:, same], window[:, same])


def test_loudness_is_in_the_coefficient_that_is_left_out() -> None:
    speech = voice(16_000)
    starts = np.arange(100, 15_000, 700)
    assert filter_energies(speech * 0.1, starts).min() > FLOOR
    loud, quiet = mfcc_at(speech, starts), mfcc_at(speech * np.float32(0.1), starts)
    np.testing.assert_allclose(quiet[:, 1:], loud[:, 1:], atol=1e-4)
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], np.log(10) * 40 * np.sqrt(2 / 40), atol=1e-4)


def test_a_steady_offset_hardly_matters() -> None:
    speech = voice(16_000)
    times = np.arange(0.3, 0.7, 0.04)
    clean = speech_windows(speech, times)
    change = np.abs(speech_windows(speech + np.float32(0.02), times) - clean)
    assert change.mean() < 0.02 * clean.std()


def test_a_flat_signal_gives_equal_columns() -> None:
    windows = speech_windows(np.full(16_000, 0.5, np.float32), np.array([0.4, 0.5]))
    assert np.ptp(windows, axis=2).max() == 0


def test_full_scale_clipping_is_still_a_voice() -> None:
    speech = np.clip(voice(16_000) * 100, -1, 1)
    windows = speech_windows(speech, np.array([0.3, 0.5]))
    assert np.isfinite(windows).all()
    np.testing.assert_allclose(mfcc_at(speech, np.array([5000]))[:, 1:], slow_mfcc(speech, np.array([5000])), atol=1e-6)


def test_a_tone_fills_the_filters_around_it() -> None:
    corners = 700 * np.expm1(np.linspace(1127 * np.log1p(300 / 700), 1127 * np.log1p(3700 / 700), 42) / 1127)
    time = np.arange(4000) / RATE_HZ
    for number in (3, 20, 38):
        tone = (0.1 * np.sin(2 * np.pi * corners[number + 1] * time)).astype(np.float32)
        assert int(np.argmax(filter_energies(tone, np.array([1000]))[0])) == number


def test_a_shorter_vocal_tract_is_undone_by_the_warp() -> None:
    """A voice whose spectrum is stretched by 1.1, heard through filters that are stretched as much, sounds the same."""
    time = np.arange(8000) / RATE_HZ

    def tones(stretch: float) -> np.ndarray:
        return sum(0.05 * np.sin(2 * np.pi * stretch * f * time + f) for f in range(350, 3400, 150)).astype(np.float32)

    starts = np.arange(500, 7000, 370)
    usual = mfcc_at(tones(1.0), starts)[:, 1:]
    undone = mfcc_at(tones(1.1), starts, warp=1.1)[:, 1:]
    ignored = mfcc_at(tones(1.1), starts)[:, 1:]
    assert np.abs(undone - usual).mean() < 0.6 * np.abs(ignored - usual).mean()


def test_two_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(100, 2\)"):
        speech_windows(np.zeros((100, 2), np.float32), np.array([0.0]))


def test_a_real_voice_moves_its_window_with_the_frame(shared_clips: Path) -> None:
    with open_speech(shared_clips / "train" / "grid_b_1.mpg", RATE_HZ) as sound:
        speech = sound.window(0, sound.samples)
    times = (np.arange(20, 50) + 0.5) / 25
    windows = speech_windows(speech, times)
    # 40 ms are four columns: each window holds its successor's, four columns further on.
    np.testing.assert_allclose(windows[:-1, :, 4:], windows[1:, :, :-4], rtol=0, atol=1e-5)
