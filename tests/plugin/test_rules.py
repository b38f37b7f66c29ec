"""A declaration that cannot be is refused, whatever its fields hold."""

from dataclasses import replace
from fractions import Fraction

import pytest

from redub.plugin import AudioWindow, Blend, ClipLimits, Mode, WeightFile, rules
from redub.plugin.echo import INFO

MODE = Mode(input_px=112, output_px=109, output_offset_px=1)
FILE = WeightFile(name="net.safetensors", sha256="0f" * 32, size_bytes=10, licence="CC-BY-4.0", source="https://example.org")


def mode(**changes):
    return {"modes": {Blend.POISSON: replace(MODE, **changes)}}


def weights(**changes):
    return mode(weights=(replace(FILE, **changes),))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "speech2vid-2"},
        {"licence": "Apache-2.0 OR MIT"},
        {"licence": "LicenseRef-our-own"},
        {"frame_rate_hz": Fraction(30000, 1001)},
        {"clip": ClipLimits(min_frames=5, max_frames=5, overlap_frames=2)},
        {"trainer": "a.b.c:train"},
        {"audio": AudioWindow(rate_hz=16000, before_s=1, after_s=0)},
        mode(),
        mode(output_offset_px=3),
        weights(),
        weights(package="redub_speech2vid.data"),
    ],
)
def test_what_can_be_is_accepted(changes):
    assert rules.faults(replace(INFO, **changes)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Speech2Vid"}, "Speech2Vid"),
        ({"name": "a--b"}, "a--b"),
        ({"name": "../x"}, "../x"),
        ({"name": 7}, "7"),
        ({"summary": ""}, "summary"),
        ({"summary": "two\nlines"}, "summary"),
        ({"licence": "free to use"}, "free to use"),
        ({"licence": None}, "None"),
        ({"region": "face"}, "Region"),
        ({"looks_at_mouth": 1}, "looks_at_mouth"),
        ({"unavailable": None}, "unavailable"),
        ({"factory": ""}, "module:function"),
        ({"factory": "os.system"}, "os.system"),
        ({"factory": "module:function()"}, "module:function()"),
        ({"trainer": "train.py"}, "trainer"),
        ({"audio": (16000, 0.1, 0.1)}, "AudioWindow"),
        ({"audio": AudioWindow(rate_hz=0, before_s=0.1, after_s=0.1)}, "audio"),
        ({"audio": AudioWindow(rate_hz=16000.0, before_s=0.1, after_s=0.1)}, "audio"),
        ({"audio": AudioWindow(rate_hz=16000, before_s=-0.1, after_s=0.1)}, "audio"),
        ({"audio": AudioWindow(rate_hz=16000, before_s=0.1, after_s=float("inf"))}, "audio"),
        ({"clip": ClipLimits(min_frames=0)}, "clip"),
        ({"clip": ClipLimits(min_frames=9, max_frames=8)}, "clip"),
        ({"clip": ClipLimits(max_frames=8, overlap_frames=4)}, "overlap"),
        ({"frame_rate_hz": 25}, "frame_rate_hz"),
        ({"frame_rate_hz": Fraction(0)}, "frame_rate_hz"),
        ({"references": -1}, "references"),
        ({"references": True}, "references"),
        ({"modes": {}}, "no modes"),
        ({"modes": {"poisson": MODE}}, "'poisson'"),
        ({"modes": {Blend.POISSON: (112, 109)}}, "tuple"),
        (mode(input_px="112"), "sizes"),
        (mode(output_px=0), "sizes"),
        (mode(output_offset_px=4), "does not fit"),
        (mode(output_offset_px=-1), "sizes"),
        (mode(weights=[FILE]), "tuple of WeightFile"),
        (mode(weights=(FILE, FILE)), "twice"),
        (weights(name="net.pth"), "net.pth"),
        (weights(name="../net.safetensors"), "without folders"),
        (weights(sha256="0f" * 31), "64"),
        (weights(sha256="0F" * 32), "64"),
        (weights(size_bytes=0), "bytes"),
        (weights(licence="ask us"), "ask us"),
        (weights(source=" "), "source"),
        (weights(package="redub-speech2vid"), "import name"),
    ],
)
def test_what_cannot_be_is_one_fault_that_says_what(changes, told):
    (fault,) = rules.faults(replace(INFO, **changes))
    assert told in fault


def test_all_faults_are_told_at_once():
    assert len(rules.faults(replace(INFO, name="X", summary="", references=-1))) == 3


@pytest.mark.parametrize("api", [None, "1.0", 1, (1,), (1, 0, 0), (1.0, 0), [1, 0], (1, -1), (True, 0)])
def test_a_version_of_another_form_is_a_fault_and_not_a_crash(api):
    assert rules.api_fault(api)[0]
