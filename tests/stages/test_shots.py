from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from redub.config import ShotConfig
from redub.media import open_video
from redub.progress import Recorder, silent
from redub.stages.shots import Cut, find_cuts, find_shots, is_uneven, shots_between, without_flashes
from redub.types import Doubles, Scan

CONFIG = ShotConfig()
SIZE = (90, 160)


def scene(seed: int, count: int, drift: float = 0.0) -> list[Doubles]:
    """Return gray pictures of one smooth scene with a little noise, seen by a camera that moves ``drift`` px a frame."""
    rng = np.random.default_rng(seed)
    wide = SIZE[1] + int(abs(drift) * count) + 1
    coarse = rng.uniform(20, 230, (10, 4 + wide // 12))
    world = np.kron(coarse, np.ones((9, 12)))[: SIZE[0]]
    frames = [world[:, int(i * drift) : int(i * drift) + SIZE[1]] for i in range(count)]
    return [np.clip(frame + rng.normal(0, 1.5, SIZE), 0, 255) for frame in frames]


def cuts_of(frames: list[Doubles]) -> list[int]:
    pictures = [frame.astype(np.uint8) for frame in frames]
    return [cut.index for cut in without_flashes(find_cuts(pictures, CONFIG), 8, CONFIG.min_difference)]


def test_hard_cuts_are_found_to_the_frame() -> None:
    assert cuts_of(scene(1, 30) + scene(2, 17) + scene(3, 40)) == [30, 47]


def test_a_dark_video_has_cuts_too() -> None:
    assert cuts_of([frame * 0.2 + 5 for frame in scene(1, 30) + scene(2, 30)]) == [30]


@pytest.mark.parametrize("drift", [1.0, 4.0, 12.0])
def test_a_pan_is_no_cut(drift: float) -> None:
    assert cuts_of(scene(1, 60, drift)) == []


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_flash_is_no_cut(width: int) -> None:
    frames = scene(1, 60)
    for i in range(25, 25 + width):
        frames[i] = np.clip(frames[i] * 1.5 + 100, 0, 255)
    assert cuts_of(frames) == []


def test_a_scene_of_one_frame_between_two_others_leaves_a_cut() -> None:
    found = cuts_of(scene(1, 30) + scene(2, 1) + scene(3, 30))
    assert found
    assert set(found) <= {30, 31}


def test_a_still_and_a_single_picture_have_no_cut() -> None:
    assert cuts_of([scene(1, 1)[0]] * 40) == []
    assert cuts_of(scene(1, 1)) == []


@pytest.mark.parametrize("level", [0.0, 255.0])
def test_a_fade_over_black_or_white_has_one_cut_in_its_middle(level: float) -> None:
    share = np.concatenate([np.linspace(1, 0, 13), np.zeros(4), np.linspace(0, 1, 13)])
    one, other = scene(1, 45), scene(2, 45)
    faded = [frame * part + level * (1 - part) for frame, part in zip(one[30:] + other[:15], share, strict=True)]
    (found,) = cuts_of(one[:30] + faded + other[15:])
    assert 42 <= found <= 48


def test_blank_frames_between_hard_cuts_add_none() -> None:
    assert cuts_of(scene(1, 30) + [np.full(SIZE, 16.0)] * 20 + scene(2, 30)) == [30, 50]


def test_blank_frames_at_the_ends_are_no_cut_by_themselves() -> None:
    share = np.linspace(0, 1, 25)
    frames = [frame * part for frame, part in zip(scene(1, 25), share, strict=True)]
    assert cuts_of(frames + scene(1, 20)) == []


def cut(index: int, before: int = 0, after: int = 255) -> Cut:
    return Cut(index=index, before=np.full((4, 4), before, np.uint8), after=np.full((4, 4), after, np.uint8))


def test_quick_cuts_that_lead_elsewhere_stay() -> None:
    assert [c.index for c in without_flashes([cut(10, 0, 200), cut(12, 200, 90)], 8, 6.0)] == [10, 12]
    assert [c.index for c in without_flashes([cut(10, 0, 200), cut(12, 200, 2)], 8, 6.0)] == []
    assert [c.index for c in without_flashes([cut(10, 0, 200), cut(30, 200, 2)], 8, 6.0)] == [10, 30]


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 50])
@pytest.mark.parametrize("min_length", [1, 8])
def test_shots_touch_cover_and_are_long_enough(frames: int, min_length: int) -> None:
    for seed in range(20):
        places = np.flatnonzero(np.random.default_rng(seed).uniform(size=frames) < 0.15)
        shots = shots_between([cut(int(place)) for place in places if place], frames, min_length)
        assert shots[0].start == 0
        assert shots[-1].stop == frames
        assert all(one.stop == following.start for one, following in pairwise(shots))
        assert len(shots) == 1 or min(map(len, shots)) >= min_length


