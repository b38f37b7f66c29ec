"""instructor: a training's folder -> the form of the LumiereNet paper's Table 1, filled in, and its Figure 4.

    python benchmarks/instructor.py NAME.lumiere [--weights LABEL=OTHER.lumiere ...] [--windows 1,3,5,10,15,20,25] [-o FOLDER]

Held-out frames of the training are painted from their true pose figures and from sound alone, and compared with the true frames on
the whole picture and around the mouth: MSE, PSNR and SSIM as scikit-image has them, of 8-bit pictures.  Two trivial rows say what
that is worth: the piece's first frame, frozen, and the frame that was trained on whose pose figure is nearest.  Further weights, such
as those of Baseline 1 and 2, become rows of their own.  Results are written as Markdown, JSON and pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from redub_lumierenet.desk import make_desk, seen_rows
from redub_lumierenet.generator import LumiereNetGenerator, load
from redub_lumierenet.hearing import hearing_lesson, know
from redub_lumierenet.networks import Ear
from redub_lumierenet.recipe import MOST_BACK, choose_recipe
from redub_lumierenet.samples import Samples, Stretch, mouth_boxes, open_samples
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from redub.choices import YARDSTICK
from redub.draw.paper import FAINT, INK, LINE, font, new_page
from redub.faces.follow import look
from redub.faces.geometry import similarity_from_points
from redub.faces.landmarks import mouth_openness
from redub.media.still import still_frame
from redub.metrics.series import follow, speech_frames
from redub.plugin import Blend, LoadContext
from redub.training.journal import as_sheet, save_picture, save_rgb
from redub.training.loop import Session, learn
from redub.types import RGB, Doubles, Ints
from redub.weights import IN_FOLDER, read_facts

SMALL = 32
"""Figures are compared at this size to find the nearest."""
ROLLED_S = 0.8
PAPER = (
    ("Baseline 1, paper's test set 1", "114.78", "27.64", "0.91"), ("Baseline 2, paper's test set 1", "80.68", "29.16", "0.93"),
    ("SeqPix2Pix, paper's test set 1", "78.97", "29.25", "0.88"),
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Row:
    """One line of the table: sums over frames."""

    name: str
    whole: list[tuple[float, float, float]] = field(default_factory=list)
    mouth: list[tuple[float, float, float]] = field(default_factory=list)
    follows: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)
    rolled: list[float] = field(default_factory=list)

    def add(self, painted: RGB, true: RGB, box: Ints) -> None:
        """Compare a frame with the true one."""
        left, top, right, bottom = box
        self.whole.append(measure(painted, true))
        if right - left >= 8 and bottom - top >= 8:
            self.mouth.append(measure(painted[top:bottom, left:right], true[top:bottom, left:right]))


def measure(painted: RGB, true: RGB) -> tuple[float, float, float]:
    """Return MSE, PSNR and SSIM (Gaussian window of 11, as Wang et al. have it, where the picture is as large)."""
    size = min(11, *true.shape[:2])
    similar = structural_similarity(
        painted, true, channel_axis=-1, data_range=255, **({"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        if size == 11 else {"win_size": size - 1 + size % 2}),
    )  # fmt: skip
    return float(mean_squared_error(painted, true)), float(peak_signal_noise_ratio(true, painted, data_range=255)), float(similar)


def evaluate(samples: Samples, models: dict[str, LumiereNetGenerator], every: int, folder: Path) -> list[Row]:
    """Paint all held-out pieces and measure every so many of their frames."""
    rows = {name: Row(name=name) for name in ("frozen first frame", "nearest trained frame")}
    for name in models:
        rows |= {key: Row(name=key) for key in (f"{name}, true figures", f"{name}, sound alone")}
    nearest = _nearest(samples)
    shown: list[list[RGB]] = []
    for stretch in samples.held_out:
        frames = np.arange(stretch.start, stretch.stop)
        true = samples.pictures(frames)
        boxes = mouth_boxes(samples.points[frames], true.shape[1])
        painted: dict[str, RGB] = {"frozen first frame": np.repeat(true[:1], len(true), axis=0)}
        painted["nearest trained frame"] = samples.pictures(nearest(frames))
        for name, model in models.items():
            painted[f"{name}, true figures"] = model.paint_figures(samples.figures(frames))
            painted[f"{name}, sound alone"] = from_sound(model, samples, frames)
        _follow(rows, painted, models, samples, stretch)
        for name, pictures in painted.items():
            for i in range(every // 2, len(frames), every):
                rows[name].add(pictures[i], true[i], boxes[i])
        middle = len(frames) // 2
        shown.append([true[middle], _large(samples.figures(frames[middle : middle + 1])[0]), *(one[middle] for one in painted.values())])
        print(f"{len(shown)} of {len(samples.held_out)} pieces", flush=True)
    save_rgb(as_sheet(shown[:: max(1, len(shown) // 6)][:6]), folder / "instructor-frames.png")
    return list(rows.values())


def from_sound(model: LumiereNetGenerator, samples: Samples, rows: Ints, shift: int = 0) -> RGB:
    """Paint frames from the sound around them, or around others of their piece: (K, 256, 256, 3)."""
    heard = np.roll(samples.heard[rows], shift, axis=0).astype(np.float32)
    # The samples hold the steps around each frame that the footage's rate makes.
    steps = np.rint(model.steps_s * float(samples.rate_hz)).astype(int) + MOST_BACK
    return model.paint_heard(heard[:, steps])


def _follow(
    rows: dict[str, Row], painted: dict[str, RGB], models: dict[str, LumiereNetGenerator], samples: Samples, stretch: Stretch
) -> None:
    """Read mouths off painted frames with dlib, and compare how they open with the true ones."""
    frames = np.arange(stretch.start, stretch.stop)
    rate = float(samples.rate_hz)
    loud = np.exp(samples.heard[frames, MOST_BACK].astype(np.float64)).sum(axis=1) ** 0.5
    counts = speech_frames(loud)
    true = _openness(samples.pictures(frames), samples, frames)
    for name, model in models.items():
        rolled = from_sound(model, samples, frames, round(ROLLED_S * rate))
        for key, pictures in (("true figures", painted[f"{name}, true figures"]), ("sound alone", painted[f"{name}, sound alone"])):
            row = rows[f"{name}, {key}"]
            found = follow(_openness(pictures, samples, frames), true, counts, rate)
            if np.isfinite(found.following):
                row.follows.append(found.following)
                row.spread.append(found.spread)
        found = follow(_openness(rolled, samples, frames), true, counts, rate)
        if np.isfinite(found.following):
            rows[f"{name}, sound alone"].rolled.append(found.following)


def _openness(pictures: RGB, samples: Samples, rows: Ints) -> Doubles:
    size = pictures.shape[1]
    places = similarity_from_points(samples.points[rows].astype(np.float64) * size - 0.5)
    found = []
    for picture, place in zip(pictures, places, strict=True):
        gray = still_frame(picture).gray()
        # A face painted from sound alone may be elsewhere than the true one: look where it is, and look again.
        first = look(gray, place, 1.0, YARDSTICK)
        found.append(look(gray, first.place, 1.0, YARDSTICK).points)
    return mouth_openness(np.stack(found))


def _nearest(samples: Samples) -> Callable[[Ints], Ints]:
    known = np.concatenate(seen_rows(samples, samples.learnt_from))
    known = known[:: max(1, len(known) // 20_000)]
    table = _tiny(samples, known)
    squares = (table**2).sum(axis=1)

    def find(rows: Ints) -> Ints:
        wanted = _tiny(samples, rows)
        found: Ints = known[(squares[None] - 2 * wanted @ table.T).argmin(axis=1)]
        return found

    return find


def _tiny(samples: Samples, rows: Ints) -> Any:
    found = []
    for start in range(0, len(rows), 256):
        figures = samples.figures(rows[start : start + 256]).astype(np.float32)
        side = figures.shape[1] // SMALL
        found.append(figures.reshape(len(figures), SMALL, side, SMALL, side, 3).mean(axis=(2, 4)).reshape(len(figures), -1))
    return np.concatenate(found)


def _large(figure: RGB) -> RGB:
    step = 256 // len(figure)
    return figure.repeat(step, axis=0).repeat(step, axis=1)


def table(rows: list[Row], samples: Samples) -> str:
    """Return the form of Table 1 as Markdown."""
    lines = ["| frames | MSE | PSNR | SSIM | mouth: MSE | PSNR | SSIM | follows | rolled sound | spread |", "|" + "---|" * 10]
    for row in rows:
        cells = [
            f"{value:.2f}" if i < 2 else f"{value:.3f}" for part in (row.whole, row.mouth) for i, value in enumerate(np.mean(part, axis=0))
        ]
        cells += [f"{np.mean(one):.2f}" if one else "" for one in (row.follows, row.rolled, row.spread)]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    lines += [f"| {name} | {mse} | {psnr} | {ssim} |" + " |" * 6 for name, mse, psnr, ssim in PAPER]
    counted = len(rows[0].whole)
    return "\n".join([*lines, "", f"{counted} frames of {len(samples.held_out)} held-out pieces at 256 x 256 px."]) + "\n"


def study(work: Path, samples: Samples, sizes: list[int], steps: int, folder: Path, device: str) -> str:
    """Learn an ear for each window length, as in Figure 4; return its losses as Markdown, and draw them."""
    label = json.loads((samples_folder(work) / "label.json").read_text())
    codes = np.load(next(work.glob("codes-*.npy")), allow_pickle=False)
    known, found = know(samples, codes), {}
    for size in sizes:
        settings = {"ear.window": str(size), "ear.steps": str(steps), "ear.look_every": str(steps), "figure.side": str(label["side"])}
        settings["ear.ahead"] = str(min(choose_recipe("", {}).ear.ahead, size - 1))
        desk = make_desk(choose_recipe("", settings), samples, device, 0)
        with TemporaryDirectory() as scratch:
            lesson, course = hearing_lesson(desk, known, Ear(desk.recipe.ear.cells, desk.recipe.ear.dropout).to(device)), desk.recipe.ear
            learnt = learn(lesson, replace(course, steps=steps), Session(folder=Path(scratch)))
        found[size] = learnt.values
        print(f"window {size}: {learnt.values}", flush=True)
    _draw(found, folder / "instructor-windows.png")
    lines = ["| W | codes, MSE | mouth, MSE | follows |", "|---|---|---|---|"]
    return (
        "\n".join([*lines, *(f"| {size} | {v['codes']:.4f} | {v['mouth']:.4f} | {v['follows']:.3f} |" for size, v in found.items())]) + "\n"
    )


def _draw(found: dict[int, dict[str, float]], target: Path) -> None:
    page, pen = new_page(560, 300)
    sizes, values = list(found), [one["codes"] for one in found.values()]
    low, high = min(values), max(values) + 1e-9
    first, last = min(sizes), max(sizes)
    places = [
        (60 + (w - first) * 440 / max(1, last - first), 240 - (v - low) / (high - low) * 180) for w, v in zip(sizes, values, strict=True)
    ]
    pen.text((16, 12), "held-out MSE of the codes over the window's length W", INK, font(15))
    pen.line((60, 250, 540, 250), LINE)
    pen.line(places, INK, 2)
    for size, value, (x, y) in zip(sizes, values, places, strict=True):
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), INK)
        pen.text((x, 256), str(size), FAINT, font(12), anchor="ma")
        pen.text((x + 4, y - 18), f"{value:.3f}", FAINT, font(11))
    save_picture(page, target)


def check_fits(weights: Path, samples: Samples, work: Path) -> None:
    """Refuse weights that were trained with other figures, or at another rate, than the samples have."""
    facts, label = read_facts(weights), json.loads((samples_folder(work) / "label.json").read_text())
    wanted = {"side": str(label["side"]), "figures": label["source"], "frame_rate": str(samples.rate_hz)}
    differing = ", ".join(f"{name} {facts.get(name)} and not {value}" for name, value in wanted.items() if facts.get(name) != value)
    if differing:
        raise SystemExit(f"{weights} cannot be compared on this footage: {differing}.")


def samples_folder(work: Path) -> Path:
    """Return where a training keeps its samples."""
    return work / "samples"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what  redub train lumierenet -o  named")
    parser.add_argument("--weights", action="append", default=[], metavar="LABEL=PATH")
    parser.add_argument("--every", type=int, default=5, help="frames per measured frame")
    parser.add_argument("--pieces", type=int, default=0, help="held-out pieces; 0 takes all")
    parser.add_argument("--windows", default="", help="window lengths to learn anew, such as 1,3,5,10,15,20,25")
    parser.add_argument("--steps", type=int, default=1500, help="steps for each of those")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--output", type=Path, default=Path())
    asked = parser.parse_args()
    work = asked.folder / "training"
    samples = open_samples(samples_folder(work))
    if not samples.held_out:
        raise SystemExit("Nothing of this footage was held out, so nothing can be measured on it.")
    if asked.pieces:
        chosen = {int(i) for i in np.linspace(0, len(samples.held_out) - 1, asked.pieces)}
        kept = {one.name for i, one in enumerate(samples.held_out) if i in chosen}
        samples = replace(
            samples,
            stretches=tuple(one if not one.is_held_out or one.name in kept else replace(one, is_odd=True) for one in samples.stretches),
        )
    paths = {"SeqPix2Pix": asked.folder, **dict(one.split("=", 1) for one in asked.weights)}
    models: dict[str, Any] = {}
    for name, path in paths.items():
        file = Path(path) / IN_FOLDER if Path(path).is_dir() else Path(path)
        check_fits(file, samples, work)
        models[name] = load(LoadContext(device=asked.device, mode=Blend.FEATHER, weights={"w": file}))
    asked.output.mkdir(parents=True, exist_ok=True)
    rows = evaluate(samples, models, asked.every, asked.output)
    text = table(rows, samples)
    if asked.windows:
        sizes = [int(one) for one in asked.windows.split(",")]
        text += "\n" + study(work, samples, sizes, asked.steps, asked.output, asked.device)
    (asked.output / "instructor.md").write_text(text, encoding="utf-8")
    (asked.output / "instructor.json").write_text(
        json.dumps([{"name": row.name, "whole": np.mean(row.whole, axis=0).tolist()} for row in rows])
    )
    print(text)


if __name__ == "__main__":
    main()
