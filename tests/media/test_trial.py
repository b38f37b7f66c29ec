"""What is bound to fail is refused before anything is spent on it, and nothing is left of the trial."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.files import check_file
from redub.media import available_encoders, check_can_write, check_sound, open_speech, open_video


@pytest.mark.parametrize(
    ("name", "encode", "match", "word"),
    [
        ("out.mp4", EncodeConfig(codec="libnothing"), "no encoder 'libnothing'", "doctor"),
        ("out.mp4", EncodeConfig(codec="aac"), "no encoder of pictures", "doctor"),
        ("out.mp4", EncodeConfig(preset="warp"), "no preset 'warp'", "veryslow"),
        ("out.mp4", EncodeConfig(crf=52), "no quality 52", "from 0 to 51"),
        ("out.mp4", EncodeConfig(codec="libsvtav1", crf=64), "no quality 64", "from 0 to 63"),
        ("out.mp4", EncodeConfig(crf=float("nan")), "no quality nan", "crf"),
        ("out.webm", EncodeConfig(codec="libx265"), "libx265 cannot be put into this file", "suffix"),
        ("out.mov", EncodeConfig(codec="libvpx-vp9"), "libvpx-vp9 cannot be put into this file", "suffix"),
        ("out.mp4", EncodeConfig(audio_codec="nothing"), "no encoder 'nothing'", "audio_codec"),
        ("out.mp4", EncodeConfig(audio_codec="libx264"), "no encoder of sound", "audio_codec"),
        ("out.webm", EncodeConfig(audio_codec="aac"), "aac sound cannot be written", "audio_codec"),
        ("out.xyz", EncodeConfig(), "no suffix", ".mkv"),
        ("no/out.mp4", EncodeConfig(), "no folder", "mkdir"),
    ],
)
def test_what_cannot_be_written_is_refused(name: str, encode: EncodeConfig, match: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=match) as caught:
        check_can_write(tmp_path / name, encode)
    assert word in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_locked_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MediaError, match="cannot be written"):
        check_can_write(tmp_path / "out.mp4", EncodeConfig())


def test_what_can_be_written_passes_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("precious")
    for name, codec, sound in (
        *(("out.mp4", codec, "auto") for codec in available_encoders()),
        ("out.webm", "libx264", "auto"),
        ("out.mkv", "ffv1", "flac"),
        ("out.mov", "prores_ks", "alac"),
        ("out.webm", "libvpx-vp9", "libopus"),
    ):
        check_can_write(tmp_path / name, EncodeConfig(codec=codec, audio_codec=sound))
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "precious"


def test_sound_is_tried(make_sound: Callable[..., Path], make_video: Callable[..., Path], speaking: Any, tmp_path: Path) -> None:
    good = make_sound("a.m4a", speaking(1.0), codec="aac")
    check_sound(good)
    torn = tmp_path / "torn.m4a"
    torn.write_bytes(good.read_bytes()[:2000])
    with pytest.raises(MediaError, match="torn.m4a cannot be read"):
        check_sound(torn)
    with pytest.raises(MediaError, match="holds no sound"):
        check_sound(make_video(frames=2))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for use in (lambda path: check_file(path, "video"), open_video, check_sound, lambda path: open_speech(path, 16_000)):
        with pytest.raises(MediaError, match="not an ordinary file"):
            use(tmp_path / "pipe")
    with pytest.raises(MediaError, match="not an ordinary file"):
        check_file(Path(os.devnull), "video")
