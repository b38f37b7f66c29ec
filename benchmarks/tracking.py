"""tracking: clips -> how well and how fast faces are found, followed and registered, as Markdown.

    python benchmarks/tracking.py CLIP [CLIP ...] [--heads synthetic_heads.py]

Against real clips it compares key frames and KLT with the detector on every fifth frame.  With a module that renders
heads (its ``Head(seed, size_px)`` has ``render(weights, yaw, pitch, roll, shift) -> picture, points`` and ``weights(named)``)
it puts talking, turning heads onto moving backgrounds at 1280 x 720, with a cut, and compares with what was rendered.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from redub.config import CropConfig, ShotConfig, TrackConfig
from redub.faces.detect import detect_faces, overlap
from redub.faces.geometry import apply_similarity, similarity_from_points
from redub.faces.landmarks import eye_distance, mouth_openness
from redub.media import open_video
from redub.progress import silent
from redub.stages.crops import place_crops
from redub.stages.shots import find_shots
from redub.stages.tracks import find_tracks
from redub.types import RGB, CropPath, Doubles, Scan, Track

EVERY = 5
RUNS = 3
SIZE = (720, 1280)
HEAD_PX = 420


def best_of(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return a result and the least wall time of some runs, in s: the others waited for the machine's other work."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - began)
    return result, min(times)


def analysed(path: Path) -> tuple[Scan, tuple[Track, ...], tuple[CropPath, ...], tuple[float, float]]:
    """Return what the three stages find, and ms a frame of the first and the second."""
    with open_video(path) as video:
        scan, shots_s = best_of(lambda: find_shots(video, ShotConfig(), silent))
        tracks, tracks_s = best_of(lambda: find_tracks(video, scan, TrackConfig(), silent))
    paths = place_crops(tracks, scan.facts.frame_rate, CropConfig())
    return scan, tracks, paths, (shots_s / scan.facts.frames * 1e3, tracks_s / scan.facts.frames * 1e3)


def against_detector(path: Path) -> str:
    """Return a row that compares tracks with the detector on every fifth frame."""
    scan, tracks, _, (shots_ms, tracks_ms) = analysed(path)
    seen, hits, spent_s, looks = 0, [], 0.0, 0
    with open_video(path) as video:
        for frame in video.read():
            if frame.index % EVERY:
                continue
            gray = frame.gray()
            began = time.perf_counter()
            faces = detect_faces(gray, max(60.0, min(gray.shape) / 18), 0.25)
            spent_s += time.perf_counter() - began
            looks += 1
            boxes = [t.boxes[frame.index - t.start] for t in tracks if t.start <= frame.index < t.stop]
            for face in faces:
                seen += 1
                best = max((overlap(face.box, box) for box in boxes), default=0.0)
                hits += [best] if best > 0.4 else []
    facts = scan.facts
    size = f"{facts.width} x {facts.height}"
    return (
        f"| {path.name} | {size} | {len(tracks)} | {len(hits)}/{seen} | {np.mean(hits) if hits else 0:.2f} | {shots_ms:.1f} "
        f"| {tracks_ms:.1f} | {spent_s / looks * 1e3:.0f} |"
    )


def load_heads(path: Path) -> Any:
    """Import the module that renders heads."""
    spec = importlib.util.spec_from_file_location("heads", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rendered_shot(heads: Any, seed: int, count: int, kind: str) -> tuple[list[RGB], Doubles]:
    """Render a head on a moving background: frames of `SIZE` and true points (T, 68, 2)."""
    rng = np.random.default_rng(seed)
    head = heads.Head(seed, HEAD_PX)
    world = np.kron(rng.uniform(40, 200, (12, 60, 3)), np.ones((60, 60, 1)))
    frames, truth = [], []
    for i in range(count):
        mouth = head.weights({"jawOpen": 0.25 * (1 - np.cos(i * 0.9)), "eyeBlink": float(i % 60 < 3)})
        calm = kind == "still"
        yaw, roll = (0.1, 0.0) if calm else (0.45 * np.sin(i / 14), 0.15 * np.sin(i / 11))
        picture, points = head.render(mouth, yaw=yaw, roll=roll)
        # Whole steps: a head that is pasted at rounded places would shake by itself.
        x, y = (300, 150) if calm else (100 + 6 * i, 100 + 2 * i)
        frame = world[: SIZE[0], 4 * i % 1500 : 4 * i % 1500 + SIZE[1]].copy()
        inner = np.abs(picture.astype(float) - picture[2, 2].astype(float)).sum(axis=2, keepdims=True) > 12
        frame[y : y + HEAD_PX, x : x + HEAD_PX] = np.where(inner, picture, frame[y : y + HEAD_PX, x : x + HEAD_PX])
        frames.append(np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8))
        truth.append(points.astype(np.float64) + np.array([x, y]))
    return frames, np.stack(truth)


def write(path: Path, frames: Sequence[RGB]) -> None:
    """Write frames as H.264, as a camera's export would be."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "20"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for rgb in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(stream.encode())


