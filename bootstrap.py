#!/usr/bin/env python3
"""bootstrap: a bare Python -> a working redub in .venv, and its demo or its tests.

    python3 bootstrap.py demo           install, then re-dub the bundled clip
    python3 bootstrap.py test [ARGS]    install with what the tests need, then run pytest ARGS
    python3 bootstrap.py install        install only

Only the standard library is used, and nothing outside .venv is touched.  A second run starts at once.  The versions
are those of constraints.txt.  ``--cuda`` (or REDUB_CUDA=1) takes torch from PyPI, which on Linux brings CUDA along.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import platform
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PROJECTS = (".", "plugins/speech2vid", "plugins/lumierenet")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


class Stop(Exception):
    """Says what is wrong and what to do."""


def check_python(version: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Raise `Stop` if this Python is too old for redub."""
    if version < OLDEST:
        found, wanted = (".".join(map(str, each)) for each in (version, OLDEST))
        raise Stop(f"This is Python {found}; redub needs {wanted} or newer.\nInstall one and use it, as in:  python{wanted} bootstrap.py")


def check_venv(has_module: object = importlib.util.find_spec) -> None:
    """Raise `Stop` where Python came without venv or ensurepip, as Debian's and Ubuntu's does."""
    missing = [name for name in ("venv", "ensurepip") if not has_module(name)]  # type: ignore[operator]
    if missing:
        packages = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise Stop(
            f"This Python lacks {' and '.join(missing)}.\n"
            f"On Debian and Ubuntu:  apt-get install {packages}\n"
            "Elsewhere: take Python from python.org, or your system's full package."
        )


def can_reach(url: str, timeout_s: float = 6.0) -> bool:
    """Say whether a page answers; asked first, because pip would try for minutes."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout_s):
            return True
    except (OSError, ValueError):  # refused, timed out, no such name, 404, bad certificate
        return False


def torch_options(system: str, wants_cuda: bool, index: str = CPU_INDEX) -> list[str]:
    """Return pip's options for torch: on Linux the index of CPU builds, where it can be reached.

    PyPI's torch for Linux needs some gigabytes of CUDA; for macOS and Windows it is the CPU build already.
    """
    if system != "Linux" or wants_cuda:
        return []
    if not can_reach(f"{index}/torch/"):
        say(f"{index} cannot be reached; torch comes from where pip is set up to look, perhaps with CUDA (large).")
        return []
    return ["--extra-index-url", index]


def venv_python(venv: Path = VENV) -> Path:
    """Return the interpreter of a virtual environment."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(extra: str, root: Path = ROOT) -> str:
    """Return a digest of all that decides what gets installed."""
    digest = hashlib.sha256(f"{sys.version} {root} {extra}".encode())
    for name in ("constraints.txt", "bootstrap.py", *(f"{project}/pyproject.toml" for project in PROJECTS)):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def make_venv() -> None:
    """Make .venv, unless a sound one is there."""
    try:
        asked = [str(venv_python()), "-c", "import sys, pip; print(*sys.version_info[:2])"]
        if subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split() == [str(part) for part in sys.version_info[:2]]:
            return
    except (OSError, subprocess.CalledProcessError):
        pass  # none, broken, or moved here from elsewhere
    check_venv()
    say("making .venv")
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])


def install(extra: str, wants_cuda: bool) -> None:
    """Put redub and both plugins into .venv; nothing happens if they are there and nothing has changed."""
    stamp = VENV / "redub-installed"
    wanted = fingerprint(f"{extra} {wants_cuda}")
    if stamp.is_file() and wanted in stamp.read_text(encoding="utf-8").split():
        return
    pip = [str(venv_python()), "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    say("installing torch (some 200 MB; minutes)")
    run([*pip, *torch_options(platform.system(), wants_cuda), "torch"])
    say("installing redub, its two plugins and what they need")
    run([*pip, *(part for project in PROJECTS for part in ("--editable", f"{ROOT / project}{extra}"))])
    mend_opencv()
    # The wider install serves the narrower one too.
    done = {wanted, fingerprint(f" {wants_cuda}")}
    stamp.write_text("\n".join(sorted(done)) + "\n", encoding="utf-8")


def mend_opencv() -> None:
    """Put OpenCV's headless build in place where the ordinary one lacks a system library (libGL, glib).

    It is the same module without windows, which redub never opens.
    """
    python = str(venv_python())
    if succeeds([python, "-c", "import cv2"]):
        return
    read = "from importlib.metadata import version; print(version('opencv-python'))"
    found = subprocess.run([python, "-c", read], capture_output=True, text=True, check=True).stdout.strip()
    say("OpenCV lacks a system library here; its headless build takes its place")
    run([python, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", f"opencv-python-headless=={found}"])
    if not succeeds([python, "-c", "import cv2"]):
        raise Stop(f"OpenCV cannot be imported. See why with:  {python} -c 'import cv2'")


def succeeds(command: list[str]) -> bool:
    """Run a command silently and say whether it ended well."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(command: list[str]) -> None:
    """Run a command in the open; raise `Stop` with its name if it fails."""
    code = subprocess.run(command, check=False).returncode
    if code:
        raise Stop(f"This failed (exit {code}):\n  {shlex.join(command)}\nWhat it said stands above. Run bootstrap.py again to go on.")


def say(text: str) -> None:
    """Tell the user what goes on."""
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Install, then do what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("goal", choices=("demo", "test", "install"))
    parser.add_argument("--cuda", action="store_true", help="take torch from PyPI: on Linux the CUDA build")
    chosen, rest = parser.parse_known_args(arguments)
    if rest and chosen.goal == "install":
        parser.error(f"what is {' '.join(rest)}?")
    wants_cuda = chosen.cuda or os.environ.get("REDUB_CUDA", "") not in ("", "0")
    try:
        check_python()
        make_venv()
        install("[test]" if chosen.goal == "test" else "", wants_cuda)
        return finish(chosen.goal, rest)
    except Stop as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def finish(goal: str, rest: list[str]) -> int:
    """Run what was asked for in the finished environment and return its exit status."""
    python = str(venv_python())
    redub = str(Path(python).with_name("redub"))
    if goal == "test":
        # Tests run beside each other, so each of them computes on one core; a module's fixtures are made once.
        all_of_them = ["-n", "auto", "--maxprocesses", "8", "--dist", "loadfile"]
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        return subprocess.run([python, "-m", "pytest", *(rest or all_of_them)], cwd=ROOT, env=environment, check=False).returncode
    if goal == "install":
        say(f"done; start it with {redub}")
        return 0
    # --force: over the result of an earlier demo.
    code = subprocess.run([redub, "demo", "--force", *rest], check=False).returncode
    if not code and not rest:
        say(f"watch the last-named file in {Path.cwd() / 'redub-demo'}; the command itself is {redub}")
    return code


if __name__ == "__main__":
    sys.exit(main())
