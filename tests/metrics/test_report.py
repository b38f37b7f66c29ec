"""Means and intervals of numbers that are known, and the pages made of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from redub.metrics.page import CAUTION, compare, markdown
from redub.metrics.report import Anchors, ClipReport, Mouth, Picture, Report, SpeakerReport, Sync, SyncReport, interval
from redub.metrics.series import Following


def following(value: float, lag: float = 0.0) -> Following:
    return Following(following=value, raw=value, spread=1.0, lag_frames=lag, lag_s=lag / 25, lag_following=value)


def clip(speaker: str, value: float, *, lag: float = 0.0, db: float = 0.3, group: str = "test") -> ClipReport:
    mouth = Mouth(follows=following(value, lag), landmark_distance=0.05)
    anchors = Anchors(
        loudness_db=following(db), loudness_linear=following(0.4), profile=None,
        rolled=Mouth(follows=following(0.0), landmark_distance=0.1), ceiling=Mouth(follows=following(0.99), landmark_distance=0.0),
    )  # fmt: skip
    picture = Picture(mse=100.0, mse_mouth=200.0, sharpness=0.8, identity=0.3, identity_true=0.2)
    return ClipReport(
        clip=f"{speaker}.mp4", speaker=speaker, group=group, frames=75, speech_frames=50, material=("other.mp4",),
        anchors=anchors, own=mouth, picture=picture, dub=None, dub_over="", dub_floor=None,
    )  # fmt: skip


def report(*clips: ClipReport) -> Report:
    speakers = {
        one.speaker: SpeakerReport(
            speaker=one.speaker, group=one.group, closed_gap=0.03, identity_stills=0.2, open_in_silence=0.125, open_in_noise=0.5
        )
        for one in clips
    }
    return Report(
        generator="stills", blend="poisson", protocol="own", clips=clips, speakers=tuple(speakers.values()), left_out=("x.mp4: No.",)
    )


OWN = "own.follows.following"


def test_a_speaker_counts_once_however_many_clips_there_are():
    made = report(clip("ann", 0.8), clip("ann", 0.8), clip("ann", 0.8), clip("bob", 0.2))
    assert made.of_speaker("ann")[OWN] == pytest.approx(0.8)
    assert made.of_group()[OWN] == pytest.approx(0.5)


def test_groups_have_means_of_their_own():
    made = report(clip("ann", 0.8, group="val"), clip("bob", 0.2), clip("cal", 0.4))
    assert made.groups == ("test", "val")
    assert made.of_group("test")[OWN] == pytest.approx(0.3)
    assert made.of_group("val")[OWN] == pytest.approx(0.8)


def test_what_cannot_be_told_of_a_clip_does_not_spoil_the_mean():
    made = report(clip("ann", 0.8), clip("ann", math.nan), clip("bob", math.nan))
    assert made.of_speaker("ann")[OWN] == pytest.approx(0.8)
    assert OWN not in made.of_speaker("bob")
    assert made.of_group()[OWN] == pytest.approx(0.8)


def test_one_clip_that_fits_elsewhere_does_not_move_the_lag():
    made = report(clip("ann", 0.8, lag=1), clip("ann", 0.8, lag=1), clip("ann", 0.8, lag=-10))
    assert made.of_speaker("ann")["own.follows.lag_frames"] == 1


def test_the_better_loudness_is_chosen_and_named():
    assert report(clip("ann", 0.8, db=0.3)).loudness == "loudness_linear"
    better = report(clip("ann", 0.8, db=0.5))
    assert better.loudness == "loudness_db"
    assert "loudness (dB)" in markdown(better)


def test_the_interval_is_that_of_a_mean_of_clips():
    random = np.random.default_rng(3)
    values = random.normal(0.6, 0.1, 100)
    low, high = interval([("ann", float(value)) for value in values])
    # By theory a mean of 100 is known to 1.96 / 10 standard deviations.
    assert low == pytest.approx(values.mean() - 1.96 * values.std() / 10, abs=0.005)
    assert high == pytest.approx(values.mean() + 1.96 * values.std() / 10, abs=0.005)


def test_the_interval_lies_around_the_mean_over_speakers():
    values = [("ann", 0.8 + 0.01 * i) for i in range(-9, 10)] + [("bob", 0.2 + 0.01 * i) for i in range(-2, 3)]
    low, high = interval(values)
    assert low < 0.5 < high
    assert high - low < 0.1


def test_two_clips_have_no_interval():
    assert all(math.isnan(end) for end in interval([("ann", 0.1), ("bob", 0.2), ("bob", math.nan)]))


def test_the_table_is_json_and_keeps_every_clip():
    made = report(clip("ann", 0.8), clip("bob", math.nan))
    table = json.loads(json.dumps(made.table(), allow_nan=False))
    assert table["clips"][0]["own"]["follows"]["following"] == pytest.approx(0.8)
    assert table["clips"][1]["own"]["follows"]["following"] is None
    assert table["speakers"]["ann"]["group"] == "test"
    assert table["speakers"]["ann"]["speaker.open_in_noise"] == pytest.approx(0.5)
    assert table["groups"]["test"][OWN] == pytest.approx(0.8)
    assert table["left_out"] == ["x.mp4: No."]


def test_the_page_has_a_line_for_each_speaker_and_the_anchors_beside():
    page = markdown(report(clip("ann", 0.81), clip("bob", 0.25), clip("cal", 0.35)))
    (ann,) = [line for line in page.splitlines() if line.startswith("| ann") and "0.81" in line]
    assert [cell.strip() for cell in ann.split("|")[-4:-1]] == ["0.40", "0.00", "0.99"]
    assert "**mean, all**" in page
    assert "12%" in page
    assert "x.mp4: No." in page
    assert "training profile" not in page
    widths = [line.count("|") for line in page.splitlines() if line.startswith("|")]
    assert min(widths) >= 4


def test_two_reports_stand_side_by_side():
    page = compare({"base": report(clip("ann", 0.41)), "adapted": report(clip("ann", 0.72))})
    (line,) = [line for line in page.splitlines() if line.startswith("| own: following")]
    assert [cell.strip() for cell in line.split("|")[2:4]] == ["0.41", "0.72"]
    assert page.splitlines()[0] == "|  | base | adapted |"


def one(confidence: float, offset: float = 0.0) -> Sync:
    return Sync(
        distance=1.0, confidence=confidence, offset_frames=offset, offset_s=offset / 25, coverage=0.9,
        right={str(frames): confidence for frames in (5, 7, 9, 11, 13, 15)},
    )  # fmt: skip


def judged(speaker: str, confidence: float, offset: float = 0.0):
    """Return a clip's report with what a network says of it."""
    return replace(
        clip(speaker, 0.5), sync=SyncReport(source=one(0.75, -1.0), own=one(confidence, offset), dub=None, dub_floor=None)
    )  # fmt: skip


