"""`echo` paints back what it was given: whatever else changes is our fault."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import redub
from redub.plan import Plan
from redub.types import Fit


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times(frames: list[av.VideoFrame]) -> list[Fraction]:
    return [(frame.pts - frames[0].pts) * frame.time_base for frame in frames]


def luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    dtype = np.uint8 if plane.line_size < 2 * plane.width else np.uint16
    rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    return rows[:, : plane.width].astype(int)


def inside(plan: Plan, index: int, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) True within the crop's quadrilateral of the face that is painted in this frame, and 2 px around it."""
    found = np.zeros(shape, bool)
    for one in plan.speaking:
        if one.start <= index < one.stop:
            path = plan.crop(one.track)
            row = path.similarities[index - path.start]
            x, y = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
            scale, angle = np.exp(row[0]), row[1]
            dx, dy = x - row[2], y - row[3]
            u, v = (np.cos(angle) * dx + np.sin(angle) * dy) / scale, (-np.sin(angle) * dx + np.cos(angle) * dy) / scale
            edge = 2 / scale
            found |= (u > -edge) & (u < 1 + edge) & (v > -edge) & (v < 1 + edge)
    return found


def check_echo(video: Path, result: redub.Result, *, bound: float = 2.0) -> None:
    source, output = decoded(video), decoded(result.output)
    assert len(output) == len(source) == result.frames
    assert times(output) == times(source)
    assert (output[0].width, output[0].height) == (source[0].width, source[0].height)
    assert output[0].format.name == source[0].format.name
    for name in ("colorspace", "color_primaries", "color_trc"):
        assert getattr(output[0], name) == getattr(source[0], name), name
    # H.264 does not say limited range where nothing else is said: untagged (0) means limited (1).
    assert (output[0].color_range or 1) == (source[0].color_range or 1)
    plan = Plan.load(result.plan)
    differences = []
    for i, (a, b) in enumerate(zip(source, output, strict=True)):
        changed = luma(a) != luma(b)
        where = inside(plan, i, changed.shape)
        assert not changed[~where].any(), f"frame {i} changed outside the crop"
        if where.any():
            differences.append(np.abs(luma(a) - luma(b))[where].mean())
    assert len(differences) == result.painted_frames > 0
    assert np.mean(differences) < bound


def test_demo_comes_back_with_the_new_sound(demo_video, demo_sound, tmp_path, lossless):
    result = redub.redub(
        demo_video,
        demo_sound,
        "echo",
        output=tmp_path / "out.mp4",
        plan=tmp_path / "plan",
        config=lossless.updated({"fit": {"mode": Fit.CUT}}),
    )
    with av.open(str(result.output)) as made, av.open(str(demo_sound)) as sound:
        new, old = made.streams.audio[0], sound.streams.audio[0]
        assert (new.rate, new.channels) == (old.rate, old.channels)


@pytest.mark.parametrize(
    ("name", "step", "time_base"),
    [("ntsc.mp4", 1001, Fraction(1, 30000)), ("film.mkv", 1, Fraction(1, 24)), ("fifty.mp4", 1, Fraction(1, 50))],
)
def test_constant_rates(make_clip, tone, tmp_path, lossless, name, step, time_base):
    video = make_clip(name, [i * step for i in range(40)], time_base)
    result = redub.redub(video, tone(0.5), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=lossless)
    if video.suffix == ".mp4":
        check_echo(video, result)
    assert len(decoded(result.output)) == 40


def test_variable_rate_stays_variable(make_clip, tone, tmp_path, lossless):
    ticks = np.cumsum([0, *([20, 60, 40, 33, 100] * 8)])[:40].tolist()
    video = make_clip("vfr.mp4", ticks, Fraction(1, 1000))
    check_echo(video, redub.redub(video, tone(1.0), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=lossless))


