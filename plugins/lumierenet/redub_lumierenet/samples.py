"""samples: pieces -> pictures, figures, sound and landmarks of one person, on disk, ready to be drawn from.

Each piece becomes one file, which takes its place when it is complete; so collecting goes on where it was stopped.  Pictures are
kept as JPEG and figures as PNG: 45 minutes are 13 GB as they are, and 2 GB like this.
"""

from __future__ import annotations

import json
import shlex
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from redub.errors import RedubError
from redub.faces.cv import load_cv
from redub.media.place import Part
from redub.plugin import Piece
from redub.progress import Tell
from redub.types import RGB, Bools, Doubles, Floats, Ints
from redub_lumierenet.audio import lags, windows
from redub_lumierenet.figure import Estimator
from redub_lumierenet.recipe import MOST_AHEAD, MOST_BACK, FigureSettings

VERSION = 2
SIDE = 256
LABEL = "label.json"
QUALITY = 95
EVERYBODY = "all"
RATES = [
    *map(Fraction, (15, 20)),
    Fraction(24000, 1001),
    *map(Fraction, (24, 25)),
    Fraction(30000, 1001),
    *map(Fraction, (30, 50)),
    Fraction(60000, 1001),
    Fraction(60),
]
LEAST_RATE_HZ = 15
GRAIN_S = 1e-3
"""What many files round times to."""
UNEVEN = 0.3
"""Frames that follow each other closer or farther than the rate says, by more than this share, are not consecutive."""
LOOK_PX, LEAST_TO_COMPARE = 16, 8
ODD, LEAST_ODD = 3.0, 15.0
"""A piece is odd whose mean picture is off by so many times what is usual, and by so many levels of 255."""
REPEATED = 0.1
"""A frame that differs from the one before by less than this share of what is usual in its piece shows the same moment again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The rows of one piece: ``start <= row < stop``."""

    name: str
    speaker: str
    is_held_out: bool
    start: int
    stop: int
    file: Path
    is_odd: bool = False
    """It looks unlike most others, as where clothes, light or camera are different: neither learnt from nor measured."""

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """What is learnt from, N rows."""

    stretches: tuple[Stretch, ...]
    rate_hz: Fraction
    """Frames a second of the footage."""
    heard: Floats
    """(N, steps, 40) float16 log energies: `MOST_BACK` steps before the frame's own, and `MOST_AHEAD` behind it."""
    points: Floats
    """(N, 68, 2) in the unit square of the picture; NaN where no face is."""
    follows: Bools
    """(N,) whether a frame follows on the row before, one step of the rate later, and shows something new."""
    _open: Callable[[Path], dict[str, Any]] = field(repr=False)

    @property
    def learnt_from(self) -> tuple[Stretch, ...]:
        return tuple(one for one in self.stretches if not one.is_held_out and not one.is_odd)

    @property
    def held_out(self) -> tuple[Stretch, ...]:
        return tuple(one for one in self.stretches if one.is_held_out and not one.is_odd)

    def rows(self, stretches: Sequence[Stretch]) -> Ints:
        """Return all rows of some pieces."""
        return np.concatenate([np.arange(one.start, one.stop) for one in stretches] or [np.zeros(0, np.int64)])

    def pictures(self, rows: Ints) -> RGB:
        """Return (K, 256, 256, 3)."""
        return self._decoded(rows, "pictures")

    def figures(self, rows: Ints) -> RGB:
        """Return (K, side, side, 3)."""
        return self._decoded(rows, "figures")

    def _decoded(self, rows: Ints, kind: str) -> RGB:
        cv2 = load_cv()
        starts = np.array([one.start for one in self.stretches])
        found = []
        for row, place in zip(rows, np.searchsorted(starts, rows, "right") - 1, strict=True):
            stretch = self.stretches[int(place)]
            held = self._open(stretch.file)
            edges, i = held[f"{kind}_edges"], int(row) - stretch.start
            picture = cv2.imdecode(held[kind][edges[i] : edges[i + 1]], cv2.IMREAD_COLOR)
            found.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        return np.stack(found)


def collect(
    pieces: Callable[[], Iterable[Piece]],
    folder: Path,
    settings: FigureSettings,
    estimate: Callable[[], Estimator],
    tell: Tell,
    speaker: str = "",
) -> Samples:
    """Collect samples into a folder, or open those that are there.

    Args:
        pieces: Reads the footage.
        folder: The files; made anew if they were made with other figures.
        settings: Which figures.
        estimate: Makes what finds the figures, if any are to be found.
        tell: Is told how many samples there are.
        speaker: Whose pieces are taken; empty wants all to be of one, and `EVERYBODY` takes them all for one.

    Raises:
        RedubError: The disk is full, the footage has several rates, or shows several persons.
    """
    label = {"version": VERSION, "speaker": speaker, **asdict(settings)}
    if folder.exists() and _read_json(folder / LABEL) != label:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LABEL).write_text(json.dumps(label), encoding="utf-8")
    if not (folder / "complete").exists():
        _collect_all(_of_one(pieces(), speaker), folder, settings, estimate, tell)
        (folder / "complete").touch()
    return open_samples(folder)


