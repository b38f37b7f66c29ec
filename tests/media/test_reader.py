"""The reader's conformance suite: the same promises over containers, codecs, rates and damage."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from redub.errors import MediaError
from redub.media import Frame, open_video

NTSC = Fraction(30000, 1001)
FAST = {"preset": "ultrafast", "bf": "2", "b-pyramid": "none"}

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "mp4 23.976": ("a.mp4", {"rate": Fraction(24000, 1001), "options": {"preset": "veryfast", "bf": "3"}}),
    "mp4 25": ("a.mp4", {"options": {"preset": "veryfast", "bf": "3"}}),
    "mp4 29.97": ("a.mp4", {"rate": NTSC, "options": FAST}),
    "mp4 50": ("a.mp4", {"rate": Fraction(50), "options": FAST}),
    "mp4 open gop": ("a.mp4", {"options": {"preset": "veryfast", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}}),
    "mp4 intra refresh": ("a.mp4", {"options": {"preset": "veryfast", "x264-params": "intra-refresh=1"}, "gop": 10}),
    "mp4 hevc 60": (
        "a.mp4",
        {"codec": "libx265", "rate": Fraction(60), "options": {"preset": "ultrafast", "x265-params": "log-level=none"}},
    ),
    "mp4 av1": ("a.mp4", {"codec": "libsvtav1", "options": {"preset": "12"}}),
    "mov 30": ("a.mov", {"rate": Fraction(30), "options": FAST}),
    "mkv 29.97": ("a.mkv", {"rate": NTSC, "options": FAST}),
    "mkv ffv1": ("a.mkv", {"codec": "ffv1"}),
    "webm vp9": ("a.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8", "b": "400k"}}),
    "avi mpeg4": ("a.avi", {"codec": "mpeg4", "options": {"q": "3"}}),
    "avi h264 without pts": ("a.avi", {"options": {"preset": "veryfast", "bf": "2"}}),
    "mpg mpeg2": ("a.mpg", {"codec": "mpeg2video", "options": {"bf": "2", "b": "2M"}}),
    "raw h264 without any times": ("a.h264", {"options": FAST}),
    "flv": ("a.flv", {"options": FAST}),
    "wmv": ("a.wmv", {"codec": "wmv2"}),
    "gif": ("a.gif", {"codec": "gif", "pix_fmt": "rgb8"}),
    "ts h264": ("a.ts", {"options": FAST}),
}


@pytest.fixture(params=KINDS)
def clip(request: pytest.FixtureRequest, make_video: Callable[..., Path]) -> tuple[Path, Fraction]:
    name, recipe = KINDS[request.param]
    return make_video(name, frames=30, **recipe), recipe.get("rate", Fraction(25))


def planes(frame: Frame) -> list[bytes]:
    """Return the visible samples of a frame; what pads its lines is chance."""
    return [np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width].tobytes() for plane in frame.native.planes]


def table(path: Path) -> np.ndarray:
    with open_video(path) as reader:
        return np.array([frame.pts for frame in reader.read()], np.int64)


def test_all_frames_come_once_in_order_with_exact_times(clip: tuple[Path, Fraction], number_in: Callable[[np.ndarray], int]) -> None:
    path, rate = clip
    with open_video(path) as reader:
        frames = list(reader.read())
        assert [frame.index for frame in frames] == list(range(30))
        assert [number_in(frame.rgb()) for frame in frames] == list(range(30))
        tick = reader.time_base if path.suffix in (".mkv", ".webm", ".ts", ".mpg") else Fraction(0)
        for frame in frames:
            assert abs(frame.time - frame.index / rate) <= tick
            assert abs(frame.duration - 1 / rate) <= 2 * tick
        assert (reader.height, reader.width) == frames[0].rgb().shape[:2]
        assert len(reader.damage) == 0


def test_a_part_is_the_same_as_that_part_of_the_whole(clip: tuple[Path, Fraction]) -> None:
    path, _ = clip
    with open_video(path) as reader:
        whole = [(frame.index, frame.time, frame.duration, planes(frame)) for frame in reader.read()]
    with open_video(path, table(path)) as reader:
        for start, stop in ((1, 3), (7, 10), (8, 9), (16, 21), (22, 30), (29, 30), (29, None)):
            part = [(frame.index, frame.time, frame.duration, planes(frame)) for frame in reader.read(start, stop)]
            assert part == whole[start:stop]


def test_pick_and_backwards_give_the_same_frames(clip: tuple[Path, Fraction]) -> None:
    path, _ = clip
    with open_video(path, table(path)) as reader:
        whole = [planes(frame) for frame in reader.read()]
        assert [(frame.index, planes(frame)) for frame in reader.pick([2, 3, 17, 29])] == [(i, whole[i]) for i in (2, 3, 17, 29)]
        assert [(frame.index, planes(frame)) for frame in reader.read_backwards(5, 23)] == [(i, whole[i]) for i in reversed(range(5, 23))]


def test_backwards_in_several_blocks(make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video()
    monkeypatch.setattr("redub.media.reader.BLOCK_BYTES", 7 * 96 * 160 * 3)
    with open_video(path, table(path)) as reader:
        assert [frame.index for frame in reader.read_backwards(0, 30)] == list(reversed(range(30)))


def test_picking_far_frames_seeks(make_video: Callable[..., Path], number_in: Callable[[np.ndarray], int]) -> None:
    path = make_video(frames=64, rate=Fraction(5))
    with open_video(path, table(path)) as reader:
        assert [number_in(frame.rgb()) for frame in reader.pick([1, 40, 63])] == [1, 40, 63]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_variable_rate_keeps_every_time(name: str, make_video: Callable[..., Path]) -> None:
    gaps = [1, 2, 1, 5, 1, 1, 9, 3, 60, 1] * 3
    ticks = np.cumsum([0, *gaps[:-1]])
    path = make_video(name, time_base=Fraction(1, 60), pts=[int(tick) for tick in ticks], rate=Fraction(60), options=FAST)
    with open_video(path, table(path)) as reader:
        frames = list(reader.read())
        slack = Fraction(1, 1000) if name.endswith("mkv") else 0
        assert all(abs(frame.time - Fraction(int(tick), 60)) <= slack for frame, tick in zip(frames, ticks, strict=True))
        assert all(one.time + one.duration == two.time for one, two in pairwise(frames))
        assert [frame.time for frame in reader.read(12, 20)] == [frame.time for frame in frames[12:20]]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_late_start_is_taken_off(name: str, make_video: Callable[..., Path]) -> None:
    path = make_video(name, time_base=Fraction(1, 1000), pts=[1075 + 40 * i for i in range(30)], options=FAST)
    with open_video(path, table(path)) as reader:
        assert [frame.time for frame in reader.read()] == [Fraction(i, 25) for i in range(30)]
        assert [frame.time for frame in reader.read(20, 22)] == [Fraction(20, 25), Fraction(21, 25)]


def test_frames_before_an_edit_list_are_not_shown(make_video: Callable[..., Path], number_in: Callable[[np.ndarray], int]) -> None:
    path = make_video("a.mp4", pts=list(range(-6, 24)), options=FAST)
    with open_video(path, table(path)) as reader:
        frames = list(reader.read())
        assert [number_in(frame.rgb()) for frame in frames] == list(range(6, 30))
        assert frames[0].time == 0
        assert [number_in(frame.rgb()) for frame in reader.read(10, 12)] == [16, 17]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_applied(rotation: int, make_video: Callable[..., Path], drawn: Callable[..., np.ndarray]) -> None:
    upright = (160, 96) if rotation in (90, 270) else (96, 160)
    pictures = [drawn(5, *upright)]
    path = make_video("a.mp4", pictures, frames=1, rotation=rotation, size=(96, 160), pix_fmt="yuv444p", options={"crf": "1"})
    with open_video(path) as reader:
        frame = next(reader.read())
    assert (reader.height, reader.width) == upright == frame.rgb().shape[:2] == frame.gray().shape
    assert np.abs(frame.rgb().astype(int) - pictures[0]).mean() < 2
    box = (10, 7, 71, 60)
    assert np.array_equal(frame.rgb(box), frame.rgb()[7:60, 10:71])
    assert frame.gray(48).shape == (48, round(upright[1] * 48 / upright[0]))
    assert (frame.native.height, frame.native.width) == (96, 160)


def test_a_mirrored_picture_is_upright_and_keeps_its_matrix(make_video: Callable[..., Path], tmp_path: Path) -> None:
    source, mirrored = make_video("a.mp4", frames=2), tmp_path / "b.mp4"
    with av.open(str(source)) as given, av.open(str(mirrored), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.height, stream.width = 96, 160
        stream.set_display_rotation(0, hflip=True)
        for frame in given.decode(video=0):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with open_video(mirrored) as reader:
        assert reader.rotation == 0
        assert reader.display_matrix is not None
        assert reader.display_matrix[0] < 0


def test_the_first_of_two_pictures_at_one_time_is_kept_apart(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    """Times that do not grow are nudged, so that a table of them can be searched."""
    source, path = make_video("a.mp4", frames=12, gop=1), tmp_path / "b.mkv"
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for i, packet in enumerate(packet for packet in given.demux(video=0) if packet.size):
            packet.pts = packet.dts = max(0, (i if i != 5 else 4)) * 512
            packet.stream = stream
            output.mux(packet)
    times = table(path)
    assert len(times) == 12
    assert (np.diff(times) > 0).all()
    with open_video(path, times) as reader:
        assert [frame.index for frame in reader.read(3, 8)] == [3, 4, 5, 6, 7]


def _spoil(source: Path, target: Path, spoilt: set[int]) -> None:
    """Copy a clip with the payload of some packets replaced."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for i, packet in enumerate(packet for packet in given.demux(video=0) if packet.size):
            if i in spoilt:
                fresh = av.Packet(b"\x00" * 40)
                fresh.pts, fresh.dts, fresh.time_base, fresh.duration = packet.pts, packet.dts, packet.time_base, packet.duration
                packet = fresh
            packet.stream = stream
            output.mux(packet)


