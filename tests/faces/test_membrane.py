"""The correction along a mask's edge: known harmonic functions, outliers, hidden stretches."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from redub.faces.membrane import make_membrane


def soft_disc(size: int, *, squeeze: float = 1.0) -> np.ndarray:
    """An ellipse of a mask with a soft edge, well within the crop."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    reach = np.hypot(x / 0.38, y / (0.38 * squeeze))
    return np.clip((1 - reach) / 0.12 + 0.5, 0, 1).astype(np.float32)


def grey(size: int, level: float = 128) -> np.ndarray:
    return np.full((size, size, 3), level, np.uint8)


def unit(size: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    return x, y


def minus(picture: np.ndarray, difference: np.ndarray) -> np.ndarray:
    return np.rint(picture - difference).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [32, 64, 109, 256])
def test_a_linear_difference_is_restored_everywhere(size: int) -> None:
    x, y = unit(size)
    truth = np.stack([10 + 20 * x, -8 + 12 * y, 5 + 8 * x - 14 * y], -1)
    mask = soft_disc(size)
    membrane = make_membrane(mask)
    found = membrane.correct(membrane.measure(grey(size), minus(grey(size), truth)), 100)
    assert found.shape == (size, size, 3)
    assert np.abs(found - truth)[mask > 0].max() < 0.5


@pytest.mark.parametrize("squeeze", [1.0, 0.7])
def test_a_harmonic_difference_is_restored_within_the_mask(squeeze: float) -> None:
    size = 256
    x, y = unit(size)
    truth = 60 * np.stack([x**2 - y**2, 2 * x * y, x**3 - 3 * x * y**2], -1)
    mask = soft_disc(size, squeeze=squeeze)
    membrane = make_membrane(mask)
    found = membrane.correct(membrane.measure(grey(size), minus(grey(size), truth)), 100)
    inside = mask > 0.5
    assert np.abs(found - truth)[inside].max() < 0.08 * np.ptp(truth[inside])


def test_it_agrees_with_the_equation_solved_px_by_px() -> None:
    size = 64
    mask = soft_disc(size)
    noise = gaussian_filter(np.random.default_rng(3).standard_normal((size, size)), 9)
    difference = 15 * noise / np.abs(noise).max()
    inside = mask > 0.5
    number = np.full(mask.shape, -1)
    number[inside] = np.arange(inside.sum())
    entries, right = [], np.zeros(inside.sum())
    for row, column in zip(*np.nonzero(inside), strict=True):
        i = number[row, column]
        entries.append((i, i, 4.0))
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if number[r, c] >= 0:
                entries.append((i, number[r, c], -1.0))
            else:
                right[i] += difference[r, c]
    rows, columns, values = (np.array(part) for part in zip(*entries, strict=True))
    solved = spsolve(coo_array((values, (rows, columns))).tocsc(), right)
    membrane = make_membrane(mask)
    picture = grey(size)
    patch = minus(picture, np.repeat(difference[..., None], 3, -1))
    found = membrane.correct(membrane.measure(picture, patch), 100)[inside]
    # One level of 255, of which the rounding of picture and patch may take half.
    assert np.abs(found - solved[:, None]).mean() < 1.0


def test_the_same_picture_needs_no_correction() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    membrane = make_membrane(soft_disc(112))
    assert not membrane.correct(membrane.measure(picture, picture), 25).any()


def test_a_hand_across_the_edge_does_not_colour_the_face() -> None:
    size = 128
    mask = soft_disc(size)
    membrane = make_membrane(mask)
    picture = grey(size)
    patch = minus(picture, np.broadcast_to([6.0, -4.0, 3.0], picture.shape))
    picture[:, : int(0.3 * size)] = (30, 20, 90)
    found = membrane.correct(membrane.measure(picture, patch), 25)
    inside = (mask > 0.5) & (np.arange(size) > 0.3 * size)
    assert np.abs(found[inside] - [6, -4, 3]).max() < 1.5


