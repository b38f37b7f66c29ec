"""The demo is what its truth says: a face that both landmark models see, a mouth that fits the sound, small files."""

from __future__ import annotations

import numpy as np
import pytest

from redub.choices import LandmarkModel
from redub.faces.detect import detect_faces
from redub.faces.landmarks import eye_distance, find_landmarks, mouth_openness
from redub.media import open_speech, open_video, sound_duration

EVERY = 8


@pytest.fixture(scope="module")
def truth(demo) -> dict[str, np.ndarray]:
    with np.load(demo / "truth.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module", params=list(LandmarkModel))
def seen(demo, request) -> np.ndarray:
    """(K, 68, 2) the landmarks that a model finds in every eighth frame."""
    found = []
    with open_video(demo / "lecture.mp4") as reader:
        for frame in reader.read():
            if frame.index % EVERY == 0:
                gray = frame.gray()
                faces = detect_faces(gray, 120, 0.25)
                assert len(faces) == 1, f"{len(faces)} faces in frame {frame.index}"
                found.append(find_landmarks(gray, faces[0].box, request.param)[0])
    return np.stack(found)


def test_there_is_a_truth_for_every_frame(demo, truth) -> None:
    with open_video(demo / "lecture.mp4") as reader:
        frames = sum(1 for _ in reader.read())
    assert truth["points"].shape == (frames, 68, 2)
    assert truth["opening_px"].shape == (frames,)


def test_the_face_is_found_where_it_is(seen, truth) -> None:
    true = truth["points"][::EVERY]
    assert seen.shape == true.shape
    eyes_px = np.mean([eye_distance(points) for points in true])
    # Jaw and brows mean other places to the models than to the kit; eyes and mouth are the same everywhere.
    for part, share in ((slice(36, 48), 0.08), (slice(48, 68), 0.12)):
        assert np.linalg.norm(seen[:, part] - true[:, part], axis=-1).mean() < share * eyes_px


def test_the_mouth_that_is_seen_opens_as_the_true_one(seen, truth) -> None:
    assert np.corrcoef(mouth_openness(seen), mouth_openness(truth["points"][::EVERY]))[0, 1] > 0.9


def test_the_mouth_opens_with_the_sound(demo, truth) -> None:
    """Sound that were a third of a second off would fit worse."""
    rate_hz, opening = 16000, truth["opening_px"]
    with open_speech(demo / "lecture.mp4", rate_hz) as speech:
        sound = speech.window(0, len(opening) * rate_hz // 25)
    loudness = np.sqrt((sound.reshape(len(opening), -1) ** 2).mean(axis=1))
    fits = {shift: np.corrcoef(np.roll(loudness, shift), opening)[0, 1] for shift in range(-8, 9)}
    assert abs(max(fits, key=fits.__getitem__)) <= 2
    assert fits[0] > 0.4


def test_the_sound_starts_when_the_first_phoneme_does(demo, truth) -> None:
    """An encoder's lead that is not cut off again would be twice too late."""
    with open_speech(demo / "lecture.mp4", 16000) as speech:
        first = np.argmax(np.abs(speech.window(0, 16000)) > 0.005) / 16000
    assert abs(first - float(truth["phones"][0].split()[0])) < 0.012


def test_both_sounds_are_about_as_long_as_the_video(demo) -> None:
    lengths = [float(sound_duration(demo / name)) for name in ("lecture.mp4", "spanish.m4a")]
    assert abs(lengths[0] - lengths[1]) < 1


def test_the_files_are_small(demo) -> None:
    sizes = {path.name: path.stat().st_size for path in demo.iterdir()}
    assert sizes["lecture.mp4"] < 2_000_000
    assert sizes["spanish.m4a"] < 1_000_000
    assert sizes["truth.npz"] < 100_000
    assert "MIT License" in (demo / "NOTICE").read_text(encoding="utf-8")
