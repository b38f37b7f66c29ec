"""Pictures and landmarks whose distances are known."""

from __future__ import annotations

import numpy as np
import pytest

from redub.faces.canonical import CANONICAL_FACE
from redub.faces.cv import load_cv
from redub.faces.geometry import apply_similarity
from redub.metrics.picture import gradient_energy, landmark_distance, mean_square, mouth_region
from redub.plugin import Mode
from redub.testing.clips import draw_face, face_points

SPEECH2VID = Mode(input_px=112, output_px=109, output_offset_px=1)


def test_the_squared_difference_is_a_mean_over_pixels_and_colours():
    true = np.full((8, 8, 3), 100, np.uint8)
    painted = true.copy()
    painted[:4, :, 0] = 130
    assert mean_square(painted, true) == pytest.approx(900 / 6)
    assert mean_square(true, painted) == pytest.approx(900 / 6)
    upper = np.zeros((8, 8), bool)
    upper[:4] = True
    assert mean_square(painted, true, upper) == pytest.approx(300)
    assert mean_square(painted, true, ~upper) == 0.0


def test_the_region_is_the_mouth_and_not_the_eyes():
    region = mouth_region(SPEECH2VID)
    assert region.shape == (109, 109)
    x, y = np.rint(CANONICAL_FACE * 112 - 1.5).astype(int).T
    assert region[y[48:68], x[48:68]].all()
    assert not region[y[36:48], x[36:48]].any()


def test_the_region_lies_in_the_painted_part_of_the_crop():
    whole = mouth_region(Mode(input_px=112, output_px=112))
    np.testing.assert_array_equal(mouth_region(SPEECH2VID), whole[1:110, 1:110])
    np.testing.assert_array_equal(mouth_region(Mode(input_px=112, output_px=100, output_offset_px=12)), whole[12:, 12:])


def test_the_energy_of_a_ramp_is_its_squared_slope():
    y, x = np.mgrid[0:20, 0:20]
    ramp = np.repeat((3 * x + 4 * y)[..., None], 3, axis=-1).astype(np.uint8)
    region = np.zeros((20, 20), bool)
    region[5:15, 5:15] = True
    assert gradient_energy(ramp, region) == pytest.approx(25)
    assert gradient_energy(np.full_like(ramp, 77), region) == pytest.approx(0)


def test_a_blurred_mouth_has_less_energy_wherever_the_blur_is_not():
    region = mouth_region(SPEECH2VID)
    face = draw_face(109, 0.6)[0]
    soft = load_cv().GaussianBlur(face, (0, 0), 1.5)
    only_above = np.where(region[..., None], face, soft)
    assert gradient_energy(soft, region) < 0.5 * gradient_energy(face, region)
    assert gradient_energy(only_above, region) == pytest.approx(gradient_energy(face, region), rel=0.15)


def test_a_mouth_elsewhere_is_no_other_mouth():
    face = CANONICAL_FACE.copy()
    face[48:68] += [0.05, -0.02]
    assert landmark_distance(face, CANONICAL_FACE) == pytest.approx(0.0, abs=1e-9)


def test_the_distance_is_a_share_of_that_between_the_eyes():
    eyes = float(np.linalg.norm(CANONICAL_FACE[42:48].mean(axis=0) - CANONICAL_FACE[36:42].mean(axis=0)))
    face = CANONICAL_FACE.copy()
    face[48:58, 1] += 0.1 * eyes  # half of the points: relative to their mean all are off by half of it
    assert landmark_distance(face, CANONICAL_FACE) == pytest.approx(0.05)
    both = np.stack([face, CANONICAL_FACE])
    np.testing.assert_allclose(landmark_distance(both, CANONICAL_FACE), [0.05, 0.0], atol=1e-9)


def test_the_distance_does_not_depend_on_size_and_place():
    wide, closed = (face_points(openness).astype(float) for openness in (1.0, 0.0))
    row = [4.0, 0.0, 300.0, -20.0]
    assert landmark_distance(apply_similarity(row, wide), apply_similarity(row, closed)) == pytest.approx(landmark_distance(wide, closed))