def test_a_few_broken_packets_are_skipped_and_counted(
    tmp_path: Path, make_video: Callable[..., Path], number_in: Callable[..., int]
) -> None:
    good, bad = make_video("a.mkv", codec="mpeg4", options={"q": "3"}, gop=1), tmp_path / "bad.mkv"
    _spoil(good, bad, {4, 5, 17})
    with open_video(bad) as reader:
        frames = list(reader.read())
        assert len(reader.damage) == 3
    assert [number_in(frame.rgb()) for frame in frames] == [i for i in range(30) if i not in (4, 5, 17)]
    assert [frame.time for frame in frames] == [Fraction(i, 25) for i in range(30) if i not in (4, 5, 17)]


def test_many_broken_packets_in_a_row_are_an_error(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    good, bad = make_video("a.mkv", codec="mpeg4", options={"q": "3"}, gop=1), tmp_path / "bad.mkv"
    _spoil(good, bad, set(range(10, 18)))
    with open_video(bad) as reader, pytest.raises(MediaError, match="8 times in a row"):
        list(reader.read())


def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(make_video: Callable[..., Path], number_in: Callable[..., int]) -> None:
    path = make_video("a.mkv", gop=1, options={"preset": "ultrafast"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_video(path) as reader:
        numbers = [number_in(frame.rgb()) for frame in reader.read()]
    assert 5 < len(numbers) < 30
    assert numbers[:-1] == list(range(len(numbers) - 1))


def test_a_cut_off_mp4_with_its_index_in_front_is_read(make_video: Callable[..., Path], tmp_path: Path) -> None:
    source, path = make_video("a.mp4", gop=1, options={"preset": "ultrafast"}), tmp_path / "b.mp4"
    with av.open(str(source)) as given, av.open(str(path), "w", options={"movflags": "faststart"}) as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with open_video(path) as reader:
        assert 5 < len(list(reader.read())) < 30


def test_a_change_of_size_is_an_error(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    parts = [make_video(f"{i}.ts", frames=5, size=size, options=FAST) for i, size in enumerate([(96, 160), (128, 176)])]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(joined) as reader, pytest.raises(MediaError, match="160 x 96 to 176 x 128"):
        list(reader.read())


def test_reading_from_the_middle_needs_the_times(make_video: Callable[..., Path]) -> None:
    with open_video(make_video()) as reader, pytest.raises(ValueError, match="times"):
        next(reader.read(5))


def test_a_table_of_another_file_is_an_error(make_video: Callable[..., Path]) -> None:
    """A table of another file never yields frames under wrong numbers."""
    path = make_video(gop=30)
    with open_video(path, np.arange(30, dtype=np.int64) * 100) as reader, pytest.raises(MediaError, match="does not know"):
        list(reader.read(10, 20))


def test_two_reads_go_on_side_by_side(make_video: Callable[..., Path]) -> None:
    path = make_video()
    with open_video(path, table(path)) as reader:
        pairs = [(one.index, two.index) for one, two in zip(reader.read(0, 10), reader.read(15, 25), strict=True)]
    assert pairs == [(i, i + 15) for i in range(10)]


class TestBadInput:
    def refuse(self, path: Path, match: str) -> None:
        with pytest.raises(MediaError, match=match) as caught:
            open_video(path)
        assert caught.value.hint

    def test_missing(self, tmp_path: Path) -> None:
        self.refuse(tmp_path / "no.mp4", "There is no")

    def test_folder(self, tmp_path: Path) -> None:
        self.refuse(tmp_path, "is a folder")

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").touch()
        self.refuse(tmp_path / "a.mp4", "is empty")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_unreadable(self, make_video: Callable[..., Path]) -> None:
        path = make_video()
        path.chmod(0)
        self.refuse(path, "Permission denied")

    def test_text(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").write_text("This is no video.\n" * 50)
        self.refuse(tmp_path / "a.mp4", "cannot be read")

    def test_no_index(self, make_video: Callable[..., Path]) -> None:
        path = make_video("a.mp4")
        data = path.read_bytes()
        path.write_bytes(data[: data.index(b"moov") - 4])
        self.refuse(path, "cannot be read")

    def test_sound_only(self, make_sound: Callable[..., Path], speaking: Callable[..., np.ndarray]) -> None:
        self.refuse(make_sound("a.wav", speaking(0.5)), "only sound")

    def test_cover_art_is_no_video(self, tmp_path: Path, make_sound: Callable[..., Path], speaking: Callable[..., np.ndarray]) -> None:
        sound, path = make_sound("a.m4a", speaking(0.5), codec="aac"), tmp_path / "covered.m4a"
        picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), "rgb24")
        with av.open(str(sound)) as given, av.open(str(path), "w", format="mp4") as output:
            audio = output.add_stream_from_template(given.streams.audio[0])
            cover = output.add_stream("png", rate=1)
            cover.width = cover.height = 64
            cover.pix_fmt = "rgb24"
            cover.disposition = av.stream.Disposition.attached_pic
            output.mux(cover.encode(picture))
            for packet in given.demux(audio=0):
                if packet.size:
                    packet.stream = audio
                    output.mux(packet)
        with av.open(str(path)) as made:
            assert made.streams.video
        self.refuse(path, "only sound")

    @pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
    def test_playlist(self, name: str, tmp_path: Path, make_video: Callable[..., Path]) -> None:
        part = make_video("part.ts", options=FAST)
        text = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.2,\n{part}\n#EXT-X-ENDLIST\n"
        (tmp_path / name).write_text(text)
        self.refuse(tmp_path / name, "list of other files|cannot be read")

    def test_concat_list(self, tmp_path: Path, make_video: Callable[..., Path]) -> None:
        make_video("part.mp4")
        (tmp_path / "a.ffconcat").write_text("ffconcat version 1.0\nfile part.mp4\n")
        self.refuse(tmp_path / "a.ffconcat", "list of other files|cannot be read")

    def test_a_name_with_a_pattern_does_not_reach_other_files(self, tmp_path: Path, make_video: Callable[..., Path]) -> None:
        picture = make_video("0.png", codec="png", pix_fmt="rgb24", frames=1).read_bytes()
        for name in ("a1.png", "a2.png", "a%d.png"):
            (tmp_path / name).write_bytes(picture)
        self.refuse(tmp_path / "a%d.png", "list of other files")

    def test_reference_to_the_network_in_a_file_is_not_followed(self, make_video: Callable[..., Path]) -> None:
        """A QuickTime file may say that its data lies under a URL; FFmpeg must not fetch it."""
        path = make_video("a.mov", frames=3)
        data = path.read_bytes()
        place = data.index(b"url \x00\x00\x00\x01")
        # The flag 1 says "in this file"; 0 and a name say "elsewhere".
        path.write_bytes(data[: place + 7] + b"\x00" + data[place + 8 :])
        with open_video(path) as reader:
            assert len(list(reader.read())) in (0, 3)

    def test_a_name_that_looks_like_a_url_is_a_file(self, tmp_path: Path, make_video: Callable[..., Path]) -> None:
        path = make_video("a.mp4").rename(tmp_path / "http:a%d.mp4")
        with open_video(path) as reader:
            assert len(list(reader.read())) == 30

    def test_a_huge_atom_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").write_bytes(struct.pack(">I4sIQ", 1, b"moov", 0, 1 << 60) + b"\x00" * 64)
        self.refuse(tmp_path / "a.mp4", "a.mp4")


@pytest.mark.parametrize("name", ["test/mcgurk_1.mp4", "test/grid_s2_1.mpg", "test/seat_t1_1.mkv", "test/presenter_b_1.mp4"])
def test_real_footage_is_read_alike_from_everywhere(name: str, shared_clips: Path) -> None:
    path = shared_clips / name
    with open_video(path) as reader:
        whole = {frame.index: (frame.pts, hash(b"".join(planes(frame)))) for frame in reader.read(0, 70)}
        assert len(reader.damage) == 0
    count = len(whole)
    with open_video(path, table(path)) as reader:
        for start in (count // 3, count - 2):
            assert {f.index: (f.pts, hash(b"".join(planes(f)))) for f in reader.read(start, count)} == {
                i: whole[i] for i in range(start, count)
            }
