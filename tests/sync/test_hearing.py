"""Offsets and confidence of drawn talks, whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from redub import hearing
from redub.config import SpeakerConfig
from redub.faces.crop import take_crop
from redub.hearing import listen, take_mouth
from redub.media import open_video
from redub.plan import Plan
from redub.progress import Recorder
from redub.speech.sync import LAGS
from redub.speech.sync_layers import ClipSync
from redub.speech.syncnet import OwnSync

CONFIG = SpeakerConfig(min_confidence=0.4, chance=0.0, min_frame_confidence=0.35, window_s=1.0)
"""For the simple network, whose distances are not those of the shipped one."""


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50)], ids=str)
def test_the_offset_is_found_finer_than_a_frame_at_any_rate(rate, make_talk, face, network):
    for number, offset_s in enumerate([0.19, -0.13]):
        talk = make_talk([face(speaks=[(0, 9)])], 4, f"{number}.mkv", offset_s=offset_s, rate=rate)
        (reading,) = listen(talk.plan, talk.video, CONFIG, model=network).readings
        assert reading.offset_s == pytest.approx(offset_s, abs=0.012)
        assert reading.confidence > 0.7
        assert reading.coverage > 0.8


def test_a_mouth_that_follows_another_voice_does_not_go_with_the_sound(make_talk, face, network):
    talk = make_talk([face(babbles=5), face(speaks=[(0, 9)], offset_s=0.08), face()], 5)
    other, own, shut = listen(talk.plan, talk.video, CONFIG, model=network).readings
    assert own.confidence > 0.9 > 0.4 > max(other.confidence, shut.confidence)
    assert own.offset_s == pytest.approx(0.08, abs=0.012)
    # One that is not sure of its own offset is judged at that of those who are, where chance helps nobody.
    assert abs(np.nanmean(other.frame_confidence)) < 0.3
    assert np.nanmean(own.frame_confidence) == pytest.approx(own.confidence, abs=0.05)


def test_each_frame_says_whether_its_lips_go_with_the_sound(make_talk, face, network):
    talk = make_talk([face(speaks=[(0, 3)], babbles=4)], 6)
    (reading,) = listen(talk.plan, talk.video, CONFIG, model=network).readings
    assert len(reading.frame_confidence) == 150
    assert np.nanmean(reading.frame_confidence[:70]) > np.nanmean(reading.frame_confidence[80:]) + 0.5


def test_where_nobody_is_heard_nothing_is_scored(make_talk, face, network):
    talk = make_talk([face(speaks=[(0, 9)])], 6, voiced=[(0, 2), (4, 6)])
    (reading,) = listen(talk.plan, talk.video, CONFIG, model=network).readings
    assert np.isnan(reading.frame_confidence[57:93]).all()
    assert np.isfinite(reading.frame_confidence[10:40]).mean() > 0.8
    assert reading.heard_s == pytest.approx(4, abs=1)
    silent = make_talk([face(speaks=[(0, 9)])], 2, "silent.mkv", voiced=[])
    (nothing,) = listen(silent.plan, silent.video, CONFIG, model=network).readings
    assert (nothing.confidence, nothing.heard_s, nothing.coverage) == (0, 0, 0)
    assert np.isnan(nothing.offset_s)
    assert np.isnan(nothing.frame_confidence).all()


def test_a_long_track_in_parts_reads_as_one(make_talk, face, network, monkeypatch):
    talk = make_talk([face(speaks=[(0, 20)])], 9, offset_s=0.1)
    (whole,) = listen(talk.plan, talk.video, CONFIG, model=network).readings
    monkeypatch.setattr(hearing, "PART_S", 3.0)
    (parts,) = listen(talk.plan, talk.video, CONFIG, model=network).readings
    assert parts.offset_s == pytest.approx(whole.offset_s, abs=0.004)
    assert parts.confidence == pytest.approx(whole.confidence, abs=0.1)
    assert np.isfinite(parts.frame_confidence).sum() > 0.7 * np.isfinite(whole.frame_confidence).sum()


def test_frames_in_which_the_face_was_not_seen_say_nothing(make_talk, face, network):
    talk = make_talk([face(speaks=[(0, 9)])], 5, offset_s=0.1)
    (track,) = talk.plan.tracks
    measured = np.ones(len(track), bool)
    measured[40:60] = False
    plan = replace(talk.plan, tracks=(replace(track, is_measured=measured),))
    (reading,) = listen(plan, talk.video, CONFIG, model=network).readings
    assert np.isnan(reading.frame_confidence[42:58]).all()
    assert reading.offset_s == pytest.approx(0.1, abs=0.012)


def test_tracks_of_several_shots_are_read_for_themselves(make_talk, face, network):
    talk = make_talk([face(speaks=[(0, 3)], babbles=3), face(speaks=[(3, 9)], babbles=4)], 6, cuts_s=[3])
    readings = listen(talk.plan, talk.video, CONFIG, model=network).readings
    assert [reading.track for reading in readings] == [track.id for track in talk.plan.tracks]
    assert [reading.confidence > 0.6 for reading in readings] == [True, False, False, True]


def test_it_is_told_why_nothing_could_listen(make_talk, face, network, tmp_path):
    talk = make_talk([face()], 1)
    heard = listen(talk.plan, talk.video, SpeakerConfig(listen=False), model=network)
    assert heard.readings == ()
    assert "speakers.listen is off" in heard.unheard
    assert "looks into the camera for longest" in heard.unheard


def test_progress_is_told_for_each_frame(make_talk, face, network):
    recorder = Recorder()
    talk = make_talk([face()], 1)
    listen(talk.plan, talk.video, CONFIG, model=network, tell=recorder)
    assert recorder.told == [("listen", i + 1, 25) for i in range(25)]


def test_readings_survive_the_disk(make_talk, face, network, tmp_path):
    talk = make_talk([face(speaks=[(0, 9)]), face(seen=(0, 0.2))], 3)
    heard = listen(talk.plan, talk.video, CONFIG, model=network)
    heard.save(tmp_path / "p")
    back = Plan.load(tmp_path / "p")
    assert (back.network, back.unheard) == (heard.network, "")
    for one, other in zip(back.readings, heard.readings, strict=True):
        np.testing.assert_array_equal(one.frame_confidence, other.frame_confidence)
        for name in ("track", "offset_s", "distance", "confidence", "coverage", "heard_s"):
            np.testing.assert_equal(getattr(one, name), getattr(other, name))


def test_the_sound_is_searched_fifteen_frames_each_way(make_talk, face, network):
    for number, offset_s in enumerate([0.56, -0.56]):
        talk = make_talk([face(speaks=[(0, 9)])], 5, f"{number}.mkv", offset_s=offset_s)
        (reading,) = listen(talk.plan, talk.video, CONFIG, model=network).readings
        assert reading.offset_s == pytest.approx(offset_s, abs=0.02)
        assert abs(reading.offset_s) * 25 <= LAGS


def test_our_network_is_shown_the_mouth_it_would_cut_out_itself(make_talk, face):
    talk = make_talk([face(speaks=[(0, 9)])], 1)
    model = OwnSync(ClipSync(width=0.25, features=16))
    row = talk.plan.crops[0].similarities[0]
    with open_video(talk.video) as reader:
        for frame in reader.read(0, 25):
            own = model.prepare(take_crop(frame, row, 112)[None])[0].astype(int)
            apart = np.abs(take_mouth(frame, row, model) - own)
            # Where a colour that is no colour had to be cut off, luma knows more.
            assert np.quantile(apart, 0.98) <= 4
            assert apart.mean() < 1
