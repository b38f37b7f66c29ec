"""A target's temporary file: none is left behind, and none that is in use is taken away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from redub.errors import MediaError
from redub.media.place import Part, check_target

fcntl = pytest.importorskip("fcntl", reason="no locks tell what is dead here")

HOLD = """
import sys
from pathlib import Path
from redub.media.place import Part
part = Part(Path(sys.argv[1]))
print(part.path, flush=True)
sys.stdin.read()
"""


def another_run(target: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that holds a temporary file until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_what_a_killed_run_left_is_swept_by_the_next_one_for_the_same_target(tmp_path: Path) -> None:
    process, path = another_run(tmp_path / "out.mp4")
    end(process)
    assert path.exists()
    Part(tmp_path / "other.mp4").discard()
    assert path.exists()
    Part(tmp_path / "out.mp4").discard()
    assert list(tmp_path.iterdir()) == []


def test_a_live_run_keeps_its_file(tmp_path: Path) -> None:
    process, path = another_run(tmp_path / "out.mp4")
    try:
        mine = Part(tmp_path / "out.mp4")
        assert path.exists()
        assert mine.path != path
        mine.discard()
        assert path.exists()
    finally:
        end(process)


def test_files_of_others_that_look_alike_are_left(tmp_path: Path) -> None:
    names = [".out.abcdefgh.part.mkv", ".out.more.abcdefgh.part.mp4", "out.abcdefgh.part.mp4", ".out.abcdefgh.mp4", ".out.abc.part.mp4"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".out.aaaaaaaa.part.mp4").mkdir()
    Part(tmp_path / "out.mp4").discard()
    assert {path.name for path in tmp_path.iterdir()} == {*names, ".out.aaaaaaaa.part.mp4"}


@pytest.mark.parametrize("letter", ["x", "é", "語", "😀"])
def test_the_longest_names_fit(letter: str, tmp_path: Path) -> None:
    stem = letter * (251 // len(letter.encode()))
    part = Part(tmp_path / f"{stem}.mp4")
    part.publish()
    assert [path.name for path in tmp_path.iterdir()] == [f"{stem}.mp4"]


def test_the_current_folder_is_a_folder_not_a_missing_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("./", ".", "..", str(tmp_path)):
        with pytest.raises(MediaError, match="is a folder"):
            check_target(Path(name), [], force=True)


def test_commands_in_hints_can_be_pasted(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        Part(tmp_path / "my videos; rm" / "out.mp4")
    command = caught.value.hint.partition("Make it first:")[2]
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "my videos; rm").is_dir()
    (tmp_path / "a b.mp4").mkdir()
    with pytest.raises(MediaError) as caught:
        check_target(tmp_path / "a b.mp4", [], force=True)
    assert f"'{tmp_path}/a b.mp4/dubbed.mp4'" in caught.value.hint
