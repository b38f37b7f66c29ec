"""recordings: what somebody named -> the videos to measure on, with their speakers.

A video, or a manifest: a JSON list of ``{"file", "speaker", "split"}``, of which only ``file`` is needed.  Unlike for
training, the split is chosen here, and footage that must not enter weights may be measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redub.errors import RedubError
from redub.files import check_file

EXAMPLE = 'Write  [{"file": "a.mp4", "speaker": "ann", "split": "test"}, ...]'


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One video of somebody talking."""

    path: Path
    speaker: str
    """Recordings with the same name show the same person."""
    group: str = ""
    """Speakers of one group are averaged; for a manifest its split."""


def find_recordings(named: Iterable[Path | str], splits: Sequence[str] = ("test",)) -> list[Recording]:
    """List the videos that files and manifests name, each once.

    Args:
        named: Videos, each of a speaker of its own, and manifests.
        splits: Which of a manifest's entries are wanted; those without a split always are.

    Raises:
        RedubError: A file is missing, a manifest is damaged or points out of its folder, or nothing is left.
    """
    found: dict[Path, Recording] = {}
    for path in map(Path, named):
        check_file(path, "footage")
        is_manifest = path.suffix.lower() == ".json"
        for one in _read_manifest(path, splits) if is_manifest else [Recording(path=path, speaker=path.stem)]:
            found.setdefault(one.path.resolve(), one)
    if not found:
        raise RedubError("There is no video to measure on.", f"Name videos, or a manifest that has the split {' or '.join(splits)}.")
    return list(found.values())


def _read_manifest(path: Path, splits: Sequence[str]) -> list[Recording]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RedubError(f"The manifest {path} cannot be read: {error}.", EXAMPLE) from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RedubError(f"The manifest {path} is not a list of objects.", EXAMPLE)
    return [_recording(path, entry) for entry in entries if entry.get("split") in (None, *splits)]


def _recording(manifest: Path, entry: dict[str, Any]) -> Recording:
    name = entry.get("file")
    if not isinstance(name, str):
        raise RedubError(f"An entry of the manifest {manifest} names no file.", EXAMPLE)
    file = manifest.parent / name
    if not file.resolve().is_relative_to(manifest.parent.resolve()):
        raise RedubError(f"The manifest {manifest} names {name}, which lies outside its folder.", "Put the footage beside the manifest.")
    check_file(file, "footage")
    return Recording(path=file, speaker=str(entry.get("speaker", file.stem)), group=str(entry.get("split") or ""))
