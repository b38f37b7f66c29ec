"""What is written: the same pictures, times, tags and tracks; whole, or not at all."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.media import Frame, SyntheticMark, VideoWriter, available_encoders, open_speech, open_video, paint, read_mark, sound_duration
from redub.types import Patch

LOSSLESS = EncodeConfig(codec="libx264", crf=0, preset="ultrafast")
QUICK = EncodeConfig(crf=30, preset="ultrafast")
MARK = SyntheticMark(generator="echo", weights_sha256=("ab" * 32, "01" * 32), redub_version="0.1.0")


def rewrite(source: Path, target: Path, encode: EncodeConfig = QUICK, **options: Any) -> list[str]:
    """Write a video through; return the notices."""
    with open_video(source) as reader:
        settings = {"sound": None, "mark": None, "duration": None, "force": False, **options}
        with VideoWriter(target, reader, encode=encode, **settings) as writer:
            for frame in reader.read():
                writer.write(frame, frame.time)
            writer.finish()
        return writer.notices


def pictures(path: Path) -> list[tuple[Fraction, Fraction, list[bytes]]]:
    """Return time, duration and visible samples of all frames."""
    with open_video(path) as reader:
        return [(frame.time, frame.duration, samples(frame)) for frame in reader.read()]


def samples(frame: Frame) -> list[bytes]:
    return [np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width].tobytes() for plane in frame.native.planes]


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".part" in path.name]


class TestPicture:
    @pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60)])
    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
    def test_lossless_is_bit_identical(self, rate: Fraction, suffix: str, make_video: Callable[..., Path], tmp_path: Path) -> None:
        source, target = make_video(rate=rate, options={"bf": "2"}), tmp_path / f"out{suffix}"
        rewrite(source, target, LOSSLESS)
        before, after = pictures(source), pictures(target)
        assert [one[2] for one in after] == [one[2] for one in before]
        slack = Fraction(1, 1000) if suffix == ".mkv" else 0
        assert all(abs(a[0] - b[0]) <= slack and abs(a[1] - b[1]) <= 2 * slack for a, b in zip(after, before, strict=True))

    def test_variable_rate_stays(self, make_video: Callable[..., Path], tmp_path: Path) -> None:
        ticks = [int(tick) for tick in np.cumsum([0, 1, 2, 1, 5, 1, 1, 30, 3, 2, 7, 1, 1, 1, 4])]
        source = make_video(time_base=Fraction(1, 60), pts=ticks, rate=Fraction(60), options={"bf": "2"})
        rewrite(source, tmp_path / "out.mp4", LOSSLESS)
        assert pictures(tmp_path / "out.mp4") == pictures(source)

    def test_a_late_start_is_not_carried_over(self, make_video: Callable[..., Path], tmp_path: Path) -> None:
        source = make_video("a.mkv", time_base=Fraction(1, 1000), pts=[1075 + 40 * i for i in range(20)])
        rewrite(source, tmp_path / "out.mp4")
        with open_video(tmp_path / "out.mp4") as reader:
            assert reader.start == 0
            assert [frame.time for frame in reader.read()] == [Fraction(i, 25) for i in range(20)]

    def test_tags_of_the_picture_are_kept(self, make_video: Callable[..., Path], tmp_path: Path) -> None:
        recipe = {"colour": (9, 9, 14, 1), "sample_aspect": Fraction(16, 15), "rotation": 90, "pix_fmt": "yuv420p10le"}
        source = make_video(frames=5, **recipe)
        for name in ("out.mp4", "out.mov", "out.mkv"):
            rewrite(source, tmp_path / name)
            with open_video(tmp_path / name) as reader:
                assert (reader.color_matrix, reader.color_primaries, reader.color_transfer, reader.color_range) == (9, 9, 14, 1)
                assert (reader.sample_aspect, reader.rotation, reader.pixel_format) == (Fraction(16, 15), 90, "yuv420p10le")

    @pytest.mark.parametrize(("matrix", "spread"), [(1, 1), (6, 1), (1, 2), (6, 2)])
    def test_colours_are_what_they_were(self, matrix: int, spread: int, make_video: Callable[..., Path], tmp_path: Path) -> None:
        source = make_video(frames=2, colour=(matrix, 2, 2, spread), options={"crf": "4"})
        rewrite(source, tmp_path / "out.mp4", EncodeConfig(crf=4, preset="ultrafast"))
        with open_video(source) as one, open_video(tmp_path / "out.mp4") as two:
            assert (two.color_matrix, two.color_range) == (matrix, spread)
            assert np.abs(next(one.read()).rgb().astype(int) - next(two.read()).rgb()).mean() < 1.5

    @pytest.mark.parametrize("form", ["yuv422p", "yuv444p", "yuvj420p", "yuv420p10le", "yuv422p10le", "gray"])
    def test_pixel_formats_that_the_encoder_takes_are_not_converted(
        self, form: str, make_video: Callable[..., Path], tmp_path: Path
    ) -> None:
        source = make_video("a.mkv", codec="ffv1" if form != "yuvj420p" else "mjpeg", pix_fmt=form, frames=3, options={})
        # x264 is lossless only in 8 bits.
        encode = EncodeConfig(codec="ffv1") if "10" in form else LOSSLESS
        assert rewrite(source, tmp_path / "out.mkv", encode) == []
        for one, two in zip(pictures(source), pictures(tmp_path / "out.mkv"), strict=True):
            assert one[2][0] == two[2][0]
            assert form == "gray" or one[2] == two[2]

    @pytest.mark.parametrize(("form", "word"), [("bgr0", "colour resolution"), ("yuv444p12le", "colour depth"), ("bgra", "transparency")])
    def test_a_conversion_is_told(self, form: str, word: str, make_video: Callable[..., Path], tmp_path: Path) -> None:
        source = make_video("a.mkv", codec="ffv1", pix_fmt=form, frames=3)
        notices = rewrite(source, tmp_path / "out.mp4", EncodeConfig(crf=2, preset="ultrafast"))
        assert any(word in notice for notice in notices)
        with open_video(source) as one, open_video(tmp_path / "out.mp4") as two:
            difference = np.abs(next(one.read()).rgb().astype(int) - next(two.read()).rgb())
            assert np.median(difference) <= 2

    @pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1"])
    def test_odd_sizes_keep_their_size(self, codec: str, make_video: Callable[..., Path], tmp_path: Path) -> None:
        source = make_video("a.mkv", codec="ffv1", size=(97, 161), frames=3)
        notices = rewrite(source, tmp_path / "out.mp4", EncodeConfig(codec=codec, crf=10, preset="ultrafast"))
        assert any("4:4:4" in notice for notice in notices) == (codec in ("libx264", "libx265"))
        with open_video(source) as one, open_video(tmp_path / "out.mp4") as two:
            assert (two.height, two.width) == (97, 161)
            assert np.abs(next(one.read()).rgb().astype(int) - next(two.read()).rgb()).mean() < 4

    @pytest.mark.parametrize(
        ("codec", "name"),
        [("libx265", "out.mp4"), ("libsvtav1", "out.mp4"), ("libvpx-vp9", "out.webm"), ("libx264", "out.webm"), ("ffv1", "out.mkv")],
    )
    def test_every_encoder_gives_all_frames_on_time(self, codec: str, name: str, make_video: Callable[..., Path], tmp_path: Path) -> None:
        source = make_video(rate=Fraction(30000, 1001), pix_fmt="yuv420p")
        rewrite(source, tmp_path / name, EncodeConfig(codec=codec, crf=20, preset="ultrafast"))
        with open_video(source) as one, open_video(tmp_path / name) as two:
            for a, b in zip(one.read(), two.read(), strict=True):
                assert abs(a.time - b.time) <= (0 if name.endswith("mp4") else Fraction(1, 1000))
                assert np.abs(a.rgb().astype(int) - b.rgb()).mean() < 6

    @pytest.mark.parametrize("codec", ["libx265", "libsvtav1"])
    def test_ten_bits_stay_ten(self, codec: str, make_video: Callable[..., Path], tmp_path: Path) -> None:
        source = make_video("a.mkv", codec="ffv1", pix_fmt="yuv420p10le", frames=3)
        assert rewrite(source, tmp_path / "out.mp4", EncodeConfig(codec=codec, preset="ultrafast")) == []
        with open_video(tmp_path / "out.mp4") as reader:
            assert reader.pixel_format == "yuv420p10le"

    def test_interlaced_stays_interlaced_or_is_told(self, make_video: Callable[..., Path], tmp_path: Path) -> None:
        source = make_video("a.mpg", codec="mpeg2video", frames=6, options={"flags": "+ildct+ilme"})
        for codec, is_told in (("libx264", False), ("libx265", True)):
            notices = rewrite(source, tmp_path / f"{codec}.mp4", EncodeConfig(codec=codec, preset="ultrafast"))
            assert any("interlaced" in notice for notice in notices) == is_told
            with open_video(tmp_path / f"{codec}.mp4") as reader:
                assert reader.is_interlaced != is_told

    def test_frames_may_be_shown_again_at_other_times(self, make_video: Callable[..., Path], tmp_path: Path, number_in: Any) -> None:
        source = make_video(frames=5)
        with open_video(source) as reader:
            frames = list(reader.read())
            with VideoWriter(tmp_path / "out.mp4", reader, sound=None, encode=LOSSLESS, mark=None, duration=None, force=False) as writer:
                for i, number in enumerate([0, 1, 2, 3, 4, 4, 4, 3, 2, 1]):
                    writer.write(frames[number], Fraction(i, 25))
                writer.finish()
            assert [frame.native.pts for frame in frames] == [frame.pts for frame in frames]
        with open_video(tmp_path / "out.mp4") as reader:
            assert [number_in(frame.rgb()) for frame in reader.read()] == [0, 1, 2, 3, 4, 4, 4, 3, 2, 1]

    def test_painted_frames_mix_with_untouched_ones(self, make_video: Callable[..., Path], tmp_path: Path) -> None:
        source = make_video(frames=9, options={"bf": "2"})
        red = Patch(left=60, top=50, rgb=np.full((20, 30, 3), (200, 40, 40), np.uint8), alpha=np.ones((20, 30), np.float32))
        with open_video(source) as reader:
            with VideoWriter(tmp_path / "out.mp4", reader, sound=None, encode=LOSSLESS, mark=None, duration=None, force=False) as writer:
                for frame in reader.read():
                    writer.write(paint(frame, [red]) if frame.index % 3 == 1 else frame, frame.time)
                writer.finish()
            before = list(reader.read())
        with open_video(tmp_path / "out.mp4") as reader:
            for old, new in zip(before, reader.read(), strict=True):
                if old.index % 3 == 1:
                    assert np.abs(new.rgb((62, 52, 88, 68)).astype(int) - (200, 40, 40)).max() <= 3
                else:
                    assert samples(old) == samples(new)


class TestTracks:
    @pytest.fixture
    def rich(self, make_video: Callable[..., Path], speaking: Callable[..., np.ndarray]) -> Callable[[str], Path]:
        def make(name: str) -> Path:
            codec = "libopus" if name.endswith("webm") else "aac"
            return make_video(
                name,
                codec="libvpx-vp9" if name.endswith("webm") else "libx264",
                options={"deadline": "realtime", "cpu-used": "8"} if name.endswith("webm") else {"bf": "2"},
                frames=50,
                sounds=[
                    {"samples": speaking(2.0, seed=1), "codec": codec, "tags": {"language": "eng"}},
                    {"samples": speaking(2.0, seed=2), "codec": codec, "tags": {"language": "fra", "title": "Commentaire"}},
                ],
                subtitles={"mp4": "mov_text", "mkv": "subrip", "ebm": "webvtt"}[name[-3:]],
                tags={"title": "A title", "comment": "Mine", "artist": "Somebody"},
                chapters=[(Fraction(0), Fraction(1), "One"), (Fraction(1), Fraction(2), "Two")],
            )

        return make

    @pytest.mark.parametrize("source_name", ["a.mp4", "a.mkv", "a.webm"])
    @pytest.mark.parametrize("target_name", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
    def test_everything_else_is_kept(
        self, source_name: str, target_name: str, rich: Any, make_sound: Any, speaking: Any, lag_of: Any, tmp_path: Path
    ) -> None:
        sound = make_sound("new.wav", speaking(2.0, seed=9))
        source = rich(source_name)
        rewrite(source, tmp_path / target_name, sound=sound, mark=MARK)
        with av.open(str(tmp_path / target_name)) as made:
            assert len(made.streams.audio) == 2
            assert made.streams.audio[1].language == "fra"
            assert made.streams.audio[0].language in (None, "und")
            tags = {key.lower(): value for key, value in made.metadata.items()}
            assert (tags["title"], tags["artist"]) == ("A title", "Somebody")
            assert "Mine" in tags["comment"]
            assert [(round(c["start"] * float(c["time_base"])), c["metadata"]["title"]) for c in made.chapters()] == [
                (0, "One"),
                (1, "Two"),
            ]
            texts = [stream for stream in made.streams.subtitles if stream.language in ("deu", "ger")]
            assert len(texts) == 1
            lines = [(round(float(p.pts * p.time_base), 2), [text.dialogue for text in p.decode()]) for p in made.demux(texts[0]) if p.size]
            lines = [(begin, texts[0]) for begin, texts in lines if texts]
            with open_video(tmp_path / target_name) as reader:
                # A priming packet of copied sound moves a whole .mkv file by a few milliseconds.
                assert [round(begin - float(reader.start), 2) for begin, _ in lines] == [0.2, 0.7]
            assert b"Guten Tag" in lines[0][1]
        with open_speech(tmp_path / target_name, 48_000) as new, open_speech(sound, 48_000) as wanted:
            assert abs(lag_of(new.window(0, 96_000), wanted.window(0, 96_000))) <= 16

    def test_another_audio_track_is_copied_not_encoded(self, rich: Any, make_sound: Any, speaking: Any, tmp_path: Path) -> None:
        source = rich("a.mp4")
        rewrite(source, tmp_path / "out.mp4", sound=make_sound("new.wav", speaking(2.0)))

        def packets(path: Path, number: int) -> list[tuple[Fraction, bytes]]:
            with av.open(str(path)) as container:
                stream = container.streams.audio[number]
                return [(packet.pts * packet.time_base, bytes(packet)) for packet in container.demux(stream) if packet.size]

        assert packets(tmp_path / "out.mp4", 1) == packets(source, 1)

    def test_without_a_new_sound_all_is_kept(self, rich: Any, tmp_path: Path) -> None:
        source = rich("a.mp4")
        assert rewrite(source, tmp_path / "out.mp4") == []
        with av.open(str(tmp_path / "out.mp4")) as made:
            assert [stream.language for stream in made.streams.audio] == ["eng", "fra"]
        assert sound_duration(tmp_path / "out.mp4") == sound_duration(source)

    def test_tracks_are_cut_where_it_is_asked(self, rich: Any, make_sound: Any, speaking: Any, tmp_path: Path) -> None:
        rewrite(rich("a.mp4"), tmp_path / "out.mp4", sound=make_sound("new.wav", speaking(2.0)), duration=Fraction(3, 2))
        with av.open(str(tmp_path / "out.mp4")) as made:
            lengths = [stream.duration * stream.time_base for stream in made.streams.audio]
        assert all(abs(length - Fraction(3, 2)) <= Fraction(1, 1000) for length in lengths)

    def test_sound_that_begins_before_the_picture_stays_in_step(self, make_video: Any, speaking: Any, lag_of: Any, tmp_path: Path) -> None:
        """The source's pictures start at 0.4 s of its own clock, its sound at 0."""
        words = speaking(2.0)
        source = make_video("a.mkv", time_base=Fraction(1, 1000), pts=[400 + 40 * i for i in range(30)], sounds=[{"samples": words}])
        rewrite(source, tmp_path / "out.mp4")
        for path in (source, tmp_path / "out.mp4"):
            with open_speech(path, 48_000) as speech:
                assert abs(lag_of(speech.window(0, 48_000), words[0, 19_200:67_200])) <= 48

    def test_interlaced_sound_never_piles_up(self, make_video: Any, make_sound: Any, speaking: Any, tmp_path: Path) -> None:
        """Sound packets stand next to the pictures of their time in the file."""
        source = make_video(frames=60, rate=Fraction(10))
        rewrite(source, tmp_path / "out.mkv", sound=make_sound("new.wav", speaking(6.0)))
        with av.open(str(tmp_path / "out.mkv")) as made:
            latest = {"video": Fraction(0), "audio": Fraction(0)}
            for packet in made.demux():
                if packet.size:
                    latest[packet.stream.type] = packet.dts * packet.time_base
                    assert abs(latest["video"] - latest["audio"]) < 2


