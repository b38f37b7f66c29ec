"""Lips move as lips do: they meet for p, b and m, round for u, open for a, begin before the sound, and rest in silence."""

from __future__ import annotations

import numpy as np
import pytest

from redub.footage.heard import envelope, heard_curve
from redub.footage.lips import CONTROLS, speech_curve
from redub.footage.person import make_person

PERSON = make_person(0, 0, 100)
TIMES_S = np.arange(100) / 50
JAW, FUNNEL, PUCKER, STRETCH, PRESS, TUCK = (
    CONTROLS.index(name) for name in ("jawOpen", "mouthFunnel", "mouthPucker", "mouthStretch", "mouthPress", "mouthRollLower")
)
LOUD = np.full(500, 0.8)


def between(first: str, middle: str, last: str) -> np.ndarray:
    """The curve of three phonemes of 0.2 s each, from 0.5 s on, with silence around."""
    phones = [(0.5, first), (0.7, middle), (0.9, last), (1.1, "")]
    return speech_curve(phones, 1.2, LOUD, PERSON, TIMES_S)


def at(curve: np.ndarray, time_s: float) -> np.ndarray:
    return curve[round(time_s * 50)]


@pytest.mark.parametrize("phone", ["m", "b", "p"])
def test_lips_meet_between_open_vowels(phone) -> None:
    closed, open_ = at(between("a", phone, "a"), 0.76), at(between("a", "a", "a"), 0.76)
    assert closed[JAW] < 0.3 * open_[JAW]
    assert closed[PRESS] > 0.2


def test_the_lower_lip_tucks_under_for_f_alone() -> None:
    assert at(between("a", "f", "a"), 0.76)[TUCK] > 0.2
    assert at(between("a", "t", "a"), 0.76)[TUCK] < 0.05


def test_u_rounds_i_spreads_and_a_opens() -> None:
    u, i, a = (at(between("t", phone, "t"), 0.8) for phone in "uia")
    assert u[PUCKER] > 3 * max(i[PUCKER], a[PUCKER])
    assert i[STRETCH] > 3 * max(u[STRETCH], a[STRETCH])
    assert a[JAW] > 1.5 * max(u[JAW], i[JAW])


def test_lips_round_before_the_sound_and_sooner_than_the_jaw_opens() -> None:
    curve = between("t", "o", "t")
    before = at(curve, 0.68)
    middle = at(curve, 0.8)
    assert before[FUNNEL] > 0.25 * middle[FUNNEL]
    assert before[FUNNEL] / middle[FUNNEL] > (before[JAW] - at(curve, 0.6)[JAW]) / (middle[JAW] - at(curve, 0.6)[JAW])


def test_the_mouth_rests_in_silence() -> None:
    curve = between("a", "m", "a")
    assert np.abs(curve[TIMES_S < 0.3]).max() < 0.02
    assert np.abs(curve[TIMES_S > 1.5]).max() < 0.02


def test_loud_syllables_open_wider() -> None:
    phones = [(0.5, "a"), (1.1, "")]
    soft, loud = (speech_curve(phones, 1.2, np.full(500, level), PERSON, TIMES_S)[:, JAW].max() for level in (0.1, 1.0))
    assert loud > 1.2 * soft


def test_no_step_is_a_jump() -> None:
    curve = between("a", "p", "u")
    assert np.abs(np.diff(curve, axis=0)).max() < 0.25


def vowel(first_hz: float, second_hz: float, seconds: float = 1.0) -> np.ndarray:
    """Harmonics of 120 Hz that are strong near two formants."""
    times = np.arange(int(16000 * seconds)) / 16000
    hz = np.arange(120, 7000, 120.0)
    strength = sum(np.exp(-(((hz - formant) / 120) ** 2)) for formant in (first_hz, second_hz)) + 1e-3
    return (0.1 * np.sin(2 * np.pi * hz * times[:, None]) @ strength).astype(np.float32)


def test_recorded_vowels_are_told_by_their_formants() -> None:
    times_s = np.arange(0.1, 2.9, 0.02)
    sound = np.concatenate([vowel(750, 1300), vowel(300, 2300), vowel(320, 900)])
    curve = heard_curve(sound, 16000, PERSON, times_s)
    a, i, u = (curve[(times_s > low + 0.3) & (times_s < low + 0.7)].mean(0) for low in (0, 1, 2))
    assert a[JAW] > 1.5 * max(i[JAW], u[JAW])
    assert i[STRETCH] > u[STRETCH]
    assert u[PUCKER] > 2 * max(i[PUCKER], 0.01)


def test_recorded_silence_closes_the_mouth() -> None:
    sound = np.concatenate([vowel(750, 1300), np.zeros(16000, np.float32)])
    curve = heard_curve(sound, 16000, PERSON, np.array([0.5, 1.5]))
    assert curve[1].max() < 0.1 * curve[0].max()


@pytest.mark.parametrize("loud", [0.0, 0.0003, 0.001])
def test_a_pause_alone_keeps_the_mouth_shut(loud) -> None:
    noise = np.random.default_rng(0).normal(0, loud, 16000).astype(np.float32)
    curve = heard_curve(noise, 16000, PERSON, np.arange(0.1, 0.9, 0.05))
    assert curve.max() < 0.02


def test_loudness_is_1_where_it_is_loud_and_0_in_silence() -> None:
    level = envelope(np.concatenate([vowel(700, 1200), np.zeros(16000, np.float32)]), 16000)
    assert level[100] > 0.8
    assert level[300] == 0
