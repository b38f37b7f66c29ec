from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redub.config import ShotConfig, TrackConfig
from redub.faces.cv import load_cv
from redub.faces.detect import overlap
from redub.faces.landmarks import eye_distance
from redub.media import open_video
from redub.progress import Recorder, silent
from redub.stages.shots import find_shots
from redub.stages.tracks import find_tracks
from redub.types import RGB, Doubles, Scan, Shot, Track

MakeVideo = Callable[..., Path]
GREY = (90, 100, 110)


def look(path: Path, config: TrackConfig | None = None, shots: list[int] | None = None) -> tuple[Scan, tuple[Track, ...]]:
    """Analyse a video, with its shots as found or with cuts at given frames."""
    with open_video(path) as video:
        scan = find_shots(video, ShotConfig(), silent)
        if shots is not None:
            edges = [0, *shots, scan.facts.frames]
            made = tuple(Shot(start=start, stop=stop) for start, stop in pairwise(edges))
            scan = Scan(facts=scan.facts, pts=scan.pts, time_base=scan.time_base, shots=made)
        return scan, find_tracks(video, scan, config or TrackConfig(), silent)


@pytest.fixture(scope="module")
def talkers(shared_clips: Path) -> list[list[RGB]]:
    """Return the frames of three people, 288 x 360."""
    found = []
    for name in ("grid_h_1.mpg", "grid_i_1.mpg", "grid_s30_1.mpg"):
        with open_video(shared_clips / "test" / name) as video:
            found.append([frame.rgb() for frame in video.read(0, 60)])
    return found


def blank(count: int, size: tuple[int, int] = (288, 360)) -> list[RGB]:
    return [np.full((*size, 3), GREY, np.uint8) for _ in range(count)]


