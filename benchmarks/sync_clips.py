"""Footage for `sync.py`: clips and rendered heads -> mouths, times and sound, cut, moved and put together; analyses are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import numpy as np
from tracking import load_heads

from redub.config import Config
from redub.errors import RedubError
from redub.hearing import take_mouth
from redub.media import open_speech, open_video
from redub.pieces import follow_course
from redub.pipeline import analyse
from redub.plan import Plan
from redub.speech.sync import RATE_HZ, SyncSeries, embed_track, load_sync
from redub.speech.sync_features import SOUND_RATE_HZ, nearest
from redub.speech.syncnet import SyncModel
from redub.types import RGB, Doubles, Floats, Speaking

UNHEARD = "speakers.listen=false"
FACE_PX, FACE_SIDES = 360, 2.2
"""A face in a video that is put together: the picture's side, and how many faces wide it is."""
SAID = (
    ("Today we talk about memory, and about what bees and people have in common.", "en"),
    ("Bin blue at F two now. Place white with Q nine again, please.", "en"),
    ("Hoy hablamos de la memoria y de lo que tienen en común.", "es"),
    ("Heute sprechen wir über das Gedächtnis, und was wir davon haben.", "de"),
    ("Aujourd'hui nous parlons de la mémoire et du temps qui passe.", "fr"),
    ("The quick brown fox jumps over a lazy dog, while four more watch.", "en"),
)
"""What rendered heads say, and in which voice."""

ARRAYS = ("mouths", "points", "times_s", "speech")
Line = list[str]
"""Of Markdown."""


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Line:
    """Return a Markdown table."""
    rule = ["---", *["---:"] * (len(heading) - 1)]
    return [*(f"| {' | '.join(cells)} |" for cells in (heading, rule, *rows)), ""]


