"""A result is judged by what was painted and what is heard with it."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from typer.testing import CliRunner

from redub.cli import app
from redub.config import SpeakerConfig, SyncConfig
from redub.hearing import listen
from redub.media import open_speech, open_video
from redub.stages.speakers import choose_speakers
from redub.types import Speaking
from redub.verdict import Fit, Judge, ShotVerdict, Verdict, beside, keep_verdict

SURE = SpeakerConfig(min_confidence=0.4, chance=0.0, min_frame_confidence=0.35, window_s=1.0)
GATE = SyncConfig(gate_confidence=0.5, gate_offset_s=0.06)


def judged(talk, network, *, speaking=None, passes=1):
    """Judge a talk as if it were a result of its own plan."""
    plan = talk.plan if speaking is None else replace(talk.plan, speaking=speaking)
    plan = listen(plan, talk.video, SURE, model=network)
    if speaking is None:
        plan = replace(plan, speaking=choose_speakers(plan.shots, plan.tracks, SURE, plan.readings, plan.facts.frame_rate))
    with open_speech(talk.video, 16_000) as speech, open_video(talk.video, plan.pts) as reader:
        judge = Judge(plan, network, speech)
        for number in range(passes):
            for frame in reader.read():
                judge.see(frame, frame.time + number * plan.facts.duration, is_painted=True)
        return judge.verdict()


def test_lips_that_go_with_the_sound_pass(make_talk, face, network):
    verdict = judged(make_talk([face(babbles=4), face(speaks=[(0, 9)])], 5), network)
    (one,) = verdict.shots
    assert (one.shot, one.track, one.start_s, one.end_s) == (1, 2, 0, pytest.approx(5))
    assert one.after.confidence > 0.9
    assert one.after.offset_s == pytest.approx(0, abs=0.012)
    # The same pictures and the same sound were read when the source was analysed.
    assert one.after.confidence == pytest.approx(one.before.confidence, abs=0.02)
    assert verdict.failures(GATE) == ()


def test_lips_that_are_late_or_follow_something_else_do_not_pass(make_talk, face, network):
    late = judged(make_talk([face(speaks=[(0, 9)])], 5, "late.mkv", offset_s=0.16), network)
    (failure,) = late.failures(GATE)
    assert "+0.1" in failure
    assert "off by" in failure
    other = judged(make_talk([face(babbles=5)], 5, "other.mkv"), network, speaking=(Speaking(track=1, start=0, stop=125),))
    (failure,) = other.failures(GATE)
    assert "suit each other" in failure


def test_each_shot_is_judged_for_itself(make_talk, face, network):
    talk = make_talk([face(speaks=[(0, 4)], babbles=5)], 8, cuts_s=[4])
    speaking = tuple(Speaking(track=track.id, start=track.start, stop=track.stop) for track in talk.plan.tracks)
    good, bad = judged(talk, network, speaking=speaking).shots
    assert (good.shot, bad.shot) == (1, 2)
    assert good.after.confidence > 0.8 > 0.5 > bad.after.confidence
    assert (good.end_s, bad.start_s) == (pytest.approx(4), pytest.approx(4))


def test_what_was_not_painted_is_not_judged(make_talk, face, network):
    talk = make_talk([face(speaks=[(0, 9)])], 3)
    plan = replace(talk.plan, speaking=(Speaking(track=1, start=0, stop=75),))
    with open_speech(talk.video, 16_000) as speech, open_video(talk.video, plan.pts) as reader:
        judge = Judge(plan, network, speech)
        for frame in reader.read():
            judge.see(frame, frame.time, is_painted=False)
    verdict = judge.verdict()
    assert verdict.shots == ()
    assert "could be judged" in verdict.failures(GATE)[0]


def test_a_video_that_is_shown_twice_is_compared_with_what_is_heard_then(make_talk, face, network):
    """The sound ends with the first pass: of the second there is nothing to judge, and it changes nothing."""
    talk = make_talk([face(speaks=[(0, 9)])], 4)
    once, twice = judged(talk, network), judged(talk, network, passes=2)
    assert twice.shots[0].end_s == pytest.approx(8)
    assert twice.shots[0].after.confidence == pytest.approx(once.shots[0].after.confidence, abs=0.05)


def test_of_a_long_shot_a_part_is_looked_at(make_talk, face, network, monkeypatch):
    import redub.verdict as module

    seen = []

    class Counting(type(network)):
        def prepare(self, crops):
            if crops.ndim == 4:
                seen.append(len(crops))
            return super().prepare(crops)

    monkeypatch.setattr(module, "WHOLE_S", 2.0)
    monkeypatch.setattr(module, "EVERY_S", 3.0)
    monkeypatch.setattr(module, "PART_S", 1.0)
    talk = make_talk([face(speaks=[(0, 9)])], 8)
    plan = replace(talk.plan, speaking=(Speaking(track=1, start=0, stop=200),))
    with open_speech(talk.video, 16_000) as speech, open_video(talk.video, plan.pts) as reader:
        judge = Judge(plan, Counting(), speech)
        for frame in reader.read():
            judge.see(frame, frame.time, is_painted=True)
        (one,) = judge.verdict().shots
    # Two seconds, then that of every third which is the first of it: 3 to 4 and 6 to 7.
    assert len(seen) == pytest.approx(4 * 25, abs=4)
    assert one.after.confidence > 0.8


def test_faster_videos_are_looked_at_as_often_as_the_network_wants(make_talk, face, network):
    verdict = judged(make_talk([face(speaks=[(0, 9)])], 4, rate=Fraction(50), offset_s=0.1), network)
    assert verdict.shots[0].after.offset_s == pytest.approx(0.1, abs=0.012)


def fit(confidence, offset_s=0.0):
    return Fit(offset_frames=25 * offset_s, offset_s=offset_s, distance=0.5, confidence=confidence)


def shot(number, after, before=None):
    return ShotVerdict(shot=number, track=number, start_s=number - 1.0, end_s=float(number), before=before, after=after)


def test_a_verdict_is_told_in_a_few_lines_however_many_shots_there_are():
    few = Verdict(network="n", shots=(shot(1, fit(0.7), fit(0.9, -0.04)), shot(2, None)))
    (line,) = few.told()
    assert "0.70" in line
    assert "in the source by 0.90, -0.040 s apart" in line
    many = Verdict(network="n", shots=tuple(shot(i, fit(0.5 + i / 100)) for i in range(1, 40)))
    assert len(many.told()) == 2
    assert "39 shots" in many.told()[0]
    assert "worst is shot 1," in many.told()[1]
    assert Verdict(network="n", shots=()).told() == []


def test_a_verdict_is_kept_beside_its_result_and_replaces_only_another_verdict(tmp_path):
    result = tmp_path / "talk.es.mp4"
    verdict = Verdict(network="n", shots=(shot(1, fit(0.2)),))
    assert keep_verdict(verdict, result, GATE) == []
    table = json.loads((tmp_path / "talk.es.mp4.sync.json").read_text())
    assert table["passes"] is False
    assert table["result"] == "talk.es.mp4"
    assert table["shots"][0]["after"] == {"offset_frames": 0.0, "offset_s": 0.0, "distance": 0.5, "confidence": 0.2}
    keep_verdict(replace(verdict, shots=(shot(1, fit(0.8)),)), result, GATE)
    assert json.loads(beside(result).read_text())["passes"] is True
    # A result that nothing judged is not the one that this was said of.
    keep_verdict(None, result, GATE)
    assert not beside(result).exists()
    beside(result).write_text('{"mine": 1}')
    (notice,) = keep_verdict(verdict, result, GATE)
    assert "something else" in notice
    assert beside(result).read_text() == '{"mine": 1}'
    assert keep_verdict(None, result, GATE) == []
    assert beside(result).exists()


def test_the_gate_cannot_be_asked_for_where_judging_is_off(make_talk, face, tmp_path):
    talk = make_talk([face()], 1)
    talk.plan.save(tmp_path / "p")
    arguments = [talk.video, "--audio", talk.video, "--plan", tmp_path / "p", "-g", "echo", "-o", tmp_path / "out.mkv"]
    done = CliRunner().invoke(app, [str(one) for one in [*arguments, "--gate", "--set", "sync.judge=false"]])
    assert done.exit_code == 1
    assert "sync.judge" in done.stderr
    assert not (tmp_path / "out.mkv").exists()


def test_silence_is_not_judged(make_talk, face, network):
    talk = make_talk([face(speaks=[(0, 9)])], 3, voiced=[])
    (one,) = judged(talk, network, speaking=(Speaking(track=1, start=0, stop=75),)).shots
    assert one.after is None
    assert np.isfinite(one.end_s)
