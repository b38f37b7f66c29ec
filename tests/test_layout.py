"""The house keeps its shape: the flow is a folder, its pages stand in order, and looking at redub costs nothing."""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import redub

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "cv2", "dlib", "av", "scipy", "skimage", "scenedetect", "python_speech_features")
MODULES = sorted(module.name for module in pkgutil.walk_packages(redub.__path__, "redub."))


def loaded(code: str, *, heavy: tuple[str, ...] = HEAVY) -> set[str]:
    """Run code in a fresh Python and say which heavy libraries it imported."""
    tail = f"\nimport sys, json; print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def stages() -> list[str]:
    """The stages in the order in which the layering contract lists them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return [name.rpartition(".")[2] for name in next(c for c in contracts if c["type"] == "independence")["modules"]]


def test_the_stages_folder_holds_the_six_steps_and_nothing_else() -> None:
    assert sorted(path.stem for path in (ROOT / "redub/stages").glob("[!_]*.py")) == sorted(stages())


def test_the_flow_has_a_page_for_each_stage_in_order() -> None:
    pages = sorted(path.stem for path in (ROOT / "docs/flow").glob("[0-9]*.md"))
    assert pages == [f"{number}-{stage}" for number, stage in enumerate(stages(), 1)]


def test_the_pipeline_knows_every_stage() -> None:
    trees = [ast.parse((ROOT / "redub" / name).read_text(encoding="utf-8")) for name in ("pipeline.py", "painting.py")]
    froms = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {node.module.rpartition(".")[2] for node in froms if node.module}
    imported |= {alias.name for node in froms if node.module == "redub.stages" for alias in node.names}
    assert set(stages()) <= imported


def test_import_redub_imports_nothing_heavy() -> None:
    assert loaded("import redub") == set()


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["analyse", "--help"], ["render", "--help"], ["demo", "--help"]])
def test_help_imports_nothing_heavy(words) -> None:
    code = (
        f"import sys; sys.argv = ['redub', *{words!r}]\nfrom redub.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code"
    )
    assert loaded(code) == set()


def test_help_needs_no_opencv() -> None:
    code = "import sys; sys.modules['cv2'] = None; sys.argv = ['redub', '--help']\nfrom redub.cli import main\nmain()"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_no_module_imports_what_its_functions_need() -> None:
    """PyAV is free to media, whose business it is, and torch to training and to the sync network, but not to who calls it."""
    networks = ("redub.speech.sync_layers", "redub.speech.syncnet", "redub.speech.lse", "redub.faces.landmark_")
    light = [name for name in MODULES if not name.startswith(("redub.media", "redub.training", *networks))]
    code = "\n".join(f"import {name}" for name in light if not name.endswith("__main__"))
    assert loaded(code, heavy=tuple(name for name in HEAVY if name != "av")) == set()


@pytest.mark.parametrize("name", MODULES)
def test_only_media_imports_av_and_only_cv_imports_cv2(name) -> None:
    path = ROOT / (name.replace(".", "/") + ".py")
    tree = ast.parse((path if path.exists() else path.with_suffix("") / "__init__.py").read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    imported = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module.partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    assert "av" not in imported or name.startswith("redub.media")
    assert "cv2" not in imported or name == "redub.faces.cv"
