"""The command line teaches, and the reference pages say what it says."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from redub.cli import app

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}, prog_name="redub")


def test_help_shows_every_everyday_option_with_its_default():
    text = run("--help").output
    everyday = "--audio --generator --output --force --device --blend --fit --speaker --plan --config --set --json --quiet"
    for option in everyday.split():
        assert option in text
    for default in ("speech2vid", "VIDEO.SOUND.mp4 beside the video", "hold", "network where the speaker is learnt, else poisson"):
        assert f"[default: {default}]" in text or f"[default: ({default})]" in text, default


def test_help_names_every_command():
    text = run("--help").output
    for command in ("analyse", "render", "show", "plugins", "weights", "demo", "doctor"):
        assert command in text
        assert run(command, "--help").exit_code == 0


@pytest.mark.parametrize("page", ["cli.md", "config.md"])
def test_reference_pages_are_current(page):
    writer = runpy.run_path(str(ROOT / "tools" / "write_reference.py"))
    text = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert text == writer["PAGES"][page](), "run  python tools/write_reference.py"


def test_no_arguments_say_what_to_type():
    result = run()
    assert result.exit_code == 0
    assert "--audio" in result.output


def test_wrong_usage_is_told_apart_from_a_failed_run():
    assert run("video.mp4", "--nonsense").exit_code == 2
    assert run("video.mp4", "--audio", "nothing.wav").exit_code == 1


def test_doctor_names_torch_encoders_and_generators():
    result = run("doctor", "--json")
    assert result.exit_code == 0, result.output
    found = {finding["subject"]: finding["found"] for finding in json.loads(result.stdout)}
    assert "libx264" in found["encoders"]
    assert "torch" in found["packages"]
    assert "CPU" in found["torch"] or "CUDA" in found["torch"] or "MPS" in found["torch"]
    # Where a video has several faces, adapting tells them apart with a network whose terms have to be read.
    assert "dlib's 68 points" not in found["commercial use"]
    assert "dlib's face descriptor" in found["commercial use"]


def test_module_and_script_are_the_same_program():
    done = subprocess.run([sys.executable, "-m", "redub", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == run("--version").output
