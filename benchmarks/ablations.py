"""Leave out one part of Speech2Vid after another, as in Table 2 of the paper, with equal steps and seed.

    redub pack FOOTAGE -o footage.pack
    python benchmarks/ablations.py footage.pack ablations/ --steps 1500 --set width=0.25

The decoder and the identity encoder are trained from the true shape of the mouth (stage *mouth*), so that no row is
better or worse because of what it heard.  Each row is measured on held-out pieces of the pack, stills from their
first half, painted frames from their second:

- *MSE*: over the whole painted picture, levels of 255 squared.
- *sharpness*: gradient energy around the mouth, as a share of the true pictures'.
- *following*, *spread*: the opening that dlib's landmarks read from the painted pictures, against the true one: correlation without the
  slow change, and ratio of standard deviations.
- *identity*: distance of dlib's descriptors, painted to true.

Every second row is the same network with its pictures sharpened by the network of section 3.3, trained once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from redub_speech2vid.canvas import PLAIN
from redub_speech2vid.codes import Basis, mouth_shapes
from redub_speech2vid.desk import as_picture
from redub_speech2vid.lessons import Painter, Teacher
from redub_speech2vid.model import INPUT_PX, Sharpener
from redub_speech2vid.pictures import as_floats, join
from redub_speech2vid.plugin import INFO
from redub_speech2vid.weights import SHARPENER, TEACHER, network_from
from torch import Tensor

from redub.choices import YARDSTICK
from redub.faces.landmarks import find_landmarks, mouth_openness
from redub.metrics.identity import describe
from redub.metrics.series import correlation, high_pass
from redub.plugin import Blend, Mode, Piece
from redub.stages.crops import REFERENCE_SHARES
from redub.training.checkpoint import read_tensors
from redub.training.pack import read_pack
from redub.types import RGB, Doubles

PAPER = {
    "skips": "relu2,pool1", "norms": "false", "draw.evenly": "0", "loss.content": "none", "loss.gradient_weight": "0",
    "loss.focus": "false", "loss.register": "false", "loss.critic_weight": "0",
}  # fmt: skip
RANDOM = {**PAPER, "loss.content": "random"}
NORMED = {**RANDOM, "norms": "true"}
THIRD = {**NORMED, "skips": "relu2,pool1,relu1"}
READ = {**THIRD, "loss.content": "reader", "loss.gradient_weight": "1", "loss.focus": "true"}
REGISTERED = {**READ, "loss.register": "true", "draw.evenly": "0.5"}
ROWS: dict[str, dict[str, str]] = {
    "no skips, five stills, transposed": {**PAPER, "skips": "", "upsampling": "transposed"},
    "two skips, one still, transposed": {**PAPER, "picture.single": "1", "upsampling": "transposed"},
    "two skips, five stills, transposed": {**PAPER, "upsampling": "transposed"},
    "and content loss": {**RANDOM, "upsampling": "transposed"},
    "and bilinear in place of transposed": RANDOM,
    "ours: and norms while it learns": NORMED,
    "ours: and a third skip": THIRD,
    "ours: and gradients, focus on the mouth, the reader": READ,
    "ours: and registration, open mouths more often": REGISTERED,
    "ours: and a critic": {**REGISTERED, "loss.critic_weight": "0.01"},
}
"""The paper's rows (2) to (6), then ours, each with something more."""
MOUTH = (slice(None), slice(60, 90), slice(35, 75))
ENLARGED_PX, MARGIN_PX = 300, 75
FACE_BOX = (0.05, 0.0, 0.95, 0.9)
"""Where dlib's detector would put its box, in the unit square of the crop."""
PIECES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a trained network came to."""

    mse: float
    sharpness: float
    following: float
    spread: float
    identity: float


def train(pack: Path, folder: Path, name: str, settings: dict[str, str]) -> Path:
    """Train one row and return its weights; what is there is taken as it is."""
    output, work = folder / f"{name}.safetensors", folder / "work"
    if output.exists():
        return output
    # All rows learn from the same samples, which are large, and those that need a reader from the same one.
    for old in work.glob("mouth*"):
        old.unlink()
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    subprocess.run(
        [sys.executable, "-m", "redub", "train", "speech2vid", str(pack), "-o", str(output), "--work", str(work), *given], check=True
    )
    return output


def at_size(piece: Piece) -> Piece:
    """Return a piece with crops of the size that the network takes; a pack may hold larger ones."""
    crops = [cv2.resize(crop, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA) for crop in piece.crops]
    return replace(piece, crops=np.stack(crops))


def paint(weights: Path, sharpener: Sharpener | None, pieces: Iterable[Piece]) -> Iterable[tuple[RGB, RGB, Piece, slice]]:
    """Paint the second half of pieces from the true shape; yield painted and true crops (T, 109, 109, 3)."""
    tensors, metadata = read_tensors(weights)
    teaching = {name.removeprefix(TEACHER): tensor.float() for name, tensor in tensors.items() if name.startswith(TEACHER)}
    teacher = Teacher()
    teacher.load_state_dict({name: teaching[name] for name in ("fc.weight", "fc.bias")})
    painter = Painter(network_from(tensors, metadata), teacher).eval()
    basis = Basis(vectors=teaching["basis"].numpy(), scale=float(teaching["scale"]))
    for piece in pieces:
        middle = len(piece.crops) // 2
        codes = torch.from_numpy(basis.encode(mouth_shapes(piece.points))[middle:])
        ranked = np.argsort(mouth_openness(piece.points[:middle]), kind="stable")
        stills = ranked[np.rint(np.array(REFERENCE_SHARES) * (middle - 1)).astype(int)]
        with torch.inference_mode():
            identity = painter.identify(join(as_floats(torch.from_numpy(piece.crops[stills]))[None]))
            painted: Tensor = painter(codes, identity.expand(len(codes)))
            painted = sharpener(painted) if sharpener is not None else painted
        true = PLAIN.cut(as_floats(torch.from_numpy(piece.crops[middle:])))
        yield np.stack([as_picture(one) for one in painted]), np.stack([as_picture(one) for one in true]), piece, slice(middle, None)


def read_openness(crops: RGB) -> Doubles:
    """Return the mouth's opening as dlib reads it off crops: (T, 109, 109, 3) -> (T,)."""
    box = [MARGIN_PX + ENLARGED_PX * place for place in FACE_BOX]
    points = []
    for crop in crops:
        large = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (ENLARGED_PX, ENLARGED_PX), interpolation=cv2.INTER_CUBIC)
        gray = cv2.copyMakeBorder(large, *(MARGIN_PX,) * 4, cv2.BORDER_REPLICATE)
        points.append(find_landmarks(gray, box, YARDSTICK)[0])
    return mouth_openness(np.stack(points))


