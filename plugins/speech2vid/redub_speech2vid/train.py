"""train: a request -> weights.  What ``redub train speech2vid`` does.

Each stage is learnt by the same loop, with checkpoints of its own: a run that was stopped goes on with the stage it was
in, and one stage can be learnt anew without the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from redub.errors import ConfigError, RedubError
from redub.plugin import TrainRequest, choose_device
from redub.training.checkpoint import checksum
from redub.training.course import Course, chance
from redub.training.journal import save_rgb
from redub.training.loop import Learnt, Lesson, Session, learn
from redub.version import VERSION
from redub_speech2vid.codes import Basis, fit_basis, mirrored, mouth_shapes
from redub_speech2vid.content import Reader, load_vgg, random_vgg, start_identity
from redub_speech2vid.critic import Critic
from redub_speech2vid.desk import Desk, held_out, sheet
from redub_speech2vid.draws import Drawer
from redub_speech2vid.ear import Ear, ear_lesson, find_gain, fold
from redub_speech2vid.incontext import InContext
from redub_speech2vid.lessons import Content, Network, Painter, Teacher, joint_lesson, mouth_lesson, paint_heard, reader_lesson
from redub_speech2vid.model import STILLS, Sharpener, Speech2Vid
from redub_speech2vid.norms import NormedDecoder
from redub_speech2vid.pictures import Mouths, finish, on_device
from redub_speech2vid.recipe import Recipe, StageName, build_facts, choose_recipe, in_epochs, stage_limit_s, uses_reader, what_matters
from redub_speech2vid.samples import Samples, collect
from redub_speech2vid.sharpen import sharpen_lesson
from redub_speech2vid.weights import SHARPENER, TEACHER, Base, context_build, read_base, write_weights

CALIBRATED_ON = 6
"""Batches that the norms of a base are found from."""
BASIS_SHAPES = 200_000
"""Shapes that the components are found from, at most."""


def train(request: TrainRequest) -> None:
    """Train Speech2Vid; write the weights once all stages of the recipe are complete.

    Raises:
        ConfigError: A setting has an unknown name or an impossible value.
        RedubError: There is nothing to learn from, or the work folder does not fit.
    """
    recipe = choose_recipe(request.recipe, request.settings)
    device = choose_device(request.device)
    base = read_base(request.base, recipe) if request.base is not None else None
    if "ear" in recipe.stages and "mouth" not in recipe.stages and (base is None or not base.teacher):
        raise ConfigError("The ear hears what a mouth was taught to paint, and the stage mouth is left out.", "Give a base with --base.")
    has_ear = base is not None and "gain" in base.teacher
    if recipe.blend == "network" and not has_ear and not {"ear", "joint"} & set(recipe.stages):
        hint = "Name one with --base, or learn to hear as well:  --set stages=reader,mouth,ear"
        raise ConfigError("What paints in context hears with the ear of a base, and none is named.", hint)
    canvas = recipe.canvas
    samples = collect(request.pieces, request.work / "samples", recipe.samples, request.seed, request.tell, canvas.input_px)
    drawer = Drawer(samples, recipe.draw)
    if not len(drawer.rows):
        raise RedubError("Every piece of the footage is too short to learn from.", "Name longer footage, or lower draw.gap_frames.")
    basis = (base.basis() if base is not None else None) or _find_basis(samples)
    mouths = Mouths(samples, basis)
    desk = Desk(recipe=recipe, samples=samples, mouths=mouths, drawer=drawer, device=device, seed=request.seed, canvas=canvas)
    training = _Training(request=request, desk=desk, basis=basis, base=base, parts=_make_parts(desk, base))
    for stage in recipe.stages:
        training.run(stage)
    if all(learnt.is_complete for learnt in training.learnt.values()):
        training.write()


def _find_basis(samples: Samples) -> Basis:
    """Find the components of the mouth's shape in what is learnt from, and in a mirror."""
    stretches = samples.learnt_from
    step = max(1, sum(map(len, stretches)) // BASIS_SHAPES)
    points = [np.asarray(samples.points[one.start : one.stop]) for one in stretches]
    return fit_basis(mouth_shapes(side)[::step] for part in points for side in (part, mirrored(part)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    """Everything that is learnt in some stage."""

    network: Network
    teacher: Teacher
    ear: Ear
    reader: Reader
    sharpener: Sharpener
    content: Content


def _make_parts(desk: Desk, base: Base | None) -> _Parts:
    """Make all networks, from the seed or from a base."""
    recipe = desk.recipe
    torch.manual_seed(chance(desk.seed, "start"))
    network = _make_network(recipe)
    teacher, ear, reader, sharpener = Teacher(), Ear(network.audio, recipe.ear.dropout), Reader(), Sharpener()
    vgg = load_vgg(Path(recipe.loss.vggface), recipe.loss.vggface_input) if recipe.loss.vggface else None
    if recipe.identity == "vggface" and vgg is not None:
        start_identity(network.identity, vgg)
    if base is not None:
        base.fill(network)
        if "fc.weight" in base.teacher:
            teacher.load_state_dict({name: base.teacher[name] for name in ("fc.weight", "fc.bias")})
            ear.head.load_state_dict({name: base.teacher[f"head.{name}"] for name in ("weight", "bias")})
        if base.sharpener:
            sharpener.load_state_dict(base.sharpener)
    choices: dict[str, Callable[[], Content]] = {
        "reader": lambda: reader, "vggface": lambda: vgg, "random": lambda: random_vgg(desk.seed), "none": lambda: None,
    }  # fmt: skip
    for part in (network, teacher, ear, reader, sharpener):
        part.to(desk.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return _Parts(
        network=network, teacher=teacher, ear=ear, reader=reader, sharpener=sharpener, content=choices[recipe.loss.content]()
    )  # fmt: skip


def _make_network(recipe: Recipe) -> Network:
    if recipe.blend == "network":
        return InContext(context_build(build_facts(recipe)))
    return Speech2Vid(skips=recipe.skips, upsampling=recipe.upsampling, width=recipe.width)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Training:
    """A training in progress."""

    request: TrainRequest
    desk: Desk
    basis: Basis
    base: Base | None
    parts: _Parts
    learnt: dict[StageName, Learnt] = field(default_factory=dict)
    extra: dict[str, torch.Tensor] = field(default_factory=dict)
    """Of the teacher: the gain of what is heard."""

    def run(self, stage: StageName) -> None:
        """Learn a stage, or take over what is there of it."""
        recipe, request = self.desk.recipe, self.request
        is_wanted = recipe.stage in ("", stage)
        for needed in self._needed(stage) if is_wanted else ():
            if needed in self.learnt and not self.learnt[needed].is_complete:
                hint = f"Learn it first:  --set stage={needed}"
                raise RedubError(f"The stage {stage} needs the stage {needed}, which is not complete.", hint)
        if stage == "joint" and "ear" in self.learnt:
            self._join()
        lesson, course = self._lesson(stage)
        session = Session(
            folder=request.work, seed=request.seed, limit_s=stage_limit_s(recipe, stage, request.limit_s), tell=request.tell
        )  # fmt: skip
        self.learnt[stage] = learn(
            lesson, course, session, self._settings(stage), may_train=is_wanted, anew=recipe.stage == stage
        )  # fmt: skip

        if stage == "mouth" and isinstance(lesson.model.decoder, NormedDecoder):
            lesson.model.decoder.fold()

    def _needed(self, stage: StageName) -> tuple[StageName, ...]:
        reader: tuple[StageName, ...] = ("reader",) if uses_reader(self.desk.recipe) else ()
        return {"mouth": reader, "joint": (*reader, "mouth", "ear")}.get(stage, ())

    def _lesson(self, stage: StageName) -> tuple[Lesson[Any], Course]:
        desk, parts, recipe = self.desk, self.parts, self.desk.recipe
        if stage == "reader":
            return reader_lesson(desk, parts.reader), recipe.reader
        if stage == "mouth":
            normed = NormedDecoder(parts.network.decoder).to(desk.device) if recipe.norms else None
            is_settled = self.base is not None and self.base.is_same
            if normed is not None and self.base is not None:
                self._calibrate(normed)
            # Whether earlier stages were learnt in this run or before must not matter.
            torch.manual_seed(chance(desk.seed, "critic"))
            critic = Critic(desk.canvas).to(desk.device, memory_format=torch.channels_last) if recipe.loss.critic_weight else None  # type: ignore[call-overload]
            # The norms of a base are settled, unless it is another kind of network.
            course = replace(recipe.mouth, settle=0.0) if is_settled else recipe.mouth
            return mouth_lesson(desk, Painter(parts.network, parts.teacher, normed, critic), parts.content), course
        if stage == "ear":
            return ear_lesson(desk, parts.ear), recipe.ear
        if stage == "joint":
            course = in_epochs(recipe.joint, len(desk.drawer.rows))
            return joint_lesson(desk, parts.network, parts.content, course), course
        return sharpen_lesson(desk, parts.sharpener), recipe.sharpen

    def _calibrate(self, normed: NormedDecoder) -> None:
        """Give the norms of a decoder that was learnt before what they would have come to."""
        desk = self.desk
        painter = Painter(self.parts.network, self.parts.teacher, normed).eval()
        batches = [on_device(desk.batch("calibrate", desk.recipe.mouth, step), desk.device) for step in range(CALIBRATED_ON)]

        def paint() -> None:
            for batch in batches:
                stills, whole = finish(batch)
                painter(batch.codes, painter.scene(painter.identify(stills).repeat(batch.targets.shape[1]), whole))

        normed.calibrate(paint)

    def _settings(self, stage: StageName) -> dict[str, Any]:
        """Return what must not change once a stage has begun: its values, and what it stands on."""
        facts = what_matters(self.desk.recipe, stage)
        facts["samples_there"] = len(self.desk.drawer.rows)
        if stage in ("mouth", "ear"):
            facts["basis"] = checksum({"basis": torch.from_numpy(self.basis.vectors)})
        if stage in ("mouth", "joint") and isinstance(self.parts.content, nn.Module):
            facts["content"] = checksum(dict(self.parts.content.state_dict()))
        if self.base is not None and stage != "reader":
            facts["base"] = checksum(self.base.network)
        return json.loads(json.dumps(facts))  # type: ignore[no-any-return]

    def _join(self) -> None:
        """Give the network its ear."""
        gain = find_gain(self.desk, self.parts.ear) if "ear" in self.learnt or self.base is None else self.base.teacher["gain"]
        fold(self.parts.ear, self.parts.teacher, gain)
        self.extra["gain"] = gain

    def _has_ear(self) -> bool:
        """Say whether the base has learnt to hear; what it hears has to be told to the teacher that was learnt since."""
        return self.base is not None and "gain" in self.base.teacher

    def write(self) -> None:
        """Put the parts together, show what they paint, and write the weights."""
        recipe, parts, desk = self.desk.recipe, self.parts, self.desk
        if "joint" not in self.learnt and ("ear" in self.learnt or self._has_ear()):
            self._join()
        parts.network.eval()
        found = _show_result(desk, parts.network, self.request.work)
        tensors = dict(parts.network.state_dict())
        # Where all was learnt at once in the end, speech no longer goes the way of the teacher.
        if {"mouth", "ear"} & self.learnt.keys() and "joint" not in self.learnt:
            tensors |= self._teacher()
        if "sharpen" in self.learnt:
            tensors |= {SHARPENER + name: tensor for name, tensor in parts.sharpener.state_dict().items()}
        speakers = {one.speaker for one in desk.samples.learnt_from}
        metadata = {
            **build_facts(recipe), "stills": str(STILLS), "sharpen": "1" if recipe.sharpens and "sharpen" in self.learnt else "0",
            "recipe": self.request.recipe or "own", "settings": json.dumps(dict(self.request.settings)), "seed": str(desk.seed),
            "steps": ",".join(f"{name}:{learnt.step}" for name, learnt in self.learnt.items()), "redub": VERSION,
            "speakers": str(len(speakers)), "frames": str(sum(map(len, desk.samples.learnt_from))),
            "footage_sha256": _footage(desk.samples),
            **{f"held_out_{name}": f"{value:.4g}" for name, value in found.items()},
        }  # fmt: skip
        write_weights(self.request.output, tensors, metadata)

    def _teacher(self) -> dict[str, torch.Tensor]:
        parts = self.parts
        tensors = {"fc.weight": parts.teacher.fc.weight, "fc.bias": parts.teacher.fc.bias}
        tensors |= {"basis": torch.from_numpy(self.basis.vectors), "scale": torch.tensor(self.basis.scale)}
        tensors |= {"head.weight": parts.ear.head.weight, "head.bias": parts.ear.head.bias}
        return {TEACHER + name: tensor for name, tensor in {**tensors, **self.extra}.items()}


def _show_result(desk: Desk, network: Network, folder: Path) -> dict[str, float]:
    """Paint held-out pieces from their sound, and as a check from sound that is not theirs; keep sheet and numbers."""
    shown = held_out(desk)
    if not shown:
        return {}
    with torch.no_grad(), desk.autocast():
        heard = [paint_heard(desk, network, one).float() for one in shown]
        swapped = [paint_heard(desk, network, one, shift=len(one.rows) // 2).float() for one in shown]
    values = {
        name: float(np.mean([float(((painted - one.true) ** 2).mean()) * 255**2 for painted, one in zip(kind, shown, strict=True)]))
        for name, kind in (("mse", heard), ("mse_with_other_sound", swapped))
    }
    picture = sheet(desk, shown, heard)
    if picture is not None:
        save_rgb(picture, folder / "result-sheet.png")
    (folder / "result.json").write_text(json.dumps(values) + "\n", encoding="utf-8")
    return values


def _footage(samples: Samples) -> str:
    """Return the sha256 of the list of what there is."""
    rows = [[one.name, one.speaker, one.is_held_out, len(one)] for one in samples.stretches]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
