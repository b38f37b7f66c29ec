"""Who is painted while nothing listens."""

import numpy as np
import pytest

from redub.config import SpeakerConfig
from redub.errors import RedubError
from redub.faces.canonical import CANONICAL_FACE
from redub.stages.speakers import choose_speakers, pick_speakers
from redub.types import Shot, Speaking, Track

SHOTS = (Shot(start=0, stop=100), Shot(start=100, stop=150))


def face(number: int, start: int, stop: int, *, left: float = 0, size_px: float = 100, turned: bool = False) -> Track:
    points = CANONICAL_FACE.copy()
    if turned:
        points[27:36, 0] += 0.25  # the nose points far to one side of the eyes' middle
    count = stop - start
    return Track(
        id=number,
        start=start,
        boxes=np.tile(np.array([left, 0, left + size_px, size_px], np.float32), (count, 1)),
        points=np.tile((points * size_px + [left, 0]).astype(np.float32), (count, 1, 1)),
        is_measured=np.ones(count, bool),
    )


def test_the_face_that_looks_into_the_camera_for_longest_speaks_in_each_shot():
    tracks = [face(1, 0, 100, turned=True), face(2, 10, 90, left=200), face(3, 20, 60, left=400), face(4, 100, 150)]
    assert choose_speakers(SHOTS, tracks, SpeakerConfig()) == (Speaking(track=2, start=10, stop=90), Speaking(track=4, start=100, stop=150))


def test_a_face_that_was_hidden_for_a_moment_goes_on_speaking():
    tracks = [face(1, 0, 40), face(2, 45, 100), face(3, 30, 60, left=300)]
    assert [one.track for one in choose_speakers(SHOTS[:1], tracks, SpeakerConfig())] == [1, 2]


def test_between_equals_the_larger_face_speaks():
    tracks = [face(1, 0, 100, size_px=90), face(2, 0, 100, left=300, size_px=200)]
    assert [one.track for one in choose_speakers(SHOTS[:1], tracks, SpeakerConfig())] == [2]


def test_a_shot_without_faces_has_no_speaker():
    assert choose_speakers(SHOTS, [face(1, 100, 150)], SpeakerConfig()) == (Speaking(track=1, start=100, stop=150),)
    assert choose_speakers(SHOTS, [], SpeakerConfig()) == ()


def test_the_user_chooses():
    tracks = [face(1, 0, 100, left=10), face(2, 0, 100, left=500), face(7, 100, 150, left=50)]
    assert [one.track for one in pick_speakers("left", SHOTS, tracks)] == [1, 7]
    assert [one.track for one in pick_speakers("right", SHOTS, tracks)] == [2, 7]
    assert pick_speakers("7,2", SHOTS, tracks) == (Speaking(track=2, start=0, stop=100), Speaking(track=7, start=100, stop=150))


@pytest.mark.parametrize(("choice", "says"), [("3", "no track 3"), ("1,2", "same time"), ("middle", "not a choice"), ("", "not a choice")])
def test_impossible_choices_are_refused(choice, says):
    tracks = [face(1, 0, 100), face(2, 50, 100, left=500)]
    with pytest.raises(RedubError, match=says) as caught:
        pick_speakers(choice, SHOTS, tracks)
    assert "1, 2" in caught.value.hint
