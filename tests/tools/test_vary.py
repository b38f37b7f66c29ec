"""How drawn faces are varied before a landmark network learns from them (`tools/landmarks/vary.py`)."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redub.faces.canonical import CANONICAL_FACE
from redub.faces.cv import load_cv
from redub.faces.landmark_net import mirrored

SEEDS = range(40)


@pytest.fixture(scope="module")
def vary() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parents[2] / "tools" / "landmarks" / "vary.py"))


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """A face 300 px wide, its mouth half open, in a picture of 400 px."""
    face = CANONICAL_FACE * 300 + 50
    face[65:68, 1] += 12
    return face


@pytest.fixture(scope="module")
def picture(points) -> np.ndarray:
    return load_cv().GaussianBlur(np.random.default_rng(0).integers(60, 200, (400, 400)).astype(np.uint8), (0, 0), 6.0)


def test_the_points_of_an_exact_crop_lie_on_what_they_lay_on(vary, points):
    """A spot on one landmark after another is found in the crop where the point is said to be."""
    for index in (0, 8, 16, 30, 36, 45, 48, 54, 57, 66):
        spotted = np.zeros((400, 400), np.uint8)
        load_cv().circle(spotted, np.rint(points[index]).astype(int).tolist(), 8, 255, -1)
        crop, found = vary["take"](spotted, points, vary["place_of"](points), None)
        rows, columns = np.nonzero(crop > crop.max() / 2)
        assert np.hypot(*(found[index] - [columns.mean(), rows.mean()])) < 0.6


def test_chance_moves_turns_scales_and_flips_a_face_and_never_bends_it(vary, points, picture):
    place = vary["place_of"](points)
    flips = 0
    for seed in SEEDS:
        _, found = vary["take"](picture, points, place, np.random.default_rng(seed))
        as_it_was, flipped = (_misfit(points, found), _misfit(points, (found * [-1, 1])[mirrored()]))
        assert min(as_it_was, flipped) < 1e-3
        flips += flipped < as_it_was
    assert 10 < flips < 30


def test_a_mouth_is_painted_within_its_lips(vary, points, picture):
    crop, found = _crop(vary, points, picture)
    outer = np.rint(found[48:60]).astype(np.int32)
    near = load_cv().dilate(load_cv().fillPoly(np.zeros_like(crop), outer[None], 1), np.ones((5, 5), np.uint8)) > 0
    is_changed = np.zeros_like(near)
    for seed in SEEDS:
        painted = crop.copy()
        vary["_paint_mouth"](painted, found, np.random.default_rng(seed))
        is_changed |= painted != crop
    assert is_changed[near].mean() > 0.6
    assert not is_changed[~near].any()


def test_what_a_mouth_opens_on_is_dark_or_bright_by_chance(vary, points, picture):
    crop, found = _crop(vary, points, picture)
    crop[:] = 120
    x, y = np.rint((found[62] + found[66]) / 2).astype(int)
    shades = []
    for seed in SEEDS:
        painted = crop.copy()
        vary["_paint_mouth"](painted, found, np.random.default_rng(seed))
        shades.append(int(painted[y, x]))
    assert min(shades) < 60
    assert max(shades) > 130


def test_a_closed_mouth_gets_a_seam_and_no_teeth(vary, points, picture):
    shut = points.copy()
    shut[[67, 66, 65]] = shut[[61, 62, 63]]
    crop, found = _crop(vary, shut, picture)
    crop[:] = 120
    for seed in SEEDS:
        painted = crop.copy()
        vary["_open"](painted, found[48:60], found[60:65], found[[60, 67, 66, 65, 64]], np.random.default_rng(seed))
        changed = np.argwhere(painted != 120)[:, ::-1]
        seam = np.linspace(found[60:64], found[61:65], 9).reshape(-1, 2)
        assert np.hypot(*(changed[:, None] - seam).transpose(2, 0, 1)).min(axis=1).max() < 2.5


def test_bands_reach_a_share_of_the_way(vary):
    near, far = np.stack([np.linspace(20, 60, 5), np.full(5, 30.0)], 1), np.stack([np.linspace(20, 60, 5), np.full(5, 50.0)], 1)
    near[[0, -1]] = far[[0, -1]] = [[20, 40], [60, 40]]
    whole, half = (vary["_filled"](vary["_band"](near, far, share)).sum() for share in (1.0, 0.5))
    assert half == pytest.approx(whole / 2, rel=0.1)


def _crop(vary: dict[str, Any], points: np.ndarray, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an exact crop in grey levels, and the points in it."""
    crop, found = vary["take"](picture, points, vary["place_of"](points), None)
    return np.clip(crop * 30 + 120, 0, 255).astype(np.uint8), found


def _misfit(source: np.ndarray, target: np.ndarray) -> float:
    """Return how far points lie from the best turned, scaled and moved others, as a share of their size."""
    a, b = ((p - p.mean(0)) / np.sqrt(((p - p.mean(0)) ** 2).sum()) for p in (source, target))
    u, values, v = np.linalg.svd(a.T @ b)
    values[-1] *= np.sign(np.linalg.det(u @ v))
    return float(1 - values.sum() ** 2)
