"""How well lips and sound are compared: the sync network and what the engine makes of it, on real clips and rendered heads.

Writes ``sync.md`` and pictures: retrieval accuracy beside the published one, known shifts, two faces beside each other, silent
faces, the clips' own offsets, and what listening costs of an analysis.  Nothing of it may be tuned on::

    python benchmarks/sync.py CLIPS/clips.json --weights sync.safetensors --heads synthetic_heads.py -o report

The first run analyses all clips and keeps that in ``--work``; another network's takes a few minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from sync_clips import Clip, Line, Looking, look_at, percent, read_clips, render_heads, table, with_sound
from sync_faces import beside, filmed, silent
from whole import make_input

from redub.config import Config
from redub.draw.confusion import draw_confusion, draw_retrieval
from redub.pipeline import analyse, hear
from redub.speech.retrieval import FRAMES, Retrieval, retrieve
from redub.speech.sync import LAGS, RATE_HZ, SyncSeries, load_sync, read_sync
from redub.speech.syncnet import SyncModel

PUBLISHED = {
    "SyncNet, LRS2": (75.8, 82.3, 87.6, 91.8, 94.5, 96.1),
    "Perfect Match, LRS2": (88.1, 93.8, 96.4, 97.9, 98.7, 99.1),
}
"""Per cent by frames, as VocaLiST's authors list them."""
FILMED = 20
DRAWS = 1000


