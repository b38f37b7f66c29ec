"""What a trainer is given, what is refused before it begins, and what the command line says."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from redub.cli import app
from redub.cli_train import Pace, parse_duration, span
from redub.errors import ConfigError, PluginError, RedubError
from redub.media.store import store_piece
from redub.plugin import Piece
from redub.training.start import Training, train
from redub.training.stock import ONE_IN, SHORT_FRAMES, TAIL_GAP_FRAMES, hold_out_ends, piece_reader, take_stock

TRAINER = """
from redub.errors import RedubError
from redub.plugin import AudioWindow, Blend, GeneratorInfo, Mode, Region, hookimpl

@hookimpl
def redub_generators():
    for name, trainer in (("pupil", "pupil_module:learn"), ("rock", "")):
        yield GeneratorInfo(
            name=name, summary="A test.", api=(1, 1), licence="MIT", region=Region.FACE,
            modes={Blend.FEATHER: Mode(input_px=32, output_px=32)},
            audio=AudioWindow(rate_hz=8000, before_s=0.1, after_s=0.1), factory="pupil_module:load", trainer=trainer,
        )

def learn(request):
    mood = request.settings.get("mood")
    if mood == "sick":
        raise ZeroDivisionError("by my own fault")
    if mood == "frank":
        raise RedubError("Too dark.", "Add light.")
    if mood == "stopped":
        raise KeyboardInterrupt
    if mood == "idle":
        return
    rows = [f"{piece.speaker} {piece.is_held_out} {len(piece.crops)}" for piece in request.pieces()]
    assert rows == [f"{piece.speaker} {piece.is_held_out} {len(piece.crops)}" for piece in request.pieces()]
    facts = [request.recipe, request.device, str(request.seed), str(request.limit_s), str(request.base)]
    request.output.write_text("\\n".join(rows + facts))
