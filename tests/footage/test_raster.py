"""Triangles become the pixels whose middles they hold: each once, without gaps, in the order in which they are painted."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from redub.footage.raster import runs


def corners(*triangles):
    places = np.array(triangles, np.float32)  # Q 3 2
    return np.ascontiguousarray(places[..., 0].T), np.ascontiguousarray(places[..., 1].T)


def test_a_square_of_two_triangles_is_covered_once() -> None:
    x, y = corners([(1.5, 2.5), (6.5, 2.5), (1.5, 7.5)], [(6.5, 2.5), (6.5, 7.5), (1.5, 7.5)])
    pixel, _ = runs(x, y, (10, 12))
    expected = {row * 12 + column for row in range(3, 8) for column in range(2, 7)}
    assert len(pixel) == len(expected)
    assert set(pixel.tolist()) == expected


@pytest.mark.parametrize("seed", range(5))
def test_pixels_are_those_inside_by_the_plain_rule(seed) -> None:
    chance = np.random.default_rng(seed)
    places = chance.uniform(-5, 25, (30, 3, 2))
    x, y = corners(*places)
    pixel, triangle = runs(x, y, (20, 18))
    down, across = np.mgrid[0:20, 0:18]
    for number, (a, b, c) in enumerate(places):
        sides = [(q[0] - p[0]) * (down - p[1]) - (q[1] - p[1]) * (across - p[0]) for p, q in ((a, b), (b, c), (c, a))]
        inside = np.all(np.array(sides) > 0, 0) | np.all(np.array(sides) < 0, 0)
        assert np.array_equal(np.sort(pixel[triangle == number]), np.flatnonzero(inside))


def test_a_fan_around_a_point_leaves_no_gap() -> None:
    angles = np.linspace(0, 2 * np.pi, 40)
    rim = np.stack([15 + 12 * np.cos(angles), 14.3 + 12 * np.sin(angles)], 1)
    x, y = corners(*[[(15.0, 14.3), a, b] for a, b in pairwise(rim)])
    pixel, _ = runs(x, y, (30, 30))
    assert len(np.unique(pixel)) == len(pixel)
    down, across = np.divmod(np.arange(900), 30)
    assert set(np.flatnonzero(np.hypot(across - 15, down - 14.3) < 11.8)) <= set(pixel.tolist())


def test_the_order_of_triangles_is_kept() -> None:
    x, y = corners([(0, 0), (8, 0), (0, 8)], [(1, 1), (7, 1), (1, 7)])
    _, triangle = runs(x, y, (10, 10))
    assert np.all(np.diff(triangle) >= 0)


def test_what_lies_beside_the_picture_is_left_out() -> None:
    x, y = corners([(-50, -50), (-40, -50), (-50, -40)], [(100, 5), (120, 5), (100, 9)], [(3, 40), (9, 40), (3, 60)])
    pixel, _ = runs(x, y, (30, 30))
    assert len(pixel) == 0