def test_the_page_sets_true_lips_beside_and_warns():
    page = markdown(replace(report(judged("ann", 0.25)), network="redub-sync-2-abc"))
    (line,) = [line for line in page.splitlines() if line.startswith("| ann") and "-1.0" in line]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["1.00", "0.25", "+0.0", "90%", "25%", "25%", "0.75", "-1.0", "75%"]
    assert "redub-sync-2-abc" in page
    assert CAUTION in page


def test_without_a_network_the_page_is_silent_about_it():
    page = markdown(report(clip("ann", 0.5)))
    assert "LSE" not in page
    assert CAUTION not in page


def test_one_clip_that_is_far_off_does_not_move_the_offset():
    made = report(judged("ann", 0.25), judged("ann", 0.25), judged("ann", 0.25, 15.0))
    assert made.of_speaker("ann")["sync.own.offset_frames"] == 0
    assert made.of_speaker("ann")["sync.own.right.5"] == pytest.approx(0.25)
    assert made.of_group()["sync.own.confidence.low"] == pytest.approx(0.25)


def test_what_a_network_says_of_two_generators_stands_side_by_side():
    page = compare({"base": report(judged("ann", 0.25)), "adapted": report(judged("ann", 0.5))})
    (line,) = [line for line in page.splitlines() if line.startswith("| own: LSE-C")]
    assert [cell.strip() for cell in line.split("|")[2:4]] == ["0.25", "0.50"]
