"""Evaluation compares the lips of takes with sound, true ones and painted ones."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from redub.config import Config
from redub.errors import RedubError
from redub.media import open_video
from redub.metrics import Recording, Take, find_network
from redub.metrics.sync import Watches
from redub.metrics.takes import find_take
from redub.speech.syncnet import SyncModel
from redub.types import Speaking


@pytest.fixture
def take_of(make_talk, network):
    """Return a function that draws a talk and finds the take in it."""

    def make(faces, seconds, name, *, speaks=True, **more) -> Take:
        talk = make_talk(faces, seconds, name, **more)
        whole = tuple(Speaking(track=track.id, start=track.start, stop=track.stop) for track in talk.plan.tracks)
        replace(talk.plan, speaking=whole if speaks else ()).save(Path(f"{talk.video}.redub"))
        return find_take(Recording(path=talk.video, speaker="face"), Config())

    return make


def frames(take: Take):
    with open_video(take.recording.path, take.plan.pts) as reader:
        yield from reader.read(take.start, take.stop)


@pytest.fixture(scope="module")
def judge(network) -> SyncModel:
    return network


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30)])
def test_painted_lips_are_judged_like_true_ones(rate, take_of, face, judge):
    take = take_of([face(speaks=[(0, 9)])], 4, "good.mkv", offset_s=0.08, rate=rate)
    watches = Watches(judge, take, None)
    for frame, points in zip(frames(take), take.points, strict=True):
        watches.see_own(frame, points)
    found = watches.report()
    # What was shown as painted were the true frames.
    assert found.own == found.source
    assert found.source.confidence > 0.8
    assert found.source.offset_s == pytest.approx(0.08, abs=0.012)
    assert found.source.coverage > 0.8
    assert (found.dub, found.dub_floor) == (None, None)


def test_a_dub_is_judged_by_the_sound_that_it_has_got(take_of, face, judge):
    heard = take_of([face(speaks=[(0, 9)])], 4, "heard.mkv", seed=1)
    over = take_of([face(speaks=[(0, 9)])], 4, "over.mkv", seed=2)
    watches = Watches(judge, heard, over)
    # A perfect dub: the lips that belong to the sound.
    for frame, points in zip(frames(heard), heard.points, strict=True):
        watches.see_dub(frame, points)
    found = watches.report()
    assert found.own is None
    assert found.dub.confidence == pytest.approx(found.source.confidence, abs=0.02)
    assert found.dub.right["15"] > 0.95
    # Lips that were not painted say something else.
    assert found.dub_floor.confidence < 0.6 * found.source.confidence
    assert found.dub_floor.right["15"] < 0.5


def test_parts_of_a_take_are_judged_by_their_own_sound(take_of, face, judge):
    take = take_of([face(speaks=[(0, 9)])], 6, "long.mkv").part(60, 150)
    found = Watches(judge, take, None).report().source
    assert found.confidence > 0.8
    assert found.offset_s == pytest.approx(0, abs=0.012)


def test_without_a_network_nothing_is_looked_at(take_of, face):
    take = take_of([face(speaks=[(0, 9)])], 1, "none.mkv")
    watches = Watches(None, take, None)
    watches.see_own(next(frames(take)), take.points[0])
    assert watches.report() is None


def test_footage_in_which_analysis_hears_nobody_is_measured_all_the_same(take_of, face):
    take = take_of([face(babbles=3)], 2, "doubted.mkv", speaks=False)
    assert len(take) == 50


def test_a_network_that_is_named_and_missing_is_told(tmp_path):
    with pytest.raises(RedubError, match="no sync network"):
        find_network(tmp_path / "none.safetensors")
