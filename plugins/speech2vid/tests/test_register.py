"""What a painted picture is compared with, and who judges it: registration and critic."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

import numpy as np  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from redub_speech2vid.canvas import PLAIN  # noqa: E402
from redub_speech2vid.critic import BOTTOM, LEFT, RIGHT, TOP, Critic, belief_loss, critic_loss  # noqa: E402
from redub_speech2vid.pictures import as_floats  # noqa: E402
from redub_speech2vid.register import find_maps, registered  # noqa: E402
from torch import Tensor  # noqa: E402

from redub.testing import draw_face  # noqa: E402


def faces(count: int, openness: float = 0.3, first: int = 0) -> Tensor:
    drawn = np.stack([draw_face(112, openness, seed)[0] for seed in range(first, first + count)])
    return PLAIN.cut(as_floats(torch.from_numpy(drawn)))


def moved(pictures: Tensor, maps: Tensor) -> Tensor:
    grid = F.affine_grid(maps, list(pictures.shape), align_corners=True)
    return F.grid_sample(pictures, grid, mode="bicubic", padding_mode="border", align_corners=True)


def random_maps(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.eye(2, 3).repeat(count, 1, 1)
    maps[:, :, 2] += 0.02 * torch.randn(count, 2, generator=generator)
    maps[:, :, :2] += 0.01 * torch.randn(count, 2, 2, generator=generator)
    return maps


def test_a_face_that_was_moved_is_found_to_a_fraction_of_a_pixel():
    pictures, maps = faces(12), random_maps(12, 0)
    found = find_maps(moved(pictures, maps), pictures)
    # Along the edge of the face an affine map moves a point by its slope as well as by its shift.
    corners = torch.tensor([[-0.5, -0.5, 1.0], [0.5, -0.5, 1.0], [0.0, 0.3, 1.0]]).T
    before_px = ((maps - torch.eye(2, 3)) @ corners).norm(dim=1) * 54
    after_px = ((maps - found) @ corners).norm(dim=1) * 54
    assert float(before_px.mean()) > 1
    assert float(after_px.mean()) < 0.35 * float(before_px.mean())


def test_another_light_is_not_taken_for_a_move():
    pictures = faces(6)
    found = find_maps(0.8 * pictures + 0.1, pictures)
    assert float((found - torch.eye(2, 3)).abs().max()) * 54 < 0.2


def test_how_far_the_mouth_is_open_is_not_explained_away():
    """Registered or not, an open mouth differs as much from a closed one."""
    closed, opened = faces(6, 0.0), faces(6, 0.9)
    window = (slice(None), slice(None), slice(60, 85), slice(35, 75))
    plain = float((opened - closed)[window].abs().mean())
    assert float((registered(closed, opened) - closed)[window].abs().mean()) > 0.9 * plain


def test_on_average_nothing_moves_so_that_no_network_drifts_away():
    pictures = faces(8)
    shifted = pictures.roll(2, dims=3)
    assert float((registered(shifted, pictures) - pictures).abs().mean()) < 0.1 * float((shifted - pictures).abs().mean())


def test_single_pictures_are_moved_onto_the_painted_ones():
    pictures = faces(12)
    maps = random_maps(12, 1)
    maps = maps - maps.mean(0) + torch.eye(2, 3)
    painted = moved(pictures, maps)
    middle = (slice(None), slice(None), slice(20, 90), slice(20, 90))
    before, after = ((other - painted)[middle].abs().mean() for other in (pictures, registered(painted, pictures)))
    assert float(after) < 0.5 * float(before)


def test_painter_and_critic_learn_from_their_own_term_only():
    torch.manual_seed(0)
    critic = Critic()
    painted, true, codes = torch.rand(4, 3, 109, 109, requires_grad=True), torch.rand(4, 3, 109, 109), torch.randn(4, 12)
    critic_loss(critic, painted, true, codes).backward()
    assert painted.grad is None
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in critic.parameters())
    critic.zero_grad()
    belief, unlike = belief_loss(critic, painted, true, codes)
    (belief + unlike).backward()
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in critic.parameters())
    seen = torch.zeros(109, 109, dtype=torch.bool)
    seen[TOP:BOTTOM, LEFT:RIGHT] = True
    touched = painted.grad.abs().sum(dim=(0, 1)) > 0
    assert touched[seen].all()
    assert not touched[~seen].any()


def test_a_critic_learns_to_tell_photographs_and_whether_the_mouth_has_the_shape_that_is_said():
    torch.manual_seed(0)
    critic = Critic()
    optimiser = torch.optim.Adam(critic.parameters(), 1e-3)
    opened = torch.linspace(0, 1, 8)
    true = torch.cat([faces(1, float(value), 3) for value in opened])
    codes = torch.zeros(8, 12)
    codes[:, 0] = 4 * opened - 2
    painted = F.avg_pool2d(F.pad(true, (3, 3, 3, 3), mode="replicate"), 7, 1)
    for _ in range(80):
        order = torch.randperm(8)
        optimiser.zero_grad()
        critic_loss(critic, painted[order], true[order], codes[order]).backward()
        optimiser.step()
    with torch.no_grad():
        _, parts, shape = critic(true, codes)
        _, false_parts, _ = critic(painted, codes)
        _, _, wrong = critic(true, codes.flip(0))
    assert float(parts.mean()) > float(false_parts.mean()) + 0.5
    assert float(shape.mean()) > float(wrong[[0, 1, 6, 7]].mean()) + 0.5