def percent(value: float) -> str:
    """Return a share as per cent, or a dash where there is none."""
    return "-" if np.isnan(value) else f"{100 * value:.1f} %"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """One face and the sound around it."""

    mouths: RGB
    """(T, ...) as the network prepares them."""
    points: Floats
    """(T, 68, 2) canonical landmarks."""
    times_s: Doubles
    """(T,) middles of the frames, counted from the speech's first sample."""
    speech: Floats
    """(N,) mono at 16 kHz."""

    def embed(self, model: SyncModel) -> SyncSeries:
        return embed_track(model, self.mouths, self.points, self.times_s, self.speech)

    @property
    def begins_s(self) -> float:
        """When the first frame begins."""
        return float(self.times_s[0]) - 0.5 / RATE_HZ

    @property
    def length_s(self) -> float:
        return float(self.times_s[-1] - self.times_s[0]) + 1 / RATE_HZ

    def cut(self, first_s: float, length_s: float) -> Sight:
        """Return a part, as if there were nothing else; it begins so many seconds behind the first frame."""
        begin_s = self.begins_s + first_s
        rows = (self.times_s >= begin_s) & (self.times_s < begin_s + length_s)
        first = round(begin_s * SOUND_RATE_HZ)
        speech = window(self.speech, first, first + round(length_s * SOUND_RATE_HZ))
        return Sight(mouths=self.mouths[rows], points=self.points[rows], times_s=self.times_s[rows] - first / SOUND_RATE_HZ, speech=speech)

    def moved(self, frames: int) -> Sight:
        """Return it with its sound earlier by so many frames at 25 Hz."""
        first = round(frames * SOUND_RATE_HZ / RATE_HZ)
        return replace(self, speech=window(self.speech, first, first + len(self.speech)))

    def held(self, first: int, last: int, length_s: float) -> Sight:
        """Return some of its frames shown forth and back for so long at 25 Hz, with the sound that belongs to them, forth and back."""
        there = list(range(first, last))
        order = np.resize(there + there[-2:0:-1], round(length_s * RATE_HZ))
        begin, end = (round((float(self.times_s[i]) - 0.02) * SOUND_RATE_HZ) for i in (first, last - 1))
        there_and_back = window(self.speech, begin, end + round(SOUND_RATE_HZ / RATE_HZ))
        speech = np.resize(np.concatenate([there_and_back, there_and_back[::-1]]), round(length_s * SOUND_RATE_HZ))
        times_s = (np.arange(len(order)) + 0.5) / RATE_HZ
        return Sight(mouths=self.mouths[order], points=self.points[order], times_s=times_s, speech=speech.astype(np.float32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """How clips are looked at."""

    folder: Path
    """Keeps analyses."""
    weights: Path | None
    """Of the sync network that mouths are prepared for; None for the shipped one."""
    config: Config
    jobs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """A recording with its longest face."""

    path: Path
    speaker: str
    group: str
    plan: Plan
    """Made without listening."""
    sight: Sight

    @property
    def name(self) -> str:
        return self.path.name


def window(speech: Floats, first: int, last: int) -> Floats:
    """Return samples, silent beyond the ends."""
    place = np.arange(first, last)
    inside = (place >= 0) & (place < len(speech))
    return np.where(inside, speech[np.clip(place, 0, max(len(speech) - 1, 0))], 0).astype(np.float32)


def read_clips(manifest: Path, split: str, looking: Looking, most: int) -> list[Clip]:
    """Analyse the clips of a split, or find their analyses in a folder; those without a face are told and left out."""
    entries = [one for one in json.loads(manifest.read_text(encoding="utf-8")) if one.get("split") == split]
    entries = entries[:: -(-len(entries) // most)] if entries else []
    wanted = [(manifest.parent / one["file"], one["speaker"], f"{split} {one['speaker'].split('-')[0]}") for one in entries]
    return look_at(wanted, looking)


def look_at(wanted: Iterable[tuple[Path, str, str]], looking: Looking) -> list[Clip]:
    """Return clips of files with their speakers and groups."""
    read = partial(_clip, looking=looking)
    if looking.jobs == 1:
        found = list(map(read, wanted))
    else:
        with ProcessPoolExecutor(looking.jobs, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(read, wanted))
    return [one for one in found if one is not None]


def _clip(wanted: tuple[Path, str, str], looking: Looking) -> Clip | None:
    path, speaker, group = wanted
    try:
        plan = plan_of(path, looking.folder, looking.config)
        sight = _sight(path, plan, looking.folder / looking.config.tracks.landmarks, load_sync(looking.weights))
    except RedubError as error:
        print(f"{path.name} is left out: {error.message}")
        return None
    return Clip(path=path, speaker=speaker, group=group, plan=plan, sight=sight) if sight is not None else None


def plan_of(path: Path, folder: Path, config: Config) -> Plan:
    """Return a video's plan without readings: the one that is kept for the landmark model, or a new one."""
    kept = folder / config.tracks.landmarks / f"{path.name}.redub"
    if kept.exists():
        plan = Plan.load(kept)
        plan.check_source(path)
        return plan
    plan = analyse(path, config.set(UNHEARD))
    kept.parent.mkdir(exist_ok=True)
    plan.save(kept)
    return plan


def _sight(path: Path, plan: Plan, folder: Path, model: SyncModel) -> Sight | None:
    kept = folder / f"{path.name}.{model.kind}.npz"
    if kept.exists():
        with np.load(kept) as arrays:
            return Sight(**{name: arrays[name] for name in ("mouths", "points", "times_s", "speech")})
    if not plan.tracks:
        print(f"{path.name} is left out: no face was found.")
        return None
    track = max(plan.tracks, key=len)
    with open_speech(path, SOUND_RATE_HZ) as sound:
        course = follow_course(plan, sound, Speaking(track=track.id, start=track.start, stop=track.stop))
    rows = plan.crop(track.id).similarities
    with open_video(path, plan.pts) as reader:
        frames = [take_mouth(frame, rows[frame.index - track.start], model) for frame in reader.read(track.start, track.stop)]
    seen = track.is_measured
    points, times_s = course.points[seen].astype(np.float32), course.times_s[seen]
    sight = Sight(mouths=np.stack(frames)[seen], points=points, times_s=times_s, speech=course.speech)
    np.savez(kept, mouths=sight.mouths, points=points, times_s=times_s, speech=sight.speech)
    return sight


def put_together(left: Clip, right: Clip, starts_s: tuple[float, float], length_s: float, loud: int, target: Path) -> None:
    """Write a video of two faces beside each other with the sound of one of them.

    Args:
        left: One, and ``right`` the other.
        right: Whoever is at the right.
        starts_s: Where each part begins, behind the first frame of the face.
        length_s: How long both are.
        loud: 0 for the sound of the left one, 1 for the right.
        target: Where it goes, a ``.mkv``.
    """
    count = round(length_s * RATE_HZ)
    pictures = [_faces(clip, start_s, count) for clip, start_s in zip((left, right), starts_s, strict=True)]
    speech = (left, right)[loud].sight.cut(starts_s[loud], length_s).speech
    write_video(target, (np.concatenate(pair, axis=1) for pair in zip(*pictures, strict=True)), speech)


def _faces(clip: Clip, start_s: float, count: int) -> list[RGB]:
    """Return a face and what is around it at 25 pictures a second, square."""
    plan = clip.plan
    track = max(plan.tracks, key=len)
    first = track.start + int(track.is_measured.argmax())
    ticks = (plan.pts[first : track.stop] - plan.pts[first]) * float(plan.time_base)
    wanted = first + nearest(ticks, start_s + np.arange(count) / RATE_HZ, tolerance_s=np.inf)
    left, top, right, bottom = track.boxes[wanted[0] - track.start : wanted[-1] - track.start + 1].mean(axis=0)
    half = min(FACE_SIDES * (bottom - top) / 2, plan.facts.height / 2, plan.facts.width / 2)
    x, y = ((low + high) / 2 for low, high in ((left, right), (top, bottom)))
    x0 = int(np.clip(x - half, 0, plan.facts.width - 2 * half))
    y0 = int(np.clip(y - half, 0, plan.facts.height - 2 * half))
    found: dict[int, RGB] = {}
    with open_video(clip.path, plan.pts) as reader:
        for frame in reader.read(int(wanted[0]), int(wanted[-1]) + 1):
            square = np.ascontiguousarray(frame.rgb()[y0 : y0 + int(2 * half), x0 : x0 + int(2 * half)])
            sized = av.VideoFrame.from_ndarray(square, "rgb24").reformat(width=FACE_PX, height=FACE_PX)
            found[frame.index] = sized.to_ndarray(format="rgb24")
    return [found[int(index)] for index in wanted]


def write_video(target: Path, pictures: Iterable[RGB], speech: Floats) -> None:
    """Write pictures at 25 a second with sound at 16 kHz."""
    part = target.with_name(f".{target.name}")
    with av.open(str(part), "w", format="matroska") as out:
        stream: Any = out.add_stream("libx264", rate=int(RATE_HZ), options={"preset": "veryfast", "crf": "16"})
        voice: Any = out.add_stream("pcm_s16le", rate=SOUND_RATE_HZ, layout="mono")
        for number, picture in enumerate(pictures):
            if not number:
                stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts, frame.time_base = number, 1 / Fraction(RATE_HZ)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        out.mux([*voice.encode(_block(speech)), *voice.encode()])
    part.replace(target)


def _block(speech: Floats) -> av.AudioFrame:
    block = av.AudioFrame.from_ndarray((np.clip(speech, -1, 1) * 32767).astype(np.int16)[None], "s16", "mono")
    block.sample_rate, block.pts, block.time_base = SOUND_RATE_HZ, 0, Fraction(1, SOUND_RATE_HZ)
    return block


def with_sound(video: Path, sound: Path, target: Path) -> Path:
    """Write a video with a sound of its own, its pictures as they are."""
    if not target.exists():
        part = target.with_name(f".{target.name}")
        with av.open(str(video)) as pictures, open_speech(sound, SOUND_RATE_HZ) as speech, av.open(str(part), "w", "matroska") as out:
            stream = out.add_stream_from_template(pictures.streams.video[0], opaque=True)
            voice: Any = out.add_stream("pcm_s16le", rate=SOUND_RATE_HZ, layout="mono")
            out.mux([*voice.encode(_block(speech.window(0, speech.samples))), *voice.encode()])
            for packet in pictures.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
        part.replace(target)
    return target


def render_heads(tool: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Render heads that talk, and others at rest, once.

    Args:
        tool: A module with ``talk(text, voice, seed, target)`` and ``Head(seed, size_px)``, as `tracking.py` wants it.
        folder: Keeps the videos.
    """
    heads: Any = None
    talking, resting = [], []
    for seed, (text, voice) in enumerate(SAID, 100):
        talks, rests = folder / f"head{seed}.mp4", folder / f"rest{seed}.mkv"
        if not (talks.exists() and rests.exists()):
            heads = heads or load_heads(tool)
            heads.talk(text, voice, seed, talks)
            write_video(rests, _at_rest(heads, seed + 50, 75), np.zeros(3 * SOUND_RATE_HZ, np.float32))
        talking.append(talks)
        resting.append(rests)
    return talking, resting


def _at_rest(heads: Any, seed: int, count: int) -> Iterable[RGB]:
    """Yield a head that moves a little and blinks, with its mouth closed."""
    head = heads.Head(seed, 256)
    random = np.random.default_rng(seed)
    ways = np.cumsum(random.normal(size=(5, count)), axis=1) / np.sqrt(count)
    blinks = {int(start) + step for start in np.cumsum(random.integers(20, 60, 6)) for step in range(4)}
    for number in range(count):
        yaw, pitch, roll, x, y = ways[:, number]
        weights = head.weights({"eyeBlink": 1.0} if number in blinks else {})
        yield head.render(weights, 0.1 * yaw, 0.05 * pitch, 0.03 * roll, (0.4 * x, 0.4 * y))[0]