"""


@pytest.fixture
def pupil(tmp_path_factory, monkeypatch):
    """Install a generator whose trainer writes down what it is given, and one without a trainer."""
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "pupil_module.py").write_text(dedent(TRAINER))
    info = folder / "redub_pupil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: redub-pupil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[redub]\npupil = pupil_module\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("REDUB_PLUGINS", "redub-pupil")
    yield "pupil"
    sys.modules.pop("pupil_module", None)


def put_source(pack: Path, name: str, speaker: str, frames: int, *, is_held_out: bool = False, offset_s: float = 0.0) -> None:
    """Add one source to a pack, with one piece of noise."""
    pack.mkdir(exist_ok=True)
    (pack / "pack.json").write_text('{"version": 1, "size_px": 32}')
    folder = pack / f"{name}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    folder.mkdir()
    random = np.random.default_rng(frames)
    times = [Fraction(1, 2) + Fraction(i, 25) for i in range(frames)]
    pictures = random.integers(0, 255, (frames, 32, 32, 3), dtype=np.uint8)
    speech = random.normal(0, 0.1, 16_000 * (frames // 25 + 3)).astype(np.float32)
    store_piece(folder / "000.mkv", pictures, times, speech)
    points = np.zeros((frames, 68, 2), np.int16)
    np.savez_compressed(folder / "000.npz", points=points, times_s=np.array([float(time) + 0.02 for time in times]))
    table = {
        "source": f"{name}.mp4", "speaker": speaker, "is_held_out": is_held_out,
        "pieces": [{"name": "000", "frames": frames, "offset_s": offset_s}],
    }  # fmt: skip
    (folder / "source.json").write_text(json.dumps(table))


@pytest.fixture
def pack(tmp_path) -> Path:
    put_source(tmp_path / "pack", "one", "ann", 20)
    put_source(tmp_path / "pack", "two", "ben", 16)
    put_source(tmp_path / "pack", "three", "ann", 14, is_held_out=True)
    return tmp_path / "pack"


@pytest.fixture
def training(pupil, pack, tmp_path) -> Training:
    return Training(generator=pupil, footage=[pack], output=tmp_path / "base.safetensors")


def test_the_trainer_reads_the_pack_and_what_was_asked(training):
    said = []
    trained = train(replace(training, recipe="own", seed=7, limit_s=60.0, device="cpu"), say=said.append)
    assert trained.is_complete
    assert training.output.read_text().splitlines() == [
        "ann False 20", "ann True 14", "ben False 16", "own", "cpu", "7", "60.0", "None",
    ]  # fmt: skip
    assert said == ["50 frames of 2 speakers, 14 of the frames held out."]
    assert trained.inventory.speakers == ("ann", "ben")


def test_an_output_that_was_there_before_does_not_count(training):
    training.output.write_text("old")
    assert not train(replace(training, force=True, settings={"mood": "idle"})).is_complete
    assert training.output.read_text() == "old"
    assert train(replace(training, force=True)).is_complete


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        ({"generator": "rock"}, "cannot be trained", "pupil"),
        ({"generator": "pupl"}, "no generator", "pupil"),
        ({"output": Path("weights.pt")}, "no name for weights", ".safetensors"),
        ({"output": Path("nowhere/at/all/w.safetensors")}, "no folder", "Make it"),
        ({"base": Path("nothing.safetensors")}, "no base", "spelling"),
        ({"footage": [Path("nothing.mp4")]}, "no footage", "spelling"),
    ],
)
def test_what_cannot_work_is_refused_first(training, change, said, hint):
    with pytest.raises(RedubError) as caught:
        train(replace(training, **change))
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert not training.output.exists()


def test_an_output_that_exists_is_kept(training):
    training.output.write_text("mine")
    with pytest.raises(RedubError, match="exists") as caught:
        train(training)
    assert "--force" in caught.value.hint
    assert training.output.read_text() == "mine"


def test_a_folder_without_videos_is_refused(training, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RedubError, match="no video"):
        train(replace(training, footage=[tmp_path / "empty"]))


def test_packs_and_videos_do_not_mix(training, pack, tmp_path):
    with pytest.raises(RedubError, match="is a pack, and other footage is not") as caught:
        train(replace(training, footage=[pack, tmp_path / "other.mp4"]))
    assert "redub pack" in caught.value.hint


def test_a_work_folder_belongs_to_its_footage(training, pack, tmp_path):
    train(training)
    train(replace(training, force=True))
    put_source(pack, "four", "cleo", 13)
    with pytest.raises(RedubError, match="other footage") as caught:
        train(replace(training, force=True))
    assert "--work" in caught.value.hint
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.txt").write_text("hello")
    with pytest.raises(RedubError, match="something else"):
        train(replace(training, force=True, work=tmp_path / "photos"))


def test_two_trainings_keep_out_of_one_folder(training):
    fcntl = pytest.importorskip("fcntl")
    training.folder.mkdir()
    with (training.folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RedubError, match="at work"):
            train(training)
    assert train(training).is_complete


def test_the_same_video_is_not_both_learnt_from_and_held_out(training, pack, tmp_path):
    put_source(tmp_path / "second", "three", "ann", 14)
    with pytest.raises(RedubError, match="held out and not"):
        train(replace(training, footage=[pack, tmp_path / "second"]))


def test_packs_of_two_landmark_models_do_not_mix(training, pack, tmp_path):
    put_source(tmp_path / "more", "four", "cat", 20)
    both = replace(training, footage=[pack, tmp_path / "more"])
    assert train(both).is_complete
    (tmp_path / "more" / "pack.json").write_text('{"version": 1, "size_px": 32, "landmarks": "own"}')
    with pytest.raises(RedubError, match="found by dlib, those of .*more by own"):
        train(replace(both, output=tmp_path / "other.safetensors"))


def test_a_training_that_was_begun_by_another_landmark_model_goes_on_with_it(training, tmp_path):
    """What a work folder of before there was a choice holds was found by dlib's; the pack says nothing of it."""
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "one.mp4").write_text("no video")
    talks = replace(training, footage=[tmp_path / "talks"])
    with pytest.raises(RedubError) as first:
        train(talks)
    table = training.folder / "footage.pack" / "pack.json"
    begun = json.loads(table.read_text())
    assert begun.pop("landmarks") == "own"
    table.write_text(json.dumps(begun))
    with pytest.raises(RedubError) as again:
        train(talks)
    assert again.value.message == first.value.message


def test_a_pack_of_which_everything_is_held_out_is_refused(training, tmp_path):
    put_source(tmp_path / "held", "five", "ann", 14, is_held_out=True)
    with pytest.raises(RedubError, match="nothing to learn from"):
        train(replace(training, footage=[tmp_path / "held"]))


def test_a_faulty_trainer_is_named_and_an_honest_one_is_heard(training):
    with pytest.raises(PluginError, match="trainer of pupil failed: ZeroDivisionError: by my own fault"):
        train(replace(training, settings={"mood": "sick"}))
    with pytest.raises(RedubError) as caught:
        train(replace(training, settings={"mood": "frank"}))
    assert (caught.value.message, caught.value.hint) == ("Too dark.", "Add light.")


def test_unfinished_sources_do_not_count(pack):
    before = take_stock([pack])
    (pack / ".four-0123456789ab.xyz").mkdir()
    (pack / ".four-0123456789ab.xyz" / "source.json").write_text("{")
    assert take_stock([pack]) == before


def make_piece(frames: int) -> Piece:
    numbers = np.arange(frames)
    return Piece(
        name="a/000", speaker="ann", crops=numbers.astype(np.uint8)[:, None, None, None], speech=np.zeros(10, np.float32),
        points=np.tile(numbers[:, None, None], (1, 68, 2)).astype(np.float32), times_s=0.5 + numbers / 25,
    )  # fmt: skip


