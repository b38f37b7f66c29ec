"""A plan survives the disk, honours edits that hold together, and refuses the others with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from redub import shelf
from redub.config import Config
from redub.errors import MediaError, PlanError
from redub.files import check_file
from redub.plan import Plan, fingerprint
from redub.types import CropPath, Reading, Shot, Speaking, Track, VideoFacts


def make_track(number: int, start: int, count: int) -> tuple[Track, CropPath]:
    random = np.random.default_rng(number)
    track = Track(
        id=number,
        start=start,
        boxes=random.uniform(0, 100, (count, 4)).astype(np.float32),
        points=random.uniform(0, 100, (count, 68, 2)).astype(np.float32),
        is_measured=random.random(count) < 0.9,
    )
    path = CropPath(track=number, start=start, similarities=random.normal(size=(count, 4)), references=(start, start + count - 1))
    return track, path


@pytest.fixture
def video(tmp_path) -> Path:
    path = tmp_path / "lecture.mp4"
    path.write_bytes(b"not looked into here")
    return path


@pytest.fixture
def plan(video) -> Plan:
    (one, path_one), (two, path_two) = make_track(4, 2, 30), make_track(9, 41, 50)
    return Plan(
        source=fingerprint(video),
        facts=VideoFacts(
            height=720, width=1280, frames=100, frame_rate=Fraction(30000, 1001), duration=Fraction(1001, 300), is_variable_rate=False,
        ),
        pts=np.arange(100) * 1001 + 5,
        time_base=Fraction(1, 30000),
        shots=(Shot(start=0, stop=40), Shot(start=40, stop=100)),
        tracks=(one, two),
        crops=(path_one, path_two),
        speaking=(Speaking(track=4, start=2, stop=32), Speaking(track=9, start=50, stop=91)),
        settings=Config().analysis_settings(),
    )  # fmt: skip


def edit(folder: Path, change) -> None:
    table = json.loads((folder / "plan.json").read_text())
    change(table)
    (folder / "plan.json").write_text(json.dumps(table))


def test_a_plan_comes_back_as_it_was(plan, tmp_path):
    plan.save(tmp_path / "p")
    back = Plan.load(tmp_path / "p")
    assert (back.source, back.facts, back.time_base, back.shots, back.speaking, back.settings) == (
        plan.source, plan.facts, plan.time_base, plan.shots, plan.speaking, plan.settings,
    )  # fmt: skip
    np.testing.assert_array_equal(back.pts, plan.pts)
    for a, b in zip(back.tracks, plan.tracks, strict=True):
        assert (a.id, a.start, a.stop) == (b.id, b.start, b.stop)
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(a.points, b.points)
        np.testing.assert_array_equal(a.is_measured, b.is_measured)
    for a, b in zip(back.crops, plan.crops, strict=True):
        np.testing.assert_array_equal(a.similarities, b.similarities)
        assert (a.track, a.start, a.references) == (b.track, b.start, b.references)


def test_a_dropped_track_is_gone_with_its_speaking(plan, tmp_path):
    plan.save(tmp_path / "p")
    edit(tmp_path / "p", lambda table: table["tracks"].pop(0))
    back = Plan.load(tmp_path / "p")
    assert [track.id for track in back.tracks] == [9]
    assert [one.track for one in back.speaking] == [9]


def test_a_shortened_stretch_is_honoured(plan, tmp_path):
    plan.save(tmp_path / "p")
    edit(tmp_path / "p", lambda table: table["speaking"][0].update(start=10, stop=12))
    assert Plan.load(tmp_path / "p").speaking[0] == Speaking(track=4, start=10, stop=12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t["speaking"][0].update(track=77), "no such track"),
        (lambda t: t["speaking"][0].update(stop=33), "where it is not seen"),
        (lambda t: t["speaking"][0].update(start=12, stop=12), "where it is not seen"),
        (lambda t: t["speaking"].append({"track": 4, "start": 3, "stop": 9}), "at the same time"),
        (lambda t: t["speaking"][0].update(start="two"), "whole number"),
        (lambda t: t["speaking"][0].update(start=-3), "whole number"),
        (lambda t: t["shots"].pop(), "do not cover"),
        (lambda t: t["shots"][0].update(stop=45), "do not cover"),
        (lambda t: t["tracks"][0].update(id=5), "missing"),
        (lambda t: t["tracks"][0].update(start=3), "covers frames"),
        (lambda t: t["tracks"][1].update(references=[3]), "outside"),
        (lambda t: t["video"].update(frame_rate="0/0"), "does not hold together"),
        (lambda t: t["video"].update(frames=99), "times are damaged"),
        (lambda t: t["video"].update(frame_rate="0"), "frames a second"),
        (lambda t: t["video"].update(frame_rate="1000000"), "frames a second"),
        (lambda t: t["video"].update(duration="-1"), "duration"),
        (lambda t: t["video"].update(duration="100000"), "duration"),
        (lambda t: t["video"].update(time_base="0"), "time base"),
        (lambda t: t["video"].update(height=0), "no size"),
        (lambda t: t["source"].update(size_bytes="x"), "size_bytes"),
        (lambda t: t.pop("tracks"), "missing"),
        (lambda t: t.update(tracks=5), "does not hold together"),
        (lambda t: t.update(version=3), "version 3"),
    ],
)
def test_nonsense_is_refused_with_a_reason(plan, tmp_path, change, reason):
    plan.save(tmp_path / "p")
    edit(tmp_path / "p", change)
    with pytest.raises(PlanError, match=reason) as caught:
        Plan.load(tmp_path / "p")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["plan.json", "arrays.npz"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"\xff\xfe\x00"])
def test_torn_files_are_refused(plan, tmp_path, name, content):
    plan.save(tmp_path / "p")
    (tmp_path / "p" / name).write_bytes(content)
    with pytest.raises(PlanError):
        Plan.load(tmp_path / "p")


def test_pickles_in_the_arrays_are_never_loaded(plan, tmp_path):
    plan.save(tmp_path / "p")
    np.savez(tmp_path / "p" / "arrays.npz", pts=np.array([{"a": 1}], dtype=object))
    with pytest.raises(PlanError):
        Plan.load(tmp_path / "p")


def test_saving_over_a_plan_keeps_the_old_one_whole(plan, tmp_path):
    assert plan.save(tmp_path / "x" / "p") is None
    edit(tmp_path / "x" / "p", lambda table: table["speaking"].pop())
    (tmp_path / "x" / "p" / "contact-sheet.png").write_bytes(b"drawn")
    assert plan.save(tmp_path / "x" / "p") == tmp_path / "x" / "p.old"
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["p", "p.old"]
    assert len(Plan.load(tmp_path / "x" / "p").speaking) == 2
    assert len(Plan.load(tmp_path / "x" / "p.old").speaking) == 1


def test_nothing_is_deleted_to_keep_an_old_plan(plan, tmp_path):
    (tmp_path / "p.old").mkdir()
    (tmp_path / "p.old" / "chapter1.txt").write_text("years of work")
    plan.save(tmp_path / "p")
    assert plan.save(tmp_path / "p") == tmp_path / "p.old-1"
    assert plan.save(tmp_path / "p") == tmp_path / "p.old-2"
    assert (tmp_path / "p.old" / "chapter1.txt").read_text() == "years of work"
    assert Plan.load(tmp_path / "p.old-1").shots == plan.shots


@pytest.mark.parametrize("left", [["arrays.npz"], ["timeline.png", "contact-sheet.png"], []])
def test_what_is_left_of_a_plan_is_replaced(plan, tmp_path, left):
    (tmp_path / "p").mkdir()
    for name in left:
        (tmp_path / "p" / name).write_bytes(b"remains")
    plan.save(tmp_path / "p")
    assert Plan.load(tmp_path / "p").shots == plan.shots


def test_a_folder_that_is_not_a_plan_is_left_alone(plan, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(PlanError, match="not a plan"):
        plan.save(tmp_path / "thesis")
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter1.txt"]


def test_the_plan_beside_the_video_is_found_by_content(plan, video):
    plan.save(shelf.folder_beside(video))
    assert shelf.find_plan(video, None, Config(), []) is not None
    renamed = video.rename(video.with_name("renamed.mp4"))
    shelf.folder_beside(video).rename(shelf.folder_beside(renamed))
    assert shelf.find_plan(renamed, None, Config(), []) is not None


def test_another_videos_plan_is_set_aside_not_used_and_not_lost(plan, video):
    plan.save(shelf.folder_beside(video))
    video.write_bytes(b"re-exported")
    notices: list[str] = []
    assert shelf.find_plan(video, None, Config(), notices) is None
    assert "kept as" in notices[0]
    assert not shelf.folder_beside(video).exists()
    kept = [p for p in video.parent.iterdir() if p.name.startswith("lecture.mp4.redub.")]
    assert [p.joinpath("plan.json").exists() for p in kept] == [True]


def test_a_named_plan_of_another_video_is_refused(plan, video, tmp_path):
    plan.save(tmp_path / "p")
    video.write_bytes(b"another one")
    with pytest.raises(PlanError, match="was made for lecture.mp4"):
        shelf.find_plan(video, tmp_path / "p", Config(), [])


def test_other_settings_ask_before_an_edited_plan_is_replaced(plan, video):
    plan.save(shelf.folder_beside(video))
    with pytest.raises(PlanError, match="tracks.min_face_px was 60, now 40"):
        shelf.find_plan(video, None, Config().set("tracks.min_face_px=40"), [])
    assert shelf.find_plan(video, shelf.folder_beside(video), Config().set("tracks.min_face_px=40"), []) is not None


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.touch()])
def test_missing_empty_and_folder_each_have_a_sentence(tmp_path, make):
    make(tmp_path / "v.mp4")
    with pytest.raises(MediaError) as caught:
        check_file(tmp_path / "v.mp4", "video")
    assert "v.mp4" in caught.value.message
    assert caught.value.hint


def heard_plan(plan):
    readings = tuple(
        Reading(
            track=track.id, offset_s=0.08, distance=0.7, confidence=0.4, coverage=0.9, heard_s=1.0,
            frame_confidence=np.linspace(-1, 1, len(track)).astype(np.float32),
        )
        for track in plan.tracks
    )  # fmt: skip
    return replace(plan, readings=readings, network="ours-0123")


def test_a_plan_of_the_first_version_is_read_as_one_that_nothing_listened_to(plan, tmp_path):
    heard_plan(plan).save(tmp_path / "p")

    def age(table):
        table["version"] = 1
        del table["sync"]
        table["settings"]["speakers"] = {"max_yaw": table["settings"]["speakers"]["max_yaw"]}

    edit(tmp_path / "p", age)
    back = Plan.load(tmp_path / "p")
    assert (back.readings, back.network) == ((), "")
    assert "did not listen" in back.unheard
    assert back.speaking == plan.speaking


def test_settings_that_an_old_plan_could_not_know_do_not_make_it_another(plan, video):
    old = {**plan.settings, "speakers": {"max_yaw": plan.settings["speakers"]["max_yaw"]}}
    replace(plan, settings=old).save(shelf.folder_beside(video))
    found = shelf.find_plan(video, None, Config(), [])
    assert found is not None
    assert found.speaking == plan.speaking
    with pytest.raises(PlanError, match=r"speakers\.max_yaw was"):
        shelf.find_plan(video, None, Config().set("speakers.max_yaw=0.5"), [])


def test_a_dropped_track_takes_its_reading_along(plan, tmp_path):
    heard_plan(plan).save(tmp_path / "p")
    edit(tmp_path / "p", lambda table: table["tracks"].pop(0))
    assert [one.track for one in Plan.load(tmp_path / "p").readings] == [9]


def test_a_reading_of_another_length_is_refused(plan, tmp_path):
    heard = heard_plan(plan)
    short = replace(heard.readings[0], frame_confidence=heard.readings[0].frame_confidence[:-1])
    replace(heard, readings=(short, *heard.readings[1:])).save(tmp_path / "p")
    with pytest.raises(PlanError, match="confidence of track 4"):
        Plan.load(tmp_path / "p")