def test_noise_at_the_edge_is_averaged_away() -> None:
    size = 128
    mask = soft_disc(size)
    membrane = make_membrane(mask)
    noise = np.random.default_rng(1).normal(0, 6, (2, size, size, 3))
    picture = np.rint(128 + noise[0]).clip(0, 255).astype(np.uint8)
    patch = np.rint(124 + noise[1]).clip(0, 255).astype(np.uint8)
    found = membrane.correct(membrane.measure(picture, patch), 25)[mask > 0.5]
    assert np.abs(found - 4).mean() < 0.15 * noise[0].std()


def test_hidden_stretches_take_the_values_of_their_neighbours() -> None:
    size = 128
    mask = soft_disc(size)
    membrane = make_membrane(mask)
    x, _ = unit(size)
    truth = np.stack([4 + 10 * x] * 3, -1)
    picture, patch = grey(size), minus(grey(size), truth)
    picture[:, size // 2 + 25 :] = 255
    seen = (membrane.places[:, 0] < size // 2 + 25).astype(np.float32)
    found = membrane.correct(membrane.measure(picture, patch, seen), 25)
    assert np.abs(found - truth)[mask > 0.5].max() < 1.5


def test_without_a_trusted_sample_nothing_is_corrected() -> None:
    membrane = make_membrane(soft_disc(64))
    samples = membrane.measure(grey(64), grey(64, 90), np.zeros(len(membrane.pixels), np.float32))
    assert not samples.weight.any()
    assert not membrane.correct(samples, 25).any()


def test_an_edge_that_agrees_nowhere_is_left_alone() -> None:
    size = 64
    membrane = make_membrane(soft_disc(size))
    picture = grey(size, 0)
    picture[np.indices((size, size)).sum(axis=0) % 2 == 0] = 255
    assert not membrane.correct(membrane.measure(picture, grey(size)), 25).any()


def test_a_hard_edge_is_compared_as_well() -> None:
    membrane = make_membrane((soft_disc(96) > 0.5).astype(np.float32))
    found = membrane.correct(membrane.measure(grey(96), grey(96, 120)), 25)
    assert np.abs(found - 8).max() < 0.2


def test_a_mask_without_an_edge_has_nothing_to_match() -> None:
    membrane = make_membrane(np.ones((64, 64), np.float32))
    assert not membrane.correct(membrane.measure(grey(64), grey(64, 90)), 25).any()


def test_the_correction_is_limited_and_keeps_its_hue() -> None:
    membrane = make_membrane(soft_disc(64))
    patch = minus(grey(64), np.broadcast_to([60.0, 30.0, -15.0], (64, 64, 3)))
    found = membrane.correct(membrane.measure(grey(64), patch), 20)
    assert np.abs(found).max() <= 20 + 1e-4
    assert np.allclose(found[32, 32], [20, 10, -5], atol=0.2)


def test_no_correction_is_allowed_at_a_limit_of_zero() -> None:
    membrane = make_membrane(soft_disc(64))
    assert not membrane.correct(membrane.measure(grey(64), grey(64, 90)), 0).any()


def test_a_step_in_brightness_is_told_from_motion() -> None:
    size = 128
    membrane = make_membrane(soft_disc(size))
    texture = gaussian_filter(np.random.default_rng(5).normal(0, 90, (size, size)), 2)[..., None] * np.ones(3)
    picture = np.rint(128 + texture).clip(0, 255).astype(np.uint8)
    moved = np.where((np.arange(size) < size // 4)[:, None, None], np.roll(picture, 5, axis=0), picture)
    before = membrane.measure(picture, minus(picture, np.full(picture.shape, 7.0)))
    now = membrane.measure(moved, minus(picture, np.full(picture.shape, 4.0)))
    assert membrane.step(before, now) == pytest.approx([-3, -3, -3], abs=0.3)


def test_the_flat_part_is_the_mean_difference() -> None:
    size = 128
    membrane = make_membrane(soft_disc(size))
    x, _ = unit(size)
    samples = membrane.measure(grey(size), minus(grey(size), np.stack([9 + 20 * x] * 3, -1)))
    flat = membrane.correct(samples.flat(), 25)
    assert np.ptp(flat) < 1e-3
    assert flat.mean() == pytest.approx(9, abs=0.3)
