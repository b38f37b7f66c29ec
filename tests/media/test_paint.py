"""Colours in and out: every pixel format, matrix and range, and nothing touched that is not painted."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Interpolation

from redub.errors import MediaError
from redub.media import Frame, mix, open_video, paint
from redub.types import Patch

CHART = np.array(
    [
        (255, 255, 255), (192, 192, 192), (128, 128, 128), (64, 64, 64), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255),
        (0, 255, 255), (255, 0, 255), (255, 255, 0), (115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (214, 126, 44),
    ],
    np.uint8,
)  # fmt: skip
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
YUV = [
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuv411p",
    "yuv440p",
    "nv12",
    "nv21",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p12le",
    "p010le",
    "p210le",
]
RGBS = ["rgb24", "bgr24", "rgba", "bgr0", "argb", "gbrp", "gbrp10le", "rgb48le"]


def chart(cell: int) -> np.ndarray:
    """Return the chart as (4 cell, 4 cell, 3)."""
    return CHART.reshape(4, 4, 3).repeat(cell, 0).repeat(cell, 1)


def frame_of(native: av.VideoFrame, rotation: int = 0) -> Frame:
    native.pts, native.time_base = 0, Fraction(1, 25)
    return Frame(
        index=0, pts=0, time_base=Fraction(1, 25), time=Fraction(0), duration=Fraction(1, 25), native=native, rotation=rotation
    )  # fmt: skip


def noise(form: str, height: int = 120, width: int = 160, seed: int = 0) -> av.VideoFrame:
    """Return a frame full of chance, tagged BT.709 and limited."""
    rng = np.random.default_rng(seed)
    native = av.VideoFrame(width, height, form)
    depth = max(part.bits for part in native.format.components)
    for plane in native.planes:
        view = np.frombuffer(plane, np.uint8 if depth == 8 else "<u2")
        shift = 16 - depth if form.startswith(("p0", "p2")) else 0
        view[:] = rng.integers(0, 1 << depth, view.shape) << shift
    native.colorspace, native.color_range = 1, 1
    return native


def components(native: av.VideoFrame) -> list[np.ndarray]:
    """Return all visible samples, as (H, W, parts) words."""
    depth = max(part.bits for part in native.format.components)
    word = np.uint8 if depth == 8 else np.dtype("<u2")
    result = []
    for number, plane in enumerate(native.planes):
        parts = sum(part.plane == number for part in native.format.components)
        parts = 4 if native.format.name in ("bgr0", "rgb0") else parts
        rows = np.frombuffer(plane, word).reshape(plane.height, -1)
        result.append(rows[:, : plane.width * parts].reshape(plane.height, plane.width, parts).copy())
    return result


@pytest.mark.parametrize(("matrix", "spread", "bits"), list(product(WEIGHTS, (1, 2), (8, 10))))
def test_rgb_follows_the_tags(matrix: int, spread: int, bits: int) -> None:
    """Against the equations of ITU-T H.273, written out once more."""
    rgb = chart(8).astype(float) / 255
    red, blue = WEIGHTS[matrix]
    luma = red * rgb[..., 0] + (1 - red - blue) * rgb[..., 1] + blue * rgb[..., 2]
    chroma = [(rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red)]
    unit, top = 1 << (bits - 8), (1 << bits) - 1
    if spread == 1:
        samples = [16 * unit + 219 * unit * luma, *(128 * unit + 224 * unit * part for part in chroma)]
    else:
        samples = [top * luma, *(128 * unit + top * part for part in chroma)]
    native = av.VideoFrame(32, 32, "yuv444p" if bits == 8 else "yuv444p10le")
    for plane, part in zip(native.planes, samples, strict=True):
        word = np.uint8 if bits == 8 else np.dtype("<u2")
        np.frombuffer(plane, word).reshape(32, -1)[:, :32] = np.clip(np.rint(part), 0, top)
    native.colorspace, native.color_range = matrix, spread
    frame = frame_of(native)
    assert np.abs(frame.rgb().astype(int) - chart(8)).max() <= (2 if bits == 8 else 1)
    assert np.abs(frame.gray().astype(float) - 255 * luma).max() <= 1.5


@pytest.mark.parametrize(("height", "matrix"), [(576, 6), (720, 1)])
def test_untagged_pictures_are_read_as_players_read_them(height: int, matrix: int) -> None:
    native = av.VideoFrame(1280, height, "yuv444p")
    for plane, value in zip(native.planes, (120, 90, 190), strict=True):
        np.frombuffer(plane, np.uint8)[:] = value
    untagged = frame_of(native).rgb((0, 0, 2, 2))
    native.colorspace = matrix
    assert np.array_equal(frame_of(native).rgb((0, 0, 2, 2)), untagged)
    native.colorspace = 7 - matrix
    assert not np.array_equal(frame_of(native).rgb((0, 0, 2, 2)), untagged)


def test_chroma_is_placed_on_the_left_luma_sample_and_between_the_lines() -> None:
    """A slope of colour, sampled where H.264 says that it lies, comes back as the same slope."""
    native = av.VideoFrame(64, 48, "yuv420p")
    np.frombuffer(native.planes[0], np.uint8)[:] = 128
    columns, rows = np.meshgrid(np.arange(32) * 2, np.arange(24) * 2 + 0.5)
    for plane, slope in zip(native.planes[1:], (60 + columns * 2, 60 + rows * 2), strict=True):
        np.frombuffer(plane, np.uint8).reshape(24, -1)[:, :32] = np.rint(slope)
    native.colorspace, native.color_range = 6, 2
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    blue = 128 + 1.772 * (60 + 2 * x - 128)
    red = 128 + 1.402 * (60 + 2 * y - 128)
    seen = frame_of(native).rgb().astype(float)
    inside = np.s_[4:-4, 4:-4]
    assert np.abs(seen[..., 2] - np.clip(blue, 0, 255))[inside].max() <= 1.5
    assert np.abs(seen[..., 0] - np.clip(red, 0, 255))[inside].max() <= 1.5


@pytest.mark.parametrize(
    "form", [*YUV, *RGBS, "gray", "gray10le", "yuyv422", "uyvy422", "yuv420p10be", "yuvj420p", "yuva420p", "ya8", "rgb565le"]
)
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_region_is_that_part_of_the_whole(form: str, rotation: int) -> None:
    frame = frame_of(noise("rgb24").reformat(format=form), rotation)
    whole = frame.rgb()
    assert whole.shape == (frame.height, frame.width, 3)
    for left, top, right, bottom in ((0, 0, 7, 9), (13, 22, 54, 61), (frame.width - 5, 3, frame.width, frame.height), (30, 30, 31, 31)):
        assert np.array_equal(frame.rgb((left, top, right, bottom)), whole[top:bottom, left:right])


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 161, 5), (5, 5, 5, 9), (0, 118, 3, 121)])
def test_a_box_outside_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="does not lie inside"):
        frame_of(noise("yuv420p")).rgb(box)


@pytest.mark.parametrize("form", [*YUV, *RGBS, "yuvj420p", "yuyv422", "uyvy422", "yuv422p10be"])
@pytest.mark.parametrize("spread", [1, 2])
def test_a_painted_chart_has_its_colours(form: str, spread: int) -> None:
    native = noise(form)
    native.colorspace, native.color_range = 1, spread
    picture = chart(16)
    painted = paint(frame_of(native), [Patch(left=33, top=21, rgb=picture, alpha=np.ones((64, 64), np.float32))])
    seen = painted.rgb((33, 21, 97, 85)).astype(int)
    # Where two colours meet, subsampled chroma is shared between them; the middle of each is its own.
    middles = np.s_[6::16, 6::16]
    assert np.abs(seen[middles] - picture[middles]).max() <= 2


@pytest.mark.parametrize("form", [*YUV, *RGBS, "gray", "gray10le", "yuvj422p", "yuva420p", "gbrap"])
@pytest.mark.parametrize("place", [(0, 0), (33, 21), (160 - 47, 120 - 35), (32, 20)])
def test_what_is_not_painted_is_bit_identical(form: str, place: tuple[int, int]) -> None:
    native = noise(form)
    before = components(native)
    rng = np.random.default_rng(1)
    alpha = np.zeros((35, 47), np.float32)
    alpha[11:20, 9:31] = rng.random((9, 22))
    left, top = place
    painted = paint(frame_of(native), [Patch(left=left, top=top, rgb=rng.integers(0, 256, (35, 47, 3), np.uint8), alpha=alpha)])
    after = components(painted.native)
    assert all(np.array_equal(old, new) for old, new in zip(before, components(native), strict=True)), "the decoder's frame was written to"
    assert painted.native.format.name == form
    touched = np.zeros((120, 160), bool)
    touched[top : top + 35, left : left + 47] = alpha > 0
    for old, new in zip(before, after, strict=True):
        tall, wide = 120 // old.shape[0], 160 // old.shape[1]
        grown = touched.copy()
        if wide > 1:
            # A chroma sample is filtered from the luma pixels nearer to it than its neighbour.
            for shift in range(1, wide):
                grown[:, shift:] |= touched[:, :-shift]
        reached = grown.reshape(120 // tall, tall, 160 // wide, wide).any((1, 3))
        assert np.array_equal(old[~reached], new[~reached])
    assert sum(not np.array_equal(old, new) for old, new in zip(before, after, strict=True)) == len(before) - (
        form in ("yuva420p", "gbrap")
    )


@pytest.mark.parametrize("form", ["yuva420p", "rgba", "gbrap"])
def test_transparency_is_left_alone(form: str) -> None:
    native = noise(form)
    painted = paint(frame_of(native), [Patch(left=0, top=0, rgb=np.zeros((120, 160, 3), np.uint8), alpha=np.ones((120, 160), np.float32))])
    old, new = components(native), components(painted.native)
    assert np.array_equal(old[-1][..., -1], new[-1][..., -1])


@pytest.mark.parametrize("form", ["yuv420p", "yuv444p10le", "rgb24"])
def test_alpha_is_the_share_of_the_patch(form: str) -> None:
    base = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 200, np.uint8), "rgb24").reformat(format=form)
    patch = Patch(left=8, top=8, rgb=np.full((48, 48, 3), 100, np.uint8), alpha=np.full((48, 48), 0.25, np.float32))
    seen = paint(frame_of(base), [patch]).rgb((10, 10, 54, 54)).astype(int)
    assert np.abs(seen - 175).max() <= 2


@pytest.mark.parametrize("form", ["yuv420p", "nv12", "yuv422p10le", "rgb24"])
@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_painting_is_upright(form: str, rotation: int) -> None:
    frame = frame_of(noise(form), rotation)
    picture = chart(16)[:48]
    seen = paint(frame, [Patch(left=17, top=30, rgb=picture, alpha=np.ones((48, 64), np.float32))]).rgb((17, 30, 81, 78)).astype(int)
    middles = np.s_[7::16, 7::16]
    assert np.abs(seen[middles] - picture[middles]).max() <= 2


def test_unpainted_colours_do_not_bleed_in() -> None:
    """What a patch holds where its alpha is 0 has no say, not even in chroma that it shares with its neighbours."""
    alpha = np.zeros((40, 40), np.float32)
    alpha[11:30, 11:30] = 1
    results = []
    for outside in (0, 255):
        rgb = np.full((40, 40, 3), outside, np.uint8)
        rgb[11:30, 11:30] = (200, 60, 90)
        results.append(components(paint(frame_of(noise("yuv420p")), [Patch(left=31, top=41, rgb=rgb, alpha=alpha)]).native))
    assert all(np.array_equal(one, two) for one, two in zip(*results, strict=True))


def test_a_patch_at_the_frame_edge_covers_it() -> None:
    native = noise("yuv420p", 121, 161)
    rgb = np.full((121, 161, 3), (200, 60, 90), np.uint8)
    seen = paint(frame_of(native), [Patch(left=0, top=0, rgb=rgb, alpha=np.ones((121, 161), np.float32))]).rgb().astype(int)
    assert np.abs(seen - (200, 60, 90)).max() <= 2


def test_patches_are_painted_in_order() -> None:
    ones = np.ones((20, 20), np.float32)
    patches = [Patch(left=10, top=10, rgb=np.full((20, 20, 3), value, np.uint8), alpha=ones) for value in (30, 220)]
    assert np.abs(paint(frame_of(noise("yuv444p")), patches).rgb((10, 10, 30, 30)).astype(int) - 220).max() <= 1


def test_a_patch_outside_is_refused() -> None:
    with pytest.raises(ValueError, match="does not lie inside"):
        paint(frame_of(noise("yuv420p")), [Patch(left=150, top=0, rgb=np.zeros((9, 11, 3), np.uint8), alpha=np.ones((9, 11), np.float32))])


def test_painting_keeps_time_and_tags() -> None:
    native = noise("yuv420p")
    native.colorspace, native.color_range, native.color_primaries, native.color_trc = 9, 1, 9, 16
    native.pts, native.duration, native.time_base = 77, 3, Fraction(1, 90_000)
    frame = Frame(index=4, pts=77, time_base=Fraction(1, 90_000), time=Fraction(1), duration=Fraction(1, 5), native=native)
    painted = paint(frame, [Patch(left=0, top=0, rgb=np.zeros((9, 11, 3), np.uint8), alpha=np.ones((9, 11), np.float32))])
    assert (painted.index, painted.time, painted.duration, painted.pts) == (4, 1, Fraction(1, 5), 77)
    facts = ("colorspace", "color_range", "color_primaries", "color_trc", "pts", "duration", "time_base")
    assert all(getattr(painted.native, fact) == getattr(native, fact) for fact in facts)


def test_painting_keeps_fields_and_side_data(make_video: Callable[..., Path]) -> None:
    """Captions travel as side data too, but only a display matrix can be made here."""
    turned = make_video("a.mp4", frames=1, rotation=90)
    fields = make_video("b.mpg", codec="mpeg2video", frames=3, options={"flags": "+ildct+ilme"})
    patch = Patch(left=0, top=0, rgb=np.zeros((9, 11, 3), np.uint8), alpha=np.ones((9, 11), np.float32))
    with open_video(turned) as reader:
        frame = next(reader.read())
        assert bytes(paint(frame, [patch]).native.side_data["DISPLAYMATRIX"]) == bytes(frame.native.side_data["DISPLAYMATRIX"])
    with open_video(fields) as reader:
        assert paint(next(reader.read()), [patch]).native.interlaced_frame


@pytest.mark.parametrize("form", ["yuv420p", "nv12", "yuv422p10le", "p010le", "rgb24"])
def test_mix_fades_from_one_to_the_other(form: str) -> None:
    one, two = frame_of(noise(form, seed=1)), frame_of(noise(form, seed=2))
    first, second = components(one.native), components(two.native)
    for weight, expected in ((0.0, first), (1.0, second)):
        assert all(np.array_equal(a, b) for a, b in zip(components(mix(one, two, weight).native), expected, strict=True))
    half = components(mix(one, two, 0.5).native)
    for a, b, mixed in zip(first, second, half, strict=True):
        assert np.abs(mixed.astype(float) - (a.astype(float) + b) / 2).max() <= (64 if form == "p010le" else 0.5)
    assert all(np.array_equal(a, b) for a, b in zip(first, components(one.native), strict=True))


def test_frames_of_two_sizes_cannot_be_mixed() -> None:
    with pytest.raises(MediaError, match="differ"):
        mix(frame_of(noise("yuv420p")), frame_of(noise("yuv420p", 64, 64)), 0.5)


def test_gray_averages_rather_than_skips() -> None:
    native = av.VideoFrame(64, 64, "yuv420p")
    np.frombuffer(native.planes[0], np.uint8).reshape(64, -1)[:, ::2] = 16
    np.frombuffer(native.planes[0], np.uint8).reshape(64, -1)[:, 1::2] = 235
    for plane in native.planes[1:]:
        np.frombuffer(plane, np.uint8)[:] = 128
    small = frame_of(native).gray(16)
    assert small.shape == (16, 16)
    assert np.abs(small.astype(int) - 128).max() <= 2


def test_ten_bits_are_read_as_well_as_eight() -> None:
    flat = av.VideoFrame.from_ndarray(chart(16), "rgb24")
    deep = flat.reformat(format="yuv444p10le", dst_colorspace=1, src_color_range=ColorRange.JPEG, dst_color_range=1)
    deep.colorspace = 1
    assert np.abs(frame_of(deep).rgb().astype(int) - chart(16)).max() <= 1
    gray = np.asarray(flat.reformat(format="gray", interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND).to_ndarray())
    assert gray.shape == frame_of(deep).gray().shape


def test_real_footage_repainted_with_itself_hardly_changes(shared_clips: Path) -> None:
    with open_video(shared_clips / "test" / "presenter_b_1.mp4") as reader:
        frame = next(reader.read())
    box = (201, 101, 501, 401)
    rgb = frame.rgb(box)
    again = paint(frame, [Patch(left=201, top=101, rgb=rgb, alpha=np.ones((300, 300), np.float32))]).rgb(box)
    difference = np.abs(again.astype(int) - rgb)
    assert difference.mean() < 0.2
    assert np.percentile(difference, 99.9) <= 3
