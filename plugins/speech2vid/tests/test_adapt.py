"""Adapting learns a face from its own footage, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from redub.errors import PluginError
from redub.plugin import AdaptRequest, Blend, LoadContext, Piece
from redub.testing import make_clip

torch = pytest.importorskip("torch")
pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

from redub_speech2vid import adapt as adapting  # noqa: E402
from redub_speech2vid.codes import COMPONENTS, SHAPE  # noqa: E402
from redub_speech2vid.generator import load  # noqa: E402
from redub_speech2vid.lessons import Teacher  # noqa: E402
from redub_speech2vid.model import Speech2Vid  # noqa: E402
from redub_speech2vid.plugin import INFO  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from redub.faces.canonical import CANONICAL_FACE  # noqa: E402

WIDTH = 1 / 16


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    network, teacher = Speech2Vid(width=WIDTH), Teacher()
    extra = {
        "teacher.fc.weight": teacher.fc.weight.detach(), "teacher.fc.bias": teacher.fc.bias.detach(),
        "teacher.basis": torch.linalg.qr(torch.randn(2 * len(SHAPE), COMPONENTS))[0].T.contiguous(), "teacher.scale": torch.tensor(1.0),
        "teacher.head.weight": torch.randn(COMPONENTS + 1, network.audio.fc6[0].out_channels) * 0.1,
        "teacher.head.bias": torch.zeros(COMPONENTS + 1), "teacher.gain": torch.ones(COMPONENTS),
    }  # fmt: skip
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in {**network.state_dict(), **extra}.items()}
    save_file(tensors, path, {"width": f"{WIDTH}", "skips": "relu2,pool1", "upsampling": "bilinear", "stills": "5"})
    return path


def a_piece(frames: int, *, is_held_out: bool, seed: int) -> Piece:
    """A green face whose dark mouth opens and closes."""
    random = np.random.default_rng(seed)
    phase = np.abs(np.sin(np.arange(frames) / 3))
    points = np.repeat(CANONICAL_FACE[None].astype(np.float32), frames, axis=0)
    points[:, 65:68, 1] += 0.08 * phase[:, None]
    crops = np.full((frames, 112, 112, 3), (60, 160, 60), np.uint8)
    for crop, open_px in zip(crops, np.rint(phase * 12).astype(int), strict=True):
        crop[68 : 69 + open_px, 40:72] = 10
    speech = random.normal(0, 0.05, 16000 * (frames // 25 + 2)).astype(np.float32)
    return Piece(
        name=f"piece{seed}", speaker="ann", is_held_out=is_held_out, crops=crops, points=points,
        times_s=0.5 + np.arange(frames) / 25, speech=speech,
    )  # fmt: skip


def adapt(base: Path, output: Path, monkeypatch, pieces=None, steps=10, **more):
    monkeypatch.setattr(adapting, "STEPS", steps)
    monkeypatch.setattr(adapting, "BATCH", 4)
    # A small network that has learnt nothing has a long way to go.
    monkeypatch.setattr(adapting, "RATE", 1e-2)
    pieces = pieces or [a_piece(80, is_held_out=False, seed=1), a_piece(40, is_held_out=True, seed=2)]
    return adapting.adapt(AdaptRequest(pieces=pieces, mode=Blend.POISSON, weights={"base": base}, output=output, **more))


def test_it_paints_this_face_better_and_says_so(base, tmp_path, monkeypatch):
    result = adapt(base, tmp_path / "a.safetensors", monkeypatch, steps=80)
    assert not result.remark
    assert result.after < 0.7 * result.before
    clip = make_clip(INFO, INFO.modes[Blend.POISSON], 2)
    green = {}
    for adapted in (None, tmp_path / "a.safetensors"):
        context = LoadContext(device="cpu", mode=Blend.POISSON, weights={"base": base}, adapted=adapted)
        with load(context) as generator:
            frames = generator.generate(clip).frames.astype(float)
        green[adapted] = (frames[..., 1] - frames[..., 0]).mean()
    assert green[tmp_path / "a.safetensors"] > green[None] + 20


def test_only_the_decoder_and_the_ears_last_layer_change(base, tmp_path, monkeypatch):
    adapt(base, tmp_path / "a.safetensors", monkeypatch)
    before, after = load_file(base), load_file(tmp_path / "a.safetensors")
    assert {name.split(".")[0] for name in after} == {"decoder", "audio"}
    assert {name for name in after if name.startswith("audio.")} == {"audio.fc7.0.weight", "audio.fc7.0.bias"}
    assert all(after[name].shape == before[name].shape for name in after)
    assert not torch.equal(after["decoder.conv5_3.weight"], before["decoder.conv5_3.weight"])


def test_the_same_footage_gives_the_same_weights(base, tmp_path, monkeypatch):
    for name in ("a", "b"):
        adapt(base, tmp_path / f"{name}.safetensors", monkeypatch, seed=3)
    one, other = load_file(tmp_path / "a.safetensors"), load_file(tmp_path / "b.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_held_out_is_not_learnt_from(base, tmp_path, monkeypatch):
    learnt = a_piece(80, is_held_out=False, seed=1)
    dark = a_piece(40, is_held_out=True, seed=2)
    light = Piece(
        name="l", speaker="ann", is_held_out=True, crops=255 - dark.crops, points=dark.points, times_s=dark.times_s, speech=dark.speech
    )  # fmt: skip
    for name, held in (("a", dark), ("b", light)):
        adapt(base, tmp_path / f"{name}.safetensors", monkeypatch, pieces=[learnt, held])
    one, other = load_file(tmp_path / "a.safetensors"), load_file(tmp_path / "b.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_for_the_other_blending_are_one_clear_error(base, tmp_path):
    pieces = [a_piece(80, is_held_out=False, seed=1), a_piece(40, is_held_out=True, seed=2)]
    request = AdaptRequest(pieces=pieces, mode=Blend.NETWORK, weights={"base": base}, output=tmp_path / "a.safetensors")
    with pytest.raises(PluginError, match="do not paint for network blending"):
        adapting.adapt(request)


def test_a_limit_of_time_ends_it_early(base, tmp_path, monkeypatch):
    told = []
    adapt(base, tmp_path / "a.safetensors", monkeypatch, limit_s=0.0, tell=lambda *words: told.append(words))
    assert len(told) < 10
    assert (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize("frames", [(5, 120), (120, 0), (50, 30)])
def test_too_little_footage_is_a_remark(base, tmp_path, monkeypatch, frames):
    pieces = [a_piece(count, is_held_out=held, seed=1) for count, held in zip(frames, (False, True), strict=True) if count]
    assert "too little" in adapt(base, tmp_path / "a.safetensors", monkeypatch, pieces=pieces).remark
    assert not (tmp_path / "a.safetensors").exists()
