"""pack: footage -> aligned faces with their sound, small enough to travel.

The engine's own analysis finds, follows and registers the faces, so that a network learns from exactly what it will be
given.  Each stretch of speech becomes a *piece*: an H.264 file of crops with the sound around them, and an array file
of landmarks and times.  The sound is kept rather than its features, which differ from model to model; they are worked
out when a pack is opened, in seconds.

A source's folder takes its place when it is complete, so a pack that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from redub.config import Config
from redub.errors import RedubError
from redub.faces.crop import take_crop
from redub.faces.geometry import apply_similarity, invert_similarity
from redub.media import open_speech, open_video
from redub.media.store import SOUND_RATE_HZ, load_piece, store_piece
from redub.pipeline import analyse
from redub.plan import Plan, fingerprint
from redub.plugin import Piece
from redub.progress import Tell, silent
from redub.training.footage import Footage
from redub.types import Speaking

VERSION = 1
LEAD = Fraction(1, 2)
"""Sound is kept this many seconds before the first frame and behind the last."""
PIECE_FRAMES = 750
"""Longer stretches are cut, so that a piece can be held in memory."""
LEAST_FRAMES = 12
GRAIN = 4096
"""Landmarks are kept in this many steps of the crop's side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What became of one source."""

    source: Path
    frames: int
    remark: str = ""
    """Why nothing of it was packed."""


def make_pack(
    footage: Sequence[Footage], folder: Path, *, size_px: int = 112, jobs: int = 1, config: Config | None = None, tell: Tell = silent
) -> list[Packed]:
    """Analyse footage and keep the aligned faces that speak in it.

    Args:
        footage: From `find_footage`.
        folder: The pack; one that is there is completed.
        size_px: Side of the crops.
        jobs: Sources that are analysed at a time, each in a process of its own.
        config: For the analysis.
        tell: Is told how many sources are done.

    Raises:
        RedubError: The folder is something else, or a pack of another size.
    """
    _open_folder(folder, size_px)
    done: list[Packed] = []
    arguments = [(one, folder, size_px, config or Config()) for one in footage]
    tell("pack", 0, len(footage))
    for packed in _in_processes(arguments, jobs) if jobs > 1 else map(_pack_source, arguments):
        done.append(packed)
        tell("pack", len(done), len(footage))
    return done


def read_pack(folder: Path) -> Iterator[Piece]:
    """Yield the pieces of a pack, in a fixed order.

    Raises:
        RedubError: It is not a pack, or damaged.
    """
    _check_table(folder)
    for table_path in sorted(folder.glob("*/source.json")):
        try:
            table = json.loads(table_path.read_text(encoding="utf-8"))
            for entry in table["pieces"]:
                yield _read_piece(table_path.parent, table, entry)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RedubError(f"{table_path.parent} is damaged: {error}.", "Delete this folder and make the pack again.") from error


def is_pack(folder: Path) -> bool:
    """Say whether a folder is a pack."""
    return (folder / "pack.json").is_file()


def _open_folder(folder: Path, size_px: int) -> None:
    if is_pack(folder):
        found = _check_table(folder)
        if found["size_px"] != size_px:
            raise RedubError(f"The pack {folder} holds crops of {found['size_px']} px, not {size_px}.", "Name another folder.")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RedubError(f"{folder} exists and is not a pack.", "Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pack.json").write_text(json.dumps({"version": VERSION, "size_px": size_px}) + "\n", encoding="utf-8")


def _check_table(folder: Path) -> dict[str, Any]:
    try:
        table = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RedubError(f"{folder} is not a pack of footage.", "Name videos, or a folder that redub train made.") from None
    if not isinstance(table, dict) or table.get("version") != VERSION:
        raise RedubError(f"The pack {folder} is of another version.", "Make it anew from the footage.")
    return table


def _in_processes(arguments: list[tuple[Footage, Path, int, Config]], jobs: int) -> Iterator[Packed]:
    # Forked children would inherit locks that another thread holds.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_pack_source, argument) for argument in arguments]):
            yield future.result()


