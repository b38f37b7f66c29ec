"""maker: an order and a number of clips -> a folder of them with a manifest; goes on where it stopped."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from redub.errors import RedubError
from redub.footage.espeak import load_espeak, say
from redub.footage.filming import Order, film
from redub.footage.kit import load_kit
from redub.footage.sentences import LANGUAGES, VOICES
from redub.media.place import Part
from redub.processes import in_processes
from redub.progress import Tell, silent

MANIFEST, TABLE = "clips.json", "footage.json"
VERSION = 1
SOUNDS = {".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus"}
EVERY = 20
"""The manifest is written anew after so many clips."""


def make_footage(order: Order, clips: int, folder: Path, *, jobs: int = 1, tell: Tell = silent) -> int:
    """Make clips until the folder holds as many as asked for.

    Args:
        order: What they are made of.
        clips: How many, with those that are there.
        folder: Where they go; made if it is missing.
        jobs: Clips that are drawn at a time, each in a process of its own.
        tell: Is told how many are done.

    Returns:
        How many were made now.

    Raises:
        RedubError: The kit or the synthesiser is missing, the folder holds footage of another order or cannot be
            written, or a process was killed.
    """
    kit = load_kit(order.kit)
    if not order.recordings:
        load_espeak()
        for language in sorted(set(order.languages) - set(LANGUAGES)):
            say("1", VOICES.get(language, language), 160, 50, 50)
    _open_folder(folder, order, kit.sha256)
    numbers = [number for number in range(clips) if _read_entry(folder / f"{number:05d}.npz") is None]
    done = clips - len(numbers)
    tell("film", done, clips)
    try:
        orders = [(order, number, folder) for number in numbers]
        several = in_processes(film, orders, jobs, "drew clips") if jobs > 1 else None
        for made, _ in enumerate(several or _one_by_one(order, numbers, folder), 1):
            tell("film", done + made, clips)
            if made % EVERY == 0:
                write_manifest(folder)
    finally:
        write_manifest(folder)
    return len(numbers)


def write_manifest(folder: Path) -> int:
    """Write ``clips.json`` of all clips that are complete; return how many."""
    found = (_read_entry(path) for path in sorted(folder.glob("[0-9]*.npz")))
    entries = [entry for entry in found if entry is not None]
    _write(folder / MANIFEST, entries)
    return len(entries)


def find_recordings(folder: Path) -> tuple[Path, ...]:
    """Return the sound files in a folder.

    Raises:
        RedubError: There is none.
    """
    found = tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS and path.is_file())) if folder.is_dir() else ()
    if not found:
        raise RedubError(f"There is no recorded speech in {folder}.", f"It is looked for as {', '.join(sorted(SOUNDS))}.")
    return found


def _one_by_one(order: Order, numbers: Sequence[int], folder: Path) -> Iterator[dict[str, Any]]:
    for number in numbers:
        yield film(order, number, folder)


def _open_folder(folder: Path, order: Order, kit_sha256: str) -> None:
    """Make the folder, or see that it holds footage of the same order."""
    table = {
        "version": VERSION, "kit_sha256": kit_sha256,
        **{key: value for key, value in asdict(order).items() if key not in ("kit", "recordings")},
        "languages": list(order.languages), "recordings": [path.name for path in order.recordings],
    }  # fmt: skip
    path = folder / TABLE
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RedubError(f"{path} is damaged: {error}.", "Delete it if the footage beside it may be made anew.") from error
        differing = sorted(key for key in table if not isinstance(found, dict) or found.get(key) != table[key])
        if differing:
            raise RedubError(
                f"{folder} holds footage of other settings ({', '.join(differing)}).",
                "Name another folder, or the same settings as before.",
            )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError as error:
        raise RedubError(f"The folder {folder} cannot be made: {error.strerror}.", "Name one of your own with --output.") from error
    if not is_empty:
        raise RedubError(f"{folder} holds something else.", "Name a new folder with --output.")
    _write(path, table)


def _read_entry(truth: Path) -> Any:
    """Return a clip's entry in the manifest; None where the clip is missing or was cut off, as by a power cut."""
    if not truth.with_suffix(".mp4").is_file():
        return None
    try:
        with truth.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return json.loads(str(stored["entry"]))
    except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile, zlib.error):
        return None


def _write(path: Path, value: Any) -> None:
    part = Part(path)
    try:
        part.path.write_text(json.dumps(value, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
        part.publish()
    finally:
        part.discard()
