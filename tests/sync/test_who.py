"""The speaker may be named by side, by track, or by a picture of the face."""

from __future__ import annotations

from pathlib import Path

import pytest

from redub.errors import MediaError, NoFaceError, RedubError
from redub.who import check_speaker, choose


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
