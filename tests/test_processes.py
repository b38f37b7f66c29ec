"""Work in several processes: what comes back, how many threads each may have, and what a killed one leaves."""

import os
import signal

import pytest

from redub.errors import RedubError
from redub.processes import THREADS, in_processes


def threads(number: int) -> tuple[int, dict[str, str | None]]:
    return number, {name: os.environ.get(name) for name in THREADS}


def die(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_each_process_takes_its_share_of_the_cores(monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    found = dict(in_processes(threads, [(0,), (1,), (2,)], 2, "counted"))
    assert found == dict.fromkeys(range(3), dict.fromkeys(THREADS, "4"))
    assert not set(THREADS) & set(os.environ)
    # Whoever says how many is listened to.
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert dict(in_processes(threads, [(0,)], 2, "counted"))[0]["OMP_NUM_THREADS"] == "3"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise here")
def test_a_killed_process_is_told():
    with pytest.raises(RedubError, match="A process that counted was killed") as error:
        list(in_processes(die, [(0,), (1,), (2,)], 2, "counted"))
    assert "run it again" in error.value.hint
