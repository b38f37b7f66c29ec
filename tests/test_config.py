"""Settings: one place of truth, every mistake named."""

import pytest

from redub.choices import BlendChoice, Fit
from redub.config import Config
from redub.errors import ConfigError


def test_a_file_and_set_end_in_the_same_settings(tmp_path):
    (tmp_path / "a.toml").write_text('[encode]\ncrf = 20\npreset = "fast"\n[fit]\nmode = "loop"\n')
    assert Config.read(tmp_path / "a.toml") == Config().set("encode.crf=20").set("encode.preset=fast").set('fit.mode="loop"')
    assert Config.read(tmp_path / "a.toml").fit.mode is Fit.LOOP


def test_whole_numbers_become_floats_where_floats_are_meant():
    assert Config().set("tracks.min_score=1").tracks.min_score == 1.0
    assert Config().set("blend.mode=feather").blend.mode is BlendChoice.FEATHER


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("encode.crv=20", "crf"),
        ("encod.crf=20", "encode"),
        ("encode.crf=high", "float"),
        ("tracks.min_face_px=40.5", "int"),
        ("encode.crf=-1", "below zero"),
        ("fit.crossfade_s=nan", "no number"),
        ("fit.crossfade_s=inf", "at most 10"),
        ("blend.edge=2", "at most 0.25"),
        ("tracks.min_face_px=1e9", "int"),
        ("fit.mode=stretch", "hold, loop, bounce, cut"),
        ("crf=20", "group.key=value"),
        ("encode.crf", "group.key=value"),
        ("encode=20", "group.key=value"),
    ],
)
def test_mistakes_name_what_was_meant(assignment, says):
    with pytest.raises(ConfigError) as caught:
        Config().set(assignment)
    assert says in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("text", ["[encode\n", "encode = 5\n", "[nothing]\na = 1\n", "\x00"])
def test_files_that_are_not_settings_are_refused(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError):
        Config.read(tmp_path / "a.toml")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        Config.read(tmp_path / "a.toml")
