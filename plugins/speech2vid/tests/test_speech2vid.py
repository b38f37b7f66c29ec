"""What Speech2Vid declares, and that it paints by it: with tiny random weights, as long as there are none to ship."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from redub.errors import PluginError, RedubError, ShapeError
from redub.plugin import Blend, LoadContext, manager
from redub.testing import GeneratorConformance, make_clip

torch = pytest.importorskip("torch")
pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

from redub_speech2vid.generator import BATCH, load  # noqa: E402
from redub_speech2vid.model import Sharpener, Speech2Vid  # noqa: E402
from redub_speech2vid.plugin import INFO  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from redub.speech.features import speech_windows  # noqa: E402

MODE = INFO.modes[Blend.POISSON]


class TestSpeech2Vid(GeneratorConformance):
    name = "speech2vid"


def network(seed: int = 0, width: float = 0.0625, **more) -> Speech2Vid:
    """A small network that has been used: its batch norms have statistics of their own."""
    torch.manual_seed(seed)
    made = Speech2Vid(width=width, **more)
    for name, tensor in made.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.3)
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
    # Untrained it paints an even gray; a difference is to be seen.
    with torch.no_grad():
        made.decoder.conv5_3.weight *= 100
    return made.eval()


def write(path: Path, made: Speech2Vid, *, skips: str = "relu2,pool1", extra=None, **facts: str) -> Path:
    metadata = {"width": "0.0625", "skips": skips, "upsampling": "bilinear", "stills": "5", **facts}
    tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in made.state_dict().items()}
    save_file({**tensors, **(extra or {})}, path, metadata)
    return path


def context(path: Path, adapted: Path | None = None) -> LoadContext:
    return LoadContext(device="cpu", mode=Blend.POISSON, weights={"base": path}, adapted=adapted)


def a_clip(frames: int = 5, seed: int = 0):
    return make_clip(INFO, MODE, frames, seed=seed)


def painted_plainly(made: Speech2Vid, clip, sharpener: Sharpener | None = None) -> np.ndarray:
    """The same picture, from the network as it stands in the model's file, in float32, without batches."""
    stills = torch.from_numpy(np.concatenate(list(clip.references), axis=-1).copy()).permute(2, 0, 1)[None].float() / 255
    windows = torch.from_numpy(speech_windows(clip.speech, clip.times_s))[:, None]
    with torch.inference_mode():
        pictures = torch.cat([made(window[None], made.identify(stills)) for window in windows])
        pictures = pictures if sharpener is None else sharpener(pictures)
    return (pictures.permute(0, 2, 3, 1) * 255).numpy()


def test_the_declaration_is_the_papers():
    # The crop loses one px at the top and left, and two at the bottom and right.
    assert MODE.input_px - MODE.output_offset_px - MODE.output_px == 2
    # 35 columns at 100 a second, the last one 25 ms long.
    assert INFO.audio.before_s + INFO.audio.after_s == pytest.approx(34 * 0.010 + 0.025, abs=1e-3)
    assert INFO.references == 5
    assert not INFO.looks_at_mouth
    assert manager.find("speech2vid").info is INFO


@pytest.mark.parametrize("side", ["before", "after"])
def test_the_declared_window_is_no_wider_than_what_is_heard(side):
    clip = make_clip(INFO, MODE, 1, margin_s=0.1)
    audio, middle = INFO.audio, clip.times_s[0]
    edge = round((middle - audio.before_s if side == "before" else middle + audio.after_s) * audio.rate_hz)
    speech = clip.speech.copy()
    inside = slice(edge, edge + 3) if side == "before" else slice(edge - 3, edge)
    speech[inside] = 1.0
    assert not np.array_equal(speech_windows(clip.speech, clip.times_s), speech_windows(speech, clip.times_s))


def test_without_weights_it_says_so():
    with pytest.raises(PluginError, match="no trained weights yet") as caught:
        load(LoadContext(device="cpu", mode=Blend.POISSON, weights={}))
    assert "redub plugins" in caught.value.hint


def test_weights_in_a_file_paint_what_the_network_paints(tmp_path):
    made = network(1)
    made.load_state_dict({name: tensor.half().to(tensor.dtype) for name, tensor in made.state_dict().items()})
    clip = a_clip(3)
    with load(context(write(tmp_path / "w.safetensors", made))) as generator:
        painted = generator.generate(clip).frames
    assert painted.std() > 20
    difference = np.abs(painted - painted_plainly(made, clip))
    # Folded batch norms, another memory layout and bfloat16 change little.
    assert difference.mean() < 1.0
    assert difference.max() < 8.0


@pytest.mark.parametrize("skips", ["", "relu2", "relu2,pool1,relu1"])
def test_the_file_says_how_the_network_is_built(tmp_path, skips):
    made = network(2, skips=[name for name in skips.split(",") if name])
    clip = a_clip(2)
    with load(context(write(tmp_path / "w.safetensors", made, skips=skips))) as generator:
        assert np.abs(generator.generate(clip).frames - painted_plainly(made, clip)).mean() < 1.0


