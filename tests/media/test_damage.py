"""What is damaged is passed over, keeps its place in time, and is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from redub.config import EncodeConfig
from redub.media import VideoWriter, open_speech, open_video


def spoil(path: Path, kind: str, numbers: Iterable[int], whole: bool = False, fill: bytes = b"\0") -> Path:
    """Overwrite packets of a file, but for their first bytes, and return the new file."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(**{kind: 0}) if packet.size]
    for number in numbers:
        packet = packets[number]
        place = content.find(bytes(packet))
        assert place > 0
        begin = 0 if whole else 8
        content[place + begin : place + packet.size] = fill * (packet.size - begin)
    bad = path.with_name(f"bad{path.suffix}")
    bad.write_bytes(content)
    return bad


def dub(source: Path, target: Path, sound: Path | None = None, audio_codec: str = "auto") -> list[str]:
    encode = EncodeConfig(crf=30, preset="ultrafast", audio_codec=audio_codec)
    with open_video(source) as reader, VideoWriter(target, reader, sound=sound, encode=encode, mark=None) as writer:
        for frame in reader.read():
            writer.write(frame, frame.time)
        writer.finish()
        return writer.notices


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "mpeg4"), ("a.mp4", "libx264")])
def test_a_damaged_picture_is_told(name: str, codec: str, make_video: Callable[..., Path], tmp_path: Path) -> None:
    good = make_video(name, codec=codec, size=(192, 320))
    assert dub(good, tmp_path / "one.mp4") == []
    bad = spoil(good, "video", [9, 10, 20], whole=codec == "mpeg4")
    notices = dub(bad, tmp_path / "two.mp4")
    assert len(notices) == 1
    assert f"damaged parts of {bad.name} could not be decoded" in notices[0]


def test_a_part_met_twice_counts_once(make_video: Callable[..., Path]) -> None:
    bad = spoil(make_video("a.mkv", codec="mpeg4", size=(192, 320)), "video", [9], whole=True)
    with open_video(bad) as reader:
        for _ in range(2):
            list(reader.read())
        assert reader.damage.told(bad, "so") == ["One damaged part of bad.mkv could not be decoded; so."]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mkv", "libx264", {"x264-params": "open-gop=1:keyint=8:bframes=3"}),
        ("a.ts", "libx264", {"x264-params": "open-gop=1:keyint=8:bframes=3"}),
        ("a.mkv", "libx265", {"x265-params": "open-gop=1:keyint=8:bframes=3:log-level=none"}),
        ("a.mpg", "mpeg2video", {"bf": "2"}),
    ],
)
def test_beginning_in_the_middle_is_no_damage(name: str, codec: str, options: dict[str, str], make_video: Callable[..., Path]) -> None:
    source = make_video(name, codec=codec, options=options, frames=40)
    with open_video(source) as reader:
        pts = np.array([frame.pts for frame in reader.read()])
        assert not reader.damage.places
    with open_video(source, pts) as reader:
        for start in range(3, 36, 5):
            assert next(reader.read(start)).index == start
        assert not reader.damage.places


@pytest.mark.parametrize("name", ["test/mcgurk_1.mp4", "test/grid_s2_1.mpg", "test/seat_t1_1.mkv"])
def test_real_footage_is_whole(name: str, shared_clips: Path) -> None:
    with open_video(shared_clips / name) as reader, open_speech(shared_clips / name, 16_000) as speech:
        assert sum(1 for _ in reader.read()) > 10
        assert not reader.damage.places
        assert speech.notices == []


@pytest.mark.parametrize(("codec", "numbers"), [("flac", [5, 6]), ("libopus", [20]), ("libopus", [20, 40, 60])])
def test_damaged_sound_keeps_its_place_and_is_told(
    codec: str, numbers: list[int], make_sound: Any, speaking: Any, lag_of: Callable[..., int]
) -> None:
    words = speaking(3.0)
    good = make_sound("a.mka", words, codec=codec)
    bad = spoil(good, "audio", numbers, whole=True, fill=b"\xff")
    with open_speech(good, 48_000) as wanted, open_speech(bad, 48_000) as found:
        assert wanted.notices == []
        # Matroska's times are right to half a millisecond.
        assert abs(found.duration - wanted.duration) <= Fraction(1, 1000)
        # Behind the last hole all stands where it stood.
        assert abs(lag_of(found.window(96_000, 144_000), wanted.window(96_000, 144_000))) <= 48
        if codec == "flac":
            # The decoder of Opus says nothing.
            assert found.notices == ["2 damaged parts of bad.mka could not be decoded; there is silence instead."]


def test_a_flac_whose_start_is_damaged_does_not_begin_early(make_sound: Any, speaking: Any, lag_of: Callable[..., int]) -> None:
    words = speaking(3.0)
    bad = spoil(make_sound("a.flac", words, codec="flac"), "audio", range(8), whole=True)
    with open_speech(bad, 48_000) as found:
        assert found.duration == 3
        assert not found.window(0, 30_000).any()
        assert lag_of(found.window(48_000, 144_000), words[0, 48_000:]) == 0
        assert "bad.flac" in found.notices[0]


def test_a_flac_cut_out_of_a_longer_one_begins_at_once(make_sound: Any, speaking: Any, lag_of: Callable[..., int], tmp_path: Path) -> None:
    """Its frames still count from the longer one's begin."""
    words = speaking(3.0)
    with av.open(str(make_sound("a.flac", words, codec="flac"))) as whole, av.open(str(tmp_path / "cut.flac"), "w") as output:
        stream = output.add_stream_from_template(whole.streams.audio[0])
        packets = [packet for packet in whole.demux(audio=0) if packet.size and packet.pts >= 48_000]
        for packet in packets:
            packet.stream = stream
            output.mux(packet)
    with open_speech(tmp_path / "cut.flac", 48_000) as found:
        assert lag_of(found.window(0, 48_000), words[0, packets[0].pts :]) == 0


def test_the_dub_tells_of_its_damaged_sound(make_video: Callable[..., Path], make_sound: Any, speaking: Any, tmp_path: Path) -> None:
    bad = spoil(make_sound("a.flac", speaking(2.0), codec="flac"), "audio", range(4, 7), whole=True)
    with open_speech(bad, 16_000) as speech:
        said = speech.notices
    assert len(said) == 1
    # The decoder of the dub and that of the generator meet the same; told in the same words, it is told once.
    assert dub(make_video(frames=20), tmp_path / "out.mp4", bad) == said
    with open_speech(tmp_path / "out.mp4", 48_000) as found, open_speech(bad, 48_000) as wanted:
        assert abs(found.duration - wanted.duration) <= Fraction(1, 1000)
