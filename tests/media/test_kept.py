"""What a track is called, and what it says, stays as it was through any number of dubs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from redub.config import EncodeConfig
from redub.media import VideoWriter, open_video


def rewrite(source: Path, target: Path, encode: EncodeConfig | None = None) -> list[str]:
    encode = encode or EncodeConfig(crf=30, preset="ultrafast")
    with open_video(source) as reader, VideoWriter(target, reader, sound=None, encode=encode, mark=None) as writer:
        for frame in reader.read():
            writer.write(frame, frame.time)
        writer.finish()
        return writer.notices


def tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as made:
        return dict(made.streams.audio[0].metadata)


@pytest.mark.parametrize("source_name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_title_is_kept_where_players_look_for_it(
    source_name: str, suffix: str, make_video: Callable[..., Path], speaking: Any, tmp_path: Path
) -> None:
    path = make_video(source_name, frames=10, sounds=[{"samples": speaking(0.4), "tags": {"title": "Commentaire"}}])
    for turn in range(2):
        target = tmp_path / f"{turn}{suffix}"
        rewrite(path, target)
        path = target
    assert tags(path)["title" if suffix == ".mkv" else "handler_name"] == "Commentaire"


def test_the_name_in_an_mp4_is_a_title_unless_a_program_made_it_up(make_video: Any, speaking: Any, tmp_path: Path) -> None:
    for given, expected in (("Director's cut", "Director's cut"), ("Core Media Audio", None), ("SoundHandler", None)):
        source = make_video(frames=10, sounds=[{"samples": speaking(0.4), "tags": {"handler_name": given}}])
        rewrite(source, tmp_path / f"{given}.mkv")
        assert tags(tmp_path / f"{given}.mkv").get("title") == expected
        rewrite(source, tmp_path / f"{given}.mp4")
        assert tags(tmp_path / f"{given}.mp4")["handler_name"] == given


def test_texts_stay_as_many_as_they_were(make_video: Callable[..., Path], tmp_path: Path) -> None:
    def texts(path: Path) -> list[tuple[int | None, int | None, bytes]]:
        with av.open(str(path)) as made:
            return [(packet.pts, packet.duration, bytes(packet)) for packet in made.demux(subtitles=0) if packet.pts is not None]

    source = path = make_video(frames=50, subtitles="mov_text")
    for turn in range(3):
        rewrite(path, tmp_path / f"{turn}.mp4")
        path = tmp_path / f"{turn}.mp4"
    assert len([text for text in texts(source) if len(text[2]) > 2]) == 2
    assert texts(path) == texts(source)


@pytest.mark.parametrize(("form", "is_told"), [("yuva420p", True), ("yuv420p", False)])
def test_transparency_that_is_stored_apart_is_told_to_be_lost(form: str, is_told: bool, make_video: Any, tmp_path: Path) -> None:
    options = {"deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "0"}
    source = make_video("a.webm", codec="libvpx-vp9", pix_fmt=form, frames=5, options=options)
    for name, codec in (("out.mp4", "libx264"), ("out.webm", "libvpx-vp9")):
        notices = rewrite(source, tmp_path / name, EncodeConfig(codec=codec, preset="ultrafast"))
        assert any("transparency" in notice for notice in notices) == is_told
