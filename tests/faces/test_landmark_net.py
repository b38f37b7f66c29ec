"""redub's own network: what is cut out for it, how it answers, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from redub.errors import WeightError
from redub.faces.canonical import CANONICAL_FACE
from redub.faces.geometry import apply_similarity
from redub.faces.landmark_layers import CROP_PX, LandmarkNet
from redub.faces.landmark_net import answer, conventional, crop_of, folded, mirrored, read_network, settled
from redub.faces.shipped import LANDMARKS
from redub.weights import allows_commercial_use, find


def test_mirrored_points_are_those_of_the_mirrored_face() -> None:
    assert (CANONICAL_FACE * [-1, 1] + [1, 0])[mirrored()] == pytest.approx(CANONICAL_FACE, abs=1e-3)
    np.testing.assert_array_equal(mirrored()[mirrored()], np.arange(68))


def test_the_crop_holds_a_face_with_an_open_mouth() -> None:
    left, top, scale = crop_of((0.01, -0.105, 0.99, 0.875))  # the detector's box around the canonical face
    at = (CANONICAL_FACE - [left, top]) / scale
    assert at.min() > 10
    assert at.max() < CROP_PX - 16
    assert (at[:, 0].min() + at[:, 0].max()) / 2 == pytest.approx((CROP_PX - 1) / 2)


def test_exposure_does_not_matter() -> None:
    crop = np.random.default_rng(1).integers(40, 120, (CROP_PX, CROP_PX)).astype(np.uint8)
    assert settled(2 * crop) == pytest.approx(settled(crop), abs=1e-4)
    assert np.abs(settled(np.full((CROP_PX, CROP_PX), 7, np.uint8))).max() == 0


def test_points_are_moved_along_with_the_face() -> None:
    random = np.random.default_rng(4)
    manner = random.normal(0, 0.02, (68, 2))
    faces = CANONICAL_FACE + random.normal(0, 0.01, (3, 68, 2))
    moved = conventional(faces, manner)
    # On the mean face itself the answer is known: its eyes and nose tell just the canonical square.
    assert conventional(CANONICAL_FACE[None] + manner * 0, manner)[0] == pytest.approx(CANONICAL_FACE - manner, abs=1e-6)
    row = np.array([np.log(130.0), 0.4, 60.0, 20.0])
    assert conventional(apply_similarity(row, faces), manner) == pytest.approx(apply_similarity(row, moved), abs=1e-6)


def test_folded_norms_answer_the_same() -> None:
    torch.manual_seed(3)
    network = LandmarkNet()
    crops = torch.randn(4, 1, CROP_PX, CROP_PX)
    for _ in range(3):
        network(crops * 1.5 + 0.2)
    with torch.inference_mode():
        expected = network.eval()(crops)[0].numpy().copy()
        assert folded(network)(crops)[0].numpy() == pytest.approx(expected, abs=1e-2)
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for name, each in network.named_modules() if not name.startswith("together"))


def test_points_are_the_middles_of_their_maps() -> None:
    network = LandmarkNet().eval()
    with torch.inference_mode():
        points, maps = network(torch.randn(2, 1, CROP_PX, CROP_PX))
    assert points.shape == (2, 68, 2)
    shares = maps.softmax(-1).reshape(2, 68, 24, 24).numpy()
    at = 4 * np.arange(24) + 1.5
    assert points[..., 0].numpy() == pytest.approx((shares.sum(2) * at).sum(-1), abs=1e-3)
    assert points[..., 1].numpy() == pytest.approx((shares.sum(3) * at).sum(-1), abs=1e-3)


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    save_file({"stem.0.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\x00")
    for name in ("other", "cut"):
        with pytest.raises(WeightError, match=name):
            read_network(tmp_path / f"{name}.safetensors")


def test_the_shipped_file_is_the_declared_one_and_free() -> None:
    path = find(LANDMARKS)
    assert path.with_name("MODEL_CARD.md").is_file()
    assert path.stat().st_size < 15e6
    assert allows_commercial_use(LANDMARKS.licence)
    read_network(path)


def test_asking_leaves_torch_with_the_threads_that_it_had():
    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        answer(np.random.default_rng(0).integers(0, 255, (96, 96)).astype(np.uint8), [np.array([20.0, 20, 70, 70])] * 2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(usual)