def footage_rate(times_s: Doubles) -> Fraction:
    """Return the frame rate of a piece: the usual one that is near, or what it has.

    Raises:
        RedubError: It is slower than `LEAST_RATE_HZ`.
    """
    steps = np.diff(times_s)
    measured = 1 / float(np.median(steps)) if len(steps) else 25.0
    # Where times are kept to the millisecond, the mean of the steps that are no gaps tells more than their median.
    even = steps[np.abs(steps * measured - 1) < UNEVEN]
    measured = 1 / float(even.mean()) if len(even) else measured
    near = min(RATES, key=lambda rate: abs(float(rate) - measured))
    # Both ends of a short piece are off by up to half of that millisecond.
    off = max(4e-4, 1.1 * GRAIN_S / float(even.sum())) if len(even) else 4e-4
    rate = near if abs(float(near) / measured - 1) < off else Fraction(measured).limit_denominator(100)
    if rate < LEAST_RATE_HZ:
        raise RedubError(f"The footage has {measured:.1f} frames a second.", f"Name footage of {LEAST_RATE_HZ} or more.")
    return rate


def follows_on(pictures: RGB, times_s: Doubles, rate_hz: float) -> Bools:
    """Say which frames follow on the one before and show something new: (T, S, S, 3), (T,) -> (T,)."""
    follows = np.zeros(len(pictures), bool)
    if len(pictures) < 2:
        return follows
    change = np.array([np.abs(b.astype(np.int16) - a).mean() for a, b in pairwise(pictures)])
    is_new = change > REPEATED * np.median(change[change > 0]) if (change > 0).any() else np.zeros(len(change), bool)
    follows[1:] = is_new & (np.abs(np.diff(times_s) * rate_hz - 1) < UNEVEN)
    return follows


def odd_ones(looks: Any) -> Bools:
    """Say which pieces look unlike most: a training knows one set of clothes, light and camera.

    Args:
        looks: (K, h, w, 3) the mean picture of each piece, small.
    """
    if len(looks) < LEAST_TO_COMPARE:
        return np.zeros(len(looks), bool)
    off = np.abs(looks - np.median(looks, axis=0)).mean(axis=(1, 2, 3))
    odd: Bools = off > max(ODD * float(np.median(off)), LEAST_ODD)
    return odd


def mouth_weights(points: Floats, side: int, weight: float) -> Floats:
    """Return how much each pixel counts: (B, 68, 2) in the unit square -> (B, 1, side, side), more by ``weight`` around the mouth."""
    weights = np.ones((len(points), 1, side, side), np.float32)
    for one, (left, top, right, bottom) in zip(weights, mouth_boxes(points, side), strict=True):
        one[0, top:bottom, left:right] = weight
    return weights


def mouth_boxes(points: Floats, side: int) -> Ints:
    """Return the boxes around the mouths: (B, 68, 2) in the unit square -> (B, 4) px; empty where no face is."""
    mouth = np.nan_to_num(points[:, 48:68], nan=0.0) * side
    low, high = mouth.min(axis=1), mouth.max(axis=1)
    middle, reach = (low + high) / 2, (high - low) / 2
    # Half as wide again; and as high as it is wide, for the jaw that goes with it.
    half = np.stack([1.5 * reach[:, 0], np.maximum(1.5 * reach[:, 1], 1.1 * reach[:, 0])], axis=-1)
    boxes = np.concatenate([np.floor(middle - half), np.ceil(middle + half)], axis=-1)
    boxes[~np.isfinite(points).all(axis=(1, 2))] = 0
    clipped: Ints = np.clip(boxes, 0, side).astype(np.int64)
    return clipped


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Place:
    source: str
    frames: Ints


def _of_one(pieces: Iterable[Piece], speaker: str) -> Iterator[Piece]:
    """Yield the pieces of one person."""
    first = speaker
    there: set[str] = set()
    for piece in pieces:
        first = first or piece.speaker
        there.add(piece.speaker)
        if not speaker and piece.speaker != first:
            raise RedubError(
                f"The footage shows {first} and {piece.speaker}; an instructor is one person.",
                f"Say whose:  --set {shlex.quote(f'speaker={first}')}  ; or, if all of it is one person's:  --set speaker={EVERYBODY}",
            )
        if speaker in ("", EVERYBODY, piece.speaker):
            yield piece
    if there and speaker not in ("", EVERYBODY, *there):
        raise RedubError(f"The footage shows nobody called {speaker}.", f"It shows: {', '.join(sorted(there))}.")


