"""Compare ways of putting a painted crop back into its frame, on real footage.

    python benchmarks/blending.py CLIPS/test/*.mkv

What a generator would paint is made from the footage itself, so that the truth is known: the registered crop, a
little blurred, in a wrong tone with light from one side, its brightness jumping from frame to frame.

- **same**: the frame's own crop; a perfect blend returns the frame.
- **later**: the crop of 20 frames later, with another mouth, and another pose that the edge does not fit.
- **hand**: as "same", while a sleeve crosses the frame (but not what is painted) at the edge of the mask.

All figures are levels of 255 in the registered crop.  *Error*: root mean square, within the mask, of the low-passed
difference to the truth (for "hand" away from the sleeve: colour that bleeds).  *Flicker*: mean absolute second
difference over time of the same difference.  *Seam*: how far the gradient along the mask's edge is from the frame's
own.  *Leak*: mean change of the px outside the mask.  *ms*: processor time, with laying the patch over the frame.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from redub.choices import BlendChoice
from redub.config import BlendConfig
from redub.errors import RedubError
from redub.faces.crop import take_crop
from redub.faces.geometry import crop_from_frame, frame_from_crop
from redub.faces.masks import lower_face_mask
from redub.media import Frame, open_video
from redub.pipeline import analyse
from redub.plugin import Mode, Region
from redub.stages.blend import blend_run
from redub.types import Patch

PX = 256
LATER = 20
MASK = lower_face_mask(PX, BlendConfig().edge)


@dataclass
class Item:
    """A painted crop, as `blend_run` takes it."""

    original: np.ndarray
    painted: np.ndarray
    similarity: np.ndarray
    alpha: None = None


@dataclass
class Scene:
    """One clip with what is to be painted."""

    frames: list[np.ndarray]
    items: list[Item]
    clean: np.ndarray
    """(T, S, S, 3) what would be painted without its faults: the truth within the mask."""
    counts: np.ndarray
    """(T, S, S) where the truth holds."""
    rate: Fraction


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--pictures", type=Path, help="a folder for strips: frame, painted, and each result")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rows: dict[str, list[list[float]]] = {name: [] for name in METHODS}
    for video in arguments.videos:
        frames, similarities, rate = read(video, arguments.frames)
        scenes = {kind: make_scene(frames, similarities, rate, kind) for kind in ("same", "later", "hand")}
        strips: dict[str, list[np.ndarray]] = {kind: [] for kind in scenes}
        for name, method in METHODS.items():
            figures: list[float] = []
            for kind, scene in scenes.items():
                began = time.process_time()
                results = method(scene)
                spent_ms = (time.process_time() - began) / len(frames) * 1e3
                crops = sample(results, similarities)
                figures += judge(scene, crops, kind)
                strips[kind].append(crops[len(crops) // 2])
            rows[name].append([*figures, spent_ms])
        if arguments.pictures:
            save_strips(arguments.pictures, video.stem, scenes, strips)
    print(f"| {len(arguments.videos)} clips | same: error | flicker | seam | later: flicker | seam | hand: error | leak | ms a frame |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, table in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in np.mean(table, axis=0)) + " |")
    time_stage()


def time_stage() -> None:
    """Print the stage's own time a frame at 1280x720 for the sizes that generators have."""
    random = np.random.default_rng(0)
    print("\n| crop | face 120 px | 230 px | 480 px |\n|---|---|---|---|")
    for px in (112, 128, 256):
        crops = [cv2.GaussianBlur(random.integers(0, 256, (px, px, 3), np.uint8), (0, 0), 2) for _ in range(20)]
        spent = []
        for face_px in (120, 230, 480):
            # The canonical crop is some 1.13 times as wide as the jaw.
            row = np.array([np.log(1.13 * face_px), 0.05, 500.0, 100.0])
            items = [Item(crop, np.roll(crop, 1, axis=0), row) for crop in crops * 5]
            options = {"region": Region.FACE, "mode": Mode(input_px=px, output_px=px), "config": BlendConfig()}
            for _ in range(2):
                began = time.process_time()
                count = sum(1 for _ in blend_run(items, **options, frame_size=(720, 1280), frame_rate=Fraction(25)))
                ms = (time.process_time() - began) / count * 1e3
            spent.append(ms)
        print(f"| {px} px | " + " | ".join(f"{ms:.1f} ms" for ms in spent) + " |")


def read(video: Path, count: int) -> tuple[list[Frame], np.ndarray, Fraction]:
    """Return frames of the first face's track with its similarities."""
    plan = analyse(video)
    if not plan.crops:
        raise RedubError(f"No face was found in {video}.", "Give another clip.")
    path = max(plan.crops, key=lambda path: path.stop - path.start)
    with open_video(video, plan.pts) as reader:
        frames = list(reader.read(path.start, min(path.stop, path.start + count)))
    return frames, path.similarities[: len(frames)], plan.facts.frame_rate