def spread_of(found: Sequence[Retrieval], row: int) -> str:
    """Return the 95 % interval of an accuracy, by drawing clips with replacement."""
    counts = np.stack([one.counts[row] for one in found])
    drawn = counts[np.random.default_rng(0).integers(0, len(counts), (DRAWS, len(counts)))].sum(axis=1)
    shares = drawn[:, LAGS - 1 : LAGS + 2].sum(axis=1) / np.maximum(drawn.sum(axis=1), 1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return f"{100 * low:.0f} to {100 * high:.0f}" if len(found) > 2 else "-"


def around_own(track: SyncSeries) -> Retrieval:
    """Search around the offset that the other half of a clip has: its own half's would be the one at which most is right."""
    parts = []
    for keep in (slice(0, len(track.faces) // 2), slice(len(track.faces) // 2, None)):
        here, other = np.full_like(track.faces, np.nan), track.faces.copy()
        here[keep], other[keep] = track.faces[keep], np.nan
        offset = read_sync(other, track.sounds, track.is_speech).offset_frames
        parts.append(retrieve(here, track.sounds, track.is_speech, offset_frames=offset if np.isfinite(offset) else 0.0))
    return parts[0] + parts[1]


def retrieval(clips: Sequence[Clip], tracks: Sequence[SyncSeries], out: Path) -> Line:
    """(1) How often the right moment is found, by group and length; draws where it was found instead."""
    rows = [[name, "", *(f"{value:.1f} %" for value in values), "", "", ""] for name, values in PUBLISHED.items()]
    pictures: Line = []
    for group in sorted({clip.group for clip in clips}):
        own = [track for clip, track in zip(clips, tracks, strict=True) if clip.group == group]
        found = [retrieve(one.faces, one.sounds, one.is_speech) for one in own]
        total = sum(found[1:], found[0])
        better = sum((around_own(one) for one in own[1:]), around_own(own[0])).accuracy
        numbers = [percent(float(share)) for share in total.accuracy]
        spread = [spread_of(found, 0), spread_of(found, len(FRAMES) - 1)]
        rows.append(
            [f"{group}, {len(own)} clips", str(total.counts[0].sum()), *numbers, *spread, f"{percent(better[0])}, {percent(better[-1])}"]
        )
        name = f"retrieval-{group.replace(' ', '-')}.png"
        draw_retrieval(total, group).save(out / name)
        pictures += [f"![Where the sound was found: {group}]({name})", ""]
    heading = [
        "",
        "windows",
        *map(str, FRAMES),
        "5: 95 % interval",
        "15: 95 % interval",
        "5 and 15 around the offset of the clip's other half",
    ]
    return ["## Retrieval accuracy by frames", "", *table(heading, rows), *pictures]


def shifts(named: dict[str, Sequence[Clip]], model: SyncModel, out: Path) -> Line:
    """(2) Known shifts, found or not."""
    rows, pictures = [], []
    for name, clips in named.items():
        put, found, own = [], [], []
        for clip in clips:
            usual = clip.sight.embed(model).read().offset_frames
            for frames in range(-LAGS, LAGS + 1):
                put.append(frames)
                found.append(clip.sight.moved(frames).embed(model).read().offset_frames)
                own.append(usual)
        error, beside = (np.abs(np.array(found) - np.array(put) - base) for base in (0.0, np.array(own)))
        near = np.abs(np.rint(np.array(found)) - np.array(put)) <= 1
        cells = [
            percent(float(near.mean())),
            percent(float((beside <= 1).mean())),
            f"{np.nanmedian(error):.2f}",
            f"{np.nanmedian(beside):.2f}",
        ]
        rows.append([f"{name}, {len(clips)} clips", str(len(put)), *cells])
        pictures += _drawn(put, found, name, out)
    heading = ["", "shifts", "found within a frame", "within a frame of shift and own offset", "median error, frames", "beside own offset"]
    note = "The own offset is what the network reads of the clip as it is. Heads that are rendered may move before they are heard."
    return ["## Known shifts from -15 to +15 frames", "", *table(heading, rows), note, "", *pictures]


def _drawn(put: Sequence[int], found: Sequence[float], name: str, out: Path) -> Line:
    counts = np.zeros((2 * LAGS + 1, 2 * LAGS + 1), np.int64)
    for true, value in zip(put, found, strict=True):
        if np.isfinite(value):
            counts[true + LAGS, int(np.clip(round(value), -LAGS, LAGS)) + LAGS] += 1
    words = [str(frames) for frames in range(-LAGS, LAGS + 1)]
    file = f"shifts-{name.replace(' ', '-')}.png"
    draw_confusion(counts, words, words, title=f"Known shifts, {name}", below="frames found; rows: frames put in").save(out / file)
    return [f"![Shifts found: {name}]({file})", ""]


def offsets(clips: Sequence[Clip], model: SyncModel, config: Config) -> Line:
    """(5) By how much each clip's own sound is early, and whether its face is taken for the speaker."""
    rows, usual = [], {}
    for clip in clips:
        plan = hear(clip.plan, clip.path, config, model=model)
        track = max(plan.tracks, key=len)
        reading = plan.reading(track.id)
        assert reading is not None
        speaks = sum(len(one) for one in plan.speaking if one.track == track.id) / len(track)
        usual.setdefault(clip.group, []).append((reading.offset_s * RATE_HZ, speaks))
        if "val" not in clip.group:
            numbers = (
                f"{reading.offset_s * RATE_HZ:+.2f}",
                f"{reading.offset_s:+.3f} s",
                f"{reading.confidence:.2f}",
                f"{reading.distance:.2f}",
            )
            rows.append([clip.name, clip.group, *numbers, percent(reading.coverage), percent(speaks)])
    heading = ["clip", "group", "frames early", "early by", "confidence", "distance", "coverage", "speaks"]
    means = []
    for group, found in sorted(usual.items()):
        values = np.array(found)
        low, middle, high = np.nanquantile(values[:, 0], [0.05, 0.5, 0.95])
        means.append([group, str(len(found)), f"{middle:+.2f}", f"{low:+.2f} to {high:+.2f}", percent(float((values[:, 1] > 0.5).mean()))])
    heads = ["group", "clips", "median offset, frames", "5 to 95 %", "taken for the speaker most of the time"]
    return ["## The clips' own offsets", "", *table(heading, rows), *table(heads, means)]


def cost(clip: Path, seconds: int, folder: Path) -> Line:
    """(6) What listening with the shipped network costs of an analysis at 720p: all that comes behind tracking, and loading the network."""
    video = with_sound(*make_input(clip, seconds, folder), folder / f"input{seconds}.mkv")
    clocks = (time.perf_counter, time.process_time)
    seen_s: list[float] = []

    def tell(stage: str, done: int, total: int | None) -> None:
        if stage == "tracks" and done == total:
            seen_s[:] = [clock() for clock in clocks]

    began = [clock() for clock in clocks]
    plan = analyse(video, tell=tell)
    ended = [clock() for clock in clocks]
    if not plan.readings:
        raise SystemExit(f"Nothing listened: {plan.unheard}")
    rows = [
        [kind, f"{seen - first:.1f} s", f"{last - seen:.1f} s", percent((last - seen) / (last - first))]
        for kind, first, seen, last in zip(("wall", "processor"), began, seen_s, ended, strict=True)
    ]
    return [f"## Cost, {seconds} s of 1280 x 720", "", *table(["time", "shots, faces", "crops, listening", "share"], rows)]


def main() -> None:
    """Write the report."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clips", type=Path, help="a manifest: a JSON list with file, speaker and split")
    options.add_argument("--weights", type=Path, help="a sync network; else the shipped one")
    options.add_argument("--heads", type=Path, help="a module that renders heads")
    options.add_argument("--work", type=Path, default=Path("sync-work"), help="keeps analyses")
    options.add_argument("-o", "--output", type=Path, default=Path("sync-report"))
    options.add_argument("--set", action="append", default=[], help="a setting, such as speakers.chance=0.3 or tracks.landmarks=dlib")
    options.add_argument("--only", nargs="+", default=[], help="retrieval, shifts, beside, silent, offsets, cost")
    options.add_argument("--filmed", type=int, default=FILMED, help="pairs that are written as videos")
    options.add_argument("--seconds", type=int, default=30, help="length of the 720p input")
    options.add_argument("--held-out", type=int, default=1000, help="most clips of the split val")
    options.add_argument("--jobs", type=int, default=1)
    asked = options.parse_args()
    for folder in (asked.work, asked.output):
        folder.mkdir(parents=True, exist_ok=True)
    lines = ["# Lips and sound", "", *measure(asked)]
    (asked.output / "sync.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


def measure(asked: argparse.Namespace) -> Line:
    """Return the report's lines; pictures are written on the way."""
    config = Config()
    for setting in asked.set:
        config = config.set(setting)
    model = load_sync(asked.weights)
    looking = Looking(folder=asked.work, weights=asked.weights, config=config, jobs=asked.jobs)
    held_out, test = (read_clips(asked.clips, split, looking, most) for split, most in (("val", asked.held_out), ("test", 1000)))
    talking: list[Clip] = []
    resting: list[Clip] = []
    if asked.heads:
        talks, rests = render_heads(asked.heads, asked.work)
        talking, resting = (look_at([(path, path.stem, "heads") for path in paths], looking) for paths in (talks, rests))
    everybody = [*held_out, *test, *talking]
    grid = [clip for clip in test if "grid" in clip.group]
    moved = {"GRID test" if grid else "test": grid or test, **({"rendered heads": talking} if talking else {})}
    parts: dict[str, Callable[[], Line]] = {
        "retrieval": lambda: retrieval(everybody, [clip.sight.embed(model) for clip in everybody], asked.output),
        "shifts": lambda: shifts(moved, model, asked.output),
        "beside": lambda: [
            "## Two faces, the sound of one", "", *beside(test, model, config.speakers),
            *(filmed(test, model, config, asked.work, asked.filmed) if asked.filmed else []),
        ],
        "silent": lambda: silent(test, held_out, resting, model, config.speakers),
        "offsets": lambda: offsets(everybody, model, config),
        "cost": lambda: cost(next((clip.path for clip in test if "seat" in clip.group), test[0].path), asked.seconds, asked.work),
    }  # fmt: skip
    lines: Line = []
    for name, make in parts.items():
        if name in asked.only or not asked.only:
            began = time.perf_counter()
            lines += make()
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    return lines


if __name__ == "__main__":
    main()
