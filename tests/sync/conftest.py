"""Talks that are drawn: cartoon faces whose mouths follow a voice, and a simple network that can tell.

The network is honest, if simple: of a picture it keeps how much of the mouth is dark, of the sound how loud it is, and compares
how both rise and fall over a third of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from redub.config import Config
from redub.media import open_video
from redub.plan import Plan, fingerprint
from redub.speech.syncnet import SyncModel
from redub.testing.clips import draw_face, face_points
from redub.types import CropPath, Shot, Track, VideoFacts

RATE_HZ = 16_000
FACE_PX, HEIGHT, GAP_PX = 96, 128, 32
REACH = 4
LEVELS = 24


class Darkness(SyncModel):
    """Embeds how dark a mouth is, and how loud the sound is, over nine instants."""

    kind = "darkness"
    reach_frames = REACH

    def prepare(self, crops):
        if crops.ndim == 2:
            return crops
        mouth = crops[:, 70:106, 36:76].astype(int).sum(axis=-1)
        return np.minimum((mouth < 180).mean(axis=(1, 2), keepdims=True)[:, :, 0] * 1000, 255).astype(np.uint8)

    def embed_faces(self, crops, points=None):
        return shapes(self.prepare(crops)[:, 0].astype(float)) if len(crops) else np.zeros((0, 1), np.float32)

    def embed_sound(self, speech, times_s):
        steps = np.asarray(times_s)[:, None] + np.arange(-REACH, REACH + 1) / 25
        power = np.concatenate([[0.0], np.cumsum(speech.astype(float) ** 2)])
        first, last = (np.clip(np.rint((steps + side) * RATE_HZ).astype(int), 0, len(speech)) for side in (-0.02, 0.02))
        return unit(np.sqrt(np.maximum(power[last] - power[first], 0)))

    def _embed(self, block):
        raise NotImplementedError


def shapes(values):
    """(T,) -> (T, 9), NaN at the ends."""
    found = np.full((len(values), 2 * REACH + 1), np.nan, np.float32)
    if len(values) > 2 * REACH:
        found[REACH:-REACH] = unit(np.lib.stride_tricks.sliding_window_view(values, 2 * REACH + 1))
    return found


def unit(rows):
    """Take the mean off each row and bring it to length one; what does not move stays nothing."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(length, 1e-6)).astype(np.float32)


@dataclass(kw_only=True)
class Face:
    """A cartoon face in a talk."""

    speaks: Sequence[tuple[float, float]] = ()
    """When its mouth follows the voice, in seconds."""
    babbles: int | None = None
    """Otherwise its mouth follows another voice, of this seed; None keeps it shut."""
    seen: tuple[float, float] = (0.0, 1e9)
    offset_s: float | None = None
    """By how much the sound is early against these lips; None takes that of the talk."""


@dataclass(kw_only=True)
class Talk:
    """What was drawn."""

    video: Path
    plan: Plan
    speech: np.ndarray = field(repr=False)


def envelope(seed: int, seconds: float, times_s: Any) -> Any:
    """How loud a voice is at these times, 0 to 1: syllables of different lengths and heights."""
    random = np.random.default_rng(seed)
    edges = np.cumsum(random.uniform(0.1, 0.4, int(seconds / 0.1) + 10)) - 0.4
    heights = random.uniform(0.15, 0.95, len(edges))
    index = np.clip(np.searchsorted(edges, times_s, side="right") - 1, 0, len(edges) - 2)
    return heights[index] * np.sin(np.pi * (times_s - edges[index]) / (edges[index + 1] - edges[index])) ** 2


@cache
def drawn(level: int) -> Any:
    return draw_face(FACE_PX, level / (LEVELS - 1))[0]


def is_within(times_s: Any, spans: Sequence[tuple[float, float]]) -> Any:
    return np.any([np.zeros(len(times_s), bool), *[(times_s >= a) & (times_s < b) for a, b in spans]], axis=0)


