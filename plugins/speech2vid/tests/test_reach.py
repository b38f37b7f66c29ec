"""How far painted mouths fall short of true ones, on the frames of the engine's demo."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

from redub_speech2vid.canvas import PLAIN, context_canvas  # noqa: E402
from redub_speech2vid.reach import MOST, measure_reach, openness  # noqa: E402

from redub.faces.crop import take_crop  # noqa: E402
from redub.faces.geometry import similarity_from_points  # noqa: E402
from redub.media import open_video  # noqa: E402

EVERY = 3


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    """(B, 3, 224, 224) of a head that speaks."""
    demo = Path(str(files("redub.demo")))
    places = similarity_from_points(np.load(demo / "truth.npz")["points"].astype(np.float64))
    with open_video(demo / "lecture.mp4") as reader:
        crops = [take_crop(frame, places[frame.index], 224) for frame in reader.read() if frame.index % EVERY == 0]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


def as_pictures(faces):
    return (faces.permute(0, 2, 3, 1) * 255).byte().numpy()


@pytest.mark.parametrize("share", [0.7, 0.85])
def test_mouths_that_move_by_a_share_are_to_be_told_to_move_more(faces, share):
    true = openness(as_pictures(faces))
    rest = np.quantile(true, 0.1)
    nearest = np.abs(true[None] - (rest + share * (true[:, None] - rest))).argmin(axis=1)
    told = true + 0.3 * true.std() * np.random.default_rng(0).standard_normal(len(true))
    assert measure_reach(faces[nearest], faces, told) == pytest.approx(1 / share, abs=0.1)


def test_mouths_that_move_as_far_or_otherwise_are_left_alone(faces):
    true = openness(as_pictures(faces))
    assert measure_reach(faces, faces, true) == 1.0
    assert measure_reach(faces.roll(len(faces) // 2, 0), faces, true) == 1.0
    assert measure_reach(faces[:1].expand_as(faces), faces, true) == 1.0
    barely = np.abs(true[None] - (np.quantile(true, 0.1) + 0.3 * (true[:, None] - np.quantile(true, 0.1)))).argmin(axis=1)
    assert measure_reach(faces[barely], faces, true) == MOST


@pytest.mark.parametrize("canvas", [PLAIN, context_canvas(34)])
def test_what_is_painted_is_put_where_it_was_cut_out(canvas):
    whole = torch.rand(2, 3, canvas.input_px, canvas.input_px)
    painted = torch.rand(2, 3, canvas.height, canvas.width)
    joined = canvas.put(painted, whole)
    assert torch.equal(canvas.cut(joined), painted)
    assert torch.equal(canvas.put(canvas.cut(whole), joined), whole)
    assert torch.equal(canvas.put(canvas.cut(whole), whole), whole)
