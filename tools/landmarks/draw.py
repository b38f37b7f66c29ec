"""draw: the face kit -> pictures of people who do not exist, as varied as can be, with their 68 points.

    python tools/landmarks/draw.py --facekit FOLDER -o heads --people 1200

A model of landmarks learns from many people in many poses and lights, and nothing from time.  So a person is drawn eight
times only, with faces made at random rather than by speech, and the jaw's points lie on the edge of the face as it is seen.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redub.faces.cv import load_cv
from redub.footage.clothes import dress
from redub.footage.drawing import Artist, Poses
from redub.footage.kit import Kit, load_kit
from redub.footage.person import make_person
from redub.footage.scene import make_camera, make_light, make_wall
from redub.types import Floats

SIZE_PX, EACH = 240, 8
SHARD = 25
"""People in a file."""
USUAL = {
    "jawOpen": (0.75, 0.85), "mouthLowerDown": (0.5, 0.5), "mouthUpperUp": (0.4, 0.35), "mouthFunnel": (0.3, 0.7),
    "mouthPucker": (0.3, 0.8), "mouthStretch": (0.35, 0.5), "mouthSmile": (0.45, 0.9), "mouthPress": (0.2, 0.6),
    "mouthRollLower": (0.15, 0.6), "mouthRollUpper": (0.15, 0.6), "mouthFrown": (0.15, 0.6), "mouthLeft": (0.07, 0.5),
    "mouthRight": (0.07, 0.5), "jawLeft": (0.07, 0.5), "jawRight": (0.07, 0.5), "jawForward": (0.07, 0.5),
    "mouthDimple": (0.1, 0.6), "mouthShrugLower": (0.1, 0.6), "mouthShrugUpper": (0.1, 0.5), "browDown": (0.25, 0.9),
    "browInnerUp": (0.3, 0.9), "browOuterUp": (0.3, 0.9), "eyeBlink": (0.6, 0.35), "eyeSquint": (0.4, 0.7),
    "eyeWide": (0.25, 0.7), "cheekSquint": (0.3, 0.7), "cheekPuff": (0.07, 0.6), "noseSneer": (0.12, 0.7),
}  # fmt: skip
"""How often each expression of the kit is made, and how far it then goes at most."""


def make_faces(kit: Kit, count: int, chance: np.random.Generator) -> Floats:
    """Return weights (T, E) of faces that have nothing to do with each other."""
    rows = []
    for _ in range(count):
        wanted = {name: chance.beta(1.0, 1.6) * most for name, (often, most) in USUAL.items() if chance.random() < often}
        if chance.random() < 0.2:
            wanted = {name: 0.25 * value for name, value in wanted.items()}
        if chance.random() < 0.08:
            wanted["eyeBlink"] = chance.uniform(0.7, 1.0)
        side, up = chance.normal(0, 0.3, 2)
        wanted |= {
            "eyeLookOut_L": side,
            "eyeLookIn_R": side,
            "eyeLookIn_L": -side,
            "eyeLookOut_R": -side,
            "eyeLookUp": up,
            "eyeLookDown": -up,
        }
        row = kit.weights({name: float(np.clip(value, 0, 1)) for name, value in wanted.items()})
        uneven = chance.normal(1, 0.12, len(row)) if chance.random() < 0.7 else chance.uniform(0.4, 1.4, len(row))
        rows.append(np.clip(row * uneven, 0, 1))
    return np.stack(rows).astype(np.float32)


def make_poses(facing: tuple[float, float], count: int, chance: np.random.Generator) -> Poses:
    """Return poses near one, so that what is hidden in it stays so."""
    return Poses(
        yaw=facing[0] + chance.normal(0, 0.10, count), pitch=facing[1] + chance.normal(0, 0.07, count),
        roll=chance.normal(0, 0.10, count), across=chance.normal(0, 0.5, count), up=chance.normal(0, 0.4, count),
        sway=np.zeros((count, 2)),
    )  # fmt: skip


def portray(kit: Kit, seed: int, number: int) -> tuple[NDArray[np.uint8], Floats]:
    """Draw a person: pictures (EACH, S, S) in grey, and points (EACH, 68, 2) px."""
    chance = np.random.default_rng([seed, 9, number])
    wide = chance.random() < 0.35
    facing = (float(chance.uniform(-0.75, 0.75) if wide else chance.normal(0, 0.2)), float(np.clip(chance.normal(0.02, 0.14), -0.4, 0.4)))
    light, camera = make_light(chance), make_camera(chance, SIZE_PX)
    artist = Artist(
        kit, make_person(seed, number, len(kit.identities)), light, camera, make_wall(chance, SIZE_PX, light), dress(chance), facing
    )
    pictures, points = [], []
    for picture, places, edge in artist.draw(make_faces(kit, EACH, chance), make_poses(facing, EACH, chance), int(chance.integers(2**31))):
        pictures.append(load_cv().cvtColor(picture, load_cv().COLOR_RGB2GRAY))
        points.append(np.concatenate([edge, places[len(edge) :]]))
    return np.stack(pictures), np.stack(points)


def main() -> None:
    """Draw what is not there yet."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--facekit", type=Path, required=True, help="the folder of ict_facekit_light.npz")
    options.add_argument("-o", "--output", type=Path, required=True, help="a folder; completed if it is there")
    options.add_argument("--people", type=int, default=1200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--first", type=int, default=0, help="the first person, for several processes")
    given = options.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    kit, began = load_kit(given.facekit), time.monotonic()
    for start in range(given.first, given.people, SHARD):
        path = given.output / f"{start:05d}.npz"
        if path.exists():
            continue
        made = [portray(kit, given.seed, number) for number in range(start, min(start + SHARD, given.people))]
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, pictures=np.concatenate([one for one, _ in made]), points=np.concatenate([one for _, one in made]))
        part.replace(path)
        print(f"{start + SHARD} of {given.people} people, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
