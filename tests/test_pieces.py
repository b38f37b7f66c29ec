"""A piece holds the crops that painting would see, each at its true time in the sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from redub.faces.crop import take_crop
from redub.faces.geometry import apply_similarity
from redub.media import open_speech, open_video
from redub.pieces import LEAD, follow_course, take_crops, take_piece
from redub.plan import Plan, Source
from redub.types import CropPath, Shot, Speaking, Track, VideoFacts

SOUND_HZ, COUNT, START = 16000, 30, 4
STRETCH = Speaking(track=7, start=10, stop=22)


@pytest.fixture(params=["25 fps", "variable rate"])
def talk(request, tmp_path) -> tuple[Path, Plan]:
    """A video with a click of sound at the beginning of frame 12."""
    if request.param == "25 fps":
        time_base, ticks = Fraction(1, 25), np.arange(COUNT)
    else:
        time_base, ticks = Fraction(1, 1000), np.cumsum(np.resize([33, 50, 41, 120], COUNT))
    ticks = ticks - ticks[0]
    random, path = np.random.default_rng(0), tmp_path / "talk.mkv"
    samples = np.zeros(SOUND_HZ * 3, np.int16)
    samples[round(float(ticks[12] * time_base) * SOUND_HZ)] = 20000
    with av.open(str(path), "w") as out:
        picture = out.add_stream("ffv1", rate=25)
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        picture.codec_context.time_base = time_base
        sound = out.add_stream("pcm_s16le", rate=SOUND_HZ, layout="mono")
        for tick in ticks:
            noise = random.integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            frame = av.VideoFrame.from_ndarray(noise, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = int(tick), time_base
            out.mux(picture.encode(frame))
        out.mux(picture.encode())
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate = SOUND_HZ
        out.mux(sound.encode(frame))
        out.mux(sound.encode())
    return path, make_plan(path, random)


def make_plan(path: Path, random: np.random.Generator) -> Plan:
    with open_video(path) as reader:
        pts, base = np.array([frame.pts for frame in reader.read()]), reader.time_base
    count = COUNT - START
    rows = np.stack([np.full(count, np.log(30.0)), 0.1 * random.normal(size=count), np.linspace(10, 50, count), np.full(count, 12.0)], 1)
    points = apply_similarity(rows, random.uniform(0, 1, (count, 68, 2))).astype(np.float32)
    track = Track(id=7, start=START, boxes=np.zeros((count, 4), np.float32), points=points, is_measured=np.ones(count, bool))
    return Plan(
        source=Source(name=path.name, size_bytes=1, sha256="0" * 64),
        facts=VideoFacts(
            height=64, width=96, frames=COUNT, frame_rate=Fraction(25), is_variable_rate=False,
            duration=Fraction(int(pts[-1] - pts[0])) * base + Fraction(1, 8),
        ),
        pts=pts, time_base=base, shots=(Shot(start=0, stop=COUNT),), tracks=(track,),
        crops=(CropPath(track=7, start=START, similarities=rows, references=(START,)),),
        speaking=(STRETCH,), settings={},
    )  # fmt: skip


def test_a_piece_is_what_painting_would_see(talk):
    path, plan = talk
    with open_speech(path, SOUND_HZ) as sound:
        piece = take_piece(plan, path, sound, STRETCH, 24)
    with open_video(path) as reader:
        frames = [frame for frame in reader.read() if STRETCH.start <= frame.index < STRETCH.stop]
    rows = plan.crops[0].similarities[STRETCH.start - START : STRETCH.stop - START]
    assert np.array_equal(piece.crops, np.stack([take_crop(frame, row, 24) for frame, row in zip(frames, rows, strict=True)]))
    there = plan.tracks[0].points[STRETCH.start - START : STRETCH.stop - START]
    assert np.allclose(apply_similarity(rows, piece.points), there, atol=1e-3)
    assert (piece.crops.dtype, piece.points.dtype, piece.speech.dtype) == (np.uint8, np.float32, np.float32)
    assert not piece.is_held_out


def test_every_frame_stands_at_its_true_middle_in_the_sound(talk):
    path, plan = talk
    with open_speech(path, SOUND_HZ) as sound:
        course = follow_course(plan, sound, STRETCH)
    times = [(int(tick) - int(plan.pts[0])) * plan.time_base for tick in plan.pts]
    lengths = np.diff([float(time) for time in times[STRETCH.start : STRETCH.stop + 1]])
    assert np.allclose(np.diff([float(time) for time in course.starts]), lengths)
    click = np.abs(course.speech).argmax() / SOUND_HZ
    # Frame 12 begins at the click; its middle is half its length later.
    assert click == pytest.approx(float(course.starts[2]), abs=1 / SOUND_HZ)
    assert course.times_s[2] - click == pytest.approx(lengths[2] / 2, abs=1 / SOUND_HZ)
    assert course.times_s[0] - lengths[0] / 2 == pytest.approx(float(LEAD), abs=1 / SOUND_HZ)
    assert len(course.speech) / SOUND_HZ == pytest.approx(float(course.starts[-1] + LEAD), abs=1 / SOUND_HZ)


def test_the_last_frame_of_a_video_lasts_to_its_end(talk):
    path, plan = talk
    with open_speech(path, SOUND_HZ) as sound:
        course = follow_course(plan, sound, Speaking(track=7, start=COUNT - 3, stop=COUNT))
    assert len(course.starts) == 4
    assert course.starts[-1] - course.starts[-2] == Fraction(1, 8)


def test_the_first_frames_have_silence_before_them(talk):
    path, plan = talk
    with open_speech(path, SOUND_HZ) as sound:
        course = follow_course(plan, sound, Speaking(track=7, start=START, stop=START + 2))
        assert course.times_s[0] > 0
        assert not course.speech[: round(float(course.starts[0]) * SOUND_HZ)].any()


def test_crops_come_one_by_one(talk):
    path, plan = talk
    crops = take_crops(plan, path, STRETCH, 16)
    assert next(crops).shape == (16, 16, 3)
    assert len(list(crops)) == len(STRETCH) - 1