def test_the_teacher_is_ignored_and_the_sharpener_only_used_if_asked_for(tmp_path):
    made, sharpener = network(3), Sharpener(channels=8, layers=4)
    for parameter in sharpener.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    extra = {f"sharpener.{name}": tensor for name, tensor in sharpener.state_dict().items()} | {"teacher.fc.weight": torch.zeros(3, 3)}
    clip = a_clip(2)
    blunt = load(context(write(tmp_path / "0.safetensors", made, extra=extra))).generate(clip).frames
    sharp = load(context(write(tmp_path / "1.safetensors", made, extra=extra, sharpen="1"))).generate(clip).frames
    assert np.abs(blunt - painted_plainly(made, clip)).mean() < 1.0
    assert np.abs(sharp - painted_plainly(made, clip, sharpener)).mean() < 1.5
    assert np.abs(sharp.astype(int) - blunt).mean() > 3.0


def test_adapted_weights_take_the_place_of_the_ones_that_they_name(tmp_path):
    made, other = network(4), network(5)
    changed = {name: tensor for name, tensor in other.state_dict().items() if name.startswith("decoder.conv5")}
    save_file({name: tensor.half() for name, tensor in changed.items()}, tmp_path / "a.safetensors")
    base = write(tmp_path / "w.safetensors", made)
    clip = a_clip(2)
    with load(context(base, tmp_path / "a.safetensors")) as generator:
        painted = generator.generate(clip).frames
    made.load_state_dict({**made.state_dict(), **changed})
    assert np.abs(painted - painted_plainly(made, clip)).mean() < 1.0
    with load(context(base)) as generator:
        assert np.abs(painted.astype(int) - generator.generate(clip).frames).mean() > 3.0


@pytest.mark.parametrize("what", ["another name", "another shape"])
def test_weights_that_were_adapted_from_others_are_refused(tmp_path, what):
    base = write(tmp_path / "w.safetensors", network(6))
    strange = {"another name": {"decoder.conv9.weight": torch.zeros(2)}, "another shape": {"decoder.conv8.bias": torch.zeros(2)}}[what]
    save_file(strange, tmp_path / "a.safetensors")
    with pytest.raises(PluginError, match=r"a\.safetensors was adapted from other weights") as caught:
        load(context(base, tmp_path / "a.safetensors"))
    assert "redub adapt" in caught.value.hint


@pytest.mark.parametrize("damage", ["truncated", "not there", "a part is missing", "no facts"])
def test_damaged_weights_are_one_clear_error(tmp_path, damage):
    path = write(tmp_path / "w.safetensors", network(7))
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    if damage == "not there":
        path.unlink()
    if damage == "a part is missing":
        save_file({"decoder.conv8.bias": torch.zeros(8)}, path, {"width": "0.0625", "skips": "", "upsampling": "bilinear", "stills": "5"})
    if damage == "no facts":
        save_file(network(7).state_dict(), path)
    with pytest.raises(RedubError) as caught:
        load(context(path))
    assert caught.value.hint


@pytest.fixture(scope="module")
def tiny():
    with load(LoadContext(device="cpu", mode=Blend.POISSON, weights=None, seed=3)) as generator:
        yield generator


def test_a_frame_is_the_same_in_every_batch(tiny):
    clip = a_clip(BATCH + 5)
    whole = tiny.generate(clip).frames.astype(int)
    for start, stop in ((0, 1), (BATCH - 1, BATCH + 1), (3, BATCH + 4), (BATCH, len(whole))):
        part = replace(clip, frames=clip.frames[start:stop], points=clip.points[start:stop], times_s=clip.times_s[start:stop])
        assert np.abs(tiny.generate(part).frames - whole[start:stop]).max() <= 1


def test_it_does_not_look_at_the_frames_or_landmarks_at_all(tiny):
    clip = a_clip(3)
    blind = replace(clip, frames=np.zeros_like(clip.frames), points=np.zeros_like(clip.points))
    assert np.array_equal(tiny.generate(clip).frames, tiny.generate(blind).frames)


def test_other_stills_change_the_picture_even_in_the_same_array(tiny):
    clip = a_clip(2)
    stills = clip.references.copy()
    first = tiny.generate(replace(clip, references=stills)).frames
    stills[:] = 255 - stills
    second = tiny.generate(replace(clip, references=stills)).frames
    third = tiny.generate(clip).frames
    assert not np.array_equal(first, second)
    assert np.array_equal(first, third)


def test_many_speakers_in_turn_are_not_mixed_up(tiny):
    clips = [a_clip(1, seed) for seed in range(7)]
    first = [tiny.generate(clip).frames for clip in clips]
    again = [tiny.generate(clip).frames for clip in clips]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({hashlib.sha256(frames.tobytes()).digest() for frames in first}) == len(clips)


def test_loading_leaves_the_chance_of_others_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load(LoadContext(device="cpu", mode=Blend.POISSON, weights=None, seed=3))
    assert torch.equal(torch.rand(3), expected)


def test_wrong_stills_are_refused(tiny):
    clip = a_clip(2)
    with pytest.raises(ShapeError):
        tiny.generate(replace(clip, references=clip.references[:4]))
