"""Clips for the whole flow, made from the demo's rendered head, so that each has a face to paint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from redub.config import Config
from redub.demo import SOUND, VIDEO, copy_demo

FAST = ("encode.preset=ultrafast", "encode.crf=0")
"""Lossless, so that what is decoded from the result is what the encoder was handed."""


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    copy_demo(folder)
    return folder


@pytest.fixture(scope="session")
def demo_video(demo_folder) -> Path:
    return demo_folder / VIDEO


@pytest.fixture(scope="session")
def demo_sound(demo_folder) -> Path:
    return demo_folder / SOUND


@pytest.fixture
def lossless() -> Config:
    config = Config()
    for assignment in FAST:
        config = config.set(assignment)
    return config


@pytest.fixture(scope="session")
def heads(demo_video) -> list[np.ndarray]:
    """(H, W, 3) RGB: the first 40 frames of the demo at a third of its size and a little more."""
    frames = []
    with av.open(str(demo_video)) as container:
        for frame in container.decode(video=0):
            frames.append(frame.reformat(width=640, height=360, format="rgb24").to_ndarray())
            if len(frames) == 40:
                break
    return frames


@pytest.fixture(scope="session")
def make_clip(heads, tmp_path_factory) -> Callable[..., Path]:
    """Write a clip of the head: ``ticks`` are the frames' times in ``time_base``."""

    def make(
        name: str,
        ticks: Sequence[int],
        time_base: Fraction,
        *,
        pictures: Sequence[np.ndarray] | None = None,
        crop: tuple[int, int] | None = None,
        rotation: int = 0,
        pix_fmt: str = "yuv420p",
        codec: str = "libx264",
        colour: dict[str, int] | None = None,
    ) -> Path:
        target = tmp_path_factory.mktemp("clips") / name
        pictures = pictures if pictures is not None else heads
        with av.open(str(target), "w") as out:
            height, width = crop or np.rot90(pictures[0], rotation // 90).shape[:2]
            options = {"preset": "ultrafast", "crf": "12"} if codec == "libx264" else {}
            stream = out.add_stream(codec, rate=round(1 / (time_base * (ticks[1] - ticks[0]))) if len(ticks) > 1 else 25, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            stream.codec_context.time_base = time_base
            for key, value in (colour or {}).items():
                setattr(stream.codec_context, key, value)
            if rotation:
                # PyAV counts counter-clockwise, as the picture was turned; a viewer turns it back.
                stream.set_display_rotation(-rotation)
            for i, tick in enumerate(ticks):
                picture = np.ascontiguousarray(np.rot90(pictures[i % len(pictures)], rotation // 90)[:height, :width])
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
                for key, value in (colour or {}).items():
                    setattr(frame, key, value)
                frame.pts, frame.time_base = tick, time_base
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        return target

    return make


@pytest.fixture(scope="session")
def tone(tmp_path_factory) -> Callable[[float, int], Path]:
    """Write a mono 16-bit wav of a 440 Hz tone."""

    def make(seconds: float, rate_hz: int = 16000) -> Path:
        target = tmp_path_factory.mktemp("sounds") / f"tone{seconds}.wav"
        samples = (8000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.int16)
        with av.open(str(target), "w") as out:
            stream = out.add_stream("pcm_s16le", rate=rate_hz, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = rate_hz
            out.mux(stream.encode(frame))
            out.mux(stream.encode())
        return target

    return make