@given(frames=st.integers(1, 1000))
def test_ends_are_held_out_with_a_gap_on_either_side(frames):
    parts = list(hold_out_ends([replace(make_piece(frames), first_frame=70)]))
    for part in parts:
        assert part.first_frame == 70 + part.points[0, 0, 0]
        assert np.allclose(part.times_s, 0.5 + part.points[:, 0, 0] / 25)
        assert len(part.crops) == len(part.points) == len(part.times_s) > 0
    learnt = [set(part.points[:, 0, 0]) for part in parts if not part.is_held_out]
    held = [set(part.points[:, 0, 0]) for part in parts if part.is_held_out]
    assert len(learnt) == 1
    assert len(held) == (frames >= 200)
    for rows in held:
        assert min(rows) - max(learnt[0]) > TAIL_GAP_FRAMES
        assert frames - max(rows) > TAIL_GAP_FRAMES


def test_marks_of_a_manifest_come_before_ends(tmp_path):
    put_source(tmp_path / "pack", "long", "ann", 210)
    alone = take_stock([tmp_path / "pack"])
    assert [piece.is_held_out for piece in piece_reader([tmp_path / "pack"], alone)()] == [False, True]
    put_source(tmp_path / "pack", "marked", "ben", 14, is_held_out=True)
    both = take_stock([tmp_path / "pack"])
    assert [(len(piece.crops), piece.is_held_out) for piece in piece_reader([tmp_path / "pack"], both)()] == [(210, False), (14, True)]


def test_of_short_pieces_alone_whole_ones_are_held_out(tmp_path):
    pack = tmp_path / "pack"
    for number in range(2 * ONE_IN + 1):
        put_source(pack, f"clip{number:02d}", "ann", 12)
    pieces = list(piece_reader([pack], take_stock([pack]))())
    held = [piece for piece in pieces if piece.is_held_out]
    assert len(held) == 2
    assert len({piece.name for piece in pieces}) == len(pieces)
    assert all(len(piece.crops) == 12 for piece in pieces)


def test_short_pieces_of_a_person_share_their_offset_and_long_ones_keep_theirs(tmp_path):
    pack = tmp_path / "pack"
    for number, offset_s in enumerate((0.17, -0.02, 0.01, 0.02, -0.15)):
        put_source(pack, f"ann{number}", "ann", 12, offset_s=offset_s)
    put_source(pack, "long", "ann", SHORT_FRAMES, offset_s=0.3)  # its end is held out, and short
    for number in range(2):
        put_source(pack, f"ben{number}", "ben", 12, offset_s=0.1 * number)
    found: dict[str, list[float]] = {}
    for piece in piece_reader([pack], take_stock([pack]))():
        found.setdefault(piece.name[:3], []).append(piece.offset_s)
    assert set(found["ann"]) == {0.01}
    assert set(found["lon"]) == {0.3}
    # Of too few there is no saying which is right.
    assert sorted(found["ben"]) == [0.0, 0.1]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("45s", 45), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("0.5h", 1800)])
def test_lengths_of_time(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "2d", "h", "-3m", "1h 30m"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(ConfigError):
        parse_duration(text)


def test_times_are_written_as_people_do():
    assert [span(value) for value in (12.4, 600, 11_100)] == ["12 s", "10 min", "3 h 5 min"]


def test_the_pace_tells_what_is_done_and_ends_with_all():
    stream = io.StringIO()
    pace = Pace(stream, every_s=3600)
    for done in range(0, 11):
        pace("mouth", done * 8, 80)
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(r"mouth: 80 of 80, [\d.]+ a second", line)


def test_the_command_trains_and_says_so(training, pack, tmp_path):
    arguments = ["train", "pupil", str(pack), "-o", str(training.output), "--seed", "3", "--limit", "2m"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["output"] == str(training.output)
    assert (result["frames"], result["held_out_frames"], result["speakers"]) == (50, 14, ["ann", "ben"])
    assert training.output.read_text().splitlines()[-3:] == ["3", "120.0", "None"]
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "--force" in again.output
    assert "Traceback" not in again.output


def test_the_command_is_stopped_and_says_how_to_go_on(training, pack):
    done = CliRunner().invoke(app, ["train", "pupil", str(pack), "-o", str(training.output), "--set", "mood=stopped"])
    assert done.exit_code == 130
    assert "goes on from the last checkpoint" in done.output


def test_packing_says_what_it_left_out_and_why(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    done = CliRunner().invoke(app, ["pack", str(tmp_path / "broken.mp4"), "-o", str(tmp_path / "made.pack")])
    assert done.exit_code == 1
    assert "note: broken.mp4 was left out: " in done.output
    assert "nothing to learn from" in done.output


@pytest.mark.parametrize("wrong", [["--set", "rate"], ["--limit", "soon"]])
def test_the_command_refuses_what_it_cannot_read(training, pack, wrong):
    done = CliRunner().invoke(app, ["train", "pupil", str(pack), "-o", str(training.output), *wrong])
    assert done.exit_code == 1
    assert "error:" in done.output
