"""Two short clips of the demo's rendered head with the sound it was rendered to, and generators for known mouths."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from redub.choices import YARDSTICK
from redub.config import Config
from redub.metrics import Recording, Take
from redub.metrics.takes import find_take
from redub.plugin import AudioWindow, Clip, Generator, GeneratorInfo, Mode, Painted, Region
from redub.stages.generate import Model
from redub.types import Blend, Speaking

FIRST, FRAMES = (8, 88), 60
SIZE_PX = 96

Choose = Callable[[Clip], np.ndarray]
"""Clip -> (T,) which of the five stills is shown in each frame."""


@pytest.fixture(scope="session")
def talking(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Cut two clips of 60 frames out of the demo, at half its size, with their own sound as FLAC."""
    source = demo / "lecture.mp4"
    folder = tmp_path_factory.mktemp("talking")
    with av.open(str(source)) as container:
        wanted = islice(container.decode(video=0), max(FIRST) + FRAMES)
        frames = [frame.reformat(width=640, height=360, format="yuv420p") for frame in wanted]
    with av.open(str(source)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16000)
        blocks = [made.to_ndarray()[0] for frame in container.decode(audio=0) for made in resampler.resample(frame)]
    sound = np.concatenate(blocks)
    paths = []
    for number, first in enumerate(FIRST):
        path = folder / f"talk{number}.mkv"
        with av.open(str(path), "w") as out:
            picture = out.add_stream("libx264", rate=25, options={"crf": "8", "preset": "ultrafast"})
            picture.width, picture.height, picture.pix_fmt = 640, 360, "yuv420p"
            voice = out.add_stream("flac", rate=16000, layout="mono")
            for i, frame in enumerate(frames[first : first + FRAMES]):
                frame.pts, frame.time_base = i, Fraction(1, 25)
                out.mux(picture.encode(frame))
            out.mux(picture.encode())
            part = av.AudioFrame.from_ndarray(sound[None, first * 640 : (first + FRAMES) * 640], format="s16", layout="mono")
            part.sample_rate, part.pts = 16000, 0
            out.mux(voice.encode(part))
            out.mux(voice.encode())
        paths.append(path)
    return paths


@pytest.fixture(scope="session")
def takes(talking: list[Path]) -> list[Take]:
    return [find_take(Recording(path=path, speaker="head", group="demo"), Config()) for path in talking]


@pytest.fixture(scope="session")
def true_takes(talking: list[Path]) -> list[Take]:
    """Return the takes as an evaluation reads them."""
    return [find_take(Recording(path=path, speaker="head", group="demo"), Config(), YARDSTICK) for path in talking]


@pytest.fixture(scope="session")
def beside(talking: list[Path], takes: list[Take], tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], list[Recording]]:
    """Return a function that copies the clips with plans beside them, which let the head speak for some frames."""

    def make(frames: int) -> list[Recording]:
        folder = tmp_path_factory.mktemp("beside")
        for path, take in zip(talking, takes, strict=True):
            shutil.copyfile(path, folder / path.name)
            stretch = Speaking(track=take.track, start=take.start, stop=frames)
            replace(take.plan, speaking=(stretch,)).save(folder / f"{path.name}.redub")
        return [Recording(path=folder / path.name, speaker="head", group="demo") for path in talking]

    return make


class Stills(Generator):
    """Shows one of the speaker's five stills in each frame, 0 closed to 4 wide open."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose

    def generate(self, clip: Clip) -> Painted:
        return Painted(frames=clip.references[self.choose(clip), 1:-1, 1:-1].copy())


@pytest.fixture(scope="session")
def painter() -> Callable[[Choose], Model]:
    """Return a function that makes a model out of a choice of stills."""

    def make(choose: Choose) -> Model:
        mode = Mode(input_px=SIZE_PX, output_px=SIZE_PX - 2, output_offset_px=1)
        info = GeneratorInfo(
            name="stills", summary="Shows stills.", api=(1, 0), licence="MIT", region=Region.FACE, modes={Blend.POISSON: mode},
            audio=AudioWindow(rate_hz=16000, before_s=0.1, after_s=0.1), factory="a:b", references=5,
        )  # fmt: skip
        return Model(info=info, mode=mode, generator=Stills(choose))

    return make


@pytest.fixture(scope="session")
def by_loudness() -> Choose:
    """Open the mouth by the strength of the sound around each frame's middle."""

    def choose(clip: Clip) -> np.ndarray:
        middles = np.rint(clip.times_s * 16000).astype(int)
        rms = np.array([np.sqrt((clip.speech[max(middle - 320, 0) : middle + 320] ** 2).mean()) for middle in middles])
        return np.clip(np.rint(rms / 0.03), 0, 4).astype(int)

    return choose
