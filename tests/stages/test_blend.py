"""Painted crops back in their frames: echo changes nothing, colour is matched, the rest is left alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from redub.config import BlendConfig
from redub.faces.crop import take_crop
from redub.faces.detect import detect_faces
from redub.faces.geometry import crop_from_frame, frame_from_crop, similarity_from_points
from redub.faces.landmarks import find_landmarks
from redub.media import open_video
from redub.plugin import Mode, Region
from redub.stages.blend import blend_run
from redub.types import Blend, BlendRegion, Floats, Patch

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "clips"
SIZE = (360, 480)
FACE = np.array([np.log(200.0), 0.1, 150.0, 70.0])


def moved(x: float, y: float) -> np.ndarray:
    return FACE + np.array([0, 0, x, y])


@dataclass
class Painting:
    original: np.ndarray
    painted: np.ndarray
    similarity: np.ndarray
    alpha: Floats | None = None


def blend(run: list[Painting], *, px: int = 128, size: tuple[int, int] = SIZE, rate: int = 25, **settings: object) -> list[Patch]:
    config = BlendConfig(**settings)  # type: ignore[arg-type]
    mode = Mode(input_px=px, output_px=px)
    return list(blend_run(run, region=Region.FACE, mode=mode, config=config, frame_size=size, frame_rate=Fraction(rate)))


def picture(seed: int = 0, size: tuple[int, int] = SIZE, blur: float = 2.5) -> np.ndarray:
    """Texture with some contrast, of which the crop's sampling loses nothing."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(0, 1, (*size, 3)), (blur, blur, 0))
    return np.rint(128 + 30 * noise / noise.std()).clip(0, 255).astype(np.uint8)


