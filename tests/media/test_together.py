"""Picture, sound, texts and chapters of a result begin and end together, in every container."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.media import VideoWriter, open_video
from redub.media.sound import Resampler, sound_frames

QUICK = EncodeConfig(crf=30, preset="ultrafast")
RATE = 48_000
MS = RATE // 1000


def dub(source: Path, target: Path, sound: Path | None, stop: Fraction | None = None, encode: EncodeConfig = QUICK) -> list[str]:
    with open_video(source) as reader, VideoWriter(target, reader, sound=sound, encode=encode, mark=None, duration=stop) as writer:
        for frame in reader.read():
            writer.write(frame, frame.time)
        writer.finish()
        return writer.notices


def first_picture(path: Path) -> Fraction:
    """Return when the file itself says that its picture begins."""
    with av.open(str(path)) as container:
        return min(packet.pts * packet.time_base for packet in container.demux(video=0) if packet.pts is not None)


def heard(path: Path, number: int = 0) -> np.ndarray:
    """Return (N,) of an audio track from time zero on."""
    resampler = Resampler("flt", "mono", RATE)
    frames = [made for frame in (*sound_frames(path, number), None) for made in resampler.push(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def alike(found: np.ndarray, wanted: np.ndarray, slack: int) -> float:
    """Return the best correlation within so many samples."""
    return max(
        np.corrcoef(found[slack + i : len(found) - slack + i], wanted[slack : len(wanted) - slack])[0, 1] for i in range(-slack, slack + 1)
    )


SOUNDS = {
    "a.mp3": ("libmp3lame", 44_100, 2),
    "b.mp3": ("libmp3lame", 8_000, 1),
    "c.m4a": ("aac", 48_000, 2),
    "d.m4a": ("aac", 44_100, 6),
    "e.mka": ("aac", 48_000, 1),
    "f.aac": ("aac", 48_000, 1),
    "g.opus": ("libopus", 48_000, 2),
    "h.mp4": ("ac3", 48_000, 2),
    "i.wav": ("pcm_s16le", 48_000, 1),
    "j.flac": ("flac", 48_000, 1),
    "k.mp4": ("eac3", 48_000, 2),
    "l.mp2": ("mp2", 48_000, 2),
}


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mp4", ".mov"])
def test_the_picture_begins_at_zero_and_the_sound_with_it(
    name: str, suffix: str, make_video: Any, make_sound: Any, speaking: Any, lag_of: Callable[..., int], tmp_path: Path
) -> None:
    codec, rate, channels = SOUNDS[name]
    sound = make_sound(name, speaking(1.2, rate, channels), rate, codec)
    source = make_video(frames=30, options={"bf": "2"}, chapters=[(Fraction(0), Fraction(1), "One"), (Fraction(1), Fraction(6, 5), "Two")])
    target = tmp_path / f"out{suffix}"
    dub(source, target, sound)
    assert first_picture(target) == 0
    wanted = heard(sound)
    found = heard(target)
    assert abs(lag_of(found, wanted)) <= MS
    # Also the very first syllable is there.
    assert abs(lag_of(found[:4800], wanted[:4800])) <= MS
    assert alike(found[:4800], wanted[:4800], MS) > 0.9
    with av.open(str(target)) as made:
        assert [float(chapter["start"] * chapter["time_base"]) for chapter in made.chapters()] == [0, 1]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3", "libopus", "flac", "pcm_s16le"])
def test_a_kept_track_that_begins_before_the_picture_moves_nothing(
    codec: str, suffix: str, make_video: Any, make_sound: Any, speaking: Any, lag_of: Callable[..., int], tmp_path: Path
) -> None:
    words = speaking(2.0)
    kept = [{"samples": speaking(2.0, seed=4)}, {"samples": words, "codec": codec}]
    source = make_video("a.mkv", time_base=Fraction(1, 1000), pts=[333 + 40 * i for i in range(30)], sounds=kept, subtitles="subrip")
    new = make_sound("new.mp3", speaking(1.2, 44_100, seed=5), 44_100, "libmp3lame")
    target = tmp_path / f"out{suffix}"
    dub(source, target, new)
    assert first_picture(target) == 0
    assert abs(lag_of(heard(target), heard(new))) <= MS
    found, wanted = heard(target, 1), words[0, round(0.333 * RATE) :]
    assert abs(lag_of(found[:24_000], wanted[:24_000])) <= MS
    assert alike(found[:4800], heard(source, 1)[:4800], MS) > 0.9
    with av.open(str(target)) as made:
        text = [float(packet.pts * packet.time_base) for packet in made.demux(subtitles=0) if packet.size > 2]
    # The first text stood from 0.2 s to 0.5 s of the source's own clock.
    assert text == pytest.approx([0, 0.367], abs=0.002)


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000])
def test_mp3_of_any_rate_goes_into_mp4(
    rate: int, make_video: Any, make_sound: Any, speaking: Any, lag_of: Callable[..., int], tmp_path: Path
) -> None:
    sound = make_sound("a.mp3", speaking(1.0, rate), rate, "libmp3lame")
    dub(make_video(frames=25), tmp_path / "out.mp4", sound)
    with av.open(str(tmp_path / "out.mp4")) as made:
        stream = made.streams.audio[0]
        assert (stream.codec_context.codec.canonical_name, stream.rate) == ("mp3" if rate == 16_000 else "aac", rate)
    assert abs(lag_of(heard(tmp_path / "out.mp4"), heard(sound))) <= MS


@pytest.mark.parametrize(("codec", "match"), [("libmp3lame", "libmp3lame sound cannot be written"), ("copy", "cannot hold mp3 sound")])
def test_sound_that_a_header_refuses_is_not_blamed_on_the_picture(
    codec: str, match: str, make_video: Any, make_sound: Any, speaking: Any, tmp_path: Path
) -> None:
    sound = make_sound("a.mp3", speaking(0.5, 8_000), 8_000, "libmp3lame")
    with pytest.raises(MediaError, match=match) as caught:
        dub(make_video(frames=5), tmp_path / "out.mp4", sound, encode=EncodeConfig(preset="ultrafast", audio_codec=codec))
    assert "audio_codec" in caught.value.hint


@pytest.mark.parametrize("source_name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_all_ends_where_it_is_asked(source_name: str, suffix: str, make_video: Any, make_sound: Any, speaking: Any, tmp_path: Path) -> None:
    chapters = [(Fraction(i), Fraction(i + 1), str(i)) for i in range(4)]
    source = make_video(
        source_name, frames=60, rate=Fraction(15), chapters=chapters, sounds=[{"samples": speaking(4.0)}, {"samples": speaking(4.0)}],
        subtitles="mov_text" if source_name == "a.mp4" else "subrip",
    )  # fmt: skip
    # Inside a chapter, a text, a frame of picture and a packet of sound.
    stop = Fraction(81, 100)
    target = tmp_path / f"out{suffix}"
    dub(source, target, make_sound("new.wav", speaking(4.0)), stop)
    with open_video(target) as reader:
        *_, last = reader.read()
    assert abs(last.time + last.duration - stop) <= Fraction(1, 1000)
    assert last.duration <= Fraction(1, 15)
    for number in (0, 1):
        with av.open(str(target)) as made:
            ends = [(packet.pts + (packet.duration or 0)) * packet.time_base for packet in made.demux(audio=number) if packet.size]
        assert stop - Fraction(1, 40) <= max(ends) <= stop + Fraction(1, 40)
    with av.open(str(target)) as made:
        assert [[round(float(one[key] * one["time_base"]), 2) for key in ("start", "end")] for one in made.chapters()] == [[0, 0.81]]
        texts = [packet for packet in made.demux(subtitles=0) if packet.size > 2]
        assert [round(float(one.pts * one.time_base), 2) for one in texts] == [0.2, 0.7]
        assert (texts[-1].pts + texts[-1].duration) * texts[-1].time_base <= stop + Fraction(1, 1000)
        assert float(made.duration / 1e6) == pytest.approx(0.81, abs=0.025)


def test_frames_behind_the_end_are_not_written(make_video: Any, tmp_path: Path) -> None:
    dub(make_video(frames=30), tmp_path / "out.mp4", None, Fraction(1, 2))
    with open_video(tmp_path / "out.mp4") as reader:
        frames = [(frame.time, frame.duration) for frame in reader.read()]
    assert len(frames) == 13
    assert sum(frames[-1]) == Fraction(1, 2)


def test_speech_of_a_dub_is_heard_where_it_was_given(make_video: Any, make_sound: Any, speaking: Any, tmp_path: Path) -> None:
    """Dubbing a dub again moves nothing: what one run signals, the next one understands."""
    sound = make_sound("a.mp3", speaking(1.2, 44_100), 44_100, "libmp3lame")
    path = make_video(frames=30)
    for turn, suffix in enumerate([".mkv", ".mkv", ".mp4", ".mkv"]):
        target = tmp_path / f"{turn}{suffix}"
        dub(path, target, sound if turn == 0 else None)
        path = target
        assert first_picture(path) == 0
    assert alike(heard(path)[:40_000], heard(sound)[:40_000], MS // 4) > 0.9
