"""train: a request -> weights of one person.  What ``redub train lumierenet`` does.

Three stages, as in section 4.4: first the VAE, then the ear and SeqPix2Pix, which need only the VAE's codes.  Each has checkpoints of
its own: a run that was stopped goes on with the stage it was in, and one stage can be learnt anew without the others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from redub.errors import ConfigError, RedubError
from redub.faces.geometry import similarity_from_points
from redub.faces.recognition import describe_face
from redub.media.still import still_frame
from redub.plugin import TrainRequest, choose_device
from redub.training.checkpoint import checksum, load_state
from redub.training.course import Course, chance
from redub.training.loop import Learnt, Lesson, Session, learn
from redub.types import Doubles, Floats
from redub.version import VERSION
from redub_lumierenet.densepose import choose_estimator
from redub_lumierenet.desk import Desk, make_desk, seen_rows
from redub_lumierenet.hearing import Known, as_painted, find_anchor, find_gain, folded, hear, hearing_lesson, know
from redub_lumierenet.losses import load_vgg
from redub_lumierenet.networks import VAE, Ear
from redub_lumierenet.painting import SeqPix2Pix, painting_lesson, targets
from redub_lumierenet.poses import find_codes, pose_lesson
from redub_lumierenet.reach import find_reach
from redub_lumierenet.recipe import STAGES, Recipe, StageName, choose_recipe, stage_limit_s, what_matters
from redub_lumierenet.samples import SIDE, Samples, collect
from redub_lumierenet.weights import shape_facts, write_weights

FACES = 12
"""Frames from which it is found what the person's face is like."""


def train(request: TrainRequest) -> None:
    """Train LumiereNet; write the weights once all stages are complete.

    Raises:
        ConfigError: A setting has an unknown name or an impossible value.
        RedubError: There is nothing to learn from, or the work folder does not fit.
    """
    recipe = choose_recipe(request.recipe, request.settings)
    if request.base is not None:
        raise ConfigError("LumiereNet begins with nothing: a base would be somebody else's face.", "Leave --base out.")
    device = choose_device(request.device)
    _check_begun(request, recipe)
    if recipe.features == "vgg19":
        # What is bound to fail must not cost an hour of figures first.
        load_vgg(Path(recipe.vgg19))
    samples = collect(
        request.pieces, request.work / "samples", recipe.figure, lambda: choose_estimator(recipe.figure, device), request.tell,
        recipe.speaker,
    )  # fmt: skip
    if not seen_rows(samples, samples.learnt_from):
        raise RedubError("No face is in the picture, which is the largest centred square of each frame.", "Cut the speaker out first.")
    if not targets(samples, recipe.seq.every):
        raise RedubError("No three consecutive frames show something new.", "Name longer footage, or lower seq.every.")
    training = _Training(request=request, desk=make_desk(recipe, samples, device, request.seed))
    for stage in recipe.stages:
        training.run(stage)
    if all(stage in training.learnt and training.learnt[stage].is_complete for stage in STAGES):
        training.write()


