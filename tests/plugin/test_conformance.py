"""The kit passes a generator that keeps its word, and names the promise that another one breaks."""

import pytest

from redub.testing import GeneratorConformance, run_checks
from redub.testing.bench import Bench
from redub.testing.checks import CHECKS

# Paints a grey whose shade is the loudness of the declared window: it listens, and never looks.
HONEST = """
import numpy as np
from redub.plugin import AudioWindow, Blend, ClipLimits, GeneratorInfo, Mode, Painted, Generator, Region, check_clip, hookimpl

INFO = GeneratorInfo(
    name="subject", summary="A test.", api=(1, 0), licence="MIT", region=Region.FACE,
    modes={{Blend.FEATHER: Mode(input_px=32, output_px=30, output_offset_px=1)}},
    audio=AudioWindow(rate_hz=8000, before_s=0.1, after_s=0.05), clip=ClipLimits(max_frames=16, overlap_frames=1), references=2,
    factory="{module}:load", {extra}
)

@hookimpl
def redub_generators():
    yield INFO

class Grey(Generator):
    def __init__(self, context):
        self.random = np.random.default_rng(context.seed)
        self.offset = self.random.integers(0, 9)
    def loudness(self, clip):
        rate, window = INFO.audio.rate_hz, INFO.audio
        heard = [clip.speech[round((t - window.before_s) * rate) : round((t + window.after_s) * rate)] for t in clip.times_s]
        return np.array([np.abs(part).mean() for part in heard])
    def paint(self, clip, loudness):
        mean = np.convolve(np.pad(loudness, 1, "edge"), np.full(3, 1 / 3), "valid")
        frames = np.zeros((len(mean), 30, 30, 3), np.uint8)
        frames[:] = (self.offset + 200 * mean).astype(np.uint8)[:, None, None, None]
        return frames
    def reuse(self, frames):
        self.kept = getattr(self, "kept", np.zeros((16, 30, 30, 3), np.uint8))
        self.kept[: len(frames)] = frames
        return self.kept[: len(frames)]
    def generate(self, clip):
        check_clip(clip, INFO, INFO.modes[Blend.FEATHER])
        loudness = self.loudness(clip)
        frames = self.paint(clip, loudness)
        alpha = np.ones(frames.shape[:3], np.float32)
        {body}
        return Painted(frames=frames, alpha=alpha)

def load(context):
    return Grey(context)
"""


@pytest.fixture
def verdicts(shelf):
    """Install the generator, changed in one place; return what failed, and all verdicts by name."""

    def check(body="pass", extra="", change=("", ""), only=""):
        source = HONEST.format(module="redub_subject_module", body=body, extra=extra)
        changed = source.replace(*change) if change[0] else source
        if change[0]:
            assert changed != source
        shelf.put("redub-subject", changed)
        with Bench("subject") as bench:
            found = {one.__name__: bench.run(one) for one in CHECKS if only in ("", one.__name__)}
        return {name for name, one in found.items() if not one.passed and not one.skipped}, found

    return check


def test_a_generator_that_keeps_its_word_passes_every_check(verdicts):
    failed, found = verdicts()
    assert failed == set()
    assert [name for name, one in found.items() if one.skipped] == []
    assert list(found) == [check.__name__ for check in CHECKS]


CHECK_CLIP = "check_clip(clip, INFO, INFO.modes[Blend.FEATHER])"
LISTEN = "loudness = self.loudness(clip)"

