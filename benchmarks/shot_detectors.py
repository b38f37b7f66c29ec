"""shot_detectors: known cuts -> which detector finds them.

    python benchmarks/shot_detectors.py CLIP [CLIP ...]

Joins pieces of real clips with hard cuts, dissolves, fades, flashes, pans, slides and one-frame shots at known places and
prints, as a Markdown table, how many cuts each detector finds, misses and invents.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from redub.config import ShotConfig
from redub.faces.cv import load_cv
from redub.media import open_video
from redub.stages.shots import SMALL_HEIGHT_PX, find_cuts, without_flashes

SIZE = (round(SMALL_HEIGHT_PX * 16 / 9), SMALL_HEIGHT_PX)
Made = tuple[list[Any], set[int], list[tuple[int, int]]]
"""Frames, indices of cuts, and stretches in which a cut may be placed or not: (first, last)."""


def read_clip(path: Path, count: int) -> list[Any]:
    """Return the first frames of a clip at the size that the detectors see, RGB."""
    cv2 = load_cv()
    with open_video(path) as video:
        return [cv2.resize(frame.rgb(), SIZE, interpolation=cv2.INTER_AREA) for frame in video.read(0, count)]


def joined(parts: Sequence[list[Any]]) -> Made:
    """Join clips with hard cuts."""
    frames = [frame for part in parts for frame in part]
    return frames, set(np.cumsum([len(part) for part in parts])[:-1].tolist()), []


def dissolved(parts: Sequence[list[Any]], length: int, is_fade: bool) -> Made:
    """Join clips with dissolves, or fades over black; the whole transition may hold a cut."""
    frames, soft = list(parts[0]), []
    for part in parts[1:]:
        begin = len(frames) - length
        for i, weight in enumerate(np.linspace(0, 1, length)):
            old, new = frames[begin + i].astype(float), part[i].astype(float)
            mixed = old * max(1 - 2 * weight, 0) + new * max(2 * weight - 1, 0) if is_fade else old * (1 - weight) + new * weight
            frames[begin + i] = mixed.astype(np.uint8)
        frames += part[length:]
        soft.append((begin, begin + length))
    return frames, set(), soft


def flashed(part: list[Any], width: int) -> Made:
    """Let a photographer's flash brighten a few frames."""
    frames = [frame.copy() for frame in part]
    for at in range(12, len(frames) - 6, 20):
        for i in range(at, at + width):
            frames[i] = np.clip(frames[i].astype(int) * 2 + 90, 0, 255).astype(np.uint8)
    return frames, set(), []


