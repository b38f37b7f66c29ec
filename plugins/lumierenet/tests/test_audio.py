"""Sound around each frame, at its exact time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from redub_lumierenet.audio import BANDS, FFT, FLOOR, RATE_HZ, WINDOW, WINDOW_S, energies, filters, lags, normalised, windows


def test_the_energies_are_those_of_the_usual_library_where_its_windows_lie():
    library = pytest.importorskip("python_speech_features")
    speech = np.random.default_rng(1).normal(0, 0.1, RATE_HZ).astype(np.float32)
    wanted = library.logfbank(speech.astype(np.float64), RATE_HZ, winlen=WINDOW_S, winstep=533 / RATE_HZ, nfilt=BANDS, nfft=FFT)
    times = (np.arange(len(wanted)) * 533 + WINDOW / 2) / RATE_HZ
    # It does not let pre-emphasis reach before the first window, and ends in zeros.
    assert np.allclose(energies(speech, times)[1:-2], wanted[1:-2], atol=1e-4)


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(30000, 1001), Fraction(25)])
def test_nothing_drifts_in_an_hour(rate):
    """A click at the middle of a frame is heard alike in the first second and after an hour."""
    frames = [10, 3600 * 30 // 2, int(3600 * rate) - 10]
    times = [(frame + Fraction(1, 2)) / rate for frame in frames]
    heard = []
    for time in times:
        # Only the second around the click is held; the times count from its beginning, which is a whole sample.
        first = int(time * RATE_HZ) - RATE_HZ // 2
        speech = np.zeros(RATE_HZ, np.float32)
        speech[round(time * RATE_HZ) - first] = 1.0
        near = float(time - Fraction(first, RATE_HZ))
        heard.append(energies(speech, np.array([near - 0.0215, near, near + 0.0215, near - 0.0235, near + 0.0235])))
    for one in heard:
        assert (one[:3].max(axis=1) > np.log(FLOOR) + 3).all()
        assert np.allclose(one[3:], np.log(FLOOR), atol=1e-3)
        assert np.allclose(one, heard[0], atol=1e-2)


def test_times_far_into_a_sound_stay_exact_to_a_sample():
    hour = 3600
    speech = np.zeros(RATE_HZ * 2, np.float32)
    speech[RATE_HZ] = 1.0
    offset = Fraction(hour * 30 * 16000, 30)
    frame_times = [float((n + Fraction(1, 2)) / 30 - offset / RATE_HZ) for n in range(hour * 30, hour * 30 + 60)]
    is_heard = energies(speech, np.array(frame_times)).max(axis=1) > np.log(FLOOR) + 3
    wanted = [abs(t - 1.0) <= WINDOW_S / 2 for t in frame_times]
    assert is_heard.tolist() == wanted


def test_a_window_holds_the_energies_of_its_steps():
    speech = np.random.default_rng(2).normal(0, 0.1, RATE_HZ).astype(np.float32)
    times = np.array([0.4, 0.44, 0.7])
    steps = lags(25.0, 15, 3)
    found = windows(speech, times, steps)
    assert found.shape == (3, 15, BANDS)
    assert steps[-1] == pytest.approx(3 / 25)
    assert steps[0] == pytest.approx(-11 / 25)
    assert np.allclose(found[1, 4], energies(speech, times[1:2] + steps[4])[0], atol=1e-5)


def test_silence_and_what_lies_beyond_the_sound_are_finite_and_alike():
    found = energies(np.zeros(1600, np.float32), np.array([-1.0, 0.0, 0.05, 5.0]))
    assert np.allclose(found, np.log(FLOOR))
    assert np.array_equal(energies(np.zeros(0, np.float32), np.array([0.0])), found[:1])


def test_a_tone_is_strongest_in_the_band_that_holds_it():
    time = np.arange(RATE_HZ) / RATE_HZ
    for band in (5, 20, 35):
        middle_hz = filters()[:, band].argmax() * RATE_HZ / FFT
        speech = (0.1 * np.sin(2 * np.pi * middle_hz * time)).astype(np.float32)
        assert abs(int(energies(speech, np.array([0.5]))[0].argmax()) - band) <= 1


def test_normalised_energies_are_limited():
    mean, deviation = np.full(BANDS, -8.0, np.float32), np.full(BANDS, 2.0, np.float32)
    found = normalised(np.stack([mean, mean + 2, mean + 100, mean - 100]), mean, deviation)
    assert found[:, 0].tolist() == [0.0, 1.0, 4.0, -4.0]
