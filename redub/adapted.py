"""adapted: what was learnt of a plan's speakers <-> the folder ``adapted`` within the plan's own.

A record (JSON) says what was learnt from what, and with what result, for all persons of a plan; each person's weights are
a file of their own beside it.  A record counts only for exactly what it was made from (its key), and a file only if
it is still the one that the record names.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from redub.errors import PlanError
from redub.media.place import Part

FOLDER = "adapted"
"""Within the folder of a plan."""
VERSION = 1
SHOWN_TRACKS = 6
"""A file's name lists no more tracks."""

Key = dict[str, Any]
"""What a result depends on, as JSON can hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one person."""

    tracks: tuple[int, ...]
    file: Path | None = None
    """The adapted weights; None where the weights are used as they are."""
    sha256: str = ""
    before: float | None = None
    after: float | None = None
    """Errors on footage that was not learnt from, if they were measured."""
    remark: str = ""
    """Why there is no file, in one sentence."""
    is_final: bool = True
    """The same again would come to the same; False after a failure."""
    is_reused: bool = False
    """An earlier run made it."""

    @property
    def person(self) -> str:
        """Whom it is about, in words."""
        shown = [str(track) for track in self.tracks[:SHOWN_TRACKS]]
        if len(self.tracks) > SHOWN_TRACKS:
            shown = [*shown[:-1], f"{len(self.tracks) - SHOWN_TRACKS + 1} more"]
        return f"track {shown[0]}" if len(shown) == 1 else f"tracks {', '.join(shown[:-1])} and {shown[-1]}"

    def told(self, generator: str) -> str:
        """Return a notice for the user."""
        if self.file is None:
            return f"{generator} was not adapted to the speaker of {self.person}: {self.remark.rstrip('.')}."
        earlier = " in an earlier run" if self.is_reused else ""
        return f"{generator} was adapted{earlier} to the speaker of {self.person} (error {self.before:.4f}, now {self.after:.4f})."


def record_path(folder: Path, key: Key) -> Path:
    """Return where the record of a key lies in a folder of adapted weights."""
    return folder / f"{key['generator']}-{key['mode']}-{_digest(key)}.json"


def file_path(folder: Path, key: Key, tracks: Sequence[int]) -> Path:
    """Return where a person's weights lie."""
    listed = "-".join(map(str, tracks[:SHOWN_TRACKS])) + (f"-and-{len(tracks) - SHOWN_TRACKS}" if len(tracks) > SHOWN_TRACKS else "")
    return folder / f"{key['generator']}-{key['mode']}-track{listed}-{_digest({**key, 'of': list(tracks)})}.safetensors"


def read_record(folder: Path, key: Key, notices: list[str]) -> dict[tuple[int, ...], Outcome]:
    """Return what is known of the persons of a plan, by their tracks.

    Args:
        folder: Of adapted weights; need not exist.
        key: The record's must be the same.
        notices: Is told of damage.
    """
    path = record_path(folder, key)
    if not path.exists():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["key"] != key:
            return {}
        outcomes = [_from_table(entry, folder) for entry in table["persons"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        notices.append(f"{path} is damaged and made anew: {error}.")
        return {}
    known = {}
    for outcome in outcomes:
        if outcome.file is None or _is_whole(outcome):
            known[outcome.tracks] = outcome
        else:
            notices.append(f"{outcome.file} is missing or damaged and is made anew.")
    return known


def write_record(folder: Path, key: Key, outcomes: Sequence[Outcome]) -> None:
    """Write a record, whole or not at all.

    Raises:
        MediaError: It cannot be written.
    """
    path = record_path(folder, key)
    text = json.dumps({"key": key, "persons": [_table(outcome) for outcome in outcomes]}, indent=1) + "\n"
    part = Part(path)
    try:
        part.path.write_text(text, encoding="utf-8")
        part.publish()
    finally:
        part.discard()


def keep_file(made: Path, target: Path) -> str:
    """Copy new weights into their place, whole or not at all, and return their sha256.

    Raises:
        MediaError: They cannot be written.
    """
    data = made.read_bytes()
    part = Part(target)
    try:
        part.path.write_bytes(data)
        part.publish()
    finally:
        part.discard()
    return hashlib.sha256(data).hexdigest()


def list_records(plan: Path) -> list[dict[str, Any]]:
    """Return the readable records in the folder of a plan, for people to look at: generator, mode, and persons."""
    found = []
    for path in sorted((plan / FOLDER).glob("*.json")):
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            outcomes = [_from_table(entry, path.parent) for entry in table["persons"]]
            persons = [_table(outcome) for outcome in outcomes]
            found.append({"generator": str(table["key"]["generator"]), "mode": str(table["key"]["mode"]), "persons": persons})
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
    return found


def check_writable(folder: Path) -> None:
    """Make a folder of adapted weights, and raise `PlanError` if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{_digest({'folder': str(folder)})}"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise PlanError(f"{folder} cannot be written: {error.strerror}.", "Name another folder with --plan.") from error


def _digest(key: Key) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


def _is_whole(outcome: Outcome) -> bool:
    if outcome.file is None or not outcome.file.is_file():
        return False
    with outcome.file.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == outcome.sha256


def _table(outcome: Outcome) -> dict[str, Any]:
    table = asdict(replace(outcome, file=None))
    del table["is_reused"]
    return {**table, "tracks": list(outcome.tracks), "file": outcome.file.name if outcome.file else None}


def _from_table(table: dict[str, Any], folder: Path) -> Outcome:
    name = table["file"]
    if name is not None and (not isinstance(name, str) or Path(name).name != name):
        raise ValueError(f"a file is called {name!r}")
    numbers = [table["before"], table["after"]]
    if not all(number is None or (isinstance(number, float | int) and math.isfinite(number)) for number in numbers):
        raise ValueError(f"errors of {numbers}")
    if name is not None and None in numbers:
        raise ValueError(f"{name} has no errors")
    return Outcome(
        tracks=tuple(int(track) for track in table["tracks"]),
        file=None if name is None else folder / name,
        sha256=str(table["sha256"]),
        before=numbers[0],
        after=numbers[1],
        remark=str(table["remark"]),
        is_final=bool(table["is_final"]),
        is_reused=True,
    )
