"""The points of the jaw lie on the edge of the face as it is seen, however the head is held."""

from __future__ import annotations

import numpy as np
import pytest

from redub.footage.drawing import rotation
from redub.footage.kit import SKIN, load_kit
from redub.footage.outline import draw_outline


@pytest.fixture(scope="module")
def kit(facekit):
    return load_kit(facekit)


def seen(kit, yaw=0.0, pitch=0.0):
    """The 17 points, and all of the front's skin, as a far camera sees the resting head: y downwards, in units of 8 mm."""
    outline, turn = draw_outline(kit), rotation(yaw, pitch, 0)
    head = kit.neutral @ turn.T
    front = np.unique(kit.corners[:, kit.part == SKIN])
    front = front[(kit.neutral[front, 2] > 3.5) & (np.abs(kit.neutral[front, 0]) < 7.3) & (kit.neutral[front, 1] > -7.5)]
    flat = head[:, :2] * [1, -1]
    return outline.points(outline.places(flat), turn), flat[front]


def test_a_frontal_face_has_an_even_outline(kit) -> None:
    points, _ = seen(kit)
    assert points == pytest.approx(points[::-1] * [-1, 1], abs=0.15)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps.max() < 1.15 * steps.min()
    assert (np.diff(points[:, 0]) > 0).all()
    # From the height of the eyes down to the chin, as far as the kit's own points.
    own = kit.neutral[kit.landmarks[:17]]
    assert points[[0, 8, 16], 1] == pytest.approx(-own[[0, 8, 16], 1], abs=0.4)


@pytest.mark.parametrize("yaw", [-0.6, -0.3, 0.3, 0.6])
def test_the_far_cheek_ends_where_the_picture_of_it_does(kit, yaw) -> None:
    points, skin = seen(kit, yaw)
    side = np.sign(yaw)  # a nose that points to the right hides the cheek on the right
    far = points[12:16] if side > 0 else points[1:5]
    for x, y in far:
        level = skin[np.abs(skin[:, 1] - y) < 0.25, 0] * side
        assert x * side == pytest.approx(level.max(), abs=0.35)
    vertex = (kit.neutral[kit.landmarks[14 if side > 0 else 2]] @ rotation(yaw, 0, 0).T)[0]
    assert abs(yaw) < 0.5 or (far[:, 0] * side).max() > vertex * side + 0.5


def test_a_head_that_turns_to_the_other_side_has_the_mirrored_outline(kit) -> None:
    one, other = seen(kit, 0.4, 0.1)[0], seen(kit, -0.4, 0.1)[0]
    assert one == pytest.approx(other[::-1] * [-1, 1], abs=0.2)


def test_the_outline_moves_without_jumps(kit) -> None:
    yaws = np.linspace(-0.5, 0.5, 101)
    course = np.stack([seen(kit, yaw)[0] for yaw in yaws])
    assert np.linalg.norm(np.diff(course, axis=0), axis=-1).max() < 0.5
