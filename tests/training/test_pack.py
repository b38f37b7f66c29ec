"""Packs: aligned faces with the sound that belongs to them, however often packing was interrupted."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from redub.choices import LandmarkModel
from redub.config import Config
from redub.errors import RedubError
from redub.faces.crop import take_crop
from redub.faces.geometry import apply_similarity
from redub.media import open_speech, open_video
from redub.pipeline import analyse
from redub.plan import Plan
from redub.plugin import Piece
from redub.training import pack
from redub.training.footage import Footage
from redub.training.pack import LEAD, find_landmark_model, is_pack, make_pack, read_pack
from redub.training.stock import LEAST_SHORT, usual_offsets

RATE_HZ = 16_000
FRAMES = 30


def cut(source: Path, target: Path, rate: Fraction, delay: Fraction = Fraction(0), frames: int = FRAMES) -> Path:
    """Copy the first pictures of a video at a rate of our own, and noise with syllables in every moment.

    Args:
        delay: How much later the pictures begin than the sound.
    """
    count = round((frames / rate + delay) * RATE_HZ)
    noise = np.random.default_rng(3).standard_normal(count) * (0.6 + 0.4 * np.sin(np.arange(count) / 900))
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        picture = output.add_stream("libx264", rate=rate, options={"crf": "15", "preset": "ultrafast"})
        sound = output.add_stream("flac", rate=RATE_HZ, layout="mono")
        picture.codec_context.time_base = Fraction(1, 90_000)
        for i, native in enumerate(given.decode(video=0)):
            if i == frames:
                break
            if i == 0:
                picture.height, picture.width = native.height // 2, native.width // 2
            frame = native.reformat(picture.width, picture.height, "yuv420p")
            frame.pts, frame.time_base = round((delay + i / rate) * 90_000), Fraction(1, 90_000)
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        block = av.AudioFrame.from_ndarray(np.int16(np.convolve(noise, np.hanning(9), "same") * 2000)[None], "s16", "mono")
        block.sample_rate, block.pts, block.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        output.mux(sound.encode(block))
        output.mux(sound.encode(None))
    return target


@pytest.fixture(scope="module")
def talker(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a second of the demo's head at 29.97 frames/s; its pictures begin 0.3 s later than its sound."""
    return cut(demo / "lecture.mp4", tmp_path_factory.mktemp("talker") / "talker.mkv", Fraction(30_000, 1001), Fraction(3, 10))


@pytest.fixture(scope="module")
def plan(talker: Path) -> Plan:
    return analyse(talker)