def make_scene(frames: list[Frame], similarities: np.ndarray, rate: Fraction, kind: str) -> Scene:
    """Make up what a generator would have painted."""
    random = np.random.default_rng(1)
    pictures = [frame.rgb() for frame in frames]
    crops = np.stack([take_crop(frame, row, PX) for frame, row in zip(frames, similarities, strict=True)])
    count = len(crops)
    order = np.arange(count) + (LATER if kind == "later" else 0)
    clean = crops[np.where(order < count, order, 2 * count - 2 - order)]
    counts = np.broadcast_to(MASK > 0.5, clean.shape[:3]).copy()
    originals = list(crops)
    if kind == "hand":
        for t, row in enumerate(similarities):
            sleeve = 0.1 + 0.12 * np.sin(t / 8)
            pictures[t] = cover(pictures[t], row, sleeve)
            originals[t] = cover(crops[t], np.array([np.log(PX), 0, -0.5, -0.5]), sleeve)
            counts[t, :, : int((sleeve + 0.12) * PX)] = False
    across = ((np.arange(PX) + 0.5) / PX - 0.5)[:, None]
    items = []
    for t in range(count):
        painted = cv2.GaussianBlur(clean[t].astype(np.float32), (0, 0), 0.8)
        painted = painted * (1 + 0.004 * random.standard_normal()) + random.standard_normal() + 0.5 * random.standard_normal(3)
        painted = painted + [6, -3, -4] + across * [8, 6, 6]
        items.append(Item(originals[t], np.rint(painted).clip(0, 255).astype(np.uint8), similarities[t]))
    return Scene(pictures, items, clean, counts, rate)


def cover(picture: np.ndarray, row: np.ndarray, left: float) -> np.ndarray:
    """Draw a sleeve over the left of the lower face."""
    corners = np.array([[left - 0.5, 0.5], [left, 0.5], [left + 0.08, 1.2], [left - 0.5, 1.2]]) * PX - 0.5
    matrix = frame_from_crop(row, PX)
    covered = picture.copy()
    cv2.fillPoly(covered, [np.rint(corners @ matrix[:, :2].T + matrix[:, 2]).astype(np.int32)], (70, 80, 125), lineType=cv2.LINE_AA)
    return covered


def ours(config: BlendConfig) -> Callable[[Scene], list[np.ndarray]]:
    """Return the stage itself with some settings."""

    def blended(scene: Scene) -> list[np.ndarray]:
        size = scene.frames[0].shape[:2]
        mode = Mode(input_px=PX, output_px=PX)
        patches = blend_run(scene.items, region=Region.FACE, mode=mode, config=config, frame_size=size, frame_rate=scene.rate)
        return [lay(frame, patch) for frame, patch in zip(scene.frames, patches, strict=True)]

    return blended


def lay(frame: np.ndarray, patch: Patch) -> np.ndarray:
    """Paint a patch over a frame."""
    result, (height, width) = frame.copy(), patch.alpha.shape
    part = result[patch.top : patch.top + height, patch.left : patch.left + width]
    part[:] = cv2.blendLinear(patch.rgb, np.ascontiguousarray(part), patch.alpha, 1 - patch.alpha)
    return result


