"""Lips that move with a voice are told from lips that do not."""

import numpy as np
import pytest

from redub.faces.landmarks import mouth_openness
from redub.speech.lips import MAX_LAG_S, Stretch, compare, loudness

RATE_HZ = 16000


def talk(seed: int, seconds: float, fps: float = 25.0, delay_s: float = 0.0) -> Stretch:
    """A mouth that opens as wide as the voice is loud, up to noise of the landmarks; the voice is later by ``delay_s``."""
    random = np.random.default_rng(seed)
    knots = np.cumsum(random.uniform(0.1, 0.3, int(seconds / 0.1) + 20))
    heights = random.uniform(0, 1, len(knots)) * np.tile([1.0, 0.2], len(knots))[: len(knots)]
    times_s = 0.5 + (np.arange(int(seconds * fps)) + 0.5) / fps
    samples = np.arange(int((seconds + 1) * RATE_HZ)) / RATE_HZ
    speech = np.interp(samples - delay_s, knots, heights) * random.uniform(-1, 1, len(samples))
    openness = np.interp(times_s, knots, heights) + random.normal(0, 0.05, len(times_s))
    return Stretch(openness=openness, times_s=times_s, speech=speech.astype(np.float32), rate_hz=RATE_HZ)


def swapped(one: Stretch, other: Stretch) -> Stretch:
    return Stretch(openness=one.openness, times_s=one.times_s, speech=other.speech, rate_hz=RATE_HZ)


@pytest.mark.parametrize("fps", [24000 / 1001, 25, 60])
@pytest.mark.parametrize("delay_s", [-0.3, 0.0, 0.15, 0.35])
def test_a_voice_that_moves_the_lips_suits_them_at_any_lag_within_reach(fps, delay_s):
    agreement = compare([talk(1, 10.0, fps, delay_s)])
    assert agreement.correlation > 0.8
    assert agreement.margin > 0.5


def test_a_voice_that_comes_too_late_does_not_suit():
    assert compare([talk(1, 10.0, delay_s=3 * MAX_LAG_S)]).margin < 0.3


def test_other_voices_do_not_suit_by_more_than_chance():
    margins = [compare([swapped(talk(seed, 20.0), talk(100 + seed, 20.0))]).margin for seed in range(12)]
    assert abs(np.mean(margins)) < 0.1
    assert max(margins) < 0.35


def test_many_short_stretches_count_together():
    true = [talk(seed, 2.0) for seed in range(8)]
    assert compare(true).margin > 0.4
    assert compare([swapped(one, other) for one, other in zip(true, [*true[3:], *true[:3]], strict=True)]).margin < 0.2


@pytest.mark.parametrize("what", ["closed mouth", "silence", "broken samples", "one frame", "shorter than the lags", "nothing"])
def test_what_says_nothing_is_no_agreement_and_no_failure(what):
    one = talk(2, 4.0)
    count = {"one frame": 1, "shorter than the lags": 7}.get(what, len(one.times_s))
    speech = {"silence": 0 * one.speech, "broken samples": np.full_like(one.speech, np.nan)}.get(what, one.speech)
    openness = np.zeros(count) if what == "closed mouth" else one.openness[:count]
    agreement = compare(
        [] if what == "nothing" else [Stretch(openness=openness, times_s=one.times_s[:count], speech=speech, rate_hz=RATE_HZ)]
    )
    assert np.isfinite([agreement.correlation, agreement.moved]).all()
    if what != "shorter than the lags":
        assert (agreement.correlation, agreement.margin) == (0.0, 0.0)


def test_loudness_is_the_root_mean_square_around_each_instant():
    speech = np.zeros(RATE_HZ, np.float32)
    speech[8000:8640] = 0.5
    # 0.52 s is the middle of the 40 ms of sound; 0.54 s sees half of it, 0.6 s nothing.
    assert loudness(speech, RATE_HZ, np.array([0.52, 0.54, 0.6])) == pytest.approx([0.5, np.sqrt(0.125), 0.0], abs=1e-6)
    assert loudness(speech, RATE_HZ, np.array([-3.0, 9.0])) == pytest.approx([0.0, 0.0])


def test_real_lips_suit_their_own_voice_and_not_the_moved_one(shared_clips):
    from redub.faces.detect import detect_faces
    from redub.faces.landmarks import find_landmarks
    from redub.media import open_speech, open_video

    stretches = []
    for name in ("grid_b_1.mpg", "grid_s1_bbaf2n.mp4"):
        path = shared_clips / "train" / name
        with open_video(path) as reader:
            frames = list(reader.read())
        box = detect_faces(frames[0].gray(), 60, 0.25)[0].box
        points = np.stack([find_landmarks(frame.gray(), box)[0] for frame in frames])
        times_s = np.array([float(frame.time) + 0.02 for frame in frames])
        with open_speech(path, RATE_HZ) as sound:
            speech = sound.window(0, sound.samples)
        stretches.append(Stretch(openness=mouth_openness(points), times_s=times_s, speech=speech, rate_hz=RATE_HZ))
    moved = [
        Stretch(openness=one.openness, times_s=one.times_s, speech=np.roll(one.speech, len(one.speech) // 2), rate_hz=RATE_HZ)
        for one in stretches
    ]
    assert compare(stretches).margin > 0.3
    assert compare(moved).margin < 0.1
