"""Mouths that are kept while a face is tracked are those that its crop shows, wherever that comes to lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from redub.faces import mouths as module
from redub.faces.cv import load_cv
from redub.faces.follow import FLOW_PX, MOUTH, PATCH_PX, Sight, cut_patch
from redub.faces.geometry import crop_from_frame
from redub.faces.mouths import Mouths
from redub.types import Doubles

SIZE, BOX = 112, (24, 54, 88, 110)


def picture(seed: int) -> Any:
    """Return a smooth texture, 300 x 400."""
    noise = np.random.default_rng(seed).normal(0, 1, (300, 400)).astype(np.float32)
    smooth = load_cv().GaussianBlur(noise, (0, 0), 5)
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def seen(gray: Any, place: Doubles) -> Sight:
    """See a face that was tracked to a place."""
    left, top, right, bottom = MOUTH
    return Sight(
        place=place, points=np.zeros((68, 2), np.float32), spread=0.0, patch=cut_patch(gray, place, FLOW_PX), patch_place=place,
        mouth=cut_patch(gray, place, PATCH_PX)[top:bottom, left:right],
    )  # fmt: skip


def shown(gray: Any, row: Doubles) -> Any:
    """Return the mouth of a crop, sampled from the picture itself."""
    left, top, right, bottom = BOX
    return load_cv().warpAffine(gray, crop_from_frame(row, SIZE), (SIZE, SIZE), flags=load_cv().INTER_CUBIC)[top:bottom, left:right]


def apart(one: Any, other: Any) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


PLACE = np.array([np.log(120), 0.1, 130.0, 80.0])


@pytest.mark.parametrize("step", [(0, 0, 0, 0), (0.04, 0.05, -6, 5), (-0.05, -0.04, 4, -5)], ids=str)
def test_a_crop_beside_the_place_that_was_tracked_shows_its_own_mouth(step):
    row = PLACE + step
    with Mouths() as mouths:
        for index in (3, 4):
            mouths.keep(index, seen(picture(index), PLACE))
        found = mouths.take([4, 3], np.stack([row, row]), SIZE, BOX)
    assert found is not None
    for one, index in zip(found, (4, 3), strict=True):
        assert one.shape == (56, 64)
        assert apart(one, shown(picture(index), row)) < 2 < 20 < apart(one, shown(picture(7 - index), row))


def test_of_two_faces_in_a_frame_the_nearer_one_is_taken():
    other = PLACE + np.array([0, 0, 90, 20])
    gray = picture(0)
    with Mouths() as mouths:
        for place in (other, PLACE):
            mouths.keep(0, seen(gray, place))
        for row in (PLACE, other):
            found = mouths.take([0], row[None] + 1e-3, SIZE, BOX)
            assert found is not None
            assert apart(found[0], shown(gray, row)) < 2


def test_places_in_a_reduced_picture_are_those_of_the_frame():
    cv = load_cv()
    small = picture(1)
    large = cv.resize(small, (1200, 900), interpolation=cv.INTER_CUBIC)
    # The middle of the first px is 0 in both.
    row = np.array([PLACE[0] + np.log(3), PLACE[1], 3 * PLACE[2] + 1, 3 * PLACE[3] + 1])
    with Mouths() as mouths:
        mouths.keep(0, seen(small, PLACE), reduction=3)
        found = mouths.take([0], row[None], SIZE, BOX)
    assert found is not None
    assert apart(found[0], shown(large, row)) < 2


def test_what_was_not_kept_is_not_made_up():
    with Mouths() as mouths:
        assert mouths.take([0], PLACE[None], SIZE, BOX) is None
        mouths.keep(0, seen(picture(0), PLACE))
        assert mouths.take([0, 1], np.stack([PLACE, PLACE]), SIZE, BOX) is None
        assert mouths.take([0], PLACE[None] + [0, 0, 30, 0], SIZE, BOX) is None
        assert mouths.take([0], PLACE[None] + [0, 0, 0, -30], SIZE, BOX) is None
        assert mouths.take([0], PLACE[None], SIZE, BOX) is not None


def test_a_full_disk_is_no_error_but_keeps_nothing(monkeypatch):
    def full(prefix: str) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "TemporaryFile", full)
    with Mouths() as mouths:
        mouths.keep(0, seen(picture(0), PLACE))
        assert mouths.take([0], PLACE[None], SIZE, BOX) is None
