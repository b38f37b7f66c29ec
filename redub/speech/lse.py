"""lse: a video's faces and sound -> LSE-D and LSE-C, by the protocol under which they are published.

Wav2Lip's evaluation takes the network and the protocol of "Out of time" as they are: boxes of a face detector, smoothed by a
median over 13 frames, give squares of 2.8 half sides, 224 px large; 25 pictures a second; the sound from zero on; pairs beyond the
ends are compared with zeros, and silent windows count.  `redub.speech.sync` measures better; this is for comparison with
published numbers, which needs the published weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from redub.speech.sync import LAGS
from redub.speech.sync_features import SOUND_RATE_HZ, mfcc_windows
from redub.speech.sync_layers import FRAMES
from redub.speech.syncnet import PUBLISHED_PX, PublishedSync
from redub.types import RGB, Doubles, Floats

CROP_SCALE = 0.4
"""The square reaches so many half sides beyond the box's left, right and twice so many below."""
MEDIAN = 13
"""Frames over which boxes are smoothed."""
GREY = 110
"""What lies outside the frame."""
EPSILON = 1e-6
"""Is added to each difference before its length is taken, as torch's pairwise distance does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lse:
    """What the published protocol says of one video."""

    distance: float
    """LSE-D, smaller is better."""
    confidence: float
    """LSE-C, larger is better."""
    offset_frames: int
    """Positive where the sound is early."""
    frame_confidence: Floats
    """(T-5,) median less the distance at the best lag, smoothed by a median over 9 windows."""


def measure_lse(model: PublishedSync, pictures: RGB, speech: Floats) -> Lse | None:
    """Measure LSE-D and LSE-C.

    Args:
        model: The published network.
        pictures: (T, 224, 224, 3) RGB at 25 a second, as `take_square` cuts them.
        speech: (N,) mono at 16 kHz; its first sample goes with the beginning of the first picture.

    Returns:
        None where the video is too short: it needs six frames.
    """
    count = min(len(pictures), len(speech) * 25 // SOUND_RATE_HZ) - FRAMES
    if count < 1:
        return None
    faces = model.embed_faces(pictures[: count + FRAMES - 1])[FRAMES // 2 : -(FRAMES // 2)]
    # The middle of the five pictures that begin with number i.
    sounds = model.embed_mfcc(mfcc_windows(speech, (np.arange(count) + FRAMES / 2) / 25))
    return lse_of(faces, sounds)


def lse_of(faces: Floats, sounds: Floats) -> Lse:
    """Compare embeddings by the published protocol: (T, D), (T, D)."""
    padded = np.pad(sounds, ((LAGS, LAGS), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * LAGS + 1, axis=0)  # T, D, 31
    pairs = np.linalg.norm(faces[:, :, None] - windows + EPSILON, axis=1)
    mean = pairs.mean(axis=0)
    best, median = int(mean.argmin()), float(np.median(mean))
    confidence = np.pad(median - pairs[:, best], 4)
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(confidence, 9), axis=1)
    return Lse(
        distance=float(mean[best]), confidence=median - float(mean[best]), offset_frames=LAGS - best, frame_confidence=smooth
    )  # fmt: skip


def published_squares(boxes: Floats) -> Doubles:
    """Return half side, middle x and middle y of each box, each smoothed by a median over 13 frames: (T, 4) -> (T, 3)."""
    left, top, right, bottom = np.asarray(boxes, np.float64).T
    rows = np.stack([np.maximum(bottom - top, right - left) / 2, (left + right) / 2, (top + bottom) / 2], axis=1)
    # Beyond the ends there are zeros, as scipy.signal.medfilt has them.
    padded = np.pad(rows, ((MEDIAN // 2, MEDIAN // 2), (0, 0)))
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, MEDIAN, axis=0), axis=-1), np.float64)


def take_square(frame: RGB, square: Doubles) -> RGB:
    """Cut what the published network looks at out of a frame: (H, W, 3), (3,) -> (224, 224, 3).

    Args:
        frame: Upright.
        square: Row of `published_squares`, in px of the frame.
    """
    half, x, y = (float(value) for value in square)
    border = int(half * (1 + 2 * CROP_SCALE))
    padded = np.pad(frame, ((border, border), (border, border), (0, 0)), constant_values=GREY)
    x, y = x + border, y + border
    rows = slice(int(y - half), int(y + half * (1 + 2 * CROP_SCALE)))
    columns = slice(int(x - half * (1 + CROP_SCALE)), int(x + half * (1 + CROP_SCALE)))
    return _sized(padded[rows, columns])


def _sized(picture: RGB) -> RGB:
    """Sample a picture at 224 px, without smoothing, as OpenCV's resize does by default."""
    import torch
    import torch.nn.functional as F

    planes = torch.from_numpy(np.ascontiguousarray(picture)).movedim(2, 0)[None].float()
    sized = F.interpolate(planes, (PUBLISHED_PX, PUBLISHED_PX), mode="bilinear", align_corners=False)[0]
    return np.asarray(sized.movedim(0, 2).round().clamp(0, 255).byte().numpy())
