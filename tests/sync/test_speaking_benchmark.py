"""The benchmark that chooses thresholds, on talkers whose fit is known."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from redub.config import SpeakerConfig, SyncConfig
from redub.speech.sync import SyncSeries

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "speaking.py"


@pytest.fixture(scope="module")
def speaking():
    spec = importlib.util.spec_from_file_location("speaking", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["speaking"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["speaking"]


def talker(seed: int, share: float) -> SyncSeries:
    """Return 3 s in which faces and sounds have so much in common, and the rest is chance."""
    random = np.random.default_rng(seed)
    common, face, sound = random.normal(size=(3, 75, 32))
    rows = [np.sqrt(share) * common + np.sqrt(1 - share) * own for own in (face, sound)]
    faces, sounds = (np.asarray(one / np.linalg.norm(one, axis=1, keepdims=True), np.float32) for one in rows)
    return SyncSeries(times_s=np.arange(75) / 25, faces=faces, sounds=sounds, is_speech=np.ones(75, bool))


@pytest.fixture(scope="module")
def scenes(speaking):
    people = {name: [talker(10 * number + i, 0.4) for i in range(3)] for number, name in enumerate("abc")}
    return speaking.make_scenes(people, 8, np.random.default_rng(0))


def test_the_chosen_thresholds_tell_more_frames_right(speaking, scenes):
    # So strict that nobody ever speaks: right only where nobody does.
    start = SpeakerConfig(min_confidence=2.0)
    before = speaking.scores(scenes, start)
    assert (before["alone"], before["foreign"], before["narrated"]) == (0.0, 1.0, pytest.approx(0.5, abs=0.01))
    config, after = speaking.choose(scenes, start)
    assert config != start
    assert after == speaking.scores(scenes, config)
    assert min(after["alone"], after["beside"]) > 0.95
    assert np.mean(list(after.values())) > np.mean(list(before.values())) + 0.3


def test_the_gate_parts_talkers_from_a_foreign_voice(speaking, scenes):
    least, own, other = speaking.choose_gate(scenes, SyncConfig())
    assert 0 < least < 0.5
    assert own > 0.9 > 0.2 > other


def test_one_speaker_alone_is_not_enough(speaking):
    with pytest.raises(SystemExit, match="two speakers"):
        speaking.make_scenes({"a": [talker(1, 0.4)]}, 1, np.random.default_rng(0))
