"""How well it is told who speaks: thresholds of `speakers.*`, by footage whose speakers are known.

Every piece of a pack is compared with its own sound and with that of other pieces, alone, two side by side, and in turns.
Only footage that may be tuned on belongs into the pack::

    redub pack FOOTAGE -o footage.pack
    python benchmarks/speaking.py footage.pack
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from redub.config import SpeakerConfig
from redub.hearing import join
from redub.speech.sync import LAGS, RATE_HZ, SyncSeries, embed_track, load_sync, pair_distances
from redub.stages.speakers import choose_speakers
from redub.training.pack import read_pack
from redub.types import Reading, Shot, Speaking, Track

TRIALS = 200
TOGETHER = (1, 2, 4, 8)
"""Pieces behind each other."""


def joined(faces: Sequence[SyncSeries], sounds: Sequence[SyncSeries]) -> SyncSeries:
    """Put pieces behind each other, each face under a sound of its own or somebody else's."""
    counts = [min(len(one.times_s), len(other.times_s)) for one, other in zip(faces, sounds, strict=True)]
    return SyncSeries(
        times_s=np.arange(sum(counts)) / RATE_HZ,
        faces=np.concatenate([one.faces[:count] for one, count in zip(faces, counts, strict=True)]),
        sounds=np.concatenate([one.sounds[:count] for one, count in zip(sounds, counts, strict=True)]),
        is_speech=np.concatenate([one.is_speech[:count] for one, count in zip(sounds, counts, strict=True)]),
    )


def reading(number: int, series: SyncSeries, usual: float | None, config: SpeakerConfig) -> Reading:
    """Read a series as `redub.hearing` reads a track, in a video whose other tracks have a usual offset."""
    found = series.read()
    curve = join([found])
    offset = curve.offset_frames if usual is None or curve.is_sure(config) else usual
    column = round(LAGS - offset) if np.isfinite(offset) else LAGS
    pairs = pair_distances(series.faces, series.sounds)[:, column]
    speech = np.roll(series.is_speech, LAGS - column)
    heard = int(series.is_speech.sum())
    return Reading(
        track=number, offset_s=curve.offset_frames / RATE_HZ, distance=curve.distance, confidence=curve.confidence,
        coverage=min(1.0, curve.scored / max(heard, 1)), heard_s=heard / RATE_HZ,
        frame_confidence=np.where(speech, curve.median - pairs, np.nan).astype(np.float32),
    )  # fmt: skip