def panned(part: list[Any], step_px: int) -> Made:
    """Move a camera over a wide picture, made of the clip's own frames side by side."""
    wide = np.concatenate(part[:: max(len(part) // 8, 1)], axis=1)
    count = (wide.shape[1] - SIZE[0]) // step_px
    return [wide[:, i * step_px : i * step_px + SIZE[0]] for i in range(count)], set(), []


def slide(seed: int, lines: int, is_dark: bool) -> Any:
    """Draw a slide with a title and some lines of text."""
    cv2 = load_cv()
    rng = np.random.default_rng(seed)
    picture = np.full((SIZE[1], SIZE[0], 3), 30 if is_dark else 245, np.uint8)
    ink = 230 if is_dark else 40
    for line in range(lines):
        text = "".join(rng.choice(list("abcdefghij klmnop"), 24))
        cv2.putText(picture, text, (8, 14 + 13 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.5 if line == 0 else 0.35, (ink, ink, ink), 1)
    return picture


def to_slides(parts: Sequence[list[Any]]) -> Made:
    """Cut between a talker and slides."""
    whole: list[list[Any]] = []
    for i, part in enumerate(parts):
        whole += [part, [slide(i, 6, i % 2 == 1)] * 40]
    return joined(whole)


def bullets() -> Made:
    """Let lines appear one by one on one slide: no cut."""
    return [slide(3, lines, False) for lines in range(1, 7) for _ in range(25)], set(), []


def single_frames(parts: Sequence[list[Any]]) -> Made:
    """Put shots of one frame between longer ones; either of its two cuts will do."""
    frames, soft = list(parts[0]), []
    for i, part in enumerate(parts[1:]):
        soft.append((len(frames), len(frames) + 1))
        frames += [slide(i, 5, True), *part]
    return frames, set(), soft


def punched_in(part: list[Any]) -> Made:
    """Cut within one take to a picture enlarged by 1.3, as editors hide a jump, and back."""
    cv2 = load_cv()
    turn = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] * 0.4), 0, 1.3)
    near = [cv2.warpAffine(frame, turn, SIZE) for frame in part]
    third = len(part) // 3
    return joined([part[:third], near[third : 2 * third], part[2 * third :]])


def darkened(parts: Sequence[list[Any]]) -> Made:
    """Join dark, noisy clips."""
    rng = np.random.default_rng(0)
    dark = [[np.clip(frame * 0.25 + rng.normal(0, 1, frame.shape), 0, 255).astype(np.uint8) for frame in part] for part in parts]
    return joined(dark)


def passed_by(part: list[Any], step_px: int) -> Made:
    """Let something large and dark pass close to the camera."""
    frames = [frame.copy() for frame in part]
    for i, frame in enumerate(frames):
        left = (i - 10) * step_px - SIZE[0] // 2
        frame[:, max(left, 0) : max(left + SIZE[0] // 2, 0)] = (40, 30, 20)
    return frames, set(), []


def gray_cuts(frames: list[Any], config: ShotConfig, has_flash_rule: bool) -> list[int]:
    """Run what redub uses, with or without its rule for flashes."""
    cv2 = load_cv()
    cuts = find_cuts([cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in frames], config)
    return [cut.index for cut in (without_flashes(cuts, 8, config.min_difference) if has_flash_rule else cuts)]


def driven(frames: list[Any], detector: Any) -> list[int]:
    """Run one of PySceneDetect's detectors frame by frame."""
    from scenedetect import FrameTimecode

    cuts: list[int] = []
    for index, frame in enumerate(frames):
        cuts += [cut.frame_num for cut in detector.process_frame(FrameTimecode(index, 25.0), np.ascontiguousarray(frame[:, :, ::-1]))]
    return cuts + [cut.frame_num for cut in detector.post_process(FrameTimecode(len(frames), 25.0))]


def histogram(frames: list[Any], threshold: float) -> list[int]:
    """Compare colour histograms of neighbours, as the paper does after Lienhart (2001)."""
    cv2 = load_cv()
    last, cuts = None, []
    for index, frame in enumerate(frames):
        now = cv2.calcHist([np.ascontiguousarray(frame)], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel() / frame[:, :, 0].size
        if last is not None and np.abs(now - last).sum() / 2 > threshold:
            cuts.append(index)
        last = now
    return cuts


def detectors() -> dict[str, Callable[[list[Any]], list[int]]]:
    """Return the candidates, each frames -> cuts."""
    from scenedetect import AdaptiveDetector, ContentDetector, HistogramDetector

    return {
        "adaptive, luma, and the flash rule (redub)": lambda frames: gray_cuts(frames, ShotConfig(), True),
        "adaptive, luma": lambda frames: gray_cuts(frames, ShotConfig(), False),
        "adaptive, HSV": lambda frames: driven(frames, AdaptiveDetector(min_scene_len=1)),
        "content, HSV, 27": lambda frames: driven(frames, ContentDetector(min_scene_len=1)),
        "histogram, luma": lambda frames: driven(frames, HistogramDetector(min_scene_len=1)),
        "colour histogram, 0.2": lambda frames: histogram(frames, 0.2),
        "colour histogram, 0.3": lambda frames: histogram(frames, 0.3),
    }


def made_videos(paths: Sequence[Path]) -> dict[str, list[Made]]:
    """Return videos with known cuts, by kind."""
    clips = [read_clip(path, 60) for path in paths]
    orders = [np.random.default_rng(seed).permutation(len(clips)) for seed in range(3)]
    mixed = [[clips[i] for i in order] for order in orders]
    return {
        "hard cuts": [joined(parts) for parts in mixed],
        "to and from slides": [to_slides(parts) for parts in mixed[:1]],
        "punch-ins": [punched_in(clip) for clip in clips],
        "dark": [darkened(mixed[0])],
        "shots of one frame": [single_frames(parts) for parts in mixed[:1]],
        "dissolves, 12": [dissolved(parts, 12, False) for parts in mixed[:1]],
        "fades, 20": [dissolved(parts, 20, True) for parts in mixed[:1]],
        "no cut: talk": [joined([clip]) for clip in clips],
        "no cut: flashes": [flashed(clip, width) for clip in clips for width in (1, 2, 3)],
        "no cut: passing by": [passed_by(clip, step) for clip in clips for step in (8, 20, 40)],
        "no cut: pans": [panned(clip, step) for clip in clips for step in (2, 6, 12)],
        "no cut: lines appear": [bullets()],
    }


def judged(found: list[int], made: Made) -> tuple[int, int, int]:
    """Return cuts that were found, that there are (a soft one counts), and that were invented."""
    _, cuts, soft = made
    right = sum(any(abs(cut - hit) <= 0 for hit in found) for cut in cuts)
    right += sum(any(first <= hit <= last for hit in found) for first, last in soft)
    wrong = sum(hit not in cuts and not any(first <= hit <= last for first, last in soft) for hit in found)
    return right, len(cuts) + len(soft), wrong


def main() -> None:
    """Print the table."""
    videos = made_videos([Path(name) for name in sys.argv[1:]])
    print("| detector | ms a frame | " + " | ".join(videos) + " |")
    print("|---" * (len(videos) + 2) + "|")
    for name, detect in detectors().items():
        cells, began = [], time.perf_counter()
        for kind in videos.values():
            right, all_, wrong = np.sum([judged(detect(made[0]), made) for made in kind], axis=0)
            cells.append(f"{right}/{all_} +{wrong}" if all_ else f"+{wrong}")
        count = sum(len(made[0]) for kind in videos.values() for made in kind)
        print(f"| {name} | {(time.perf_counter() - began) / count * 1e3:.2f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
