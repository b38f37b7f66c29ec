"""pack: footage -> aligned faces with their sound, small enough to travel.

The engine's own analysis finds, follows and registers the faces, so that a network learns from exactly what it will be
given.  Each stretch of speech becomes a *piece*: an H.264 file of crops with the sound around them, and an array file
of landmarks and times.  The sound is kept rather than its features, which differ from model to model; they are worked
out when a pack is opened, in seconds.

A source's folder takes its place when it is complete, so a pack that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redub.choices import LandmarkModel
from redub.config import Config
from redub.errors import RedubError
from redub.files import check_file
from redub.media import Speech, check_sound, open_speech
from redub.media.store import SOUND_RATE_HZ, load_piece, store_piece
from redub.offset import track_offset
from redub.pieces import LEAD, follow_course, squared, take_crops
from redub.pipeline import analyse
from redub.plan import Plan, fingerprint
from redub.plugin import Piece, Region
from redub.processes import in_processes
from redub.progress import Tell, silent
from redub.training.footage import Footage
from redub.types import Doubles, Speaking

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows: nothing tells there whose an unfinished folder is, and it stays
    fcntl = None  # type: ignore[assignment]

VERSION = 1
PIECE_FRAMES = 750
"""Longer stretches are cut, so that a piece can be held in memory."""
LEAST_FRAMES = 12
GRAIN = 4096
"""Landmarks are kept in this many steps of the crop's side."""
OFFSET_IS_KNOWN = "offset_is_known"
"""In a source's table: its manifest said how lips and sound lie, which nothing that is measured may replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What became of one source."""

    source: Path
    frames: int
    remark: str = ""
    """Why nothing of it was packed."""


def make_pack(  # noqa: PLR0913  each may be left out
    footage: Sequence[Footage],
    folder: Path,
    *,
    size_px: int = 112,
    region: Region = Region.FACE,
    jobs: int = 1,
    config: Config | None = None,
    tell: Tell = silent,
) -> list[Packed]:
    """Analyse footage and keep the aligned faces that speak in it, or for a FRAME generator the squares around them.

    Args:
        footage: From `find_footage`.
        folder: The pack; one that is there is completed, and told who speaks and who is held out if that has changed.
        size_px: Side of the crops.
        region: What a crop is: a registered face, or the largest centred square of the frame.
        jobs: Sources that are analysed at a time, each in a process of its own.
        config: For the analysis.
        tell: Is told how many sources are done.

    Returns:
        One for each source, in the order in which they were done.

    Raises:
        RedubError: The folder cannot be written, is something else, or a pack of another size or another landmark model; or a
            process was killed.
    """
    config = config or Config()
    _open_folder(folder, size_px, region, config.tracks.landmarks)
    done: list[Packed] = []
    arguments = [(one, folder, size_px, region, config) for one in footage]
    tell("pack", 0, len(footage))
    several = in_processes(_pack_source, [(one,) for one in arguments], jobs, "packed footage") if jobs > 1 else None
    for packed in several or map(_pack_source, arguments):
        done.append(packed)
        tell("pack", len(done), len(footage))
    return done


def read_pack(folder: Path) -> Iterator[Piece]:
    """Yield the pieces of a pack, in a fixed order.

    Raises:
        RedubError: It is not a pack, or damaged.
    """
    size_px = _check_table(folder).get("size_px")
    # A name with a dot is an unfinished one's.
    for table_path in sorted(path for path in folder.glob("*/source.json") if not path.parent.name.startswith(".")):
        try:
            table = json.loads(table_path.read_text(encoding="utf-8"))
            for entry in table["pieces"]:
                piece = _read_piece(table_path.parent, table, entry)
                _check_piece(piece, size_px, entry["frames"])
                yield piece
        except _DAMAGE as error:
            raise RedubError(f"{table_path.parent} is damaged: {error}.", "Delete this folder and make the pack again.") from error


_DAMAGE = (RedubError, OSError, EOFError, ValueError, LookupError, TypeError, zipfile.BadZipFile, zlib.error)
"""What a file raises that was cut off or written by somebody else."""


def is_pack(folder: Path) -> bool:
    """Say whether a folder is a pack."""
    return (folder / "pack.json").is_file()


