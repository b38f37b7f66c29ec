"""The speaker may be named by side, by track, or by a picture of the face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from redub.config import Config
from redub.errors import MediaError, NoFaceError, RedubError
from redub.pipeline import hear
from redub.plan import Plan
from redub.types import Reading
from redub.who import check_speaker, choose, or_the_only_person


@pytest.mark.parametrize("speaker", ["auto", "left", "right", "3", "3,7"])
def test_words_and_numbers_are_choices(speaker):
    check_speaker(speaker)


@pytest.mark.parametrize("speaker", ["middle", "3;7", "", "face.txt"])
def test_other_words_are_not(speaker):
    with pytest.raises(RedubError, match="is not a choice") as caught:
        check_speaker(speaker)
    assert "picture" in caught.value.hint


def test_a_picture_has_to_be_there(tmp_path):
    with pytest.raises(MediaError, match="no picture"):
        check_speaker(str(tmp_path / "face.jpg"))


def test_sides_and_tracks_choose_whole_tracks(make_talk, face):
    plan = make_talk([face(), face()], 1).plan
    assert choose(plan, Path("x.mkv"), "auto") is plan
    assert [one.track for one in choose(plan, Path("x.mkv"), "right").speaking] == [2]
    assert [one.track for one in choose(plan, Path("x.mkv"), "1").speaking] == [1]
    with pytest.raises(NoFaceError, match="no track 9"):
        choose(plan, Path("x.mkv"), "9")


def test_the_only_person_speaks_where_no_lips_go_with_the_sound(make_talk, face, network):
    talk = make_talk([face(seen=(0, 5))], 6)
    plan = hear(talk.plan, talk.video, Config(), model=network)
    assert plan.readings
    assert not plan.speaking
    notices: list[str] = []
    (stretch,) = or_the_only_person(plan, Path("not there.mkv"), Config().adapt, notices).speaking
    assert (stretch.track, stretch.start, stretch.stop) == (1, 0, 125)
    assert len(notices) == 1


def test_of_two_at_a_time_none_is_taken(make_talk, face, network):
    talk = make_talk([face(), face()], 5)
    plan = hear(talk.plan, talk.video, Config(), model=network)
    assert not plan.speaking
    assert or_the_only_person(plan, talk.video, Config().adapt, []) is plan


def test_whom_the_user_took_out_of_a_plan_stays_out(make_talk, face, network):
    """Also one who speaks too little to be judged, whom analysis let speak for that."""
    for name, voiced in (("long", [(0.0, 5.0)]), ("short", [(1.0, 1.6)])):
        talk = make_talk([face(speaks=[(0, 9)])], 5, f"{name}.mkv", voiced=voiced)
        plan = hear(talk.plan, talk.video, Config(), model=network)
        assert plan.speaking
        edited = replace(plan, speaking=())
        assert or_the_only_person(edited, talk.video, Config().adapt, []) is edited


@pytest.mark.parametrize("confidence", [0.02, 0.08, 0.12])
def test_somebody_who_suits_the_sound_a_little_is_painted_however_long_the_video(make_talk, face, confidence):
    """Over a minute chance alone reaches less than it does in a second, so that a track may be sure and nobody speak."""
    plan = _read(make_talk([face()], 60).plan, confidence)
    assert or_the_only_person(plan, Path("not there.mkv"), Config().adapt, []).speaking


def test_who_appears_for_a_moment_is_not_the_only_person(make_talk, face):
    for seen_s, count in ((2.0, 0), (8.0, 1)):
        plan = _read(make_talk([face(seen=(1, 1 + seen_s))], 12, f"{seen_s}.mkv").plan, 0.02)
        assert len(or_the_only_person(plan, Path("not there.mkv"), Config().adapt, []).speaking) == count


def _read(plan: Plan, confidence: float) -> Plan:
    """Return a plan whose only track suits the sound so well everywhere."""
    (track,) = plan.tracks
    length_s = len(track) / float(plan.facts.frame_rate)
    reading = Reading(
        track=track.id, offset_s=0.0, distance=1.3, confidence=confidence, coverage=1.0, heard_s=length_s,
        frame_confidence=np.full(len(track), confidence, np.float32),
    )  # fmt: skip
    return replace(plan, readings=(reading,))