def _pack_source(argument: tuple[Footage, Path, int, Config]) -> Packed:
    """Analyse one source and store its pieces; what cannot be read is told, not raised: it is one of hundreds."""
    one, folder, size_px, config = argument
    try:
        digest = fingerprint(one.path).sha256
        target = folder / f"{one.path.stem[:40]}-{digest[:12]}"
        if not (target / "source.json").exists():
            fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=folder))
            try:
                _store(analyse(one.path, config), one, fresh, size_px)
                fresh.chmod(0o755)
                fresh.rename(target)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        pieces = json.loads((target / "source.json").read_text(encoding="utf-8"))["pieces"]
    except RedubError as error:
        return Packed(source=one.path, frames=0, remark=error.message)
    frames = sum(piece["frames"] for piece in pieces)
    return Packed(source=one.path, frames=frames, remark="" if frames else "nobody speaks in it")


def _store(plan: Plan, one: Footage, folder: Path, size_px: int) -> None:
    entries = []
    for stretch in plan.speaking:
        for start in range(stretch.start, stretch.stop, PIECE_FRAMES):
            piece = Speaking(track=stretch.track, start=start, stop=min(start + PIECE_FRAMES, stretch.stop))
            if len(piece) >= LEAST_FRAMES:
                name = f"{len(entries):03d}"
                _store_one(plan, one.path, piece, folder / name, size_px)
                entries.append({"name": name, "frames": len(piece), "offset_s": 0.0})
    table = {"source": one.path.name, "speaker": one.speaker, "is_held_out": one.is_held_out, "pieces": entries}
    (folder / "source.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _store_one(plan: Plan, video: Path, piece: Speaking, path: Path, size_px: int) -> None:
    track, crop = plan.track(piece.track), plan.crop(piece.track)
    rows = crop.similarities[piece.start - crop.start : piece.stop - crop.start]
    times = [(int(tick) - int(plan.pts[0])) * plan.time_base for tick in plan.pts] + [plan.facts.duration]
    begin = times[piece.start] - LEAD
    middles = [(times[i] + times[i + 1]) / 2 - begin for i in range(piece.start, piece.stop)]
    with open_speech(video, SOUND_RATE_HZ) as sound:
        speech = sound.window(round(begin * SOUND_RATE_HZ), round((times[piece.stop] + LEAD) * SOUND_RATE_HZ))
    with open_video(video, plan.pts) as reader:
        crops = (take_crop(frame, rows[frame.index - piece.start], size_px) for frame in reader.read(piece.start, piece.stop))
        store_piece(path.with_suffix(".mkv"), crops, [time - begin for time in times[piece.start : piece.stop]], speech)
    points = apply_similarity(invert_similarity(rows), track.points[piece.start - track.start : piece.stop - track.start])
    steps = np.rint(points * GRAIN).astype(np.int32)
    # Differences over time are small numbers, which compress well.
    np.savez_compressed(
        path.with_suffix(".npz"),
        points=np.diff(steps, axis=0, prepend=0).astype(np.int16),
        times_s=np.array([float(middle) for middle in middles]),
    )


def _read_piece(folder: Path, table: dict[str, Any], entry: dict[str, Any]) -> Piece:
    name = entry["name"]
    if not isinstance(name, str) or not name.isdigit():
        raise ValueError(f"a piece is called {name!r}")
    crops, _, speech = load_piece(folder / f"{name}.mkv")
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        points = np.cumsum(arrays["points"].astype(np.int32), axis=0) / GRAIN
        times_s = arrays["times_s"]
    if not len(crops) == len(points) == len(times_s) == entry["frames"]:
        raise ValueError(f"piece {name} has {len(crops)} pictures, {len(points)} faces and {len(times_s)} times")
    return Piece(
        name=f"{folder.name}/{name}",
        speaker=str(table["speaker"]),
        is_held_out=bool(table["is_held_out"]),
        offset_s=float(entry["offset_s"]),
        crops=crops,
        points=points.astype(np.float32),
        times_s=times_s,
        speech=speech,
    )
