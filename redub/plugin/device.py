"""device: what the user asked for -> a device that torch has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from redub.errors import PluginError


def choose_device(asked: str) -> str:
    """Return the device to load a torch model on.

    Called by a plugin's factory, which needs torch anyway, and not by the host, so that a generator without torch never
    pays for its import.

    Args:
        asked: ``LoadContext.device``; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        PluginError: This machine, or this build of torch, has no such device.
    """
    import torch

    if asked == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    there = [name for name, count in counts.items() if count] + [f"cuda:{i}" for i in range(counts["cuda"])]
    if asked not in there:
        raise PluginError(f"There is no device {asked!r} here.", f"Choose auto or one of: {', '.join(there)}.")
    return asked


@contextmanager
def sharing_cores() -> Iterator[None]:
    """Let torch, if it is loaded, compute on half of the cores: the others decode, blend and encode meanwhile.

    Threads of one computation wait for each other in busy loops.  Where one of them has lost its core to the encoder, all the others
    burn theirs: on two busy cores a frame of Speech2Vid took more than twice the processor time that it takes on one.
    It counts for the calling thread and those that it starts.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    usual = torch.get_num_threads()
    torch.set_num_threads(max(1, usual // 2))
    try:
        yield
    finally:
        torch.set_num_threads(usual)
