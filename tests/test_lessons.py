"""What is held out stays apart from what is learnt; too much footage is thinned evenly."""

from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redub.lessons import BLOCK_S, GAP_S, choose_stretches, part_lessons, seen_stretches
from redub.types import Speaking


@st.composite
def stretches(draw) -> list[Speaking]:
    """Stretches in order; some touch, some are of other tracks."""
    found, start = [], draw(st.integers(0, 50))
    for number in range(draw(st.integers(1, 12))):
        length = draw(st.integers(1, 400))
        found.append(Speaking(track=number // 2, start=start, stop=start + length))
        start += length + draw(st.sampled_from([0, 0, 1, 30]))
    return found


@given(stretches(), st.sampled_from([12.5, 24000 / 1001, 25.0, 60.0]))
def test_no_frame_is_learnt_near_one_that_is_held_out(found, rate):
    lessons = part_lessons(found, rate)
    held = [i for one in lessons if one.is_held_out for i in range(one.stretch.start, one.stretch.stop)]
    learnt = [i for one in lessons if not one.is_held_out for i in range(one.stretch.start, one.stretch.stop)]
    assert len(set(held) | set(learnt)) == len(held) + len(learnt)
    if held and learnt:
        # A frame's own length lies between the middles of neighbours.
        assert np.abs(np.subtract.outer(held, learnt)).min() > GAP_S * rate
    inside = {(one.track, i) for one in found for i in range(one.start, one.stop)}
    assert {(one.stretch.track, i) for one in lessons for i in range(one.stretch.start, one.stretch.stop)} <= inside


@given(st.floats(1.6, 120.0), st.sampled_from([24000 / 1001, 25.0, 30.0, 60.0]))
def test_about_a_fifth_is_held_out_in_blocks_spread_over_the_footage(seconds, rate):
    frames = round(seconds * rate)
    lessons = part_lessons([Speaking(track=3, start=7, stop=7 + frames)], rate)
    held = [one.stretch for one in lessons if one.is_held_out]
    learnt = sum(len(one.stretch) for one in lessons if not one.is_held_out)
    assert sum(map(len, held)) == pytest.approx(frames / 5, abs=len(held))
    assert len(held) == max(1, round(frames / rate / BLOCK_S))
    assert all(b.start - a.stop > 2 * GAP_S * rate for a, b in pairwise(held))
    assert learnt >= 0.45 * frames


def test_nothing_is_parted_into_nothing():
    assert part_lessons([], 25.0) == ()


@given(stretches(), st.integers(1, 3000), st.integers(0, 2**32))
def test_what_is_chosen_fits_and_is_in_order(found, most, seed):
    is_speech = np.random.default_rng(seed).random(found[-1].stop) < 0.5
    chosen = choose_stretches(found, is_speech, most)
    assert set(chosen) <= set(found)
    assert [one.start for one in chosen] == sorted({one.start for one in chosen})
    assert sum(map(len, chosen)) <= most or len(chosen) == 1
    if sum(map(len, found)) <= most:
        assert chosen == found


def test_what_is_chosen_is_spread_over_the_footage_and_has_speech():
    found = [Speaking(track=0, start=100 * i, stop=100 * i + 100) for i in range(60)]
    is_speech = np.zeros(6000, bool)
    is_speech[2000:] = True
    chosen = choose_stretches(found, is_speech, 800)
    starts = [one.start for one in chosen]
    assert len(chosen) == 8
    assert min(starts) in range(2000, 2600)
    assert max(starts) >= 5500
    assert max(np.diff(starts)) <= 600
    # Where nobody is heard at all, something is chosen all the same.
    assert len(choose_stretches(found, np.zeros(6000, bool), 800)) == 8


def test_only_frames_in_which_the_face_was_seen_are_taken_and_long_runs_are_cut():
    is_measured = np.ones(600, bool)
    is_measured[[0, 1, 300]] = False
    track = SimpleNamespace(id=5, start=1000, is_measured=is_measured)
    plan = SimpleNamespace(
        facts=SimpleNamespace(frame_rate=Fraction(25)), track=lambda number: track,
        speaking=(Speaking(track=5, start=1000, stop=1600), Speaking(track=6, start=1600, stop=1700)),
    )  # fmt: skip
    found = seen_stretches(plan, [5])
    assert all(len(one) <= BLOCK_S * 25 for one in found)
    frames = {i for one in found for i in range(one.start, one.stop)}
    assert frames == set(range(1000, 1600)) - {1000, 1001, 1300}
    assert sum(map(len, found)) == len(frames)
