"""Training learns, goes on where it was, keeps held-out pieces out, and writes the network that the plugin loads."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

from redub_speech2vid import train as trainer
from redub_speech2vid.ear import Ear, fold
from redub_speech2vid.generator import load
from redub_speech2vid.lessons import Painter, Teacher
from redub_speech2vid.model import Speech2Vid
from redub_speech2vid.norms import NormedDecoder
from redub_speech2vid.recipe import RECIPES, choose_recipe, what_matters

from redub.cli import app
from redub.errors import ConfigError, RedubError
from redub.plugin import Blend, LoadContext, TrainRequest, manager
from redub.testing import make_clip
from redub.training.checkpoint import read_tensors

TINY = {
    "width": "0.0625", "precision": "float32", "samples.voices": "2",
    "reader.steps": "4", "reader.identities": "2", "reader.targets": "2", "reader.look_every": "2",
    "mouth.steps": "4", "mouth.identities": "2", "mouth.targets": "2", "mouth.look_every": "2",
    "ear.steps": "4", "ear.batch": "8", "ear.look_every": "2",
    "sharpen.steps": "2", "sharpen.batch": "2", "sharpen.patch_px": "16", "sharpen.look_every": "2",
}  # fmt: skip
PAPER = {
    "width": "0.0625", "precision": "float32", "identity": "random", "loss.content": "random", "joint.epochs": "1", "joint.identities": "4",
    "sharpen.steps": "1", "sharpen.batch": "2", "sharpen.patch_px": "16",
}  # fmt: skip


@pytest.fixture
def request_for(pieces, tmp_path):
    def make(name: str = "w", settings: dict[str, str] | None = None, **more) -> TrainRequest:
        return TrainRequest(
            pieces=lambda: iter(pieces), output=tmp_path / f"{name}.safetensors", work=tmp_path / name, device="cpu",
            settings=TINY if settings is None else settings, **more,
        )  # fmt: skip

    return make


def journal(request: TrainRequest, stage: str) -> list[dict]:
    return [json.loads(line) for line in (request.work / f"{stage}.jsonl").read_text().splitlines()]


def test_all_stages_give_a_file_that_the_network_takes(request_for):
    request = request_for()
    trainer.train(request)
    tensors, facts = read_tensors(request.output)
    network = Speech2Vid(width=1 / 16, skips=("relu2", "pool1", "relu1"))
    network.load_state_dict({name: one for name, one in tensors.items() if not name.startswith(("teacher.", "sharpener."))})
    assert {one.dtype for one in tensors.values() if one.is_floating_point()} == {torch.float16}
    assert facts["width"] == "0.0625"
    assert facts["skips"] == "relu2,pool1,relu1"
    assert facts["upsampling"] == "bilinear"
    assert facts["stills"] == "5"
    assert facts["recipe"] == "own"
    assert facts["steps"] == "reader:4,mouth:4,ear:4,sharpen:2"
    assert (facts["speakers"], facts["frames"]) == ("3", "124")
    assert facts["sharpen"] == "1"
    assert tensors["teacher.basis"].shape == (12, 58)
    assert "sharpener.steps.0.weight" in tensors
    assert (request.work / "mouth-sheet.png").exists()
    assert (request.work / "result-sheet.png").exists()
    assert np.isfinite(float(facts["held_out_mse"]))


def test_the_paper_recipe_learns_from_speech_alone(request_for):
    request = request_for(settings=PAPER, recipe="paper")
    trainer.train(request)
    tensors, facts = read_tensors(request.output)
    assert facts["recipe"] == "paper"
    assert not [name for name in tensors if name.startswith("teacher.")]
    # Every fifth of 40, 40, 30 and 14 frames, four in a batch; an epoch ends with a look.
    assert facts["frames"] == str(8 + 8 + 6 + 3)
    assert facts["steps"].startswith("joint:6")
    assert journal(request, "joint")[-1]["step"] == 6


def test_a_run_that_was_stopped_in_a_stage_goes_on_to_the_same_weights(request_for):
    whole, cut = request_for("whole"), request_for("cut")
    trainer.train(whole)

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "mouth" and done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train(replace(cut, tell=stop))
    assert not cut.output.exists()
    trainer.train(cut)
    ours, theirs = read_tensors(cut.output)[0], read_tensors(whole.output)[0]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_one_stage_can_be_learnt_anew_alone(request_for):
    request = request_for()
    trainer.train(request)
    before, _ = read_tensors(request.output)
    request.output.unlink()
    with pytest.raises(RedubError, match=r"course\.rate") as caught:
        trainer.train(replace(request, settings={**TINY, "ear.rate": "1e-4"}))
    assert "--set stage=ear" in caught.value.hint
    trainer.train(replace(request, settings={**TINY, "ear.rate": "1e-4", "stage": "ear"}))
    after, _ = read_tensors(request.output)
    assert torch.equal(before["decoder.conv8.weight"], after["decoder.conv8.weight"])
    assert not torch.equal(before["audio.conv1.0.weight"], after["audio.conv1.0.weight"])
    assert list((request.work / "earlier" / "ear").glob("*.safetensors"))


def test_a_single_stage_leaves_the_rest_and_the_output_undone(request_for):
    request = request_for(settings={**TINY, "stage": "ear"})
    trainer.train(request)
    assert journal(request, "ear")
    assert not (request.work / "mouth.jsonl").exists()
    assert not request.output.exists()
    with pytest.raises(RedubError, match="needs the stage reader") as caught:
        trainer.train(replace(request, settings={**TINY, "stage": "mouth"}))
    assert "stage=reader" in caught.value.hint


def test_all_at_once_may_come_last_and_then_nothing_of_the_teacher_is_kept(request_for):
    settings = {**TINY, "stages": "reader,mouth,ear,joint", "joint.steps": "2", "joint.identities": "2", "joint.targets": "2"}
    request = request_for(settings=settings)
    trainer.train(request)
    tensors, facts = read_tensors(request.output)
    assert facts["steps"] == "reader:4,mouth:4,ear:4,joint:2"
    assert (facts["sharpen"], [name for name in tensors if name.startswith(("teacher.", "sharpener."))]) == ("0", [])


def test_an_ear_alone_needs_a_base(request_for):
    alone = {**TINY, "stages": "ear"}
    with pytest.raises(ConfigError, match="stage mouth is left out") as caught:
        trainer.train(request_for(settings=alone))
    assert "--base" in caught.value.hint
    first = request_for("first")
    trainer.train(first)
    second = request_for("second", settings=alone, base=first.output)
    trainer.train(second)
    ours, theirs = read_tensors(second.output)[0], read_tensors(first.output)[0]
    assert torch.equal(ours["decoder.conv8.weight"], theirs["decoder.conv8.weight"])
    assert torch.equal(ours["teacher.fc.weight"], theirs["teacher.fc.weight"])
    assert not torch.equal(ours["teacher.head.weight"], theirs["teacher.head.weight"])


def test_a_base_is_started_from(request_for):
    first = request_for("first")
    trainer.train(first)
    frozen = {**TINY, "mouth.steps": "0", "ear.steps": "0", "sharpen.steps": "0"}
    second = request_for("second", settings=frozen, base=first.output, seed=9)
    trainer.train(second)
    ours, theirs = read_tensors(second.output)[0], read_tensors(first.output)[0]
    for name in ("decoder.conv5_3.weight", "identity.conv1.0.weight", "teacher.basis", "audio.conv1.0.weight", "teacher.head.weight"):
        assert torch.equal(ours[name], theirs[name]), name
    with pytest.raises(ConfigError, match="width") as caught:
        trainer.train(request_for("third", settings={**frozen, "width": "0.125"}, base=first.output))
    assert "--set width=0.0625" in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "said", "hint"),
    [
        ({"mouth.ratee": "1"}, "mouth.ratee", "mouth.rate"),
        ({"widht": "1"}, "widht", "width"),
        ({"mouth.rate": "fast"}, "not a number", "Correct"),
        ({"mouth.rate": "-1"}, "no sense", "0 to"),
        ({"picture.flip": "2"}, "no sense", "0 to 1"),
        ({"loss.content": "vgg"}, "loss.content", "vggface"),
        ({"skips": "relu2,relu9"}, "skips", "pool1"),
        ({"loss.focus": "maybe"}, "neither yes nor no", "true"),
        ({"loss.content": "vggface"}, "no file of its weights", "loss.content=random"),
        ({"stage": "joint"}, "none of this recipe's", "reader, mouth"),
        ({"stages": "mouth,ear"}, "left out", "loss.content"),
        ({"stages": "joint"}, "left out", "loss.content"),
        ({"upsampling": "transposed"}, "norms", "norms=false"),
        ({"mouth.rate": "nan"}, "no number", "Correct"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said, hint):
    with pytest.raises(ConfigError) as caught:
        choose_recipe("", settings)
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_stages_and_skips_have_one_order_however_they_are_named():
    recipe = choose_recipe("", {"stages": "ear,mouth,reader", "skips": "pool1,relu2"})
    assert recipe.stages == ("reader", "mouth", "ear")
    assert recipe.skips == ("relu2", "pool1")


def test_a_misspelt_recipe_is_refused():
    with pytest.raises(ConfigError) as caught:
        choose_recipe("papr", {})
    assert "paper" in caught.value.hint


def test_the_paper_recipe_has_the_papers_values():
    recipe = RECIPES["paper"]
    assert recipe.width == 1
    assert recipe.skips == ("relu2", "pool1")  # two, and none after conv1 (3.1, 5.2)
    assert recipe.upsampling == "bilinear"
    assert recipe.identity == "vggface"  # the identity encoder starts from VGG Face (3.1)
    assert (recipe.samples.every, recipe.samples.rate_hz) == (5, 25)  # every fifth frame (4)
    assert recipe.samples.voices == 1  # nothing is said of changed sound
    joint = recipe.joint
    assert (joint.optimiser, joint.rate, joint.schedule) == ("sgd", 1e-5, "fixed")  # 3.4
    assert joint.momentum > 0
    assert joint.warm_up == joint.clip == joint.average == 0
    assert (joint.epochs, joint.patience) == (20, 1)  # 20 epochs, or until the validation loss stops falling
    loss = recipe.loss
    assert (loss.content, loss.content_weight, loss.gradient_weight, loss.reading_weight) == ("vggface", 1, 0, 0)  # 3.2
    assert not loss.focus
    picture = recipe.picture
    assert not any([picture.flip, picture.warp, picture.scale, picture.jitter, picture.light, picture.single, picture.code])
    assert recipe.stages == ("joint", "sharpen")  # the three modules together, the sharpening apart (3.1, 3.3)


def test_how_long_a_stage_learns_may_change_and_what_it_learns_may_not():
    recipe = choose_recipe("", {})
    longer = choose_recipe("", {"mouth.steps": "7", "mouth.look_every": "3"})
    assert what_matters(recipe, "mouth") == what_matters(longer, "mouth")
    for settings in ({"mouth.rate": "1"}, {"width": "1"}, {"loss.content_weight": "2"}, {"samples.every": "2"}, {"picture.flip": "0"}):
        assert what_matters(recipe, "mouth") != what_matters(choose_recipe("", settings), "mouth"), settings


def test_the_folded_ear_returns_what_head_gain_and_teacher_return():
    torch.manual_seed(3)
    network, teacher = Speech2Vid(width=1 / 16), Teacher()
    ear = Ear(network.audio, 0.5).eval()
    gain = torch.linspace(1.0, 1.5, 12)
    windows = torch.randn(4, 1, 12, 35)
    with torch.no_grad():
        wanted = teacher(ear(windows)[:, :12] * gain)
        fold(ear, teacher, gain)
        assert torch.allclose(network.eval().audio(windows), wanted, atol=1e-5)


@pytest.mark.parametrize("skips", [(), ("relu2", "pool1"), ("relu2", "pool1", "relu1")])
def test_folded_norms_leave_the_plain_decoder_painting_the_same(skips):
    torch.manual_seed(4)
    network = Speech2Vid(width=1 / 16, skips=skips)
    painter = Painter(network, Teacher(), NormedDecoder(network.decoder))
    with torch.no_grad():
        for norm in painter.decoder.norms.values():
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
        stills, codes = torch.rand(4, 15, 112, 112), torch.randn(4, 12)
        painter.train()(codes, painter.identify(stills))
        painter.eval()
        before = painter(codes, painter.identify(stills))
        painter.decoder.fold()
        plain = Painter(network, painter.teacher).eval()
        assert torch.allclose(plain(codes, plain.identify(stills)), before, atol=1e-4)
        assert torch.allclose(painter(codes, painter.identify(stills)), before, atol=1e-4)


@pytest.mark.parametrize("skips", [(), ("relu2", "pool1", "relu1")])
def test_calibrated_norms_leave_a_learnt_decoder_painting_the_same_while_it_goes_on_learning(skips):
    torch.manual_seed(5)
    network = Speech2Vid(width=1 / 16, skips=skips).eval()
    painter = Painter(network, Teacher(), NormedDecoder(network.decoder)).eval()
    stills, codes = torch.rand(24, 15, 112, 112), torch.randn(24, 12)
    with torch.no_grad():
        before = Painter(network, painter.teacher)(codes, painter.identify(stills))
        identity = painter.identify(stills)
        painter.decoder.calibrate(lambda: painter(codes, identity))
        as_used = painter(codes, identity)
        painter.decoder.train()
        as_learnt = painter(codes, identity)
    assert torch.allclose(as_used, before, atol=1e-4)
    # A few units that hardly ever wake have statistics of their own in each batch, so not the largest difference counts.
    assert float((as_learnt - before).abs().mean()) < 0.05 * float(before.std())


def test_the_command_trains_on_the_demo_and_the_generator_paints_with_what_it_wrote(tmp_path):
    output = tmp_path / "demo.safetensors"
    settings = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    arguments = ["train", "speech2vid", str(resources.files("redub.demo") / "lecture.mp4"), "-o", str(output), "--device", "cpu", *settings]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["speakers"], found["held_out_frames"]) == (["lecture"], 0)
    assert found["frames"] > 200
    assert read_tensors(output)[1]["frames"] < str(found["frames"])  # its end is held out
    info = manager.find("speech2vid").info
    clip = make_clip(info, info.modes[Blend.POISSON], 3)
    with load(LoadContext(device="cpu", mode=Blend.POISSON, weights={"base": output})) as generator:
        assert generator.generate(clip).frames.shape == (3, 109, 109, 3)
    again = CliRunner().invoke(app, [*arguments, "--force", "--quiet"])
    assert again.exit_code == 0, again.output
    assert again.output == ""


def test_more_steps_paint_held_out_pieces_better(request_for):
    settings = {
        **TINY, "stages": "mouth", "loss.content": "none", "mouth.steps": "90", "mouth.look_every": "30", "mouth.rate": "1e-3",
        "mouth.warm_up": "0", "mouth.average": "0",
    }  # fmt: skip
    request = request_for(settings=settings)
    trainer.train(request)
    losses = [row["values"]["held_out.image"] for row in journal(request, "mouth")]

    assert losses[-1] < 0.8 * losses[0]
