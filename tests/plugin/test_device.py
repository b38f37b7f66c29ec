"""Torch leaves cores to those who work beside it."""

from __future__ import annotations

import threading

import torch

from redub.plugin.device import sharing_cores


def threads_elsewhere() -> int:
    """Return how many threads torch uses in a thread that begins now."""
    found: list[int] = []
    worker = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    worker.start()
    worker.join()
    return found[0]


def test_half_of_the_cores_are_left_to_others_and_given_back():
    usual = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with sharing_cores():
            assert torch.get_num_threads() == 2
            assert threads_elsewhere() == 2
            with sharing_cores(), sharing_cores():
                assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 4
        assert threads_elsewhere() == 4
    finally:
        torch.set_num_threads(usual)