def moved(face: RGB, places: Doubles, size: tuple[int, int] = (360, 640)) -> list[RGB]:
    """Return frames in which one picture of 288 x 360, reduced to 0.6 of its size, lies at given places (T, 2)."""
    cv2 = load_cv()
    frames = []
    for x, y in places:
        matrix = np.array([[0.6, 0, x], [0, 0.6, y]], float)
        frames.append(cv2.warpAffine(face, matrix, size[::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=GREY))
    return frames


@pytest.mark.parametrize("name", ["presenter_b_1.mp4", "grid_i_1.mpg", "mcgurk_2.mp4"])
def test_a_talker_is_one_track_from_end_to_end(shared_clips: Path, name: str) -> None:
    scan, (track,) = look(shared_clips / "test" / name)
    assert (track.id, track.start, track.stop) == (1, 0, scan.facts.frames)
    assert track.is_measured.mean() > 0.98
    inside = (track.points[:, :, 0] > track.boxes[:, None, 0] - 40) & (track.points[:, :, 0] < track.boxes[:, None, 2] + 40)
    assert inside.all()


def test_a_face_that_moves_is_followed_to_the_pixel(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    time = np.arange(70)
    places = np.stack([40 + 4.0 * time, 90 + 50 * np.sin(time / 9)], axis=1)
    _, (track,) = look(make_video(moved(talkers[0][0], places)))
    assert (track.start, track.stop) == (0, 70)
    middles = track.points[:, 27:48].mean(axis=1)
    off = middles - places - (middles - places).mean(axis=0)
    assert np.abs(off).max() < 0.05 * eye_distance(track.points[0])
    assert np.abs(np.diff(track.boxes[:, 2] - track.boxes[:, 0])).max() < 3.0


def test_a_face_that_appears_between_looks_is_followed_back_to_its_first_frame(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    frames = blank(38) + talkers[1][:42]
    _, (track,) = look(make_video(frames), shots=[])
    assert (track.start, track.stop) == (38, 80)


def test_a_face_that_disappears_ends_its_track(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    _, (track,) = look(make_video(talkers[1][:40] + blank(40)), shots=[])
    assert (track.start, track.stop) == (0, 40)
    assert track.is_measured.all()


def test_a_short_gap_is_bridged_and_told(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    frames = list(talkers[0])
    frames[30:36] = blank(6)
    _, (track,) = look(make_video(frames), shots=[])
    assert (track.start, track.stop) == (0, 60)
    assert np.flatnonzero(~track.is_measured).tolist() == list(range(30, 36))
    # In the gap the landmarks lie on the way from the last that were seen to the next.
    share = np.arange(1, 7)[:, None, None] / 7
    way = track.points[29] * (1 - share) + track.points[36] * share
    np.testing.assert_allclose(track.points[30:36], way, atol=0.01)


def test_a_long_gap_makes_two_tracks(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    frames = list(talkers[0])
    frames[20:40] = blank(20)
    _, tracks = look(make_video(frames), shots=[])
    assert [(track.start, track.stop) for track in tracks] == [(0, 20), (40, 60)]


def test_no_track_reaches_over_a_cut(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    scan, tracks = look(make_video(talkers[0][:30] + talkers[2][:30] + blank(20) + talkers[1][:30]))
    assert [shot.start for shot in scan.shots] == [0, 30, 60, 80]
    assert [(track.start, track.stop) for track in tracks] == [(0, 30), (30, 60), (80, 110)]
    _, tracks = look(make_video(talkers[0][:40]), shots=[17])
    assert [(track.start, track.stop) for track in tracks] == [(0, 17), (17, 40)]


def test_two_faces_are_two_tracks_from_left_to_right(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    both = [np.concatenate([left, right], axis=1) for left, right in zip(talkers[2], talkers[0], strict=True)]
    _, tracks = look(make_video(both))
    assert [(track.id, track.start, track.stop) for track in tracks] == [(1, 0, 60), (2, 0, 60)]
    assert tracks[0].boxes[:, 2].max() < 360 < tracks[1].boxes[:, 0].min()
    assert max(overlap(one, other) for one, other in zip(tracks[0].boxes, tracks[1].boxes, strict=True)) == 0.0


def test_a_face_that_walks_out_of_the_picture_ends(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    places = np.stack([200 + 7.0 * np.arange(70), np.full(70, 90.0)], axis=1)
    _, (track,) = look(make_video(moved(talkers[0][0], places)))
    assert track.start == 0
    # The face's middle, 115 px from the picture's left edge, passes the frame's right edge at frame 46.
    assert 35 < track.stop <= 50


def slides() -> list[RGB]:
    cv2 = load_cv()
    page = np.full((360, 640, 3), 250, np.uint8)
    for line in range(9):
        cv2.putText(page, "o O (oo) 8 0 @ text of a slide", (30, 40 + 36 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (20, 20, 60), 2)
    return [page] * 40


@pytest.mark.parametrize("kind", ["slides", "black", "grey"])
def test_no_face_is_no_track(make_video: MakeVideo, kind: str) -> None:
    frames = {"slides": slides(), "black": [np.zeros((360, 640, 3), np.uint8)] * 40, "grey": blank(40)}[kind]
    assert look(make_video(frames))[1] == ()


def test_short_and_small_faces_are_left_alone(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    short = make_video(blank(22) + talkers[0][:7] + blank(30))
    assert look(short)[1] == ()
    assert len(look(short, TrackConfig(min_length_s=0.2))[1]) == 1
    # In a shot of its own it is there from the first frame to the last.
    assert [len(track) for track in look(short, shots=[22, 29])[1]] == [7]
    face = make_video(talkers[0][:30])
    assert look(face, TrackConfig(min_face_px=200))[1] == ()


def test_a_single_frame_can_hold_a_track(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    _, (track,) = look(make_video(talkers[0][:1]), TrackConfig(min_length_s=0.0))
    assert (track.start, track.stop, track.points.shape) == (0, 1, (1, 68, 2))


def test_a_large_frame_is_looked_at_reduced_and_measured_in_full(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    cv2 = load_cv()
    large = [cv2.resize(frame, (2160, 1728), interpolation=cv2.INTER_CUBIC) for frame in talkers[0][:8]]
    config = TrackConfig(min_length_s=0.1)
    _, (expected,) = look(make_video(talkers[0][:8]), config)
    _, (track,) = look(make_video(large), config)
    off = np.linalg.norm((track.points + 0.5) / 6 - 0.5 - expected.points, axis=-1).mean()
    assert off < 0.03 * eye_distance(expected.points[0])


def test_every_frame_is_told(make_video: MakeVideo) -> None:
    recorder = Recorder()
    with open_video(make_video(blank(12))) as video:
        scan = find_shots(video, ShotConfig(), silent)
        find_tracks(video, scan, TrackConfig(), recorder)
    assert recorder.told == [("tracks", done, 12) for done in range(1, 13)]


def test_the_same_video_gives_the_same_tracks(make_video: MakeVideo, talkers: list[list[RGB]]) -> None:
    path = make_video(talkers[2][:30])
    one, other = (look(path)[1][0] for _ in range(2))
    parts: list[tuple[Any, Any]] = [(one.points, other.points), (one.boxes, other.boxes)]
    for first, second in parts:
        np.testing.assert_array_equal(first, second)
