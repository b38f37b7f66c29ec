"""Which footage is measured, and whose it is."""

from __future__ import annotations

import json

import pytest

from redub.errors import RedubError
from redub.metrics import find_recordings


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4", "../outside.mp4"):
        (tmp_path / "in" / name).write_bytes(b"video")
    return tmp_path / "in"


def manifest(folder, *entries):
    (folder / "list.json").write_text(json.dumps(entries))
    return folder / "list.json"


def names(recordings):
    return [(one.path.name, one.speaker, one.group) for one in recordings]


def test_a_video_is_its_own_speaker(folder):
    assert names(find_recordings([folder / "a.mp4", str(folder / "b.mp4")])) == [("a.mp4", "a", ""), ("b.mp4", "b", "")]


def test_a_manifest_gives_speakers_and_the_split_is_chosen(folder):
    listed = manifest(
        folder,
        {"file": "a.mp4", "speaker": "ann", "split": "test", "weights_ok": False},
        {"file": "b.mp4", "speaker": "ann", "split": "train"},
        {"file": "c.mp4"},
    )
    assert names(find_recordings([listed])) == [("a.mp4", "ann", "test"), ("c.mp4", "c", "")]
    assert names(find_recordings([listed], ["train", "test"])) == [("a.mp4", "ann", "test"), ("b.mp4", "ann", "train"), ("c.mp4", "c", "")]


def test_each_video_counts_once(folder):
    listed = manifest(folder, {"file": "a.mp4", "speaker": "ann"}, {"file": "../in/a.mp4", "speaker": "bob"})
    assert names(find_recordings([listed, folder / "a.mp4"])) == [("a.mp4", "ann", "")]


def test_a_manifest_reaches_nothing_outside_its_folder(folder):
    with pytest.raises(RedubError, match="lies outside its folder"):
        find_recordings([manifest(folder, {"file": "../outside.mp4"})])
    (folder / "link.mp4").symlink_to(folder.parent / "outside.mp4")
    with pytest.raises(RedubError, match="lies outside its folder"):
        find_recordings([manifest(folder, {"file": "link.mp4"})])


@pytest.mark.parametrize("text", ["{", "{}", '["a.mp4"]', '[{"speaker": "ann"}]', '[{"file": 3}]', "\xff"])
def test_a_damaged_manifest_is_told_with_an_example(folder, text):
    (folder / "list.json").write_text(text, encoding="latin-1")
    with pytest.raises(RedubError) as caught:
        find_recordings([folder / "list.json"])
    assert '"file"' in caught.value.hint


def test_nothing_left_names_the_split(folder):
    with pytest.raises(RedubError, match="no video to measure on") as caught:
        find_recordings([manifest(folder, {"file": "a.mp4", "split": "train"})], ["test"])
    assert "test" in caught.value.hint


def test_missing_footage_is_named(folder):
    with pytest.raises(RedubError, match=r"no\.mp4"):
        find_recordings([folder / "no.mp4"])
    with pytest.raises(RedubError, match=r"no\.mp4"):
        find_recordings([manifest(folder, {"file": "no.mp4"})])