def warped(scene: Scene) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]]:
    """Yield frame, painted crop and hard mask in the frame's place, and their left top corner."""
    rows, columns = np.nonzero(MASK > 0)
    outline = cv2.convexHull(np.stack([columns, rows], 1).astype(np.float32))[:, 0]
    for frame, item in zip(scene.frames, scene.items, strict=True):
        matrix = frame_from_crop(item.similarity, PX)
        moved = outline @ matrix[:, :2].T + matrix[:, 2]
        left, top = np.maximum(np.floor(moved.min(axis=0)).astype(int) - 6, 0)
        right, bottom = np.minimum(np.ceil(moved.max(axis=0)).astype(int) + 6, frame.shape[1::-1])
        matrix[:, 2] -= (left, top)
        size = (int(right - left), int(bottom - top))
        painted = cv2.warpAffine(item.painted, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        yield frame, painted, (cv2.warpAffine(MASK, matrix, size) > 0.5).astype(np.uint8) * 255, (int(left), int(top))


def paste(scene: Scene) -> list[np.ndarray]:
    """Cut out and paste."""
    results = []
    for frame, painted, mask, (left, top) in warped(scene):
        result = frame.copy()
        np.copyto(result[top : top + mask.shape[0], left : left + mask.shape[1]], painted, where=mask[..., None] > 0)
        results.append(result)
    return results


def clone(scene: Scene) -> list[np.ndarray]:
    """Use OpenCV's Poisson cloning, frame by frame."""
    results = []
    for frame, painted, mask, (left, top) in warped(scene):
        x, y, width, height = cv2.boundingRect(mask)
        results.append(cv2.seamlessClone(painted, frame, mask, (left + x + width // 2, top + y + height // 2), cv2.NORMAL_CLONE))
    return results


def textbook(scene: Scene) -> list[np.ndarray]:
    """Solve the membrane on every px of the crop with the edge's px as they are, frame by frame."""
    inside = MASK > 0.02
    number = np.full(MASK.shape, -1)
    number[inside] = np.arange(inside.sum())
    rows, columns = np.nonzero(inside)
    entries = [(number[inside], number[inside], np.full(len(rows), 4.0))]
    borders = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = number[rows + down, columns + right]
        entries.append((number[inside][beside >= 0], beside[beside >= 0], np.full((beside >= 0).sum(), -1.0)))
        borders.append((number[inside][beside < 0], rows[beside < 0] + down, columns[beside < 0] + right))
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    factor = splu(coo_array((value, (row, column))).tocsc())
    plain = replace(BlendConfig(), mode=BlendChoice.NETWORK)
    corrected = []
    for item in scene.items:
        difference = item.original.astype(np.float64) - item.painted
        right_side = np.zeros((len(rows), 3))
        for index, r, c in borders:
            np.add.at(right_side, index, difference[r, c])
        painted = item.painted.astype(np.float64)
        painted[inside] += factor.solve(right_side)
        corrected.append(replace(item, painted=np.rint(painted).clip(0, 255).astype(np.uint8)))
    size = scene.frames[0].shape[:2]
    mode = Mode(input_px=PX, output_px=PX)
    patches = blend_run(corrected, region=Region.FACE, mode=mode, config=plain, frame_size=size, frame_rate=scene.rate)
    results = []
    for frame, item, patch in zip(scene.frames, scene.items, patches, strict=True):
        matrix = frame_from_crop(item.similarity, PX)
        matrix[:, 2] -= (patch.left, patch.top)
        hard = cv2.warpAffine(inside.astype(np.float32), matrix, patch.alpha.shape[::-1])
        results.append(lay(frame, replace(patch, alpha=hard)))
    return results


METHODS: dict[str, Callable[[Scene], list[np.ndarray]]] = {
    "paste": paste,
    "cv2.seamlessClone": clone,
    "membrane px by px": textbook,
    "feather": ours(BlendConfig(mode=BlendChoice.FEATHER)),
    "poisson, no smoothing": ours(BlendConfig(smoothing_frames=0.0)),
    "poisson": ours(BlendConfig()),
}


def sample(results: list[np.ndarray], similarities: np.ndarray) -> np.ndarray:
    """Register whole frames again."""
    crops = []
    for result, row in zip(results, similarities, strict=True):
        fine = max(1, round(float(np.exp(row[0])) / PX))
        size = (PX * fine, PX * fine)
        large = cv2.warpAffine(result, crop_from_frame(row, PX * fine), size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        crops.append(cv2.resize(large, (PX, PX), interpolation=cv2.INTER_AREA))
    return np.stack(crops)


def judge(scene: Scene, crops: np.ndarray, kind: str) -> list[float]:
    """Return the columns that this kind of scene is made for."""
    error = smooth(crops) - smooth(scene.clean)
    originals = np.stack([item.original for item in scene.items])
    if kind == "hand":
        outside = np.abs(crops.astype(np.float32) - sample(scene.frames, np.stack([item.similarity for item in scene.items])))
        return [float(np.sqrt((error[scene.counts] ** 2).mean())), float(outside[:, cv2.dilate(MASK, np.ones((3, 3))) == 0].mean())]
    flicker = float(np.abs(np.diff(error, 2, axis=0))[:, MASK > 0.5].mean())
    edge = cv2.dilate(((MASK > 0.02) & (MASK < 0.98)).astype(np.uint8), np.ones((5, 5))) > 0
    seam = float(np.abs(slopes(crops) - slopes(originals))[:, edge].mean())
    return [float(np.sqrt((error[scene.counts] ** 2).mean())), flicker, seam] if kind == "same" else [flicker, seam]


def smooth(crops: np.ndarray) -> np.ndarray:
    """Take away what is finer than tone."""
    return np.stack([cv2.GaussianBlur(crop.astype(np.float32), (0, 0), PX / 64) for crop in crops])


def slopes(crops: np.ndarray) -> np.ndarray:
    """Return the size of the gradient, levels a px."""
    soft = smooth(crops)
    return np.stack([np.hypot(cv2.Sobel(one, cv2.CV_32F, 1, 0), cv2.Sobel(one, cv2.CV_32F, 0, 1)).mean(axis=-1) / 8 for one in soft])


def save_strips(folder: Path, stem: str, scenes: dict[str, Scene], strips: dict[str, list[np.ndarray]]) -> None:
    """Write one row of pictures for each kind of scene: frame, painted, and the methods in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, scene in scenes.items():
        item = scene.items[len(scene.items) // 2]
        strip = np.hstack([item.original, item.painted, *strips[kind]])
        cv2.imwrite(str(folder / f"{stem}.{kind}.png"), strip[..., ::-1])


if __name__ == "__main__":
    main()
