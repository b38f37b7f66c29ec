"""The two ways of Speech2Vid into a picture, side by side: blended, and painted in context.

Each clip's second half is painted over from its own sound, with stills of its first half, and compared with what was filmed::

    python benchmarks/context.py clips/*.mp4 -o sheets

Everything is measured in the registered crop of 224 px, as the finished frame shows it:

    seam        mean difference between the slopes of painted and true luma along the edge of what is put back
    flicker     mean second difference over time of what was changed, outside the mouth; true frames have none by definition
    sharpness   gradient energy of the mouth against the true frames'
    MSE         of the mouth
    turned      how far the head is turned, on average (0 looks into the camera)
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from redub.choices import BlendChoice
from redub.config import Config
from redub.faces.crop import take_crop
from redub.faces.landmarks import yaw
from redub.faces.masks import lower_face_mask
from redub.media import open_speech, open_video
from redub.metrics.recordings import Recording
from redub.metrics.repaint import Voice, repaint
from redub.metrics.takes import Take, find_take, take_stills
from redub.plugin import manager
from redub.stages.generate import Model
from redub.types import RGB, Blend, Floats

SIZE_PX, SHOWN = 224, 6
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
MOUTH_AT, MOUTH_REACH = (0.5, 0.64), (0.22, 0.17)
"""Middle and half axes, in the unit square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one clip shows of one way."""

    clip: str
    way: str
    seam: float
    flicker: float
    sharpness: float
    mse: float
    turned: float


def paint_clip(take: Take, still: Take, blend: Blend) -> RGB:
    """Return the crops that finished frames show: (T, 224, 224, 3)."""
    entry, config = manager.find("speech2vid"), Config()
    config = Config(blend=type(config.blend)(mode=BlendChoice(blend)))
    with manager.load(entry, blend) as generator, open_speech(take.recording.path, entry.info.audio.rate_hz) as sound:
        model = Model(info=entry.info, mode=entry.info.modes[blend], generator=generator)
        stills = take_stills([still], model.mode, entry.info.references)
        voice = Voice(sound=sound, begins=take.times[0])
        shown = repaint(take, model, voice, stills, config)
        return np.stack([take_crop(one.frame, row, SIZE_PX) for one, row in zip(shown, take.similarities, strict=True)])


def true_crops(take: Take) -> RGB:
    """Return the crops as they were filmed: (T, 224, 224, 3)."""
    with open_video(take.recording.path, take.plan.pts) as reader:
        frames = reader.read(take.start, take.stop)
        return np.stack([take_crop(frame, row, SIZE_PX) for frame, row in zip(frames, take.similarities, strict=True)])


def slopes(luma: Floats) -> Floats:
    """(T, H, W) -> (T, 2, H, W)."""
    return np.stack(np.gradient(luma, axis=(1, 2)), 1).astype(np.float32)


def compare(clip: str, way: str, painted: RGB, true: RGB, turned: float) -> Row:
    """Measure painted crops against true ones."""
    y, x = (np.mgrid[:SIZE_PX, :SIZE_PX] + 0.5) / SIZE_PX
    mouth = ((x - MOUTH_AT[0]) / MOUTH_REACH[0]) ** 2 + ((y - MOUTH_AT[1]) / MOUTH_REACH[1]) ** 2 < 1
    changed = np.abs(painted.astype(int) - true).max(axis=(0, 3)) > 2
    # Both ways put back at least the lower face; its edge, and as much beyond it as either changes.
    edge = (cv2.dilate(changed.astype(np.uint8), np.ones((9, 9))) - cv2.erode(changed.astype(np.uint8), np.ones((9, 9)))).astype(bool)
    one, other = painted.astype(np.float32) @ LUMA, true.astype(np.float32) @ LUMA
    up, down = slopes(one), slopes(other)
    still = (lower_face_mask(SIZE_PX, 0.0) > 0) & ~mouth
    return Row(
        clip=clip, way=way,
        seam=float(np.abs(up - down)[:, :, edge].mean()),
        flicker=float(np.abs(np.diff(one - other, 2, axis=0))[:, still].mean()) if len(one) > 2 else 0.0,
        sharpness=float((up**2)[:, :, mouth].mean() / (down**2)[:, :, mouth].mean()),
        mse=float(((painted.astype(np.float32) - true) ** 2)[:, mouth].mean()),
        turned=turned,
    )  # fmt: skip


def sheet(true: RGB, ways: list[RGB], path: Path) -> None:
    """Write original and painted crops, some frames of a clip beside each other."""
    frames = np.linspace(0, len(true) - 1, SHOWN).astype(int)
    rows = [np.hstack([crops[i] for i in frames]) for crops in (true, *ways)]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def main() -> None:
    """Print a Markdown table; write a sheet for each clip."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clips", type=Path, nargs="+")
    options.add_argument("-o", "--output", type=Path, required=True, help="a folder for the sheets")
    options.add_argument("--seconds", type=float, default=6.0, help="of each clip's second half, at most")
    asked = options.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    print("| clip | way | seam | flicker | sharpness | MSE | turned |\n|---|---|---:|---:|---:|---:|---:|")
    rows: list[Row] = []
    for path in asked.clips:
        take = find_take(Recording(path=path, speaker=path.stem), Config())
        half = len(take) // 2
        stop = min(len(take), half + round(Fraction(asked.seconds) * take.plan.facts.frame_rate))
        scored, still = take.part(half, stop), take.part(0, half)
        true, turned = true_crops(scored), float(np.abs(yaw(scored.points)).mean())
        painted = {blend: paint_clip(scored, still, blend) for blend in (Blend.POISSON, Blend.NETWORK)}
        sheet(true, list(painted.values()), asked.output / f"{path.stem}.png")
        for blend, crops in painted.items():
            rows.append(compare(path.stem, str(blend), crops, true, turned))
            one = rows[-1]
            print(
                f"| {one.clip} | {one.way} | {one.seam:.2f} | {one.flicker:.2f} | {one.sharpness:.2f} | {one.mse:.0f} | {one.turned:.3f} |",
                flush=True,
            )
    for way in ("poisson", "network"):
        means = [
            np.mean([getattr(one, name) for one in rows if one.way == way]) for name in ("seam", "flicker", "sharpness", "mse", "turned")
        ]
        print(f"| mean | {way} | " + " | ".join(f"{value:.2f}" for value in means) + " |")


if __name__ == "__main__":
    main()
