"""Generators of other kinds than echo, and sound of other lengths than the video, through the whole flow."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

import redub
from redub.config import Config
from redub.types import Fit

PLUGIN = """
from fractions import Fraction
import numpy as np
from redub.plugin import AudioWindow, Generator, GeneratorInfo, Mode, Painted, Region, hookimpl
from redub.types import Blend

WINDOW = AudioWindow(rate_hz=16000, before_s=0.1, after_s=0.1)

@hookimpl
def redub_generators():
    common = dict(api=(1, 0), licence="MIT", audio=WINDOW)
    yield GeneratorInfo(name="negative", summary="The whole frame, inverted.", region=Region.FRAME,
        modes={Blend.NETWORK: Mode(input_px=96, output_px=96)}, factory="kinds:Negative", **common)
    yield GeneratorInfo(name="stills", summary="Shows the third still.", region=Region.FACE, references=5,
        modes={Blend.FEATHER: Mode(input_px=64, output_px=61, output_offset_px=1)}, factory="kinds:Stills", **common)
    yield GeneratorInfo(name="metronome", summary="Works at 10 Hz.", region=Region.FACE, frame_rate_hz=Fraction(10),
        modes={Blend.POISSON: Mode(input_px=64, output_px=64)}, factory="kinds:Negative", **common)
    yield GeneratorInfo(name="loudness", summary="White where there is sound.", region=Region.FACE,
        modes={Blend.NETWORK: Mode(input_px=64, output_px=64)}, factory="kinds:Loudness", **common)

class Negative(Generator):
    def __init__(self, context):
        pass
    def generate(self, clip):
        if self.__class__ is Negative and len(clip.times_s) > 1 and clip.frames.shape[1] == 64:
            assert np.allclose(np.diff(clip.times_s), 0.1)
        return Painted(frames=255 - clip.frames)

class Stills(Negative):
    def generate(self, clip):
        assert clip.references.shape == (5, 64, 64, 3)
        return Painted(frames=np.repeat(clip.references[2:3, 1:62, 1:62], len(clip.frames), 0))

class Loudness(Negative):
    def generate(self, clip):
        frames = np.zeros_like(clip.frames)
        for i, t in enumerate(clip.times_s):
            middle = round(t * 16000)
            frames[i] = 255 if np.abs(clip.speech[max(0, middle - 160):middle + 160]).max() > 0.05 else 0
        return Painted(frames=frames)
"""


@pytest.fixture(autouse=True)
def kinds(tmp_path_factory, monkeypatch) -> None:
    folder = tmp_path_factory.mktemp("site")
    (folder / "kinds.py").write_text(PLUGIN)
    info = folder / "kinds-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kinds\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[redub]\nkinds = kinds\n")
    monkeypatch.syspath_prepend(folder)


def pictures(path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


@pytest.fixture
def clip(make_clip):
    return make_clip("clip.mp4", range(40), Fraction(1, 25))


def dub(video, sound, generator: str, tmp_path, config: Config, **more) -> redub.Result:
    return redub.redub(video, sound, generator, output=tmp_path / f"{generator}.mp4", plan=tmp_path / "plan", config=config, **more)


def test_a_frame_generator_paints_the_centred_square_and_nothing_else(clip, tone, tmp_path, lossless):
    result = dub(clip, tone(1.6), "negative", tmp_path, lossless)
    assert result.painted_frames == 40
    source, output = pictures(clip), pictures(result.output)
    height, width = source[0].shape[:2]
    left = (width - height) // 2
    for a, b in zip(source[::10], output[::10], strict=True):
        np.testing.assert_array_equal(a[:, : left - 2], b[:, : left - 2])
        np.testing.assert_array_equal(a[:, left + height + 2 :], b[:, left + height + 2 :])
        middle = np.s_[height // 4 : -height // 4, left + height // 4 : left + height - height // 4]
        assert np.abs(b[middle] - (255 - a[middle])).mean() < 8


def test_a_frame_generator_needs_no_face(make_clip, tone, tmp_path, lossless):
    slides = make_clip("slides.mp4", range(10), Fraction(1, 25), pictures=[np.full((360, 640, 3), 200, np.uint8)])
    assert dub(slides, tone(0.4), "negative", tmp_path, lossless).painted_frames == 10


def test_stills_of_the_speaker_reach_the_generator(clip, tone, tmp_path, lossless):
    result = dub(clip, tone(1.6), "stills", tmp_path, lossless)
    assert result.painted_frames == 40
    # It offers no other blending, and nobody asked for one.
    assert not any("feather" in notice for notice in result.notices)


def test_a_generator_with_its_own_rate_paints_every_frame(clip, tone, tmp_path, lossless):
    assert dub(clip, tone(1.6), "metronome", tmp_path, lossless).painted_frames == 40


@pytest.fixture
def beep(tmp_path):
    """2.4 s of silence with a tone from 1.0 to 1.4 s."""
    samples = np.zeros(round(2.4 * 16000), np.int16)
    samples[16000:22400] = 8000 * np.sin(np.arange(6400) * 0.2)
    with av.open(str(tmp_path / "beep.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return tmp_path / "beep.wav"


def brightness(path) -> np.ndarray:
    """(T,) mean of a few px at the mouth of the demo's head, which hardly moves in 1.6 s."""
    return np.array([picture[205:235, 310:370].mean() for picture in pictures(path)])


@pytest.mark.parametrize("mode", [Fit.HOLD, Fit.LOOP, Fit.BOUNCE, Fit.CUT])
def test_the_mouth_moves_exactly_while_there_is_sound_whatever_the_fit(clip, beep, tmp_path, lossless, mode):
    result = dub(clip, beep, "loudness", tmp_path, lossless.updated({"fit": {"mode": mode}}))
    lit = np.flatnonzero(brightness(result.output) > 200)
    assert result.frames == (40 if mode is Fit.CUT else 60)
    # A frame shows 0.04 s and looks 0.01 s around its middle: frames 25 to 34 hear the tone.
    assert result.painted_frames == result.frames
    assert lit.min() in (25, 26)
    assert lit.max() in (33, 34)
    assert len(lit) == lit.max() - lit.min() + 1


def test_held_frames_are_the_last_one_with_a_living_mouth(clip, beep, tmp_path, lossless):
    source = pictures(clip)
    output = pictures(dub(clip, beep, "loudness", tmp_path, lossless).output)
    for picture in output[40:]:
        np.testing.assert_array_equal(picture[:, :150], source[-1][:, :150])


def test_a_loop_fades_from_its_last_frames_into_its_first(clip, beep, tmp_path, lossless):
    source = pictures(clip)
    config = lossless.updated({"fit": {"mode": Fit.LOOP, "crossfade_s": 0.2}})
    output = pictures(dub(clip, beep, "loudness", tmp_path, config).output)
    side = np.s_[:, :150]
    np.testing.assert_array_equal(output[34][side], source[34][side])
    np.testing.assert_array_equal(output[40][side], source[5][side])
    mixed = (source[37][side] + source[2][side]) / 2
    assert np.abs(output[37][side] - mixed).mean() < 1.5


def test_the_only_face_is_the_left_one(clip, tone, tmp_path, lossless):
    both = dub(clip, tone(1.6), "loudness", tmp_path, lossless, speaker="left")
    assert both.painted_frames == 40
