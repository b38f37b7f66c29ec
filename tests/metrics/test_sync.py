"""What is said of lips and sound whose fit is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from redub.metrics.sync import measure_sync
from redub.speech.lse import measure_lse
from redub.speech.sync import SyncSeries, embed_track
from redub.speech.sync_layers import SyncNet
from redub.speech.syncnet import PublishedSync


def series(count: int, early: int = 0, *, is_speech: bool = True) -> SyncSeries:
    """Return moments that are all different, each heard so many frames before it is seen."""
    random = np.random.default_rng(1)
    moments = random.normal(size=(count + 40, 24)).astype(np.float32)
    moments /= np.linalg.norm(moments, axis=1, keepdims=True)
    return SyncSeries(
        times_s=np.arange(count) / 25,
        faces=moments[20 : 20 + count],
        sounds=moments[20 + early : 20 + early + count],
        is_speech=np.full(count, is_speech),
    )


def test_lips_that_fit_are_found_at_every_length():
    found = measure_sync(series(100))
    assert found.distance == pytest.approx(0, abs=1e-6)
    # What has nothing in common is the root of two apart.
    assert found.confidence == pytest.approx(math.sqrt(2), abs=0.1)
    assert found.offset_frames == pytest.approx(0, abs=0.1)
    assert found.coverage == 1
    assert found.right == dict.fromkeys(["5", "7", "9", "11", "13", "15"], 1.0)


@pytest.mark.parametrize("early", [4, -7])
def test_lips_that_are_off_are_as_sure_and_never_right(early):
    found = measure_sync(series(100, early))
    assert found.offset_frames == pytest.approx(early, abs=0.1)
    assert found.offset_s == pytest.approx(early / 25, abs=0.01)
    assert found.confidence == pytest.approx(math.sqrt(2), abs=0.1)
    assert set(found.right.values()) == {0.0}


def test_where_nobody_is_heard_nothing_is_said():
    found = measure_sync(series(60, is_speech=False))
    assert all(math.isnan(value) for value in (found.distance, found.confidence, found.offset_s, *found.right.values()))
    assert found.coverage == 0


def test_the_published_network_gives_the_published_numbers():
    torch.manual_seed(0)
    random = np.random.default_rng(2)
    model = PublishedSync(SyncNet())
    pictures = random.integers(0, 256, (24, 224, 224, 3), dtype=np.uint8)
    speech = random.normal(size=24 * 640).astype(np.float32) * 0.1
    expected = measure_lse(model, pictures, speech)
    times_s = 0.5 + (np.arange(24) + 0.5) / 25
    found = measure_sync(embed_track(model, pictures, None, times_s, np.pad(speech, 8000)), is_published=True)
    assert found.distance == pytest.approx(expected.distance, rel=1e-4)
    assert found.confidence == pytest.approx(expected.confidence, rel=1e-3, abs=1e-4)
    assert found.offset_frames == expected.offset_frames
