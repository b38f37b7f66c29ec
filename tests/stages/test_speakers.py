"""Who speaks: by what sync says of each track, or while nothing listens, by where the faces look."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redub.config import SpeakerConfig
from redub.errors import RedubError
from redub.faces.canonical import CANONICAL_FACE
from redub.stages.speakers import choose_speakers, mean_around, pick_speakers, where_heard
from redub.types import Reading, Shot, Speaking, Track

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


def reading(number: int, confidence, *, offset_s: float = 0.0, heard_s: float = 9.0, of_track: float | None = None) -> Reading:
    """What sync says of a track; ``confidence`` is of each frame."""
    frames = np.asarray(confidence, np.float32)
    mean = float(np.nanmean(frames)) if np.isfinite(frames).any() else 0.0
    return Reading(
        track=number, offset_s=offset_s, distance=0.5, confidence=mean if of_track is None else of_track, coverage=0.9, heard_s=heard_s,
        frame_confidence=frames,
    )  # fmt: skip


SURE = SpeakerConfig(min_confidence=0.4, chance=0.3, min_frame_confidence=0.3, window_s=0.4, min_stretch_s=1.0, min_scored_s=0.8)
NAN = float("nan")


def spoken(tracks, readings, shots=SHOTS[:1], config=SURE):
    return [(one.track, one.start, one.stop) for one in choose_speakers(shots, tracks, config, readings)]


def test_of_two_faces_the_one_that_goes_with_the_sound_speaks_whoever_is_more_frontal():
    tracks = [face(1, 0, 100, size_px=200), face(2, 0, 100, left=300, turned=True)]
    assert spoken(tracks, [reading(1, [0.1] * 100), reading(2, [0.9] * 100)]) == [(2, 0, 100)]


def test_narration_is_nobodys():
    tracks = [face(1, 0, 100), face(2, 0, 100, left=300)]
    assert spoken(tracks, [reading(1, [0.1] * 100), reading(2, [0.2] * 100)]) == []


def test_two_who_alternate_speak_in_turn_and_a_pause_is_shared():
    first = [0.9] * 40 + [NAN] * 20 + [-0.2] * 40
    second = [-0.2] * 40 + [NAN] * 20 + [0.9] * 40
    tracks = [face(1, 0, 100), face(2, 0, 100, left=300)]
    stretches = spoken(tracks, [reading(1, first, of_track=0.5), reading(2, second, of_track=0.5)])
    assert [track for track, _, _ in stretches] == [1, 2]
    (_, start, middle), (_, again, stop) = stretches
    assert (start, stop) == (0, 100)
    assert middle == again == pytest.approx(50, abs=6)


def test_a_second_of_somebody_else_ends_a_stretch_and_half_a_second_does_not():
    for length, expected in [(12, [(1, 0, 100)]), (40, [(1, 0, 30), (1, 70, 100)])]:
        confidence = np.array([0.9] * 100)
        confidence[30 : 30 + length] = -0.1
        stretches = spoken([face(1, 0, 100)], [reading(1, confidence, of_track=0.6)])
        assert len(stretches) == len(expected)
        for found, wanted in zip(stretches, expected, strict=True):
            assert found == pytest.approx(wanted, abs=6)


def test_silence_of_any_length_ends_no_stretch():
    confidence = np.array([0.9] * 100)
    confidence[20:80] = NAN
    assert spoken([face(1, 0, 100)], [reading(1, confidence)]) == [(1, 0, 100)]


def test_nobody_speaks_where_nobody_is_heard():
    assert spoken([face(1, 0, 100)], [reading(1, [NAN] * 100, heard_s=0.0)]) == []


def test_no_stretch_leaves_its_track_and_none_overlap():
    tracks = [face(1, 10, 60), face(2, 30, 95, left=300)]
    stretches = spoken(tracks, [reading(1, [0.9] * 50), reading(2, [0.1] * 20 + [0.9] * 45, of_track=0.7)])
    assert [track for track, _, _ in stretches] == [1, 2]
    assert stretches[0][1] == 10
    assert stretches[0][2] <= stretches[1][1]
    assert stretches[1][2] == 95


def test_a_shot_too_short_to_judge_is_taken_as_most_of_the_video_is():
    shots = (Shot(start=0, stop=100), Shot(start=100, stop=112))
    tracks = [face(1, 0, 100), face(2, 100, 112)]
    unsure = reading(2, [NAN] * 12, heard_s=0.4)
    assert spoken(tracks, [reading(1, [0.9] * 100), unsure], shots) == [(1, 0, 100), (2, 100, 112)]
    assert spoken(tracks, [reading(1, [0.0] * 100), unsure], shots) == []
    # Where nobody is heard, a short shot has no speaker either.
    assert spoken(tracks, [reading(1, [0.9] * 100), reading(2, [NAN] * 12, heard_s=0.0)], shots) == [(1, 0, 100)]
    # And where there is nothing else, the rule for what nothing has listened to.
    assert spoken(tracks[1:], [unsure], shots) == [(2, 100, 112)]


def test_a_fluke_of_a_few_frames_is_no_reading():
    assert spoken([face(1, 0, 100)], [reading(1, [2.0] * 10 + [NAN] * 90, heard_s=0.2)]) == []


@given(st.lists(st.lists(st.sampled_from([0.9, 0.0, NAN]), min_size=100, max_size=100), min_size=1, max_size=3), st.floats(0.04, 2))
def test_whatever_is_read_stretches_are_in_order_within_their_tracks_and_long_enough(rows, least_s):
    config = replace(SURE, min_stretch_s=least_s)
    tracks = [face(number, 5 * number, 100 - 3 * number, left=200 * number) for number, _ in enumerate(rows, 1)]
    readings = [reading(track.id, row[: len(track)], of_track=0.5) for track, row in zip(tracks, rows, strict=True)]
    stretches = choose_speakers(SHOTS[:1], tracks, config, readings)
    for one in stretches:
        track = tracks[one.track - 1]
        assert track.start <= one.start < one.stop <= track.stop
    for one, following in pairwise(stretches):
        assert one.stop <= following.start


def test_the_mean_around_a_frame_leaves_out_what_is_no_number():
    values = np.array([1.0, NAN, 3.0, NAN, NAN, NAN, 5.0], np.float32)
    np.testing.assert_allclose(mean_around(values, 3), [1, 2, 3, 3, NAN, 5, 5])
    np.testing.assert_allclose(mean_around(values, 1), values)


def test_of_chosen_speakers_is_learnt_where_they_are_heard():
    chosen = [Speaking(track=1, start=0, stop=100), Speaking(track=2, start=100, stop=150)]
    heard = [Speaking(track=1, start=20, stop=40), Speaking(track=3, start=40, stop=60), Speaking(track=1, start=60, stop=120)]
    assert where_heard(chosen, heard) == (
        Speaking(track=1, start=20, stop=40), Speaking(track=1, start=60, stop=100), Speaking(track=2, start=100, stop=150),
    )  # fmt: skip
    assert where_heard(chosen, []) == tuple(chosen)
