"""stock: footage, or packs of it -> the pieces that a trainer reads, and what there is in all.

What is held out is decided here, once for every plugin: the pieces that a manifest says, or, where none says so, the end
of every piece that is long enough, or every seventh piece where none is.  And what a few seconds say of the offset between lips and
sound is less sure than what a person's other clips say: short pieces of one person share theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from redub.errors import RedubError
from redub.plugin import Piece
from redub.training.pack import OFFSET_IS_KNOWN, is_pack, read_pack
from redub.types import RGB

TAIL_SHARE, TAIL_LEAST_FRAMES, TAIL_GAP_FRAMES = 0.15, 200, 8
"""Where nothing is marked as held out, this share at the end of a piece is, if the piece is so long; the frames between
it and what is learnt from are left out, since neighbouring frames are alike."""
ONE_IN = 7
"""Where no piece is so long either, one in so many is held out as a whole."""
SHORT_FRAMES, LEAST_SHORT = 250, 5
"""Videos with less than this of a person share the median of their offsets, if there are so many: each alone is off by a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What there is to learn from."""

    frames: int
    """Of all pieces."""
    held_out_frames: int
    """Of those that are marked as held out."""
    pieces: int
    longest_frames: int
    """Of one piece."""
    speakers: tuple[str, ...]
    """Of what is learnt from, sorted."""
    sha256: str
    """Of the list of sources and pieces: another one means other footage."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def take_stock(packs: Sequence[Path]) -> Inventory:
    """Count what packs hold, from their tables alone.

    Raises:
        RedubError: A table is damaged, there is nothing to learn from, or the same video is both learnt from and held out.
    """
    frames, pieces, held_out, longest, speakers, digest = 0, 0, 0, 0, set(), hashlib.sha256()
    seen: dict[str, bool] = {}
    for folder, table in _tables(packs):
        counts = [int(piece["frames"]) for piece in table["pieces"]]
        is_held_out = bool(table["is_held_out"])
        # A folder's name ends in the video's own sha256.
        if seen.setdefault(folder.name.rpartition("-")[2], is_held_out) != is_held_out:
            raise RedubError(f"{folder.name} is there twice, held out and not.", "Correct the manifest, or leave one pack out.")
        digest.update(json.dumps([folder.name, table], sort_keys=True).encode())
        frames += sum(counts)
        pieces += len(counts)
        held_out += sum(counts) * is_held_out
        longest = max(longest, *counts, 0)
        if sum(counts) and not is_held_out:
            speakers.add(str(table["speaker"]))
    if not speakers:
        raise RedubError("There is nothing to learn from: no face was found that speaks.", "Look at one of the videos with:  redub analyse")
    return Inventory(
        frames=frames,
        held_out_frames=held_out,
        pieces=pieces,
        longest_frames=longest,
        speakers=tuple(sorted(speakers)),
        sha256=digest.hexdigest(),
    )


def _tables(packs: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the folder and the table of each source."""
    for pack in packs:
        # A name with a dot is an unfinished one's.
        for path in sorted(path for path in pack.glob("*/source.json") if not path.parent.name.startswith(".")):
            try:
                table = json.loads(path.read_text(encoding="utf-8"))
                _ = [(int(piece["frames"]), float(piece["offset_s"])) for piece in table["pieces"]], table["speaker"], table["is_held_out"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise RedubError(f"{path.parent} is damaged: {error}.", "Delete this folder and make the pack again.") from error
            yield path.parent, table


def piece_reader(packs: Sequence[Path], inventory: Inventory) -> Callable[[], Iterator[Piece]]:
    """Return what reads all pieces, in the same order each time it is called."""
    usual_s = usual_offsets(packs)

    def steady(piece: Piece) -> Piece:
        # Its name begins with that of its source.
        return replace(piece, offset_s=usual_s.get(piece.name.partition("/")[0], piece.offset_s))

    def read() -> Iterator[Piece]:
        pieces = (steady(piece) for pack in packs for piece in read_pack(pack))
        if inventory.held_out_frames:
            return pieces
        return hold_out_ends(pieces) if inventory.longest_frames >= TAIL_LEAST_FRAMES else hold_out_some(pieces)

    return read


def usual_offsets(packs: Sequence[Path]) -> dict[str, float]:
    """Return for each short source, by its folder's name, the offset in seconds that its speaker's short ones share, if they are enough."""
    found: dict[str, dict[str, float]] = {}
    for folder, table in _tables(packs):
        if not table.get(OFFSET_IS_KNOWN) and 0 < sum(int(piece["frames"]) for piece in table["pieces"]) < SHORT_FRAMES:
            offset_s = float(np.mean([float(piece["offset_s"]) for piece in table["pieces"]]))
            found.setdefault(str(table["speaker"]), {})[folder.name] = offset_s
    enough = [offsets for offsets in found.values() if len(offsets) >= LEAST_SHORT]
    return {name: float(np.median(list(offsets.values()))) for offsets in enough for name in offsets}


def hold_out_some(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Hold out every piece in so many (`ONE_IN`), as a whole."""
    for number, piece in enumerate(pieces, 1):
        yield replace(piece, is_held_out=number % ONE_IN == 0)


def hold_out_ends(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Cut the end off each piece that is long enough, and hold it out."""
    for piece in pieces:
        count = len(piece.crops)
        if count < TAIL_LEAST_FRAMES:
            yield piece
            continue
        cut = count - round(TAIL_SHARE * count)
        yield _part(piece, 0, cut - TAIL_GAP_FRAMES, piece.name, is_held_out=False)
        # Behind its end the next piece may go on.
        yield _part(piece, cut, count - TAIL_GAP_FRAMES, f"{piece.name}-end", is_held_out=True)


def is_all_packs(named: Sequence[Path]) -> bool:
    """Say whether what somebody named are packs.

    Raises:
        RedubError: Some are and some are not.
    """
    packs = [path for path in named if path.is_dir() and is_pack(path)]
    if packs and len(packs) < len(named):
        raise RedubError(f"{packs[0]} is a pack, and other footage is not.", "Pack the rest first:  redub pack VIDEO... -o FOLDER")
    return bool(packs)


def _part(piece: Piece, start: int, stop: int, name: str, *, is_held_out: bool) -> Piece:
    times_s = np.ascontiguousarray(piece.times_s[start:stop])
    return replace(
        piece, name=name, is_held_out=is_held_out, crops=piece.crops[start:stop], points=piece.points[start:stop], times_s=times_s,
        first_frame=piece.first_frame + start,
    )  # fmt: skip


def reduced(crops: RGB, size_px: int) -> RGB:
    """Return crops at another size, averaged: (T, S, S, 3) -> (T, size_px, size_px, 3).

    Raises:
        RedubError: S is not a multiple of it.
    """
    factor, rest = divmod(crops.shape[1], size_px)
    if rest or not factor or crops.shape[1] != crops.shape[2]:
        raise RedubError(f"The faces of this pack are {crops.shape[1]} px wide.", f"Make it with  redub pack --size {size_px}")
    if factor == 1:
        return crops
    parts = crops.reshape(len(crops), size_px, factor, size_px, factor, 3)
    averaged: RGB = np.rint(parts.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)
    return averaged
