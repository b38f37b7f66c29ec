"""footage: what somebody named -> the videos to learn from, with their speakers.

A video, a folder of videos, or a manifest: a JSON list of ``{"file", "speaker", "split", "weights_ok"}``, of which only
``file`` is needed.  A manifest's test speakers and footage that must not enter weights are left out here, in one
place, so that no training can reach them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redub.errors import RedubError
from redub.files import check_file

SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """One video of somebody talking."""

    path: Path
    speaker: str
    is_held_out: bool = False
    """Never trained on: it tells how training goes."""


def find_footage(named: Iterable[Path]) -> list[Footage]:
    """List the videos that files, folders and manifests name, each once.

    Raises:
        RedubError: A path is missing, a manifest is damaged or points out of its folder, or nothing is left.
    """
    found: dict[Path, Footage] = {}
    for path in named:
        for one in _expand(Path(path)):
            found.setdefault(one.path.resolve(), one)
    if not found:
        raise RedubError("There is no video to learn from.", f"Name videos, folders of them ({', '.join(sorted(SUFFIXES))}) or a manifest.")
    return list(found.values())


def _expand(path: Path) -> list[Footage]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        return [Footage(path=file, speaker=file.stem) for file in files]
    check_file(path, "footage")
    if path.suffix.lower() == ".json":
        return _read_manifest(path)
    return [Footage(path=path, speaker=path.stem)]


def _read_manifest(path: Path) -> list[Footage]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RedubError(f"The manifest {path} cannot be read: {error}.", "It is a JSON list of objects.") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RedubError(f"The manifest {path} is not a list of objects.", 'Write  [{"file": "a.mp4", "speaker": "ann"}, ...]')
    kept = [entry for entry in entries if entry.get("split", "train") in ("train", "val") and entry.get("weights_ok", True) is not False]
    return [_entry(path, entry) for entry in kept]


def _entry(manifest: Path, entry: dict[str, Any]) -> Footage:
    name = entry.get("file")
    if not isinstance(name, str):
        raise RedubError(f"An entry of the manifest {manifest} names no file.", 'Each has the form {"file": "a.mp4", "speaker": "ann"}.')
    file = manifest.parent / name
    if not file.resolve().is_relative_to(manifest.parent.resolve()):
        raise RedubError(f"The manifest {manifest} names {name}, which lies outside its folder.", "Put the footage beside the manifest.")
    check_file(file, "footage")
    return Footage(path=file, speaker=str(entry.get("speaker", file.stem)), is_held_out=entry.get("split") == "val")