def jitter(error: Doubles) -> float:
    """Return the root mean square of the part of an error (T, N, 2) that changes from frame to frame, in px."""
    second = np.diff(error, 2, axis=0)
    return float(np.sqrt((second**2).sum(axis=-1).mean() / 6))  # white noise of unit power has second differences of 6


def against_truth(heads: Any, seed: int, kind: str, folder: Path) -> str:
    """Return a row that compares tracks and crops of a rendered video with what was rendered."""
    shots = [rendered_shot(heads, seed + i, 60, kind) for i in range(2)]
    path = folder / f"{kind}{seed}.mp4"
    write(path, [frame for frames, _ in shots for frame in frames])
    truth = np.concatenate([points for _, points in shots])
    scan, tracks, paths, (shots_ms, tracks_ms) = analysed(path)
    cuts = [shot.start for shot in scan.shots[1:]]
    if not tracks:
        return f"| {kind}, {seed} | {cuts} | 0/{len(truth)} | | | | | | {shots_ms + tracks_ms:.1f} |"
    covered = np.concatenate([np.arange(t.start, t.stop) for t in tracks])
    rows: list[list[Any]] = [[], [], [], []]
    for track, crop in zip(tracks, paths, strict=True):
        true = truth[track.start : track.stop]
        size = np.mean([eye_distance(points) for points in true])
        error = (track.points - true) / size * 100
        raw = similarity_from_points(track.points)
        mouth = np.full((len(true), 1, 2), [0.5, 0.62])
        target = apply_similarity(similarity_from_points(true, 0), mouth)
        place = [apply_similarity(path, mouth) - target for path in (raw, crop.similarities)]
        rows[0].append(np.linalg.norm(error - error.mean(axis=0), axis=-1).mean())
        rows[1].append(jitter(error[:, 27:48]))
        rows[2].append(jitter(error[:, 48:68]))
        rows[3].append([jitter(p / size * 100) for p in place] + [np.corrcoef(mouth_openness(track.points), mouth_openness(true))[0, 1]])
    means = [np.mean(row, axis=0) for row in rows]
    crop_raw, crop_smooth, follows = means[3]
    return (
        f"| {kind}, {seed} | {cuts} | {len(set(covered))}/{len(truth)} | {means[0]:.1f} | {means[1]:.2f} | {means[2]:.2f} "
        f"| {crop_raw:.2f} -> {crop_smooth:.2f} | {follows:.3f} | {shots_ms + tracks_ms:.1f} |"
    )


def main() -> None:
    """Print both tables."""
    options = argparse.ArgumentParser()
    options.add_argument("clips", nargs="*", type=Path)
    options.add_argument("--heads", type=Path)
    options.add_argument("--seeds", type=int, nargs="*", default=[1, 3, 6])
    given = options.parse_args()
    if given.clips:
        print("| clip | size | tracks | detections covered | overlap | shots, ms | tracks, ms | detector, ms a look |\n" + "|---" * 8 + "|")
        for clip in given.clips:
            print(against_detector(clip), flush=True)
    if given.heads:
        heads = load_heads(given.heads)
        print("\n| heads | cuts | frames tracked | error | jitter, eyes and nose | jitter, mouth | crop's jitter | openness follows | ms |")
        print("|---" * 9 + "|")
        with tempfile.TemporaryDirectory() as folder:
            for kind in ("still", "moving"):
                for seed in given.seeds:
                    print(against_truth(heads, seed, kind, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
