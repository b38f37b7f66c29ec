from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redub.choices import LandmarkModel
from redub.errors import WeightError
from redub.faces import landmarks
from redub.faces.canonical import CANONICAL_FACE
from redub.faces.cv import load_cv
from redub.faces.detect import Detection, detect_faces, overlap
from redub.faces.geometry import apply_similarity
from redub.faces.landmarks import eye_distance, find_landmarks, landmark_model, mouth_openness, yaw
from redub.media import open_video


@pytest.fixture(scope="module")
def picture(shared_clips: Path) -> Any:
    """Return one gray frame of 640 x 480 with a face of some 240 px."""
    with open_video(shared_clips / "test" / "seat_t1_1.mkv") as video:
        return next(iter(video.read())).gray()


@pytest.fixture(params=list(LandmarkModel))
def model(request: pytest.FixtureRequest) -> LandmarkModel:
    """Return each of the models that can be chosen."""
    chosen: LandmarkModel = request.param
    return chosen


def only_face(gray: Any, smallest_px: float = 100) -> Detection:
    (face,) = detect_faces(gray, smallest_px, 0.25)
    return face


def test_measures_do_not_depend_on_size_place_or_roll() -> None:
    face = CANONICAL_FACE.copy()
    face[[65, 66, 67], 1] += 0.038  # a tenth of the distance between the eyes
    moved = apply_similarity([[5.0, 0.7, -30, 900], [1.0, -2.0, 0, 0]], np.stack([face, face]))
    closed = float(mouth_openness(CANONICAL_FACE))
    np.testing.assert_allclose(mouth_openness(moved) - closed, [0.1, 0.1], atol=1e-3)
    np.testing.assert_allclose(yaw(moved), [0.0, 0.0], atol=1e-3)


def test_yaw_tells_the_side_to_which_the_nose_points() -> None:
    aside = CANONICAL_FACE.copy()
    aside[30, 0] += 0.038
    assert float(yaw(aside)) == pytest.approx(0.1, abs=1e-3)
    aside[30, 0] -= 0.076
    assert float(yaw(aside)) == pytest.approx(-0.1, abs=1e-3)


def test_a_missing_model_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarks, "PACKAGE", "no_such_package_of_models")
    with pytest.raises(WeightError, match="no_such_package_of_models") as caught:
        landmark_model()
    assert "pip install" in caught.value.hint


def test_landmarks_lie_on_the_face_in_order(picture: Any, model: LandmarkModel) -> None:
    face = only_face(picture)
    points, spread = find_landmarks(picture, face.box, model)
    assert points.shape == (68, 2)
    assert spread < 0.03
    brows, eyes, nose, mouth, chin = (points[part, 1].mean() for part in (slice(17, 27), slice(36, 48), slice(30, 36), slice(48, 68), [8]))
    assert brows < eyes < nose < mouth < chin
    assert (np.diff(points[:17, 0]) > 0).all()
    # The pupils are the darkest things within the eyes' outlines.
    for eye in (slice(36, 42), slice(42, 48)):
        x, y = points[eye].mean(axis=0).astype(int)
        assert picture[y - 8 : y + 8, x - 8 : x + 8].mean() < picture[y + 45 : y + 60, x - 8 : x + 8].mean() - 20


def test_a_mirrored_face_has_mirrored_landmarks(picture: Any, model: LandmarkModel) -> None:
    points, _ = find_landmarks(picture, only_face(picture).box, model)
    turned = picture[:, ::-1]
    mirrored, _ = find_landmarks(turned, only_face(turned).box, model)
    off = np.linalg.norm(mirrored[36:42].mean(axis=0) - ([picture.shape[1] - 1, 0] + [-1, 1] * points[42:48].mean(axis=0)))
    assert off < 0.05 * eye_distance(points)


def test_answers_fall_apart_where_there_is_no_face(picture: Any, model: LandmarkModel) -> None:
    left, top, right, bottom = only_face(picture).box
    on_face = find_landmarks(picture, (left, top, right, bottom), model)[1]
    beside = [
        find_landmarks(picture, (left + x, top + y, right + x, bottom + y), model)[1]
        for x, y in ((190, 0), (-190, 0), (160, 160), (-160, -120))
    ]
    assert min(beside) > 2 * on_face


def test_both_models_see_the_same_face(picture: Any) -> None:
    box = only_face(picture).box
    one, other = (find_landmarks(picture, box, model)[0] for model in LandmarkModel)
    off = np.linalg.norm(one - other, axis=-1) / eye_distance(one)
    assert off.mean() < 0.1
    assert off[27:48].mean() < 0.1


def test_points_move_with_the_picture(picture: Any, model: LandmarkModel) -> None:
    box = np.array(only_face(picture).box)
    points = find_landmarks(picture, box, model)[0]
    moved = np.pad(picture, ((40, 0), (24, 0)), mode="edge")
    shift = np.array([24, 40])
    assert find_landmarks(moved, box + np.tile(shift, 2), model)[0] == pytest.approx(points + shift, abs=0.01)


def test_the_average_shakes_less_than_one_answer(picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    box = np.array(only_face(picture).box)
    rng = np.random.default_rng(2)
    noisy = [np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8) for _ in range(20)]

    def shake() -> float:
        return float(np.std([find_landmarks(frame, box)[0] for frame in noisy], axis=0).mean())

    averaged = shake()
    monkeypatch.setattr(landmarks, "NUDGES", ((0.0, 0.0, 1.0),))
    assert averaged < 0.9 * shake()


@pytest.mark.parametrize("face_px", [65, 120, 200])
def test_faces_down_to_the_asked_size_are_found(picture: Any, face_px: int) -> None:
    scale = face_px / 240
    small = load_cv().resize(picture, None, fx=scale, fy=scale, interpolation=load_cv().INTER_AREA)
    canvas = np.full((500, 700), 110, np.uint8)
    canvas[100 : 100 + small.shape[0], 150 : 150 + small.shape[1]] = small
    face = only_face(canvas, 60)
    expected = np.array(only_face(picture).box) * scale + [150, 100, 150, 100]
    assert overlap(face.box, expected) > 0.6


def test_nothing_is_found_where_there_is_nothing(picture: Any) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (240, 320)).astype(np.uint8)
    assert detect_faces(noise, 60, 0.25) == []
    assert detect_faces(np.zeros((240, 320), np.uint8), 60, 0.25) == []
    assert detect_faces(np.zeros((1, 1), np.uint8), 60, 0.25) == []
    assert detect_faces(picture, 600, 0.25) == []


def test_overlap_of_known_boxes() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0
    assert overlap((2, 2, 4, 4), (2, 2, 4, 4)) == 1.0
