"""How well it is told who speaks: thresholds of `speakers.*` and `sync.gate_*`, by footage whose speakers are known.

Every piece of a pack is compared with its own sound and with that of other pieces, alone, two side by side, and in turns.
Only footage that may be tuned on belongs into the pack, and best none that the network has learnt, which it is too sure of::

    redub pack FOOTAGE -o footage.pack
    python benchmarks/speaking.py footage.pack
    python benchmarks/speaking.py footage.pack --choose --weights sync.safetensors

With ``--choose`` the thresholds are chosen under which most frames are told right, and printed as settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from redub.config import SpeakerConfig, SyncConfig
from redub.hearing import Curve, join
from redub.speech.sync import LAGS, RATE_HZ, SyncSeries, embed_track, load_sync, pair_distances
from redub.stages.speakers import choose_speakers
from redub.training.pack import read_pack
from redub.types import Bools, Floats, Ints, Reading, Shot, Speaking, Track

TRIALS = 200
TOGETHER = (1, 2, 4, 8)
"""Pieces behind each other."""
CHOICES = {
    "chance": (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 0.9),
    "min_confidence": (0.03, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2),
    "min_frame_confidence": (0.03, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3),
}
"""What is tried of each setting."""
NOBODY = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """A face compared with a sound."""

    curve: Curve
    pairs: Floats
    """(T, 31)."""
    is_speech: Bools
    """(T,)."""

    @classmethod
    def of(cls, series: SyncSeries) -> Heard:
        return cls(curve=join([series.read()]), pairs=pair_distances(series.faces, series.sounds), is_speech=series.is_speech)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """Faces beside each other under one sound, and who of them speaks."""

    kind: str
    faces: tuple[Heard, ...]
    wanted: Ints
    """(T,) places in ``faces``, or `NOBODY`."""

    @classmethod
    def of(cls, kind: str, faces: Sequence[SyncSeries], *wanted: int) -> Scene:
        """Return a scene in which these speak, each for as long as the next."""
        heard = tuple(map(Heard.of, faces))
        count = frames_of(heard)
        edges = np.linspace(0, count, len(wanted) + 1).round().astype(int)
        return cls(kind=kind, faces=heard, wanted=np.repeat(wanted, np.diff(edges)))

    def right(self, config: SpeakerConfig) -> float:
        """Return the share of frames that are told right."""
        found = np.full(len(self.wanted), NOBODY)
        for one in decided(self.faces, config):
            found[one.start : one.stop] = one.track
        return float((found == self.wanted).mean())


def joined(faces: Sequence[SyncSeries], sounds: Sequence[SyncSeries]) -> SyncSeries:
    """Put pieces behind each other, each face under a sound of its own or somebody else's."""
    counts = [min(len(one.times_s), len(other.times_s)) for one, other in zip(faces, sounds, strict=True)]
    return SyncSeries(
        times_s=np.arange(sum(counts)) / RATE_HZ,
        faces=np.concatenate([one.faces[:count] for one, count in zip(faces, counts, strict=True)]),
        sounds=np.concatenate([one.sounds[:count] for one, count in zip(sounds, counts, strict=True)]),
        is_speech=np.concatenate([one.is_speech[:count] for one, count in zip(sounds, counts, strict=True)]),
    )


def reading(number: int, face: Heard, usual: float | None, config: SpeakerConfig) -> Reading:
    """Read a face as `redub.hearing` reads a track, in a video whose other tracks have a usual offset."""
    curve = face.curve
    offset = curve.offset_frames if usual is None or curve.is_sure(config) else usual
    column = round(LAGS - offset) if np.isfinite(offset) else LAGS
    place = np.arange(len(face.pairs)) + column - LAGS
    is_inside = (place >= 0) & (place < len(face.pairs))
    speech = is_inside & face.is_speech[np.clip(place, 0, len(face.pairs) - 1)]
    heard = int(face.is_speech.sum())
    return Reading(
        track=number, offset_s=curve.offset_frames / RATE_HZ, distance=curve.distance, confidence=curve.confidence,
        coverage=min(1.0, curve.scored / max(heard, 1)), heard_s=heard / RATE_HZ,
        frame_confidence=np.where(speech, curve.median - face.pairs[:, column], np.nan).astype(np.float32),
    )  # fmt: skip


def chosen(faces: Sequence[Heard], config: SpeakerConfig) -> list[float]:
    """Return for how much of the time each of some faces is taken for the speaker."""
    stretches = decided(faces, config)
    return [sum(len(one) for one in stretches if one.track == number) / frames_of(faces) for number in range(len(faces))]


def decided(faces: Sequence[Heard], config: SpeakerConfig) -> tuple[Speaking, ...]:
    """Decide who of some faces in one shot speaks."""
    count = frames_of(faces)
    by_confidence = sorted((one.curve for one in faces), key=lambda one: -one.confidence)
    usual = next((one.offset_frames for one in by_confidence if one.is_sure(config)), None)
    readings = [reading(number, one, usual, config) for number, one in enumerate(faces)]
    cut = [replace(one, frame_confidence=one.frame_confidence[:count]) for one in readings]
    tracks = [face(number, count) for number in range(len(faces))]
    return choose_speakers((Shot(start=0, stop=count),), tracks, config, cut, Fraction(25))


def frames_of(faces: Sequence[Heard]) -> int:
    """Return how many frames all of some faces have."""
    return min(len(one.pairs) for one in faces)


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


