"""Photographs of all kinds are read as a viewer shows them, and what is none is told."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from redub.errors import MediaError
from redub.faces.photo import read_photo


@pytest.fixture
def patches() -> np.ndarray:
    """(48, 64, 3) four fields of colour, so that a turn or a wrong channel shows."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:], picture[24:, :32], picture[24:, 32:] = (200, 30, 40), (40, 180, 60), (30, 50, 190), (220, 210, 90)
    return picture


STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera that is held in each way stores an upright scene."""


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("way", STORED)
def test_a_picture_is_turned_as_its_exif_data_says(patches, tmp_path, way, suffix):
    scene = Image.fromarray(patches)
    turn = STORED[way]
    exif = Image.Exif()
    exif[0x0112] = way
    path = tmp_path / f"turned.{suffix}"
    (scene if turn is None else scene.transpose(turn)).save(path, exif=exif, quality=95, subsampling=0)
    assert np.abs(read_photo(path, 1920).astype(int) - patches).mean() < (2 if suffix == "jpg" else 0.001)


def test_what_is_transparent_is_white_also_in_a_turned_picture(patches, tmp_path):
    alpha = np.full((48, 64), 255, np.uint8)
    alpha[:, :16], alpha[:, 16:32] = 0, 128
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "cut-out.png"
    Image.fromarray(np.dstack([patches, alpha])).transpose(STORED[6]).save(path, exif=exif)
    read = read_photo(path, 1920)
    assert (read[:, :16] == 255).all()
    np.testing.assert_allclose(read[:24, 16:32], np.broadcast_to((227, 142, 147), (24, 16, 3)), atol=1)
    np.testing.assert_array_equal(read[:, 32:], patches[:, 32:])


def test_a_palette_with_a_transparent_colour(patches, tmp_path):
    paletted = Image.fromarray(patches).quantize(4)
    field = paletted.getpixel((0, 0))
    paletted.save(tmp_path / "palette.png", transparency=field)
    read = read_photo(tmp_path / "palette.png", 1920)
    assert (read[:24, :32] == 255).all()
    np.testing.assert_array_equal(read[24:], patches[24:])


def test_sixteen_bits_gray_and_print_colours(patches, tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), patches[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_photo(tmp_path / "deep.png", 1920), patches)
    cv2.imwrite(str(tmp_path / "deep-gray.png"), patches[..., 0].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_photo(tmp_path / "deep-gray.png", 1920), np.repeat(patches[..., :1], 3, -1))
    Image.fromarray(patches).convert("CMYK").save(tmp_path / "print.jpg", quality=98, subsampling=0)
    assert np.abs(read_photo(tmp_path / "print.jpg", 1920).astype(int) - patches).mean() < 4


def test_a_huge_photograph_is_decoded_reduced_with_its_px_averaged(tmp_path):
    lines = np.zeros((3000, 6000), np.uint8)
    lines[:, ::2] = 255
    Image.fromarray(lines).save(tmp_path / "huge.jpg", quality=98)
    read = read_photo(tmp_path / "huge.jpg", 600)
    assert read.shape == (300, 600, 3)
    assert np.abs(read[8:-8, 8:-8].astype(int) - 127).max() < 8


def png_head(width: int, height: int) -> bytes:
    """A PNG that claims a size, and has next to nothing in it."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bomb.png", png_head(60_000, 60_000), "60000 x 60000 px"),
        ("nothing.png", png_head(0, 10), "damaged"),
        ("hollow.png", png_head(64, 64), "damaged"),
        ("text.png", b"hello world" * 20, "neither a JPEG nor a PNG"),
        ("begun.jpg", b"\xff\xd8\xff", "damaged"),
        ("endless.jpg", b"\xff\xd8" + b"\xff" * 50, "damaged"),
        ("empty.jpg", b"", "is empty"),
    ],
)
def test_what_is_no_photograph_is_told(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=said) as raised:
        read_photo(tmp_path / name, 1920)
    assert raised.value.hint


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_picture_that_was_cut_off_is_no_grey_one(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f"whole.{suffix}")
    whole = (tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"half.{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="cut off"):
        read_photo(tmp_path / f"half.{suffix}", 1920)
