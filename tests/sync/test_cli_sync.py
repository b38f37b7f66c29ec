"""``redub sync`` reports what was read, and repairs by it or says why not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from redub import offset, shelf
from redub.cli import app
from redub.config import Config, SpeakerConfig
from redub.errors import RedubError
from redub.hearing import listen
from redub.media.sound import sound_frames
from redub.plan import Plan
from redub.speech.sync_layers import ClipSync
from redub.speech.syncnet import write_own
from redub.stages.speakers import choose_speakers

SURE = SpeakerConfig(min_confidence=0.4, chance=0.0, min_frame_confidence=0.35, window_s=1.0)
CONFIG = replace(Config(), speakers=SURE)
SETTINGS = ("min_confidence=0.4", "chance=0.0", "min_frame_confidence=0.35", "window_s=1.0")
SETTINGS = tuple(word for one in SETTINGS for word in ("--set", f"speakers.{one}"))


def run(*arguments: object):
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "140", "TERM": "dumb", "NO_COLOR": "1"})


@pytest.fixture
def heard(make_talk, network):
    """Return a function that draws a talk and keeps its plan, with what the simple network says, beside it."""

    def make(faces, seconds, name="talk.mkv", **more) -> tuple[Plan, object]:
        talk = make_talk(faces, seconds, name, **more)
        read = listen(replace(talk.plan, settings=CONFIG.analysis_settings()), talk.video, SURE, model=network)
        speaking = choose_speakers(read.shots, read.tracks, SURE, read.readings, read.facts.frame_rate)
        plan = replace(read, speaking=speaking)
        plan.save(shelf.folder_beside(talk.video))
        return plan, talk.video

    return make


def test_the_report_is_one_object_with_a_row_for_each_track(heard, face):
    _, video = heard([face(babbles=3), face(speaks=[(0, 9)]), face()], 5, offset_s=0.12)
    done = run("sync", video, "--json", *SETTINGS)
    assert done.exit_code == 0, done.output
    table = json.loads(done.stdout.splitlines()[-1])
    assert list(table) == ["tracks"]
    assert [list(row) for row in table["tracks"]] == [
        ["id", "start_s", "end_s", "offset_frames", "offset_s", "confidence", "distance", "speaking"]
    ] * 3
    assert [row["speaking"] for row in table["tracks"]] == [False, True, False]
    row = table["tracks"][1]
    assert (row["id"], row["start_s"], row["end_s"]) == (2, 0.0, pytest.approx(5.0))
    assert row["offset_s"] == pytest.approx(0.12, abs=0.012)
    assert row["offset_frames"] == pytest.approx(25 * row["offset_s"])


def test_what_could_not_be_scored_is_null(heard, face):
    _, video = heard([face()], 2, voiced=[])
    row = json.loads(run("sync", video, "--json", *SETTINGS).stdout.splitlines()[-1])["tracks"][0]
    assert (row["offset_s"], row["offset_frames"], row["distance"], row["confidence"]) == (None, None, None, 0)


def test_the_table_for_people_says_the_same(heard, face):
    _, video = heard([face(speaks=[(0, 9)]), face()], 4, offset_s=-0.2)
    text = run("sync", video, *SETTINGS).stdout
    for word in ("track", "offset", "confidence", "speaks", " -0.", "-5.0", "yes"):
        assert word in text


@pytest.mark.parametrize("offset_s", [0.23, -0.17])
def test_fixing_takes_the_offset_away(offset_s, heard, face, network, tmp_path):
    _, video = heard([face(speaks=[(0, 9)]), face(babbles=8)], 5, offset_s=offset_s)
    target = tmp_path / "good.mkv"
    done = run("sync", video, "--fix", "-o", target, "--json", *SETTINGS)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["output"] == str(target)
    assert said["offset_s"] == pytest.approx(offset_s, abs=0.012)
    plan = Plan.load(shelf.folder_beside(video))
    again = listen(plan, target, SURE, model=network).readings[0]
    assert abs(again.offset_s) < 0.012
    assert again.confidence > 0.9
    # Of seconds, once: the sound is as long as before, but for what was moved.
    before, after = (sum(frame.samples / frame.sample_rate for frame in sound_frames(path)) for path in (video, target))
    assert after - before == pytest.approx(said["offset_s"], abs=0.002)


def test_by_default_the_repaired_video_stands_beside_the_other_and_replaces_nothing(heard, face):
    _, video = heard([face(speaks=[(0, 9)])], 4, offset_s=0.2)
    assert run("sync", video, "--fix", *SETTINGS).exit_code == 0
    target = video.with_name("talk.synced.mkv")
    kept = target.read_bytes()
    refused = run("sync", video, "--fix", *SETTINGS)
    assert refused.exit_code == 1
    assert "exists" in refused.stderr
    assert target.read_bytes() == kept
    assert run("sync", video, "--fix", "--force", *SETTINGS).exit_code == 0


def test_nothing_is_written_where_nobody_is_sure(heard, face, tmp_path):
    _, video = heard([face(babbles=5), face()], 5)
    done = run("sync", video, "--fix", "-o", tmp_path / "good.mkv", *SETTINGS)
    assert done.exit_code == 1
    assert "clearly enough" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "good.mkv").exists()


def test_nothing_is_written_where_tracks_disagree_unless_one_is_named(heard, face, tmp_path):
    faces = [face(speaks=[(0, 4)], seen=(0, 4), offset_s=0.2), face(speaks=[(4, 8)], seen=(4, 8), offset_s=-0.1)]
    _, video = heard(faces, 8, cuts_s=[4])
    done = run("sync", video, "--fix", "-o", tmp_path / "good.mkv", *SETTINGS)
    assert done.exit_code == 1
    assert "disagree" in done.stderr
    assert "--speaker" in done.stderr
    assert not (tmp_path / "good.mkv").exists()
    named = run("sync", video, "--fix", "-o", tmp_path / "good.mkv", "--speaker", "2", "--json", *SETTINGS)
    assert json.loads(named.stdout.splitlines()[-1])["offset_s"] == pytest.approx(-0.1, abs=0.012)


def test_the_common_offset_is_weighted_by_confidence_and_length(heard, face):
    plan, _ = heard([face(speaks=[(0, 9)]), face(speaks=[(0, 9)])], 4)
    one, other = plan.readings
    plan = replace(
        plan,
        speaking=tuple(replace(plan.speaking[0], track=track.id, start=50 * i, stop=50 * i + 50) for i, track in enumerate(plan.tracks)),
        readings=(
            replace(one, offset_s=0.10, confidence=0.9, frame_confidence=np.ones(100, np.float32)),
            replace(other, offset_s=0.14, confidence=0.45, frame_confidence=np.r_[np.ones(50), np.full(50, np.nan)].astype(np.float32)),
        ),
    )
    assert offset.find_offset(plan, CONFIG) == pytest.approx((4 * 0.10 + 0.14) / 5)
    # A face that does not speak has no say, however sure it is.
    assert offset.find_offset(replace(plan, speaking=plan.speaking[:1]), CONFIG) == pytest.approx(0.10)
    with pytest.raises(RedubError, match="clearly enough"):
        offset.find_offset(replace(plan, speaking=()), CONFIG)


@pytest.mark.parametrize(
    ("offset_s", "words"), [(0.12, "0.120 s (3.0 frames of 25 a second) early"), (-0.12, "late"), (0.01, "go together")]
)
def test_an_offset_is_told_in_words(offset_s, words):
    assert words in offset.told(offset_s)


def test_other_weights_are_asked_for_this_time_only(heard, face, tmp_path):
    _, video = heard([face(speaks=[(0, 9)])], 2)
    stored = (shelf.folder_beside(video) / "plan.json").read_bytes()
    write_own(tmp_path / "own.safetensors", ClipSync(width=0.25, features=16), {})
    done = run("sync", video, "--weights", tmp_path / "own.safetensors", "--json", *SETTINGS)
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout.splitlines()[-1])["tracks"]
    assert 0 <= row["distance"] <= 2
    assert (shelf.folder_beside(video) / "plan.json").read_bytes() == stored
    missing = run("sync", video, "--weights", tmp_path / "none.safetensors", *SETTINGS)
    assert missing.exit_code == 1
    assert "none.safetensors" in missing.stderr


def test_a_video_without_sound_is_told_in_one_sentence(make_talk, face, tmp_path):
    import av

    talk = make_talk([face()], 1)
    silent = tmp_path / "silent.mkv"
    with av.open(str(talk.video)) as source, av.open(str(silent), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    done = run("sync", silent)
    assert done.exit_code == 1
    assert "holds no sound" in done.stderr
    assert not shelf.folder_beside(silent).exists()
