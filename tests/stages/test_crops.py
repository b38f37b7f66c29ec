from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from redub.config import CropConfig
from redub.faces.canonical import CANONICAL_FACE
from redub.faces.geometry import apply_similarity
from redub.faces.landmarks import mouth_openness
from redub.stages.crops import choose_references, jumps, place_crops, smooth_path
from redub.types import Doubles, Track

RATE = Fraction(25)


def still(count: int) -> Doubles:
    """Return a path of a face of 200 px that does not move."""
    return np.tile([np.log(200.0), 0.0, 300.0, 100.0], (count, 1))


def track_of(path: Doubles, **changes: Any) -> Track:
    """Return a track whose landmarks are the canonical face's, moved along a path."""
    points = apply_similarity(path, np.broadcast_to(CANONICAL_FACE, (len(path), 68, 2)))
    parts = {"points": points.astype(np.float32), "is_measured": np.ones(len(path), bool), "start": 40} | changes
    return Track(id=3, boxes=np.zeros((len(path), 4), np.float32), **parts)


def opened(points: Any, gaps: Any) -> Any:
    """Pull the lower lip down by shares of the distance between the eyes."""
    points = points.copy()
    size = np.linalg.norm(points[:, 45] - points[:, 36], axis=-1)
    points[:, [55, 56, 57, 58, 59, 65, 66, 67], 1] += (np.asarray(gaps) * size)[:, None]
    return points


def test_a_path_is_where_the_landmarks_are() -> None:
    path = still(30)
    path[:, 0] += np.linspace(0, 0.2, 30)
    path[:, 2] += np.linspace(0, 60, 30)
    (found,) = place_crops([track_of(path)], RATE, CropConfig())
    assert (found.track, found.start, found.stop) == (3, 40, 70)
    np.testing.assert_allclose(found.similarities, path, atol=0.05)


def test_a_steady_motion_is_left_alone_up_to_its_ends() -> None:
    path = still(40) + np.arange(40)[:, None] * [0.004, 0.01, 3.0, -2.0]
    np.testing.assert_allclose(smooth_path(path, 2.0, 0.04), path, atol=1e-9)


def test_smoothing_calms_noise_without_delay() -> None:
    rng = np.random.default_rng(1)
    time = np.arange(200)
    path = still(200)
    path[:, 2] += 40 * np.sin(time / 12)
    noisy = path + rng.normal(size=path.shape) * [0.005, 0.005, 1.0, 1.0]
    calm = smooth_path(noisy, 2.0, 0.04)
    assert np.abs(calm - path).mean(axis=0)[2] < 0.6 * np.abs(noisy - path).mean(axis=0)[2]
    # Had it a delay, the best match with the true motion would lie at another shift.
    errors = {lag: np.abs(calm[5:-5, 2] - path[5 + lag : 195 + lag, 2]).mean() for lag in (-1, 0, 1)}
    assert min(errors, key=lambda lag: errors[lag]) == 0


def test_smoothing_runs_the_same_backwards() -> None:
    path = still(60) + np.cumsum(np.random.default_rng(2).normal(size=(60, 4)) * [0.01, 0.01, 1, 1], axis=0)
    np.testing.assert_allclose(smooth_path(path[::-1], 2.0, 0.04)[::-1], smooth_path(path, 2.0, 0.04), atol=1e-9)


def test_a_jump_stays_sharp() -> None:
    path = still(40)
    path[20:, 2] += 30
    assert jumps(path, 0.04) == [20]
    np.testing.assert_allclose(smooth_path(path, 2.0, 0.04), path, atol=1e-9)


def test_a_fast_even_motion_is_no_jump() -> None:
    path = still(40)
    path[:, 2] += 15.0 * np.arange(40)
    assert jumps(path, 0.04) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_tracks_have_paths(count: int) -> None:
    (found,) = place_crops([track_of(still(count))], RATE, CropConfig())
    np.testing.assert_allclose(found.similarities, still(count), atol=0.01)
    assert len(found.references) == 5
    assert set(found.references) <= set(range(40, 40 + count))


def test_without_smoothing_the_path_follows_every_frame() -> None:
    path = still(30) + np.random.default_rng(3).normal(size=(30, 4)) * [0.01, 0.01, 2, 2]
    (found,) = place_crops([track_of(path)], RATE, CropConfig(smoothing_s=0.0))
    np.testing.assert_allclose(found.similarities, path, atol=1e-2)


def test_the_angle_does_not_wrap() -> None:
    path = still(30)
    path[:, 1] = np.linspace(3.0, 3.4, 30)
    (found,) = place_crops([track_of(path)], RATE, CropConfig())
    assert np.abs(np.diff(found.similarities[:, 1])).max() < 0.1


def test_smoothing_is_meant_in_seconds() -> None:
    path = still(120)
    path[60, 2] += 5.0
    slow, fast = (place_crops([track_of(path)], Fraction(rate), CropConfig(smoothing_s=0.1))[0].similarities for rate in (25, 50))
    # Twice the frames a second spread one frame's error over twice the frames.
    assert slow[60, 2] - 300 == pytest.approx(2 * (fast[60, 2] - 300), rel=0.05)


def test_references_show_the_mouth_by_percentile() -> None:
    count = 101
    gaps = np.random.default_rng(4).permutation(np.linspace(0, 0.4, count))
    track = track_of(still(count))
    track = track_of(still(count), points=opened(track.points, gaps))
    chosen = mouth_openness(track.points[np.array(choose_references(track, still(count))) - track.start])
    wanted = np.quantile(mouth_openness(track.points), [0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(chosen, wanted, atol=0.02)


def test_references_are_frontal_steady_and_seen() -> None:
    count = 120
    path = still(count)
    path[100:, 2] += 20.0 * np.arange(20)  # the last frames move
    track = track_of(path)
    points = track.points.copy()
    points[:30, 27:36, 0] += 40.0  # the first frames look aside
    is_measured = np.ones(count, bool)
    is_measured[30:50] = False
    chosen = choose_references(track_of(path, points=points, is_measured=is_measured), path)
    assert all(90 <= index < 140 for index in chosen)
