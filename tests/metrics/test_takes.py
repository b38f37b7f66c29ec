"""What is taken for true, and where stills come from."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from redub.choices import LandmarkModel
from redub.config import Config
from redub.errors import MediaError, NoFaceError
from redub.faces.crop import take_crop
from redub.faces.geometry import apply_similarity
from redub.faces.landmarks import mouth_openness
from redub.media import open_video
from redub.metrics import Recording
from redub.metrics.takes import find_take, sort_by_speaker, take_stills
from redub.plugin import Mode

MODE = Mode(input_px=64, output_px=64)


def test_a_take_is_the_whole_stretch_with_its_truth(takes):
    take = takes[0]
    assert (take.start, take.stop, len(take)) == (0, 60, 60)
    track = take.plan.track(take.track)
    np.testing.assert_allclose(take.gap, mouth_openness(track.points))
    np.testing.assert_allclose(apply_similarity(take.similarities, take.points), track.points, atol=1e-3)
    assert [float(time) for time in take.times] == pytest.approx([i / 25 for i in range(61)])
    np.testing.assert_allclose(take.middles_s, (np.arange(60) + 0.5) / 25)


def test_speech_is_where_the_demo_speaks(takes):
    # The demo's voice begins with its frame 10 and pauses from its frame 49 to 58; the clip begins with frame 8.
    assert not takes[0].is_speech[:2].any()
    assert takes[0].is_speech[4:15].all()
    assert not takes[0].is_speech[42:50].any()


def test_the_rendered_mouth_is_closed_where_it_is_silent(takes):
    gap, is_speech = takes[0].gap, takes[0].is_speech
    assert np.median(gap[~is_speech]) + 0.05 < np.median(gap[is_speech])


def test_a_part_is_the_same_frames(takes):
    part = takes[0].part(20, 50)
    assert (part.start, part.stop, len(part)) == (20, 50, 30)
    np.testing.assert_array_equal(part.gap, takes[0].gap[20:50])
    np.testing.assert_array_equal(part.similarities, takes[0].similarities[20:50])
    assert part.times == takes[0].times[20:51]
    assert part.part(5, 10).start == 25
    assert takes[0].name() == takes[0].recording.path.name
    assert part.name().endswith("[20:50]")


def test_stills_come_from_the_part_that_is_allowed_and_open_more_and_more(takes):
    part = takes[0].part(0, 30)
    stills = take_stills([part], MODE, 5)
    with open_video(part.recording.path, part.plan.pts) as reader:
        crops = [take_crop(frame, part.similarities[frame.index], 64) for frame in reader.read(0, 30)]
    places = [[np.array_equal(still, crop) for crop in crops].index(True) for still in stills]
    assert (np.diff(part.gap[places]) >= 0).all()
    assert part.gap[places[-1]] > part.gap[places[0]] + 0.05


def test_stills_come_from_the_longest_take(takes):
    np.testing.assert_array_equal(take_stills([takes[0].part(0, 20), takes[1]], MODE, 5), take_stills([takes[1]], MODE, 5))


def test_a_plan_beside_the_video_is_used_if_it_fits_and_nothing_is_written(takes, talking, tmp_path):
    video = tmp_path / "film.mkv"
    shutil.copyfile(talking[0], video)
    plan = takes[0].plan
    edited = replace(plan, speaking=(replace(plan.speaking[0], start=10, stop=40),))
    edited.save(tmp_path / "film.mkv.redub")
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    assert (find_take(Recording(path=video, speaker="a"), Config()).start, 40) == (10, 40)
    other = Config().set("crops.smoothing_s=0.2")
    assert find_take(Recording(path=video, speaker="a"), other).start == 0
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_a_damaged_plan_beside_the_video_is_passed_over(talking, tmp_path):
    video = tmp_path / "film.mkv"
    shutil.copyfile(talking[0], video)
    (tmp_path / "film.mkv.redub").mkdir()
    (tmp_path / "film.mkv.redub" / "plan.json").write_text("{")
    assert len(find_take(Recording(path=video, speaker="a"), Config())) == 60


def test_a_stretch_that_is_too_short_is_refused(takes, talking, tmp_path):
    video = tmp_path / "film.mkv"
    shutil.copyfile(talking[0], video)
    plan = takes[0].plan
    replace(plan, speaking=(replace(plan.speaking[0], start=10, stop=20),)).save(tmp_path / "film.mkv.redub")
    with pytest.raises(NoFaceError, match=r"film\.mkv"):
        find_take(Recording(path=video, speaker="a"), Config())


def test_a_recording_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("text")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        find_take(Recording(path=tmp_path / "text.mp4", speaker="a"), Config())


def test_takes_are_grouped_by_speaker_in_order(takes):
    other = replace(takes[0], recording=replace(takes[0].recording, speaker="ann"))
    assert {name: [take.recording.path.name for take in own] for name, own in sort_by_speaker([takes[1], other, takes[0]]).items()} == {
        "ann": ["talk0.mkv"],
        "head": ["talk0.mkv", "talk1.mkv"],
    }


def test_another_model_reads_the_same_mouth_off_the_same_frames(takes, talking):
    other = find_take(Recording(path=talking[0], speaker="head"), Config(), LandmarkModel.DLIB)
    # A word serves as well, as from a table of options.
    assert find_take(Recording(path=talking[0], speaker="head"), Config(), "own").read_by is LandmarkModel.OWN  # type: ignore[arg-type]
    assert (other.read_by, takes[0].read_by) == (LandmarkModel.DLIB, LandmarkModel.OWN)
    np.testing.assert_array_equal(other.similarities, takes[0].similarities)
    assert np.abs(other.points - takes[0].points).max() > 1e-3
    assert np.corrcoef(other.gap, takes[0].gap)[0, 1] > 0.8