def _collect_all(pieces: Iterable[Piece], folder: Path, settings: FigureSettings, estimate: Callable[[], Estimator], tell: Tell) -> None:
    estimator: Estimator | None = None
    rate = Fraction(_read_json(folder / "rate.json") or 0)
    rows = 0
    for number, piece in enumerate(pieces):
        if piece.crops.shape[1:] != (SIDE, SIDE, 3):
            raise RedubError(f"The pictures of this pack are {piece.crops.shape[1]} px wide.", "Pack the footage for lumierenet anew.")
        own = footage_rate(piece.times_s)
        if not rate:
            rate = own
            (folder / "rate.json").write_text(json.dumps(str(rate)), encoding="utf-8")
        if abs(float(own / rate) - 1) > 0.02:
            raise RedubError(f"{piece.name} has {float(own):.2f} frames a second, others {float(rate):.2f}.", "Name footage of one rate.")
        path = folder / f"{number:05d}-{zlib.crc32(piece.name.encode()):08x}.npz"
        if not path.exists():
            estimator = estimator or estimate()
            _write(path, _arrays(piece, float(rate), estimator, settings.side))
        rows += len(piece.times_s)
        tell("figures", rows, None)


def _arrays(piece: Piece, rate_hz: float, estimator: Estimator, side: int) -> dict[str, Any]:
    cv2 = load_cv()
    frames = np.arange(len(piece.crops)) + piece.first_frame
    figures = estimator(piece.crops, piece.points * SIDE - 0.5, _Place(source=piece.source, frames=frames))
    small = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) if side < SIDE else one for one in figures]
    steps = lags(rate_hz, MOST_BACK + 1 + MOST_AHEAD, MOST_AHEAD)
    heard = windows(piece.speech, piece.times_s - piece.offset_s, steps)
    facts = {"name": piece.name, "speaker": piece.speaker, "is_held_out": piece.is_held_out}
    return {
        **_blob("pictures", [cv2.imencode(".jpg", one[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1] for one in piece.crops]),
        **_blob("figures", [cv2.imencode(".png", one[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])[1] for one in small]),
        "heard": heard.astype(np.float16),
        "points": piece.points,
        "follows": follows_on(piece.crops, piece.times_s, rate_hz),
        "look": np.mean([cv2.resize(one, (LOOK_PX, LOOK_PX), interpolation=cv2.INTER_AREA) for one in piece.crops], axis=0),
        "facts": np.array(json.dumps(facts)),
    }


def _blob(name: str, encoded: list[Any]) -> dict[str, Any]:
    parts = [np.asarray(one).ravel() for one in encoded]
    return {name: np.concatenate(parts), f"{name}_edges": np.cumsum([0, *map(len, parts)])}


def _write(path: Path, arrays: dict[str, Any]) -> None:
    part = Part(path)
    try:
        with part.path.open("wb") as file:
            np.savez(file, **arrays)
        part.publish()
    except OSError as error:
        raise RedubError(
            f"Samples cannot be written to {path.parent}: {error.strerror}.", "Free some space, or name another --work."
        ) from error
    finally:
        part.discard()


def open_samples(folder: Path) -> Samples:
    """Open samples that were collected.

    Raises:
        RedubError: There is nothing to learn from.
    """
    stretches: list[Stretch] = []
    looks: list[Any] = []
    held: dict[str, list[Any]] = {"heard": [], "points": [], "follows": []}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            for name, parts in held.items():
                parts.append(arrays[name])
            looks.append(arrays["look"])
        start = stretches[-1].stop if stretches else 0
        stretches.append(Stretch(**facts, start=start, stop=start + len(held["points"][-1]), file=path))
    odd = odd_ones(np.array(looks))
    stretches = [replace(one, is_odd=bool(is_odd)) for one, is_odd in zip(stretches, odd, strict=True)]
    if not any(len(one) for one in stretches if not one.is_held_out and not one.is_odd):
        raise RedubError("There is nothing to learn from.", "Name footage in which somebody speaks.")
    rate = Fraction(_read_json(folder / "rate.json"))
    joined = {name: np.concatenate(parts) for name, parts in held.items()}
    return Samples(stretches=tuple(stretches), rate_hz=rate, _open=lru_cache(maxsize=64)(_blobs), **joined)


def _blobs(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for kind in ("pictures", "figures") for name in (kind, f"{kind}_edges")}


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