def energy(crops: RGB) -> float:
    """Return the mean squared step between neighbouring pixels around the mouth."""
    mouth = crops[MOUTH].astype(np.float64)
    return float((np.diff(mouth, axis=1) ** 2).mean() + (np.diff(mouth, axis=2) ** 2).mean())


def measure(weights: Path, sharpener: Sharpener | None, pieces: list[Piece], mode: Mode) -> tuple[Row, RGB]:
    """Return the measures of a network and a sheet of what it paints."""
    found, sheet = [], []
    for painted, true, piece, rows in paint(weights, sharpener, pieces):
        opening, wanted = (high_pass(series, 25.0) for series in (read_openness(painted), read_openness(true)))
        apart = [np.linalg.norm(describe(one, mode) - describe(other, mode)) for one, other in zip(painted[::12], true[::12], strict=True)]
        error = (painted.astype(np.float64) - true) ** 2
        found.append(
            (error.mean(), energy(painted) / energy(true), correlation(opening, wanted), opening.std() / wanted.std(), np.mean(apart))
        )
        widest = int(np.argmax(mouth_openness(piece.points[rows])))
        sheet.append(np.concatenate([true[widest], painted[widest]]))
    mse, sharpness, following, spread, identity = np.nanmean(found, axis=0)
    return Row(mse=mse, sharpness=sharpness, following=following, spread=spread, identity=identity), np.concatenate(sheet[:6], axis=1)


def load_sharpener(weights: Path) -> Sharpener:
    """Return the sharpening network of a file."""
    tensors, _ = read_tensors(weights)
    sharpener = Sharpener()
    sharpener.load_state_dict(
        {name.removeprefix(SHARPENER): tensor.float() for name, tensor in tensors.items() if name.startswith(SHARPENER)}
    )
    return sharpener.eval()


def main() -> None:
    """Train and measure all rows; print a table and write a sheet for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("folder", type=Path, help="for weights, samples and sheets; what is there is not trained again")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every row")
    parser.add_argument("--rows", type=int, nargs="+", default=range(len(ROWS)), metavar="N", help="some of the rows, counted from 0")
    parser.add_argument("--no-sharpen", action="store_true", help="leave out sharpening, whose training takes as long as two rows")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    common = {"mouth.steps": str(given.steps), "samples.voices": "1", **dict(one.split("=", 1) for one in given.set)}
    held_out = [piece for piece in read_pack(given.pack) if piece.is_held_out and len(piece.crops) >= 40]
    pieces = [at_size(piece) for piece in held_out[:: max(1, len(held_out) // PIECES)][:PIECES]]
    plain: tuple[str, Sharpener | None] = ("", None)
    ways = [plain]
    if not given.no_sharpen:
        ways.append((", sharpened", load_sharpener(train(given.pack, given.folder, "sharpen", {**common, "stages": "sharpen"}))))
    mode = INFO.modes[Blend.POISSON]
    assert mode.input_px == INPUT_PX
    results = {}
    print("| | MSE | sharpness | following | spread | identity |\n|---|---:|---:|---:|---:|---:|")
    for number, (name, settings) in enumerate(ROWS.items()):
        if number not in given.rows:
            continue
        stages = "reader,mouth" if settings["loss.content"] == "reader" else "mouth"
        weights = train(given.pack, given.folder, f"row{number}", {**common, "stages": stages, **settings})
        for label, sharpener in ways:
            row, sheet = measure(weights, sharpener, pieces, mode)
            results[name + label] = row
            print(
                f"| {name}{label} | {row.mse:.0f} | {row.sharpness:.2f} | {row.following:.2f} | {row.spread:.2f} | {row.identity:.2f} |",
                flush=True,
            )
            cv2.imwrite(str(given.folder / f"row{number}{'' if sharpener is None else '-sharpened'}.png"), sheet[:, :, ::-1])
    table = {name: {key: round(float(getattr(row, key)), 4) for key in Row.__slots__} for name, row in results.items()}
    (given.folder / "ablations.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
