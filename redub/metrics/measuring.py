"""measuring: painted frames of a take -> mouth, pictures and open mouths as numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np

from redub.config import Config
from redub.faces.landmarks import mouth_openness
from redub.media import Frame
from redub.metrics.identity import describe, distances
from redub.metrics.picture import gradient_energy, landmark_distance, mean_square, mouth_region
from redub.metrics.repaint import Shown, Sound, Voice, repaint
from redub.metrics.report import Mouth, Picture
from redub.metrics.series import follow, open_share
from redub.metrics.takes import Take
from redub.stages.generate import Model
from redub.types import RGB, Bools, Doubles

DESCRIBED = 12
"""Frames of a clip that are described for their identity, evenly spread: one costs some 20 ms."""
LEAK_S = 10.0
"""How long a mouth is watched without speech."""
MARGIN_S = 1
"""Sound that is made reaches so far beyond what is watched."""

See = Callable[[Frame, Doubles], None]
"""Is shown a painted frame, and the landmarks (68, 2) that are read from it, canonical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A model with what it is given, besides frames and sound."""

    model: Model
    stills: RGB
    """(K, H, W, 3) of the speaker, at least as many as the generator wants."""
    config: Config
    tick: Callable[[], None]
    """Called for every painted frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What the mouth really did at the times of some frames."""

    gap: Doubles
    """(T,)."""
    points: Doubles
    """(T, 68, 2) canonical."""
    counts: Bools
    """(T,) frames with speech in which the face was seen."""

    @classmethod
    def of(cls, take: Take) -> Truth:
        """Return what is true of a take."""
        return cls(gap=take.gap, points=take.points, counts=take.is_speech & take.is_measured)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """What was measured on T painted crops and their true ones."""

    mse: Doubles
    mse_mouth: Doubles
    energy: Doubles
    energy_true: Doubles
    """(T,) each."""
    described: Doubles
    described_true: Doubles
    """(K, 128) each, of some of them."""

    def summed_up(self, centre: Doubles) -> Picture:
        """Return the means.

        Args:
            centre: (128,) the mean descriptor of the speaker's true crops.
        """
        return Picture(
            mse=float(self.mse.mean()),
            mse_mouth=float(self.mse_mouth.mean()),
            sharpness=float(self.energy.mean() / max(float(self.energy_true.mean()), 1e-9)),
            identity=float(distances(self.described, centre).mean()),
            identity_true=float(distances(self.described_true, centre).mean()),
        )


def unwatched(frame: Frame, points: Doubles) -> None:
    """Let a painted frame pass."""


def paint_mouth(take: Take, bench: Bench, voice: Voice, see: See = unwatched) -> Doubles:
    """Paint a take and return the landmarks that are read from the result: (T, 68, 2) canonical."""
    return paint_and_compare(take, bench, voice, see, is_compared=False)[0]


def paint_and_compare(
    take: Take, bench: Bench, voice: Voice, see: See = unwatched, *, is_compared: bool = True
) -> tuple[Doubles, Pictures | None]:
    """Paint a take, and measure the generator's pictures against the true crops of the same frames.

    Args:
        take: Whose face.
        bench: The model.
        voice: What it says.
        see: Is shown every painted frame.
        is_compared: Whether the pictures are measured.

    Returns:
        The landmarks (T, 68, 2), and the pictures' measures unless they are not wanted.
    """
    chosen = set(np.unique(np.linspace(0, len(take) - 1, DESCRIBED).round().astype(int)).tolist())
    region = mouth_region(bench.model.mode)
    points: list[Doubles] = []
    rows: list[tuple[float, float, float, float]] = []
    described: list[tuple[Doubles, Doubles]] = []
    for i, shown in enumerate(repaint(take, bench.model, voice, bench.stills, bench.config)):
        points.append(shown.points)
        see(shown.frame, shown.points)
        if is_compared:
            rows.append(_compared(shown, region))
            if i in chosen:
                described.append((describe(shown.painted, bench.model.mode), describe(shown.original, bench.model.mode)))
        bench.tick()
    if not is_compared:
        return np.stack(points), None
    mse, mse_mouth, energy, energy_true = np.array(rows).T
    painted, true = np.swapaxes(np.array(described), 0, 1)
    pictures = Pictures(
        mse=mse, mse_mouth=mse_mouth, energy=energy, energy_true=energy_true, described=painted, described_true=true
    )  # fmt: skip
    return np.stack(points), pictures


def _compared(shown: Shown, region: Bools) -> tuple[float, float, float, float]:
    painted, true = shown.painted, shown.original
    return (
        mean_square(painted, true),
        mean_square(painted, true, region),
        gradient_energy(painted, region),
        gradient_energy(true, region),
    )


def as_mouth(points: Doubles, truth: Truth, rate_hz: float) -> Mouth:
    """Compare painted mouths with true ones: (T, 68, 2) canonical, at the truth's times."""
    return Mouth(
        follows=follow(mouth_openness(points), truth.gap, truth.counts, rate_hz),
        landmark_distance=float(landmark_distance(points, truth.points).mean()),
    )


def dubbed_part(over: Take, heard: Take) -> Take:
    """Return the first frames of a take, as many as begin while another one sounds."""
    length = heard.times[-1] - heard.times[0]
    count = sum(time - over.times[0] < length for time in over.times[:-1])
    return over.part(0, count)


def heard_truth(over: Take, heard: Take) -> Truth:
    """Return what a mouth did in one take at the times of another one's frames, both counted from their begin.

    Args:
        over: Whose frames are painted.
        heard: Whose sound they get, and whose mouth is the truth.
    """
    times = over.middles_s - float(over.times[0])
    own = heard.middles_s - float(heard.times[0])
    own_truth = Truth.of(heard)
    flat = own_truth.points.reshape(len(heard), -1)
    points = np.stack([np.interp(times, own, column) for column in flat.T], axis=1).reshape(len(times), 68, 2)
    nearest = np.abs(times[:, None] - own).argmin(axis=1)
    return Truth(gap=np.interp(times, own, own_truth.gap), points=points, counts=own_truth.counts[nearest])


def watched_frames(take: Take) -> int:
    """Return how many frames `LEAK_S` are."""
    return ceil(LEAK_S * take.rate_hz)


def open_mouths(take: Take, bench: Bench, sound: Sound, closed: float) -> float:
    """Return the share of frames with an open mouth while a take, looped if it is shorter, hears what is no speech.

    Args:
        take: The footage that moves.
        bench: The model.
        sound: `LEAK_S` long, with `MARGIN_S` more at each end.
        closed: The speaker's gap with a closed mouth.
    """
    left, begins = watched_frames(take), Fraction(MARGIN_S)
    gaps: list[Doubles] = []
    while left > 0:
        part = take.part(0, min(left, len(take)))
        gaps.append(mouth_openness(paint_mouth(part, bench, Voice(sound=sound, begins=begins))))
        left -= len(part)
        begins += part.times[-1] - part.times[0]
    return open_share(np.concatenate(gaps), closed)