class TestMark:
    @pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".webm"])
    def test_it_is_read_back(self, suffix: str, make_video: Any, tmp_path: Path) -> None:
        source = make_video(frames=3, tags={"title": "A title", "comment": "Mine [redub]"})
        assert read_mark(source) is None
        rewrite(source, tmp_path / f"out{suffix}", mark=MARK)
        assert read_mark(tmp_path / f"out{suffix}") == MARK
        with av.open(str(tmp_path / f"out{suffix}")) as made:
            comment = next(value for key, value in made.metadata.items() if key.lower() == "comment")
        assert "compositeWithTrainedAlgorithmicMedia" in comment
        assert comment.endswith("Mine [redub]")

    def test_a_second_dub_has_one_mark(self, make_video: Any, tmp_path: Path) -> None:
        rewrite(make_video(frames=3, tags={"comment": "Mine"}), tmp_path / "one.mp4", mark=MARK)
        second = replace(MARK, generator="speech2vid", weights_sha256=())
        rewrite(tmp_path / "one.mp4", tmp_path / "two.mkv", mark=second)
        assert read_mark(tmp_path / "two.mkv") == second
        with av.open(str(tmp_path / "two.mkv")) as made:
            comment = next(value for key, value in made.metadata.items() if key.lower() == "comment")
        assert comment.count("Synthetic media") == 1
        assert comment.endswith("Mine")