def _check_begun(request: TrainRequest, recipe: Recipe) -> None:
    """Raise `RedubError` where other samples are wanted than a training was begun with: theirs would be deleted."""
    begun = load_state(request.work, "vae")
    if begun is None or recipe.stage == "vae":
        return
    wanted, found = what_matters(recipe, "vae"), begun.facts["settings"]
    differing = ", ".join(name for name in ("figure", "speaker") if found.get(name) != wanted[name])
    if differing:
        raise RedubError(
            f"The stage vae in {request.work} was begun with other values of: {differing}.",
            "Give the same, name another --work, or begin anew with  --set stage=vae",
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _Training:
    """A training in progress."""

    request: TrainRequest
    desk: Desk
    learnt: dict[StageName, Learnt] = field(default_factory=dict)
    vae: VAE = field(init=False)
    ear: Ear = field(init=False)
    seq: SeqPix2Pix = field(init=False)
    codes: Floats = field(init=False)
    known: Known = field(init=False)

    def __post_init__(self) -> None:
        recipe, device = self.desk.recipe, self.desk.device
        torch.manual_seed(chance(self.desk.seed, "start"))
        self.vae = VAE(recipe.figure.side, recipe.vae.width).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ear = Ear(recipe.ear.cells, recipe.ear.dropout).to(device)
        self.seq = SeqPix2Pix(recipe).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.seq.hang(self.desk.usual_picture())

    def run(self, stage: StageName) -> None:
        """Learn a stage, or take over what is there of it."""
        recipe, request = self.desk.recipe, self.request
        is_wanted = recipe.stage in ("", stage)
        if stage != "vae" and not self.learnt["vae"].is_complete:
            if is_wanted:
                raise RedubError(f"The stage {stage} needs the stage vae, which is not complete.", "Learn it first:  --set stage=vae")
            return
        lesson, course = self._lesson(stage)
        limit_s = stage_limit_s(recipe, stage, request.limit_s)
        session = Session(folder=request.work, seed=request.seed, limit_s=limit_s, tell=request.tell)
        try:
            self.learnt[stage] = learn(
                lesson, course, session, self._settings(stage), may_train=is_wanted, anew=recipe.stage == stage
            )  # fmt: skip
        except RedubError:
            if is_wanted or stage == "vae":
                raise
            # It was learnt from another VAE, or otherwise: its own turn will say so.
            return
        if stage == "vae" and self.learnt["vae"].is_complete:
            self.codes = keep_codes(self.desk, self.vae, request.work)
            self.known = know(self.desk.samples, self.codes)

    def _lesson(self, stage: StageName) -> tuple[Lesson[Any], Course]:
        recipe = self.desk.recipe
        if stage == "vae":
            return pose_lesson(self.desk, self.vae), recipe.vae
        if stage == "ear":
            return hearing_lesson(self.desk, self.known, self.ear), recipe.ear
        return painting_lesson(self.desk, self.codes, self.vae, self.seq, self._heard()), recipe.seq

    def _heard(self) -> Floats | None:
        """Return the codes that the ear hears, as the decoder takes them, once the ear is complete."""
        if "ear" not in self.learnt or not self.learnt["ear"].is_complete:
            return None
        heard = hear(self.desk, self.known, self.ear, np.arange(len(self.codes)))
        return as_painted(self.known, heard, *self._manner())

    def _manner(self) -> tuple[float, Floats | None]:
        """Return by how much the ear's mouth is enlarged, and the pose that the rest of it rests on."""
        anchor = find_anchor(self.desk.samples, self.known) if self.desk.recipe.ear.anchor else None
        return find_gain(self.desk, self.known, self.ear), anchor

    def _settings(self, stage: StageName) -> dict[str, Any]:
        """Return what must not change once a stage has begun: its values, and what it stands on."""
        facts = what_matters(self.desk.recipe, stage)
        facts["samples_there"] = len(self.desk.samples.points)
        if stage != "vae":
            facts["vae"] = checksum(self.vae.state_dict())
        if stage != "ear":
            facts["compared_by"] = checksum(self.desk.vgg.state_dict())
        return json.loads(json.dumps(facts))  # type: ignore[no-any-return]

    def _reach(self, gain: float, anchor: Floats | None) -> float:
        if self.desk.recipe.ear.most_reach == 1:
            return 1.0
        heard = hear(self.desk, self.known, self.ear, np.arange(len(self.codes)))
        return find_reach(self.desk, self.known, heard, lambda codes: self.seq.paint(self.vae.decoder(codes)).float(), (gain, anchor))

    def write(self) -> None:
        """Put the parts together and write the weights."""
        desk, recipe, request = self.desk, self.desk.recipe, self.request
        gain, anchor = self._manner()
        reach = self._reach(gain, anchor)
        tensors: dict[str, Tensor] = {f"ear.{name}": value for name, value in folded(self.known, self.ear, gain * reach, anchor).items()}
        for name, network in (("decoder", self.vae.decoder), ("generator", self.seq.generator)):
            tensors |= {f"{name}.{key}": value for key, value in _state(network).items()}
        found = {f"held_out_{stage}_{name}": value for stage, one in self.learnt.items() for name, value in one.values.items()}
        metadata = {
            **shape_facts(recipe), "frame_rate": str(desk.samples.rate_hz), "gain": f"{gain:.4g}", "reach": f"{reach:.4g}",
            "face": json.dumps([round(float(one), 5) for one in describe_person(desk.samples)]), "consent": request.consent,
            "figures": recipe.figure.source, "recipe": request.recipe or "own", "settings": json.dumps(dict(request.settings)),
            "seed": str(desk.seed), "redub": VERSION, "frames": str(sum(map(len, desk.samples.learnt_from))),
            "odd_pieces": str(sum(one.is_odd for one in desk.samples.stretches)),
            "steps": ",".join(f"{name}:{learnt.step}" for name, learnt in self.learnt.items()),
            **{name: f"{value:.4g}" for name, value in found.items()},
        }  # fmt: skip
        write_weights(request.output, tensors, metadata)


def keep_codes(desk: Desk, vae: VAE, folder: Path) -> Floats:
    """Return the codes of all figures, from a file if this VAE has found them before."""
    path = folder / f"codes-{checksum(vae.state_dict())}.npy"
    if path.exists():
        try:
            codes: Floats = np.load(path, allow_pickle=False)
            if len(codes) == len(desk.samples.points):
                return codes
        except (OSError, ValueError, EOFError):
            pass  # found anew
    codes = find_codes(desk, vae)
    for old in folder.glob("codes-*.npy"):
        old.unlink(missing_ok=True)
    np.save(path, codes)
    return codes


def describe_person(samples: Samples) -> Doubles:
    """Return the mean descriptor of the person's face, of frames spread over all that is learnt from: (128,)."""
    rows = np.concatenate(seen_rows(samples, samples.learnt_from))
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, FACES).astype(int))]
    places = similarity_from_points(samples.points[rows].astype(np.float64) * SIDE - 0.5)
    found = [describe_face(still_frame(picture), place) for picture, place in zip(samples.pictures(rows), places, strict=True)]
    mean: Doubles = np.mean(found, axis=0)
    return mean


def _state(network: nn.Module) -> dict[str, Tensor]:
    # What batch norms count is of no use any more.
    return {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
