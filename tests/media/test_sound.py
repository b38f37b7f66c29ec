"""Sound in and out: it begins where it should, and is as long as it was."""

from __future__ import annotations

import resource
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.media import VideoWriter, open_speech, open_video, sound_duration

KINDS = {
    "a.wav": ("pcm_s16le", 44_100, 2),
    "b.wav": ("pcm_u8", 11_025, 1),
    "c.wav": ("pcm_f32le", 96_000, 2),
    "d.wav": ("pcm_s16le", 48_000, 6),
    "e.flac": ("flac", 48_000, 1),
    "f.mp3": ("libmp3lame", 44_100, 2),
    "g.m4a": ("aac", 48_000, 2),
    "h.ogg": ("libopus", 48_000, 2),
    "i.opus": ("libopus", 48_000, 1),
    "j.aac": ("aac", 44_100, 1),
}


@pytest.fixture(params=KINDS)
def sound(request: pytest.FixtureRequest, make_sound: Callable[..., Path], speaking: Callable[..., np.ndarray]) -> tuple[Path, np.ndarray]:
    codec, rate, channels = KINDS[request.param]
    samples = speaking(1.7, rate, channels)
    return make_sound(request.param, samples, rate, codec), samples


def test_sound_is_as_long_as_it_was_and_begins_at_zero(sound: tuple[Path, np.ndarray], lag_of: Callable[..., int]) -> None:
    path, samples = sound
    rate = KINDS[path.name][1]
    # Raw AAC says nowhere where its sound begins and ends: whole frames of 1024 samples are what it holds.
    slack = Fraction(3 * 1024, rate) if path.suffix == ".aac" else Fraction(1, 1000)
    assert abs(sound_duration(path) - Fraction(samples.shape[1], rate)) <= slack
    with open_speech(path, rate) as speech:
        assert speech.duration == sound_duration(path)
        assert abs(speech.samples - samples.shape[1]) <= slack * rate
        lag = lag_of(speech.window(0, speech.samples), samples[0])
        assert lag == (1024 if path.suffix == ".aac" else 0)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_a_new_sound_keeps_start_and_length(
    suffix: str, sound: tuple[Path, np.ndarray], make_video: Callable[..., Path], lag_of: Callable[..., int], tmp_path: Path
) -> None:
    path, _ = sound
    source, target = make_video(frames=20, size=(64, 96)), tmp_path / f"out{suffix}"
    _dub(source, path, target)
    with open_speech(path, 48_000) as wanted, open_speech(target, 48_000) as found:
        assert abs(lag_of(found.window(0, found.samples), wanted.window(0, wanted.samples))) <= 24
        # MP3 and AAC come in whole frames, and only MP4 and MOV can say where in the last one they end.
        whole = path.suffix in (".mp3", ".m4a", ".aac") or (path.name, suffix) == ("b.wav", ".mkv")
        slack = Fraction(1152, KINDS[path.name][1]) if whole else Fraction(1, 1000)
        assert abs(found.duration - wanted.duration) <= slack


def _dub(source: Path, sound: Path, target: Path, duration: Fraction | None = None, encode: EncodeConfig | None = None) -> list[str]:
    encode = encode or EncodeConfig(preset="ultrafast", crf=30)
    with open_video(source) as reader, VideoWriter(target, reader, sound=sound, encode=encode, mark=None, duration=duration) as writer:
        for frame in reader.read():
            writer.write(frame, frame.time)
        writer.finish()
        return writer.notices


