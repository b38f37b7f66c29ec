"""samples: pieces -> memory-mapped mouths and mel bands at 25 Hz instants, so that a training set may exceed memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from redub.errors import RedubError
from redub.plugin import Piece
from redub.progress import Tell
from redub.speech.sync_features import (
    BANDS,
    COLUMNS,
    COLUMNS_EACH,
    CROP_PX,
    HOP,
    SHAPE_SIZE,
    SOUND_RATE_HZ,
    SPAN,
    WIDE,
    find_speech,
    instants,
    log_mel,
    mouth_shapes,
    nearest,
    take_mouths,
)  # fmt: skip
from redub.training.stock import reduced
from redub.types import RGB, Bools

VERSION = 2
LABEL = "samples.json"
WIDE_SIZE = (WIDE[3] - WIDE[1], WIDE[2] - WIDE[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The samples of one piece: ``start <= row < stop``."""

    name: str
    speaker: str
    is_held_out: bool
    start: int
    stop: int
    first_column: int

    def __len__(self) -> int:
        return self.stop - self.start

    def columns(self, first: int, count: int) -> slice:
        """Return where the sound of some of its instants lies."""
        start = self.first_column + COLUMNS_EACH * first
        return slice(start, start + columns_of(count))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """What is learnt from, N instants."""

    stretches: tuple[Stretch, ...]
    mouths: RGB
    """(N, 68, 80, 3), with room to move about."""
    shapes: NDArray[np.float16]
    """(N, 65) of the landmarks."""
    is_speech: Bools
    """(N,)."""
    bands: NDArray[np.float16]
    """(M, 40) logarithms, a hundred a second; the pieces' behind each other."""

    @property
    def learnt_from(self) -> tuple[Stretch, ...]:
        return tuple(one for one in self.stretches if not one.is_held_out)

    @property
    def held_out(self) -> tuple[Stretch, ...]:
        return tuple(one for one in self.stretches if one.is_held_out)


def columns_of(count: int) -> int:
    """Return how many columns the sound of so many consecutive instants has."""
    return COLUMNS_EACH * (count - 1) + COLUMNS


def collect(pieces: Callable[[], Iterable[Piece]], folder: Path, tell: Tell) -> Samples:
    """Collect samples into a folder, or open those that are there.

    Args:
        pieces: Reads the footage.
        folder: Takes its place when it is complete.
        tell: Is told how many samples there are.

    Raises:
        RedubError: The disk is full, a crop has another size, or there is nothing to learn from.
    """
    if not _is_whole(folder):
        fresh = folder.with_name(f".{folder.name}")
        try:
            for old in (folder, fresh):
                shutil.rmtree(old, ignore_errors=True)
            fresh.mkdir(parents=True)
            _write(pieces(), fresh, tell)
            fresh.rename(folder)
        except OSError as error:
            raise RedubError(
                f"Samples cannot be written to {folder}: {error.strerror}.", "Free some space, or name another --work."
            ) from error
    label = json.loads((folder / LABEL).read_text(encoding="utf-8"))
    stretches = tuple(Stretch(**one) for one in label["stretches"])
    if not any(not one.is_held_out for one in stretches):
        raise RedubError("There is nothing to learn from.", "Name footage in which somebody speaks.")
    rows = stretches[-1].stop
    return Samples(
        stretches=stretches,
        mouths=np.memmap(folder / "mouths.bin", np.uint8, "r", shape=(rows, *WIDE_SIZE, 3)),
        shapes=np.memmap(folder / "shapes.bin", np.float16, "r", shape=(rows, SHAPE_SIZE)),
        is_speech=np.fromfile(folder / "speech.bin", np.bool_),
        bands=np.memmap(folder / "bands.bin", np.float16, "r", shape=(label["columns"], BANDS)),
    )


def _is_whole(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / LABEL).read_text(encoding="utf-8"))["version"] == VERSION)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _write(pieces: Iterable[Piece], folder: Path, tell: Tell) -> None:
    stretches: list[dict[str, Any]] = []
    row = column = 0
    with (
        (folder / "mouths.bin").open("wb") as mouths,
        (folder / "shapes.bin").open("wb") as shapes,
        (folder / "speech.bin").open("wb") as speech,
        (folder / "bands.bin").open("wb") as bands,
    ):
        for piece in pieces:
            count = _append(piece, mouths, shapes, speech, bands)
            if not count:
                continue
            one = Stretch(
                name=piece.name, speaker=piece.speaker, is_held_out=piece.is_held_out, start=row, stop=row + count, first_column=column
            )  # fmt: skip
            row, column = row + count, column + columns_of(count)
            stretches.append(asdict(one))
            tell("samples", row, None)
    label = {"version": VERSION, "columns": column, "stretches": stretches}
    (folder / LABEL).write_text(json.dumps(label), encoding="utf-8")


def _append(piece: Piece, mouths: BinaryIO, shapes: BinaryIO, speech: BinaryIO, bands: BinaryIO) -> int:
    """Append one piece; return how many instants it has."""
    at_s = instants(piece.times_s)
    index = nearest(piece.times_s, at_s)
    if not len(at_s) or (index < 0).any():
        return 0
    # Sound that is early says at t - offset what the lips say at t.
    heard_s = at_s - piece.offset_s
    starts = round(float(heard_s[0]) * SOUND_RATE_HZ - SPAN / 2) + HOP * np.arange(columns_of(len(at_s)))
    mouths.write(take_mouths(reduced(piece.crops[index], CROP_PX), WIDE).tobytes())
    shapes.write(mouth_shapes(piece.points[index]).astype(np.float16).tobytes())
    speech.write(find_speech(piece.speech, heard_s).tobytes())
    bands.write(log_mel(piece.speech, starts).astype(np.float16).tobytes())
    return len(at_s)