def check_region(folder: Path, region: Region) -> None:
    """Raise `RedubError` unless a pack holds crops of this kind."""
    found = _check_table(folder).get("region", Region.FACE)
    if found != region:
        hint = "Pack the footage with  redub pack VIDEO... --for GENERATOR -o FOLDER"
        raise RedubError(f"The pack {folder} holds crops of the kind {found}, and {region} is wanted.", hint)


def find_landmark_model(packs: Sequence[Path]) -> LandmarkModel:
    """Return what found the landmarks in packs, which mean different points of a face from one model to another.

    Raises:
        RedubError: One of them is no pack, or they do not agree.
    """
    found = {pack: _landmarks_of(_check_table(pack)) for pack in packs}
    (first, model), *others = found.items()
    for pack, other in others:
        if other != model:
            hint = f"Make one of them anew, with  redub pack --set tracks.landmarks={other}  or  ={model}."
            raise RedubError(f"The landmarks of {first} were found by {model}, those of {pack} by {other}; their points differ.", hint)
    return model


def _landmarks_of(table: dict[str, Any]) -> LandmarkModel:
    """Return what found a pack's landmarks; where that is not said there was but one."""
    try:
        return LandmarkModel(table.get("landmarks", LandmarkModel.DLIB))
    except ValueError:
        raise RedubError(f"The pack's landmarks are by {table['landmarks']!r}, which is not known.", "Make it anew.") from None