def turn_taking(faces: Sequence[SyncSeries], config: SpeakerConfig) -> float:
    """Return the share of frames that are told right: the first half is the first face's, the second is the second's or nobody's."""
    count = len(faces[0].times_s)
    wanted = np.repeat([0, 1 if len(faces) > 1 else -1], [count // 2, count - count // 2])
    found = np.full(count, -1)
    for one in decided(faces, config):
        found[one.start : one.stop] = one.track
    return float((found == wanted).mean())


def chosen(faces: Sequence[SyncSeries], config: SpeakerConfig) -> list[float]:
    """Return for how much of the time each of some faces is taken for the speaker."""
    count = min(len(one.times_s) for one in faces)
    stretches = decided(faces, config)
    return [sum(len(one) for one in stretches if one.track == number) / count for number in range(len(faces))]


def decided(faces: Sequence[SyncSeries], config: SpeakerConfig) -> tuple[Speaking, ...]:
    """Decide who of some faces in one shot speaks."""
    count = min(len(one.times_s) for one in faces)
    sure = [join([one.read()]) for one in faces]
    usual = next((one.offset_frames for one in sorted(sure, key=lambda one: -one.confidence) if one.is_sure(config)), None)
    readings = [reading(number, one, usual, config) for number, one in enumerate(faces)]
    tracks = [face(number, count) for number in range(len(faces))]
    cut = [Reading(**{**fields(one), "frame_confidence": one.frame_confidence[:count]}) for one in readings]
    return choose_speakers((Shot(start=0, stop=count),), tracks, config, cut, Fraction(25))


def fields(one: Reading) -> dict[str, object]:
    """Return a reading as keywords."""
    return {name: getattr(one, name) for name in ("track", "offset_s", "distance", "confidence", "coverage", "heard_s", "frame_confidence")}


def face(number: int, count: int) -> Track:
    """Return a track of which nothing but its frames counts."""
    points = np.zeros((count, 68, 2), np.float32)
    return Track(id=number, start=0, boxes=np.zeros((count, 4), np.float32), points=points, is_measured=np.ones(count, bool))


def by_length(pieces: Sequence[SyncSeries], config: SpeakerConfig, random: np.random.Generator) -> None:
    """Print how sure lips are of their own and of other sound, by how much there is of it."""
    for count in (count for count in TOGETHER if 2 * count <= len(pieces)):
        rows: dict[str, list[tuple[float, bool]]] = {"own": [], "other": []}
        for _ in range(TRIALS):
            order = random.permutation(len(pieces))[: 2 * count]
            faces = [pieces[i] for i in order[:count]]
            for name, sounds in (("own", faces), ("other", [pieces[i] for i in order[count:]])):
                curve = join([joined(faces, sounds).read()])
                rows[name].append((curve.confidence, curve.is_sure(config)))
        for name, found in rows.items():
            values = np.quantile([value for value, _ in found], [0.05, 0.5, 0.9, 0.95])
            print(
                f"{count} pieces, {name}: confidence 5, 50, 90, 95 % {np.round(values, 3)}; sure {np.mean([sure for _, sure in found]):.1%}"
            )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--pieces", type=int, default=20, help="Most of a speaker.")
    given = parser.parse_args()
    report(embed(given.pack, given.pieces, load_sync(given.weights)), SpeakerConfig())


def embed(pack: Path, most: int, model: object) -> dict[str, list[SyncSeries]]:
    """Embed the pieces of a pack: held-out ones where a speaker has any, else all."""
    names: dict[str, list[tuple[bool, SyncSeries]]] = {}
    for piece in read_pack(pack):
        found = names.setdefault(piece.speaker, [])
        if sum(held for held, _ in found) < most and (piece.is_held_out or len(found) < most):
            found.append((piece.is_held_out, embed_track(model, piece.crops, piece.times_s, piece.speech)))  # type: ignore[arg-type]
    return {name: [one for held, one in found if held == any(held for held, _ in found)][:most] for name, found in names.items()}


def report(speakers: dict[str, list[SyncSeries]], config: SpeakerConfig) -> None:
    """Print everything that is known of some speakers."""
    random = np.random.default_rng(0)
    for name, pieces in sorted(speakers.items()):
        own = [join([one.read()]) for one in pieces]
        sure = sum(one.is_sure(config) for one in own)
        print(f"{name}: {sure} of {len(own)} sure, confidence {np.median([one.confidence for one in own]):.3f}, "
              f"offset {np.median([one.offset_frames for one in own]):+.1f}")  # fmt: skip
        by_length(pieces, config, random)
    everybody = [(name, one) for name, pieces in sorted(speakers.items()) for one in pieces]
    shares = np.array([1 / len(speakers[name]) for name, _ in everybody])
    beside, foreign, turns, narrated = [], [], [], []
    for _ in range(TRIALS):
        one, other = random.choice(len(everybody), 2, replace=False, p=shares / shares.sum())
        if everybody[one][0] == everybody[other][0]:
            continue
        right, wrong = everybody[one][1], everybody[other][1]
        first, second = chosen([right, joined([wrong], [right])], config)
        beside.append((first > second, first == second == 0))
        foreign.append(chosen([joined([wrong], [right])], config)[0] == 0)
        talk = [joined([right] * 4, [right, right, wrong, wrong]), joined([wrong] * 4, [right, right, wrong, wrong])]
        turns.append(turn_taking(talk, config))
        narrated.append(turn_taking(talk[:1], config))
    right_share, none_share = np.mean(beside, axis=0)
    print(f"side by side: right {right_share:.1%}, nobody {none_share:.1%}; under a foreign voice nobody {np.mean(foreign):.1%}; "
          f"two in turns: {np.mean(turns):.1%} of the frames right; one, then a narrator: {np.mean(narrated):.1%}")  # fmt: skip


if __name__ == "__main__":
    main()
