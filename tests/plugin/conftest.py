"""Distributions that look installed, for tests of what the host makes of them."""

import importlib
import sys
from pathlib import Path
from textwrap import dedent

import pytest

MOUTHBAR = """
from redub.plugin import AudioWindow, Blend, GeneratorInfo, Mode, Painted, Generator, Region, check_clip, hookimpl

INFO = GeneratorInfo(
    name={name!r}, summary="A test.", api={api!r}, licence="MIT", region=Region.FACE,
    modes={{Blend.FEATHER: Mode(input_px=32, output_px=32)}},
    audio=AudioWindow(rate_hz=8000, before_s=0.1, after_s=0.1), factory="{module}:load", {extra}
)

@hookimpl
def redub_generators():
    yield INFO

class Inverted(Generator):
    def generate(self, clip):
        check_clip(clip, INFO, INFO.modes[Blend.FEATHER])
        {body}
        return Painted(frames=255 - clip.frames)

def load(context):
    {loading}
    return Inverted()
"""


class Shelf:
    """A folder on the import path into which distributions are put."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.modules: list[str] = []
        self.distributions: list[str] = []
        self._monkeypatch = monkeypatch

    def choose(self) -> None:
        self._monkeypatch.setenv("REDUB_PLUGINS", ",".join(self.distributions))

    def put(self, distribution: str, source: str, *, version: str = "1.0", point: str | None = None) -> str:
        """Install one module as a distribution with one entry point; return the module's name."""
        module = f"{distribution.replace('-', '_')}_module"
        self.modules.append(module)
        (self.folder / f"{module}.py").write_text(dedent(source))
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[redub]\n{point or distribution.removeprefix('redub-')} = {module}\n")
        importlib.invalidate_caches()
        self.distributions.append(distribution)
        self.choose()
        return module

    def put_generator(
        self, distribution: str, name: str, *, api=(1, 0), extra: str = "", body: str = "pass", loading: str = "pass", version: str = "1.0"
    ) -> str:
        """Install a distribution with one generator that inverts its crops."""
        module = f"{distribution.replace('-', '_')}_module"
        source = MOUTHBAR.format(name=name, api=api, module=module, extra=extra, body=body, loading=loading)
        return self.put(distribution, source, version=version)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Let only the distributions put here, and the built-in one, be asked."""
    monkeypatch.syspath_prepend(tmp_path)
    shelf = Shelf(tmp_path, monkeypatch)
    shelf.choose()
    yield shelf
    for module in shelf.modules:
        sys.modules.pop(module, None)
