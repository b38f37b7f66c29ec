"""Pose figures: geometry, and nothing but geometry."""

from __future__ import annotations

import numpy as np
import pytest
from redub_lumierenet.figure import FACE, HEAD, INDEX_STEP, LIPS, MOUTH, TORSO, figure_from_iuv, from_landmarks

from redub.faces.landmarks import mouth_openness

SIDE = 256


@pytest.fixture
def figures_of(draw_person):
    def make(openness, shifts=None):
        drawn = [draw_person(one, shift) for one, shift in zip(openness, shifts or [0.0] * len(openness), strict=True)]
        pictures, points = np.stack([one for one, _ in drawn]), np.stack([one for _, one in drawn])
        return pictures, points, from_landmarks(pictures, points)

    return make


def share(figure, part):
    return float((np.abs(figure[..., 0].astype(int) - part * INDEX_STEP) <= 2).mean())


def mixed(pictures, matrix, offset=0.0):
    return np.clip(np.rint(pictures @ np.array(matrix).T + offset), 0, 255).astype(np.uint8)


RECOLOURED = {
    "red and blue exchanged": lambda p: np.ascontiguousarray(p[..., ::-1]),
    "other colours": lambda p: mixed(p, [[0.2, 0.6, 0.1], [0.5, 0.1, 0.3], [0.1, 0.2, 0.6]], 15.0),
    "negative": lambda p: 255 - p,
    "brighter": lambda p: np.rint(255 * (p / 255.0) ** 0.8).astype(np.uint8),
}


@pytest.mark.parametrize("how", list(RECOLOURED))
def test_two_recolourings_of_a_frame_give_the_same_figure(how, figures_of):
    pictures, points, figures = figures_of([0.0, 0.7])
    again = from_landmarks(RECOLOURED[how](pictures), points)
    # Rounding colours anew may move the silhouette's edge by a pixel here and there; face and mouth not at all.
    face = np.abs(figures[..., 0].astype(int) - HEAD * INDEX_STEP) > 4
    inner = np.zeros_like(face)
    for one, outline in zip(inner, points, strict=True):
        (left, top), (right, bottom) = np.floor(outline.min(axis=0)), np.ceil(outline.max(axis=0))
        one[int(top) : int(bottom), int(left) + 8 : int(right) - 8] = True
    assert np.array_equal(again[inner & face], figures[inner & face])
    assert (np.abs(again.astype(int) - figures).max(axis=-1) > 8).mean() < 0.01


def test_the_silhouette_is_the_persons(figures_of):
    pictures, _, figures = figures_of([0.2])
    wall = np.abs(pictures[0].astype(int) - (60, 120, 190)).max(axis=-1) < 45
    is_person = figures[0, ..., 0] > 0
    assert (is_person & wall).sum() / wall.sum() < 0.03
    assert (is_person & ~wall).sum() / (~wall).sum() > 0.95


def test_where_colours_do_not_tell_a_body_of_average_shape_stands_in(draw_person):
    _, points = draw_person(0.2)
    clutter = np.random.default_rng(1).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    figure = from_landmarks(clutter, points[None])[0]
    flat = from_landmarks(np.full_like(clutter, 128), points[None])[0]
    assert np.array_equal(figure, flat)
    assert share(figure, TORSO) > 0.05
    assert share(figure, HEAD) > 0.03


def test_a_mouth_that_opens_shows_in_the_figure(figures_of):
    openness = [0.0, 0.3, 0.6, 1.0]
    _, points, figures = figures_of(openness)
    shares = [share(figure, MOUTH) for figure in figures]
    assert sorted(shares) == shares
    assert shares[-1] > shares[1] + 0.0005
    assert np.corrcoef(shares, mouth_openness(points))[0, 1] > 0.97
    assert all(share(figure, LIPS) > 0.001 for figure in figures)


def test_lips_move_by_less_than_a_pixel(figures_of):
    pictures, points, _ = figures_of([0.3])
    lower = points.copy()
    lower[0, [65, 66, 67], 1] += 0.5
    assert not np.array_equal(from_landmarks(pictures, points)[0], from_landmarks(pictures, lower)[0])


def test_coordinates_of_the_face_go_with_the_head(figures_of):
    _, points, figures = figures_of([0.0, 0.0], [0.0, 24.0])
    for figure, one in zip(figures, points, strict=True):
        x, y = np.rint(one[30]).astype(int)  # the tip of the nose
        assert abs(int(figure[y, x, 0]) - FACE * INDEX_STEP) <= 2
        assert abs(int(figure[y, x, 1]) - 128) < 6
    nose = [figure[int(one[30, 1]), int(one[30, 0])].astype(int) for figure, one in zip(figures, points, strict=True)]
    assert np.abs(nose[0] - nose[1]).max() <= 3
    left, right = (figures[0][int(points[0][2, 1]), int(points[0][i, 0]) + step, 1] for i, step in ((2, 6), (14, -6)))
    assert int(right) - int(left) > 90


def test_without_a_face_there_is_no_figure(figures_of):
    pictures, points, _ = figures_of([0.1, 0.1])
    points[1] = np.nan
    figures = from_landmarks(pictures, points)
    assert figures[0].any()
    assert not figures[1].any()


def test_a_face_that_leaves_the_picture_is_drawn_as_far_as_it_is_seen(figures_of):
    pictures, points, _ = figures_of([0.1])
    assert from_landmarks(pictures, points - (0, 90))[0].any()
    assert from_landmarks(pictures, points * 3).shape == pictures.shape


def test_iuv_becomes_ten_times_i_and_255_times_u_and_v():
    index = np.array([[0, 3], [24, 1]])
    figure = figure_from_iuv(index, np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.9, 0.2], [0.4, 2.0]]))
    assert figure.tolist() == [[[0, 0, 0], [30, 128, 51]], [[240, 255, 102], [10, 0, 255]]]
    with pytest.raises(ValueError, match="0 to 24"):
        figure_from_iuv(index + 1, index, index)
