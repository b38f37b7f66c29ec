"""Which frame is shown when, for every policy, in exact time."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redub.config import FitConfig
from redub.fit import Timeline, fit_lengths
from redub.types import Fit, VideoFacts

NTSC = Fraction(30000, 1001)


def timeline(durations, time_base, sound, mode, crossfade_s=0.5) -> Timeline:
    pts = np.concatenate([[7], 7 + np.cumsum(durations)[:-1]]).astype(np.int64)
    length = int(sum(durations)) * time_base
    facts = VideoFacts(
        height=2, width=2, frames=len(durations), frame_rate=len(durations) / length, duration=length,
        is_variable_rate=len(set(durations)) > 1,
    )  # fmt: skip
    return fit_lengths(pts, time_base, facts, Fraction(sound), FitConfig(mode=mode, crossfade_s=crossfade_s))


def shown(line: Timeline) -> list[tuple[Fraction, int]]:
    """(time, source index) of every frame of the result; of two mixed frames the later pass's."""
    frames: list[tuple[Fraction, int]] = []
    for one in line.passes:
        slots = list(line.slots(one))
        frames = frames[: len(frames) - one.fade] + [(slot.time, slot.index) for slot in slots]
    return frames


@pytest.mark.parametrize("mode", list(Fit))
def test_equal_lengths_show_every_frame_once_at_its_own_time(mode):
    line = timeline([1001] * 90, Fraction(1, 30000), 90 / NTSC, mode)
    assert shown(line) == [(i / NTSC, i) for i in range(90)]
    assert line.duration == 90 / NTSC
    assert line.stop is None


def test_hold_repeats_the_last_frame_until_the_sound_ends():
    line = timeline([1001] * 30, Fraction(1, 30000), Fraction(2), Fit.HOLD)
    frames = shown(line)
    assert len(frames) == line.frames == 60  # 2 s of 29.97 Hz are 59.94 frames: one more covers the end
    assert [index for _, index in frames[29:]] == [29] * 31
    assert [time for time, _ in frames] == [i / NTSC for i in range(60)]
    assert 0 <= line.duration - 2 < 1 / NTSC


def test_shorter_sound_keeps_the_whole_video_unless_told_to_cut():
    assert timeline([1] * 100, Fraction(1, 25), Fraction(3), Fit.HOLD).frames == 100
    cut = timeline([1] * 100, Fraction(1, 25), Fraction(3), Fit.CUT)
    assert (cut.frames, cut.duration, cut.stop) == (75, 3, 3)


def test_cut_ends_longer_sound_with_the_video():
    line = timeline([1] * 100, Fraction(1, 25), Fraction(9), Fit.CUT)
    assert (line.frames, line.duration, line.stop) == (100, 4, 4)


def test_loop_starts_over_and_mixes_over_the_seam():
    line = timeline([1] * 10, Fraction(1, 10), Fraction(2), Fit.LOOP, crossfade_s=0.2)
    assert [index for _, index in shown(line)] == [*range(8), *range(8), 0, 1, 2, 3]
    assert [time for time, _ in shown(line)] == [Fraction(i, 10) for i in range(20)]
    assert [one.fade for one in line.passes] == [0, 2, 2]


def test_bounce_turns_without_showing_a_frame_twice():
    line = timeline([1] * 4, Fraction(1, 4), Fraction(3), Fit.BOUNCE)
    assert [index for _, index in shown(line)] == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]


def test_a_single_frame_can_be_looped_and_bounced():
    for mode in (Fit.LOOP, Fit.BOUNCE, Fit.HOLD):
        line = timeline([1], Fraction(1, 5), Fraction(1), mode)
        assert [index for _, index in shown(line)] == [0] * 5


@given(
    durations=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    sound=st.fractions(min_value=Fraction(1, 50), max_value=30, max_denominator=48000),
    mode=st.sampled_from(list(Fit)),
)
@example(durations=[3, 1], sound=Fraction(9, 100), mode=Fit.CUT)
def test_times_rise_and_the_picture_covers_the_sound(durations, sound, mode):
    line = timeline(durations, Fraction(1, 25), sound, mode)
    frames = shown(line)
    assert len(frames) == line.frames > 0
    times = [time for time, _ in frames]
    assert times[0] == 0
    assert all(a < b for a, b in pairwise(times))
    assert all(0 <= index < len(durations) for _, index in frames)
    assert times[-1] < line.duration
    end = line.stop or sound
    if mode is Fit.CUT or end > sum(durations) * Fraction(1, 25):
        assert times[-1] < end <= line.duration
    else:
        assert line.duration == sum(durations) * Fraction(1, 25)
