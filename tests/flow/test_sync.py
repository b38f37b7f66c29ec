"""The whole flow listens where it can, and says so where it cannot."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
from typer.testing import CliRunner

from redub.cli import app
from redub.plan import Plan


def test_a_video_without_sound_takes_the_face_that_looks_into_the_camera_and_says_so(make_clip, heads, tmp_path):
    pairs = [np.concatenate([head, head], axis=1) for head in heads[:12]]
    video = make_clip("mute.mkv", [40 * i for i in range(12)], Fraction(1, 1000), pictures=pairs)
    done = CliRunner().invoke(app, ["analyse", str(video), "--plan", str(tmp_path / "p"), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[-1])
    (notice,) = said["notices"]
    assert "holds no sound" in notice
    assert "looks into the camera for longest" in notice
    plan = Plan.load(tmp_path / "p")
    assert plan.unheard == notice
    assert len(plan.tracks) == 2
    assert [(one.start, one.stop) for one in plan.speaking] == [(0, 12)]
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "p"), "--no-pictures"])
    assert "holds no sound" in shown.stdout


def test_listening_can_be_switched_off(make_clip, heads, tmp_path):
    video = make_clip("mute.mkv", [40 * i for i in range(6)], Fraction(1, 1000), pictures=heads[:6])
    arguments = ["analyse", str(video), "--plan", str(tmp_path / "p"), "--json", "--set", "speakers.listen=false"]
    done = CliRunner().invoke(app, arguments)
    # With one face nobody else can be taken for the speaker, and nothing is said; the plan keeps why nobody listened.
    assert json.loads(done.stdout.splitlines()[-1])["notices"] == []
    assert "speakers.listen is off" in Plan.load(tmp_path / "p").unheard
