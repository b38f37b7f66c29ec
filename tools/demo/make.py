"""make: the face kit -> the demo's lecture, its Spanish dub, and the truth about both.

    apt-get install libespeak-ng1 libegl1 libgl1-mesa-dri
    pip install numpy scipy pillow moderngl av
    python tools/demo/make.py ict_facekit_light.npz redub/demo

The kit is the light model of ICT-FaceKit (USC Institute for Creative Technologies, MIT licence) packed as one file.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from head import Head
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import resample_poly
from studio import HEIGHT, WIDTH, Pose, Studio
from voice import mouth_curve, weights_of

from redub.footage.espeak import Phones, say

FPS = 25
SEED = 7
TEXT = "Hello, and welcome. Today we ask how a memory is made, where the brain keeps it, and why we so often forget."
SPANISH = "Hola, y bienvenidos. Hoy veremos cómo nace un recuerdo, dónde lo guarda el cerebro, y por qué a veces lo olvidamos."
BEFORE_S, AFTER_S = 0.4, 0.6


@dataclass(frozen=True, slots=True)
class Take:
    """A sound with what is said in it."""

    samples: NDArray[np.int16]
    rate_hz: int
    phones: Phones


def record(text: str, voice: str, words_per_minute: int, pitch: int) -> Take:
    """Say a text with a little silence before and after."""
    samples, rate_hz, phones = say(text, voice, words_per_minute, pitch, 60)
    loud = samples * (0.7 * 32767 / np.abs(samples).max())
    padded = np.pad(loud, (int(BEFORE_S * rate_hz), int(AFTER_S * rate_hz)))
    return Take(padded.round().astype(np.int16), rate_hz, [(t + BEFORE_S, phone) for t, phone in phones])


def act(studio: Studio, take: Take, first: int, last: int) -> tuple[NDArray[np.float32], list[Pose]]:
    """Return expression weights (T, E) and poses for all frames: speech, blinks, glances and small movements."""
    chance = np.random.default_rng(SEED)
    names = studio.head.names
    times_s = np.arange(int(len(take.samples) / take.rate_hz * FPS)) / FPS
    weights = mouth_curve(names, take.phones, times_s)
    blink = np.zeros(len(times_s))
    for at in (0.9, 3.3, 5.1, 5.45, 7.9):
        since = times_s - at
        blink = np.maximum(blink, np.exp(-((since / np.where(since < 0, 0.05, 0.085)) ** 2)))
    weights += blink[:, None] * weights_of(names, {"eyeBlink": 1.0, "browDown": 0.12})
    level = gaussian_filter1d(np.abs(np.diff(weights[:, names.index("jawOpen")], prepend=0)), 8)
    weights += (level / level.max() * 0.5)[:, None] * weights_of(names, {"browInnerUp": 0.6, "browOuterUp": 0.5})
    weights += weights_of(names, {"mouthSmile": 0.10, "cheekSquint": 0.08, "eyeWide": 0.2})

    def drift(width: float) -> NDArray[np.float64]:
        raw = gaussian_filter1d(chance.normal(size=len(times_s) + 400), width)[200:-200]
        return np.asarray(raw / np.abs(raw).max())

    glance = np.round(drift(14) * 1.5) * 0.10
    weights[:, names.index("eyeLookOut_L")] += np.clip(glance, 0, 1)
    weights[:, names.index("eyeLookIn_R")] += np.clip(glance, 0, 1)
    yaw, pitch, roll = 0.10 + 0.07 * drift(20) + 0.02 * drift(7), 0.03 * drift(13) + 0.05 * (level / level.max() - 0.4), 0.03 * drift(24)
    across, up = 0.35 * drift(22), 0.2 * drift(15)
    poses = [Pose(yaw=-y, pitch=p, roll=r, shift=(a, u)) for y, p, r, a, u in zip(yaw, pitch, roll, across, up, strict=True)]
    return weights[first:last], poses[first:last]


def write_video(target: Path, pictures: list[NDArray[np.uint8]], take: Take) -> None:
    """Write H.264 with AAC; colour is BT.709 and says so."""
    with av.open(str(target), "w", options={"movflags": "faststart"}) as out:
        options = {"crf": "19", "preset": "slow", "x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709"}
        video = out.add_stream("libx264", rate=Fraction(FPS), options=options)
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        sound = add_sound(out, take)
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            out.mux(video.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        out.mux(video.encode())
        write_sound(out, sound, take)


def add_sound(out: Any, take: Take) -> Any:
    """Add an AAC stream of twice espeak-ng's odd 22.05 kHz."""
    stream = out.add_stream("aac", rate=2 * take.rate_hz, layout="mono")
    stream.bit_rate = 96_000
    return stream


def write_sound(out: Any, stream: Any, take: Take) -> None:
    """Write all samples and end the stream."""
    double = np.clip(resample_poly(take.samples.astype(np.float32), 2, 1), -32767, 32767).astype(np.int16)
    block = av.AudioFrame.from_ndarray(double[None], format="s16", layout="mono")
    block.sample_rate = 2 * take.rate_hz
    # With a time, the encoder's 1024 samples of lead get negative ones, and the file says that they are not to be heard.
    block.pts, block.time_base = 0, Fraction(1, block.sample_rate)
    out.mux(stream.encode(block))
    out.mux(stream.encode())


def main() -> None:
    """Read the command line and make the files."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("kit", type=Path, help="the packed face kit, an .npz")
    options.add_argument("folder", type=Path, help="where lecture.mp4, spanish.m4a and truth.npz go")
    options.add_argument("--frames", nargs=2, type=int, default=(0, 10**6), metavar=("FIRST", "LAST"), help="draw only some, as PNG")
    chosen = options.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    english, spanish = record(TEXT, "en-us", 150, 38), record(SPANISH, "es", 158, 38)
    studio = Studio(Head(chosen.kit, SEED), (3.2, -1.2), SEED)
    weights, poses = act(studio, english, *chosen.frames)
    drawn = [studio.draw(*both) for both in zip(weights, poses, strict=True)]
    pictures, points = [picture for picture, _ in drawn], np.stack([p for _, p in drawn])
    if chosen.frames[1] < 10**6:
        from PIL import Image

        for index, picture in enumerate(pictures, chosen.frames[0]):
            Image.fromarray(picture).save(chosen.folder / f"{index:04d}.png")
        return
    write_video(chosen.folder / "lecture.mp4", pictures, english)
    with av.open(str(chosen.folder / "spanish.m4a"), "w", options={"movflags": "faststart"}) as out:
        write_sound(out, add_sound(out, spanish), spanish)
    np.savez_compressed(
        chosen.folder / "truth.npz",
        points=(points * 8).round() / np.float32(8),
        opening_px=np.linalg.norm(points[:, 62] - points[:, 66], axis=1).astype(np.float32),
        phones=np.array([f"{start:.3f} {phone}" for start, phone in english.phones]),
    )


if __name__ == "__main__":
    main()
