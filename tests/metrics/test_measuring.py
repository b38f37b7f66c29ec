"""Truth at other times, and mouths that stand open for a known while."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from redub.config import Config
from redub.metrics.measuring import Bench, Truth, dubbed_part, heard_truth, open_mouths, paint_and_compare
from redub.metrics.repaint import Voice, silence
from redub.metrics.takes import take_stills


def bench(model, takes, count: list[int] | None = None) -> Bench:
    def tick() -> None:
        if count is not None:
            count.append(1)

    return Bench(model=model, stills=take_stills(takes, model.mode, 5), config=Config(), tick=tick)


def test_of_the_same_frames_the_truth_is_the_same(takes):
    truth, own = heard_truth(takes[0], takes[0]), Truth.of(takes[0])
    np.testing.assert_allclose(truth.gap, own.gap, atol=1e-9)
    np.testing.assert_allclose(truth.points, own.points, atol=1e-9)
    np.testing.assert_array_equal(truth.counts, own.counts)


def test_frames_that_were_not_seen_do_not_count(takes):
    seen = takes[0].is_measured.copy()
    seen[5:9] = False
    counts = Truth.of(replace(takes[0], is_measured=seen)).counts
    assert not counts[5:9].any()
    assert counts[10:15].all()


def test_truth_is_counted_from_the_begin_of_both_takes(takes):
    over, heard = takes[1].part(20, 50), takes[0].part(10, 50)
    np.testing.assert_allclose(heard_truth(over, heard).gap, heard.gap[:30], atol=1e-9)


def test_truth_is_interpolated_at_another_frame_rate(takes):
    heard = replace(takes[0], gap=np.arange(60.0))
    slow = replace(takes[1], times=tuple(2 * time for time in takes[1].times[:31]), stop=30)
    # Frame i at half the rate has its middle between frames 2i and 2i + 1.
    np.testing.assert_allclose(heard_truth(slow, heard).gap, 2 * np.arange(30) + 0.5)


def test_only_as_much_is_painted_as_sounds(takes):
    assert len(dubbed_part(takes[1], takes[0])) == 60
    assert len(dubbed_part(takes[1], takes[0].part(10, 31))) == 21
    assert len(dubbed_part(takes[1].part(0, 17), takes[0])) == 17


def test_the_share_of_open_mouths_is_that_of_the_frames_painted_open(takes, painter):
    count: list[int] = []

    def choose(clip):
        # 60 frames are looped to 250; the first 100 of them are open.
        first = len(seen)
        seen.extend(clip.times_s)
        return np.where(first + np.arange(len(clip.times_s)) < 100, 4, 0)

    seen: list[float] = []
    set_up = bench(painter(choose), [takes[0]], count)
    closed = float(np.median(takes[0].gap[~takes[0].is_speech]))
    assert open_mouths(takes[1], set_up, silence(12, 16000), closed) == pytest.approx(0.4, abs=0.02)
    assert len(count) == 250


def test_pictures_of_another_face_are_further_away(takes, painter):
    voice = Voice(sound=silence(1.0, 16000), begins=takes[0].times[0])
    part = takes[0].part(20, 26)
    ordinary = painter(lambda clip: np.full(len(clip.times_s), 2))
    points, pictures = paint_and_compare(part, bench(ordinary, [takes[1]]), voice)
    assert points.shape == (6, 68, 2)
    assert pictures is not None
    centre = pictures.described_true.mean(axis=0)
    same = pictures.summed_up(centre)
    upside_down = bench(ordinary, [takes[1]])
    turned = replace(upside_down, stills=upside_down.stills[:, ::-1])
    other = paint_and_compare(part, turned, voice)[1].summed_up(centre)
    assert same.identity_true <= same.identity < 0.4 < other.identity
    assert same.mse < other.mse
    assert 0.5 < same.sharpness < 2.0
