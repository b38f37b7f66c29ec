"""A whole evaluation, of generators whose mouths are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from redub.cli import app
from redub.errors import PluginError, RedubError
from redub.metrics import Profile, Protocol, Recording, Take, evaluate
from redub.plugin import Region
from redub.progress import Recorder
from redub.speech.sync_layers import ClipSync
from redub.speech.syncnet import OwnSync


class Loader:
    """Loads one model for every speaker, and remembers what it was allowed to see."""

    def __init__(self, model) -> None:
        self.model = model
        self.allowed: list[tuple[Take, ...]] = []

    def __call__(self, takes: tuple[Take, ...]):
        self.allowed.append(takes)
        return self.model


@pytest.fixture(scope="module")
def evaluated(beside, true_takes, painter, by_loudness, tmp_path_factory):
    """Evaluate a mouth that opens by the loudness, on two clips of one speaker, besides a file that is no video."""
    text = tmp_path_factory.mktemp("bad") / "text.mp4"
    text.write_text("text")
    loader, recorder = Loader(painter(by_loudness)), Recorder()
    profile = Profile(rate_hz=25.0, gap=true_takes[0].gap)
    damaged = Recording(path=text, speaker="nobody")
    network = OwnSync(ClipSync(width=0.25, features=16))
    return evaluate([*beside(60), damaged], loader, profile=profile, network=network, tell=recorder), loader, recorder


def test_a_mouth_that_follows_the_loudness_follows_about_as_well_as_the_loudness(evaluated):
    report = evaluated[0]
    for clip in report.clips:
        loudness = max(clip.anchors.loudness_db.following, clip.anchors.loudness_linear.following)
        assert clip.own.follows.following > 0.25
        assert abs(clip.own.follows.following - loudness) < 0.3


def test_at_wrong_moments_it_follows_less_and_the_truth_follows_wholly(evaluated):
    for clip in evaluated[0].clips:
        assert clip.anchors.rolled.follows.following < clip.own.follows.following - 0.2
        assert clip.anchors.ceiling.follows.following > 0.95
        assert clip.anchors.ceiling.landmark_distance < clip.own.landmark_distance


def test_a_dub_is_compared_with_the_mouth_whose_sound_it_has(evaluated, true_takes):
    for clip, heard, over in zip(evaluated[0].clips, true_takes, true_takes[::-1], strict=True):
        assert (clip.clip, clip.dub_over) == (heard.name(), over.name())
        assert clip.dub.follows.following == pytest.approx(clip.own.follows.following, abs=0.2)
        # Raw, of frames that all were seen, the floor is the plain correlation of two true mouths.
        assert heard.is_measured.all()
        expected = np.corrcoef(over.gap[heard.is_speech], heard.gap[heard.is_speech])[0, 1]
        assert clip.dub_floor.follows.raw == pytest.approx(expected)


def test_the_profile_of_a_clip_is_that_clip(evaluated):
    first, second = evaluated[0].clips
    assert first.anchors.profile.following == pytest.approx(1.0, abs=1e-6)
    assert second.anchors.profile.following < 0.6


def test_a_mouth_by_loudness_is_closed_without_speech(evaluated):
    (speaker,) = evaluated[0].speakers
    assert speaker.open_in_silence == 0.0
    assert speaker.open_in_noise == 0.0
    assert 0.0 <= speaker.closed_gap < 0.1


def test_the_pictures_are_of_this_person(evaluated):
    report = evaluated[0]
    for clip in report.clips:
        assert 0 < clip.picture.identity_true < 0.4
        assert 0 < clip.picture.identity < 0.4
        assert clip.picture.mse > 0
        assert clip.picture.mse_mouth > 0
    assert report.speakers[0].identity_stills < 0.5


def test_a_network_compares_what_was_painted_and_the_true_lips(evaluated):
    report = evaluated[0]
    assert report.network == "redub-sync-2"
    for clip in report.clips:
        lips = [clip.sync.source, clip.sync.own, clip.sync.dub, clip.sync.dub_floor]
        # Of length one, so no further apart than that.
        assert all(0 < one.distance < 2 and 0 < one.coverage <= 1 for one in lips)
        assert len({one.distance for one in lips}) == 4
    assert report.table()["clips"][0]["sync"]["own"]["right"].keys() == {"5", "7", "9", "11", "13", "15"}


def test_nothing_is_learnt_from_the_clip_whose_mouth_is_the_truth(evaluated):
    report, loader, _ = evaluated
    assert [[take.name() for take in allowed] for allowed in loader.allowed] == [["talk1.mkv"], ["talk0.mkv"]]
    for clip in report.clips:
        assert clip.clip not in clip.material


def test_progress_ends_where_it_said(evaluated):
    told = evaluated[2].told
    assert [done for stage, done, _ in told if stage == "analyse"] == [1, 2, 3]
    painted = [(done, total) for stage, done, total in told if stage == "evaluate"]
    assert [done for done, _ in painted] == list(range(1, len(painted) + 1))
    assert painted[-1][0] == painted[-1][1] == painted[0][1]


def test_what_cannot_be_measured_is_named(evaluated):
    (left_out,) = evaluated[0].left_out
    assert left_out.startswith("text.mp4: ")
    assert [clip.clip for clip in evaluated[0].clips] == ["talk0.mkv", "talk1.mkv"]


def test_where_nothing_can_be_measured_the_reason_is_told(tmp_path, painter, by_loudness):
    (tmp_path / "text.mp4").write_text("text")
    with pytest.raises(RedubError, match=r"text\.mp4"):
        evaluate([Recording(path=tmp_path / "text.mp4", speaker="nobody")], painter(by_loudness))


def test_a_generator_of_whole_frames_is_refused(beside, painter, by_loudness):
    model = painter(by_loudness)
    with pytest.raises(PluginError, match="whole frames"):
        evaluate(beside(60)[:1], replace(model, info=replace(model.info, region=Region.FRAME)))


def test_of_one_clip_alone_the_first_half_is_material_and_the_second_is_scored(talking, tmp_path):
    arguments = ["evaluate", str(talking[0]), "--generator", "echo", "--protocol", "own", "--read-by", "own", "--json", "--quiet"]
    before = sorted(talking[0].parent.iterdir())
    result = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "report.md")], prog_name="redub")
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    assert table["read_by"] == "own"
    (clip,) = table["clips"]
    assert clip["clip"] == "talk0.mkv [30:60]"
    assert clip["material"] == ["talk0.mkv [0:30]"]
    assert clip["dub"] is None
    # What echo is not shown, it cannot paint.
    assert clip["own"]["follows"]["spread"] < 0.5
    assert clip["anchors"]["ceiling"]["follows"]["following"] > 0.95
    assert "| talk0 |" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert sorted(talking[0].parent.iterdir()) == before

    again = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "report.md")], prog_name="redub")
    assert again.exit_code == 1
    assert "exists" in json.loads(again.stdout)["error"]


def test_the_dub_protocol_alone_paints_no_clip_with_its_own_sound(beside, painter, by_loudness):
    report = evaluate(beside(20), painter(by_loudness), protocol=Protocol.DUB)
    assert all(clip.own is None and clip.picture is None and clip.dub is not None for clip in report.clips)
