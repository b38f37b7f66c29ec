"""What every test stands on: no network, no settings from outside, the same chance each time, and footage."""

from __future__ import annotations

import importlib.util
import os
import random
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
CLIPS = ROOT.parent / "shared" / "clips"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class NetworkUsed(AssertionError):
    """A test tried to leave this machine."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections and names beyond this machine; its own addresses stay, for tests that serve something."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise NetworkUsed(f"connection to {address}")
        connect(self, address)

    def guarded_look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in (None, "", *LOOPBACK):
            raise NetworkUsed(f"look-up of {host}")
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take REDUB_* variables away for the test."""
    for name in [name for name in os.environ if name.startswith("REDUB_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def same_chance() -> None:
    """Seed what draws numbers without being handed a generator."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries under test draw from the old generator


@pytest.fixture(scope="session")
def shared_clips() -> Path:
    """Return the folder of real footage; it is not part of the repository, so its tests skip where it is not at hand."""
    if not (CLIPS / "clips.json").is_file():
        pytest.skip("no real footage: ../shared/clips is not there")
    return CLIPS


@pytest.fixture(scope="session")
def demo() -> Path:
    """Return the folder of the demo's files, as packaged."""
    found = importlib.util.find_spec("redub.demo")
    if found is None or found.origin is None:
        raise FileNotFoundError("redub.demo")
    return Path(found.origin).parent
