"""What rendered people teach an ear that is to hear real ones: rows that differ in footage alone, with equal steps and seed.

    redub pack clips.json -o real.pack --size 224
    redub make-footage --facekit KIT -o heads && redub pack heads/clips.json -o heads.pack
    python benchmarks/pretraining.py speech2vid.safetensors real.pack heads.pack FOLDER --judge NAME=OTHER.pack ...

In each row the ear of Speech2Vid (its audio encoder, and the layer that turns what it hears into the mouth's shape) begins from
drawn weights and learns by  redub train --set stages=ear.  It is judged by packs that it learnt nothing of, whose lips and sound are
taken to fit as they are:

- *follows*: how the opening that is heard goes with the one that is seen, without slow change, while somebody speaks; mean over pieces;
- *moves*: its standard deviation as a share of the true one's, with the gain that training ends with.

Every row's weights are whole ones, so that  redub evaluate --weights  can say what is painted by them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from redub_speech2vid.codes import Basis, mouth_shapes, relative_opening
from redub_speech2vid.ear import Ear
from redub_speech2vid.model import Speech2Vid
from redub_speech2vid.voices import loudness
from redub_speech2vid.weights import TEACHER, network_from
from torch import nn

from redub.metrics.series import follow, speech_frames
from redub.speech.features import speech_windows
from redub.training.checkpoint import read_tensors, write_tensors
from redub.training.pack import read_pack

REAL, RENDERED, BOTH = "real", "rendered", "both"
ROWS = {"real": (REAL,), "rendered": (RENDERED,), "both": (BOTH,), "rendered, then real": (RENDERED, REAL)}
"""What is learnt from, one after the other, the given steps each."""
LEAST_FRAMES = 25


def forget(base: Path, output: Path, seed: int) -> None:
    """Write weights whose ear has learnt nothing."""
    tensors, metadata = read_tensors(base)
    torch.manual_seed(seed)
    network = network_from(tensors, metadata)
    for module in network.audio.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.reset_parameters()
    changed = {f"audio.{name}": tensor for name, tensor in network.audio.state_dict().items()}
    changed |= {f"{TEACHER}head.{name}": tensor for name, tensor in Ear(network.audio, 0.0).head.state_dict().items()}
    write_tensors(output, {name: changed.get(name, tensor).contiguous() for name, tensor in tensors.items()}, metadata)


def train(base: Path, packs: Sequence[Path], work: Path, output: Path, steps: int, given: Sequence[str]) -> None:
    """Teach the ear of a base."""
    values = ("stages=ear", "stage=ear", f"ear.steps={steps}", f"ear.look_every={max(1, steps // 8)}", *given)
    settings = [part for one in values for part in ("--set", one)]
    # A work folder holds samples, which are large and the same for all rows, and a training, which is not.
    command = [sys.executable, "-m", "redub", "train", "speech2vid", *map(str, packs), "-o", str(output), "--work", str(work), "--force"]
    for old in work.glob("ear*"):
        old.unlink()
    subprocess.run([*command, "--base", str(base), *settings, "--quiet"], check=True)
    (work / "ear.jsonl").replace(output.with_suffix(".jsonl"))


def judge(weights: Path, pack: Path) -> tuple[float, float, int]:
    """Return how what is heard follows the mouths of a pack, how far it moves, and of how many pieces that is the mean."""
    tensors, metadata = read_tensors(weights)
    network = network_from(tensors, metadata)
    assert isinstance(network, Speech2Vid)
    teaching = {name.removeprefix(TEACHER): tensor.float() for name, tensor in tensors.items() if name.startswith(TEACHER)}
    basis = Basis(vectors=teaching["basis"].numpy(), scale=float(teaching["scale"]))
    found = []
    for piece in read_pack(pack):
        if len(piece.times_s) < LEAST_FRAMES:
            continue
        with torch.inference_mode():
            hidden = network.audio.hidden(torch.from_numpy(speech_windows(piece.speech, piece.times_s))[:, None]).flatten(1)
        heard = (hidden @ teaching["head.weight"].T + teaching["head.bias"]).double().numpy()
        rate_hz = 1 / float(np.median(np.diff(piece.times_s)))
        counts = speech_frames(loudness(piece.speech, piece.times_s).astype(np.float64))
        opening = follow(heard[:, -1], relative_opening(piece.points).astype(np.float64), counts, rate_hz)
        # The opening is heard beside the shape and not painted; how far a painted mouth moves is a matter of the shape.
        true = basis.encode(mouth_shapes(piece.points))[:, 0].astype(np.float64)
        shape = follow(heard[:, 0] * float(teaching["gain"][0]), true, counts, rate_hz)
        if np.isfinite(opening.following):
            found.append((opening.following, shape.spread))
    follows, moves = np.mean(found, axis=0)
    return float(follows), float(moves), len(found)


def main() -> None:
    """Train and judge all rows; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("real", type=Path)
    parser.add_argument("rendered", type=Path)
    parser.add_argument("folder", type=Path, help="for samples and weights; what is there is not trained again")
    parser.add_argument("--judge", action="append", default=[], metavar="NAME=PACK")
    parser.add_argument("--steps", type=int, default=400, help="for each kind of footage")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every row")
    asked = parser.parse_args()
    judges = {name: Path(path) for name, path in (one.split("=", 1) for one in asked.judge)}
    packs = {REAL: [asked.real], RENDERED: [asked.rendered], BOTH: [asked.real, asked.rendered]}
    asked.folder.mkdir(parents=True, exist_ok=True)
    forget(asked.base, asked.folder / "deaf.safetensors", 0)
    print(f"| learnt from | {' | '.join(f'{name}: follows | moves' for name in judges)} |\n|---|{'---:|' * 2 * len(judges)}")
    results = {"as shipped": asked.base}
    for name, parts in ROWS.items():
        before = asked.folder / "deaf.safetensors"
        for place, footage in enumerate(parts, 1):
            output = asked.folder / f"{'-'.join(parts[:place])}.safetensors"
            if not output.exists():
                train(before, packs[footage], asked.folder / f"work-{footage}", output, asked.steps, asked.set)
            before = output
        results[name] = before
    table = {name: {key: judge(path, pack) for key, pack in judges.items()} for name, path in results.items()}
    for name, found in table.items():
        print(f"| {name} | {' | '.join(f'{follows:.2f} | {moves:.2f}' for follows, moves, _ in found.values())} |", flush=True)
    (asked.folder / "pretraining.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
