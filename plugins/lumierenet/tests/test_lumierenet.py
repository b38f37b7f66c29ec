"""What LumiereNet declares, that it paints by it, and that it paints nobody unasked."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from redub.errors import PluginError, RedubError, WeightError
from redub.faces.detect import detect_faces
from redub.faces.follow import look, look_twice, place_from_box
from redub.faces.landmarks import mouth_openness
from redub.faces.recognition import describe_face
from redub.media import open_speech
from redub.media.still import still_frame
from redub.plugin import Blend, LoadContext, Region, manager
from redub.testing import GeneratorConformance, make_clip
from redub.weights import read_facts

torch = pytest.importorskip("torch")
pytest.importorskip("redub_lumierenet", reason="install it:  pip install ./plugins/lumierenet")

from redub_lumierenet.generator import BATCH, load  # noqa: E402
from redub_lumierenet.plugin import INFO  # noqa: E402
from redub_lumierenet.recipe import MOST_AHEAD, MOST_BACK  # noqa: E402

MODE = INFO.modes[Blend.FEATHER]


class TestLumiereNet(GeneratorConformance):
    name = "lumierenet"


@pytest.fixture(scope="module")
def tiny():
    with load(LoadContext(device="cpu", mode=Blend.FEATHER, weights=None, seed=3)) as generator:
        yield generator


def test_it_paints_frames_of_a_named_person():
    info = manager.find("lumierenet").info
    assert info is INFO
    assert info.region is Region.FRAME
    assert info.names_weights
    assert info.trainer


def test_the_declared_window_holds_every_step_of_the_slowest_footage():
    from redub_lumierenet.plugin import SLOWEST, WINDOW_S

    assert pytest.approx(float(MOST_BACK / SLOWEST) + WINDOW_S / 2, abs=1e-3) == INFO.audio.before_s
    assert INFO.audio.after_s >= float(MOST_AHEAD / SLOWEST) + WINDOW_S / 2


def test_without_weights_it_is_one_sentence_and_the_command():
    for call in (lambda: manager.load("lumierenet"), lambda: manager.check_ready("lumierenet")):
        with pytest.raises(PluginError, match="only a person whom it was trained on") as caught:
            call()
        assert "redub train lumierenet" in caught.value.hint


def test_weights_that_are_not_there_or_not_its_own_are_one_clear_error(tmp_path):
    with pytest.raises(WeightError, match="There are no weights"):
        manager.check_ready("lumierenet", named=str(tmp_path / "nobody.safetensors"))
    with pytest.raises(WeightError, match=r"weights\.safetensors"):
        manager.check_ready("lumierenet", named=str(tmp_path))
    (tmp_path / "text.safetensors").write_text("no numbers")
    with pytest.raises(RedubError, match="cannot be read"):
        manager.load("lumierenet", named=str(tmp_path / "text.safetensors"))
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(RedubError, match="not those of LumiereNet"):
        manager.load("lumierenet", named=str(tmp_path / "other.safetensors"))


def test_a_frame_is_the_same_in_every_batch(tiny):
    clip = make_clip(INFO, MODE, 2 * BATCH + 3)
    whole = tiny.generate(clip).frames.astype(int)
    assert whole.std() > 5
    for start, stop in ((0, 1), (BATCH - 1, BATCH + 1), (3, 2 * BATCH)):
        part = replace(clip, frames=clip.frames[start:stop], points=clip.points[start:stop], times_s=clip.times_s[start:stop])
        assert np.abs(tiny.generate(part).frames - whole[start:stop]).max() <= 1


def test_it_looks_at_no_frame_and_no_landmark(tiny):
    clip = make_clip(INFO, MODE, 3)
    blind = replace(clip, frames=np.zeros_like(clip.frames), points=np.zeros_like(clip.points))
    assert np.array_equal(tiny.generate(clip).frames, tiny.generate(blind).frames)


def test_any_frame_rate_is_painted_at_its_own_times(tiny):
    """What is seen at a moment does not depend on how many frames are shown around it."""
    clip = make_clip(INFO, MODE, 8)
    sparse = replace(clip, frames=clip.frames[::2], points=clip.points[::2], times_s=clip.times_s[::2])
    assert np.abs(tiny.generate(sparse).frames.astype(int) - tiny.generate(clip).frames[::2]).max() <= 1


def test_loading_leaves_the_chance_of_others_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load(LoadContext(device="cpu", mode=Blend.FEATHER, weights=None, seed=3))
    assert torch.equal(torch.rand(3), expected)


def test_the_shipped_instructor_speaks_and_rests_in_silence():
    """What is asked for by name is the person of its metadata, whose mouth moves with speech and stays in silence."""
    (path,) = manager.find_weights(manager.find("lumierenet"), named="grid-s1").values()
    face = np.array(json.loads(read_facts(path)["face"]))
    clip = make_clip(INFO, MODE, INFO.clip.max_frames)
    with open_speech(Path(str(files("redub.demo"))) / "spanish.m4a", INFO.audio.rate_hz) as sound:
        said = sound.window(INFO.audio.rate_hz, INFO.audio.rate_hz + len(clip.speech))
    with manager.load("lumierenet", device="cpu", named="grid-s1") as generator:
        spoken, still = (generator.generate(replace(clip, speech=speech)).frames for speech in (said, np.zeros_like(clip.speech)))
    opened = {}
    for name, frames in (("spoken", spoken), ("still", still)):
        shown = [still_frame(picture) for picture in frames]
        place = look_twice(shown[0].gray(), place_from_box(detect_faces(shown[0].gray(), 90, 0.0)[0].box)).place
        assert np.linalg.norm(describe_face(shown[0], place) - face) < 0.5
        opened[name] = mouth_openness(np.stack([look(frame.gray(), place).points for frame in shown]))
    assert opened["spoken"].std() > 3 * opened["still"].std()
    assert opened["still"].max() < np.median(opened["spoken"]) + 0.05
