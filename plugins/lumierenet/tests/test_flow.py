"""Through the engine: footage of frames, videos of the person, videos from sound alone."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from importlib import resources
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from redub_lumierenet.generator import _tiny  # noqa: E402
from redub_lumierenet.weights import write_weights  # noqa: E402

from redub.cli import app  # noqa: E402
from redub.errors import NoFaceError, WeightError  # noqa: E402
from redub.faces.cv import load_cv  # noqa: E402
from redub.media import open_video  # noqa: E402
from redub.persons import describe_tracks  # noqa: E402
from redub.pieces import frame_square, squared  # noqa: E402
from redub.pipeline import analyse  # noqa: E402
from redub.plugin import Region, manager  # noqa: E402
from redub.training.footage import Footage  # noqa: E402
from redub.training.pack import make_pack, read_pack  # noqa: E402
from redub.types import Shot  # noqa: E402
from redub.weights import sha256  # noqa: E402
from redub.who import shots_to_paint  # noqa: E402


@pytest.fixture(scope="module")
def demo():
    """The folder of the demo's files."""
    return Path(str(resources.files("redub.demo")))


@pytest.fixture(scope="module")
def video(demo):
    return demo / "lecture.mp4"


@pytest.fixture(scope="module")
def plan(video):
    return analyse(video)


@pytest.fixture(scope="module")
def face(plan, video):
    return describe_tracks(plan, video, [plan.tracks[0].id])[0]


@pytest.fixture
def weights(tmp_path):
    """Tiny weights of whomever, at 20 frames a second."""

    def make(face=None, name="someone"):
        instructor = _tiny(1)
        tensors = {}
        for part in ("ear", "decoder", "generator"):
            tensors |= {f"{part}.{key}": value for key, value in getattr(instructor, part).state_dict().items()}
        tensors |= {"ear.mean": instructor.mean, "ear.deviation": instructor.deviation}
        facts = {"side": "64", "vae_width": "0.0625", "width": "0.0625", "cells": "8", "window": "15", "ahead": "2", "frame_rate": "20"}
        if face is not None:
            facts["face"] = face if isinstance(face, str) else json.dumps([float(one) for one in face])
        path = tmp_path / f"{name}.safetensors"
        write_weights(path, tensors, facts)
        return path

    return make


