"""footage: what somebody named -> the videos to learn from, with their speakers.

A video, a folder of videos, or a manifest: a JSON list of ``{"file", "speaker", "split", "weights_ok", "offset_s"}``, of which
only ``file`` is needed.  A manifest's test speakers and footage that must not enter weights are left out here, in one
place, also where a folder that is named as well holds them.
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
MOST_OFFSET_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """One video of somebody talking."""

    path: Path
    speaker: str
    is_held_out: bool = False
    """Never trained on: it tells how training goes."""
    offset_s: float | None = None
    """How early its sound is against the lips, where that is known, as of rendered footage; None has it measured."""


def find_footage(named: Iterable[Path]) -> list[Footage]:
    """List the videos that files, folders and manifests name, each once.

    What a manifest says of a video holds however else it is named.

    Raises:
        RedubError: A path is missing, a manifest is damaged or points out of its folder, or nothing is left.
    """
    found: dict[Path, Footage] = {}
    left_out: set[Path] = set()
    # A manifest knows more of a video than its name does.
    for path in sorted(map(Path, named), key=lambda path: not _is_manifest(path)):
        for one in _expand(path, left_out):
            place = _place(one.path)
            if place not in found or one.is_held_out:
                found[place] = one
    kept = [one for place, one in found.items() if place not in left_out]
    if not kept:
        raise RedubError("There is no video to learn from.", f"Name videos, folders of them ({', '.join(sorted(SUFFIXES))}) or a manifest.")
    return kept


def _is_manifest(path: Path) -> bool:
    return path.suffix.lower() == ".json" and not path.is_dir()


def _expand(path: Path, left_out: set[Path]) -> list[Footage]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file() and not _is_other(file, path))
        return [Footage(path=file, speaker=file.stem) for file in files]
    check_file(path, "footage")
    if _is_manifest(path):
        return _read_manifest(path, left_out)
    return [Footage(path=path, speaker=path.stem)]


def _is_other(file: Path, folder: Path) -> bool:
    """Say whether a file is hidden, or lies in a pack: what is cut out already is no footage."""
    is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return is_hidden or any((parent / "pack.json").is_file() for parent in file.parents)


def _place(path: Path) -> Path:
    """Return where a file really lies, by whatever links it is named."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        # Links in a ring, or a name that no system allows: there is no file to be found twice.
        return path


def _read_manifest(path: Path, left_out: set[Path]) -> list[Footage]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RedubError(f"The manifest {path} cannot be read: {error}.", "It is a JSON list of objects.") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RedubError(f"The manifest {path} is not a list of objects.", 'Write  [{"file": "a.mp4", "speaker": "ann"}, ...]')
    kept = [entry for entry in entries if _may_be_used(entry)]
    left_out.update(_place(path.parent / str(entry.get("file"))) for entry in entries if not _may_be_used(entry))
    return [_entry(path, entry) for entry in kept]


def _may_be_used(entry: dict[str, Any]) -> bool:
    # Whatever is not plainly a yes is a no.
    return entry.get("split", "train") in ("train", "val") and entry.get("weights_ok", True) is True


def _entry(manifest: Path, entry: dict[str, Any]) -> Footage:
    name = entry.get("file")
    if not isinstance(name, str) or not name or "\0" in name:
        raise RedubError(f"An entry of the manifest {manifest} names no file.", 'Each has the form {"file": "a.mp4", "speaker": "ann"}.')
    file = manifest.parent / name
    if not _place(file).is_relative_to(_place(manifest.parent)):
        raise RedubError(f"The manifest {manifest} names {name}, which lies outside its folder.", "Put the footage beside the manifest.")
    check_file(file, "footage")
    return Footage(
        path=file, speaker=str(entry.get("speaker") or file.stem), is_held_out=entry.get("split") == "val",
        offset_s=_offset(manifest, name, entry.get("offset_s")),
    )  # fmt: skip


def _offset(manifest: Path, name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST_OFFSET_S:
        raise RedubError(
            f"The manifest {manifest} gives {name} the offset {value!r}.",
            f"offset_s is seconds by which the sound is early, at most {MOST_OFFSET_S:g}; without it the offset is measured.",
        )
    return float(value)