# What is wrong with it, how it is changed, and the check that has to say so.
LIARS = {
    "imports what is heavy": ({"change": ("import numpy as np", "import numpy as np, scipy")}, "listing_is_light"),
    "names a factory that is not there": ({"change": ("redub_subject_module:load", "redub_nowhere:load")}, "declaration_is_sane"),
    "does not load": ({"change": ("return Grey(context)", "raise OSError('no driver')")}, "loads_on_the_cpu"),
    "says that it does not load, and does": ({"extra": "unavailable='Not built.'"}, "loads_on_the_cpu"),
    "paints another size": ({"body": "frames = frames[:, 1:, 1:]; alpha = alpha[:, 1:, 1:]"}, "paints_the_declared_shape"),
    "paints floats": ({"body": "frames = frames / 255"}, "paints_the_declared_shape"),
    "paints too transparently": ({"body": "alpha *= 1.5"}, "paints_the_declared_shape"),
    "returns nothing": ({"body": "return None"}, "paints_the_declared_shape"),
    "writes into its input": ({"body": "clip.speech[:] *= 2"}, "leaves_its_input_alone"),
    "writes behind NumPy's back": ({"body": "__import__('ctypes').memset(clip.frames.ctypes.data, 1, 64)"}, "leaves_its_input_alone"),
    "returns its input": ({"body": "frames = clip.frames[:, 1:31, 1:31]"}, "leaves_its_input_alone"),
    "reuses its buffer": (
        {"change": ("        return Painted(", "        frames = self.reuse(frames)\n        return Painted(")},
        "leaves_its_input_alone",
    ),
    "remembers the last call": ({"body": "self.offset += 1"}, "repeats_itself"),
    # Real dice would now and then show the same twice.
    "rolls its own dice": ({"change": ("self.random.integers(0, 9)", "Grey.rolls = getattr(Grey, 'rolls', 0) + 1")}, "repeats_itself"),
    "is deaf": ({"body": "frames[:] = 99"}, "listens"),
    "normalises by the whole clip": ({"change": (LISTEN, LISTEN + " / np.abs(clip.speech).mean()")}, "keeps_to_its_window"),
    "hears more than it declares": ({"change": ("window.after_s) * rate", "window.after_s + 0.05) * rate")}, "keeps_to_its_window"),
    "needs more overlap than it declares": ({"change": ("overlap_frames=1", "overlap_frames=0")}, "can_be_cut"),
    "depends on its place in the clip": ({"body": "frames[:, :9] = np.arange(len(frames))[:, None, None, None] * 2"}, "can_be_cut"),
    "copies the old mouth": ({"body": "frames[:, 20:25, 14:18] ^= clip.frames[:, 21:26, 15:19]"}, "does_not_peek"),
    "reads the old lips": ({"body": "frames += (clip.points[:, 66, 1] * 3).astype(np.uint8)[:, None, None, None]"}, "does_not_peek"),
    "cannot stand silence": ({"body": "assert loudness.max() > 0"}, "copes_with_edges"),
    "divides by silence": (
        {"body": "alpha *= np.divide(loudness, loudness, np.full_like(loudness, np.nan), where=loudness > 0).min()"},
        "copes_with_edges",
    ),
    "cannot stand one frame": ({"body": "assert len(frames) > 1"}, "copes_with_edges"),
    "takes any size": ({"change": (CHECK_CLIP, "pass")}, "refuses_wrong_sizes"),
    "asserts its size": ({"change": (CHECK_CLIP, "assert clip.frames.shape[1:3] == (32, 32)")}, "refuses_wrong_sizes"),
    "cannot be closed twice": ({"change": ("    def paint(", "    def close(self): del self.random\n    def paint(")}, "closes"),
}


@pytest.mark.parametrize("what", LIARS)
def test_a_generator_that(what, verdicts):
    arguments, promise = LIARS[what]
    failed, found = verdicts(**arguments, only=promise)
    assert failed == {promise}
    assert found[promise].detail


def test_what_is_declared_unavailable_is_skipped_with_its_reason(verdicts):
    failed, found = verdicts(extra="unavailable='Not built yet.'", change=("return Grey(context)", "raise OSError('nothing here')"))
    assert failed == set()
    assert found["loads_on_the_cpu"].skipped
    assert "Not built yet." in found["loads_on_the_cpu"].detail
    assert found["listens"].skipped


def test_weights_that_are_missing_are_stood_in_for_by_a_tiny_model(verdicts, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = "WeightFile(name='x.safetensors', sha256='0' * 64, size_bytes=1, licence='MIT', source='nowhere')"
    change = ("output_offset_px=1)", f"output_offset_px=1, weights=(__import__('redub.plugin', fromlist=['WeightFile']).{file},))")
    failed, found = verdicts(change=change)
    assert failed == set()
    assert "tiny random model" in found["loads_on_the_cpu"].detail
    assert "x.safetensors" in found["loads_on_the_cpu"].detail


def test_a_generator_that_is_not_installed_fails_with_what_to_type(shelf):
    verdict = run_checks("nobody")[0]
    assert not verdict.passed
    assert "pip install redub-nobody" in verdict.detail


class TestEcho(GeneratorConformance):
    """The class form, on the generator that is always there."""

    name = "echo"


def test_the_class_form_has_a_test_for_every_check():
    tests = {name for name in dir(GeneratorConformance) if name.startswith("test_")}
    assert tests == {f"test_{check.__name__}" for check in CHECKS}
