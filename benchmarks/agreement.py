"""How surely a mouth is told to go with its sound, by how much footage there is.

Pieces of one speaker are compared with their own sound, and with the sound of another piece of the same speaker, moved;
several pieces are taken together for longer footage::

    redub pack FOOTAGE -o footage.pack
    python benchmarks/agreement.py footage.pack
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from redub.config import Config
from redub.faces.landmarks import mouth_openness
from redub.media.store import SOUND_RATE_HZ
from redub.speech.lips import Stretch, compare, loudness
from redub.training.pack import read_pack

TOGETHER = (1, 2, 3, 5, 10, 20)
"""Pieces."""
TRIALS = 100
SPEECH_DB = 25.0


def only_words(one: Stretch) -> Stretch:
    """Cut a stretch to the frames between its first and its last loud one."""
    level = loudness(one.speech, one.rate_hz, one.times_s)
    loud = np.flatnonzero(level >= level.max() * 10 ** (-SPEECH_DB / 20))
    first, last = max(loud[0] - 1, 0), loud[-1] + 2
    return Stretch(openness=one.openness[first:last], times_s=one.times_s[first:last], speech=one.speech, rate_hz=one.rate_hz)


def moved(one: Stretch, other: Stretch, random: np.random.Generator) -> Stretch:
    """Return a stretch with another one's sound, moved by 30 to 70 % of its length."""
    speech = np.resize(other.speech, len(one.speech))
    speech = np.roll(speech, round(len(speech) * random.uniform(0.3, 0.7)))
    return Stretch(openness=one.openness, times_s=one.times_s, speech=speech, rate_hz=one.rate_hz)


def main() -> None:
    """Print a table for whole pieces and one for their words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("pack", type=Path)
    random, needed = np.random.default_rng(0), Config().adapt.min_agreement
    speakers: dict[str, list[Stretch]] = {}
    for piece in read_pack(parser.parse_args().pack):
        one = Stretch(openness=mouth_openness(piece.points), times_s=piece.times_s, speech=piece.speech, rate_hz=SOUND_RATE_HZ)
        speakers.setdefault(piece.speaker, []).append(one)
    for speaker, whole in sorted(speakers.items()):
        if len(whole) == 1:
            print(f"{speaker}: own sound {compare(whole).margin:.2f}, moved {compare([moved(whole[0], whole[0], random)]).margin:.2f}")
            continue
        for name, pieces in (("whole", whole), ("words", [only_words(one) for one in whole])):
            for count in (count for count in TOGETHER if 2 * count <= len(pieces)):
                own, other = [], []
                for _ in range(TRIALS):
                    chosen = random.permutation(len(pieces))[: 2 * count]
                    own.append(compare([pieces[i] for i in chosen[:count]]).margin)
                    pairs = zip(chosen[:count], chosen[count:], strict=True)
                    other.append(compare([moved(pieces[i], pieces[j], random) for i, j in pairs]).margin)
                length = count * np.mean([one.times_s[-1] - one.times_s[0] for one in pieces])
                print(
                    f"{speaker}, {name}, {length:.1f} s: own 5 % {np.quantile(own, 0.05):.2f}, median {np.median(own):.2f};"
                    f" other median {np.median(other):.2f}, 95 % {np.quantile(other, 0.95):.2f};"
                    f" accepted {np.mean(np.array(own) >= needed):.0%} and {np.mean(np.array(other) >= needed):.0%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