def make_scenes(speakers: dict[str, list[SyncSeries]], trials: int, random: np.random.Generator) -> list[Scene]:
    """Draw two different speakers again and again, all alike often, and put them into five scenes.

    Raises:
        SystemExit: There are not two.
    """
    if len(speakers) < 2:
        raise SystemExit("Footage of two speakers at least is needed.")
    scenes = []
    for _ in range(trials):
        one, other = (str(name) for name in random.choice(sorted(speakers), 2, replace=False))
        right, wrong = (speakers[name][int(random.integers(len(speakers[name])))] for name in (one, other))
        sounds = [right, right, wrong, wrong]
        talk = [joined([right] * 4, sounds), joined([wrong] * 4, sounds)]
        stranger = joined([wrong], [right])
        scenes += [
            Scene.of("alone", [right], 0),
            Scene.of("beside", [right, stranger], 0),
            Scene.of("foreign", [stranger], NOBODY),
            Scene.of("turns", talk, 0, 1),
            Scene.of("narrated", talk[:1], 0, NOBODY),
        ]
    return scenes


def scores(scenes: Sequence[Scene], config: SpeakerConfig) -> dict[str, float]:
    """Return the share of frames that are told right, by kind of scene."""
    found: dict[str, list[float]] = {}
    for scene in scenes:
        found.setdefault(scene.kind, []).append(scene.right(config))
    return {kind: float(np.mean(values)) for kind, values in found.items()}


def choose(scenes: Sequence[Scene], config: SpeakerConfig) -> tuple[SpeakerConfig, dict[str, float]]:
    """Return the thresholds under which most frames are told right, all kinds of scenes alike, and those shares.

    One setting after the other is moved to where it is best, until none moves.
    """
    best = scores(scenes, config)
    for _ in range(4):
        before = config
        for name, values in CHOICES.items():
            for value in values:
                tried = replace(config, **{name: value})
                shares = scores(scenes, tried)
                # What is hardly better is chance.
                if np.mean(list(shares.values())) > np.mean(list(best.values())) + 1e-3:
                    config, best = tried, shares
        if config == before:
            break
    return config, best


def choose_gate(scenes: Sequence[Scene], config: SyncConfig) -> tuple[float, float, float]:
    """Return the confidence that parts talkers best from those under a foreign voice, and which shares of both then pass."""
    kinds = {kind: [one.faces[0].curve for one in scenes if one.kind == kind] for kind in ("alone", "foreign")}
    levels = {
        kind: np.array([one.confidence if abs(one.offset_frames) <= config.gate_offset_s * RATE_HZ else -1.0 for one in curves])
        for kind, curves in kinds.items()
    }
    shares = [(float((levels["alone"] >= least).mean()), float((levels["foreign"] >= least).mean()), least) for least in _steps()]
    own, other, least = max(shares, key=lambda one: one[0] - one[1])
    return least, own, other


def _steps() -> list[float]:
    return [round(0.01 * step, 2) for step in range(2, 51)]


def main() -> None:
    """Print the tables, or the settings that are best."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--pieces", type=int, default=20, help="Most of a speaker.")
    parser.add_argument("--choose", action="store_true", help="Choose the thresholds.")
    parser.add_argument("--trials", type=int, default=60, help="Pairs of speakers by which they are chosen.")
    given = parser.parse_args()
    speakers = embed(given.pack, given.pieces, load_sync(given.weights))
    if not given.choose:
        report(speakers, SpeakerConfig())
        return
    scenes = make_scenes(speakers, given.trials, np.random.default_rng(1))
    config, _ = choose(scenes, SpeakerConfig())
    fresh = make_scenes(speakers, given.trials, np.random.default_rng(2))
    for name, one in (("as they are", SpeakerConfig()), ("chosen", config)):
        shares = ", ".join(f"{kind} {share:.1%}" for kind, share in scores(fresh, one).items())
        print(f"{name}, frames told right in other pairs: {shares}")
    least, own, other = choose_gate(scenes, SyncConfig())
    print(f"the gate lets {own:.1%} of talkers pass, and {other:.1%} of those under a foreign voice")
    settings = [f"speakers.{name}={getattr(config, name):g}" for name in CHOICES]
    print(" ".join(f"--set {setting}" for setting in [*settings, f"sync.gate_confidence={least:g}"]))


def embed(pack: Path, most: int, model: object) -> dict[str, list[SyncSeries]]:
    """Embed the pieces of a pack: held-out ones where a speaker has any, else all."""
    names: dict[str, list[tuple[bool, SyncSeries]]] = {}
    for piece in read_pack(pack):
        found = names.setdefault(piece.speaker, [])
        if sum(held for held, _ in found) < most and (piece.is_held_out or len(found) < most):
            found.append((piece.is_held_out, embed_track(model, piece.crops, piece.points, piece.times_s, piece.speech)))  # type: ignore[arg-type]
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
    scenes = make_scenes(speakers, TRIALS, random)
    beside = [chosen(one.faces, config) for one in scenes if one.kind == "beside"]
    none = [max(chosen(one.faces, config)) == 0 for one in scenes if one.kind == "foreign"]
    print(f"side by side: right {np.mean([first > second for first, second in beside]):.1%}, "
          f"nobody {np.mean([max(one) == 0 for one in beside]):.1%}; under a foreign voice nobody {np.mean(none):.1%}")  # fmt: skip
    print("frames told right: " + ", ".join(f"{kind} {share:.1%}" for kind, share in scores(scenes, config).items()))


if __name__ == "__main__":
    main()