def draw_talk(
    target: Path,
    faces: Sequence[Face],
    seconds: float,
    *,
    offset_s: float = 0.0,
    rate: Fraction = Fraction(25),
    cuts_s: Sequence[float] = (),
    voiced: Sequence[tuple[float, float]] = ((0.0, 1e9),),
    seed: int = 0,
) -> Talk:
    """Draw a talk: faces beside each other, with one voice that is heard in some spans."""
    count = round(seconds * rate)
    starts = np.arange(count) / float(rate)
    middles = starts + 0.5 / float(rate)
    samples = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    noise = np.random.default_rng(seed).uniform(-1, 1, len(samples))
    speech = noise * envelope(seed, seconds, samples) * is_within(samples, voiced)
    width = len(faces) * (FACE_PX + GAP_PX)
    mouths = [_mouth(face, middles, seconds, seed, voiced, offset_s if face.offset_s is None else face.offset_s) for face in faces]
    with av.open(str(target), "w") as out:
        picture = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "10"})
        picture.height, picture.width, picture.pix_fmt = HEIGHT, width, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        frame: Any = av.AudioFrame.from_ndarray((speech * 32000).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        out.mux([*sound.encode(frame), *sound.encode()])
        for i in range(count):
            canvas = np.full((HEIGHT, width, 3), 90, np.uint8)
            for place, (face, mouth) in enumerate(zip(faces, mouths, strict=True)):
                if face.seen[0] <= starts[i] < face.seen[1]:
                    left = place * (FACE_PX + GAP_PX) + GAP_PX // 2
                    canvas[GAP_PX // 2 :][:FACE_PX, left : left + FACE_PX] = drawn(round(float(mouth[i]) * (LEVELS - 1)))
            shown = av.VideoFrame.from_ndarray(canvas, "rgb24")
            shown.pts, shown.time_base = i, 1 / rate
            out.mux(picture.encode(shown))
        out.mux(picture.encode())
    return Talk(video=target, plan=_plan(target, faces, mouths, count, width, rate, cuts_s), speech=speech)


def _mouth(face: Face, middles: Any, seconds: float, seed: int, voiced: Any, offset_s: float) -> Any:
    """How far a mouth is open: at a time t it goes with the sound at t - offset."""
    heard = middles - offset_s
    own = envelope(seed, seconds, np.clip(heard, 0, seconds)) * is_within(heard, voiced)
    other = np.zeros(len(middles)) if face.babbles is None else envelope(face.babbles, seconds, middles)
    return np.clip(np.where(is_within(middles, face.speaks), own, other), 0, 1)


def _plan(video: Path, faces: Any, mouths: Any, count: int, width: int, rate: Fraction, cuts_s: Any) -> Plan:
    with open_video(video) as reader:
        pts = np.array([frame.pts for frame in reader.read()])
    edges = [0, *(round(cut * rate) for cut in cuts_s), count]
    tracks, crops = [], []
    for place, (face, mouth) in enumerate(zip(faces, mouths, strict=True)):
        for first, last in pairwise(edges):
            start, stop = max(first, round(face.seen[0] * rate)), min(last, round(min(face.seen[1], 1e6) * rate))
            if start >= stop:
                continue
            left, top = place * (FACE_PX + GAP_PX) + GAP_PX // 2, GAP_PX // 2
            points = np.stack([face_points(value) for value in mouth[start:stop]]) * FACE_PX + [left - 0.5, top - 0.5]
            number = len(tracks) + 1
            boxes = np.tile(np.array([left, top, left + FACE_PX, top + FACE_PX], np.float32), (stop - start, 1))
            tracks.append(
                Track(id=number, start=start, boxes=boxes, points=points.astype(np.float32), is_measured=np.ones(stop - start, bool))
            )
            row = np.array([np.log(FACE_PX), 0.0, left - 0.5, top - 0.5])
            references = tuple(start + i * (stop - start) // 5 for i in range(5))
            crops.append(CropPath(track=number, start=start, similarities=np.tile(row, (stop - start, 1)), references=references))
    return Plan(
        source=fingerprint(video),
        facts=VideoFacts(
            height=HEIGHT, width=width, frames=count, frame_rate=rate, duration=Fraction(count) / rate, is_variable_rate=False
        ),
        pts=pts,
        time_base=Fraction(1, 1000),
        shots=tuple(Shot(start=a, stop=b) for a, b in pairwise(edges)),
        tracks=tuple(tracks),
        crops=tuple(crops),
        speaking=(),
        settings=Config().analysis_settings(),
    )  # fmt: skip


@pytest.fixture(scope="session")
def network() -> SyncModel:
    """Return the simple network."""
    return Darkness()


@pytest.fixture
def make_talk(tmp_path: Path) -> Callable[..., Talk]:
    """Return a function that draws a talk."""

    def make(faces: Sequence[Face], seconds: float, name: str = "talk.mkv", **more: Any) -> Talk:
        return draw_talk(tmp_path / name, faces, seconds, **more)

    return make


@pytest.fixture(scope="session")
def face() -> type[Face]:
    """Return the kind of face."""
    return Face
