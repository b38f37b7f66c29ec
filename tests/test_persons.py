"""Tracks of one person find each other across cuts; those of others stay apart."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redub.config import Config
from redub.errors import MediaError, NoFaceError
from redub.faces.cv import load_cv
from redub.faces.detect import detect_faces
from redub.faces.geometry import similarity_from_points
from redub.faces.landmarks import find_landmarks
from redub.faces.recognition import describe_face, recognition_model
from redub.media import open_video
from redub.persons import Person, find_persons, join_near
from redub.plan import Plan, Source
from redub.types import CropPath, Reading, Shot, Speaking, Track, VideoFacts
from redub.who import choose, or_the_only_person

SHOT = 4


def test_near_descriptors_are_joined_whatever_their_order():
    places = np.array([0.0, 5.0, 0.3, 5.3, 0.2, 9.0])
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(6)
        groups = join_near([np.eye(128)[0] * places[i] for i in order], np.ones(6), 1.0)
        assert sorted(sorted(int(order[i]) for i in group) for group in groups) == [[0, 2, 4], [1, 3], [5]]


def test_a_chain_of_neighbours_is_not_one_person():
    # Each is near to the next, and the first far from the last.
    groups = join_near([np.eye(128)[0] * 0.4 * i for i in range(10)], np.ones(10), 0.5)
    assert max(map(len, groups)) < 5


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=12), st.floats(0, 2))
def test_groups_hold_everyone_once_and_their_means_are_apart(places, distance):
    groups = join_near([np.eye(128)[0] * place for place in places], np.ones(len(places)), distance)
    assert sorted(i for group in groups for i in group) == list(range(len(places)))
    means = [np.mean([places[i] for i in group]) for group in groups]
    assert all(abs(a - b) >= distance - 1e-6 for i, a in enumerate(means) for b in means[:i])


def shots_of(sources: list[tuple[Path, int]], target: Path) -> Plan:
    """Cut a few frames out of videos, one behind the other, and find the face in each: a track for each shot."""
    pictures, tracks, crops = [], [], []
    for path, first in sources:
        with open_video(path) as reader:
            pictures.append([frame.rgb() for frame in reader.read() if first <= frame.index < first + SHOT])
    size = (480, 640)
    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for i, picture in enumerate(picture for shot in pictures for picture in shot):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(width=size[1], height=size[0])
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with open_video(target) as reader:
        frames, time_base = list(reader.read()), reader.time_base
    for number in range(len(sources)):
        own = frames[number * SHOT : (number + 1) * SHOT]
        box = detect_faces(own[0].gray(), 60, 0.25)[0].box
        points = np.stack([find_landmarks(frame.gray(), box)[0] for frame in own])
        start = number * SHOT
        tracks.append(
            Track(id=number + 1, start=start, boxes=np.tile(np.float32(box), (SHOT, 1)), points=points, is_measured=np.ones(SHOT, bool))
        )
        crops.append(CropPath(track=number + 1, start=start, similarities=similarity_from_points(points), references=(start, start + 3)))
    count = len(frames)
    return Plan(
        source=Source(name=target.name, size_bytes=1, sha256="0" * 64),
        facts=VideoFacts(
            height=size[0], width=size[1], frames=count, frame_rate=Fraction(25), duration=Fraction(count, 25), is_variable_rate=False
        ),
        pts=np.array([frame.pts for frame in frames]), time_base=time_base,
        shots=tuple(Shot(start=i * SHOT, stop=(i + 1) * SHOT) for i in range(len(sources))),
        tracks=tuple(tracks), crops=tuple(crops),
        speaking=tuple(Speaking(track=track.id, start=track.start, stop=track.stop) for track in tracks), settings={},
    )  # fmt: skip


def test_the_head_of_the_demo_is_one_person_across_a_cut(demo, tmp_path):
    video = tmp_path / "cut.mp4"
    plan = shots_of([(demo / "lecture.mp4", 0), (demo / "lecture.mp4", 60)], video)
    assert find_persons(plan, video, 0.5) == (Person(tracks=(1, 2)),)
    # At no distance at all nobody is like anybody.
    assert find_persons(plan, video, 0.0) == (Person(tracks=(1,)), Person(tracks=(2,)))


def test_real_persons_are_told_apart_and_found_again(shared_clips, tmp_path):
    train = shared_clips / "train"
    names = ["grid_s1_bbaf2n.mp4", "grid_b_1.mpg", "grid_s1_swwv9a.mp4", "grid_d_1.mpg", "grid_b_1.mpg"]
    video = tmp_path / "cut.mp4"
    plan = shots_of([(train / name, 10 * i) for i, name in enumerate(names)], video)
    assert find_persons(plan, video, 0.5) == (Person(tracks=(1, 3)), Person(tracks=(2, 5)), Person(tracks=(4,)))


def test_a_picture_of_a_face_finds_the_tracks_of_that_person(shared_clips, tmp_path):
    train = shared_clips / "train"
    names = ["grid_s1_bbaf2n.mp4", "grid_b_1.mpg", "grid_s1_swwv9a.mp4"]
    plan = shots_of([(train / name, 10 * i) for i, name in enumerate(names)], tmp_path / "cut.mp4")

    def photograph(name: str, index: int) -> str:
        with open_video(train / name) as reader:
            rgb = next(frame.rgb() for frame in reader.read() if frame.index == index)
        assert load_cv().imwrite(str(tmp_path / "face.png"), rgb[..., ::-1])
        return str(tmp_path / "face.png")

    for name, tracks in [("grid_s1_swwv9a.mp4", [1, 3]), ("grid_b_1.mpg", [2])]:
        chosen = choose(plan, tmp_path / "cut.mp4", photograph(name, 50))
        assert [one.track for one in chosen.speaking] == tracks
        assert all((one.start, one.stop) == (SHOT * (one.track - 1), SHOT * one.track) for one in chosen.speaking)
    with pytest.raises(NoFaceError, match=r"looks like face\.png") as caught:
        choose(plan, tmp_path / "cut.mp4", photograph("grid_d_1.mpg", 20))
    assert "--speaker" in caught.value.hint


@pytest.mark.parametrize(("second", "speaking"), [("grid_s1_swwv9a.mp4", [1, 2]), ("grid_b_1.mpg", [])])
def test_one_person_in_two_shots_is_painted_though_no_lips_fit_and_two_in_turn_are_not(shared_clips, tmp_path, second, speaking):
    train = shared_clips / "train"
    plan = shots_of([(train / "grid_s1_bbaf2n.mp4", 0), (train / second, 10)], tmp_path / "cut.mp4")
    unfit = tuple(
        Reading(track=i, offset_s=0.0, distance=1.4, confidence=0.0, coverage=0.0, heard_s=0.0, frame_confidence=np.zeros(SHOT, np.float32))
        for i in (1, 2)
    )
    plan = replace(plan, speaking=(), readings=unfit)
    found = or_the_only_person(plan, tmp_path / "cut.mp4", Config().adapt, [])
    assert [one.track for one in found.speaking] == speaking
    # Who leaves adapting out has no faces compared, since the network that does it has terms of its own.
    assert not or_the_only_person(plan, tmp_path / "cut.mp4", Config().set("adapt.use=false").adapt, []).speaking


def test_a_single_track_is_not_looked_at(tmp_path, demo):
    plan = shots_of([(demo / "lecture.mp4", 0)], tmp_path / "one.mp4")
    assert find_persons(plan, tmp_path / "not there.mp4", 0.5) == (Person(tracks=(1,)),)


def test_another_video_than_the_plans_is_one_clear_error(tmp_path, demo):
    plan = shots_of([(demo / "lecture.mp4", 0), (demo / "lecture.mp4", 9)], tmp_path / "two.mp4")
    shots_of([(demo / "lecture.mp4", 0)], tmp_path / "one.mp4")
    with pytest.raises(MediaError):
        find_persons(plan, tmp_path / "one.mp4", 0.5)


def test_a_face_is_described_alike_wherever_and_however_large_it_is(demo, tmp_path):
    with open_video(demo / "lecture.mp4") as reader:
        frame = next(iter(reader.read()))
    row = similarity_from_points(find_landmarks(frame.gray(), detect_faces(frame.gray(), 60, 0.25)[0].box)[0])
    whole = describe_face(frame, row)
    with av.open(str(tmp_path / "small.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frame.width // 2, frame.height // 2, "yuv420p"
        small = av.VideoFrame.from_ndarray(frame.rgb(), "rgb24").reformat(
            width=frame.width // 2, height=frame.height // 2, format="yuv420p"
        )
        small.pts = 0
        out.mux(stream.encode(small))
        out.mux(stream.encode())
    with open_video(tmp_path / "small.mkv") as reader:
        other = next(iter(reader.read()))
    halved = np.array([row[0] - np.log(2), row[1], (row[2] + 0.5) / 2 - 0.5, (row[3] + 0.5) / 2 - 0.5])
    assert np.linalg.norm(describe_face(other, halved) - whole) < 0.15


def test_a_face_is_described_as_dlib_describes_it(demo):
    import dlib

    with open_video(demo / "lecture.mp4") as reader:
        frame = next(iter(reader.read()))
    box = detect_faces(frame.gray(), 60, 0.25)[0].box
    points = find_landmarks(frame.gray(), box)[0]
    found = dlib.full_object_detection(
        dlib.rectangle(*np.rint(box).astype(int).tolist()), [dlib.point(*np.rint(point).astype(int).tolist()) for point in points]
    )
    network = dlib.face_recognition_model_v1(str(recognition_model()))
    own = np.array(network.compute_face_descriptor(frame.rgb(), found))
    # The chip is placed by eyes and nose here, and by all points there.
    assert np.linalg.norm(describe_face(frame, similarity_from_points(points)) - own) < 0.2
