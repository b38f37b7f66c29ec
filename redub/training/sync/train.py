"""train: a request -> the sync network's weights."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch

from redub.errors import RedubError
from redub.plugin import TrainRequest, choose_device
from redub.speech.sync_features import BANDS
from redub.speech.sync_layers import ClipSync
from redub.speech.syncnet import OwnSync, own_network, read_model, write_own
from redub.training.checkpoint import checksum, read_tensors
from redub.training.course import chance
from redub.training.journal import save_rgb
from redub.training.loop import Learnt, Session, learn
from redub.training.sync.lesson import is_usable, look_at, sync_lesson
from redub.training.sync.recipe import Recipe, choose_recipe, what_matters
from redub.training.sync.samples import Samples, collect
from redub.version import VERSION


def train(request: TrainRequest) -> None:
    """Train the sync network, or go on with it; write the weights once the course is over.

    Raises:
        ConfigError: A setting has an unknown name or an impossible value.
        RedubError: There is nothing to learn from, the work folder does not fit, or the base is another network.
    """
    recipe = choose_recipe(request.recipe, request.settings)
    device = choose_device(request.device)
    network = _start(request, recipe)
    samples = collect(request.pieces, request.work / "samples", request.tell)
    if not is_usable(samples, recipe):
        raise RedubError("Every piece of the footage is too short to learn from.", "Name longer footage, or lower draw.instants.")
    facts = json.loads(
        json.dumps({**what_matters(recipe), "samples_there": samples.stretches[-1].stop, "start": checksum(dict(network.state_dict()))})
    )
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    session = Session(folder=request.work, seed=request.seed, limit_s=request.limit_s, tell=request.tell)
    learnt = learn(
        sync_lesson(network, samples, recipe, request.seed, device), recipe.sync, session, facts, anew=recipe.stage == "sync"
    )  # fmt: skip
    if learnt.is_complete:
        _write(request, recipe, network, samples, learnt, device)


def _start(request: TrainRequest, recipe: Recipe) -> ClipSync:
    """Make the network, from the seed or from a base."""
    torch.manual_seed(chance(request.seed, "start"))
    network = ClipSync(width=recipe.width, features=recipe.features, bands=BANDS, dropout=recipe.dropout)
    if request.base is not None:
        base = read_model(request.base)
        if not isinstance(base, OwnSync):
            raise RedubError(f"The base {request.base.name} is not a network that redub trains.", "Name weights of  redub train sync.")
        try:
            # What reads has its norms put into its convolutions; what learns on needs them apart.
            network.load_state_dict(own_network(*read_tensors(request.base)).state_dict())
        except RuntimeError as error:
            shape = f"width {base.network.width:g} and {base.network.features} features"
            raise RedubError(f"The base {request.base.name} has {shape}.", "Set width and features to these.") from error
    return network


def _write(request: TrainRequest, recipe: Recipe, network: ClipSync, samples: Samples, learnt: Learnt, device: str) -> None:
    """Measure the result once more, and write weights, picture and numbers."""
    network.eval()
    looked = look_at(network, samples, recipe, device)
    if looked.picture is not None:
        save_rgb(looked.picture, request.work / "result-sheet.png")
    (request.work / "result.json").write_text(json.dumps(looked.values) + "\n", encoding="utf-8")
    rows = [[one.name, one.speaker, one.is_held_out, len(one)] for one in samples.stretches]
    metadata = {
        "recipe": request.recipe or "own", "settings": json.dumps(dict(request.settings)), "seed": str(request.seed),
        "steps": str(learnt.step), "redub": VERSION, "speakers": str(len({one.speaker for one in samples.learnt_from})),
        "instants": str(int(np.sum([len(one) for one in samples.learnt_from]))),
        "footage_sha256": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
        **{f"held_out_{name}": f"{value:.4g}" for name, value in looked.values.items()},
    }  # fmt: skip
    write_own(request.output, network, metadata)
