"""draws: chance -> which rows are painted, and which stills of the same speaker they are painted with.

Stills show the mouth from nearly closed to wide open (percentiles of a random sample of the piece, section 3.4), and
come from at least some frames away: from a neighbouring frame the network could copy the mouth instead of listening.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from redub.faces.landmarks import mouth_openness
from redub.stages.crops import REFERENCE_SHARES
from redub.types import Doubles, Ints
from redub_speech2vid.model import STILLS
from redub_speech2vid.recipe import DrawSettings
from redub_speech2vid.samples import Samples, Stretch

OPENINGS = 8
"""So many steps from closed to wide open are drawn alike often."""
LEAST_SAMPLE = 12
"""Stills are chosen among so many frames at least, if there are so many, and among half of those there are."""
APART = 0.6
"""How often targets lie wholly before or behind the frames that stills are chosen from, and not between them."""


def evenly_shares(openness: Doubles, evenly: float) -> Doubles:
    """Return how often to draw each frame, if a share is to be drawn evenly over how far the mouth is open: (T,) -> (T,)."""
    low, high = np.quantile(openness, [0.05, 0.95])
    step = np.clip((openness - low) / max(high - low, 1e-6) * OPENINGS, 0, OPENINGS - 1).astype(np.int64)
    weight = 1 / np.bincount(step, minlength=OPENINGS)[step]
    shares: Doubles = evenly * weight / weight.sum() + (1 - evenly) / len(openness)
    shares /= shares.sum()
    return shares


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Rows of the samples."""

    stills: Ints
    """(K, 5)."""
    targets: Ints
    """(K, M)."""


