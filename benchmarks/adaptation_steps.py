"""How many steps of adapting bring a person's held-out frames how near, from one base and from another.

    redub pack clips.json --set ... -o unseen.pack
    python benchmarks/adaptation_steps.py unseen.pack real=real.safetensors rendered=rendered.safetensors --steps 150

For each speaker of the pack with two recordings or more, the last one is held out and the decoder adapted to the others, as
``redub adapt --blend poisson`` does it, in fewer steps.  Printed is the loss over the held-out frames, painted from the true
shape of the mouth, on the way; and at which step it is below what the first base ends with.  The rate falls to nothing by the
last step, so the way depends on how long it is.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from redub_speech2vid.adapt import held_out_error, learn_face, prepare
from redub_speech2vid.canvas import PLAIN
from redub_speech2vid.codes import Basis
from redub_speech2vid.lessons import Painter, Teacher
from redub_speech2vid.weights import TEACHER, network_from

from redub.plugin import AdaptRequest, Blend, Piece
from redub.training.checkpoint import read_tensors
from redub.training.pack import read_pack


def way(weights: Path, pieces: Sequence[Piece], steps: int, every: int) -> list[float]:
    """Return the held-out loss before the first step and after every so many."""
    tensors, metadata = read_tensors(weights)
    teaching = {name.removeprefix(TEACHER): tensor.float() for name, tensor in tensors.items() if name.startswith(TEACHER)}
    network = network_from(tensors, metadata).eval()
    footage = prepare(pieces, Basis(vectors=teaching["basis"].numpy(), scale=float(teaching["scale"])), "cpu", PLAIN)
    teacher = Teacher()
    teacher.load_state_dict({name: teaching[name] for name in ("fc.weight", "fc.bias")})
    painter = Painter(network, teacher)
    found = [held_out_error(painter, footage)]

    def look(_: str, done: int, __: int | None) -> None:
        if done % every == 0:
            found.append(held_out_error(painter, footage))

    request = AdaptRequest(pieces=pieces, mode=Blend.POISSON, weights={}, output=Path(), tell=look)
    learn_face(painter, footage, request, steps)
    return found


def main() -> None:
    """Print one table over the speakers, and their mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("bases", nargs="+", metavar="NAME=WEIGHTS")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--every", type=int, default=15)
    asked = parser.parse_args()
    speakers: dict[str, list[Piece]] = defaultdict(list)
    for piece in read_pack(asked.pack):
        speakers[piece.speaker].append(piece)
    known = {name: pieces for name, pieces in speakers.items() if len({piece.source for piece in pieces}) > 1}
    if not known:
        raise SystemExit("No speaker of the pack has two recordings.")
    looks = range(0, asked.steps + 1, asked.every)
    print(f"| | {' | '.join(map(str, looks))} | as near as the first |", f"|---|{'---:|' * (len(looks) + 1)}", sep="\n")
    goal: float | None = None
    for name, path in (one.split("=", 1) for one in asked.bases):
        rows = []
        for speaker, pieces in known.items():
            last = max(piece.source for piece in pieces)
            dealt = [replace(piece, is_held_out=piece.source == last) for piece in pieces]
            rows.append(way(Path(path), dealt, asked.steps, asked.every))
            print(f"| {name}: {speaker} | {' | '.join(f'{loss:.4f}' for loss in rows[-1])} | |", flush=True)
        mean = np.mean(rows, axis=0)
        goal = float(mean[-1]) if goal is None else goal
        passed = next((place * asked.every for place, loss in enumerate(mean) if loss <= goal), None)
        print(f"| {name} | {' | '.join(f'{loss:.4f}' for loss in mean)} | {passed if passed is not None else 'never'} |", flush=True)


if __name__ == "__main__":
    main()
