"""The registered face, sampled from whatever a decoder gives."""

from fractions import Fraction

import av
import numpy as np
import pytest

from redub.faces.crop import take_crop, take_luma
from redub.faces.geometry import frame_from_crop
from redub.media import Frame

HEIGHT, WIDTH = 180, 240


def scene() -> np.ndarray:
    """(H, W, 3) a smooth coloured scene, in which every place is told by its colour."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    red, green = 40 + 170 * x / WIDTH, 40 + 170 * y / HEIGHT
    return np.stack([red, green, 200 - 60 * (x + y) / (WIDTH + HEIGHT)], -1)


def as_frame(picture: np.ndarray, pix_fmt: str = "yuv444p", rotation: int = 0) -> Frame:
    coded = np.ascontiguousarray(np.rot90(np.rint(picture).astype(np.uint8), rotation // 90))
    native = av.VideoFrame.from_ndarray(coded, format="rgb24").reformat(format=pix_fmt, dst_colorspace=5, dst_color_range=1)
    if not pix_fmt.startswith(("rgb", "gbr")):
        native.colorspace, native.color_range = 5, 1
    return Frame(index=0, pts=0, time_base=Fraction(1, 25), time=Fraction(0), duration=Fraction(1, 25), native=native, rotation=rotation)


def expected(row: np.ndarray, size_px: int) -> np.ndarray:
    """The scene's formula at the places that the geometry names, so without any interpolation."""
    v, u = np.mgrid[:size_px, :size_px].astype(float)
    matrix = frame_from_crop(row, size_px)
    x = np.clip(matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2], 0, WIDTH - 1)
    y = np.clip(matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2], 0, HEIGHT - 1)
    return np.stack([40 + 170 * x / WIDTH, 40 + 170 * y / HEIGHT, 200 - 60 * (x + y) / (WIDTH + HEIGHT)], -1)


ROWS = [np.array([np.log(90.0), 0.3, 80.0, 40.0]), np.array([np.log(150.0), -0.2, 30.0, 45.0])]


@pytest.mark.parametrize("size_px", [32, 64, 128])
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("pix_fmt", ["rgb24", "gbrp", "yuv444p", "yuv422p", "yuv420p", "nv12", "yuv420p10le", "p010le"])
def test_every_place_is_found_in_every_format(pix_fmt, row, size_px):
    crop = take_crop(as_frame(scene(), pix_fmt), row, size_px)
    assert crop.shape == (size_px, size_px, 3)
    assert crop.dtype == np.uint8
    # Chroma at the frame's border and the codes' rounding may cost a few levels; a half px of shift costs more inside.
    assert np.abs(crop - expected(row, size_px)).mean() < 1.0


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("pix_fmt", ["rgb24", "yuv420p"])
def test_turned_pictures_are_sampled_upright(pix_fmt, rotation):
    crop = take_crop(as_frame(scene(), pix_fmt, rotation), ROWS[0], 64)
    assert np.abs(crop - expected(ROWS[0], 64)).mean() < 1.0


def test_a_crop_that_reaches_out_repeats_the_border():
    crop = take_crop(as_frame(scene(), "rgb24"), np.array([np.log(100.0), 0.0, -50.0, 40.0]), 50)
    # The frame's left edge falls on the crop's column 25; the ones before it all show it.
    assert np.ptp(crop[:, :24].astype(int), axis=1).max() <= 1


def test_a_crop_that_lies_outside_is_still_a_picture():
    assert take_crop(as_frame(scene()), np.array([np.log(50.0), 0.0, -900.0, -900.0]), 16).shape == (16, 16, 3)


def test_fine_stripes_become_gray_and_not_other_stripes():
    stripes = np.zeros((HEIGHT, WIDTH, 3))
    stripes[:, ::2] = 255
    crop = take_crop(as_frame(stripes, "rgb24"), np.array([np.log(160.0), 0.0, 20.0, 10.0]), 40)
    assert np.abs(crop.astype(int) - 127).max() < 20


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "rgb24"])
@pytest.mark.parametrize("row", ROWS, ids=["small", "large"])
def test_a_part_is_that_part_of_the_whole(row, pix_fmt):
    frame = as_frame(scene() + 20 * np.sin(np.mgrid[:HEIGHT, :WIDTH].sum(axis=0) / 3)[..., None], pix_fmt)
    for size_px, box in [(112, (24, 54, 88, 110)), (40, (0, 10, 40, 31))]:
        whole = take_crop(frame, row, size_px).astype(int)
        left, top, right, bottom = box
        part = take_crop(frame, row, size_px, box)
        assert part.shape == (bottom - top, right - left, 3)
        # OpenCV's warp counts in 1/32 of a px from the corner.
        assert np.abs(part - whole[top:bottom, left:right]).max() <= 4


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le", "gray", "rgb24"])
def test_luma_is_the_grey_of_the_crop(pix_fmt, rotation):
    frame = as_frame(scene() + 20 * np.sin(np.mgrid[:HEIGHT, :WIDTH].sum(axis=0) / 3)[..., None], pix_fmt, rotation)
    box = (24, 54, 88, 110)
    colours = take_crop(frame, ROWS[1], 112, box).astype(float)
    luma = take_luma(frame, ROWS[1], 112, box)
    assert luma.shape == (56, 64)
    assert luma.dtype == np.uint8
    # The frame says that its colours weigh as BT.601 has it; rounding happens at other places.
    assert np.abs(luma - colours @ [0.299, 0.587, 0.114]).max() <= 3
