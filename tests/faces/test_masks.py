from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from redub.faces.canonical import CANONICAL_FACE
from redub.faces.masks import lower_face_mask, soft_square_mask, whole_face_mask
from redub.types import Floats

MASKS = [lower_face_mask, whole_face_mask]


def at(mask: Floats, points: Floats) -> Floats:
    """Return the mask's values at canonical points."""
    place = np.clip(np.rint(np.asarray(points) * len(mask) - 0.5).astype(int), 0, len(mask) - 1)
    return np.asarray(mask[place[:, 1], place[:, 0]])


@pytest.mark.parametrize("make", MASKS)
@pytest.mark.parametrize("size_px", [96, 112, 224, 512])
def test_masks_are_soft_symmetric_and_end_inside_the_crop(make: Callable[[int, float], Floats], size_px: int) -> None:
    mask = make(size_px, 0.05)
    assert mask.shape == (size_px, size_px)
    assert mask.dtype == np.float32
    assert mask.min() == 0.0
    assert mask.max() == 1.0
    assert np.abs(mask - mask[:, ::-1]).max() < 0.12  # one drawn pixel
    assert np.abs(np.diff(mask, axis=0)).max() < 60 / size_px
    # A generator of 112 px may paint 109 of them only.
    assert mask[int(size_px * 108.5 / 112) :].max() < 0.02
    assert max(mask[0].max(), mask[:, 0].max(), mask[:, -1].max()) == 0.0


@pytest.mark.parametrize("make", MASKS)
def test_the_same_shape_at_every_size(make: Callable[[int, float], Floats]) -> None:
    large = make(224, 0.05).reshape(112, 2, 112, 2).mean(axis=(1, 3))
    assert np.abs(make(112, 0.05) - large).max() < 0.02


def test_the_lower_mask_holds_the_mouth_and_spares_the_eyes() -> None:
    mask = lower_face_mask(256, 0.05)
    assert at(mask, CANONICAL_FACE[48:68]).min() == 1.0
    assert at(mask, CANONICAL_FACE[36:48]).max() == 0.0
    assert at(mask, CANONICAL_FACE[17:28]).max() == 0.0
    assert at(mask, CANONICAL_FACE[[1, 2, 14, 15]]).max() == 0.0  # ears and the jaw's sides
    assert at(mask, CANONICAL_FACE[8:9]).min() > 0.3  # the chin moves with the mouth


def test_the_whole_mask_adds_eyes_and_nose_to_the_lower_one() -> None:
    whole, lower = whole_face_mask(256, 0.05), lower_face_mask(256, 0.05)
    assert at(whole, CANONICAL_FACE[27:68]).min() == 1.0
    assert (whole >= lower - 0.01).all()


@pytest.mark.parametrize("make", MASKS)
def test_a_wider_edge_keeps_the_outline_and_takes_from_the_inside(make: Callable[[int, float], Floats]) -> None:
    narrow, wide = make(224, 0.02), make(224, 0.1)
    assert (wide <= narrow + 1e-6).all()
    assert (wide < 1).sum() > (narrow < 1).sum()
    assert abs(int((wide > 0).sum()) - int((narrow > 0).sum())) < 0.01 * wide.size


def test_the_square_fades_only_where_told() -> None:
    mask = soft_square_mask(100, 0.1, (True, False, True, True))
    assert mask[0, 50] == 1.0
    assert mask[99, 50] < 0.05
    assert mask[50, 0] < 0.05
    assert mask[50, 99] < 0.05
    assert (mask[20:80, 20:80] == 1.0).all()
    np.testing.assert_array_equal(soft_square_mask(64, 0.1), soft_square_mask(64, 0.1).T)


def test_without_an_edge_masks_are_hard() -> None:
    mask = soft_square_mask(50, 0.0)
    assert (mask == 1.0).all()
    assert set(np.unique(lower_face_mask(512, 0.0))) == {0.0, 1.0}