def test_start_offset_is_taken_away_and_sync_kept(make_clip, tone, tmp_path, lossless):
    video = make_clip("late.mp4", [i + 37 for i in range(40)], Fraction(1, 25))
    check_echo(video, redub.redub(video, tone(1.0), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=lossless))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_clips_stay_as_coded(make_clip, tone, tmp_path, lossless, rotation):
    video = make_clip("turned.mp4", range(40), Fraction(1, 25), rotation=rotation)
    result = redub.redub(video, tone(1.0), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=lossless)
    source, output = decoded(video), decoded(result.output)
    assert [frame.rotation for frame in output] == [frame.rotation for frame in source]
    assert source[0].rotation % 360 != 0
    changed = [(luma(a) != luma(b)).mean() for a, b in zip(source, output, strict=True)]
    assert result.painted_frames == 40
    assert 0 < np.mean(changed) < 0.25
    difference = np.mean([np.abs(luma(a) - luma(b)).mean() for a, b in zip(source, output, strict=True)])
    assert difference < 0.5


def test_odd_size_is_kept(make_clip, tone, tmp_path, lossless):
    video = make_clip("odd.mkv", range(40), Fraction(1, 25), crop=(355, 637), codec="ffv1")
    result = redub.redub(video, tone(1.0), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=lossless)
    output = decoded(result.output)
    assert (output[0].width, output[0].height) == (637, 355)


def test_ten_bit_stays_ten_bit(make_clip, tone, tmp_path, lossless):
    video = make_clip("deep.mp4", range(40), Fraction(1, 25), pix_fmt="yuv420p10le")
    result = redub.redub(video, tone(1.0), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=lossless)
    output = decoded(result.output)
    assert output[0].format.name == "yuv420p10le", result.notices


def test_colour_tags_survive(make_clip, tone, tmp_path, lossless):
    # BT.601 625-line, full range: what a decoder that guesses would get wrong at this size.
    video = make_clip(
        "colour.mp4", range(40), Fraction(1, 25), colour={"colorspace": 5, "color_range": 2, "color_primaries": 5, "color_trc": 6}
    )
    check_echo(video, redub.redub(video, tone(1.0), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=lossless))


def test_frames_without_a_face_pass_through(heads, make_clip, tone, tmp_path, lossless):
    slide = np.full_like(heads[0], 235)
    slide[100:120, 80:400] = 20
    black = np.zeros_like(slide)
    pictures = [*heads[:25], *[slide] * 20, *[black] * 10, *heads[:25]]
    video = make_clip("slides.mp4", range(80), Fraction(1, 25), pictures=pictures)
    result = redub.redub(video, tone(1.0), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=lossless)
    check_echo(video, result)
    assert 46 <= result.painted_frames <= 50


@pytest.mark.parametrize("name", ["grid_s30_1.mpg", "seat_t1_1.mkv", "presenter_b_1.mp4", "mcgurk_1.mp4"])
def test_real_clips_come_back(shared_clips, tone, tmp_path, lossless, name):
    video = shared_clips / "test" / name
    # Whether lips suit the sound is another question, and in some of these clips they do not.
    config = replace(lossless, speakers=replace(lossless.speakers, listen=False))
    result = redub.redub(video, tone(1.0), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=config)
    check_echo(video, result)
    with av.open(str(video)) as container:
        assert result.painted_frames > 0.9 * len(list(container.decode(video=0)))


def test_second_language_reuses_the_plan(demo_video, demo_sound, tone, tmp_path, lossless):
    from redub.progress import Recorder

    first, second = Recorder(), Recorder()
    video = tmp_path / "lecture.mp4"
    video.write_bytes(demo_video.read_bytes())
    one = redub.redub(video, demo_sound, "echo", config=lossless, tell=first)
    moved = video.rename(tmp_path / "renamed.mp4")
    one.plan.rename(tmp_path / "renamed.mp4.redub")
    two = redub.redub(moved, tone(2.0), "echo", config=lossless, tell=second)
    assert one.output != two.output
    assert {stage for stage, _, _ in first.told} > {stage for stage, _, _ in second.told} == {"paint"}


def test_a_single_frame_with_a_face_is_painted(make_clip, tone, tmp_path, lossless):
    video = make_clip("one.mp4", [0], Fraction(1, 25))
    result = redub.redub(video, tone(0.04), "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", config=lossless)
    assert (result.frames, result.painted_frames) == (1, 1)
    check_echo(video, result)
