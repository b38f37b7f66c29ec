"""One person is near, two are far, and the face lies where dlib would put it."""

from __future__ import annotations

import numpy as np
import pytest

from redub.config import Config
from redub.errors import WeightError
from redub.faces import recognition
from redub.faces.cv import load_cv
from redub.faces.recognition import recognition_model
from redub.metrics import Recording
from redub.metrics.identity import describe, distances, face_chip, spread
from redub.metrics.takes import find_take, take_stills
from redub.plugin import Mode
from redub.testing.clips import draw_face

WHOLE = Mode(input_px=112, output_px=112)
SPEECH2VID = Mode(input_px=112, output_px=109, output_offset_px=1)


def test_the_chip_is_the_one_that_dlib_would_cut():
    import dlib

    crop, points = draw_face(448, 0.0)
    crop = load_cv().GaussianBlur(crop, (0, 0), 4)  # each samples the grain in its own way
    face = dlib.full_object_detection(
        dlib.rectangle(0, 0, 448, 448), [dlib.point(*np.rint(point).astype(int).tolist()) for point in points]
    )
    theirs = dlib.get_face_chip(crop, face, size=150, padding=0.25).astype(float)
    ours = face_chip(crop, Mode(input_px=448, output_px=448)).astype(float)
    inside = np.s_[40:140, 20:130]
    shifts = [(down, across) for down in range(-2, 3) for across in range(-2, 3)]
    apart = {shift: np.abs(np.roll(ours, shift, (0, 1)) - theirs)[inside].mean() for shift in shifts}
    assert min(apart, key=apart.get) == (0, 0)
    assert apart[0, 0] < 1.5


def test_what_a_generator_does_not_paint_hardly_matters():
    crop = draw_face(112, 0.2)[0]
    apart = np.abs(face_chip(crop, WHOLE).astype(float) - face_chip(crop[1:110, 1:110], SPEECH2VID))
    assert apart[40:140, 20:130].max() <= 1
    assert (face_chip(crop, WHOLE)[:10] == 128).all()


def test_distances_are_euclidean():
    four = np.eye(128)[:4]
    np.testing.assert_allclose(distances(four, np.zeros(128)), 1.0)
    assert spread(four) == pytest.approx(np.sqrt(2))
    assert np.isnan(spread(four[:1]))


def test_a_missing_model_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(recognition, "PACKAGE", "no_such_package_of_models")
    with pytest.raises(WeightError, match="no_such_package_of_models") as caught:
        recognition_model()
    assert "pip install" in caught.value.hint


def test_one_person_is_near_and_two_are_far(shared_clips):
    described = {}
    for name in ("grid_s2_1.mpg", "grid_s2_2.mpg", "grid_i_1.mpg"):
        take = find_take(Recording(path=shared_clips / "test" / name, speaker="a"), Config())
        described[name] = np.stack([describe(still[1:110, 1:110], SPEECH2VID) for still in take_stills([take], SPEECH2VID, 5)[::2]])
    one, again, other = described.values()
    same, apart = distances(again, one.mean(axis=0)), distances(other, one.mean(axis=0))
    # Below 0.6 dlib's authors take two faces for one person's.
    assert same.max() < 0.4
    assert apart.min() > 0.6
    assert spread(one) < 0.4
