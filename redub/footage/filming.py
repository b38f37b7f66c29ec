"""filming: the number of a clip -> its video, and a file with the truth about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redub.errors import RedubError
from redub.faces.landmarks import mouth_openness
from redub.footage.acting import act
from redub.footage.clothes import dress
from redub.footage.drawing import Artist
from redub.footage.espeak import Phones, say
from redub.footage.heard import envelope, heard_curve
from redub.footage.kit import load_kit
from redub.footage.lips import speech_curve
from redub.footage.person import Person, make_person
from redub.footage.scene import make_camera, make_light, make_wall
from redub.footage.sentences import VOICES, compose
from redub.media import SyntheticMark, open_speech
from redub.media.place import Part
from redub.media.rendered import write_rendered
from redub.types import Doubles, Floats
from redub.version import VERSION

SOUND_HZ = 44_100
SOFT = 0.05
"""Sound is made louder as long as its loudest sample exceeds this."""
NOTE = "Rendered: nobody was filmed, and there is no such person."
MARK = SyntheticMark(generator="footage", weights_sha256=(), redub_version=VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a folder of footage is made of; the same order gives the same clips."""

    kit: Path
    seconds: float = 4.0
    size_px: int = 320
    fps: int = 25
    takes: int = 2
    """Clips of each person."""
    seed: int = 0
    languages: tuple[str, ...] = ()
    recordings: tuple[Path, ...] = ()
    """Recorded speech, instead of the synthesiser's."""

    @property
    def frames(self) -> int:
        return max(2, round(self.seconds * self.fps))


@dataclass(frozen=True, slots=True)
class Voice:
    """A sound, and what the mouth does to it."""

    samples: NDArray[np.int16]
    """(N,) at `SOUND_HZ`."""
    mouth: Doubles
    """(T, 10) of `lips.CONTROLS`."""
    phones: Phones
    language: str
    text: str


