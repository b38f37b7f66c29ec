"""Painting in memory: the right sound at the right frame, and landmarks of what a viewer sees."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from redub.choices import LandmarkModel
from redub.config import Config
from redub.faces.crop import take_crop
from redub.faces.geometry import apply_similarity
from redub.media import open_speech, open_video
from redub.metrics.blindfold import blindfolded
from redub.metrics.measuring import Truth, as_mouth
from redub.metrics.repaint import Shown, Sound, Voice, repaint, rolled, room_noise, silence
from redub.metrics.takes import find_take, take_stills
from redub.plugin import LoadContext, echo
from redub.stages.generate import Model
from redub.types import Blend

QUIET = Voice(sound=silence(1.0, 16000), begins=Fraction(0))


@pytest.fixture(scope="module")
def mirror() -> Model:
    mode = echo.INFO.modes[Blend.POISSON]
    return Model(info=echo.INFO, mode=mode, generator=echo.load(LoadContext(device="cpu", mode=Blend.POISSON, weights=None)))


def points(shown: list[Shown]) -> np.ndarray:
    return np.stack([one.points for one in shown])


def test_the_true_mouth_painted_back_is_read_as_it_was(takes, mirror):
    take = takes[0]
    found = as_mouth(points(list(repaint(take, mirror, QUIET, take_stills([take], mirror.mode, 0), Config()))), Truth.of(take), 25.0)
    assert found.follows.following > 0.95
    assert found.follows.spread == pytest.approx(1.0, abs=0.15)
    assert found.follows.lag_frames == 0
    assert found.landmark_distance < 0.02


def test_what_reads_the_true_mouth_reads_the_painted_one(takes, mirror):
    take = find_take(takes[0].recording, Config(), LandmarkModel.DLIB).part(0, 20)
    found = points(list(repaint(take, mirror, QUIET, take_stills([take], mirror.mode, 0), Config())))
    # The two models mean a little different points: what is read by one lies nearer to its own truth.
    assert np.abs(found - take.points).mean() < 0.5 * np.abs(found - takes[0].part(0, 20).points).mean()


def test_a_hidden_mouth_cannot_be_painted_back(takes, mirror):
    # redub's own model tells from the chin below the mask that the mouth would be open, though hardly how far.
    take = find_take(takes[0].recording, Config(), LandmarkModel.DLIB)
    shown = repaint(take, blindfolded(mirror), QUIET, take_stills([take], mirror.mode, 0), Config())
    found = as_mouth(points(list(shown)), Truth.of(take), 25.0)
    assert not found.follows.following > 0.5
    assert found.follows.spread < 0.5


def test_a_mouth_that_opens_at_known_frames_is_read_so(takes, painter):
    take = takes[0].part(0, 40)
    is_open = np.arange(40) % 20 >= 10

    def choose(clip):
        # The quiet voice begins at 0, and so the frame's number is told by the time of its middle.
        start = len(done)
        done.extend(clip.times_s)
        return np.where(is_open[start : start + len(clip.times_s)], 4, 0)

    done: list[float] = []
    model = painter(choose)
    shown = list(repaint(take, model, QUIET, take_stills([takes[0]], model.mode, 5), Config()))
    from redub.faces.landmarks import mouth_openness

    gap = mouth_openness(points(shown))
    assert np.corrcoef(gap, is_open)[0, 1] > 0.9
    assert gap[is_open].min() > gap[~is_open].max()


def test_landmarks_are_those_of_the_frame_and_crops_those_of_the_generator(takes, painter):
    take = takes[0].part(10, 14)
    model = painter(lambda clip: np.array([3, 1, 4, 0])[: len(clip.times_s)])
    stills = take_stills([takes[1]], model.mode, 5)
    shown = list(repaint(take, model, QUIET, stills, Config()))
    for one, row, still in zip(shown, take.similarities, stills[[3, 1, 4, 0]], strict=True):
        np.testing.assert_allclose(apply_similarity(row, one.points), one.frame_points, atol=1e-3)
        np.testing.assert_array_equal(one.painted, still[1:-1, 1:-1])
    with open_video(take.recording.path, take.plan.pts) as reader:
        for frame, one, row in zip(reader.read(10, 14), shown, take.similarities, strict=True):
            np.testing.assert_array_equal(one.original, take_crop(frame, row, model.mode.input_px)[1:-1, 1:-1])
            assert one.frame.index == frame.index
            assert not np.array_equal(one.frame.rgb(), frame.rgb())


@pytest.mark.parametrize("begins", [Fraction(0), Fraction(7, 10)])
def test_each_frame_hears_its_own_moment(takes, painter, begins):
    heard: list[float] = []

    def choose(clip):
        # Sample n of the sound is n, so that what is found at a moment tells the moment.
        heard.extend(clip.speech[np.rint(clip.times_s * 16000).astype(int)])
        return np.zeros(len(clip.times_s), int)

    model = painter(choose)
    voice = Voice(sound=Sound(np.arange(48000, dtype=np.float32), 16000), begins=begins)
    take = takes[0].part(20, 30)
    list(repaint(take, model, voice, take_stills([takes[1]], model.mode, 5), Config()))
    expected = (float(begins) + (np.arange(10) + 0.5) / 25) * 16000
    np.testing.assert_allclose(heard, expected, atol=1.0)


def test_sound_in_memory_is_silent_outside():
    sound = Sound(np.array([1, 2, 3], np.float32), 16000)
    assert sound.window(-2, 5).tolist() == [0, 0, 1, 2, 3, 0, 0]
    assert sound.window(1, 2).tolist() == [2]
    assert sound.window(5, 9).tolist() == [0, 0, 0, 0]
    assert sound.window(-9, -5).tolist() == [0, 0, 0, 0]


def test_rolled_sound_is_the_whole_sound_moved_on(talking):
    with open_speech(talking[0], 16000) as sound:
        whole = sound.window(0, sound.samples)
        moved = rolled(sound, 0.8)
    assert moved.samples == len(whole) == 60 * 640
    np.testing.assert_array_equal(moved.window(12800, len(whole)), whole[:-12800])
    np.testing.assert_array_equal(moved.window(0, 12800), whole[-12800:])


def test_room_noise_is_faint_and_as_strong_in_every_octave():
    samples = room_noise(20.0, 16000).window(0, 320000)
    assert 20 * np.log10(np.sqrt((samples.astype(float) ** 2).mean())) == pytest.approx(-60, abs=0.01)
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    octaves = [power[round(20 * low) : round(40 * low)].sum() for low in (62.5, 125, 250, 500, 1000, 2000, 4000)]
    np.testing.assert_allclose(octaves / np.mean(octaves), 1.0, atol=0.1)
    assert not silence(1.0, 16000).window(0, 16000).any()
