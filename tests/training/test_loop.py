"""The loop learns, and a run that was stopped, killed or damaged goes on as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from redub.errors import RedubError
from redub.training import loop
from redub.training.checkpoint import State, load_state, save_state
from redub.training.course import Course, autocast, chance, rate_at
from redub.training.loop import Lesson, Look, Session, learn

COURSE = Course(steps=12, rate=0.02, average=0.9, look_every=4, settle=0.7)


class Killed(BaseException):
    """Stands for a kill that no handler sees."""


def make_lesson(**changes) -> Lesson[tuple[torch.Tensor, torch.Tensor]]:
    """A small convolutional network, its weights in channels-last memory, learns to sum the colours of noise."""
    torch.manual_seed(5)
    steps = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(8, 1, 3, padding=1)]
    model = nn.Sequential(*steps).to(memory_format=torch.channels_last)

    def draw(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        pictures = np.random.default_rng(chance(1, "batch", step)).normal(size=(8, 3, 6, 6)).astype(np.float32)
        picture = torch.from_numpy(pictures).to(memory_format=torch.channels_last)
        return picture, picture.sum(1, keepdim=True)

    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        error = (model(batch[0]) - batch[1]).abs().mean()
        return {"loss": error, "squared": error**2}

    def look() -> Look:
        pictures, wanted = draw(10**6)
        return Look(values={"loss": float((model(pictures) - wanted).abs().mean())}, picture=np.full((4, 6, 3), 200, np.uint8))

    return replace(Lesson(name="sum", model=model, draw=draw, loss=loss, look=look, samples=8), **changes)


def weights(lesson) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in lesson.model.state_dict().items()}


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def die_at(lesson, step: int):
    """A lesson that kills its run while it draws the batch of a step."""

    def draw(number: int):
        if number == step:
            raise Killed
        return lesson.draw(number)

    return replace(lesson, draw=draw)


@pytest.fixture
def always_save(monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_S", 0.0)


def test_a_term_that_not_every_batch_has_is_averaged_over_those_that_have_it(tmp_path):
    lesson = make_lesson()
    steps = iter(range(100))

    def loss(batch):
        terms = lesson.loss(batch)
        return {**terms, "rare": torch.tensor(3.0)} if next(steps) % 3 == 0 else terms

    learn(replace(lesson, loss=loss), replace(COURSE, look_every=12), Session(folder=tmp_path))
    (row,) = [json.loads(line) for line in (tmp_path / "sum.jsonl").read_text().splitlines()]
    assert row["values"]["rare"] == pytest.approx(3.0)


def test_the_average_begins_anew_when_the_norms_come_to_rest(tmp_path):
    course = replace(COURSE, settle=0.5, rate=0.2, look_every=100)
    plain, seen = make_lesson(), []

    def loss(batch):
        seen.append(weights(plain))
        return plain.loss(batch)

    learn(replace(plain, loss=loss), replace(course, average=0.0), Session(folder=tmp_path / "plain"))
    seen.append(weights(plain))
    averaged = make_lesson()
    learn(averaged, replace(course, average=0.9999), Session(folder=tmp_path / "averaged"))
    # So slow an average is the plain mean: of the weights after each of the last six steps, and of no earlier ones.
    wanted = torch.stack([one["4.weight"] for one in seen[7:]]).mean(0)
    assert torch.allclose(weights(averaged)["4.weight"], wanted, atol=1e-5)
    assert (wanted - torch.stack([one["4.weight"] for one in seen]).mean(0)).abs().max() > 1e-3


@pytest.mark.parametrize("course", [COURSE, replace(COURSE, optimiser="sgd", rate=0.05, average=0.0)])
def test_a_killed_run_goes_on_bit_by_bit(tmp_path, always_save, course):
    whole = make_lesson()
    learn(whole, course, Session(folder=tmp_path / "whole"))
    with pytest.raises(Killed):
        learn(die_at(make_lesson(), 7), course, Session(folder=tmp_path / "cut"))
    resumed = make_lesson()
    learnt = learn(resumed, course, Session(folder=tmp_path / "cut"))
    assert learnt.is_complete
    assert learnt.step == course.steps
    assert same(weights(whole), weights(resumed))
    rows = [[json.loads(line) for line in (tmp_path / folder / "sum.jsonl").read_text().splitlines()] for folder in ("whole", "cut")]
    assert [(row["step"], row["values"]) for row in rows[0]] == [(row["step"], row["values"]) for row in rows[1]]


def test_learning_lowers_the_held_out_loss(tmp_path):
    learn(make_lesson(), replace(COURSE, steps=120, look_every=20), Session(folder=tmp_path))
    losses = [json.loads(line)["values"]["held_out.loss"] for line in (tmp_path / "sum.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.6 * losses[0]


def test_another_seed_learns_something_else(tmp_path):
    lessons = []
    for seed in (0, 0, 1):
        lessons.append(make_lesson())
        learn(lessons[-1], COURSE, Session(folder=tmp_path / str(len(lessons)), seed=seed))
    assert same(weights(lessons[0]), weights(lessons[1]))
    assert not same(weights(lessons[0]), weights(lessons[2]))


def test_a_finished_stage_is_not_learnt_again(tmp_path):
    first = make_lesson()
    learn(first, COURSE, Session(folder=tmp_path))
    again = die_at(make_lesson(), 0)
    assert learn(again, COURSE, Session(folder=tmp_path)).step == COURSE.steps
    assert same(weights(first), weights(again))


def test_a_longer_course_goes_on_from_where_the_shorter_one_ended(tmp_path):
    learn(make_lesson(), COURSE, Session(folder=tmp_path))
    drawn = []
    lesson = make_lesson()
    longer = replace(lesson, draw=lambda step: (drawn.append(step), lesson.draw(step))[1])
    learn(longer, replace(COURSE, steps=15), Session(folder=tmp_path))
    assert min(drawn) == 12


def test_the_newest_checkpoint_is_damaged(tmp_path, always_save):
    whole = make_lesson()
    learn(whole, COURSE, Session(folder=tmp_path))
    newest, older = sorted(tmp_path.glob("*.safetensors"), reverse=True)
    content = bytearray(newest.read_bytes())
    content[-3] ^= 0x40
    newest.write_bytes(content)
    resumed = make_lesson()
    learn(resumed, COURSE, Session(folder=tmp_path))
    assert same(weights(whole), weights(resumed))
    assert older.name < newest.name


def test_all_checkpoints_are_damaged(tmp_path):
    save_state(tmp_path, "sum", State(step=3, tensors={"model.a": torch.zeros(3)}))
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(RedubError, match="damaged") as caught:
        load_state(tmp_path, "sum")
    assert "Delete it" in caught.value.hint


def test_two_checkpoints_are_kept_of_each_name(tmp_path):
    for step in (5, 100, 2000):
        save_state(tmp_path, "mouth", State(step=step, tensors={"a": torch.zeros(2)}))
    save_state(tmp_path, "mouth-two", State(step=1, tensors={"a": torch.ones(2)}))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mouth-000000100.safetensors", "mouth-000002000.safetensors", "mouth-two-000000001.safetensors",
    ]  # fmt: skip
    state = load_state(tmp_path, "mouth")
    assert state is not None
    assert state.step == 2000


def test_a_checkpoint_returns_what_it_was_given(tmp_path):
    tensors = {
        "model.w": torch.randn(2, 3).half(),
        "n": torch.tensor(7),
        "last": torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last),
    }
    save_state(tmp_path, "x", State(step=9, tensors=tensors, facts={"loss": 0.1, "name": "é"}))
    state = load_state(tmp_path, "x")
    assert state is not None
    assert same(state.tensors, tensors)
    assert (state.step, state.facts) == (9, {"loss": 0.1, "name": "é"})
    assert same(state.part("model."), {"w": tensors["model.w"]})


def test_other_settings_are_refused_and_named(tmp_path):
    learn(make_lesson(), COURSE, Session(folder=tmp_path), {"width": 0.5, "batch": 8})
    with pytest.raises(RedubError, match=r"width 0\.5 and not 1\.0") as caught:
        learn(make_lesson(), COURSE, Session(folder=tmp_path), {"width": 1.0, "batch": 8})
    assert "stage=sum" in caught.value.hint
    with pytest.raises(RedubError, match="seed 0 and not 1"):
        learn(make_lesson(), COURSE, Session(folder=tmp_path, seed=1), {"width": 0.5, "batch": 8})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_ends_after_a_whole_step_and_leaves_a_checkpoint(tmp_path, number):
    whole = make_lesson()
    learn(whole, COURSE, Session(folder=tmp_path / "whole"))
    before = signal.getsignal(number)

    def tell(stage: str, done: int, total: int | None) -> None:
        if done == 5 * 8:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        learn(make_lesson(), COURSE, Session(folder=tmp_path / "cut", tell=tell))
    state = load_state(tmp_path / "cut", "sum")
    assert state is not None
    assert 5 <= state.step < COURSE.steps
    assert signal.getsignal(number) is before
    resumed = make_lesson()
    learn(resumed, COURSE, Session(folder=tmp_path / "cut"))
    assert same(weights(whole), weights(resumed))


def test_it_learns_in_a_thread_too(tmp_path):
    lesson = make_lesson()
    thread = threading.Thread(target=learn, args=(lesson, COURSE, Session(folder=tmp_path)))
    thread.start()
    thread.join()
    assert load_state(tmp_path, "sum") is not None


def test_a_loss_that_is_no_number_stops_and_leaves_no_checkpoint_of_it(tmp_path, always_save):
    lesson = make_lesson()

    def loss(batch):
        terms = lesson.loss(batch)
        return {"loss": terms["loss"] * (float("nan") if len(seen) > 5 else 1)} if not seen.append(1) else terms

    seen: list[int] = []
    with pytest.raises(RedubError, match="no number") as caught:
        learn(replace(lesson, loss=loss), COURSE, Session(folder=tmp_path))
    assert "sum.rate=0.007" in caught.value.hint
    state = load_state(tmp_path, "sum")
    assert state is not None
    assert all(tensor.isfinite().all() for tensor in state.tensors.values())


def test_patience_ends_when_the_held_out_loss_no_longer_falls(tmp_path):
    losses = iter([3.0, 2.0, 2.5, 1.0, 1.5, 1.2, 0.1])
    lesson = make_lesson(look=lambda: Look(values={"loss": next(losses)}))
    learnt = learn(lesson, replace(COURSE, steps=100, look_every=2, patience=2), Session(folder=tmp_path))
    # Looks at 2, 4, ... : the best is the fourth, and neither the fifth nor the sixth is better.
    assert learnt.step == 12
    assert learnt.is_complete


def test_a_limit_counts_earlier_runs_in(tmp_path):
    lesson = make_lesson()
    learn(lesson, COURSE, Session(folder=tmp_path))
    state = load_state(tmp_path, "sum")
    assert state is not None
    save_state(tmp_path, "sum", State(step=state.step, tensors=state.tensors, facts={**state.facts, "elapsed_s": 50.0}))
    longer = replace(COURSE, steps=10**6)
    assert learn(make_lesson(), longer, Session(folder=tmp_path, limit_s=50.0)).step == COURSE.steps
    assert learn(make_lesson(), longer, Session(folder=tmp_path, limit_s=50.2)).step > COURSE.steps


def test_progress_counts_samples_and_reaches_its_total(tmp_path):
    told = []
    learn(make_lesson(), COURSE, Session(folder=tmp_path, tell=lambda *what: told.append(what)))
    assert [done for _, done, _ in told] == [8 * (i + 1) for i in range(12)]
    assert {total for _, _, total in told} == {96}


def test_curves_and_sheet_are_drawn(tmp_path):
    from PIL import Image

    learn(make_lesson(), COURSE, Session(folder=tmp_path))
    with Image.open(tmp_path / "sum-curves.png") as curves, Image.open(tmp_path / "sum-sheet.png") as sheet:
        colours = {colour for _, colour in curves.getcolors(10**6)}
        assert {(31, 119, 180), (214, 39, 40)} <= colours
        assert sheet.size == (6, 4)
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name]


def test_the_rate_rises_and_falls():
    course = Course(steps=100, rate=1.0, warm_up=10)
    assert rate_at(course, 0, 0.0) == pytest.approx(0.1)
    assert rate_at(course, 50, 0.5) == pytest.approx(0.5)
    assert rate_at(course, 99, 1.0) == pytest.approx(1e-3)
    assert rate_at(Course(schedule="fixed", rate=1e-5), 99, 0.9) == 1e-5


def test_precision_is_what_was_asked_for():
    for precision, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with autocast("cpu", precision):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is kind
    with autocast("mps", "auto"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32


def test_chance_differs_by_seed_name_and_step():
    drawn = {chance(seed, name, step) for seed in range(5) for name in ("mouth", "ear") for step in range(50)}
    assert len(drawn) == 500