def test_a_video_from_sound_alone_is_as_long_as_the_sound_and_marked(weights, demo, tmp_path):
    path, target = weights(), tmp_path / "out.mp4"
    arguments = ["speak", "-g", "lumierenet", "--weights", str(path), "--audio", str(demo / "spanish.m4a"), "-o", str(target), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["painted_frames"] == found["frames"]
    with open_video(target) as reader:
        frames = [frame.rgb() for frame in reader.read()]
    assert frames[0].shape == (256, 256, 3)
    # At the rate of the footage that the weights were trained on.
    assert len(frames) == found["frames"] == pytest.approx(20 * found["duration_s"], abs=1)
    # The film was gray; the corner is painted, too.
    assert np.std([frame[:8, :8].mean(axis=(0, 1)) for frame in frames]) > 0 or frames[0][:8, :8].std() > 1
    shown = CliRunner().invoke(app, ["show", str(target)])
    assert sha256(path) in shown.output.replace("\n", "")


def test_speaking_wants_weights_named_and_takes_no_photograph(weights, demo, tmp_path):
    audio = str(demo / "spanish.m4a")
    nobody = CliRunner().invoke(app, ["speak", "-g", "lumierenet", "--audio", audio, "--json"])
    assert nobody.exit_code == 1
    assert "only a person whom it was trained on" in nobody.stdout
    picture = tmp_path / "face.png"
    picture.write_bytes(b"")
    still = CliRunner().invoke(
        app, ["speak", "-g", "lumierenet", "--weights", str(weights()), "--audio", audio, "-i", str(picture), "--json"]
    )
    assert still.exit_code == 1
    assert "no photograph can change who that is" in still.stdout
    faceless = CliRunner().invoke(app, ["speak", "-g", "speech2vid", "--audio", audio, "--json"])
    assert faceless.exit_code == 1


def test_weights_are_named_only_where_there_are_any(weights, demo, video):
    done = CliRunner().invoke(app, [str(video), "-a", str(demo / "spanish.m4a"), "-g", "echo", "--weights", str(weights()), "--json"])
    assert done.exit_code == 1
    assert "has no files of weights" in done.stdout


def test_the_person_is_painted_and_nobody_else(weights, plan, video, face):
    info = manager.find("lumierenet").info
    notices: list[str] = []
    assert shots_to_paint(plan, video, info, {"w": weights(face)}, notices) == {0}
    assert not notices
    assert shots_to_paint(plan, video, info, {"w": weights()}, notices) is None
    with pytest.raises(NoFaceError, match="does not appear in lecture.mp4"):
        shots_to_paint(plan, video, info, {"w": weights(-face)}, notices)
    for nonsense in ("{}", "[1, 2]", "no numbers"):
        with pytest.raises(WeightError, match="nothing sensible"):
            shots_to_paint(plan, video, info, {"w": weights(nonsense)}, notices)
    half = len(plan.tracks[0]) // 2 + plan.tracks[0].start
    track = plan.tracks[0]
    first = replace(
        track,
        boxes=track.boxes[: half - track.start],
        points=track.points[: half - track.start],
        is_measured=track.is_measured[: half - track.start],
    )
    parted = replace(plan, shots=(Shot(start=0, stop=half), Shot(start=half, stop=plan.facts.frames)), tracks=(first,))
    assert shots_to_paint(parted, video, info, {"w": weights(face)}, notices) == {0}
    assert "1 of 2 shots" in notices[0]


def test_the_largest_centred_square_is_painted_and_the_rest_passes(weights, plan, video, face, tmp_path):
    with wave.open(str(tmp_path / "half.wav"), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(np.random.default_rng(1).integers(-3000, 3000, 8000, np.int16).tobytes())
    folder, target = tmp_path / "plan", tmp_path / "out.mp4"
    plan.save(folder)
    arguments = ["render", str(folder), str(video), "-a", str(tmp_path / "half.wav"), "-g", "lumierenet", "--weights", str(weights(face))]
    done = CliRunner().invoke(app, [*arguments, "-o", str(target), "--fit", "cut", "--set", "encode.crf=12", "--json"])
    assert done.exit_code == 0, done.output
    with open_video(target) as made, open_video(video) as source:
        painted, true = (next(islice(reader.read(), 5, None)).rgb().astype(int) for reader in (made, source))
    height, width = true.shape[:2]
    left = (width - height) // 2
    off = np.abs(painted - true).mean(axis=-1)
    assert off[:, : left - 8].mean() < 2
    assert off[:, -left + 8 :].mean() < 2
    assert off[:, left + height // 6 : -left - height // 6].mean() > 15


def test_frames_are_packed_as_they_will_be_painted(plan, video, tmp_path):
    done = make_pack([Footage(path=video, speaker="ann")], tmp_path / "pack", size_px=64, region=Region.FRAME)
    assert done[0].frames == len(plan.speaking[0])
    piece = next(iter(read_pack(tmp_path / "pack")))
    assert (piece.source, piece.first_frame) == ("lecture", plan.speaking[0].start)
    # Points lie in the square, not in the registered face.
    track, row = plan.track(plan.speaking[0].track), frame_square(plan.facts)
    true = (track.points[piece.first_frame - track.start + 3] - row[2:]) / np.exp(row[0])
    assert np.abs(piece.points[3] - true).max() < 1e-3
    with open_video(video) as reader:
        frame = next(islice(reader.read(), piece.first_frame + 3, None)).rgb()
    left = (frame.shape[1] - frame.shape[0]) // 2
    small = load_cv().resize(frame[:, left : left + frame.shape[0]], (64, 64), interpolation=load_cv().INTER_AREA).astype(float)
    assert np.abs(small - piece.crops[3]).mean() < 4
    assert len({tuple(one) for one in squared(plan).crops[0].similarities}) == 1


def test_a_pack_of_faces_is_not_learnt_from_as_frames(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack.json").write_text('{"version": 1, "size_px": 256}')
    done = CliRunner().invoke(app, ["train", "lumierenet", str(tmp_path / "pack"), "-o", str(tmp_path / "a"), "--consent", "Ann", "--json"])
    assert done.exit_code == 1
    assert "of the kind face, and frame is wanted" in done.stdout


def test_training_asks_who_agreed(video, tmp_path):
    done = CliRunner().invoke(app, ["train", "lumierenet", str(video), "-o", str(tmp_path / "ann"), "--json"])
    assert done.exit_code == 1
    assert "not said that they agreed" in done.stdout
    assert not list((tmp_path / "ann").glob("*/*.safetensors"))
