"""checkpoint: the state of a training <-> a safetensors file.

Written under another name and renamed, so that a run may be killed at any time; the two newest are kept, and one that
is damaged gives way to the other.  Numbers only: reading one can run no code.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from redub.errors import RedubError
from redub.media.place import Part
from redub.plan import free_name

KEPT = 2
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """A training after some step."""

    step: int
    """Steps that are done; the next one has this number."""
    tensors: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)
    """What else is known, as JSON holds it."""

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin so, without that beginning."""
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


def save_state(folder: Path, name: str, state: State) -> Path:
    """Write ``NAME-STEP.safetensors`` and remove what is older than the two newest of this name.

    Raises:
        MediaError: The folder cannot be written.
    """
    target = folder / f"{name}-{state.step:09d}.safetensors"
    tensors = {key: tensor.detach().to("cpu").contiguous() for key, tensor in state.tensors.items()}
    metadata = {"format": str(FORMAT), "step": str(state.step), "facts": json.dumps(state.facts), "checksum": checksum(tensors)}
    part = Part(target)
    try:
        write_tensors(part.path, tensors, metadata)
        part.publish()
    finally:
        part.discard()
    for old in _files(folder, name)[KEPT:]:
        old.unlink(missing_ok=True)
    return target


def load_state(folder: Path, name: str) -> State | None:
    """Return the newest state of this name that is whole, or None if none was ever written.

    Raises:
        RedubError: There are files, and none of them is whole.
    """
    files = _files(folder, name)
    for path in files:
        state = _read(path)
        if state is not None:
            return state
    if files:
        raise RedubError(f"The checkpoint {files[0]} is damaged, and there is no older one.", "Delete it to begin this stage anew.")
    return None


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file.

    Raises:
        RedubError: That is impossible, as where the disk is full.
    """
    try:
        save_file(tensors, path, metadata)
    except (OSError, SafetensorError) as error:
        raise RedubError(f"{path.parent} cannot be written: {error}.", "Free some space, or name another folder.") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises:
        RedubError: It is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118  no mapping
    except (OSError, SafetensorError) as error:
        raise RedubError(f"The weights {path} cannot be read: {error}.", "Name a file of the kind .safetensors.") from error


def set_aside(folder: Path, name: str) -> None:
    """Move what a stage left into a folder of its own, so that it can be begun anew."""
    journals = [path for path in (folder / f"{name}{ending}" for ending in (".jsonl", "-curves.png", "-sheet.png")) if path.exists()]
    target = free_name(folder / "earlier" / name)
    target.mkdir(parents=True)
    for path in [*_files(folder, name), *journals]:
        path.rename(target / path.name)


def _files(folder: Path, name: str) -> list[Path]:
    """Return the checkpoints of this name, the newest first."""
    pattern = re.compile(re.escape(name) + r"-\d{9,}\.safetensors")
    found = [path for path in folder.glob("*.safetensors") if pattern.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem.rpartition("-")[2]), reverse=True)


def _read(path: Path) -> State | None:
    try:
        tensors, metadata = read_tensors(path)
        if metadata["format"] != str(FORMAT) or metadata["checksum"] != checksum(tensors):
            return None
        return State(step=int(metadata["step"]), tensors=tensors, facts=json.loads(metadata["facts"]))
    except (RedubError, KeyError, ValueError):
        return None


def checksum(tensors: dict[str, Tensor]) -> str:
    """Return what tells these tensors from others: a disk may return other bytes than it was given, and say nothing."""
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        content: Any = tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        value = zlib.crc32(content, value)
    return f"{value:08x}"