def crop_of(frame: np.ndarray, row: np.ndarray, px: int = 128) -> np.ndarray:
    return cv2.warpAffine(frame, crop_from_frame(row, px), (px, px), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def paint(frame: np.ndarray, patch: Patch) -> np.ndarray:
    height, width = patch.alpha.shape
    part = (slice(patch.top, patch.top + height), slice(patch.left, patch.left + width))
    assert frame[part].shape == patch.rgb.shape
    painted = frame.astype(np.float64)
    painted[part] += patch.alpha[..., None] * (patch.rgb - painted[part])
    return painted


def echo(frame: np.ndarray, row: np.ndarray, px: int = 128) -> Painting:
    crop = crop_of(frame, row, px)
    return Painting(original=crop, painted=crop, similarity=row)


def shifted(item: Painting, tone: object) -> Painting:
    painted = np.rint(item.painted + np.asarray(tone)).clip(0, 255).astype(np.uint8)
    return Painting(original=item.original, painted=painted, similarity=item.similarity)


@pytest.mark.parametrize("mode", list(Blend))
@pytest.mark.parametrize(("face_px", "px"), [(200, 256), (200, 128), (90, 256), (300, 256)])
def test_echo_changes_nothing_but_by_its_resampling(mode: Blend, face_px: int, px: int) -> None:
    row = np.array([np.log(face_px), -0.15, 80.0, 70.0])
    # The finest detail that survives in the coarser of crop and frame.
    frame = picture(blur=max(1.5, 1.6 * face_px / px))
    (patch,) = blend([echo(frame, row, px)], px=px, mode=mode)
    changed = np.abs(paint(frame, patch) - frame)
    assert patch.alpha.max() == pytest.approx(1, abs=1e-3)
    assert changed.mean(axis=2)[changed.any(axis=2)].mean() < 1.0
    assert changed.max() < 16


def test_each_px_lands_where_the_similarity_says() -> None:
    px, row = 112, np.array([np.log(170.0), 0.3, 200.0, 60.0])
    y, x = np.mgrid[:px, :px].astype(np.float64)
    crop = np.rint(np.stack([2 * x, 2 * y, 128 + 60 * np.sin(x / 9)], -1)).astype(np.uint8)
    (patch,) = blend([Painting(original=crop, painted=crop, similarity=row)], px=px, mode=Blend.NETWORK)
    rows, columns = np.nonzero(patch.alpha > 0.9)
    places = np.stack([columns + patch.left, rows + patch.top, np.ones(len(rows))])
    in_crop = crop_from_frame(row, px) @ places
    expected = np.stack([2 * in_crop[0], 2 * in_crop[1], 128 + 60 * np.sin(in_crop[0] / 9)], -1)
    assert np.abs(patch.rgb[rows, columns] - expected).mean() < 0.5
    assert np.abs(patch.rgb[rows, columns] - expected).max() < 3


def test_a_window_within_the_crop_keeps_its_place() -> None:
    frame = picture(3)
    whole = crop_of(frame, FACE, 112)
    window = Painting(original=whole[1:110, 1:110], painted=whole[1:110, 1:110], similarity=FACE)
    mode = Mode(input_px=112, output_px=109, output_offset_px=1)
    (patch,) = blend_run([window], region=Region.FACE, mode=mode, config=BlendConfig(), frame_size=SIZE, frame_rate=Fraction(25))
    difference = np.abs(paint(frame, patch) - frame)
    assert patch.alpha.max() == pytest.approx(1, abs=1e-3)
    assert difference.mean(axis=2)[difference.any(axis=2)].mean() < 1.5


@pytest.mark.parametrize(("mode", "is_matched"), [(Blend.POISSON, True), (Blend.FEATHER, True), (Blend.NETWORK, False)])
def test_a_wrong_tone_is_matched_except_in_what_was_painted_in_context(mode: Blend, is_matched: bool) -> None:
    frame = np.full((*SIZE, 3), (150, 120, 100), np.uint8)
    tone = np.array([9, -6, 4])
    (patch,) = blend([shifted(echo(frame, FACE), tone)], mode=mode)
    off = paint(frame, patch) - frame
    middle = off[patch.alpha.shape[0] // 2 + patch.top, patch.alpha.shape[1] // 2 + patch.left]
    assert middle == pytest.approx([0, 0, 0] if is_matched else tone, abs=0.6)
    assert (np.abs(off).max() < 1.1) == is_matched


def test_only_poisson_matches_light_from_one_side() -> None:
    frame = np.full((*SIZE, 3), 130, np.uint8)
    slope = np.linspace(-12, 12, 128)[None, :, None]
    item = shifted(echo(frame, FACE), slope)
    left = {mode: np.abs(paint(frame, blend([item], mode=mode)[0]) - 130).max() for mode in (Blend.POISSON, Blend.FEATHER)}
    assert left[Blend.POISSON] < 1.1
    assert left[Blend.FEATHER] > 5


def test_a_window_that_cuts_the_mask_fades_out_at_its_sides() -> None:
    frame = np.zeros((*SIZE, 3), np.uint8)
    black, white = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)
    mode = Mode(input_px=112, output_px=40, output_offset_px=40)
    config = BlendConfig(max_correction=0.0)
    item = Painting(original=black, painted=white, similarity=FACE)
    (patch,) = blend_run([item], region=Region.FACE, mode=mode, config=config, frame_size=SIZE, frame_rate=Fraction(25))
    seen = crop_of(paint(frame, patch).astype(np.float32), FACE, 112)[..., 0]
    inside = seen[64:76, 40:80]
    assert inside[:, 10:30].min() > 254
    assert inside[:, [0, -1]].max() < 60


@pytest.mark.parametrize("mode", [Blend.POISSON, Blend.FEATHER])
def test_what_does_not_change_is_the_same_with_smoothing_and_without(mode: Blend) -> None:
    frame = np.full((*SIZE, 3), 130, np.uint8)
    y, x = np.mgrid[:128, :128] / 128 - 0.6
    run = [shifted(echo(frame, FACE), (60 * (x**2 - y**2) + 5)[..., None])] * 9
    for smooth, single in zip(blend(run, mode=mode), blend(run, mode=mode, smoothing_frames=0.0), strict=True):
        assert np.abs(smooth.rgb.astype(int) - single.rgb).max() <= 1


def test_no_px_outside_the_mask_is_touched() -> None:
    frame = picture(1)
    item = shifted(echo(frame, FACE), [25, -25, 10])
    (patch,) = blend([item])
    wide = crop_of(np.full((*SIZE, 3), 255, np.uint8), FACE)
    assert wide.all()  # the whole crop lies in the frame
    rows, columns = np.nonzero(np.abs(paint(frame, patch) - frame).max(axis=2))
    x, y = crop_from_frame(FACE, 128) @ np.stack([columns, rows, np.ones(len(rows))])
    assert x.min() > 0
    assert x.max() < 127
    # The lower face: eyes and brows are not in it.
    assert y.min() > 0.4 * 128
    assert y.max() < 128


@pytest.mark.parametrize("shift", [(-230, 0), (300, 0), (0, 200), (0, -140), (250, 220)])
@pytest.mark.parametrize("mode", list(Blend))
def test_a_face_half_out_of_the_frame_stays_within_it(shift: tuple[int, int], mode: Blend) -> None:
    frame = np.full((*SIZE, 3), 140, np.uint8)
    row = moved(*shift)
    tone = [8, 8, 8] if mode is not Blend.NETWORK else [0, 0, 0]
    (patch,) = blend([shifted(echo(frame, row), tone)], mode=mode, region=BlendRegion.WHOLE)
    assert patch.left >= 0
    assert patch.top >= 0
    assert patch.alpha.size > 1
    assert np.abs(paint(frame, patch) - frame).max() < 1.1


def test_what_lies_outside_the_frame_has_no_say_in_the_colour() -> None:
    frame = np.full((*SIZE, 3), 140, np.uint8)
    row = moved(-220, 0)
    item = shifted(echo(frame, row), [8, 8, 8])
    places = frame_from_crop(row, 128) @ np.stack([np.arange(128), np.zeros(128), np.ones(128)])
    item.original[:, places[0] < 0] = 175  # a wrong guess of what is there, plausible as a tone
    (patch,) = blend([item], region=BlendRegion.WHOLE)
    assert np.abs(paint(frame, patch) - frame).max() < 1.6


def test_a_face_wholly_outside_paints_nothing() -> None:
    frame = picture()
    patches = blend([echo(frame, moved(1000, 0)), echo(frame, FACE)])
    assert len(patches) == 2
    assert not patches[0].alpha.any()
    assert patches[1].alpha.any()


@pytest.mark.parametrize("region", list(BlendRegion))
def test_the_generators_own_alpha_lies_within_ours(region: BlendRegion) -> None:
    frame = picture(2)
    plain, half, none = echo(frame, FACE), echo(frame, FACE), echo(frame, FACE)
    half.alpha = np.full((128, 128), 0.5, np.float32)
    none.alpha = np.zeros((128, 128), np.float32)
    ours, halved, nothing = blend([plain, half, none], region=region)
    assert np.allclose(halved.alpha, ours.alpha / 2, atol=1e-3)
    assert not nothing.alpha.any()


def test_the_whole_face_covers_the_lower_one() -> None:
    frame = picture(2)
    (lower,), (whole,) = blend([echo(frame, FACE)]), blend([echo(frame, FACE)], region=BlendRegion.WHOLE)
    assert whole.alpha.sum() > 1.4 * lower.alpha.sum()
    assert whole.top < lower.top - 20


def test_a_finer_crop_is_not_sampled_into_shimmer() -> None:
    px, row = 256, np.array([np.log(80.0), 0.2, 100.0, 60.0])
    board = np.where(np.indices((px, px)).sum(axis=0) // 2 % 2, 40, 216).astype(np.uint8)[..., None].repeat(3, -1)
    (patch,) = blend([Painting(original=board, painted=board, similarity=row)], px=px, mode=Blend.NETWORK)
    assert patch.rgb[patch.alpha > 0.99].std() < 4


@pytest.mark.parametrize(("rate", "ahead"), [(25, 5), (50, 10)])
def test_frames_wait_for_no_more_than_the_lookahead(rate: int, ahead: int) -> None:
    frame, taken = picture(), []

    def run() -> Iterator[Painting]:
        for i in range(40):
            taken.append(i)
            yield echo(frame, FACE)

    mode = Mode(input_px=128, output_px=128)
    patches = blend_run(run(), region=Region.FACE, mode=mode, config=BlendConfig(), frame_size=SIZE, frame_rate=Fraction(rate))
    lead = [len(taken) - i for i, _ in enumerate(patches)]
    assert len(lead) == 40
    assert max(lead) == ahead + 1


def test_only_frames_within_the_lookahead_matter() -> None:
    random = np.random.default_rng(11)
    frame = picture(6)
    run = [shifted(echo(frame, moved(0.3 * i, 0)), random.normal(0, 4, (128, 128, 1)) + random.integers(-6, 7)) for i in range(24)]
    whole, early, late = blend(run), blend(run[:16]), blend(run[8:])
    for one, other in zip(whole[:11], early, strict=False):
        assert np.array_equal(one.rgb, other.rgb)
    for one, other in zip(whole[13:], late[5:], strict=True):
        # The sum of the steps in brightness began elsewhere: equal but for its rounding.
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1
    assert not np.array_equal(whole[8].rgb, late[0].rgb)


def test_an_empty_run_gives_no_patch() -> None:
    assert blend([]) == []


def test_smoothing_over_time_holds_still_what_moves_at_a_part_of_the_edge() -> None:
    random = np.random.default_rng(7)
    run = []
    for _ in range(30):
        crop = np.full((128, 128, 3), 130.0)
        # Below the chin a collar moves: another texture in each frame.
        crop[100:] += gaussian_filter(random.normal(0, 90, (28, 128, 3)), (4, 4, 0))
        run.append(
            Painting(original=np.rint(crop).clip(0, 255).astype(np.uint8), painted=np.full((128, 128, 3), 130, np.uint8), similarity=FACE)
        )

    def unrest(**settings: float) -> float:
        frame = np.full((*SIZE, 3), 130, np.uint8)
        inside = np.array([crop_of(paint(frame, patch).astype(np.float32), FACE)[70:95, 30:100] for patch in blend(run, **settings)])
        return float(np.abs(np.diff(inside, 2, axis=0)).mean())

    assert unrest() < 0.5 * unrest(smoothing_frames=0.0)


def test_a_jumping_brightness_is_followed_at_once() -> None:
    frame = picture(4)
    random = np.random.default_rng(2)
    steady = [echo(frame, FACE) for _ in range(20)]
    jumping = [shifted(item, random.integers(-5, 6)) for item in steady]
    plain = [paint(frame, patch) for patch in blend(steady)]
    for still, jumped in zip(plain, (paint(frame, patch) for patch in blend(jumping)), strict=True):
        assert np.abs(still - jumped).max() < 1.6


def square_run(frame: np.ndarray, px: int = 96) -> list[Painting]:
    """The largest centred square of the frame, painted over in white."""
    height, width = frame.shape[:2]
    side = min(height, width)
    row = np.array([np.log(side), 0.0, (width - side) / 2 - 0.5, (height - side) / 2 - 0.5])
    crop = crop_of(frame, row, px)
    return [Painting(original=crop, painted=np.full_like(crop, 255), similarity=row)]


@pytest.mark.parametrize("mode", [Blend.NETWORK, Blend.FEATHER])
@pytest.mark.parametrize("size", [(90, 160), (160, 90), (100, 100)])
def test_a_frame_generator_paints_up_to_the_frames_own_sides(size: tuple[int, int], mode: Blend) -> None:
    frame = np.zeros((*size, 3), np.uint8)
    config = BlendConfig(mode=mode, max_correction=0.0)
    (patch,) = blend_run(
        square_run(frame),
        region=Region.FRAME,
        mode=Mode(input_px=96, output_px=96),
        config=config,
        frame_size=size,
        frame_rate=Fraction(25),
    )
    painted = paint(frame, patch)[..., 0]
    height, width = size
    across = painted[height // 2] if width >= height else painted[:, width // 2]
    along = painted[:, width // 2] if width >= height else painted[height // 2]
    assert (along > 250).all()
    if height != width:
        assert across[0] == across[-1] == 0
        assert across.max() > 250
        assert np.abs(np.diff(across)).max() < 90


@pytest.mark.skipif(not CLIPS.exists(), reason="needs ../shared/clips")
@pytest.mark.parametrize("name", ["seat_t1_1.mkv", "grid_s30_1.mpg", "presenter_a_1.mp4"])
def test_a_real_frame_comes_through_echo_as_it_was(name: str) -> None:
    with open_video(CLIPS / "test" / name) as video:
        frame = next(iter(video.read()))
    gray, rgb = frame.gray(), frame.rgb()
    face = detect_faces(gray, 80, 0.25)[0]
    points, _ = find_landmarks(gray, face.box)
    row = similarity_from_points(points)
    crop = take_crop(frame, row, 256)
    item = Painting(original=crop, painted=crop, similarity=row)
    (patch,) = blend([item], px=256, size=rgb.shape[:2])
    changed = paint(rgb, patch) - rgb
    inside = changed[changed.any(axis=2)]
    # About 38 dB: what two resamplings cost, not what a wrong colour or place would.
    assert np.sqrt((inside**2).mean()) < 3
    assert np.abs(inside.mean(axis=0)).max() < 0.2