def film(order: Order, number: int, folder: Path) -> dict[str, Any]:
    """Make a clip: ``NUMBER.mp4`` and ``NUMBER.npz``.

    Returns:
        The clip's entry in the manifest.

    Raises:
        RedubError: The kit, the synthesiser or a recording is missing, or a file cannot be written.
    """
    kit = load_kit(order.kit)
    person = make_person(order.seed, number // order.takes, len(kit.identities))
    chance = np.random.default_rng([order.seed, 2, number])
    times_s = np.arange(order.frames) / order.fps
    voice = _speak(order, person, number, times_s, chance)
    facing = (float(np.clip(chance.normal(0, 0.20), -0.55, 0.55)), float(chance.normal(0.02, 0.06)))
    light, camera = make_light(chance), make_camera(chance, order.size_px)
    artist = Artist(kit, person, light, camera, make_wall(chance, order.size_px, light), dress(chance), facing)
    weights, poses = act(kit, person, voice.mouth, times_s, facing, camera.sway_px, chance)
    points: list[Floats] = []
    edges: list[Floats] = []

    def pictures() -> Any:
        for picture, places, edge in artist.draw(weights, poses, int(chance.integers(2**31))):
            points.append(places)
            edges.append(edge)
            yield picture

    name = f"{number:05d}"
    rate = Fraction(order.fps)
    write_rendered(folder / f"{name}.mp4", pictures(), rate, voice.samples, SOUND_HZ, mark=MARK, note=NOTE, crf=camera.crf)
    entry = _entry(order, person, voice, name, np.stack(points))
    _store_truth(folder / f"{name}.npz", entry, (np.stack(points), np.stack(edges)), weights, kit.names, voice)
    return entry


def speaker_of(number: int) -> str:
    """Return the name under which a person stands in the manifest."""
    return f"rendered-{number:05d}"


def is_held_out(number: int) -> bool:
    """Say whether a person is one of the tenth that is never trained on: the same however many follow."""
    return number % 10 == 1


def _entry(order: Order, person: Person, voice: Voice, name: str, points: Floats) -> dict[str, Any]:
    face = points[:, :27].reshape(-1, 2)
    return {
        "file": f"{name}.mp4", "truth": f"{name}.npz",
        "split": "val" if is_held_out(person.number) else "train", "speaker": speaker_of(person.number),
        "seconds": order.frames / order.fps, "frames_per_second": float(order.fps), "width": order.size_px, "height": order.size_px,
        "face_px": round(float(np.ptp(face[:, 1]))), "language": voice.language,
        "licence": "CC0-1.0", "weights_ok": True, "offset_s": 0.0, "source": NOTE,
    }  # fmt: skip


def _store_truth(
    path: Path, entry: dict[str, Any], seen: tuple[Floats, Floats], weights: Floats, names: tuple[str, ...], voice: Voice
) -> None:
    part, (points, outline) = Part(path), seen
    try:
        with part.path.open("wb") as file:
            np.savez_compressed(
                file,
                points=points.astype(np.float32), outline=outline, openness=mouth_openness(points).astype(np.float32),
                weights=weights.astype(np.float16), names=np.array(names),
                phone_starts_s=np.array([start for start, _ in voice.phones]),
                phones=np.array([phone for _, phone in voice.phones], dtype="U8"),
                identity=np.array(int(entry["speaker"].rpartition("-")[2])), offset_s=np.array(0.0),
                text=np.array(voice.text), entry=np.array(json.dumps(entry)),
            )  # fmt: skip
        part.publish()
    finally:
        part.discard()


def _speak(order: Order, person: Person, number: int, times_s: Doubles, chance: np.random.Generator) -> Voice:
    count = round(order.frames / order.fps * SOUND_HZ)
    if order.recordings:
        return _recorded(order, person, number, times_s, count, chance)
    language = order.languages[int(chance.integers(len(order.languages)))]
    voice = f"{VOICES.get(language, language)}+{person.timbre}"
    pace, pitch, lively = (
        int(chance.integers(125, 205)),
        int(np.clip(person.pitch + chance.integers(-6, 7), 0, 99)),
        int(chance.integers(25, 80)),
    )
    text = compose(chance, language, int(26 * order.seconds) + 20)
    said, rate_hz, phones = say(text, voice, pace, pitch, lively)
    before_s = float(chance.uniform(0.05, 0.6))
    samples = _resample((said / 32768).astype(np.float32), rate_hz)
    quiet = np.zeros(round(before_s * SOUND_HZ), np.float32)
    samples = np.pad(np.concatenate([quiet, samples])[:count], (0, max(0, count - len(quiet) - len(samples))))
    phones = [(start + before_s, phone) for start, phone in phones if start + before_s < order.seconds + 0.2]
    mouth = speech_curve(phones, before_s + len(said) / rate_hz, envelope(samples, SOUND_HZ), person, times_s)
    return Voice(_room(samples, chance), mouth, [each for each in phones if each[0] < order.seconds], language, text)


def _recorded(order: Order, person: Person, number: int, times_s: Doubles, count: int, chance: np.random.Generator) -> Voice:
    """Cut a stretch out of a recording; each is used from its beginning to its end before one is used again."""
    path = order.recordings[number % len(order.recordings)]
    with open_speech(path, SOUND_HZ) as speech:
        length = speech.samples
        if length < count // 2:
            raise RedubError(f"The recording {path} is shorter than half a clip.", "Leave it out, or make shorter clips with --seconds.")
        room = max(length - count, 0)
        first = min(number // len(order.recordings) * count, room) if room else 0
        if number // len(order.recordings) * count > room:
            first = int(chance.integers(room + 1))
        samples = np.asarray(speech.window(first, first + count), np.float32)
        # Against the whole recording: a pause is not to be blown up to speech.
        loudest = max(float(np.abs(speech.window(begin, begin + count)).max()) for begin in range(0, length, count))
    samples = samples / max(loudest, 1e-3) * 0.6
    return Voice(_room(samples, chance, noise=False), heard_curve(samples, SOUND_HZ, person, times_s), [], "und", path.name)


def _resample(samples: Floats, rate_hz: int) -> Floats:
    from math import gcd

    from scipy.signal import resample_poly

    common = gcd(SOUND_HZ, rate_hz)
    return np.asarray(resample_poly(samples, SOUND_HZ // common, rate_hz // common), np.float32)


def _room(samples: Floats, chance: np.random.Generator, *, noise: bool = True) -> NDArray[np.int16]:
    """Put a voice into a room: an echo or none, hiss, and its loudness."""
    level = float(chance.uniform(0.15, 0.8))
    voice = samples / max(float(np.abs(samples).max()), SOFT)
    if noise and chance.random() < 0.5:
        from scipy.signal import fftconvolve

        since_s = np.arange(round(0.12 * SOUND_HZ)) / SOUND_HZ
        tail = np.exp(-since_s / chance.uniform(0.01, 0.04)) * chance.standard_normal(len(since_s))
        echo = fftconvolve(voice, tail)[: len(voice)]
        voice = voice + chance.uniform(0.02, 0.15) * echo / max(float(np.abs(echo).max()), 1e-3)
    if noise:
        voice = voice + 10 ** chance.uniform(-3.6, -1.9) * chance.standard_normal(len(voice), np.float32)
    voice = voice / max(float(np.abs(voice).max()), 1.0) * level
    return np.asarray(np.rint(voice * 32767), np.int16)