def test_a_short_shot_is_joined_to_its_successor_and_the_last_to_its_predecessor() -> None:
    assert [shot.start for shot in shots_between([cut(20), cut(22)], 50, 8)] == [0, 20]
    assert [shot.start for shot in shots_between([cut(3), cut(20)], 50, 8)] == [0, 20]
    assert [shot.start for shot in shots_between([cut(20), cut(46)], 50, 8)] == [0, 20]


@pytest.mark.parametrize(("pts", "is_variable"), [
    ([0, 40, 80, 120, 160], False),
    ([0, 33, 67, 100, 133, 167, 200], False),
    ([0, 40, 80, 160, 200], True),
    ([0, 3003, 6006, 9010, 12012], False),
    ([7], False),
    ([0, 500], False),
])  # fmt: skip
def test_uneven_times_make_a_variable_rate(pts: list[int], is_variable: bool) -> None:
    assert is_uneven(np.array(pts)) is is_variable


def scan(path: Path) -> Scan:
    with open_video(path) as video:
        return find_shots(video, CONFIG, silent)


def coloured(frames: list[Doubles]) -> list[Doubles]:
    return [np.repeat(np.kron(frame, np.ones((2, 2)))[:, :, None], 3, axis=2).astype(np.uint8) for frame in frames]


def test_a_scan_counts_frames_times_and_shots(make_video: Callable[..., Path]) -> None:
    recorder = Recorder()
    with open_video(make_video(coloured(scene(1, 30) + scene(2, 25)))) as video:
        found = find_shots(video, CONFIG, recorder)
    assert [(shot.start, shot.stop) for shot in found.shots] == [(0, 30), (30, 55)]
    assert (found.facts.height, found.facts.width, found.facts.frames) == (180, 320, 55)
    assert found.facts.frame_rate == 25
    assert found.facts.duration == Fraction(55, 25)
    assert not found.facts.is_variable_rate
    times = [(tick - found.pts[0]) * found.time_base for tick in found.pts.tolist()]
    assert times == [Fraction(i, 25) for i in range(55)]
    assert recorder.told[-1] == ("shots", 55, 55)


def test_a_variable_rate_is_seen_and_averaged(make_video: Callable[..., Path]) -> None:
    ticks = [0, 40, 80, 200, 240, 280, 320, 360]
    facts = scan(make_video(coloured(scene(1, len(ticks))), ticks=ticks)).facts
    assert facts.is_variable_rate
    assert facts.frame_rate == len(ticks) / facts.duration
    assert Fraction(36, 100) < facts.duration < Fraction(5, 10)


def test_a_video_of_one_frame_is_one_shot(make_video: Callable[..., Path]) -> None:
    found = scan(make_video(coloured(scene(1, 1))))
    assert [(shot.start, shot.stop) for shot in found.shots] == [(0, 1)]
    assert found.facts.frame_rate > 0


@pytest.mark.parametrize("name", ["presenter_b_1.mp4", "seat_t1_1.mkv", "grid_h_1.mpg", "mcgurk_1.mp4"])
def test_real_talk_is_one_shot(shared_clips: Path, name: str) -> None:
    assert len(scan(shared_clips / "test" / name).shots) == 1
