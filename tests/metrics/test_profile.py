"""The mean course of the mouth in training."""

from __future__ import annotations

import numpy as np
import pytest

from redub.choices import LandmarkModel
from redub.errors import RedubError
from redub.metrics import Profile, Recording, evaluate, mean_profile


def test_the_mean_course_is_the_mean_of_the_gaps(talking, true_takes):
    profile = mean_profile([Recording(path=path, speaker="head") for path in talking])
    np.testing.assert_allclose(profile.gap, (true_takes[0].gap + true_takes[1].gap) / 2, atol=1e-9)
    np.testing.assert_allclose(profile.at(true_takes[0].middles_s), profile.gap)


def test_what_cannot_be_read_is_left_out_unless_it_is_all(talking, true_takes, tmp_path):
    (tmp_path / "text.mp4").write_text("text")
    damaged = Recording(path=tmp_path / "text.mp4", speaker="b")
    profile = mean_profile([damaged, Recording(path=talking[0], speaker="head")])
    np.testing.assert_allclose(profile.gap, true_takes[0].gap)
    with pytest.raises(RedubError, match="In none of"):
        mean_profile([damaged])


def test_beyond_its_end_a_profile_says_nothing():
    profile = Profile(rate_hz=25.0, gap=np.array([0.1, 0.2, 0.3]))
    np.testing.assert_allclose(profile.at(np.array([0.02, 0.04, 0.1, 0.119])), [0.1, 0.15, 0.3, 0.3])
    assert np.isnan(profile.at(np.array([0.13, 5.0]))).all()


def test_a_profile_is_read_as_it_was_saved(tmp_path):
    gap = np.array([np.nan, 0.125, 0.25])
    Profile(rate_hz=25.0, gap=gap).save(tmp_path / "profile.json")
    found = Profile.read(tmp_path / "profile.json")
    assert found.rate_hz == 25.0
    np.testing.assert_array_equal(found.gap, gap)
    assert [path.name for path in tmp_path.iterdir()] == ["profile.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"gap": [1]}', '{"rate_hz": 25, "gap": []}', '{"rate_hz": 0, "gap": [1]}', '{"rate_hz": 25, "gap": [null]}']
)
def test_another_file_is_refused_with_an_example(tmp_path, text):
    (tmp_path / "profile.json").write_text(text)
    with pytest.raises(RedubError, match=r"profile\.json") as caught:
        Profile.read(tmp_path / "profile.json")
    assert "rate_hz" in caught.value.hint


def test_a_profile_says_what_read_it_and_older_ones_were_read_by_dlib(tmp_path):
    Profile(rate_hz=25.0, gap=np.array([0.1]), read_by=LandmarkModel.OWN).save(tmp_path / "own.json")
    assert Profile.read(tmp_path / "own.json").read_by is LandmarkModel.OWN
    (tmp_path / "old.json").write_text('{"rate_hz": 25, "gap": [0.1]}')
    assert Profile.read(tmp_path / "old.json").read_by is LandmarkModel.DLIB


def test_a_profile_of_another_reader_is_refused_before_anything_is_read(tmp_path):
    profile = Profile(rate_hz=25.0, gap=np.array([0.1]), read_by=LandmarkModel.OWN)
    with pytest.raises(RedubError, match="read by own's landmarks"):
        evaluate([Recording(path=tmp_path / "nothing.mp4", speaker="a")], lambda _: None, profile=profile)