@pytest.mark.parametrize("name", ["a.wav", "f.mp3", "g.m4a", "h.ogg"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_new_sound_is_cut_where_it_is_asked(
    name: str, suffix: str, make_sound: Any, make_video: Any, speaking: Any, tmp_path: Path
) -> None:
    codec, rate, channels = KINDS[name]
    target = tmp_path / f"out{suffix}"
    _dub(make_video(frames=10), make_sound(name, speaking(1.7, rate, channels), rate, codec), target, Fraction(6, 5))
    assert abs(sound_duration(target) - Fraction(6, 5)) <= (0.03 if name != "a.wav" else 0.001)


def test_the_encoder_keeps_rate_and_channels(make_sound: Any, make_video: Any, speaking: Any, tmp_path: Path) -> None:
    for rate, channels, expected in ((22_050, 1, 22_050), (48_000, 6, 48_000), (96_000, 2, 96_000), (37_000, 1, 44_100)):
        sound = make_sound(f"{rate}.wav", speaking(0.5, rate, channels), rate)
        target = tmp_path / f"{rate}.mp4"
        _dub(make_video(frames=5), sound, target)
        with av.open(str(target)) as made:
            stream = made.streams.audio[0]
            assert (stream.codec_context.name, stream.rate, stream.layout.nb_channels) == ("aac", expected, channels)


def test_an_encoder_may_be_named(make_sound: Any, make_video: Any, speaking: Any, tmp_path: Path) -> None:
    sound = make_sound("a.m4a", speaking(0.5), codec="aac")
    for codec in ("alac", "copy"):
        _dub(make_video(frames=5), sound, tmp_path / f"{codec}.mp4", encode=EncodeConfig(preset="ultrafast", audio_codec=codec))
        with av.open(str(tmp_path / f"{codec}.mp4")) as made:
            assert made.streams.audio[0].codec_context.name == ("alac" if codec == "alac" else "aac")


def test_copied_sound_is_the_same_bytes(make_sound: Any, make_video: Any, speaking: Any, tmp_path: Path) -> None:
    sound = make_sound("a.m4a", speaking(1.5), codec="aac")
    _dub(make_video(frames=5), sound, tmp_path / "out.mp4")

    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    assert packets(tmp_path / "out.mp4") == packets(sound)


def test_windows_are_silent_outside(make_sound: Any, speaking: Any) -> None:
    samples = speaking(1.0, 16_000)
    with open_speech(make_sound("a.wav", samples, 16_000), 16_000) as speech:
        assert speech.samples == 16_000
        window = speech.window(-500, 16_700)
        assert window.dtype == np.float32
        assert window.shape == (17_200,)
        assert not window[:500].any()
        assert not window[16_500:].any()
        assert np.abs(window[500:16_500] - samples[0]).max() < 1e-3
        assert np.array_equal(speech.window(3000, 4000), window[3500:4500])
        assert speech.window(20_000, 20_010).tolist() == [0] * 10
        assert speech.window(-20, -10).tolist() == [0] * 10
        assert speech.window(5, 5).shape == (0,)


@pytest.mark.parametrize(("rate", "wanted"), [(44_100, 16_000), (48_000, 16_000), (16_000, 48_000), (22_050, 16_000)])
def test_resampling_moves_nothing(rate: int, wanted: int, make_sound: Any) -> None:
    samples = np.zeros((1, rate * 2), np.float32)
    samples[0, rate - 8 : rate + 9] = np.hanning(17)
    with open_speech(make_sound("a.wav", samples, rate), wanted) as speech:
        assert int(np.argmax(speech.window(0, speech.samples))) == wanted
        assert speech.duration == 2
        assert abs(speech.samples - 2 * wanted) <= 1


def test_channels_are_averaged(make_sound: Any, speaking: Any) -> None:
    one, two = speaking(0.5, seed=1)[0], speaking(0.5, seed=2)[0]
    with open_speech(make_sound("a.wav", np.stack([one, two])), 48_000) as speech:
        assert np.abs(speech.window(0, speech.samples) - (one + two) / 2).max() < 1e-3


@pytest.mark.parametrize("name", ["a.m4a", "a.mka"])
def test_a_late_start_is_silence(name: str, make_sound: Any, speaking: Any, lag_of: Callable[..., int]) -> None:
    samples = speaking(1.0)
    with open_speech(make_sound(name, samples, codec="aac", start=0.5), 48_000) as speech:
        assert abs(lag_of(speech.window(0, speech.samples), samples[0]) - 24_000) <= 48
        assert not speech.window(0, 20_000).any()
        assert abs(speech.duration - Fraction(3, 2)) < 0.03


def test_a_hole_in_the_sound_is_silence(tmp_path: Path, speaking: Any, lag_of: Callable[..., int]) -> None:
    path, samples = tmp_path / "a.mka", speaking(2.0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=48_000)
        stream.layout = "mono"
        for start in range(0, 96_000, 4800):
            if 24_000 <= start < 48_000:
                continue
            frame = av.AudioFrame.from_ndarray((samples[:, start : start + 4800] * 32767).astype(np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            output.mux(stream.encode(frame))
    with open_speech(path, 48_000) as speech:
        assert speech.duration == 2
        assert not speech.window(24_000, 48_000).any()
        assert lag_of(speech.window(48_000, 96_000), samples[0, 48_000:]) == 0


def test_sound_of_a_video_is_counted_from_its_first_picture(make_video: Any, speaking: Any, lag_of: Callable[..., int]) -> None:
    words = speaking(2.0)
    for name, pictures_at, sound_at in (("a.mkv", 400, 0.0), ("b.mkv", 0, 0.3), ("c.mp4", 400, 0.0), ("d.ts", 1000, 0.7)):
        pts = [pictures_at + 40 * i for i in range(20)]
        path = make_video(name, time_base=Fraction(1, 1000), pts=pts, sounds=[{"samples": words, "start": sound_at}])
        expected = round((sound_at - pictures_at / 1000) * 48_000)
        with open_speech(path, 48_000) as speech:
            padded = np.concatenate([np.zeros(48_000, np.float32), words[0]])
            found = np.concatenate([np.zeros(48_000, np.float32), speech.window(0, 60_000)])
            assert abs(lag_of(found, padded) - expected) <= 48, name


class TestBadInput:
    def refuse(self, path: Path, match: str) -> None:
        for opener in (lambda path: open_speech(path, 16_000), sound_duration):
            with pytest.raises(MediaError, match=match) as caught:
                opener(path)
            assert caught.value.hint

    def test_missing_folder_empty_text(self, tmp_path: Path) -> None:
        self.refuse(tmp_path / "no.wav", "There is no")
        self.refuse(tmp_path, "is a folder")
        (tmp_path / "a.wav").touch()
        self.refuse(tmp_path / "a.wav", "is empty")
        (tmp_path / "a.wav").write_text("no sound " * 99)
        self.refuse(tmp_path / "a.wav", "cannot be read")

    def test_video_without_sound(self, make_video: Any) -> None:
        self.refuse(make_video(frames=3), "holds no sound")

    def test_no_samples(self, tmp_path: Path) -> None:
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
        self.refuse(tmp_path / "a.wav", "no samples|cannot be read")

    def test_no_disk_for_it(self, make_sound: Any, speaking: Any) -> None:
        path = make_sound("a.wav", speaking(2.0))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            with pytest.raises(MediaError, match="cannot be kept"):
                open_speech(path, 48_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["test/seat_t1_1.mkv", "test/grid_s2_1.mpg"])
def test_real_footage_keeps_its_sound(name: str, shared_clips: Path, tmp_path: Path, lag_of: Callable[..., int]) -> None:
    source, target = shared_clips / name, tmp_path / "out.mp4"
    with open_video(source) as reader, VideoWriter(
        target, reader, sound=None, encode=EncodeConfig(preset="ultrafast", crf=35), mark=None
    ) as writer:  # fmt: skip
        for frame in reader.read():
            writer.write(frame, frame.time)
        writer.finish()
    with open_speech(source, 16_000) as one, open_speech(target, 16_000) as two:
        assert abs(lag_of(two.window(0, 32_000), one.window(0, 32_000))) <= 16
        assert abs(one.duration - two.duration) < 0.05
