"""What the host promises every generator: its crops, its calls, its speech, its rate."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from redub.errors import ShapeError
from redub.media import Frame, open_speech
from redub.plugin import AudioWindow, Clip, ClipLimits, Generator, GeneratorInfo, Mode, Painted, Region
from redub.stages.generate import Model, Seen, generate, take_references
from redub.types import Blend

RATE_HZ = 8000
SIZE = 16
NOBODY = np.zeros((0, SIZE, SIZE, 3), np.uint8)


class Recorder(Generator):
    """Paints each crop plus the mean of its declared neighbours, and keeps the clips."""

    def __init__(self, reach: int = 0, size: int = SIZE) -> None:
        self.clips: list[Clip] = []
        self.reach = reach
        self.size = size

    def generate(self, clip: Clip) -> Painted:
        self.clips.append(clip)
        level = clip.frames.mean((1, 2, 3))
        padded = np.pad(level, self.reach, mode="edge")
        smooth = np.convolve(padded, np.ones(2 * self.reach + 1) / (2 * self.reach + 1), mode="valid")
        picture = np.ones((len(level), self.size, self.size, 3)) * smooth[:, None, None, None]
        return Painted(frames=np.rint(picture).astype(np.uint8))


def model(
    generator: Generator, *, limits: ClipLimits | None = None, rate: Fraction | None = None, output_px: int = SIZE, offset: int = 0
) -> Model:
    mode = Mode(input_px=SIZE, output_px=output_px, output_offset_px=offset)
    info = GeneratorInfo(
        name="recorder", summary="Keeps what it is given.", api=(1, 0), licence="MIT", region=Region.FACE, modes={Blend.FEATHER: mode},
        audio=AudioWindow(rate_hz=RATE_HZ, before_s=0.1, after_s=0.2), factory="a:b", clip=limits or ClipLimits(), frame_rate_hz=rate,
    )  # fmt: skip
    return Model(info=info, mode=mode, generator=generator)


@pytest.fixture
def speech(tmp_path):
    """A ramp: sample n holds n, so that a window tells where it was cut."""
    samples = np.arange(2 * RATE_HZ, dtype=np.int16)
    with av.open(str(tmp_path / "ramp.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with open_speech(tmp_path / "ramp.wav", RATE_HZ) as found:
        yield found


def run(count: int, rate: Fraction = Fraction(25)) -> list[Seen]:
    """Gray frames whose level is 2 i + 10, with a crop of 16 px at (8, 8)."""
    row = np.array([np.log(SIZE), 0.0, 7.5, 7.5])
    seen = []
    for i in range(count):
        native = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 2 * i + 10, np.uint8), format="rgb24")
        frame = Frame(index=i, pts=i, time_base=1 / rate, time=i / rate, duration=1 / rate, native=native)
        seen.append(Seen(frame=frame, time=i / rate, duration=1 / rate, similarity=row, points=np.full((68, 2), 11.5, np.float32)))
    return seen


def test_frames_come_back_in_order_with_their_own_crops(speech):
    recorder = Recorder()
    done = list(generate(run(50), model(recorder), speech, NOBODY))
    assert [one.seen.frame.index for one in done] == list(range(50))
    assert [int(one.painted[0, 0, 0]) for one in done] == [2 * i + 10 for i in range(50)]
    assert all((one.original == one.painted).all() for one in done)
    np.testing.assert_allclose(recorder.clips[0].points, 11.5 - 8, atol=1e-4)


def test_the_painted_part_lies_where_the_mode_says(speech):
    done = next(generate(run(1), model(Recorder(size=10), output_px=10, offset=3), speech, NOBODY))
    assert done.original.shape == done.painted.shape == (10, 10, 3)


@pytest.mark.parametrize("limits", [ClipLimits(max_frames=9, overlap_frames=2), ClipLimits(max_frames=5, overlap_frames=2)])
def test_cutting_into_calls_with_overlap_changes_nothing(speech, limits):
    whole = [one.painted for one in generate(run(40), model(Recorder(reach=2)), speech, NOBODY)]
    recorder = Recorder(reach=2)
    cut = [one.painted for one in generate(run(40), model(recorder, limits=limits), speech, NOBODY)]
    np.testing.assert_array_equal(cut, whole)
    assert len(recorder.clips) > 3
    assert max(len(clip.frames) for clip in recorder.clips) <= limits.max_frames


def test_a_run_shorter_than_the_least_call_is_filled_up(speech):
    recorder = Recorder()
    done = list(generate(run(2), model(recorder, limits=ClipLimits(min_frames=5)), speech, NOBODY))
    assert len(done) == 2
    clip = recorder.clips[0]
    assert len(clip.frames) == len(clip.times_s) == len(clip.points) == 5
    assert (np.diff(clip.times_s) > 0).all()


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(50)])
def test_each_frames_middle_is_found_in_the_real_speech(speech, rate):
    recorder = Recorder()
    list(generate(run(40, rate), model(recorder, limits=ClipLimits(max_frames=7)), speech, NOBODY))
    middles = []
    for clip in recorder.clips:
        samples = clip.speech * 32768
        for time_s in clip.times_s:
            assert time_s >= 0.1 - 1e-9
            assert (time_s + 0.2) * RATE_HZ <= len(samples) + 1e-9
            middles.append(samples[round(time_s * RATE_HZ)])
    expected = [float((i + Fraction(1, 2)) / rate * RATE_HZ) for i in range(40)]
    np.testing.assert_allclose(middles, expected, atol=1.0)


def test_before_the_beginning_and_after_the_end_there_is_silence(speech):
    recorder = Recorder()
    list(generate(run(60), model(recorder), speech, NOBODY))
    before = int(0.1 * RATE_HZ - 0.02 * RATE_HZ)
    assert (recorder.clips[0].speech[:before] == 0).all()
    assert recorder.clips[0].speech[before + 2] > 0
    assert (recorder.clips[-1].speech[-100:] == 0).all()


@pytest.mark.parametrize("rate", [Fraction(50), Fraction(30), Fraction(24), Fraction(10)])
def test_a_generator_with_a_rate_of_its_own_gets_it(speech, rate):
    recorder = Recorder()
    seen = run(int(rate), rate)
    done = list(generate(seen, model(recorder, rate=Fraction(25), limits=ClipLimits(max_frames=6)), speech, NOBODY))
    assert [one.seen.frame.index for one in done] == [one.frame.index for one in seen]
    times = []
    position = 0.0
    for clip in recorder.clips:
        np.testing.assert_allclose(np.diff(clip.times_s), 0.04, atol=1e-9)
        start = clip.speech[np.argmax(clip.speech > 0)] * 32768 - np.argmax(clip.speech > 0)
        times += [float(time_s + start / RATE_HZ) for time_s in clip.times_s]
    assert position == 0.0
    np.testing.assert_allclose(np.diff(times), 0.04, atol=2 / RATE_HZ)
    for one in done:
        # What is painted belongs to a moment no further away than a tick of either rate.
        level = (float(one.painted[0, 0, 0]) - 10) / 2
        assert abs(level - one.seen.frame.index) * float(1 / rate) <= max(0.04, float(1 / rate)) + 1e-9
        assert (one.original == 2 * one.seen.frame.index + 10).all()


def test_inputs_cannot_be_written_to(speech):
    recorder = Recorder()
    list(generate(run(3), model(recorder), speech, NOBODY))
    clip = recorder.clips[0]
    assert not any(array.flags.writeable for array in (clip.frames, clip.points, clip.times_s, clip.speech))


def test_a_wrong_size_is_the_plugins_fault_and_says_both_sizes(speech):
    with pytest.raises(ShapeError, match=r"recorder painted \(3, 12, 12, 3\).*\(3, 16, 16, 3\)"):
        list(generate(run(3), model(Recorder(size=12)), speech, NOBODY))


def test_missing_stills_are_repeated():
    stills = take_references([(one.frame, one.similarity) for one in run(2)], Mode(input_px=SIZE, output_px=SIZE), 5)
    assert stills.shape == (5, SIZE, SIZE, 3)
    assert [int(still[0, 0, 0]) for still in stills] == [10, 12, 10, 12, 10]
    assert not stills.flags.writeable
