"""train: drawn heads -> the landmark network that comes with the engine.

    python tools/landmarks/draw.py --facekit FOLDER -o heads
    python tools/landmarks/train.py heads -o landmarks.safetensors

Stopped, the same command goes on from the last checkpoint.  Every tenth person is held out, and measured at the end.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from draw import EACH
from safetensors.torch import load_file, save_file
from torch import Tensor
from vary import place_of, take

from redub.faces.landmark_layers import CROP_PX, STRIDE, LandmarkNet
from redub.faces.landmark_net import KIND
from redub.types import Floats

GROUPS = {"jaw": slice(0, 17), "brows": slice(17, 27), "nose": slice(27, 36), "eyes": slice(36, 48), "mouth": slice(48, 68)}
BATCH = 32
RATE = 3e-3
BLUR_PX = 3.5
"""Spread of the bump that a point's map is to show."""
MAP_WEIGHT = 0.1
EVERY = 100
"""Steps between checkpoints."""


class Heads:
    """What `draw.py` drew: pictures (N, S, S), points (N, 68, 2), and the places of the faces."""

    def __init__(self, folder: Path) -> None:
        shards = [np.load(path) for path in sorted(folder.glob("*.npz"))]
        if not shards:
            raise SystemExit(f"There are no heads in {folder}; draw.py makes them.")
        self.pictures = np.concatenate([shard["pictures"] for shard in shards])
        self.points = np.concatenate([shard["points"] for shard in shards]).astype(np.float64)
        self.places = np.stack([place_of(points) for points in self.points])
        is_held = np.arange(len(self.points)) // EACH % 10 == 1
        self.learnt, self.held = np.flatnonzero(~is_held), np.flatnonzero(is_held)

    def batch(self, which: Any, chance: np.random.Generator | None) -> tuple[Tensor, Tensor]:
        """Return crops (B, 1, 96, 96) and their points (B, 68, 2)."""
        taken = [take(self.pictures[i], self.points[i], self.places[i], chance) for i in which]
        return torch.from_numpy(np.stack([crop for crop, _ in taken])[:, None]), torch.from_numpy(np.stack([at for _, at in taken]))


def loss_of(points: Tensor, maps: Tensor, true: Tensor) -> Tensor:
    """Return how far points (B, 68, 2) are off, and how far their maps (B, 68, N) are from a bump there; what lies outside is left out."""
    inside = ((true > 0) & (true < CROP_PX - 1)).all(-1).float()
    off = (points - true).abs().sum(-1) / STRIDE
    # Small errors count as much as large ones: the square root's slope, from a tenth of a cell on.
    near = torch.log1p(off / 0.1)
    at = torch.arange(CROP_PX // STRIDE) * STRIDE + (STRIDE - 1) / 2
    bump = -((true[..., None] - at) ** 2) / (2 * BLUR_PX**2)  # B, 68, 2, 24
    wanted = (bump[..., 1, :, None] + bump[..., 0, None, :]).flatten(2).softmax(-1)
    cross = -(wanted * maps.log_softmax(-1)).sum(-1)
    return (((0.5 * near + MAP_WEIGHT * cross) * inside).sum()) / inside.sum()


def errors(network: LandmarkNet, heads: Heads, chance: np.random.Generator | None) -> Floats:
    """Return the error (M, 68) on people who were held out, in percent of the distance between the eyes."""
    network.eval()
    found = []
    with torch.inference_mode():
        for begin in range(0, len(heads.held), BATCH):
            crops, true = heads.batch(heads.held[begin : begin + BATCH], chance)
            apart = (true[:, 42:48].mean(1) - true[:, 36:42].mean(1)).norm(dim=-1)
            found.append((network(crops)[0] - true).norm(dim=-1) / apart[:, None] * 100)
    network.train()
    return np.asarray(torch.cat(found).numpy())


def told(error: Floats) -> str:
    """Say the mean error, of all points and by groups."""
    return f"{error.mean():.2f} %: " + ", ".join(f"{name} {error[:, part].mean():.2f}" for name, part in GROUPS.items())


def save(path: Path, step: int, network: LandmarkNet, optimizer: torch.optim.Optimizer) -> None:
    """Write a checkpoint, whole or not at all."""
    part = path.with_suffix(".part")
    torch.save({"step": step, "network": network.state_dict(), "optimizer": optimizer.state_dict()}, part)
    part.replace(path)


def learn(given: argparse.Namespace, heads: Heads, network: LandmarkNet) -> None:
    """Train, from the last checkpoint if there is one."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=given.rate, weight_decay=1e-3)
    checkpoint = given.output.with_suffix(".checkpoint")
    first, shown, began = 0, 0.0, time.process_time()
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        first = kept["step"]
        network.load_state_dict({"manner": network.manner, **kept["network"]})
        optimizer.load_state_dict(kept["optimizer"])
    for step in range(first, given.steps):
        optimizer.param_groups[0]["lr"] = given.rate * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * step / given.steps))
        chance = np.random.default_rng([given.seed, step])
        crops, true = heads.batch(chance.choice(heads.learnt, BATCH), chance)
        with torch.autocast("cpu", torch.bfloat16, enabled=given.bfloat16):
            points, maps = network(crops.to(memory_format=torch.channels_last))
        loss = loss_of(points, maps, true)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        shown += loss.item()
        if (step + 1) % EVERY == 0:
            print(f"{step + 1}: {shown / EVERY:.3f}, {time.process_time() - began:.0f} s of processor time", flush=True)
            shown = 0.0
            save(checkpoint, step + 1, network, optimizer)
        if (step + 1) % (10 * EVERY) == 0:
            print(f"held out: {told(errors(network, heads, None))}", flush=True)


def main() -> None:
    """Train, measure, and write the weights."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("heads", type=Path)
    options.add_argument("-o", "--output", type=Path, required=True)
    options.add_argument("--steps", type=int, default=6000)
    options.add_argument("--base", type=Path, help="weights to start from")
    options.add_argument("--rate", type=float, default=RATE)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--bfloat16", action="store_true", help="faster where the processor has it")
    given = options.parse_args()
    torch.manual_seed(given.seed)
    heads, network = Heads(given.heads), LandmarkNet().to(memory_format=torch.channels_last)
    if given.base is not None:
        network.load_state_dict({**load_file(given.base), "manner": network.manner})
    learn(given, heads, network)
    print(f"held out: {told(errors(network, heads, None))}")
    print(f"held out, spoilt: {told(errors(network, heads, np.random.default_rng(1)))}")
    kept = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(kept, given.output, {"kind": KIND, "people": str(len(heads.points) // EACH), "steps": str(given.steps)})


if __name__ == "__main__":
    main()
