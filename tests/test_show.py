"""Tables and pictures say what is in a plan, a file and the list of plugins."""

import json
import tomllib
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from redub import draw, show
from redub.config import Config, SpeakerConfig
from redub.draw import lanes, paper, sheet
from redub.errors import PlanError, PluginError
from redub.faces.canonical import CANONICAL_FACE
from redub.media.mark import SyntheticMark
from redub.media.probe import FileFacts
from redub.plan import Plan, Source, fingerprint
from redub.testing.clips import face_points
from redub.types import CropPath, Reading, Shot, Speaking, Track, VideoFacts

RATE = 25


def make_track(number, start, frames, size_px=100.0, openness=None, yawed=0, unseen=()):
    """A canonical face of one size; in its first ``yawed`` frames the nose points far to the side."""
    points = np.stack([face_points(value) for value in (np.zeros(frames) if openness is None else openness)]) * size_px + 40
    points[:yawed, 30, 0] += 0.3 * size_px
    measured = np.ones(frames, bool)
    measured[list(unseen)] = False
    boxes = np.tile(np.array([40.0, 40.0, 40 + size_px, 40 + size_px], np.float32), (frames, 1))
    return Track(id=number, start=start, boxes=boxes, points=points.astype(np.float32), is_measured=measured)


def make_plan(tracks, speaking=(), frames=200, cuts=(), source=None, size=(240, 320)):
    edges = [0, *cuts, frames]
    paths = [
        CropPath(
            track=track.id,
            start=track.start,
            similarities=np.tile([np.log(track.boxes[0, 2] - track.boxes[0, 0]), 0.0, 40.0, 40.0], (len(track), 1)),
            references=tuple(track.start + i * len(track) // 5 for i in range(5)),
        )
        for track in tracks
    ]
    return Plan(
        source=source or Source(name="talk.mp4", size_bytes=1, sha256="0" * 64),
        facts=VideoFacts(
            height=size[0], width=size[1], frames=frames, frame_rate=Fraction(RATE), duration=Fraction(frames, RATE), is_variable_rate=False
        ),
        pts=np.arange(frames) * 512,
        time_base=Fraction(1, 12800),
        shots=tuple(Shot(start=a, stop=b) for a, b in pairwise(edges)),
        tracks=tuple(tracks),
        crops=tuple(paths),
        speaking=tuple(speaking),
        settings=Config().analysis_settings(),
    )


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def is_colour(picture, colour, tolerance=40):
    return np.abs(picture - np.array(colour)).max(axis=-1) <= tolerance


def test_a_tracks_line_has_its_times_size_and_shares():
    track = make_track(3, 50, 100, size_px=80, yawed=25, unseen=range(10))
    plan = make_plan([track], [Speaking(track=3, start=60, stop=110)], cuts=(50,))
    (row,) = show.plan_table(plan)["tracks"]
    expected = {
        "id": 3,
        "shot": 2,
        "frames": 100,
        "begin_s": 2.0,
        "length_s": 4.0,
        "face_px": 80,
        "seen": 0.9,
        "frontal": 0.75,
        "speaks": 0.5,
    }
    assert {key: row[key] for key in expected} == pytest.approx(expected)


def test_a_track_to_the_last_frame_lasts_to_the_end_of_the_video():
    (row,) = show.plan_table(make_plan([make_track(1, 150, 50)]))["tracks"]
    assert row["begin_s"] + row["length_s"] == pytest.approx(8.0)


def test_the_printed_plan_names_every_track_and_what_is_painted(capsys):
    tracks = [make_track(number, 20 * number, 60) for number in (1, 2, 7)]
    show.print_plan(make_plan(tracks, [Speaking(track=7, start=140, stop=190)], cuts=(10,)))
    printed = capsys.readouterr().out
    assert "talk.mp4: 320 x 240 px, 200 frames, 25 frames/s, 8.00 s" in printed
    assert "2 shots, 3 face tracks, 25% of frames to paint" in printed
    assert [line.split()[0] for line in printed.splitlines()[3:]] == ["1", "2", "7"]


def test_a_plan_without_faces_is_shown_too(capsys, tmp_path):
    plan = make_plan([])
    show.print_plan(plan)
    assert "0 face tracks, 0% of frames to paint" in capsys.readouterr().out
    assert pixels(draw.timeline(plan, tmp_path / "t.png")).shape[1] == lanes.WIDTH_PX


def lane(picture, row):
    top = 44 + lanes.SHOTS_PX + paper.GAP_PX + row * lanes.LANE_PX
    return picture[top : top + lanes.LANE_PX - 6, lanes.LABEL_PX :]


def test_the_timeline_draws_speaking_where_it_is(tmp_path):
    track = make_track(1, 50, 100)
    plan = make_plan([track], [Speaking(track=1, start=75, stop=100)], cuts=(25,))
    picture = lane(pixels(draw.timeline(plan, tmp_path / "t.png")), 0)
    column = picture[3]  # above the curve of a closed mouth
    scale = (lanes.WIDTH_PX - lanes.LABEL_PX - 20) / 200  # px a frame
    pale, strong = column[round(60 * scale)], column[round(90 * scale)]
    drawn = np.nonzero(is_colour(column, strong, 3))[0]
    assert drawn.min() == pytest.approx(75 * scale, abs=2)
    assert drawn.max() == pytest.approx(100 * scale, abs=2)
    seen = np.nonzero(is_colour(column, strong, 3) | is_colour(column, pale, 3))[0]
    assert seen.min() == pytest.approx(50 * scale, abs=2)
    assert seen.max() == pytest.approx(150 * scale, abs=2)
    assert not is_colour(pale, strong, 10)


def test_the_timelines_curve_rises_where_the_mouth_is_open(tmp_path):
    openness = np.where((np.arange(100) >= 40) & (np.arange(100) < 60), 1.0, 0.0)
    plan = make_plan([make_track(8, 50, 100, openness=openness)])
    picture = lane(pixels(draw.timeline(plan, tmp_path / "t.png")), 0)
    dark = is_colour(picture, [part // 2 for part in lanes.COLOURS[0]], 3)
    scale = (lanes.WIDTH_PX - lanes.LABEL_PX - 20) / 200
    height = [picture.shape[0] - np.nonzero(dark[:, round((50 + i) * scale)])[0].min() for i in (20, 50, 80)]
    assert height[1] > height[0] + 10
    assert height[0] == height[2]


def test_pictures_of_many_tracks_stay_at_a_sane_size_and_say_what_is_left_out(tmp_path):
    tracks = [make_track(number, 0, 20 + number) for number in range(1, 56)]
    plan = make_plan(tracks, [Speaking(track=1, start=0, stop=20)], frames=100_000)
    path = draw.timeline(plan, tmp_path / "t.png")
    picture = pixels(path)
    assert picture.shape[0] < paper.MOST_TRACKS * lanes.LANE_PX + 200
    everything = make_plan(tracks[: paper.MOST_TRACKS], frames=100_000)
    title = pixels(draw.timeline(everything, tmp_path / "all.png"))[8:34]
    assert (picture[8:34] != title).any()  # the note stands there
    # The one that speaks is shown, though it is the shortest.
    assert paper.choose_tracks(plan)[0].id == 1


def test_long_times_are_written_as_people_write_them():
    assert [paper.clock(value) for value in (0, 9.96, 59.94, 59.96, 185.2, 3600, 7384)] == [
        "0.0 s", "10.0 s", "59.9 s", "1:00", "3:05", "1:00:00", "2:03:04",
    ]  # fmt: skip


def test_a_picture_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(PlanError, match="cannot be written"):
        draw.timeline(make_plan([]), tmp_path / "no" / "t.png")


@pytest.fixture
def clip(shared_clips):
    return shared_clips / "test" / "grid_s2_3.mp4"


def clip_plan(clip, frames=75):
    """A face put by hand into the clip's first frames, known to lie where it says."""
    track = make_track(1, 5, 60, size_px=120)
    return make_plan([track], [Speaking(track=1, start=10, stop=60)], frames=frames, source=fingerprint(clip), size=(288, 360))


def test_the_contact_sheet_draws_box_points_and_crop_where_the_plan_has_them(clip, tmp_path):
    plan = clip_plan(clip)
    (page,) = draw.contact_sheet(plan, clip, tmp_path / "sheet.png")
    picture = pixels(page)
    scale = sheet.STILL_SIZE[0] / 288
    still = picture[44 + 28 : 44 + 28 + sheet.STILL_SIZE[0], 12 : 12 + round(360 * scale)]
    nose = np.rint((CANONICAL_FACE[30] * 120 + 40) * scale).astype(int)
    assert is_colour(still[nose[1] - 1 : nose[1] + 2, nose[0] - 1 : nose[0] + 2], sheet.POINTS, 90).any()
    edge = round(40 * scale)
    rows = slice(round(60 * scale), round(140 * scale))
    sides = is_colour(still[rows, edge - 2 : edge + 3], sheet.CROP, 120) | is_colour(still[rows, edge - 2 : edge + 3], sheet.BOX, 120)
    assert sides.any(axis=1).mean() > 0.9


def test_the_contact_sheet_shows_the_registered_crops(clip, tmp_path):
    from redub.faces.crop import take_crop
    from redub.media import open_video

    plan = clip_plan(clip)
    (page,) = draw.contact_sheet(plan, clip, tmp_path / "sheet.png")
    picture = pixels(page)
    with open_video(clip, plan.pts) as reader:
        (frame,) = reader.pick([plan.crops[0].references[-1]])
    crop = take_crop(frame, plan.crops[0].similarities[0], sheet.CROP_PX).astype(int)
    lower = crop[30:]  # what is below its label
    # The fifth crop stands in the second row.
    band = picture[44 + 28 + sheet.CROP_PX + paper.GAP_PX + 30 :][: len(lower)]
    assert any((band[:, left : left + sheet.CROP_PX] == lower).all() for left in range(band.shape[1] - sheet.CROP_PX))


def test_many_tracks_fill_pages(clip, tmp_path):
    tracks = [make_track(number, 2 * number, 30, size_px=120) for number in range(1, sheet.TRACKS_A_PAGE + 3)]
    plan = make_plan(tracks, frames=75, source=fingerprint(clip), size=(288, 360))
    pages = draw.contact_sheet(plan, clip, tmp_path / "sheet.png")
    assert [page.name for page in pages] == ["sheet.png", "sheet-2.png"]
    heights = [pixels(page).shape[0] for page in pages]
    assert heights[0] - 44 == pytest.approx((heights[1] - 44) * sheet.TRACKS_A_PAGE / 2)


def test_show_finds_the_video_beside_the_plan_and_draws(clip, tmp_path, capsys):
    video = tmp_path / "talk.mp4"
    video.write_bytes(clip.read_bytes())
    folder = tmp_path / "talk.mp4.redub"
    clip_plan(clip).save(folder)
    show.show_plan(folder, None, pictures=True, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["tracks"][0]["frames"] == 60
    assert {Path(name).name for name in printed["pictures"]} == {"timeline.png", "contact-sheet.png"}
    assert all(Path(name).stat().st_size > 1000 for name in printed["pictures"])


def test_show_without_the_video_draws_the_timeline_and_says_what_to_do(clip, tmp_path, capsys):
    folder = tmp_path / "elsewhere.redub"
    clip_plan(clip).save(folder)
    show.show_plan(folder, None, pictures=True, as_json=False)
    printed = capsys.readouterr().out
    assert "--video" in printed
    assert (folder / "timeline.png").exists()
    assert not (folder / "contact-sheet.png").exists()


def test_show_refuses_a_video_that_the_plan_was_not_made_for(clip, tmp_path):
    folder = tmp_path / "talk.redub"
    plan = clip_plan(clip)
    replace(plan, source=replace(plan.source, sha256="1" * 64)).save(folder)
    with pytest.raises(PlanError):
        show.show_plan(folder, clip, pictures=True, as_json=False)


def test_a_file_is_shown_with_its_streams_and_without_a_mark(clip, capsys):
    show.show_file(clip, as_json=False)
    printed = capsys.readouterr().out
    assert "360 x 288 px, 25 frames/s" in printed
    assert "No synthetic mark" in printed
    show.show_file(clip, as_json=True)
    assert json.loads(capsys.readouterr().out)["mark"] is None


def test_a_marked_file_is_called_synthetic_with_its_generator_and_weights(capsys):
    mark = SyntheticMark(generator="mouthbar", weights_sha256=("ab" * 32,), redub_version="9.8")
    facts = FileFacts(path=Path("x.mp4"), container="MP4", size_bytes=1, duration_header_s=None, streams=(), chapters=0, tags={}, mark=mark)
    show.print_media(facts)
    printed = capsys.readouterr().out
    assert "Synthetic: made by redub 9.8 with the generator mouthbar." in printed
    assert "ab" * 32 in printed


def test_the_printed_settings_are_a_file_that_gives_them_back(capsys):
    config = Config().set("encode.crf=21").set("fit.mode=loop")
    show.print_config(config, as_json=False)
    printed = capsys.readouterr().out
    assert Config().updated(tomllib.loads(printed)) == config
    # Every setting has its remark above it.
    lines = printed.splitlines()
    assert all(lines[i - 1].startswith("#") for i, line in enumerate(lines) if "=" in line and not line.startswith("#"))
    show.print_config(config, as_json=True)
    assert json.loads(capsys.readouterr().out)["encode"]["crf"] == 21


def test_the_list_of_plugins_has_what_is_good_and_what_is_wrong(monkeypatch, capsys):
    monkeypatch.setenv("REDUB_PLUGINS", "redub-nowhere")
    show.print_plugins(as_json=False)
    printed = capsys.readouterr().out
    assert "echo  ready" in printed
    assert "!! redub-nowhere" in printed
    show.print_plugins(as_json=True)
    table = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in table["generators"]] == ["echo"]
    assert table["generators"][0]["is_ready"]
    assert table["problems"][0]["distribution"] == "redub-nowhere"


def test_checking_a_generator_gives_a_verdict_and_an_exit_code(monkeypatch, capsys):
    monkeypatch.setenv("REDUB_PLUGINS", "")
    assert show.print_check("echo", as_json=True) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["passed"]
    assert {one["name"] for one in table["checks"] if one["skipped"]} == {"listens", "does_not_peek"}
    with pytest.raises(PluginError):
        show.print_check("nobody", as_json=False)


def heard(track, confidence, offset_s=0.08):
    frames = np.full(len(track), confidence, np.float32) if np.ndim(confidence) == 0 else np.asarray(confidence, np.float32)
    return Reading(track=track.id, offset_s=offset_s, distance=0.6, confidence=0.4, coverage=0.9, heard_s=3.0, frame_confidence=frames)


def test_what_sync_says_of_a_track_stands_in_its_line(capsys):
    tracks = [make_track(1, 0, 100), make_track(2, 100, 100)]
    readings = (heard(tracks[0], 0.9), heard(tracks[1], np.nan, offset_s=float("nan")))
    plan = replace(make_plan(tracks, [Speaking(track=1, start=0, stop=100)]), readings=readings)
    one, other = show.plan_table(plan)["tracks"]
    assert (one["offset_s"], one["confidence"], other["offset_s"]) == (0.08, 0.4, None)
    show.print_plan(plan)
    lines = capsys.readouterr().out.splitlines()
    assert "+0.080 s" in lines[3]
    assert "-" in lines[4].split()
    show.print_plan(replace(plan, readings=(), unheard="Nothing has listened."))
    assert "Nothing has listened." in capsys.readouterr().out


def test_the_timeline_says_where_lips_go_with_the_sound(tmp_path):
    track = make_track(1, 0, 200)
    confidence = [0.9] * 80 + [np.nan] * 60 + [-0.5] * 60
    plan = replace(make_plan([track], [Speaking(track=1, start=0, stop=110)]), readings=(heard(track, confidence),))
    drawn = pixels(draw.timeline(plan, tmp_path / "t.png"))
    left, scale = lanes.LABEL_PX, (lanes.WIDTH_PX - lanes.LABEL_PX - 20) / 200
    # Around a frame reaches so far.
    half = SpeakerConfig().window_s * RATE / 2 + 2
    for colour, first, last in ((lanes.SUITS, 0, 80), (lanes.SUITS_NOT, 140, 200)):
        columns = np.flatnonzero(is_colour(drawn[:, left:], colour, 12).sum(axis=0) >= 3)
        assert columns.min() / scale == pytest.approx(first, abs=half)
        assert columns.max() / scale == pytest.approx(last, abs=half)