class TestFailures:
    def refuse(self, match: str, source: Path, target: Path, **options: Any) -> None:
        with pytest.raises(MediaError, match=match) as caught:
            rewrite(source, target, **options)
        assert caught.value.hint
        if target.parent.is_dir():
            assert leftovers(target.parent) == []

    def write_and_fail(self, source: Path, target: Path) -> None:
        with (
            open_video(source) as reader,
            VideoWriter(target, reader, sound=None, encode=QUICK, mark=None, duration=None, force=True) as writer,
        ):
            for frame in reader.read():
                writer.write(frame, frame.time / (20 - frame.index))

    def test_target_exists(self, make_video: Any, tmp_path: Path) -> None:
        (tmp_path / "out.mp4").write_text("precious")
        self.refuse("exists", make_video(), tmp_path / "out.mp4")
        assert (tmp_path / "out.mp4").read_text() == "precious"
        rewrite(make_video(), tmp_path / "out.mp4", force=True)
        assert len(pictures(tmp_path / "out.mp4")) == 30

    def test_target_is_an_input(self, make_video: Any, make_sound: Any, speaking: Any, tmp_path: Path) -> None:
        source = make_video()
        (tmp_path / "link.mp4").symlink_to(source)
        self.refuse("one of the inputs", source, tmp_path / "link.mp4", force=True)
        sound = make_sound("a.mp4", speaking(0.5), codec="aac")
        self.refuse("one of the inputs", source, sound, sound=sound, force=True)

    def test_suffix(self, make_video: Any, tmp_path: Path) -> None:
        self.refuse("no suffix", make_video(), tmp_path / "out.xyz")

    def test_folder_is_missing(self, make_video: Any, tmp_path: Path) -> None:
        self.refuse("no folder", make_video(), tmp_path / "no" / "out.mp4")

    def test_sound_is_missing_or_silent(self, make_video: Any, tmp_path: Path) -> None:
        source = make_video()
        self.refuse("There is no sound", source, tmp_path / "out.mp4", sound=tmp_path / "no.wav")
        self.refuse("holds no sound", source, tmp_path / "out.mp4", sound=source)

    def test_unknown_encoder_and_preset(self, make_video: Any, tmp_path: Path) -> None:
        self.refuse("no encoder", make_video(), tmp_path / "out.mp4", encode=EncodeConfig(codec="libnothing"))
        self.refuse("no preset", make_video(), tmp_path / "out.mp4", encode=EncodeConfig(preset="warp"))
        self.refuse("cannot be put", make_video(), tmp_path / "out.webm", encode=EncodeConfig(codec="libx265"))

    def test_copying_what_cannot_be_copied(self, make_video: Any, make_sound: Any, speaking: Any, tmp_path: Path) -> None:
        wav = make_sound("a.wav", speaking(0.5))
        self.refuse("cannot hold", make_video(), tmp_path / "out.mp4", encode=EncodeConfig(audio_codec="copy"), sound=wav)

    def test_no_frame(self, make_video: Any, tmp_path: Path) -> None:
        with open_video(make_video()) as reader:
            writer = VideoWriter(tmp_path / "out.mp4", reader, sound=None, encode=QUICK, mark=None, duration=None, force=False)
            with writer, pytest.raises(MediaError, match="no frame"):
                writer.finish()
        assert leftovers(tmp_path) == []

    def test_an_exception_leaves_nothing(self, make_video: Any, tmp_path: Path) -> None:
        (tmp_path / "out.mp4").write_text("precious")
        with pytest.raises(ZeroDivisionError):
            self.write_and_fail(make_video(), tmp_path / "out.mp4")
        assert (tmp_path / "out.mp4").read_text() == "precious"
        assert leftovers(tmp_path) == []

    @pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
    def test_a_full_disk(self, name: str, make_video: Any, tmp_path: Path) -> None:
        source = make_video(frames=40)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        try:
            self.refuse("the disk is full", source, tmp_path / name, encode=LOSSLESS)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not (tmp_path / name).exists()

    def test_a_kill_leaves_the_target_untouched(self, make_video: Any, tmp_path: Path) -> None:
        source, target = make_video(), tmp_path / "out.mp4"
        target.write_text("precious")
        code = f"""
            import os, signal
            from pathlib import Path
            from redub.config import EncodeConfig
            from redub.media import VideoWriter, open_video
            reader = open_video(Path({str(source)!r}))
            writer = VideoWriter(Path({str(target)!r}), reader, sound=None, encode=EncodeConfig(), mark=None, duration=None, force=True)
            for frame in reader.read():
                writer.write(frame, frame.time)
            os.kill(os.getpid(), signal.SIGKILL)
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
        assert done.returncode == -signal.SIGKILL
        assert target.read_text() == "precious"

    def test_permissions_are_those_of_any_new_file(self, make_video: Any, tmp_path: Path) -> None:
        rewrite(make_video(), tmp_path / "out.mp4")
        (tmp_path / "plain").touch()
        assert (tmp_path / "out.mp4").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_encoders_that_are_listed_work() -> None:
    found = available_encoders()
    assert {"libx264", "libx265", "libsvtav1", "libvpx-vp9"} <= set(found)


@pytest.mark.parametrize("name", ["test/mcgurk_1.mp4", "test/grid_s2_1.mpg", "test/seat_t1_1.mkv"])
def test_real_footage_goes_through_bit_identical(name: str, shared_clips: Path, tmp_path: Path) -> None:
    source, target = shared_clips / name, tmp_path / "out.mp4"
    with open_video(source) as reader, VideoWriter(
        target, reader, sound=None, encode=LOSSLESS, mark=None, duration=None, force=False
    ) as writer:  # fmt: skip
        for frame in reader.read(0, 25):
            writer.write(frame, frame.time)
        writer.finish()
    with open_video(source) as one, open_video(target) as two:
        for a, b in zip(one.read(0, 25), two.read(), strict=True):
            assert (a.time, samples(a)) == (b.time, samples(b))
