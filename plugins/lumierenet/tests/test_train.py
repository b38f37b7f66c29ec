"""Training: three stages for a few steps, saved, resumed, written, and painted with."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from redub_lumierenet import train as trainer  # noqa: E402
from redub_lumierenet.generator import load  # noqa: E402
from redub_lumierenet.hearing import Known, as_painted, folded, mouth_shapes  # noqa: E402
from redub_lumierenet.networks import Ear  # noqa: E402
from redub_lumierenet.painting import targets  # noqa: E402
from redub_lumierenet.plugin import INFO  # noqa: E402
from redub_lumierenet.recipe import PAPER, choose_recipe, what_matters  # noqa: E402
from redub_lumierenet.samples import collect, follows_on, footage_rate, mouth_boxes  # noqa: E402

from redub.errors import ConfigError, RedubError  # noqa: E402
from redub.plugin import Blend, LoadContext, TrainRequest  # noqa: E402
from redub.progress import silent  # noqa: E402
from redub.testing import make_clip  # noqa: E402
from redub.training.checkpoint import read_tensors  # noqa: E402

TINY = {
    "figure.side": "64", "vae.width": "0.0625", "vae.batch": "4", "vae.steps": "4", "vae.look_every": "2",
    "ear.cells": "8", "ear.batch": "8", "ear.steps": "6", "ear.look_every": "3",
    "seq.width": "0.0625", "seq.predictor_width": "0.0625", "seq.critic_width": "0.0625", "seq.batch": "1", "seq.steps": "3",
    "seq.look_every": "3", "vae.warm_up": "0", "ear.warm_up": "0", "seq.warm_up": "0", "precision": "float32",
}  # fmt: skip


@pytest.fixture
def request_for(tmp_path, pieces):
    def make(**more):
        settings = {**TINY, **more.pop("settings", {})}
        given = more.pop("pieces", pieces)
        (tmp_path / "work").mkdir(exist_ok=True)
        facts = {"output": tmp_path / "w.safetensors", "work": tmp_path / "work", "device": "cpu", "consent": "Ann, in writing"}
        return TrainRequest(pieces=lambda: iter(given), settings=settings, **{**facts, **more})

    return make


def journal(request, stage):
    return [json.loads(line) for line in (request.work / f"{stage}.jsonl").read_text().splitlines()]


def test_three_stages_are_learnt_written_and_painted_with(request_for):
    request = request_for()
    trainer.train(request)
    for stage, steps in (("vae", 4), ("ear", 6), ("seq", 3)):
        assert journal(request, stage)[-1]["step"] == steps
        assert (request.work / f"{stage}-curves.png").is_file()
    assert (request.work / "vae-sheet.png").is_file()
    assert (request.work / "seq-sheet.png").is_file()
    tensors, facts = read_tensors(request.output)
    assert facts["consent"] == "Ann, in writing"
    assert Fraction(facts["frame_rate"]) == 25
    assert len(json.loads(facts["face"])) == 128
    assert not [name for name in tensors if "encoder" in name or "critic" in name or "predictor" in name]
    clip = make_clip(INFO, INFO.modes[Blend.FEATHER], 5)
    with load(LoadContext(device="cpu", mode=Blend.FEATHER, weights={"w": request.output})) as generator:
        painted = generator.generate(clip).frames
        assert painted.shape == (5, 256, 256, 3)
        figures = np.random.default_rng(1).integers(0, 256, (5, 64, 64, 3), np.uint8)
        assert generator.paint_figures(figures).shape == painted.shape


def test_a_stopped_training_goes_on_to_the_same_weights(request_for, tmp_path):
    fixed = {f"{stage}.{key}": value for stage in ("vae", "ear", "seq") for key, value in (("schedule", "fixed"), ("settle", "1"))}
    whole = request_for(settings=fixed, work=_folder(tmp_path / "whole"), output=tmp_path / "whole.safetensors")
    trainer.train(whole)
    # Stopped within the first stage, and again within the last.
    for short in ({"vae.steps": "2", "stage": "vae"}, {"seq.steps": "2"}, {}):
        trainer.train(request_for(settings={**fixed, **short}))
    one, other = (read_tensors(path)[0] for path in (whole.output, tmp_path / "w.safetensors"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def _folder(path):
    path.mkdir()
    return path


def test_one_stage_is_learnt_anew_without_the_others(request_for):
    request = request_for()
    trainer.train(request)
    before = {stage: (request.work / f"{stage}.jsonl").read_bytes() for stage in ("vae", "ear", "seq")}
    changed = request_for(settings={"stage": "ear", "ear.dropout": "0.5"})
    trainer.train(changed)
    after = {stage: (request.work / f"{stage}.jsonl").read_bytes() for stage in ("vae", "ear", "seq")}
    assert after["ear"] != before["ear"]
    assert (after["vae"], after["seq"]) == (before["vae"], before["seq"])
    one = read_tensors(request.output)[0]
    assert "ear.fc.weight" in one


def test_other_values_are_refused_and_say_what_to_do(request_for):
    trainer.train(request_for())
    with pytest.raises(RedubError, match="was begun with") as caught:
        trainer.train(request_for(settings={"vae.batch": "2"}))
    assert "--set stage=vae" in caught.value.hint


def test_samples_that_a_training_stands_on_are_not_deleted(request_for, pieces):
    trainer.train(request_for(pieces=pieces[:1], settings={"stage": "vae", "vae.steps": "1", "vae.look_every": "1"}))
    there = {path.name: path.stat().st_mtime_ns for path in (request_for().work / "samples").iterdir()}
    for settings in ({"figure.side": "128"}, {"speaker": "all"}):
        with pytest.raises(RedubError, match="was begun with other values") as caught:
            trainer.train(request_for(settings=settings))
        assert "--set stage=vae" in caught.value.hint
    assert {path.name: path.stat().st_mtime_ns for path in (request_for().work / "samples").iterdir()} == there


def test_a_missing_vgg19_is_told_before_any_figure_is_drawn(request_for):
    request = request_for(settings={"features": "vgg19", "vgg19": "nowhere.safetensors"})
    with pytest.raises(RedubError, match=r"nowhere\.safetensors cannot be read"):
        trainer.train(request)
    assert not (request.work / "samples").exists()


def test_a_speaker_beside_the_square_is_one_clear_error(request_for, pieces):
    beside = [replace(one, points=one.points + np.float32([0.9, 0])) for one in pieces[:1]]
    with pytest.raises(RedubError, match="No face is in the picture"):
        trainer.train(request_for(pieces=beside))


def test_codes_of_another_vae_are_not_learnt_from(request_for):
    trainer.train(request_for())
    trainer.train(request_for(settings={"stage": "vae", "vae.rate": "5e-3"}))
    with pytest.raises(RedubError, match="stage ear .* was begun with .*vae"):
        trainer.train(request_for(settings={"vae.rate": "5e-3"}))


def test_a_stage_that_needs_the_vae_waits_for_it(request_for):
    with pytest.raises(RedubError, match="needs the stage vae"):
        trainer.train(request_for(settings={"stage": "seq"}))


def test_two_persons_are_no_instructor(request_for, pieces):
    for name, said in (("ann", "--set speaker=ann "), ("ann lee", "--set 'speaker=ann lee' ")):
        with pytest.raises(RedubError, match=f"{name} and ben") as caught:
            trainer.train(request_for(pieces=[replace(pieces[0], speaker=name), replace(pieces[1], speaker="ben")]))
        assert said in caught.value.hint


def test_a_speaker_whom_nobody_is_called_is_one_clear_error(request_for):
    with pytest.raises(RedubError, match="nobody called anna") as caught:
        trainer.train(request_for(settings={"speaker": "anna"}))
    assert "ann" in caught.value.hint


@pytest.mark.parametrize(("speaker", "names"), [("ann", ["a/000"]), ("ben", ["b/000"]), ("all", ["a/000", "b/000"])])
def test_whose_footage_is_learnt_from_can_be_said(pieces, tmp_path, speaker, names):
    given = [pieces[0], replace(pieces[1], speaker="ben")]
    samples = collect(lambda: given, tmp_path / "s", choose_recipe("", TINY).figure, lambda: _figures, silent, speaker)
    assert [one.name for one in samples.stretches] == names


def test_footage_of_two_rates_is_refused(request_for, pieces, make_piece):
    with pytest.raises(RedubError, match=r"30\.00 frames a second, others 25\.00"):
        trainer.train(request_for(pieces=[pieces[0], make_piece("d/000", 4, rate_hz=30.0, frames=8)]))


def test_a_base_is_refused(request_for, tmp_path):
    with pytest.raises(ConfigError, match="begins with nothing"):
        trainer.train(request_for(base=tmp_path / "x.safetensors"))


@pytest.mark.parametrize("rate", ["25", "30000/1001", "24000/1001", "30", "60", "50"])
@pytest.mark.parametrize("grain", [0, 3])
def test_the_footages_own_rate_is_found(rate, grain):
    times = (np.arange(200) + 0.5) / float(Fraction(rate))
    times = np.round(times, grain) if grain else times
    assert footage_rate(times) == Fraction(rate)


@pytest.mark.parametrize("frames", [12, 30, 100])
@pytest.mark.parametrize("phase_s", [0.0, 0.0003, 0.0007])
def test_short_pieces_of_slow_footage_in_milliseconds_are_taken(frames, phase_s):
    times = np.round((np.arange(frames) + 0.5) / 15 + phase_s, 3)
    assert footage_rate(times) == 15


def test_a_gap_does_not_change_the_rate_and_slow_footage_is_refused():
    times = np.delete((np.arange(100) + 0.5) / 25, [30, 31, 60])
    assert footage_rate(times) == 25
    with pytest.raises(RedubError, match=r"8\.0 frames a second"):
        footage_rate(np.arange(20) / 8)


def test_no_repeated_frame_enters_a_triplet(request_for, pieces, tmp_path):
    """Footage of 25 frames a second that was brought to 30 by showing every fifth frame twice."""
    piece = pieces[0]
    shown = np.array([i * 5 // 6 for i in range(24)])
    times = 0.5 + (np.arange(24) + 0.5) / 30
    doubled = replace(piece, crops=piece.crops[shown], points=piece.points[shown], times_s=times)
    repeats = set(np.flatnonzero(np.diff(shown, prepend=-1) == 0).tolist())
    assert repeats
    follows = follows_on(doubled.crops, times, 30.0)
    assert {i for i in range(1, 24) if not follows[i]} == repeats
    recipe = choose_recipe("", TINY)
    samples = collect(lambda: [doubled], tmp_path / "s", recipe.figure, lambda: _figures, silent)
    (rows,) = targets(samples, 1)
    assert len(rows)
    for row in rows:
        assert len({int(shown[row - i]) for i in range(3)}) == 3
    assert len(targets(samples, 5)[0]) == -(-len(rows) // 5)


def test_no_frame_without_the_person_enters_a_triplet(request_for, pieces, tmp_path):
    piece = replace(pieces[0], points=pieces[0].points.copy())
    away = [7, 15]
    piece.points[away[0]] = np.nan
    piece.points[away[1]] += 3
    recipe = choose_recipe("", TINY)
    samples = collect(lambda: [piece], tmp_path / "s", recipe.figure, lambda: _figures, silent)
    every = targets(collect(lambda: [pieces[0]], tmp_path / "t", recipe.figure, lambda: _figures, silent), 1)[0]
    expected = [row for row in every if not {row, row - 1, row - 2} & set(away)]
    assert targets(samples, 1)[0].tolist() == expected
    assert len(expected) < len(every)


def _figures(pictures, points, place):
    return np.zeros_like(pictures)


def test_frames_beside_a_gap_are_not_consecutive(pieces):
    piece = pieces[0]
    times = piece.times_s.copy()
    times[10:] += 0.2
    assert not follows_on(piece.crops, times, 25.0)[10]
    assert follows_on(piece.crops, times, 25.0)[[9, 11]].all()


def test_samples_are_what_the_pieces_hold(pieces, tmp_path):
    recipe = choose_recipe("", TINY)
    made = []

    def estimate(pictures, points, place):
        made.append((place.source, place.frames.tolist()))
        return np.repeat(np.rint(points[:, 30, :1, None, None] / 256 * 255).astype(np.uint8), 3, axis=1).transpose(0, 2, 3, 1) * np.ones(
            (1, 256, 256, 1), np.uint8
        )

    given = [replace(one, first_frame=40 * i) for i, one in enumerate(pieces)]
    samples = collect(lambda: given, tmp_path / "s", recipe.figure, lambda: estimate, silent)
    assert [one.name for one in samples.held_out] == ["c/000"]
    assert made[1] == ("b", list(range(40, 64)))
    rows = np.array([3, 30, 70])
    true = np.stack([pieces[0].crops[3], pieces[1].crops[6], pieces[2].crops[22]]).astype(int)
    # JPEG of noise with colours at half size; another frame differs more.
    assert np.abs(samples.pictures(rows) - true).mean() < 3
    assert samples.figures(rows).shape == (3, 64, 64, 3)
    assert (
        np.abs(samples.figures(rows)[:, 0, 0, 0] / 255 - np.array([pieces[i].points[j, 30, 0] for i, j in ((0, 3), (1, 6), (2, 22))])).max()
        < 0.01
    )
    again = collect(lambda: iter(()), tmp_path / "s", recipe.figure, lambda: estimate, silent)
    assert np.array_equal(again.heard, samples.heard)
    assert len(made) == 3


def test_pieces_of_another_set_up_are_left_out(make_piece, tmp_path):
    given = [make_piece(f"{name}/000", seed, frames=4, is_held_out=name in "ab") for seed, name in enumerate("abcdefghij")]
    dark = [replace(one, crops=one.crops // 2) if one.name[0] in "be" else one for one in given]
    samples = collect(lambda: dark, tmp_path / "s", choose_recipe("", TINY).figure, lambda: _figures, silent)
    assert {one.name[0] for one in samples.stretches if one.is_odd} == {"b", "e"}
    assert [one.name[0] for one in samples.held_out] == ["a"]
    assert not {"b", "e"} & {one.name[0] for one in samples.learnt_from}
    few = collect(lambda: dark[:5], tmp_path / "few", choose_recipe("", TINY).figure, lambda: _figures, silent)
    assert not any(one.is_odd for one in few.stretches)


def test_mouth_boxes_hold_the_mouth_and_are_empty_without_a_face(pieces):
    points = pieces[0].points[:2].copy()
    points[1] = np.nan
    (left, top, right, bottom), nothing = mouth_boxes(points, 256)
    mouth = points[0, 48:68] * 256
    assert left < mouth[:, 0].min() < mouth[:, 0].max() < right
    assert top < mouth[:, 1].min() < mouth[:, 1].max() < bottom
    assert nothing[0] == nothing[2]


def test_a_folded_ear_answers_with_codes_and_moves_only_the_mouth_more():
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    ear = Ear(8).eval()
    reads = random.normal(size=(6, 128)).astype(np.float32)
    mean, deviation = random.normal(size=128).astype(np.float32), random.uniform(0.5, 2, 128).astype(np.float32)
    known = Known(
        codes=np.zeros((1, 128), np.float32), mean=mean, deviation=deviation, shapes=np.zeros((1, 6), np.float32), reads=reads,
        heard_mean=np.zeros(40, np.float32), heard_deviation=np.ones(40, np.float32),
    )  # fmt: skip
    heard = torch.randn(3, 15, 40)
    with torch.no_grad():
        plain = ear(heard).numpy()
        answers = {}
        for gain, anchor in ((1.0, None), (1.5, None), (1.0, random.normal(size=128).astype(np.float32))):
            other = Ear(8).eval()
            tensors = folded(known, ear, gain, anchor)
            other.load_state_dict({name: tensors[name] for name in other.state_dict()})
            answers[gain, anchor is None] = (other(heard).numpy() - mean) / deviation
            # What sheets show is what users will get.
            assert np.allclose(as_painted(known, plain, gain, anchor), other(heard).numpy(), atol=1e-3)
    assert np.allclose(answers[1.0, True], plain, atol=1e-4)
    assert np.allclose(answers[1.5, True] @ reads.T, 1.5 * plain @ reads.T, atol=1e-3)
    off = answers[1.5, True] - plain
    # What moves lies in the directions that the mouth is read from, and an anchor moves nothing there.
    onto = np.linalg.pinv(reads) @ reads
    assert np.allclose(off @ onto, off, atol=1e-4)
    assert np.allclose(answers[1.0, False] @ reads.T, plain @ reads.T, atol=1e-3)
    assert np.abs(answers[1.0, False] - plain).max() > 0.5


def test_mouth_shapes_go_with_the_mouth_and_not_with_the_head(draw_person):
    opens = np.linspace(0, 1, 12)
    points = np.stack([draw_person(one, shift)[1] for one, shift in zip(opens, 30 * np.sin(np.arange(12)), strict=True)])
    shapes = mouth_shapes(points, np.arange(12))
    assert abs(np.corrcoef(shapes[:, 0], opens)[0, 1]) > 0.999
    assert shapes[:, 0].std() == pytest.approx(1.0, rel=0.01)


def test_the_paper_recipe_is_the_papers():
    with pytest.raises(ConfigError, match="VGG-19") as caught:
        choose_recipe("paper", {})
    assert "features=stand-in" in caught.value.hint
    recipe = choose_recipe("paper", {"features": "stand-in"})
    assert (recipe.vae.optimiser, recipe.vae.rate, recipe.ear.optimiser, recipe.ear.rate) == ("rmsprop", 2.5e-4, "rmsprop", 1e-6)
    assert (recipe.ear.window, recipe.ear.ahead, recipe.ear.cells) == (15, 0, 256)
    assert (recipe.seq.rate, recipe.seq.momentum, recipe.seq.memory, recipe.seq.decay) == (2e-4, 0.5, 0.999, 0)
    assert (recipe.seq.features, recipe.seq.consistent, recipe.seq.predicted) == (0.05, 10.0, 10.0)
    assert (recipe.seq.every, recipe.seq.width, recipe.figure.side, recipe.vae.pixels, recipe.seq.direct) == (30, 1.0, 256, 0.0, 0.0)


def test_the_baselines_are_the_paper_without_its_constraints():
    one, two = (choose_recipe(f"baseline-{i}", {"features": "stand-in"}).seq for i in (1, 2))
    assert (one.features, one.consistent, one.predicted) == (0.0, 0.0, 0.0)
    assert (two.features, two.consistent, two.predicted) == (0.05, 0.0, 0.0)
    assert replace(one, features=0.05, consistent=10.0, predicted=10.0) == PAPER.seq


@pytest.mark.parametrize("recipe", ["paper", "baseline-1", "baseline-2"])
def test_every_recipe_takes_a_step(request_for, recipe):
    settings = {"features": "stand-in", "vae.steps": "1", "ear.steps": "1", "seq.steps": "1", "seq.every": "2", "seq.batch": "2"}
    request = request_for(recipe=recipe, settings=settings)
    trainer.train(request)
    assert request.output.is_file()
    terms = set(journal(request, "seq")[0]["values"])
    assert ("consistent" in terms, "predicted" in terms, "features" in terms) == {
        "paper": (True, True, True), "baseline-1": (False, False, False), "baseline-2": (False, False, True),
    }[recipe]  # fmt: skip


@pytest.mark.parametrize(("alone", "has_sequences"), [("0", True), ("1", False)])
def test_frames_of_anywhere_are_no_sequence(request_for, alone, has_sequences):
    request = request_for(settings={"seq.alone": alone})
    trainer.train(request)
    terms = set(journal(request, "seq")[0]["values"])
    assert {"direct", "belief", "critic"} <= terms
    assert ("predicted" in terms, "consistent" in terms) == (has_sequences, has_sequences)


def test_painting_begins_with_the_usual_picture(request_for, pieces):
    request = request_for(settings={"seq.steps": "1", "seq.rate": "0", "seq.average": "0"})
    trainer.train(request)
    tensors, _ = read_tensors(request.output)
    usual = np.concatenate([piece.crops for piece in pieces[:2]]).mean(axis=0) / 255
    hung = torch.tanh(tensors["generator.backdrop"][0].float()).permute(1, 2, 0).numpy() * 0.5 + 0.5
    assert np.abs(hung - usual).mean() < 0.01


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"figure.source": "iuv"}, "none is named"),
        ({"figure.side": "100"}, "figure.side"),
        ({"ear.window": "3", "ear.ahead": "4"}, "behind the frame"),
        ({"stages": "ear,seq"}, "vae"),
        ({"stages": "vae", "stage": "seq"}, "none of this recipe"),
        ({"seq.weird": "1"}, "no setting"),
    ],
)
def test_values_that_contradict_each_other_are_one_clear_error(settings, said):
    with pytest.raises(ConfigError, match=said):
        choose_recipe("", settings)


def test_how_long_a_stage_learns_may_change_and_what_it_learns_may_not():
    recipe = choose_recipe("", {})
    assert what_matters(recipe, "seq") == what_matters(choose_recipe("", {"seq.steps": "7", "seq.look_every": "3"}), "seq")
    for settings in ({"seq.rate": "1"}, {"seq.width": "1"}, {"figure.side": "256"}, {"precision": "float32"}):
        assert what_matters(recipe, "seq") != what_matters(choose_recipe("", settings), "seq"), settings


def test_more_steps_give_figures_back_better(request_for):
    settings = {"stage": "vae", "vae.steps": "60", "vae.look_every": "20", "vae.rate": "3e-3", "vae.average": "0", "vae.width": "0.25"}
    request = request_for(settings=settings)
    trainer.train(request)
    losses = [row["values"]["held_out.loss"] for row in journal(request, "vae")]
    assert losses[-1] < 0.7 * losses[0]
    assert not request.output.exists()