@pytest.fixture(scope="module")
def made(talker: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pack of one source, which no test may change."""
    folder = tmp_path_factory.mktemp("pack") / "faces"
    (packed,) = make_pack([Footage(path=talker, speaker="ann")], folder)
    assert (packed.source, packed.frames, packed.remark) == (talker, FRAMES, "")
    return folder


@pytest.fixture(scope="module")
def piece(made: Path) -> Piece:
    (one,) = read_pack(made)
    return one


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the pack, to be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "faces"))


def source_of(folder: Path) -> Path:
    (path,) = folder.glob("[!.]*/source.json")
    return path


def test_a_piece_says_whose_it_is(piece: Piece) -> None:
    assert piece.speaker == "ann"
    assert not piece.is_held_out
    assert piece.offset_s == 0
    assert piece.crops.shape == (FRAMES, 112, 112, 3)
    assert piece.points.shape == (FRAMES, 68, 2)
    assert (piece.crops.dtype, piece.points.dtype, piece.speech.dtype) == (np.uint8, np.float32, np.float32)


def test_crops_are_what_a_generator_would_be_given(piece: Piece, plan: Plan, talker: Path) -> None:
    rows = plan.crops[0].similarities
    with open_video(talker) as reader:
        wanted = np.stack([take_crop(frame, rows[frame.index], 112) for frame in reader.read()]).astype(int)
    errors = np.abs(piece.crops - wanted).mean(axis=(1, 2, 3))
    assert errors.max() < 3
    assert np.abs((piece.crops - wanted).mean(axis=(0, 1, 2))).max() < 0.7


def test_points_come_back_within_a_grain(piece: Piece, plan: Plan) -> None:
    track, path = plan.tracks[0], plan.crops[0]
    # Back in the frame they are where the landmarks were.
    sides_px = np.exp(path.similarities[:, 0])[:, None, None]
    assert (np.abs(apply_similarity(path.similarities, piece.points) - track.points) / sides_px).max() < 1 / 4096


def test_times_are_the_middles_of_the_frames(piece: Piece, plan: Plan) -> None:
    begins = [int(tick - plan.pts[0]) * plan.time_base for tick in plan.pts]
    ends = [*begins[1:], plan.facts.duration]
    middles = [float((a + b) / 2 + LEAD) for a, b in zip(begins, ends, strict=True)]
    np.testing.assert_allclose(piece.times_s, middles, rtol=0, atol=1e-9)


def lag(late: np.ndarray, early: np.ndarray) -> int:
    size = len(late) + len(early)
    peak = int(np.argmax(np.fft.irfft(np.fft.rfft(late, size) * np.conj(np.fft.rfft(early, size)), size)))
    return peak if peak < size // 2 else peak - size


def test_sound_is_that_of_the_source_from_half_a_second_before(piece: Piece, plan: Plan, talker: Path) -> None:
    with open_speech(talker, RATE_HZ) as sound:
        # Time zero is the first picture: what was said before is not there.
        whole = sound.window(0, sound.samples)
        wanted = sound.window(-8000, round((plan.facts.duration + LEAD) * RATE_HZ))
    assert lag(piece.speech, whole) == 8000
    assert piece.speech.shape == wanted.shape
    assert np.corrcoef(piece.speech, wanted)[0, 1] > 0.98
    assert np.abs(piece.speech[:7900]).max() < 0.01


def test_a_long_stretch_is_cut_into_pieces_that_go_on(talker: Path, piece: Piece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "PIECE_FRAMES", 13)
    make_pack([Footage(path=talker, speaker="ann")], tmp_path / "faces")
    parts = list(read_pack(tmp_path / "faces"))
    # The rest, 4 frames, is too short to be worth a piece.
    assert [len(part.crops) for part in parts] == [13, 13]
    for number, part in enumerate(parts):
        frames = slice(13 * number, 13 * number + 13)
        np.testing.assert_array_equal(part.points, piece.points[frames])
        assert np.abs(part.crops.astype(int) - piece.crops[frames]).mean() < 4
        # The same instant has the same sound around it, also across the cut.
        begin = (piece.times_s[frames][0] - part.times_s[0]) * RATE_HZ
        assert abs(lag(piece.speech, part.speech) - begin) < 0.5 + 1e-6
        np.testing.assert_allclose(np.diff(part.times_s), np.diff(piece.times_s[frames]), atol=1e-9)
    assert np.abs(parts[1].speech[:7000]).mean() > 0.01


def test_real_clips_keep_sound_and_lips_together(shared_clips: Path, tmp_path: Path) -> None:
    clips = [shared_clips / "train" / name for name in ("grid_a_1.mpg",)]
    make_pack([Footage(path=clip, speaker=clip.stem) for clip in clips], tmp_path / "faces")
    for clip, one in zip(clips, read_pack(tmp_path / "faces"), strict=True):
        with open_speech(clip, RATE_HZ) as sound:
            assert lag(one.speech, sound.window(0, sound.samples)) == 8000
        np.testing.assert_allclose(one.times_s, 0.52 + np.arange(75) / 25, atol=1e-9)


def test_what_cannot_be_learned_from_is_told(tmp_path: Path, talker: Path) -> None:
    blank = tmp_path / "blank.mkv"
    with av.open(str(talker)) as given, av.open(str(blank), "w") as output:
        picture = output.add_stream("libx264", rate=25)
        picture.height, picture.width = 96, 128
        sound = output.add_stream_from_template(given.streams.audio[0])
        for _ in range(15):
            output.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((96, 128, 3), 90, np.uint8), "rgb24")))
        output.mux(picture.encode(None))
        for packet in given.demux(audio=0):
            packet.stream = sound
            if packet.size:
                output.mux(packet)
    silent = tmp_path / "silent.mkv"
    with av.open(str(talker)) as given, av.open(str(silent), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            packet.stream = stream
            if packet.size:
                output.mux(packet)
    (tmp_path / "text.mp4").write_text("no video")
    footage = [Footage(path=path, speaker="x") for path in (blank, silent, tmp_path / "text.mp4", tmp_path / "gone.mp4", talker)]
    told: list[tuple[int, int]] = []
    found = make_pack(footage, tmp_path / "faces", tell=lambda _, done, total: told.append((done, total)))
    assert [one.frames for one in found] == [0, 0, 0, 0, FRAMES]
    for one, words in zip(found, ("nobody", "no sound", "cannot be read", "There is no footage", ""), strict=True):
        assert words in one.remark
    assert told == [(i, 5) for i in range(6)]
    assert len(list(read_pack(tmp_path / "faces"))) == 1
    assert not list((tmp_path / "faces").glob(".*"))


def test_two_at_a_time_make_the_same_pack(talker: Path, piece: Piece, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    again = Path(shutil.copyfile(talker, tmp_path / "elsewhere" / talker.name))
    found = make_pack([Footage(path=path, speaker="ann") for path in (talker, again)], tmp_path / "faces", jobs=2)
    # The same file under the same name is one source, whoever of the two is done first.
    assert {one.source: (one.frames, one.remark) for one in found} == dict.fromkeys((talker, again), (FRAMES, ""))
    (one,) = read_pack(tmp_path / "faces")
    assert_same(one, piece)
    assert not list((tmp_path / "faces").glob(".*"))


def assert_same(one: Piece, other: Piece) -> None:
    for field in dataclasses.fields(Piece):
        if field.name != "name":
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def test_what_is_done_is_not_done_again(copied: Path, talker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "analyse", lambda *_: pytest.fail("it was analysed again"))
    (found,) = make_pack([Footage(path=talker, speaker="ann")], copied)
    assert (found.frames, found.remark) == (FRAMES, "")


def test_what_a_killed_run_left_is_neither_read_nor_kept(copied: Path, talker: Path, piece: Piece) -> None:
    source = source_of(copied).parent
    left = source.rename(copied / f".{source.name}.abcd1234")
    assert not list(read_pack(copied))
    (found,) = make_pack([Footage(path=talker, speaker="ann")], copied)
    assert found.frames == FRAMES
    assert not left.exists()
    (one,) = read_pack(copied)
    assert_same(one, piece)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks")
def test_what_another_run_is_making_is_left_to_it(copied: Path, talker: Path) -> None:
    import fcntl
    import os

    source = source_of(copied).parent
    busy = Path(shutil.copytree(source, copied / f".{source.name}.abcd1234"))
    shutil.rmtree(source)
    handle = os.open(busy, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    make_pack([Footage(path=talker, speaker="ann")], copied)
    assert (busy / "source.json").exists()
    os.close(handle)


def test_a_changed_manifest_changes_the_pack(copied: Path, talker: Path) -> None:
    make_pack([Footage(path=talker, speaker="bob", is_held_out=True)], copied)
    (one,) = read_pack(copied)
    assert (one.speaker, one.is_held_out) == ("bob", True)


def test_a_known_offset_outdoes_what_was_measured(copied: Path, talker: Path) -> None:
    make_pack([Footage(path=talker, speaker="ann", offset_s=0.12)], copied)
    (one,) = read_pack(copied)
    assert one.offset_s == 0.12


def test_a_known_offset_is_not_evened_out_over_short_videos(copied: Path, talker: Path) -> None:
    source = source_of(copied).parent
    for number in range(LEAST_SHORT):
        other = Path(shutil.copytree(source, copied / f"other-{number:012d}")) / "source.json"
        table = json.loads(other.read_text(encoding="utf-8"))
        table["pieces"] = [{**piece, "offset_s": 0.04} for piece in table["pieces"]]
        other.write_text(json.dumps(table), encoding="utf-8")
    # The talker's own file is one of six short ones of ann, and no longer measured.
    make_pack([Footage(path=talker, speaker="ann", offset_s=0.12)], copied)
    usual_s = usual_offsets([copied])
    assert source.name not in usual_s
    assert set(usual_s.values()) == {0.04}
    assert len(usual_s) == LEAST_SHORT


def test_another_size_is_refused(copied: Path, talker: Path) -> None:
    with pytest.raises(RedubError, match="crops of 112 px, not 224"):
        make_pack([Footage(path=talker, speaker="ann")], copied, size_px=224)


def test_a_pack_is_completed_with_the_landmark_model_that_began_it(tmp_path: Path) -> None:
    own = Config().set("tracks.landmarks=own")
    make_pack([], tmp_path / "faces", config=own)
    make_pack([], tmp_path / "faces", config=own)
    with pytest.raises(RedubError, match="found by own, not dlib") as caught:
        make_pack([], tmp_path / "faces", config=Config().set("tracks.landmarks=dlib"))
    assert "tracks.landmarks=own" in caught.value.hint
    assert find_landmark_model([tmp_path / "faces"]) is LandmarkModel.OWN


def test_packs_from_before_there_was_a_choice_are_dlibs(tmp_path: Path) -> None:
    (tmp_path / "pack.json").write_text('{"version": 1, "size_px": 112}')
    assert find_landmark_model([tmp_path]) is LandmarkModel.DLIB
    (tmp_path / "pack.json").write_text('{"version": 1, "size_px": 112, "landmarks": "other"}')
    with pytest.raises(RedubError, match="'other'"):
        find_landmark_model([tmp_path])


@pytest.mark.parametrize("size_px", [64, 224])
def test_crops_are_of_the_size_that_is_asked(
    size_px: int, talker: Path, piece: Piece, tmp_path: Path, plan: Plan, monkeypatch: Any
) -> None:
    monkeypatch.setattr(pack, "analyse", lambda *_: plan)
    make_pack([Footage(path=talker, speaker="ann")], tmp_path / "faces", size_px=size_px)
    (one,) = read_pack(tmp_path / "faces")
    assert one.crops.shape == (FRAMES, size_px, size_px, 3)
    # Points do not depend on it.
    np.testing.assert_array_equal(one.points, piece.points)


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    for folder in (tmp_path, tmp_path / "holiday.jpg"):
        with pytest.raises(RedubError, match="is not a pack"):
            make_pack([], folder)
    with pytest.raises(RedubError, match="cannot be written"):
        make_pack([], tmp_path / "holiday.jpg" / "faces")
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    assert not is_pack(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99, "size_px": 112}', "\udcff"])
def test_another_version_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "pack.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(RedubError, match="pack") as caught:
        list(read_pack(tmp_path))
    assert caught.value.hint


def test_a_folder_that_is_no_pack_is_named(tmp_path: Path) -> None:
    with pytest.raises(RedubError, match="is not a pack"):
        list(read_pack(tmp_path / "gone"))


def shorten(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "source.json"
    table = json.loads(path.read_text())
    table["pieces"][0].update(changes)
    path.write_text(json.dumps(table))


def swap_arrays(folder: Path, **changes: np.ndarray) -> None:
    with np.load(folder / "000.npz") as arrays:
        kept = dict(arrays) | changes
    np.savez_compressed(folder / "000.npz", **kept)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "the pictures break off": lambda folder: shorten(folder / "000.mkv", 0.5),
    "the sound breaks off": lambda folder: shorten(folder / "000.mkv", 0.93),
    "the pictures are nothing": lambda folder: shorten(folder / "000.mkv", 0),
    "the pictures are gone": lambda folder: (folder / "000.mkv").unlink(),
    "the points break off": lambda folder: shorten(folder / "000.npz", 0.7),
    "the points are nothing": lambda folder: shorten(folder / "000.npz", 0),
    "the points are text": lambda folder: (folder / "000.npz").write_text("points"),
    "the points are gone": lambda folder: (folder / "000.npz").unlink(),
    "the points are of fewer frames": lambda folder: swap_arrays(folder, points=np.zeros((9, 68, 2), np.int16)),
    "the points are fewer": lambda folder: swap_arrays(folder, points=np.zeros((FRAMES, 5, 2), np.int16)),
    "the points are words": lambda folder: swap_arrays(folder, points=np.full((FRAMES, 68, 2), "x")),
    "the times are fewer": lambda folder: swap_arrays(folder, times_s=np.zeros(3)),
    "the times are none": lambda folder: (swap_arrays(folder, times_s=np.zeros(0)), edit(folder, frames=0)),
    "the table breaks off": lambda folder: shorten(folder / "source.json", 0.5),
    "the table is a list": lambda folder: (folder / "source.json").write_text("[]"),
    "the table names another file": lambda folder: edit(folder, name="../../000"),
    "the table names a number": lambda folder: edit(folder, name=0),
    "the table counts wrongly": lambda folder: edit(folder, frames=FRAMES + 1),
    "the table is of another time": lambda folder: edit(folder, offset_s=None),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_names_the_folder_to_delete(damage: Callable[[Path], object], copied: Path) -> None:
    folder = source_of(copied).parent
    damage(folder)
    with pytest.raises(RedubError, match="is damaged") as caught:
        list(read_pack(copied))
    assert str(folder) in caught.value.message
    assert "Delete this folder" in caught.value.hint


def test_a_damaged_source_does_not_stop_the_others(copied: Path, talker: Path, tmp_path: Path) -> None:
    shorten(source_of(copied), 0.5)
    twin = Path(shutil.copyfile(talker, tmp_path / "twin.mkv"))
    found = make_pack([Footage(path=path, speaker="ann") for path in (talker, twin)], copied)
    assert [one.frames for one in found] == [0, FRAMES]
    assert "is damaged" in found[0].remark


def test_pieces_come_in_the_same_order(copied: Path) -> None:
    source = source_of(copied).parent
    for name in ("b-1", "a-2", "c-0"):
        shutil.copytree(source, copied / name)
    names = [one.name for one in read_pack(copied)]
    assert len(names) == 4
    assert all(one < other for one, other in pairwise(names))
