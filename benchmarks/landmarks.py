"""landmarks: clips -> how redub's own landmark network compares with dlib's published model, as Markdown.

    python benchmarks/landmarks.py CLIP [CLIP ...] [--sheet FOLDER]

Each clip is tracked with either model from end to end.  There is no truth on real footage: what is told is how far the two are
apart, in percent of the distance between the eyes, how alike the mouth's opening goes and how far, and how each of them shakes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from redub.choices import LandmarkModel
from redub.config import CropConfig, ShotConfig, TrackConfig
from redub.faces.cv import load_cv
from redub.faces.geometry import apply_similarity, similarity_from_points
from redub.faces.landmarks import find_landmarks, mouth_openness
from redub.media import open_video
from redub.progress import silent
from redub.stages.crops import place_crops
from redub.stages.shots import find_shots
from redub.stages.tracks import find_tracks
from redub.types import Doubles, Scan, Track

GROUPS = {"jaw": slice(0, 17), "brows": slice(17, 27), "nose": slice(27, 36), "eyes": slice(36, 48), "mouth": slice(48, 68)}
COLOURS = {LandmarkModel.DLIB: (60, 60, 255), LandmarkModel.OWN: (60, 255, 60)}
"""Blue, green, red."""
MOUTH = np.array([[0.5, 0.62]])
RUNS = 30
FACE_PX = 360


def longest(path: Path, model: LandmarkModel) -> tuple[Scan, Track | None]:
    """Track a clip, and return its longest track."""
    with open_video(path) as video:
        scan = find_shots(video, ShotConfig(), silent)
        tracks = find_tracks(video, scan, TrackConfig(landmarks=model), silent)
    return scan, max(tracks, key=len, default=None)


def shake(places: Doubles) -> float:
    """Return the root mean square of what changes from frame to frame (T, N, 2), real movement and all."""
    return float(np.sqrt((np.diff(places, 2, axis=0) ** 2).sum(-1).mean() / 6))


def compare(path: Path) -> tuple[dict[str, Any], list[tuple[int, dict[LandmarkModel, Any]]]]:
    """Return the measures of a clip, and for a few frames the points of both models."""
    tracks, row = {}, {}
    for model in LandmarkModel:
        scan, track = longest(path, model)
        if track is None:
            return {"frames": 0}, []
        tracks[model] = track
        crop = place_crops((track,), scan.facts.frame_rate, CropConfig())[0]
        raw = similarity_from_points(track.points)
        size = float(np.exp(raw[:, 0]).mean()) * 0.376  # the canonical face's eyes are so far apart
        row |= {
            f"{model} raw": shake(apply_similarity(raw, MOUTH)) / size * 100,
            f"{model} crop": shake(apply_similarity(crop.similarities, MOUTH)) / size * 100,
            f"{model} frames": len(track),
        }
    one, other = tracks[LandmarkModel.DLIB], tracks[LandmarkModel.OWN]
    start, stop = max(one.start, other.start), min(one.stop, other.stop)
    ours, theirs = (track.points[start - track.start : stop - track.start].astype(np.float64) for track in (other, one))
    apart = np.linalg.norm(theirs[:, 42:48].mean(1) - theirs[:, 36:42].mean(1), axis=-1)
    error = np.linalg.norm(ours - theirs, axis=-1) / apart[:, None] * 100
    row |= {"frames": stop - start, "all": error.mean(), **{name: error[:, part].mean() for name, part in GROUPS.items()}}
    opening, wanted = mouth_openness(ours), mouth_openness(theirs)
    row |= {"opening": np.corrcoef(opening, wanted)[0, 1], "reach": opening.std() / wanted.std()}
    chosen = np.linspace(0, stop - start - 1, 3).astype(int)
    return row, [(start + int(i), {LandmarkModel.DLIB: theirs[i], LandmarkModel.OWN: ours[i]}) for i in chosen]


def cost_ms(path: Path) -> dict[LandmarkModel, float]:
    """Return ms a face (both answers), the middle one of many calls between which the caches were filled with other things."""
    with open_video(path) as video:
        gray = next(iter(video.read())).gray()
    side = min(gray.shape) / 2
    box = [gray.shape[1] / 2 - side / 2, gray.shape[0] / 2 - side / 2, gray.shape[1] / 2 + side / 2, gray.shape[0] / 2 + side / 2]
    other, result = np.zeros(8_000_000, np.float32), {}
    for model in LandmarkModel:
        find_landmarks(gray, box, model)
        times = []
        for _ in range(RUNS):
            other += 1
            began = time.perf_counter()
            find_landmarks(gray, box, model)
            times.append(time.perf_counter() - began)
        result[model] = float(np.median(times)) * 1e3
    return result


def sheet(path: Path, chosen: Sequence[tuple[int, dict[LandmarkModel, Any]]]) -> Any:
    """Draw both models' points on faces: (FACE_PX, 3 FACE_PX, 3), BGR."""
    cv, tiles = load_cv(), []
    wanted = dict(chosen)
    with open_video(path) as video:
        for frame in video.read():
            if frame.index not in wanted:
                continue
            points = wanted[frame.index]
            low, high = points[LandmarkModel.DLIB].min(0), points[LandmarkModel.DLIB].max(0)
            side, middle = 1.4 * float((high - low).max()), (low + high) / 2
            scale = FACE_PX / side
            matrix = np.array([[scale, 0, FACE_PX / 2 - scale * middle[0]], [0, scale, FACE_PX / 2 - scale * middle[1]]])
            tile = cv.warpAffine(frame.rgb()[..., ::-1], matrix, (FACE_PX, FACE_PX), flags=cv.INTER_CUBIC)
            for model, colour in COLOURS.items():
                for point in points[model] @ matrix[:, :2].T + matrix[:, 2]:
                    cv.circle(tile, np.rint(point * 8).astype(int).tolist(), 18, colour, -1, cv.LINE_AA, 3)
            tiles.append(tile)
    return np.hstack(tiles)


