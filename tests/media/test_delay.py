"""Sound is moved against the picture by just so much, and nothing else of a video changes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redub.errors import MediaError
from redub.media import open_video, probe
from redub.media.delay import delay_sound
from redub.media.mark import SyntheticMark, add_mark, read_mark
from redub.media.sound import Resampler, sound_frames

RATE = 48_000
TICK = {".mp4": 1, ".mov": 1, ".mkv": RATE // 1000, ".webm": RATE // 1000}
"""What a container rounds the times of sound to, in samples: MP4 and QuickTime count samples, Matroska milliseconds."""


def heard(path: Path, number: int = 0) -> np.ndarray:
    """Return (N,) of an audio track, from the first picture on."""
    resampler = Resampler("flt", "mono", RATE)
    frames = [made for frame in (*sound_frames(path, number), None) for made in resampler.push(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def payloads(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def times(path: Path) -> list[tuple[Fraction, Fraction]]:
    """When each picture is shown after the first, and for how long."""
    with open_video(path) as reader:
        return [(frame.time, frame.duration) for frame in reader.read()]


def clicks(seconds: float, places_s: list[float]) -> np.ndarray:
    """Return (1, N): short bursts at these times."""
    samples = np.zeros((1, round(seconds * RATE)), np.float32)
    for place in places_s:
        first = round(place * RATE)
        samples[0, first : first + 96] = 0.8 * np.cos(np.arange(96) * 1.1) * np.hanning(96)
    return samples


def click_times(path: Path) -> list[float]:
    """Return when bursts are loudest, in seconds."""
    power = np.convolve(heard(path) ** 2, np.hanning(96), "same")
    found = []
    while power.max() > 0.5:
        place = int(power.argmax())
        found.append(place / RATE)
        power[max(place - RATE // 20, 0) : place + RATE // 20] = 0
    return sorted(found)


@pytest.fixture
def make(make_video: Any, speaking: Any) -> Callable[..., Path]:
    """Make a talking clip in the container that a suffix names."""

    def made(suffix: str, samples: np.ndarray | None = None, *, sound: str = "", rate: Fraction = Fraction(25), **recipe: Any) -> Path:
        samples = speaking(1.3) if samples is None else samples
        sound = sound or ("libopus" if suffix == ".webm" else "aac")
        picture: dict[str, Any] = {"codec": "libx264", "options": {"preset": "ultrafast", "bf": "2"}}
        if suffix == ".webm":
            picture = {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}
        sounds = recipe.pop("sounds", [{"samples": samples, "codec": sound}])
        path: Path = make_video(f"made{suffix}", frames=round(1.3 * rate), rate=rate, sounds=sounds, **{**picture, **recipe})
        return path

    return made


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50)], ids=str)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_clicks_are_heard_just_so_much_later_or_earlier(suffix: str, rate: Fraction, make: Any, tmp_path: Path) -> None:
    source = make(suffix, clicks(1.3, [0.45, 0.85]), rate=rate)
    before, pictures, shown = click_times(source), payloads(source), times(source)
    assert before == pytest.approx([0.45, 0.85], abs=0.003)
    for number, offset_s in enumerate([0.2, -0.2, float(1 / rate), -0.0137, 0.00271]):
        target = tmp_path / f"{number}{suffix}"
        assert delay_sound(source, target, offset_s) == ()
        # Finding a click in what was decoded is good to a sample; the container rounds by half of its tick.
        assert click_times(target) == pytest.approx([time + offset_s for time in before], abs=(TICK[suffix] + 1) / RATE)
        assert payloads(target) == pictures
        assert times(target) == shown


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_any_move_is_exact_to_the_tick(suffix: str, make: Any, lag_of: Any, tmp_path: Path) -> None:
    source = make(suffix)
    before = heard(source)

    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @example(offset=Fraction(0))
    @given(offset=st.fractions(Fraction(-6, 10), Fraction(3, 2), max_denominator=100_000))
    def check(offset: Fraction) -> None:
        delay_sound(source, tmp_path / f"moved{suffix}", offset, force=True)
        after = heard(tmp_path / f"moved{suffix}")
        assert abs(lag_of(after, before) - offset * RATE) <= TICK[suffix] + 1

    check()


@pytest.mark.parametrize(("suffix", "codec"), [
    (".mov", "pcm_s16le"), (".mkv", "flac"), (".mkv", "libmp3lame"), (".mp4", "libmp3lame"), (".mp4", "libopus"), (".mkv", "ac3"),
])  # fmt: skip
def test_other_sound_moves_as_exactly(suffix: str, codec: str, make: Any, lag_of: Any, tmp_path: Path) -> None:
    source = make(suffix, sound=codec)
    before = heard(source)
    for number, offset_s in enumerate([0.1003, -0.1003]):
        target = tmp_path / f"{number}{suffix}"
        delay_sound(source, target, offset_s)
        assert abs(lag_of(heard(target), before) - offset_s * RATE) <= TICK[suffix] + 1
        with av.open(str(source)) as one, av.open(str(target)) as other:
            assert other.streams.audio[0].codec_context.name == one.streams.audio[0].codec_context.name


def alike(found: np.ndarray, wanted: np.ndarray, slack: int) -> float:
    """Return the best correlation within so many samples."""
    middle = found[slack : len(found) - slack]
    return max(np.corrcoef(middle, wanted[slack + i :][: len(middle)])[0, 1] for i in range(-slack, slack + 1))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_what_is_heard_is_the_old_sound_after_silence_or_from_the_cut_on(suffix: str, make: Any, tmp_path: Path) -> None:
    source = make(suffix)
    before, shift, slack = heard(source), RATE // 4, TICK[".mkv"]
    delay_sound(source, tmp_path / f"late{suffix}", 0.25)
    delay_sound(source, tmp_path / f"early{suffix}", -0.25)
    late, early = heard(tmp_path / f"late{suffix}"), heard(tmp_path / f"early{suffix}")
    # An encoder's lead-in of one packet, nearly silent, may be heard before delayed sound.
    assert np.abs(late[: shift - 1024 - 48]).max() == 0
    assert np.abs(late[: shift - 48]).max() < 0.05 < np.abs(before[:480]).max()
    assert len(late) - len(before) == pytest.approx(shift, abs=48)
    assert len(early) - len(before) == pytest.approx(-shift, abs=48)
    # The first packets are decoded as they were: without their predecessors they would be a third of it.
    assert alike(late[shift:][:2048], before[:2048], slack) > 0.9
    assert alike(early[:2048], before[shift:][:2048], slack) > 0.9


@pytest.mark.parametrize(("first", "second"), [(0.2, 0.11), (-0.2, -0.11), (0.2, -0.11), (0.3, -0.3)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_moving_twice_is_moving_by_the_sum(suffix: str, first: float, second: float, make: Any, lag_of: Any, tmp_path: Path) -> None:
    source = make(suffix)
    delay_sound(source, tmp_path / f"once{suffix}", first)
    delay_sound(tmp_path / f"once{suffix}", tmp_path / f"twice{suffix}", second)
    assert abs(lag_of(heard(tmp_path / f"twice{suffix}"), heard(source)) - (first + second) * RATE) <= TICK[suffix] + 2
    assert payloads(tmp_path / f"twice{suffix}") == payloads(source)


@pytest.mark.parametrize("starts", [(20, 0.0), (0, 0.3), (20, 0.8), (15, 1.1)], ids=str)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_file_whose_streams_begin_late_keeps_their_distance(
    suffix: str, starts: tuple[int, float], make: Any, lag_of: Any, speaking: Any, tmp_path: Path
) -> None:
    picture, sound = starts
    source = make(
        suffix,
        sounds=[{"samples": speaking(2.0), "codec": "aac", "start": sound}],
        pts=[picture + i for i in range(32)],
        time_base=Fraction(1, 25),
    )
    before = heard(source)
    for number, offset_s in enumerate([0.15, -0.15]):
        target = tmp_path / f"{number}{suffix}"
        delay_sound(source, target, offset_s)
        assert abs(lag_of(heard(target), before) - offset_s * RATE) <= TICK[suffix] + 1
        assert times(target) == times(source)


@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_everything_else_is_kept(suffix: str, target: str, make: Any, speaking: Any, lag_of: Any, tmp_path: Path) -> None:
    mark = SyntheticMark(generator="echo", weights_sha256=("0" * 64,), redub_version="9")
    source = make(
        suffix, rotation=90, sample_aspect=Fraction(4, 3), colour=(1, 1, 1, 1), subtitles="mov_text" if suffix == ".mp4" else "subrip",
        sounds=[{"samples": speaking(1.3), "tags": {"language": "deu"}}, {"samples": speaking(1.3, seed=5), "tags": {"language": "fra"}}],
        tags=add_mark({"title": "A talk", "comment": "mine"}, mark),
        chapters=[(Fraction(0), Fraction(1, 2), "a"), (Fraction(1, 2), Fraction(1), "b")],
    )  # fmt: skip
    made = tmp_path / f"out{target}"
    assert delay_sound(source, made, -0.1) == ()
    old, new = probe(source), probe(made)
    kinds = ("video", "audio", "subtitle")
    assert [(one.kind, one.detail) for one in new.streams if one.kind in kinds] == [
        (one.kind, one.detail) for one in old.streams if one.kind in kinds
    ]
    language = {"deu": "ger"} if target == ".mov" else {}
    assert [one.language for one in new.streams if one.kind == "audio"] == [language.get("deu", "deu"), "fra"]
    assert (new.chapters, new.tags["title"], read_mark(made)) == (2, "A talk", mark)
    for number in (0, 1):
        assert abs(lag_of(heard(made, number), heard(source, number)) + RATE // 10) <= max(TICK[suffix], TICK[target]) + 1
    with av.open(str(made)) as container:
        texts = [packet for packet in container.demux(subtitles=0) if packet.size > 2]
        assert [round(float(one.pts * one.time_base), 3) for one in texts] == [0.2, 0.7]
        assert [round(float(one["start"] * one["time_base"]), 3) for one in container.chapters()] == [0, 0.5]
        assert container.streams.video[0].average_rate == 25
    assert times(made) == times(source)


def test_sound_that_the_container_does_not_take_is_encoded_once_and_moved(make: Any, speaking: Any, lag_of: Any, tmp_path: Path) -> None:
    quick = {"deadline": "realtime", "cpu-used": "8"}
    source = make(".mkv", sounds=[{"samples": speaking(1.3), "codec": "aac"}], codec="libvpx-vp9", options=quick)
    for number, offset_s in enumerate([0.1, -0.1]):
        target = tmp_path / f"{number}.webm"
        (notice,) = delay_sound(source, target, offset_s)
        assert "aac to libopus" in notice
        assert abs(lag_of(heard(target), heard(source)) - offset_s * RATE) <= TICK[".webm"] + 1


def test_a_variable_rate_stays_as_it_is(make: Any, tmp_path: Path) -> None:
    ticks = [0, 40, 50, 130, 131, 170, 400, 433, 800]
    for suffix in (".mkv", ".mp4"):
        source = make(suffix, pts=ticks, time_base=Fraction(1, 1000))
        delay_sound(source, tmp_path / f"out{suffix}", 0.04)
        assert [time for time, _ in times(tmp_path / f"out{suffix}")] == [Fraction(tick, 1000) for tick in ticks]


def test_real_footage_of_an_old_container_is_repaired_into_a_new_one(shared_clips: Path, lag_of: Any, tmp_path: Path) -> None:
    source = next((shared_clips / "test").glob("grid_*.mpg"))
    for suffix in (".mkv", ".mp4"):
        delay_sound(source, tmp_path / f"out{suffix}", 0.12)
        assert times(tmp_path / f"out{suffix}") == times(source)
        assert abs(lag_of(heard(tmp_path / f"out{suffix}"), heard(source)) - 0.12 * RATE) <= TICK[suffix] + 2


def test_pictures_of_a_kind_are_tagged_as_they_were(make: Any, tmp_path: Path) -> None:
    """Some players show H.265 only under the one of its two names."""
    path = make(".mp4")
    with av.open(str(path)) as container:
        tag = container.streams.video[0].codec_context.codec_tag
    delay_sound(path, tmp_path / "out.mp4", 0.1)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == tag


def test_times_that_a_file_does_not_hold_are_not_guessed(make: Any, tmp_path: Path) -> None:
    """AVI counts pictures in the order in which they are decoded; where that is another than theirs, it is not known."""
    with pytest.raises(MediaError, match="does not say when"):
        delay_sound(make(".avi", sound="libmp3lame"), tmp_path / "out.mkv", 0.1)
    source = make(".avi", sound="libmp3lame", codec="mpeg4", options={})
    delay_sound(source, tmp_path / "out.mkv", 0.1)
    assert times(tmp_path / "out.mkv") == times(source)


@pytest.mark.parametrize(
    ("suffix", "codec", "sound"), [(".ts", "libx264", "aac"), (".flv", "libx264", "aac"), (".mpg", "mpeg2video", "mp2")]
)
def test_other_containers_are_repaired_into_those_that_can_be_written(
    suffix: str, codec: str, sound: str, make: Any, lag_of: Any, tmp_path: Path
) -> None:
    """A transport stream begins at 1.4 s, and its pictures and sound are packed otherwise than in MP4."""
    options = {"preset": "ultrafast", "bf": "2"} if codec == "libx264" else {}
    source = make(suffix, sound=sound, codec=codec, options=options)
    for target in (tmp_path / "out.mkv", tmp_path / "out.mp4"):
        delay_sound(source, target, 0.2)
        assert [time for time, _ in times(target)] == pytest.approx([time for time, _ in times(source)], abs=0.001)
        assert abs(lag_of(heard(target), heard(source)) - 0.2 * RATE) <= TICK[".mkv"] + 1


def test_nothing_is_replaced_without_being_asked_and_nothing_half_written_is_left(make: Any, tmp_path: Path) -> None:
    source = make(".mp4")
    target = tmp_path / "out.mp4"
    target.write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        delay_sound(source, target, 0.1)
    assert target.read_bytes() == b"mine"
    with pytest.raises(MediaError, match="one of the inputs"):
        delay_sound(source, source, 0.1, force=True)
    with pytest.raises(MediaError, match="None of the sound"):
        delay_sound(source, target, -30, force=True)
    assert target.read_bytes() == b"mine"
    delay_sound(source, target, 0.1, force=True)
    assert payloads(target) == payloads(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.mp4", "out.mp4"]


@pytest.mark.parametrize("offset_s", [float("nan"), float("inf"), 4000.0])
def test_an_impossible_move_is_refused(offset_s: float, make: Any, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be moved by"):
        delay_sound(make(".mp4"), tmp_path / "out.mp4", offset_s)


def test_a_video_without_sound_is_refused(make: Any, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="holds no sound"):
        delay_sound(make(".mp4", sounds=[]), tmp_path / "out.mp4", 0.1)


def test_a_container_that_cannot_hold_the_picture_is_named(make: Any, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot hold the picture") as caught:
        delay_sound(make(".mp4"), tmp_path / "out.webm", 0.1)
    assert ".mkv" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["made.mp4"]
