from __future__ import annotations

import numpy as np
import pytest

from redub.faces.canonical import CANONICAL_FACE
from redub.faces.cv import load_cv
from redub.faces.geometry import (
    apply_similarity,
    compose_similarity,
    crop_from_frame,
    crop_points,
    fit_robustly,
    fit_similarity,
    frame_from_crop,
    invert_similarity,
    similarity_from_points,
)

RNG = np.random.default_rng(5)
ROWS = np.stack([RNG.uniform(-2, 5, 50), RNG.uniform(-3, 3, 50), RNG.uniform(-900, 900, 50), RNG.uniform(-900, 900, 50)], axis=1)


def test_fit_returns_the_similarity_that_moved_the_points() -> None:
    points = RNG.normal(size=(50, 9, 2))
    np.testing.assert_allclose(fit_similarity(points, apply_similarity(ROWS, points)), ROWS, atol=1e-9)


def test_a_quarter_turn_takes_right_to_down() -> None:
    # y points down, so a positive angle turns clockwise as seen.
    moved = apply_similarity([np.log(2), np.pi / 2, 10, 20], [[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(moved, [[10, 22], [8, 20]], atol=1e-12)


def test_fit_never_mirrors() -> None:
    points = RNG.normal(size=(9, 2))
    row = fit_similarity(points, points * [-1, 1])
    a, b, c = apply_similarity(row, [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    (ux, uy), (vx, vy) = b - a, c - a
    assert ux * vy - uy * vx > 0


def test_least_squares_beats_every_small_change() -> None:
    source, target = RNG.normal(size=(12, 2)), RNG.normal(size=(12, 2))
    best = fit_similarity(source, target)
    error = np.sum((apply_similarity(best, source) - target) ** 2)
    for change in np.concatenate([np.eye(4), -np.eye(4)]) * 1e-3:
        assert np.sum((apply_similarity(best + change, source) - target) ** 2) > error


def test_weights_of_zero_leave_points_out() -> None:
    source = RNG.normal(size=(6, 2))
    target = apply_similarity(ROWS[0], source)
    target[4:] += 100
    np.testing.assert_allclose(fit_similarity(source, target, [1, 1, 1, 1, 0, 0]), ROWS[0], atol=1e-9)


def test_robust_fit_is_drawn_less_by_a_wrong_point() -> None:
    source = RNG.normal(size=(21, 2))
    truth = np.array([4.0, 0.1, 300.0, 200.0])
    target = apply_similarity(truth, source) + RNG.normal(size=(21, 2)) * 0.2
    target[3] += 25
    plain, robust = fit_similarity(source, target), fit_robustly(source, target, 3)
    shift = np.linalg.norm([(row - truth)[2:] for row in (plain, robust)], axis=1)
    assert shift[1] < 0.2 * shift[0]


def test_invert_and_compose_undo_each_other() -> None:
    identity = compose_similarity(invert_similarity(ROWS), ROWS)
    np.testing.assert_allclose(identity, np.zeros((50, 4)), atol=1e-9)
    points = RNG.normal(size=(49, 5, 2))
    twice = apply_similarity(ROWS[1:], apply_similarity(ROWS[:-1], points))
    np.testing.assert_allclose(apply_similarity(compose_similarity(ROWS[1:], ROWS[:-1]), points), twice, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("size_px", [1, 109, 112, 256])
def test_matrices_undo_each_other_and_agree_with_points(size_px: int) -> None:
    there, back = frame_from_crop(ROWS, size_px), crop_from_frame(ROWS, size_px)
    product = there[:, :, :2] @ back[:, :, :2]
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(2), product.shape), atol=1e-9)
    frame = RNG.uniform(0, 1000, (50, 7, 2))
    by_matrix = np.einsum("tij,tnj->tni", back[:, :, :2], frame) + back[:, None, :, 2]
    np.testing.assert_allclose(by_matrix, crop_points(ROWS, frame, size_px), rtol=1e-9, atol=1e-6)


def test_the_unit_square_covers_whole_pixels() -> None:
    # A canonical square over the frame's pixels 10..13 (edges 9.5 and 13.5), sampled at 4 px, is those pixels.
    row = np.array([np.log(4.0), 0.0, 9.5, 9.5])
    np.testing.assert_allclose(frame_from_crop(row, 4), [[1, 0, 10], [0, 1, 10]], atol=1e-12)
    picture = RNG.integers(0, 255, (30, 30)).astype(np.uint8)
    crop = load_cv().warpAffine(picture, crop_from_frame(row, 4), (4, 4))
    np.testing.assert_array_equal(crop, picture[10:14, 10:14])


def test_registration_ignores_mouth_and_jaw() -> None:
    points = apply_similarity(ROWS[:5], CANONICAL_FACE)
    points[:, :17] += RNG.normal(size=(5, 17, 2)) * 50
    points[:, 48:] += RNG.normal(size=(5, 20, 2)) * 50
    np.testing.assert_allclose(similarity_from_points(points), ROWS[:5], atol=1e-6)


def test_the_canonical_face_is_laid_out_as_documented() -> None:
    eyes = [CANONICAL_FACE[36:42].mean(axis=0), CANONICAL_FACE[42:48].mean(axis=0)]
    np.testing.assert_allclose(eyes[0] + eyes[1], [1.0, 2 * eyes[0][1]], atol=2e-4)  # level, and as far from either side
    assert CANONICAL_FACE[8] == pytest.approx([0.5, 0.90], abs=1e-3)
    jaw = CANONICAL_FACE[:17]
    assert jaw.min() > 0.03
    assert jaw.max() < 0.97
    np.testing.assert_allclose(jaw[::-1] * [-1, 1] + [1, 0], jaw, atol=2e-4)