def _open_folder(folder: Path, size_px: int, region: Region, landmarks: LandmarkModel) -> None:
    if is_pack(folder):
        found = _check_table(folder)
        if found["size_px"] != size_px:
            raise RedubError(f"The pack {folder} holds crops of {found['size_px']} px, not {size_px}.", "Name another folder.")
        check_region(folder, region)
        made_by = _landmarks_of(found)
        if made_by != landmarks:
            hint = f"Name another folder, or go on with  --set tracks.landmarks={made_by}"
            raise RedubError(f"The landmarks of the pack {folder} were found by {made_by}, not {landmarks}.", hint)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RedubError(f"{folder} exists and is not a pack.", "Name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table = {"version": VERSION, "size_px": size_px, "region": str(region), "landmarks": str(landmarks)}
        _write_table(folder / "pack.json", table)
    except OSError as error:
        raise RedubError(f"The pack {folder} cannot be written: {error.strerror}.", "Name a folder of your own.") from error


def _check_table(folder: Path) -> dict[str, Any]:
    try:
        table = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RedubError(f"{folder} is not a pack of footage.", "Name videos, or a folder that redub train made.") from None
    if not isinstance(table, dict) or table.get("version") != VERSION:
        raise RedubError(f"The pack {folder} is of another version.", "Make it anew from the footage.")
    return table


def _write_table(path: Path, table: dict[str, Any]) -> None:
    """Write a table that is never seen half-written."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _pack_source(argument: tuple[Footage, Path, int, Region, Config]) -> Packed:
    """Analyse one source and store its pieces; what cannot be read is told, not raised: it is one of hundreds."""
    one, folder, size_px, region, config = argument
    try:
        digest = fingerprint(check_file(one.path, "footage")).sha256
        target = folder / f"{one.path.stem[:40].lstrip('.')}-{digest[:12]}"
        if not (target / "source.json").exists():
            _make_source(one, target, size_px, region, config)
        pieces = _settle(target / "source.json", one)
    except RedubError as error:
        return Packed(source=one.path, frames=0, remark=error.message)
    except OSError as error:
        return Packed(source=one.path, frames=0, remark=f"its folder in {folder} cannot be written: {error.strerror}")
    frames = sum(piece["frames"] for piece in pieces)
    return Packed(source=one.path, frames=frames, remark="" if frames else "nobody speaks in it")


def _make_source(one: Footage, target: Path, size_px: int, region: Region, config: Config) -> None:
    # What is bound to fail must not cost an analysis first.
    check_sound(one.path)
    _sweep(target)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    handle = _lock(fresh)
    try:
        plan = analyse(one.path, config)
        _store(squared(plan) if region is Region.FRAME else plan, one, fresh, size_px)
        fresh.chmod(0o755)
        try:
            fresh.rename(target)
        except OSError:
            # Another run, or another name of the same file, may have been faster.
            if not (target / "source.json").exists():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _sweep(target: Path) -> None:
    """Remove what killed runs left of a source; what another run is making is locked."""
    for left in target.parent.glob(f".{target.name}.*"):
        handle = _lock(left)
        if handle is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)


def _lock(folder: Path) -> int | None:
    """Lock a folder as long as this process lives; None where another one holds it, or there are no locks."""
    if fcntl is None:
        return None
    handle = -1
    try:
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if handle >= 0:
            os.close(handle)
        return None
    return handle


def _settle(path: Path, one: Footage) -> list[dict[str, Any]]:
    """Return the pieces of a source, after its table says what the footage says now."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        pieces: list[dict[str, Any]] = table["pieces"]
        said: dict[str, Any] = {"speaker": one.speaker, "is_held_out": one.is_held_out}
        if one.offset_s is not None:
            pieces = [{**piece, "offset_s": one.offset_s} for piece in pieces]
            said |= {"pieces": pieces, OFFSET_IS_KNOWN: True}
        if {**table, **said} != table:
            _write_table(path, {**table, **said})
    except (ValueError, LookupError, TypeError) as error:
        raise RedubError(f"{path.parent} is damaged: {error}.", "Delete this folder and make the pack again.") from error
    return pieces


def _store(plan: Plan, one: Footage, folder: Path, size_px: int) -> None:
    entries: list[dict[str, Any]] = []
    with open_speech(one.path, SOUND_RATE_HZ) as sound:
        for stretch in plan.speaking:
            for start in range(stretch.start, stretch.stop, PIECE_FRAMES):
                piece = Speaking(track=stretch.track, start=start, stop=min(start + PIECE_FRAMES, stretch.stop))
                if len(piece) >= LEAST_FRAMES:
                    name = f"{len(entries):03d}"
                    _store_one(plan, one.path, sound, piece, folder / name, size_px)
                    entries.append({"name": name, "frames": len(piece), "start": piece.start, "offset_s": track_offset(plan, piece.track)})
    table = {"source": one.path.name, "speaker": one.speaker, "is_held_out": one.is_held_out, "pieces": entries}
    _write_table(folder / "source.json", table)


def _store_one(plan: Plan, video: Path, sound: Speech, piece: Speaking, path: Path, size_px: int) -> None:
    course = follow_course(plan, sound, piece)
    store_piece(path.with_suffix(".mkv"), take_crops(plan, video, piece, size_px), course.starts[:-1], course.speech)
    np.savez_compressed(path.with_suffix(".npz"), points=_packed_points(course.points), times_s=course.times_s)


def _packed_points(points: Doubles) -> NDArray[np.int16]:
    """Return differences over time, which are small numbers and compress well."""
    # What lies three sides beyond the crop means nothing, and its differences would not fit.
    steps = np.rint(np.clip(points, -3, 4) * GRAIN).astype(np.int32)
    return np.diff(steps, axis=0, prepend=0).astype(np.int16)


def _read_piece(folder: Path, table: dict[str, Any], entry: dict[str, Any]) -> Piece:
    name = entry["name"]
    if not isinstance(name, str) or not name.isdigit():
        raise ValueError(f"a piece is called {name!r}")
    crops, _, speech = load_piece(folder / f"{name}.mkv")
    # A file that numpy opened itself would stay open where it is damaged.
    with (folder / f"{name}.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        points = np.cumsum(arrays["points"].astype(np.int32), axis=0) / GRAIN
        times_s = arrays["times_s"]
    return Piece(
        name=f"{folder.name}/{name}",
        speaker=str(table["speaker"]),
        is_held_out=bool(table["is_held_out"]),
        offset_s=float(entry["offset_s"]),
        crops=crops,
        points=points.astype(np.float32),
        times_s=times_s,
        speech=speech,
        source=Path(str(table["source"])).stem,
        first_frame=int(entry.get("start", 0)),
    )


def _check_piece(piece: Piece, size_px: Any, frames: Any) -> None:
    """Raise ValueError where the files of a piece do not belong together, or one was cut off."""
    count = len(piece.times_s)
    if count != frames or piece.crops.shape != (count, size_px, size_px, 3) or piece.points.shape != (count, 68, 2):
        shapes = f"pictures {piece.crops.shape}, faces {piece.points.shape} and {count} times"
        raise ValueError(f"piece {piece.name} holds {shapes}, not {frames} of {size_px} px")
    if len(piece.speech) < (piece.times_s[-1] + float(LEAD)) * SOUND_RATE_HZ - 1:
        raise ValueError(f"the sound of piece {piece.name} ends too early")
