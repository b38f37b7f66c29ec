"""The kit's clips have the answers that they claim."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redub.plugin import AudioWindow, Blend, GeneratorInfo, Mode, Region, check_clip
from redub.testing.clips import MOUTH, SYLLABLE_S, cut_clip, draw_face, face_points, make_clip, make_speech


def info(rate=None, before=0.175, after=0.1, references=0, region=Region.FACE):
    return GeneratorInfo(
        name="x", summary="x", api=(1, 0), licence="MIT", region=region, modes={Blend.FEATHER: Mode(input_px=24, output_px=24)},
        audio=AudioWindow(rate_hz=16000, before_s=before, after_s=after), frame_rate_hz=rate, references=references, factory="x:x",
    )  # fmt: skip


def is_mouth(picture):
    return np.abs(picture.astype(int) - np.array(MOUTH)).max(axis=-1) < 30


def test_the_drawn_mouth_is_as_wide_open_as_asked_and_lies_between_the_lips_points():
    heights = []
    for openness in (0.0, 0.3, 0.6, 1.0):
        picture, points = draw_face(256, openness)
        column = is_mouth(picture)[:, 120:136]
        heights.append(column.sum(axis=0).mean())
        if openness:
            rows = np.nonzero(column.any(axis=1))[0]
            assert rows.min() == pytest.approx(points[[61, 62, 63], 1].mean(), abs=2)
            assert rows.max() == pytest.approx(points[[65, 66, 67], 1].mean(), abs=2)
    assert heights[0] == 0
    assert np.allclose(heights, [0.12 * 256 * value for value in (0.0, 0.3, 0.6, 1.0)], atol=2)


def test_only_the_mouth_and_the_chin_move_when_it_opens():
    moved = np.nonzero(np.abs(face_points(1.0) - face_points(0.0)).max(axis=1))[0]
    assert set(moved) <= {*range(17), *range(48, 68)}
    assert {62, 66, 8} <= set(moved)


def test_syllables_swell_and_fade():
    rate = 16000
    speech = make_speech(rate, rate, seed=3)
    length = round(SYLLABLE_S * rate)
    for start in range(0, rate - length, length):
        syllable = np.abs(speech[start : start + length])
        third = length // 3
        assert syllable[third : 2 * third].mean() > 2 * max(syllable[:third].mean(), syllable[-third:].mean())
    assert np.abs(speech).max() < 0.9


@settings(deadline=None)
@given(
    frames=st.integers(1, 9),
    rate=st.sampled_from([None, Fraction(30), Fraction(30000, 1001), Fraction(25)]),
    before=st.floats(0, 0.5),
    after=st.floats(0, 0.5),
    references=st.integers(0, 3),
)
def test_a_clip_is_what_was_declared_and_its_speech_covers_every_window(frames, rate, before, after, references):
    declared = info(rate, before, after, references)
    clip = make_clip(declared, declared.modes[Blend.FEATHER], frames)
    check_clip(clip, declared, declared.modes[Blend.FEATHER])
    assert clip.times_s[0] - before > -1e-9
    assert (clip.times_s[-1] + after) * 16000 <= len(clip.speech)
    if frames > 1:
        assert np.allclose(np.diff(clip.times_s), 1 / float(rate or 25))
    assert not any(array.flags.writeable for array in (clip.frames, clip.points, clip.times_s, clip.speech, clip.references))


@settings(deadline=None)
@given(start=st.integers(0, 7), count=st.integers(1, 8), rate=st.sampled_from([None, Fraction(30), Fraction(30000, 1001)]))
def test_a_cut_clip_hears_the_same_around_each_frame(start, count, rate):
    declared = info(rate)
    clip = make_clip(declared, declared.modes[Blend.FEATHER], 8)
    stop = min(8, start + count)
    part = cut_clip(clip, declared, start, stop)
    for i, time in enumerate(part.times_s):
        whole = round((clip.times_s[start + i] - 0.175) * 16000 + 1e-6)
        own = round((time - 0.175) * 16000 + 1e-6)
        assert np.array_equal(clip.speech[whole : whole + 4400], part.speech[own : own + 4400])
        assert np.array_equal(clip.frames[start + i], part.frames[i])
    assert len(part.speech) <= (part.times_s[-1] - part.times_s[0] + 0.275) * 16000 + 4


def test_a_generator_of_whole_frames_is_given_no_landmarks():
    declared = info(region=Region.FRAME)
    assert np.isnan(make_clip(declared, declared.modes[Blend.FEATHER], 2).points).all()
