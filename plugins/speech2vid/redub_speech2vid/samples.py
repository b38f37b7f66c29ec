"""samples: pieces -> memory-mapped arrays of crops, MFCC windows and landmarks, so that a training set may exceed memory.

Arrays are only ever appended to, and a line is written for each piece that is whole; so collecting goes on where a
killed run stopped, and a file that is longer than its lines is cut.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redub.errors import RedubError
from redub.plugin import Piece
from redub.progress import Tell
from redub.speech.features import COEFFICIENTS, COLUMNS
from redub.training.stock import reduced
from redub.types import RGB, Floats, Ints
from redub_speech2vid.model import INPUT_PX
from redub_speech2vid.recipe import SampleSettings
from redub_speech2vid.voices import loudness, voiced_windows

VERSION = 1
LINES, LABEL = "pieces.jsonl", "label.json"
Shapes = Mapping[str, tuple[type, tuple[int, ...]]]
"""Of each array: type, and shape of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The samples of one piece: ``start <= row < stop``."""

    name: str
    speaker: str
    is_held_out: bool
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """What is learnt from, N rows."""

    stretches: tuple[Stretch, ...]
    crops: RGB
    """(N, S, S, 3)."""
    windows: NDArray[np.float16]
    """(N, voices, 12, 35) MFCC, the recorded voice first."""
    points: Floats
    """(N, 68, 2) in the unit square."""
    frames: Ints
    """(N,) which frame of its piece a row is."""
    loudness: Floats
    """(N,) root mean square of the sound around it."""

    @property
    def learnt_from(self) -> tuple[Stretch, ...]:
        return tuple(one for one in self.stretches if not one.is_held_out)

    @property
    def held_out(self) -> tuple[Stretch, ...]:
        return tuple(one for one in self.stretches if one.is_held_out)


def collect(
    pieces: Callable[[], Iterable[Piece]], folder: Path, settings: SampleSettings, seed: int, tell: Tell, size_px: int = INPUT_PX
) -> Samples:
    """Collect samples into a folder, or open those that are there.

    Args:
        pieces: Reads the footage.
        folder: The arrays; made anew if it was made with other settings.
        settings: Which frames, and how many voices.
        seed: For the voices.
        tell: Is told how many samples there are.
        size_px: Side of the crops; pieces may hold larger ones, by a whole factor.

    Raises:
        RedubError: The disk is full, or a crop has another size.
    """
    label = {"version": VERSION, "seed": seed, "size_px": size_px, **asdict(settings)}
    if folder.exists() and _read_json(folder / LABEL) != label:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LABEL).write_text(json.dumps(label), encoding="utf-8")
    shapes = _shapes(settings, size_px)
    lines = _read_lines(folder, shapes)
    if not lines or "complete" not in lines[-1]:
        try:
            _append(pieces(), folder, shapes, tell, lambda piece: _arrays(piece, settings, size_px, seed))
        except OSError as error:
            raise RedubError(
                f"Samples cannot be written to {folder}: {error.strerror}.", "Free some space, or set samples.every."
            ) from error
        lines = _read_lines(folder, shapes)
    stretches = tuple(Stretch(**line) for line in lines if "complete" not in line)
    count = stretches[-1].stop if stretches else 0
    if not any(len(one) for one in stretches if not one.is_held_out):
        raise RedubError("There is nothing to learn from.", "Name footage in which somebody speaks.")
    arrays: dict[str, Any] = {
        name: np.memmap(folder / f"{name}.bin", kind, "r", shape=(count, *shape)) for name, (kind, shape) in shapes.items()
    }
    return Samples(stretches=stretches, **arrays)


def choose_frames(piece: Piece, settings: SampleSettings) -> Ints:
    """Return which frames of a piece are samples, rising."""
    count = len(piece.times_s)
    chosen = np.arange(count)
    if settings.rate_hz:
        grid = np.arange(piece.times_s[0], piece.times_s[-1] + 0.5 / settings.rate_hz, 1 / settings.rate_hz)
        right = np.clip(np.searchsorted(piece.times_s, grid), 1, max(count - 1, 1))
        left = np.minimum(right - 1, count - 1)
        right = np.minimum(right, count - 1)
        nearer = np.where(grid - piece.times_s[left] <= piece.times_s[right] - grid, left, right)
        chosen = np.unique(nearer)
    return chosen[:: settings.every]


def _shapes(settings: SampleSettings, size_px: int) -> Shapes:
    return {
        "crops": (np.uint8, (size_px, size_px, 3)),
        "windows": (np.float16, (settings.voices, COEFFICIENTS, COLUMNS)),
        "points": (np.float32, (68, 2)),
        "frames": (np.int64, ()),
        "loudness": (np.float32, ()),
    }


def _append(pieces: Iterable[Piece], folder: Path, shapes: Shapes, tell: Tell, measure: Callable[[Piece], dict[str, Any]]) -> None:
    lines = _read_lines(folder, shapes)
    done = {line["name"] for line in lines}
    row = max((line["stop"] for line in lines), default=0)
    for name, shape in shapes.items():
        with (folder / f"{name}.bin").open("ab") as file:
            file.truncate(row * _row_bytes(shape))
    _write_lines(folder, lines)
    for piece in pieces:
        if piece.name in done:
            continue
        arrays = measure(piece)
        for name, (kind, _) in shapes.items():
            with (folder / f"{name}.bin").open("ab") as file:
                file.write(np.ascontiguousarray(arrays[name], kind).tobytes())
        stretch = Stretch(
            name=piece.name, speaker=piece.speaker, is_held_out=piece.is_held_out, start=row, stop=row + len(arrays["frames"])
        )  # fmt: skip
        row = stretch.stop
        done.add(piece.name)
        _add_line(folder, asdict(stretch))
        tell("samples", row, None)
    _add_line(folder, {"complete": True, "stop": row, "name": ""})


def _arrays(piece: Piece, settings: SampleSettings, size_px: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng([seed, zlib.crc32(piece.name.encode())])
    frames = choose_frames(piece, settings)
    times_s = piece.times_s[frames]
    return {
        "crops": reduced(piece.crops[frames], size_px),
        "windows": voiced_windows(piece, times_s, settings, random),
        "points": piece.points[frames],
        "frames": frames,
        "loudness": loudness(piece.speech, times_s - piece.offset_s),
    }


def _row_bytes(shape: tuple[type, tuple[int, ...]]) -> int:
    return int(np.prod(shape[1])) * np.dtype(shape[0]).itemsize


def _read_lines(folder: Path, shapes: Shapes) -> list[dict[str, Any]]:
    """Return the lines of pieces that are whole: up to the first that is half-written, or that the arrays do not hold."""
    lines: list[dict[str, Any]] = []
    path = folder / LINES
    sizes = [(file.stat().st_size if file.exists() else 0, shape) for name, shape in shapes.items() for file in [folder / f"{name}.bin"]]
    rows = min(size // _row_bytes(shape) for size, shape in sizes)
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            break
        if line["stop"] > rows:
            break
        lines.append(line)
    return lines


def _write_lines(folder: Path, lines: list[dict[str, Any]]) -> None:
    (folder / LINES).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _add_line(folder: Path, line: dict[str, Any]) -> None:
    with (folder / LINES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
