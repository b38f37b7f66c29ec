"""crops: tracks -> where the canonical crop lies in each frame, and which stills show the speaker.

Each frame's face is registered by eyes and nose (see `redub.faces.geometry`); then scale, angle and place are smoothed
over time with a Gaussian.  Offline one may look ahead, so the filter has zero phase: the crop does not lag behind the
head, as it would with a filter that runs along.  Only the crop is smoothed, never the landmarks: lips are fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from redub.config import CropConfig
from redub.faces.geometry import apply_similarity, similarity_from_points
from redub.faces.landmarks import mouth_openness, yaw
from redub.types import Bools, CropPath, Doubles, Track

REFERENCE_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Percentiles of mouth openness that the stills of a speaker show."""
FRONTAL_SHARE, FRONTAL = 0.5, 0.08
"""Stills are taken from this share of the frames, those that look most into the camera, and from all with less yaw."""
STEADY_SHARE, STEADY = 0.7, 0.004
"""And of them from this share with the least motion, which blurs, and from all that move less, in faces a frame."""
OUTSTANDING = 3.0
"""A jump is so many times as long as the steps beside it."""


def place_crops(tracks: Sequence[Track], frame_rate: Fraction, config: CropConfig) -> tuple[CropPath, ...]:
    """Place the crops of all tracks.

    Args:
        tracks: None of them reaches over a cut.
        frame_rate: Turns the filter's seconds into frames.
        config: Strength of smoothing, and which jumps are real.

    Returns:
        One path for each track, in the same order.
    """
    sigma_frames = config.smoothing_s * float(frame_rate)
    return tuple(_place(track, sigma_frames, config.max_jump) for track in tracks)


def _place(track: Track, sigma_frames: float, max_jump: float) -> CropPath:
    raw = similarity_from_points(track.points)
    raw[:, 1] = np.unwrap(raw[:, 1])
    smooth = smooth_path(raw, sigma_frames, max_jump)
    return CropPath(track=track.id, start=track.start, similarities=smooth, references=choose_references(track, raw))


def smooth_path(path: Doubles, sigma_frames: float, max_jump: float) -> Doubles:
    """Smooth a path of similarities over time, but not across jumps.

    Args:
        path: (T, 4), the angle unwrapped.
        sigma_frames: Width of the Gaussian; 0 leaves the path as it is.
        max_jump: A sudden move above this share of the face's width is a jump.

    Returns:
        (T, 4).
    """
    smooth = path.copy()
    if sigma_frames > 0:
        for start, stop in pairwise([0, *jumps(path, max_jump), len(path)]):
            smooth[start:stop] = _smooth(path[start:stop], sigma_frames)
    return smooth


def jumps(path: Doubles, max_jump: float) -> list[int]:
    """Return the frames at which a face is suddenly elsewhere.

    A step of the crop's middle counts if it is long and stands out from the steps beside it: a head that moves fast and
    evenly does not jump, and needs its smoothing most.
    """
    if len(path) < 2:
        return []
    middles = apply_similarity(path, np.full((len(path), 1, 2), 0.5))[:, 0]
    steps = np.linalg.norm(np.diff(middles, axis=0), axis=1) / np.exp(path[1:, 0])
    beside = np.pad(steps, 1)
    beside = np.maximum(beside[:-2], beside[2:])
    return [int(i) + 1 for i in np.flatnonzero((steps > max_jump) & (steps > OUTSTANDING * beside))]


def _smooth(part: Doubles, sigma_frames: float) -> Doubles:
    """Fit a line to each frame's surroundings with Gaussian weights: (T, F) -> (T, F).

    Amid a path that is the Gaussian mean; at its ends, where the mean would hang back, the line follows the motion.
    """
    reach = int(np.ceil(4 * sigma_frames))
    lag = np.arange(-reach, reach + 1)
    weight = np.exp(-0.5 * (lag / sigma_frames) ** 2)

    def total(values: Doubles, power: int) -> Doubles:
        # A convolution turns its kernel round, so odd powers change their sign.
        return np.convolve(values, weight * (-lag) ** power)[reach : reach + len(values)]

    ones = np.ones(len(part))
    s0, s1, s2 = (total(ones, power) for power in range(3))
    divisor = s0 * s2 - s1**2
    if len(part) < 2 or divisor.min() < 1e-9:
        return part.copy()
    return np.stack([(s2 * total(column, 0) - s1 * total(column, 1)) / divisor for column in part.T], axis=1)


def choose_references(track: Track, path: Doubles) -> tuple[int, ...]:
    """Return the frames of the five stills, by the 10, 30, 50, 70 and 90th percentile of mouth openness.

    They come from frames in which the face was seen, looks into the camera as much as it ever does, and is steady;
    a track of fewer than five frames gives some frame more than once.
    """
    speed = np.zeros(len(path))
    if len(path) > 1:
        speed[1:] = np.linalg.norm(np.diff(path[:, 2:], axis=0), axis=1) / np.exp(path[1:, 0])
        speed[0] = speed[1]
    is_frontal = _most(track.is_measured, np.abs(yaw(track.points)), FRONTAL_SHARE, FRONTAL)
    usable = np.flatnonzero(_most(is_frontal, speed, STEADY_SHARE, STEADY))
    ranked = usable[np.argsort(mouth_openness(track.points[usable]), kind="stable")]
    places = np.rint(np.array(REFERENCE_SHARES) * (len(ranked) - 1)).astype(int)
    return tuple(int(track.start + index) for index in ranked[places])


def _most(is_candidate: Bools, badness: Doubles, share: float, enough: float) -> Bools:
    """Keep the better share of the candidates, and whatever is good enough; all where they are few."""
    if is_candidate.sum() < 2 * len(REFERENCE_SHARES):
        return is_candidate if is_candidate.any() else np.ones_like(is_candidate)
    kept: Bools = is_candidate & (badness <= max(float(np.quantile(badness[is_candidate], share)), enough))
    return kept
