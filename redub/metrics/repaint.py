"""repaint: take, generator, sound -> painted frames, in memory, and the landmarks that a viewer sees in them.

The same generation, blending and painting as a render makes, up to the encoder.  The landmarks are read again from
each finished frame, where the true face is known to be, as analysis reads them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from redub.config import Config
from redub.faces.follow import look
from redub.faces.geometry import apply_similarity, invert_similarity
from redub.media import Frame, Speech, open_video, paint
from redub.metrics.takes import Take
from redub.stages.blend import blend_run
from redub.stages.generate import Model, Repainted, Seen, generate
from redub.types import RGB, Doubles, Floats

ROOM_NOISE_DBFS = -60.0
"""Root mean square against full scale: a quiet room."""


class Sound(Speech):
    """Samples in memory in the place of a file's sound; silent before and behind them."""

    def __init__(self, samples: Floats, rate_hz: int) -> None:
        self.path, self.rate_hz = Path("made"), rate_hz
        self.samples = len(samples)
        self.duration = Fraction(len(samples), rate_hz)
        self._held = samples.astype(np.float32)

    @property
    def notices(self) -> list[str]:
        return []

    def window(self, start: int, stop: int) -> Floats:
        result = np.zeros(max(0, stop - start), np.float32)
        first, last = max(start, 0), min(stop, self.samples)
        if first < last:
            result[first - start : last - start] = self._held[first:last]
        return result

    def close(self) -> None:
        """Do nothing: there is no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What a take is to say."""

    sound: Speech
    """At the rate that the generator declares."""
    begins: Fraction
    """The moment of the sound, in seconds, at which the take's first frame begins."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """One painted frame."""

    frame: Frame
    """As a viewer sees it."""
    original: RGB
    """(S, S, 3) the true crop, S = ``output_px``."""
    painted: RGB
    """(S, S, 3) the generator's whole picture, before blending."""
    frame_points: Floats
    """(68, 2) landmarks read from ``frame``, px of it."""
    points: Doubles
    """(68, 2) the same in the unit square of the canonical crop."""


def repaint(take: Take, model: Model, voice: Voice, stills: RGB, config: Config) -> Iterator[Shown]:
    """Paint a take's mouth so that it says something, and read its landmarks again.

    Args:
        take: Whose face, and where it is.
        model: The generator.
        voice: What it hears.
        stills: (K, H, W, 3) of the speaker; the generator gets the first ones that it declared to need.
        config: Its blending, which the model was loaded for.

    Yields:
        The take's frames in order.

    Raises:
        MediaError: The recording cannot be read.
        PluginError: The generator failed.
    """
    waiting: deque[Repainted] = deque()

    def remember(items: Iterable[Repainted]) -> Iterator[Repainted]:
        # Blending looks a few frames ahead; the frames wait here for their patches.
        for item in items:
            waiting.append(item)
            yield item

    patches = blend_run(
        remember(generate(_seen(take, voice), model, voice.sound, stills[: model.info.references])),
        region=model.info.region,
        mode=model.mode,
        config=config.blend,
        frame_size=(take.plan.facts.height, take.plan.facts.width),
        frame_rate=take.plan.facts.frame_rate,
    )
    for patch in patches:
        item = waiting.popleft()
        frame = paint(item.seen.frame, [patch])
        read = look(frame.gray(), item.similarity, model=take.read_by).points
        points = apply_similarity(invert_similarity(item.similarity), read)
        yield Shown(frame=frame, original=item.original, painted=item.painted, frame_points=read, points=points)


def _seen(take: Take, voice: Voice) -> Iterator[Seen]:
    rows = take.similarities
    track = take.plan.track(take.track)
    with open_video(take.recording.path, take.plan.pts) as reader:
        for i, frame in enumerate(reader.read(take.start, take.stop)):
            yield Seen(
                frame=frame,
                time=take.times[i] - take.times[0] + voice.begins,
                duration=take.times[i + 1] - take.times[i],
                similarity=rows[i],
                points=track.points[frame.index - track.start],
            )


def rolled(sound: Speech, shift_s: float) -> Sound:
    """Return a whole sound moved on by some seconds, its end put before its begin."""
    return Sound(np.roll(sound.window(0, sound.samples), round(shift_s * sound.rate_hz)), sound.rate_hz)


def silence(seconds: float, rate_hz: int) -> Sound:
    """Return digital silence."""
    return Sound(np.zeros(round(seconds * rate_hz), np.float32), rate_hz)


def room_noise(seconds: float, rate_hz: int, seed: int = 0) -> Sound:
    """Return pink noise (as strong in every octave) at `ROOM_NOISE_DBFS`."""
    count = round(seconds * rate_hz)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    spectrum[0] = 0.0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, count)
    return Sound((noise * 10 ** (ROOM_NOISE_DBFS / 20) / np.sqrt((noise**2).mean())).astype(np.float32), rate_hz)
