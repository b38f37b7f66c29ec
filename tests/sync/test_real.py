"""With the shipped network: real talkers, moved by a known amount, and beside somebody else."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from redub.config import Config
from redub.hearing import listen
from redub.media import delay_sound, open_video
from redub.pipeline import analyse, hear
from redub.plan import Plan, fingerprint
from redub.progress import Recorder
from redub.speech.sync import load_sync


@pytest.fixture(scope="module")
def shipped():
    return load_sync()


@pytest.fixture(scope="module")
def talkers(shared_clips) -> list[Path]:
    """Return two clips of one speaker that no weights have learnt, sentences of 3 s."""
    entries = json.loads((shared_clips / "clips.json").read_text())
    return [shared_clips / one["file"] for one in entries if one["split"] == "val"][:2]


@pytest.fixture(scope="module")
def talk(talkers, shipped, tmp_path_factory) -> tuple[Path, Plan]:
    """Return the first clip in a container that can be written, and its plan."""
    path = tmp_path_factory.mktemp("real") / "talk.mkv"
    delay_sound(talkers[0], path, 0)
    return path, analyse(path)


def heard_in(video: Path, plan: Plan, model) -> Plan:
    """Listen to a copy of a plan's video whose sound was moved."""
    with open_video(video) as reader:
        pts = np.array([frame.pts for frame in reader.read()])
    return listen(replace(plan, source=fingerprint(video), pts=pts), video, Config().speakers, model=model)


def test_somebody_who_talks_is_taken_for_the_speaker(talk):
    _, plan = talk
    (reading,) = plan.readings
    assert plan.network.startswith("redub-sync")
    assert abs(reading.offset_s) <= 0.06
    assert sum(map(len, plan.speaking)) >= 0.9 * len(plan.tracks[0])


def test_mouths_that_tracking_kept_are_read_as_those_of_the_video(talkers, shipped):
    for path in talkers:
        recorder = Recorder()
        kept = analyse(path, tell=recorder)
        told = [done for stage, done, _ in recorder.told if stage == "listen"]
        # Each frame would be told if the video was decoded again.
        assert told == [kept.facts.frames]
        anew = listen(kept, path, Config().speakers, model=shipped)
        for one, other in zip(kept.readings, anew.readings, strict=True):
            assert one.offset_s * 25 == pytest.approx(other.offset_s * 25, abs=0.05)
            assert one.confidence == pytest.approx(other.confidence, abs=0.01)
            assert np.nanmean(np.abs(one.frame_confidence - other.frame_confidence)) < 0.01


@pytest.mark.parametrize("offset_s", [0.4, -0.2])
def test_a_known_shift_is_found(offset_s, talk, shipped, tmp_path):
    video, plan = talk
    delay_sound(video, tmp_path / "moved.mkv", -offset_s)
    (reading,) = heard_in(tmp_path / "moved.mkv", plan, shipped).readings
    # Sound that was brought forward is early.
    assert reading.offset_s - plan.readings[0].offset_s == pytest.approx(offset_s, abs=0.04)


def test_under_a_strangers_voice_nobody_speaks(talk, talkers, tmp_path):
    video, plan = talk
    target = tmp_path / "dubbed.mkv"
    with av.open(str(video)) as pictures, av.open(str(talkers[1])) as sound, av.open(str(target), "w") as out:
        copies = [
            out.add_stream_from_template(pictures.streams.video[0], opaque=True),
            out.add_stream("pcm_s16le", rate=16_000, layout="mono"),
        ]
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        samples = np.concatenate([
            part.to_ndarray()[0] for frame in (*sound.decode(audio=0), None) for part in resampler.resample(frame)
        ])  # fmt: skip
        # Turned round in time, nothing of it can fall on a syllable but by chance.
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[::-1])[None], "s16", "mono")
        frame.sample_rate, frame.time_base = 16_000, Fraction(1, 16_000)
        out.mux([*copies[1].encode(frame), *copies[1].encode()])
        for packet in pictures.demux(video=0):
            if packet.size:
                packet.stream = copies[0]
                out.mux(packet)
    with open_video(target) as reader:
        pts = np.array([one.pts for one in reader.read()])
    heard = hear(replace(plan, source=fingerprint(target), pts=pts), target, Config())
    assert heard.speaking == ()
    assert heard.unheard == ""
