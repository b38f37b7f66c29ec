"""What a file says of itself."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from redub.errors import MediaError
from redub.media import SyntheticMark, VideoWriter, open_video
from redub.media.probe import probe


def test_everything_is_listed(make_video: Any, speaking: Any) -> None:
    path = make_video(
        "a.mkv",
        frames=50,
        rate=Fraction(30000, 1001),
        rotation=90,
        sample_aspect=Fraction(16, 15),
        colour=(1, 1, 1, 1),
        sounds=[{"samples": speaking(1.0, channels=2), "tags": {"language": "fra", "title": "Son"}}],
        subtitles="subrip",
        tags={"title": "A title"},
        chapters=[(Fraction(0), Fraction(1), "One")],
    )
    facts = probe(path)
    video, audio, text = facts.streams
    assert (video.kind, video.codec) == ("video", "h264")
    for part in ("160 x 96 px", "29.97 frames/s", "yuv420p", "BT.709", "limited", "pixels 16:15", "turned 90 degrees"):
        assert part in video.detail
    assert (audio.kind, audio.codec, audio.detail, audio.language, audio.title) == ("audio", "aac", "48000 Hz, stereo", "fra", "Son")
    assert (text.kind, text.codec, text.language) == ("subtitle", "subrip", "deu")
    assert facts.chapters == 1
    assert facts.tags["title"] == "A title"
    assert facts.duration_header_s == pytest.approx(50 * 1001 / 30000, abs=0.03)
    assert facts.size_bytes == path.stat().st_size
    assert facts.mark is None


def test_the_mark_is_shown(make_video: Any, tmp_path: Path) -> None:
    from redub.config import EncodeConfig

    mark = SyntheticMark(generator="echo", weights_sha256=(), redub_version="0.1.0")
    with (
        open_video(make_video(frames=2)) as reader,
        VideoWriter(tmp_path / "out.mp4", reader, sound=None, encode=EncodeConfig(), mark=mark) as writer,
    ):
        for frame in reader.read():
            writer.write(frame, frame.time)
        writer.finish()
    assert probe(tmp_path / "out.mp4").mark == mark


def test_sound_alone_and_no_media(make_sound: Any, speaking: Any, tmp_path: Path) -> None:
    facts = probe(make_sound("a.wav", speaking(0.5)))
    assert [(stream.kind, stream.codec) for stream in facts.streams] == [("audio", "pcm_s16le")]
    assert facts.duration_header_s == 0.5
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(MediaError, match="cannot be read"):
        probe(tmp_path / "a.txt")