def main() -> None:
    """Print the table; draw the sheets."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clips", nargs="+", type=Path)
    options.add_argument("--sheet", type=Path, help="a folder for pictures: dlib's points red, redub's green")
    given = options.parse_args()
    print("| clip | frames | all | jaw | brows | nose | eyes | mouth | opening, r | of dlib's | shake, dlib | own | crop's, dlib | own |")
    print("|---" * 14 + "|")
    rows = []
    for clip in given.clips:
        row, chosen = compare(clip)
        if not row["frames"]:
            print(f"| {clip.stem} | 0 |", flush=True)
            continue
        rows.append(row)
        parts = " | ".join(f"{row[name]:.1f}" for name in ("all", *GROUPS))
        shakes = " | ".join(f"{row[name]:.2f}" for name in ("dlib raw", "own raw", "dlib crop", "own crop"))
        frames = f"{row['frames']} of {row['dlib frames']}, {row['own frames']}"
        print(f"| {clip.stem} | {frames} | {parts} | {row['opening']:.3f} | {row['reach']:.2f} | {shakes} |", flush=True)
        if given.sheet:
            given.sheet.mkdir(parents=True, exist_ok=True)
            load_cv().imwrite(str(given.sheet / f"{clip.stem}.png"), sheet(clip, chosen))
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} if rows else {}
    if means:
        shakes = " | ".join(f"{means[name]:.2f}" for name in ("dlib raw", "own raw", "dlib crop", "own crop"))
        parts = " | ".join(f"{means[name]:.1f}" for name in ("all", *GROUPS))
        print(f"| mean | | {parts} | {means['opening']:.3f} | {means['reach']:.2f} | {shakes} |")
        print("\nms a face: " + ", ".join(f"{model} {value:.1f}" for model, value in cost_ms(given.clips[0]).items()))


if __name__ == "__main__":
    main()
