"""Pieces of a training set: what comes back is what was stored, and sound and pictures keep their time to each other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from redub.errors import MediaError, ShapeError
from redub.media import open_speech, open_video
from redub.media.store import SOUND_RATE_HZ, load_piece, store_piece
from redub.speech.features import speech_windows

LEAD = Fraction(1, 2)


def moving(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Draw pictures with a bright square that goes right by 2 px a picture, on a slope of grey and red."""
    pictures = []
    for i in range(count):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[..., 1:] = np.linspace(40, 120, width)[None, :, None]
        picture[..., 0] = 150
        picture[16:32, 2 * i : 2 * i + 16] = (230, 220, 60)
        pictures.append(picture)
    return pictures


def steady(count: int, rate: Fraction = Fraction(25), start: Fraction = LEAD) -> list[Fraction]:
    return [start + i / rate for i in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "000.mkv"


def test_pictures_come_back_nearly_as_they_were(path: Path, speaking: Callable[..., np.ndarray]) -> None:
    pictures = moving(20)
    store_piece(path, pictures, steady(20), speaking(1.8, SOUND_RATE_HZ)[0])
    found, _, _ = load_piece(path)
    assert found.dtype == np.uint8
    assert found.shape == (20, 48, 64, 3)
    errors = np.abs(found.astype(int) - np.stack(pictures))
    assert errors.mean() < 1.5
    # Each picture is the one of its own time, and none of its colours has moved on the whole.
    assert [int(np.argmin([np.abs(one.astype(int) - other).mean() for other in pictures])) for one in found] == list(range(20))
    assert np.abs((found.astype(int) - np.stack(pictures)).mean(axis=(0, 1, 2))).max() < 1


def test_real_faces_come_back_nearly_as_they_were(path: Path, shared_clips: Path) -> None:
    with open_video(shared_clips / "train" / "grid_a_1.mpg") as reader:
        pictures = [np.ascontiguousarray(frame.rgb()[90:202, 130:242]) for frame in reader.read(0, 12)]
    store_piece(path, pictures, steady(12), np.zeros(32_000, np.float32))
    found, _, _ = load_piece(path)
    assert np.abs(found.astype(int) - np.stack(pictures)).mean() < 3
    assert path.stat().st_size < np.stack(pictures).nbytes / 30


def test_the_same_pictures_come_back_the_same_every_time(path: Path) -> None:
    """Also where the memory that the encoder is given has been used before."""
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(40, 200, (40, 40, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    pictures = [np.ascontiguousarray(texture[i : i + 112, 2 * i : 2 * i + 112]) for i in range(20)]
    found = []
    for _ in range(4):
        used = [rng.integers(0, 256, int(count), dtype=np.uint8) for count in rng.integers(100, 120_000, 1000)]
        del used
        store_piece(path, pictures, steady(20), np.zeros(1000, np.float32))
        found.append(load_piece(path)[0])
    assert all(np.array_equal(one, found[0]) for one in found)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(2213, 100)])
@pytest.mark.parametrize("start", [Fraction(0), LEAD])
def test_times_are_kept_to_the_millisecond(rate: Fraction, start: Fraction, path: Path) -> None:
    times = steady(40, rate, start)
    store_piece(path, moving(40, width=128), times, np.zeros(16_000, np.float32))
    found = load_piece(path)[1]
    assert found.shape == (40,)
    assert np.abs(found - [float(time) for time in times]).max() <= 0.0005 + 1e-9


def test_uneven_times_are_kept(path: Path) -> None:
    times = [Fraction(ms, 1000) for ms in (500, 501, 560, 700, 703, 2000)]
    store_piece(path, moving(6), times, np.zeros(16_000, np.float32))
    assert load_piece(path)[1].tolist() == [float(time) for time in times]


@pytest.mark.parametrize("start", [Fraction(0), LEAD, Fraction(3)])
@pytest.mark.parametrize("samples", [960 * 20, 960 * 20 + 1, 30_001, 40_319, 216])
def test_sound_keeps_its_length_and_place(
    samples: int, start: Fraction, path: Path, speaking: Callable[..., np.ndarray], lag_of: Callable[..., int]
) -> None:
    speech = speaking(3.0, SOUND_RATE_HZ)[0][:samples]
    store_piece(path, moving(5), steady(5, start=start), speech)
    found = load_piece(path)[2]
    assert found.dtype == np.float32
    assert found.shape == (samples,)
    assert lag_of(found, speech) == 0


def test_sound_and_pictures_stay_together(path: Path) -> None:
    """A flash and a click at the same instant come back at the same instant."""
    speech = np.zeros(48_000, np.float32)
    dark, bright = np.full((32, 32, 3), 20, np.uint8), np.full((32, 32, 3), 230, np.uint8)
    times = steady(50)
    speech[int(times[30] * SOUND_RATE_HZ) :][:64] = 0.5 * np.hanning(64)
    store_piece(path, [bright if i == 30 else dark for i in range(50)], times, speech)
    pictures, found_s, sound = load_piece(path)
    flash_s = found_s[int(np.argmax(pictures.mean(axis=(1, 2, 3))))]
    assert abs(float(np.argmax(np.abs(sound)) - 32) / SOUND_RATE_HZ - flash_s) <= 0.001


@pytest.mark.parametrize("samples", [1, 50, 215])
def test_shorter_sound_than_a_packet_has_silence_behind_it(samples: int, path: Path) -> None:
    store_piece(path, moving(1), steady(1), np.full(samples, 0.3, np.float32))
    found = load_piece(path)[2]
    assert len(found) == 216
    assert np.abs(found[samples + 60 :]).max(initial=0) < 0.1


def test_what_a_network_hears_hardly_changes(path: Path, shared_clips: Path) -> None:
    with open_speech(shared_clips / "train" / "grid_a_1.mpg", SOUND_RATE_HZ) as sound:
        speech = sound.window(0, sound.samples)
    store_piece(path, moving(2), steady(2), speech)
    times = (np.arange(10, 65) + 0.5) / 25
    wanted, found = speech_windows(speech, times), speech_windows(load_piece(path)[2], times)
    assert np.abs(found - wanted).mean() < 0.12 * wanted.std()
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.98


def test_silence_stays_silent(path: Path) -> None:
    store_piece(path, moving(2), steady(2), np.zeros(20_000, np.float32))
    assert np.abs(load_piece(path)[2]).max() < 1e-4


SILENCE = np.zeros(1000, np.float32)


@pytest.mark.parametrize(
    ("pictures", "times", "speech", "words"),
    [
        (moving(2, 47, 64), steady(2), SILENCE, "even size"),
        (moving(2, 48, 63), steady(2), SILENCE, "even size"),
        ([*moving(1), *moving(1, 64, 64)], steady(2), SILENCE, "one even size"),
        ([np.zeros((48, 64), np.uint8)], steady(1), SILENCE, "even size"),
        ([], [], SILENCE, "at least one"),
        (moving(1), steady(1), np.zeros(0, np.float32), "at least one sample"),
        (moving(1), steady(1), np.zeros((2, 900), np.float32), "at least one sample"),
        (moving(3), [LEAD, LEAD, LEAD + 1], SILENCE, "Times rise"),
        (moving(2), [LEAD, LEAD + Fraction(1, 5000)], SILENCE, "whole milliseconds"),
        (moving(2), [LEAD, Fraction(0)], SILENCE, "Times rise"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_leaves_nothing(
    pictures: list[np.ndarray], times: list[Fraction], speech: np.ndarray, words: str, path: Path
) -> None:
    with pytest.raises(ShapeError) as caught:
        store_piece(path, pictures, times, speech)
    assert words in caught.value.hint
    assert not list(path.parent.iterdir())


def test_a_failing_source_leaves_nothing(path: Path) -> None:
    def pictures() -> Iterator[np.ndarray]:
        yield from moving(3)
        raise MediaError("The video broke off.")

    with pytest.raises(MediaError, match="broke off"):
        store_piece(path, pictures(), steady(9), SILENCE)
    assert not list(path.parent.iterdir())


def test_more_pictures_than_times_are_a_mistake(path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        store_piece(path, moving(3), steady(2), SILENCE)
    assert not list(path.parent.iterdir())


KILLED = """
import sys, numpy as np
from pathlib import Path
from fractions import Fraction
from redub.media.store import store_piece
def pictures():
    yield np.zeros((32, 32, 3), np.uint8)
    print("writing", flush=True)
    sys.stdin.read()
store_piece(Path(sys.argv[1]), pictures(), [Fraction(0), Fraction(1)], np.zeros(1000, np.float32))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nothing tells there whose a temporary file is")
def test_what_a_killed_writer_left_goes_with_the_next_piece(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    process.kill()
    process.communicate()
    assert not path.exists()
    store_piece(path, moving(2), steady(2), SILENCE)
    assert list(path.parent.iterdir()) == [path]
    assert len(load_piece(path)[0]) == 2


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no folder"):
        store_piece(tmp_path / "gone" / "000.mkv", moving(1), steady(1), SILENCE)


def test_damage_is_told(path: Path, tmp_path: Path) -> None:
    store_piece(path, moving(20), steady(20), np.zeros(40_000, np.float32))
    whole = path.read_bytes()
    for name, content in (("begin.mkv", whole[:200]), ("text.mkv", b"no film" * 100), ("empty.mkv", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MediaError) as caught:
            load_piece(tmp_path / name)
        assert name in caught.value.message
    with pytest.raises(MediaError, match="gone"):
        load_piece(tmp_path / "gone.mkv")


def test_a_file_without_pictures_is_no_piece(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        output.mux(stream.encode(frame))
    with pytest.raises(MediaError, match="cannot be read"):
        load_piece(path)
