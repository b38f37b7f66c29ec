"""What may be learned from: everything that is named, and nothing that a manifest keeps out of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redub.errors import MediaError, RedubError
from redub.training.footage import Footage, find_footage

Manifest = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with five videos and two other files; nothing here is ever decoded."""
    for name in ("a.mp4", "b.MKV", "c.mov", "more/d.webm", "more/e.mp4", "notes.txt", "more/cover.png"):
        path = tmp_path / "footage" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
    return tmp_path / "footage"


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    def write(*entries: Any, name: str = "clips.json") -> Path:
        path = folder / name
        path.write_text(json.dumps(entries), encoding="utf-8")
        return path

    return write


def names(found: list[Footage]) -> set[str]:
    return {one.path.name for one in found}


def test_a_folder_is_its_videos_at_any_depth(folder: Path) -> None:
    found = find_footage([folder])
    assert [one.path.relative_to(folder).as_posix() for one in found] == ["a.mp4", "b.MKV", "c.mov", "more/d.webm", "more/e.mp4"]
    assert [one.speaker for one in found] == ["a", "b", "c", "d", "e"]
    assert not any(one.is_held_out for one in found)


def test_hidden_files_are_nobodys_footage(folder: Path) -> None:
    for name in (".a.x1y2z3w4.part.mp4", "._b.mp4", ".trash/gone.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"content")
    assert names(find_footage([folder])) == {"a.mp4", "b.MKV", "c.mov", "d.webm", "e.mp4"}


def test_a_pack_beside_the_footage_is_no_footage(folder: Path) -> None:
    for name in ("pack.json", "a-1234/000.mkv"):
        (folder / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "faces" / name).write_bytes(b"content")
    assert "000.mkv" not in names(find_footage([folder]))


def test_a_hidden_folder_that_is_named_is_meant(folder: Path) -> None:
    folder = folder.rename(folder.with_name(".footage"))
    assert "a.mp4" in names(find_footage([folder]))


def test_a_video_is_itself_whatever_its_suffix(folder: Path) -> None:
    (found,) = find_footage([folder / "notes.txt"])
    assert (found.path, found.speaker) == (folder / "notes.txt", "notes")


def test_each_video_counts_once(folder: Path) -> None:
    (folder / "link.mp4").symlink_to(folder / "a.mp4")
    found = find_footage([folder / "more" / ".." / "a.mp4", folder, folder / "a.mp4", folder / "more"])
    assert len(found) == 5


def test_a_manifest_says_who_speaks_and_who_is_held_out(folder: Path, manifest: Manifest) -> None:
    path = manifest(
        {"file": "a.mp4", "speaker": "ann", "split": "train", "weights_ok": True},
        {"file": "more/d.webm", "speaker": "dan", "split": "val"},
        {"file": "c.mov"},
        {"file": "more/e.mp4", "speaker": None, "licence": "CC0"},
    )
    assert find_footage([path]) == [
        Footage(path=folder / "a.mp4", speaker="ann"),
        Footage(path=folder / "more/d.webm", speaker="dan", is_held_out=True),
        Footage(path=folder / "c.mov", speaker="c"),
        Footage(path=folder / "more/e.mp4", speaker="e"),
    ]


def test_a_known_offset_is_taken_from_the_manifest(folder: Path, manifest: Manifest) -> None:
    path = manifest({"file": "a.mp4", "offset_s": -0.08}, {"file": "c.mov", "offset_s": 0}, {"file": "more/e.mp4"})
    assert [one.offset_s for one in find_footage([path])] == [-0.08, 0.0, None]


@pytest.mark.parametrize("value", ["0.1", True, 11, -1e9, float("nan"), float("inf"), [0.1]])
def test_an_offset_that_is_none_is_refused(value: Any, folder: Path, manifest: Manifest) -> None:
    with pytest.raises(RedubError, match=r"a\.mp4"):
        find_footage([manifest({"file": "a.mp4", "offset_s": value})])


@pytest.mark.parametrize(
    "mark",
    [
        {"split": "test"}, {"split": "TEST"}, {"split": "held out"}, {"split": None}, {"split": ["train"]}, {"split": ""},
        {"weights_ok": False}, {"weights_ok": None}, {"weights_ok": 0}, {"weights_ok": "no"}, {"weights_ok": "false"},
        {"split": "train", "weights_ok": False}, {"split": "val", "weights_ok": False}, {"split": "test", "weights_ok": True},
    ],
)  # fmt: skip
def test_what_is_not_plainly_allowed_is_left_out(mark: dict[str, Any], folder: Path, manifest: Manifest) -> None:
    path = manifest({"file": "a.mp4"}, {"file": "more/d.webm", **mark})
    assert names(find_footage([path])) == {"a.mp4"}
    # Nor does it come in by another way.
    (folder / "link.mp4").symlink_to(folder / "more" / "d.webm")
    for named in ([path, folder], [folder, path], [path, folder / "more/d.webm"], [folder / "link.mp4", path]):
        assert not {"d.webm", "link.mp4"} & names(find_footage(named))


def test_a_second_entry_opens_no_way_in(folder: Path, manifest: Manifest) -> None:
    path = manifest({"file": "a.mp4"}, {"file": "c.mov", "split": "test"}, {"file": "more/../c.mov", "split": "train"})
    assert names(find_footage([path])) == {"a.mp4"}


def test_held_out_stays_held_out_in_any_order(folder: Path, manifest: Manifest) -> None:
    path = manifest({"file": "a.mp4", "speaker": "ann", "split": "val"})
    other = manifest({"file": "a.mp4", "speaker": "ann", "split": "train"}, name="other.json")
    for named in ([folder, path], [path, folder], [folder / "a.mp4", path], [other, path], [path, other]):
        (found,) = [one for one in find_footage(named) if one.path.name == "a.mp4"]
        assert found.is_held_out
        assert found.speaker == "ann"


def test_what_is_left_out_need_not_be_there(manifest: Manifest) -> None:
    path = manifest({"file": "a.mp4"}, {"file": "gone.mp4", "split": "test"}, {"split": "test"}, {"file": 7, "split": "test"})
    assert names(find_footage([path])) == {"a.mp4"}


@pytest.mark.parametrize("name", ["../outside.mp4", "more/../../outside.mp4", "{outside}", "way_out.mp4", "way/outside.mp4"])
def test_a_manifest_reaches_nothing_outside_its_folder(name: str, folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    outside = tmp_path / "outside.mp4"
    outside.write_bytes(b"content")
    (folder / "way_out.mp4").symlink_to(outside)
    (folder / "way").symlink_to(tmp_path)
    with pytest.raises(RedubError, match="outside its folder"):
        find_footage([manifest({"file": name.format(outside=outside)})])


def test_links_inside_the_folder_are_followed(folder: Path, manifest: Manifest) -> None:
    (folder / "link.mp4").symlink_to("a.mp4")
    (found,) = find_footage([manifest({"file": "link.mp4", "speaker": "ann"}, {"file": "a.mp4"})])
    assert found.speaker == "ann"


def test_the_manifests_folder_may_itself_be_a_link(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    path = manifest({"file": "a.mp4"})
    (tmp_path / "by_link").symlink_to(folder)
    assert names(find_footage([tmp_path / "by_link" / path.name])) == {"a.mp4"}


def test_a_ring_of_links_is_one_clear_error(folder: Path, manifest: Manifest) -> None:
    (folder / "ring.mp4").symlink_to("ring.mp4")
    with pytest.raises(RedubError, match=r"ring\.mp4"):
        find_footage([manifest({"file": "ring.mp4"})])
    assert "ring.mp4" not in names(find_footage([folder]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ('{"file": "a.mp4"}', "not a list of objects"),
        ('["a.mp4"]', "not a list of objects"),
        ('[{"speaker": "ann"}]', "names no file"),
        ('[{"file": 3}]', "names no file"),
        ('[{"file": ""}]', "names no file"),
        (r'[{"file": "a\u0000.mp4"}]', "names no file"),
        ('[{"file": "gone.mp4"}]', "no footage"),
        ('[{"file": "more"}]', "is a folder"),
        ('[{"file": "a.mp4", "split": "test"}]', "no video to learn from"),
        ("[]", "no video to learn from"),
    ],
)
def test_a_damaged_manifest_is_named(text: str, words: str, folder: Path) -> None:
    path = folder / "clips.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RedubError, match=words) as caught:
        find_footage([path])
    assert caught.value.hint


def test_bytes_that_are_no_text_are_named(folder: Path) -> None:
    (folder / "clips.json").write_bytes(b"[\xff\xfe]")
    with pytest.raises(RedubError, match="cannot be read"):
        find_footage([folder / "clips.json"])


def test_what_is_missing_or_empty_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.mp4"):
        find_footage([folder / "gone.mp4"])
    (folder / "empty.mp4").touch()
    with pytest.raises(MediaError, match="is empty"):
        find_footage([folder / "empty.mp4"])
    (tmp_path / "nothing").mkdir()
    with pytest.raises(RedubError, match="no video to learn from"):
        find_footage([tmp_path / "nothing"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_make_it_wait(folder: Path, manifest: Manifest) -> None:
    os.mkfifo(folder / "pipe.mp4")
    assert "pipe.mp4" not in names(find_footage([folder]))
    with pytest.raises(MediaError, match="not an ordinary file"):
        find_footage([manifest({"file": "pipe.mp4"})])


def test_no_test_talker_of_the_real_footage_is_found(shared_clips: Path) -> None:
    found = find_footage([shared_clips / "clips.json"])
    assert {one.path.parent.name for one in found} == {"train", "val"}
    assert {one.is_held_out for one in found if one.path.parent.name == "val"} == {True}
    # With the folder beside it, which holds the test clips too, nothing is added.
    assert len(find_footage([shared_clips, shared_clips / "clips.json"])) == len(found)
