"""The tutorial's plugin works as the page says, installed outside the source tree."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/tutorial/your-first-generator.md"
LIBRARY = str(Path(importlib.util.find_spec("redub").origin).parents[1])

PAINT = """
import numpy as np
from dataclasses import replace
from redub.plugin import Blend, manager
from redub.testing import make_clip

entry = manager.find("mouthbar")
clip = make_clip(entry.info, entry.info.modes[Blend.FEATHER], 5)
bar = np.array([70, 20, 30])
with manager.load(entry, device="cpu") as generator:
    for gain in (0.0, 0.3, 1.0):
        painted = generator.generate(replace(clip, speech=clip.speech * np.float32(gain)))
        print((painted.frames == bar).all(axis=-1).sum())
print(entry.distribution)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The page's files in a folder of their own, installed beside it."""
    folder = tmp_path_factory.mktemp("mouthbar")
    blocks = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert {name for name, _ in blocks} == {"pyproject.toml", "mouthbar.py", "test_mouthbar.py"}
    for name, text in blocks:
        (folder / name).write_text(text, encoding="utf-8")
    if not importlib.util.find_spec("pip") or not importlib.util.find_spec("setuptools"):
        pytest.skip("pip and setuptools are needed to install the tutorial's plugin")
    site = folder / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(site),
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # What follows must work from the installed copy.
    (folder / "mouthbar.py").rename(folder / "source-of-mouthbar.txt")
    return folder


def python(project, *arguments):
    environment = {key: value for key, value in os.environ.items() if key != "REDUB_PLUGINS"}
    environment["PYTHONPATH"] = os.pathsep.join([str(project / "site"), LIBRARY])
    return subprocess.run([sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_the_bar_is_as_high_as_the_sound_is_loud(project):
    done = python(project, "-c", PAINT)
    assert done.returncode == 0, done.stderr
    silent, soft, loud, distribution = done.stdout.split("\n")[:4]
    # In silence the bar is a line: one row in each of five frames.
    assert int(silent) == 5 * (82 - 46)
    assert int(silent) < int(soft) < int(loud)
    assert distribution == "redub-mouthbar 1.0"


def test_the_pages_own_test_passes(project):
    done = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mouthbar.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)
    assert "failed" not in done.stdout
    assert "skipped" not in done.stdout


def test_hearing_more_than_declared_is_found_as_the_page_says(project):
    module = project / "site" / "mouthbar.py"
    text = module.read_text(encoding="utf-8")
    assert ", 800\n" in text
    module.write_text(text.replace(", 800\n", ", 1600\n"), encoding="utf-8")
    try:
        done = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mouthbar.py")
    finally:
        module.write_text(text, encoding="utf-8")
    assert set(re.findall(r"^FAILED \S+::test_(\w+)", done.stdout, re.MULTILINE)) == {"keeps_to_its_window", "can_be_cut"}
