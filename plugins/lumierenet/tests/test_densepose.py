"""A user's own DensePose: two layouts of TorchScript, detectron2, and folders of pictures."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from redub_lumierenet.densepose import choose_estimator, detections, figure_from, open_script  # noqa: E402
from redub_lumierenet.recipe import FigureSettings  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from redub.errors import RedubError  # noqa: E402

SIDE = 64
BOX = (10, 20, 42, 52)


class Maps(nn.Module):
    """Says of every picture: one person in `BOX`, torso (2) above and left leg (10) below, U rising across, V the picture's own red."""

    def forward(self, red: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        coarse, fine = torch.zeros(1, 2, 112, 112), torch.zeros(1, 25, 112, 112)
        coarse[:, 1] = 1.0
        coarse[:, 0, :, :14] = 2.0
        fine[:, 2, :56] = 3.0
        fine[:, 10, 56:] = 3.0
        u = torch.linspace(0, 1, 112).expand(1, 25, 112, 112).contiguous()
        v = torch.zeros(1, 25, 112, 112) + red
        return torch.tensor([[10.0, 20.0, 42.0, 52.0]]), coarse, fine, u, v


class LayoutA(nn.Module):
    """Takes (H, W, 3) BGR, returns a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = Maps()

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        assert picture.shape[2] == 3
        boxes, coarse, fine, u, v = self.maps(picture[0, 0, 2].float() / 255)
        return {
            "pred_boxes": boxes, "scores": torch.tensor([0.9]), "pred_densepose_coarse_segm": coarse,
            "pred_densepose_fine_segm": fine, "pred_densepose_u": u, "pred_densepose_v": v,
        }  # fmt: skip


class LayoutB(nn.Module):
    """Takes (3, H, W) uint8 RGB, returns a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = Maps()

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        assert picture.shape[0] == 3
        assert picture.dtype == torch.uint8
        boxes, coarse, fine, u, v = self.maps(picture[0, 0, 0].float() / 255)
        return boxes, coarse, fine, u, v


class Nobody(nn.Module):
    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        maps = torch.zeros(0, 25, 112, 112)
        return torch.zeros(0, 4), torch.zeros(0, 2, 112, 112), maps, maps, maps


@dataclass
class Place:
    source: str = "talk"
    frames: np.ndarray = None


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    paths = {}
    for made in (LayoutA(), LayoutB(), Nobody()):
        path = folder / f"{type(made).__name__}.pt"
        # torch announces that scripting goes away; such files stay.
        with warnings.catch_warnings(action="ignore"):
            torch.jit.script(made).save(str(path))
        paths[type(made).__name__] = path
    return paths


def a_picture(red=51):
    picture = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    picture[..., 0] = red
    return picture


@pytest.mark.parametrize("layout", ["LayoutA", "LayoutB"])
def test_both_layouts_are_told_apart_and_give_the_same_figure(script, layout):
    settings = FigureSettings(source="torchscript", path=str(script[layout]))
    figure = choose_estimator(settings, "cpu")(a_picture(), np.zeros((1, 68, 2), np.float32), Place())[0]
    left, top, right, bottom = BOX
    outside = np.ones((SIDE, SIDE), bool)
    outside[top:bottom, left:right] = False
    assert not figure[outside].any()
    # The coarse map says background in the box's left eighth.
    assert not figure[top:bottom, left : left + 3].any()
    inside = figure[top:bottom, left + 5 : right]
    assert set(inside[:14, :, 0].ravel()) == {20}
    assert set(inside[18:, :, 0].ravel()) == {100}
    assert (np.diff(inside[4, :, 1].astype(int)) > 0).all()
    # A fifth of red: blue and red are not exchanged.
    assert set(inside[..., 2].ravel()) == {51}


def test_nobody_in_the_picture_gives_a_black_figure(script):
    detect = open_script(script["Nobody"])
    assert not figure_from(detect(a_picture()[0]), SIDE).any()


def test_a_box_that_reaches_out_of_the_picture_is_cut_off():
    _, coarse, fine, u, v = Maps()(torch.tensor(0.5))
    found = detections((torch.tensor([[-20.0, 40.0, 12.0, 90.0]]), coarse, fine, u, v))
    figure = figure_from(found, SIDE)
    assert figure[45, 5].any()
    assert not figure[:40].any()
    assert not figure[:, 12:].any()


def test_the_strongest_detection_counts():
    boxes, coarse, fine, u, v = (torch.cat([one, one]) for one in Maps()(torch.tensor(0.5)))
    boxes[1] += 10
    answer = {"pred_boxes": boxes, "scores": torch.tensor([0.4, 0.8]), "pred_densepose_coarse_segm": coarse}
    answer |= {"pred_densepose_fine_segm": fine, "pred_densepose_u": u, "pred_densepose_v": v}
    figure = figure_from(detections(answer), SIDE)
    assert not figure[20:30].any()
    assert figure[58, 45].any()
    weak = figure_from(detections({**answer, "scores": torch.tensor([0.1, 0.2])}), SIDE)
    assert not weak.any()


@pytest.mark.parametrize("answer", [(), {"pred_boxes": torch.zeros(1, 4)}, torch.zeros(3), [1, 2, 3, 4, 5]])
def test_another_layout_is_one_clear_error(answer):
    with pytest.raises(RedubError, match="neither known layout"):
        detections(answer)


def test_maps_of_another_network_are_refused():
    boxes, coarse, _, u, v = Maps()(torch.tensor(0.5))
    with pytest.raises(RedubError, match="other sizes"):
        detections((boxes, coarse, torch.zeros(1, 15, 112, 112), u, v))


def test_a_file_that_is_no_script_is_one_clear_error(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(RedubError, match="no TorchScript file"):
        open_script(tmp_path / "model.pt")


def test_without_detectron2_it_says_so(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"")
    try:
        import detectron2  # noqa: F401
    except ImportError:
        with pytest.raises(RedubError, match="is not installed"):
            choose_estimator(FigureSettings(source="detectron2", path=str(tmp_path / "model.pkl")), "cpu")


def test_iuv_pictures_are_found_by_video_and_frame(tmp_path):
    cv2 = pytest.importorskip("cv2")
    folder = tmp_path / "talk"
    folder.mkdir()
    wide = np.zeros((SIDE, 2 * SIDE, 3), np.uint8)
    wide[:, SIDE:] = (2, 100, 200)  # I, U, V as cv2 writes them
    cv2.imwrite(str(folder / "000007.png"), wide)
    estimate = choose_estimator(FigureSettings(source="iuv", path=str(tmp_path)), "cpu")
    figure = estimate(a_picture(), np.zeros((1, 68, 2), np.float32), Place(frames=np.array([7])))[0]
    # The largest centred square of the picture.
    assert not figure[:, : SIDE // 2].any()
    assert figure[5, SIDE // 2].tolist() == [20, 100, 200]
    with pytest.raises(RedubError, match="000008"):
        estimate(a_picture(), np.zeros((1, 68, 2), np.float32), Place(frames=np.array([8])))
    cv2.imwrite(str(folder / "000009.png"), wide * 20)
    with pytest.raises(RedubError, match="no IUV picture"):
        estimate(a_picture(), np.zeros((1, 68, 2), np.float32), Place(frames=np.array([9])))
