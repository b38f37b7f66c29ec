"""The ledger says of every model of a run whether money may be made with it, and what to change where not."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from redub import licences
from redub.cli import app
from redub.config import Config
from redub.errors import PluginError, WeightError
from redub.licences import hindrances, list_parts


def run(*words):
    return CliRunner().invoke(app, ["weights", *words], prog_name="redub")


def names(parts):
    return [part.name for part in parts]


DLIBS = "tracks.landmarks=dlib"


def test_a_run_is_free_for_commercial_use_until_dlibs_landmarks_are_chosen() -> None:
    assert names(hindrances(list_parts(Config().set(DLIBS), "echo"))) == ["dlib's 68 points"]
    free = list_parts(Config(), "echo")
    assert hindrances(free) == ()
    assert [part.name for part in free if part.role == "landmark model" and part.is_used] == ["landmarks.safetensors"]


def test_whatever_stands_against_it_comes_with_advice() -> None:
    for part in list_parts(Config()):
        assert part.licence
        assert part.learnt_from
        assert part.when
        assert part.advice or part.is_commercial is True


def test_listening_counts_only_where_something_listens() -> None:
    deaf = Config().set("speakers.listen=false").set("sync.judge=false")
    assert not next(part for part in list_parts(deaf, "echo") if part.role == "sync network").is_used
    assert next(part for part in list_parts(Config(), "echo") if part.role == "sync network").is_used


def test_recognition_counts_only_where_a_generator_adapts() -> None:
    def recognition(config, generator):
        return next(part for part in list_parts(config, generator) if part.role == "recognition network")

    assert not recognition(Config(), "echo").is_used
    pytest.importorskip("redub_speech2vid")
    assert recognition(Config(), "speech2vid").is_used
    assert not recognition(Config().set("adapt.use=false"), "speech2vid").is_used


def test_a_missing_model_is_told_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone():
        raise WeightError("gone", "")

    monkeypatch.setattr(licences, "landmark_model", gone)
    part = next(part for part in list_parts(Config(), "echo") if part.name == "dlib's 68 points")
    assert part.is_missing
    assert part.path is None


def test_an_unknown_generator_is_an_error() -> None:
    with pytest.raises(PluginError, match="nobody"):
        list_parts(Config(), "nobody")


def test_the_command_says_what_to_change() -> None:
    result = run("-g", "echo", "--set", DLIBS)
    assert result.exit_code == 0, result.output
    assert "--set tracks.landmarks=own" in result.output
    told = json.loads(run("-g", "echo", "--set", DLIBS, "--json").stdout)
    assert told["is_commercial"] is False
    assert told["against"] == ["dlib's 68 points"]
    assert {"role", "name", "licence", "is_commercial", "is_used", "path", "advice"} <= set(told["parts"][0])
    free = json.loads(run("-g", "echo", "--json").stdout)
    assert free["is_commercial"] is True
    assert free["against"] == []
