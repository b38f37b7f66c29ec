"""Clips are what their truth says, the same each time, and go on where they stopped; the engine reads their manifest."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from redub.cli import app
from redub.errors import RedubError
from redub.faces.detect import detect_faces
from redub.faces.landmarks import eye_distance, find_landmarks, mouth_openness
from redub.footage import espeak as speaking
from redub.footage.filming import Order, is_held_out, speaker_of
from redub.footage.kit import FILE, load_kit
from redub.footage.lips import kind_of
from redub.footage.maker import find_recordings, make_footage, write_manifest
from redub.media import open_speech, open_video, read_mark
from redub.training.footage import find_footage

CLIPS = 2


@pytest.fixture(scope="session")
def order(facekit, espeak) -> Order:
    return Order(kit=facekit, seconds=1.6, size_px=160, takes=1, seed=3, languages=("en-us", "es"))


@pytest.fixture(scope="session")
def made(order, tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage") / "heads"
    assert make_footage(order, CLIPS, folder) == CLIPS
    return folder


@pytest.fixture(scope="session")
def truths(made):
    found = []
    for number in range(CLIPS):
        with np.load(made / f"{number:05d}.npz", allow_pickle=False) as stored:
            found.append({name: stored[name] for name in stored.files})
    return found


def entries(folder):
    return json.loads((folder / "clips.json").read_text(encoding="utf-8"))


def test_a_clip_that_is_missing_is_made_again_the_same_to_the_byte(made, order, tmp_path) -> None:
    shutil.copytree(made, tmp_path / "again")
    (tmp_path / "again" / "00001.mp4").unlink()
    assert make_footage(order, CLIPS, tmp_path / "again") == 1
    for suffix in ("mp4", "npz"):
        assert (tmp_path / "again" / f"00001.{suffix}").read_bytes() == (made / f"00001.{suffix}").read_bytes()
    assert entries(tmp_path / "again") == entries(made)


def test_a_complete_folder_is_left_alone(made, order) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in made.glob("0*")}
    assert make_footage(order, CLIPS, made) == 0
    assert {path.name: path.stat().st_mtime_ns for path in made.glob("0*")} == before


@pytest.mark.parametrize("kept", [0, 10, 400, -1])
def test_a_clip_that_was_cut_off_stands_in_no_manifest(kept, made, tmp_path) -> None:
    shutil.copytree(made, tmp_path / "again")
    truth = tmp_path / "again" / "00000.npz"
    truth.write_bytes(truth.read_bytes()[:kept])
    assert write_manifest(tmp_path / "again") == CLIPS - 1
    assert [one["file"] for one in entries(tmp_path / "again")] == ["00001.mp4"]


def test_a_folder_of_other_settings_is_refused(made, order) -> None:
    other = Order(kit=order.kit, seconds=1.6, size_px=160, takes=1, seed=4, languages=("en-us", "es"))
    with pytest.raises(RedubError, match="other settings .seed."):
        make_footage(other, CLIPS, made)


def test_a_folder_of_something_else_is_refused(order, tmp_path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RedubError, match="something else"):
        make_footage(order, 1, tmp_path)


def test_the_engine_reads_the_manifest_and_keeps_people_apart(made) -> None:
    footage = find_footage([made / "clips.json"])
    assert len(footage) == CLIPS
    assert {one.offset_s for one in footage} == {0.0}
    train, held = ({one.speaker for one in footage if one.is_held_out is flag} for flag in (False, True))
    assert train
    assert held
    assert not train & held


def test_a_person_is_held_out_whatever_else_there_is() -> None:
    held = [number for number in range(200) if is_held_out(number)]
    assert len(held) == 20
    assert speaker_of(held[0]) != speaker_of(held[1])


def test_video_and_truth_are_equally_long_and_marked(made, truths) -> None:
    for number, truth in enumerate(truths):
        with open_video(made / f"{number:05d}.mp4") as reader:
            frames = sum(1 for _ in reader.read())
        assert truth["points"].shape == (frames, 68, 2)
        assert truth["outline"].shape == (frames, 17, 2)
        mark = read_mark(made / f"{number:05d}.mp4")
        assert mark is not None
        assert mark.generator == "footage"


def test_dlib_finds_the_points_where_they_are(made, truths) -> None:
    openness = []
    for number, truth in enumerate(truths):
        with open_video(made / f"{number:05d}.mp4") as reader:
            for frame in reader.read():
                if frame.index % 5:
                    continue
                gray, true = frame.gray(), truth["points"][frame.index]
                faces = detect_faces(gray, 60, 0.25)
                assert len(faces) == 1
                seen = find_landmarks(gray, faces[0].box)[0]
                for part in (slice(36, 48), slice(48, 68)):
                    assert np.linalg.norm(seen[part] - true[part], axis=-1).mean() < 0.08 * eye_distance(true)
                openness.append((mouth_openness(seen), mouth_openness(true)))
    assert np.corrcoef(np.array(openness).T)[0, 1] > 0.9


def test_openness_is_that_of_the_points(truths) -> None:
    for truth in truths:
        assert truth["openness"] == pytest.approx(mouth_openness(truth["points"]), abs=1e-4)


def test_the_mouth_is_open_in_vowels_and_shut_for_m_b_and_p(truths) -> None:
    gaps: dict[str, list[float]] = {"a": [], "m": []}
    for truth in truths:
        ends = np.append(truth["phone_starts_s"][1:], 99)
        for start, stop, phone in zip(truth["phone_starts_s"], ends, truth["phones"], strict=True):
            kind = kind_of(str(phone))
            frame = round((start + min(stop, start + 0.1)) / 2 * 25)
            if kind in gaps and frame < len(truth["openness"]):
                gaps[kind].append(float(truth["openness"][frame]))
    assert gaps["a"]
    assert gaps["m"]
    assert np.mean(gaps["m"]) < 0.35 * np.mean(gaps["a"])


def test_the_sound_starts_when_the_first_phoneme_does(made, truths) -> None:
    for number, truth in enumerate(truths):
        with open_speech(made / f"{number:05d}.mp4", 16000) as speech:
            sound = np.abs(speech.window(0, 16000))
        start = float(truth["phone_starts_s"][0])
        before, after = sound[: int((start - 0.01) * 16000)], sound[int(start * 16000) : int((start + 0.25) * 16000)]
        assert after.max() > 3 * before.max()


def test_recorded_speech_moves_the_mouth(order, tmp_path) -> None:
    import wave

    times = np.arange(44100 * 2) / 44100
    tone = sum(np.sin(2 * np.pi * hz * times) * np.exp(-(((hz - 700) / 300) ** 2)) for hz in range(120, 2000, 120))
    sound = np.where((times % 1) < 0.5, tone, 0)
    (tmp_path / "said").mkdir()
    with wave.open(str(tmp_path / "said" / "a.wav"), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
        file.writeframes((sound / np.abs(sound).max() * 20000).astype(np.int16).tobytes())
    recorded = Order(kit=order.kit, seconds=1.6, size_px=128, recordings=find_recordings(tmp_path / "said"))
    make_footage(recorded, 1, tmp_path / "out")
    with np.load(tmp_path / "out" / "00000.npz", allow_pickle=False) as truth:
        openness, phones = truth["openness"], truth["phones"]
    is_loud = (np.arange(len(openness)) / 25 % 1) < 0.5
    assert openness[is_loud].mean() > 2 * openness[~is_loud].mean()
    assert len(phones) == 0


def test_a_folder_without_recordings_is_one_sentence(tmp_path) -> None:
    with pytest.raises(RedubError, match="no recorded speech"):
        find_recordings(tmp_path)


def test_a_missing_kit_is_one_sentence(tmp_path) -> None:
    result = CliRunner().invoke(app, ["make-footage", "--facekit", str(tmp_path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(RedubError, match="no face kit") as found:
        load_kit(tmp_path)
    assert "ICT-FaceKit" in found.value.hint


@pytest.mark.parametrize("content", [b"nonsense", b"PK\x03\x04 cut off"])
def test_a_damaged_kit_is_one_sentence(content, tmp_path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(RedubError, match="cannot be read"):
        load_kit(tmp_path)


def test_a_kit_of_another_version_is_refused(tmp_path) -> None:
    np.savez(tmp_path / FILE, neutral=np.zeros((10, 3)))
    with pytest.raises(RedubError, match="another version"):
        load_kit(tmp_path)


def test_without_the_synthesiser_its_package_is_named(monkeypatch) -> None:
    monkeypatch.setattr(speaking, "_NAMES", ("libnothing-of-the-kind.so",))
    monkeypatch.setattr(speaking.ctypes.util, "find_library", lambda name: None)
    speaking.load_espeak.cache_clear()
    try:
        with pytest.raises(RedubError, match="not installed") as found:
            speaking.load_espeak()
    finally:
        speaking.load_espeak.cache_clear()
    assert "libespeak-ng1" in found.value.hint


def test_a_voice_that_does_not_exist_is_one_sentence(espeak) -> None:
    with pytest.raises(RedubError, match="no voice 'zz-nowhere'"):
        speaking.say("one", "zz-nowhere", 160, 50, 50)