class Drawer:
    """Draws rows of what may be learnt from, and of nothing else."""

    def __init__(self, samples: Samples, settings: DrawSettings) -> None:
        self.settings = settings
        self.frames: Ints = np.asarray(samples.frames)
        self.openness: Doubles = np.concatenate([mouth_openness(samples.points[one.start : one.stop]) for one in samples.stretches])
        self.stretches = [one for one in samples.learnt_from if self._is_long_enough(one)]
        self.starts = np.array([one.start for one in self.stretches], np.int64)
        speakers = sorted({one.speaker for one in self.stretches})
        self.of_speaker = [[i for i, one in enumerate(self.stretches) if one.speaker == name] for name in speakers]
        self.rows_of = [np.concatenate([self._all(self.stretches[i]) for i in indices]) for indices in self.of_speaker]
        self.shares = self._shares(settings.balance)
        self.rows: Ints = np.concatenate([self._paintable(one) for one in self.stretches] or [np.zeros(0, np.int64)])
        self._order: tuple[int, Ints] = (-1, self.rows)

    def draw(self, random: np.random.Generator, identities: int, targets: int) -> Drawn:
        """Draw several identities, each with several rows to paint."""
        pairs = [self._draw_one(random, targets) for _ in range(identities)]
        return Drawn(stills=np.stack([stills for stills, _ in pairs]), targets=np.stack([rows for _, rows in pairs]))

    def draw_in_order(self, seed: int, step: int, count: int, random: np.random.Generator) -> Drawn:
        """Draw so that every row is painted once in an epoch, in an order of its own in each."""
        epoch, place = divmod(step, max(1, len(self.rows) // count))
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng([seed, epoch]).permutation(self.rows))
        rows = self._order[1][place * count : (place + 1) * count]
        stills = [self._far_stills(self.stretches[self._index(int(row))], int(row), random) for row in rows]
        return Drawn(stills=np.stack(stills), targets=rows[:, None])

    def draw_rows(self, random: np.random.Generator, count: int, balance: float) -> Ints:
        """Draw rows without stills, speakers balanced as `DrawSettings` says."""
        numbers = random.choice(len(self.of_speaker), count, p=self._shares(balance))
        shares = random.random(count)
        pools = [self.rows_of[number] for number in numbers]
        return np.array([pool[int(share * len(pool))] for pool, share in zip(pools, shares, strict=True)], np.int64)

    def choose_stills(self, pool: Ints, random: np.random.Generator | None) -> Ints:
        """Return the rows of five stills by mouth openness: of a random sample of a pool, or of all of it."""
        if random is not None:
            pool = random.choice(pool, min(len(pool), max(LEAST_SAMPLE, len(pool) // 2)), replace=False)
        ranked = pool[np.argsort(self.openness[pool], kind="stable")]
        places = np.rint(np.array(REFERENCE_SHARES) * (len(ranked) - 1)).astype(int)
        chosen: Ints = ranked[places][:STILLS]
        return chosen

    def _shares(self, balance: float) -> Doubles:
        counts = np.array([len(rows) for rows in self.rows_of], np.float64) ** balance
        shares: Doubles = counts / max(counts.sum(), 1e-12)
        return shares

    def _is_long_enough(self, one: Stretch) -> bool:
        return len(one) > 1 and int(self.frames[one.stop - 1] - self.frames[one.start]) >= self.settings.gap_frames

    def _draw_one(self, random: np.random.Generator, targets: int) -> tuple[Ints, Ints]:
        speaker = int(random.choice(len(self.of_speaker), p=self.shares))
        own, pool = self.of_speaker[speaker], self.rows_of[speaker]
        index = self._index(int(pool[int(random.integers(len(pool)))]))
        rows = self._all(self.stretches[index])
        other = own[int(random.integers(len(own)))]
        # A long stretch is cut into pieces: the next one may begin with the next frame.
        if random.random() < self.settings.elsewhere and abs(other - index) > 1:
            return self.choose_stills(self._all(self.stretches[other]), random), self._choose_targets(rows, random, targets)
        if random.random() >= APART:
            stills = self.choose_stills(rows, random)
            rest = self._away_from(rows, stills)
            if len(rest):
                return stills, self._choose_targets(rest, random, targets)
        pool = self._part(rows, random)
        rest = self._outside(rows, pool)
        return self.choose_stills(pool, random), self._choose_targets(rest, random, targets)

    def _choose_targets(self, rows: Ints, random: np.random.Generator, count: int) -> Ints:
        """Draw what is painted: partly evenly over how far the mouth is open, partly as it comes."""
        chosen: Ints = random.choice(rows, count, p=evenly_shares(self.openness[rows], self.settings.evenly))
        return chosen

    def _index(self, row: int) -> int:
        return int(np.searchsorted(self.starts, row, side="right")) - 1

    @staticmethod
    def _all(one: Stretch) -> Ints:
        return np.arange(one.start, one.stop)

    def _part(self, rows: Ints, random: np.random.Generator) -> Ints:
        """Return the beginning or the end of a piece, leaving something far enough from it to paint."""
        frames, gap = self.frames[rows], self.settings.gap_frames
        cut = int(random.integers(int(len(rows) * 0.4), int(len(rows) * 0.7) + 1))
        if random.random() < 0.5:
            most = int(np.searchsorted(frames, frames[-1] - gap, side="right"))
            return rows[: max(1, min(cut, most))]
        first = int(np.searchsorted(frames, frames[0] + gap, side="left"))
        return rows[min(max(len(rows) - cut, first), len(rows) - 1) :]

    def _away_from(self, rows: Ints, stills: Ints) -> Ints:
        distance = np.abs(self.frames[rows][:, None] - self.frames[stills][None, :]).min(axis=1)
        rest: Ints = rows[distance >= self.settings.gap_frames]
        return rest

    def _outside(self, rows: Ints, pool: Ints) -> Ints:
        """Like `_away_from`, for frames that follow each other."""
        frames, gap = self.frames[rows], self.settings.gap_frames
        rest: Ints = rows[(frames <= self.frames[pool[0]] - gap) | (frames >= self.frames[pool[-1]] + gap)]
        return rest

    def _paintable(self, one: Stretch) -> Ints:
        """Return the rows that have a frame of their piece far enough away."""
        rows = self._all(one)
        frames, gap = self.frames[rows], self.settings.gap_frames
        paintable: Ints = rows[(frames - frames[0] >= gap) | (frames[-1] - frames >= gap)]
        return paintable

    def _far_stills(self, one: Stretch, target: int, random: np.random.Generator) -> Ints:
        rows = self._all(one)
        return self.choose_stills(rows[np.abs(self.frames[rows] - self.frames[target]) >= self.settings.gap_frames], random)
