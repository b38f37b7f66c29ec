"""weights: a declared file -> the verified file on disk.

Nothing is downloaded: a file is beside the code that carries it, in a folder that the user named, or in the user's
cache, and it is what was declared or it is refused.  Only safetensors are read, because they hold numbers and no code.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from redub.errors import WeightError
from redub.files import sha256_of

SUFFIX = ".safetensors"
IN_FOLDER = f"weights{SUFFIX}"
"""What the weights are called in a folder that holds all that belongs to a training."""

NON_COMMERCIAL = re.compile(
    r"CC-BY-NC(-SA|-ND)?-[\d.]+|PolyForm-Noncommercial-1\.0\.0|LicenseRef-(.*-)?non-?commercial(-.*)?",
    re.IGNORECASE,
)
COMMERCIAL = re.compile(
    r"CC0-1\.0|CC-BY(-SA|-ND)?-[\d.]+|CC-PDDC|MIT(-0)?|Apache-2\.0|BSD-[\w-]+|0BSD|ISC|Unlicense|Zlib|BSL-1\.0|MPL-2\.0"
    r"|[AL]?GPL-[\d.]+(-only|-or-later|\+)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One file of weights, with what a user must know of it."""

    name: str
    """File name, ending in ``.safetensors``; `places` says where it is looked for."""
    sha256: str
    """All 64 hex digits."""
    size_bytes: int
    licence: str
    """SPDX expression."""
    source: str
    """Where the file, or the data it was trained on, comes from."""
    model_card: str = "MODEL_CARD.md"
    package: str = ""
    """Import package that carries the file, if one does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the licence ledger."""

    generator: str
    file: WeightFile
    is_commercial: bool | None
    """Whether the licence allows commercial use; None where it is not a known one: read it."""
    path: Path | None
    """Where a file of the right size lies (not hashed: a list must be quick), or None."""


def find(file: WeightFile) -> Path:
    """Return the first file that is the declared one, by size and sha256.

    A file is hashed once a process; one that is written to meanwhile is hashed again.

    Raises:
        WeightError: It is missing, or what lies there is something else.
    """
    wrong = []
    for path in _candidates(file):
        fault = _fault(path, file)
        if not fault:
            return path
        wrong.append(f"{path} {fault}")
    if wrong:
        raise WeightError(
            f"The weights {file.name} are not the file that was declared: {'; '.join(wrong)}.",
            f"Replace it by the one from {file.source} (sha256 {file.sha256}).",
        )
    raise WeightError(
        f"The weights {file.name} ({file.size_bytes / 1e6:.1f} MB, licence {file.licence}) are not on this machine.",
        f"Get them from {file.source} and put them into {cache_folder()}, or name their folder:  REDUB_WEIGHTS=FOLDER",
    )


def sha256(path: Path) -> str:
    """Return the sha256 of a file, which is read once a process.

    Raises:
        WeightError: It cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise WeightError(f"The weights {path} cannot be read: {error.strerror}.", "Name another file.") from error


def read_facts(path: Path) -> dict[str, str]:
    """Return what a safetensors file says of itself, without a look at its numbers.

    Raises:
        WeightError: It cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise WeightError(f"The weights {path} cannot be read: {error}.", f"Name a file of the kind {SUFFIX}.") from error


def places(file: WeightFile) -> list[Path]:
    """Return the folders that are looked in, in order: the package, ``REDUB_WEIGHTS``, the user's cache."""
    named = os.environ.get("REDUB_WEIGHTS", "").split(os.pathsep)
    return [*_package_folders(file.package), *(Path(name).expanduser() for name in named if name), cache_folder()]


def cache_folder() -> Path:
    """Return the user's own folder for weights, which need not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "redub" / "weights"


def ledger(declared: Iterable[tuple[str, WeightFile]]) -> list[Row]:
    """Return a row for each (generator, file), once for files that several modes share."""
    return [
        Row(
            generator=generator,
            file=file,
            is_commercial=allows_commercial_use(file.licence),
            path=next((path for path in _candidates(file) if path.stat().st_size == file.size_bytes), None),
        )
        for generator, file in dict.fromkeys(declared)
    ]


def allows_commercial_use(licence: str) -> bool | None:
    """Say whether an SPDX expression allows commercial use; None where that is not known.

    ``AND`` needs every part to allow it, ``OR`` one; without a known answer a lawyer, not a table, is to be asked.
    """
    text = re.sub(r"\s+WITH\s+[\w.+-]+", "", licence.strip())
    if "(" in text:
        return None
    choices = [[_one_allows(part.strip()) for part in re.split(r"\s+AND\s+", choice)] for choice in re.split(r"\s+OR\s+", text)]
    answers = [False if False in parts else None if None in parts else True for parts in choices]
    return True if True in answers else None if None in answers else False


def faults(file: WeightFile) -> list[str]:
    """Say what is impossible in a declaration, whose fields may hold anything."""
    problems = []
    if not isinstance(file.name, str) or not re.fullmatch(r"[\w][\w.-]*", file.name) or not file.name.endswith(SUFFIX):
        problems.append(f"a weight file is called {file.name!r}, not NAME{SUFFIX} without folders")
    if not isinstance(file.sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
        problems.append(f"the sha256 of {file.name!r} is {file.sha256!r}, not 64 lower-case hex digits")
    if type(file.size_bytes) is not int or file.size_bytes <= 0:
        problems.append(f"the size of {file.name!r} is {file.size_bytes!r}, not a number of bytes")
    if not is_spdx(file.licence):
        problems.append(f"the licence of {file.name!r} is {file.licence!r}, not an SPDX expression")
    if not isinstance(file.source, str) or not file.source.strip():
        problems.append(f"{file.name!r} has no source")
    if not isinstance(file.package, str) or not re.fullmatch(r"(\w+(\.\w+)*)?", file.package):
        problems.append(f"the package of {file.name!r} is {file.package!r}, not an import name")
    return problems


def is_spdx(licence: object) -> bool:
    """Say whether this has the form of an SPDX expression, such as ``MIT`` or ``Apache-2.0 OR MIT``."""
    if not isinstance(licence, str):
        return False
    words = licence.replace("(", " ").replace(")", " ").split()
    names, joints = words[::2], words[1::2]
    return (
        len(words) % 2 == 1
        and all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", name) and name not in ("AND", "OR", "WITH") for name in names)
        and all(joint in ("AND", "OR", "WITH") for joint in joints)
    )


def _one_allows(name: str) -> bool | None:
    if NON_COMMERCIAL.fullmatch(name):
        return False
    return True if COMMERCIAL.fullmatch(name) else None


def _candidates(file: WeightFile) -> list[Path]:
    return [path for folder in places(file) if (path := folder / file.name).is_file()]


def _package_folders(package: str) -> list[Path]:
    # find_spec imports the parents of a dotted name; those of an installed plugin are its own, and light by contract.
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        return []
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


def _fault(path: Path, file: WeightFile) -> str:
    try:
        status = path.stat()
        if status.st_size != file.size_bytes:
            return f"has {status.st_size} bytes, not {file.size_bytes}"
        digest = sha256_of(path)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if digest == file.sha256 else f"has the sha256 {digest}, not {file.sha256}"
