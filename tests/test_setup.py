"""bootstrap.py, and whether what it installs is what the projects ask for."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import socket
import sys
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = (ROOT, ROOT / "plugins/speech2vid", ROOT / "plugins/lumierenet")


@pytest.fixture(scope="module")
def bootstrap():
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Index(BaseHTTPRequestHandler):
    """Has torch and nothing else."""

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path == "/whl/torch/" else 404)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def index():
    with HTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/whl"
        server.shutdown()
        thread.join()


@pytest.fixture
def mute_port():
    """A server that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_old_python_can_read_the_file_and_is_told(bootstrap) -> None:
    ast.parse((ROOT / "bootstrap.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    with pytest.raises(bootstrap.Stop, match=r"Python 3\.10; redub needs 3\.11"):
        bootstrap.check_python((3, 10))
    bootstrap.check_python((3, 11))
    bootstrap.check_python((4, 0))


def test_the_oldest_python_is_the_one_the_projects_name(bootstrap) -> None:
    wanted = {tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"] for project in PROJECTS}
    assert wanted == {">=" + ".".join(map(str, bootstrap.OLDEST))}


def test_a_python_without_ensurepip_names_debians_package(bootstrap) -> None:
    with pytest.raises(bootstrap.Stop, match=rf"lacks ensurepip.*\n.*apt-get install python3\.{sys.version_info[1]}-venv"):
        bootstrap.check_venv(lambda name: name != "ensurepip")


def test_linux_gets_the_cpu_builds_where_their_index_answers(bootstrap, index) -> None:
    assert bootstrap.torch_options("Linux", False, index) == ["--extra-index-url", index]


@pytest.mark.parametrize(("system", "wants_cuda"), [("Linux", True), ("Darwin", False), ("Windows", False)])
def test_elsewhere_pypi_has_the_right_torch(bootstrap, index, system, wants_cuda) -> None:
    assert bootstrap.torch_options(system, wants_cuda, index) == []


def test_an_index_without_torch_or_a_dead_one_is_left_out_and_said(bootstrap, index, capsys) -> None:
    assert bootstrap.torch_options("Linux", False, f"{index}/elsewhere") == []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free_port = taken.getsockname()[1]
    assert bootstrap.torch_options("Linux", False, f"http://127.0.0.1:{free_port}") == []
    assert capsys.readouterr().err.count("cannot be reached") == 2


def test_a_mute_server_costs_no_more_than_the_timeout(bootstrap, mute_port) -> None:
    start = time.monotonic()
    assert not bootstrap.can_reach(f"http://127.0.0.1:{mute_port}/", timeout_s=0.3)
    assert time.monotonic() - start < 5


def test_a_step_that_fails_names_its_command(bootstrap) -> None:
    with pytest.raises(bootstrap.Stop, match=r"exit 3.*\n.*raise SystemExit"):
        bootstrap.run([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_changed_pin_or_requirement_means_another_install(bootstrap, tmp_path) -> None:
    for project in PROJECTS:
        target = tmp_path / project.relative_to(ROOT)
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / "pyproject.toml", target)
    for name in ("bootstrap.py", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    digests = [bootstrap.fingerprint("", tmp_path), bootstrap.fingerprint("[test]", tmp_path)]
    for name in ("constraints.txt", "plugins/speech2vid/pyproject.toml"):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        digests.append(bootstrap.fingerprint("", tmp_path))
    assert len(set(digests)) == 4


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_within_its_range(project) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines) if version}
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*table["dependencies"], *(line for extra in table.get("optional-dependencies", {}).values() for line in extra)]
    for line in asked:
        wanted = Requirement(line)
        name = canonicalize_name(wanted.name)
        if not name.startswith("redub"):
            assert name in pins, f"{line} is not pinned"
            assert wanted.specifier.contains(pins[name]), f"{line} is pinned to {pins[name]}"
