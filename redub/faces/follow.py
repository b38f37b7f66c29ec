"""follow: a face in one frame -> the same face in the next.

Between the detector's looks a face is carried by corner points that are followed with pyramidal Lucas-Kanade flow
(KLT), there and back: a point that does not return to where it came from has lost its place and does not vote.  All
of it happens in a small upright patch around the face, so that cost and precision depend neither on the size of the
frame nor on that of the face.  The 68 landmarks, found in the same patch, correct the flow's drift.

A `Place` is a similarity row (see `redub.faces.geometry`) that takes the canonical face to frame px.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from redub.choices import LandmarkModel
from redub.faces.cv import load_cv
from redub.faces.detect import HOG_FACE_PX, detect_faces, overlap
from redub.faces.geometry import (
    apply_similarity,
    compose_similarity,
    crop_from_frame,
    fit_robustly,
    fit_similarity,
    invert_similarity,
    similarity_from_points,
)
from redub.faces.landmarks import find_landmarks
from redub.types import Doubles, Floats

PATCH_PX = 256
PATCH_SPAN = 1.8
PATCH = np.array([np.log(PATCH_SPAN), 0.0, 0.5 - PATCH_SPAN / 2, 0.45 - PATCH_SPAN / 2])
"""The patch is a square of so many canonical squares around the face: (4,) patch to canonical."""
AROUND_SPAN = 3.0
AROUND = np.array([np.log(AROUND_SPAN), 0.0, 0.5 - AROUND_SPAN / 2, 0.45 - AROUND_SPAN / 2])
AROUND_PX = 270
"""The square in which a lost face is looked for: a face that kept its size is 90 px wide in it."""
MOUTH = (72, 118, 184, 220)
"""Left, top, right, bottom of the mouth's surroundings in px of a patch: 0.39 faces to each side of its middle, and from the middle of
the nose to below the chin.  A crop that is smoothed over time may lie a tenth of a face beside the patch."""
CONFIRM_PX = 150
"""Side of the patch for the detector, which shows it a face of some 80 px."""
DETECTOR_BOX = (0.01, -0.105, 0.99, 0.875)
"""Where dlib's detector draws its box around a canonical face, on average."""
FLOW_PX = 128
FLOW_POINTS = 40
MAX_RETURN_PX = 0.7
"""How far from its start, in px of the flow's picture, a point may land after going there and back."""
MIN_FLOW_POINTS = 8
ANCHORING = 0.3
"""How much of the way a face's place is taken to where its landmarks put it, in each frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """A face as it was seen in one frame."""

    place: Doubles
    """(4,) canonical to frame px."""
    points: Floats
    """(68, 2) frame px."""
    spread: float
    """How far the landmark predictor's answers lie apart; see `find_landmarks`."""
    patch: Any
    """(FLOW_PX, FLOW_PX) uint8 picture of the face and its surroundings."""
    patch_place: Doubles
    """(4,) the place around which ``patch`` was cut, a little off ``place``."""
    mouth: Any
    """(102, 112) uint8 view of the part around the mouth of a patch of ``PATCH_PX``."""


def place_from_box(box: Any) -> Doubles:
    """Return the upright place of a face for which the detector drew this box."""
    corners = [[DETECTOR_BOX[0], DETECTOR_BOX[1]], [DETECTOR_BOX[2], DETECTOR_BOX[3]]]
    return fit_similarity(corners, [[box[0], box[1]], [box[2], box[3]]]) * [1, 0, 1, 1]


def box_from_place(place: Doubles) -> Doubles:
    """Return the upright box that the detector would draw around a face: (..., 4) -> (..., 4)."""
    middle = [[(DETECTOR_BOX[0] + DETECTOR_BOX[2]) / 2, (DETECTOR_BOX[1] + DETECTOR_BOX[3]) / 2]]
    centre = apply_similarity(place, middle)[..., 0, :]
    half = np.exp(np.asarray(place)[..., :1]) * (DETECTOR_BOX[2] - DETECTOR_BOX[0]) / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def look(gray: Any, place: Doubles, anchoring: float = ANCHORING, model: LandmarkModel = LandmarkModel.OWN) -> Sight:
    """See the face at a place: find its landmarks and put the place right by them.

    Args:
        gray: (H, W) uint8.
        place: (4,) about where the face is.
        anchoring: 1 believes the landmarks, 0 the place.
        model: What finds the landmarks.
    """
    picture = cut_patch(gray, place, PATCH_PX)
    points, spread = find_landmarks(picture, _patch_box(PATCH_PX), model)
    points = apply_similarity(frame_from_patch(place, PATCH_PX), points).astype(np.float32)
    seen = similarity_from_points(points)
    turn = (seen[1] - place[1] + np.pi) % (2 * np.pi) - np.pi
    settled = place + anchoring * np.array([seen[0] - place[0], turn, seen[2] - place[2], seen[3] - place[3]])
    patch = load_cv().resize(picture, (FLOW_PX, FLOW_PX), interpolation=load_cv().INTER_AREA)
    left, top, right, bottom = MOUTH
    return Sight(place=settled, points=points, spread=spread, patch=patch, patch_place=place, mouth=picture[top:bottom, left:right])


def look_twice(gray: Any, place: Doubles, model: LandmarkModel = LandmarkModel.OWN) -> Sight:
    """See a face where the detector put it: its boxes come in coarse steps, and a second look from where the eyes are settles that."""
    return look(gray, look(gray, place, 1.0, model).place, 1.0, model)


def canonical_points(gray: Any, place: Doubles, model: LandmarkModel = LandmarkModel.OWN) -> Doubles:
    """Find the landmarks of the face at a place: (68, 2) in the unit square of its canonical crop."""
    return apply_similarity(invert_similarity(place), look(gray, place, model=model).points)


def follow(gray: Any, last: Sight, model: LandmarkModel = LandmarkModel.OWN) -> Sight | None:
    """See in this frame the face that was seen in a neighbouring one; None where it cannot be followed."""
    moved = _flow(last.patch, cut_patch(gray, last.patch_place, FLOW_PX))
    if moved is None:
        return None
    placed = frame_from_patch(last.patch_place, FLOW_PX)
    step = compose_similarity(compose_similarity(placed, moved), invert_similarity(placed))
    return look(gray, compose_similarity(step, last.place), model=model)


def confirm(gray: Any, sight: Sight, min_score: float) -> bool:
    """Ask the detector whether there is a face at a place, whatever its size and roll."""
    faces = detect_faces(cut_patch(gray, sight.place, CONFIRM_PX), HOG_FACE_PX, min_score)
    expected = _patch_box(CONFIRM_PX)
    return any(overlap(face.box, expected) > 0.4 for face in faces)


def find_again(gray: Any, last: Sight, min_score: float, model: LandmarkModel = LandmarkModel.OWN) -> Sight | None:
    """Look for a face that was lost around where it was; None where the detector sees none."""
    wide = compose_similarity(last.place, AROUND)
    faces = detect_faces(cut_square(gray, wide, AROUND_PX), HOG_FACE_PX, min_score)
    if not faces:
        return None
    frame_from_square = compose_similarity(wide, _unit_from_px(AROUND_PX))
    return look_twice(gray, compose_similarity(frame_from_square, place_from_box(faces[0].box)), model)


def cut_patch(gray: Any, place: Doubles, size_px: int) -> Any:
    """Return the upright square of ``PATCH_SPAN`` canonical squares around a place, as (size_px, size_px) uint8."""
    return cut_square(gray, compose_similarity(place, PATCH), size_px)


def cut_square(gray: Any, wide: Doubles, size_px: int) -> Any:
    """Return the unit square of a similarity (4,) as (size_px, size_px) uint8; the border is repeated outside."""
    cv2 = load_cv()
    matrix = crop_from_frame(wide, size_px)
    # Halving is the one reduction that OpenCV does many times faster than the rest.
    halvings = int(np.log2(max(np.exp(wide[0]) / size_px, 1)))
    step = 1 << halvings
    if step < 2:
        return cv2.warpAffine(gray, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # A strong reduction takes means first, or it would pick single noisy pixels.
    corners = apply_similarity(wide, [[0, 0], [1, 0], [1, 1], [0, 1]])
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) // step * step, 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int), [gray.shape[1], gray.shape[0]])
    if right - left < step or bottom - top < step:
        return np.zeros((size_px, size_px), np.uint8)
    wide_px, high_px = int(right - left) // step, int(bottom - top) // step
    small = gray[top : top + high_px * step, left : left + wide_px * step]
    for i in range(halvings - 1, -1, -1):
        small = cv2.resize(small, (wide_px << i, high_px << i), interpolation=cv2.INTER_AREA)
    frame_from_small = np.array([[step, 0, left + (step - 1) / 2], [0, step, top + (step - 1) / 2], [0, 0, 1]])
    return cv2.warpAffine(small, matrix @ frame_from_small, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def frame_from_patch(place: Doubles, size_px: int) -> Doubles:
    """Return `frame_from_crop` of the patch as a similarity: (..., 4), patch px to frame px."""
    return compose_similarity(compose_similarity(place, PATCH), _unit_from_px(size_px))


def _unit_from_px(size_px: int) -> Doubles:
    return np.array([-np.log(size_px), 0.0, 0.5 / size_px, 0.5 / size_px])


@cache
def _patch_box(size_px: int) -> Doubles:
    """Return the detector's box in px of a patch."""
    corners = np.reshape(DETECTOR_BOX, (2, 2))
    return (apply_similarity(invert_similarity(PATCH), corners) * size_px - 0.5).ravel()


def _flow(before: Any, after: Any) -> Doubles | None:
    """Return the similarity that takes px of one patch to px of the other, (4,), or None if too few points agree."""
    cv2 = load_cv()
    left, top, right, bottom = np.rint(_patch_box(FLOW_PX)).astype(int)
    start = cv2.goodFeaturesToTrack(before[top:bottom, left:right], FLOW_POINTS, 0.01, 3)
    if start is None or len(start) < MIN_FLOW_POINTS:
        return None
    start += np.array([left, top], np.float32)
    window = {"winSize": (13, 13), "maxLevel": 2}
    there, is_there, _ = cv2.calcOpticalFlowPyrLK(before, after, start, None, **window)
    back, is_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **window)
    is_good = (is_there & is_back).ravel().astype(bool) & (np.linalg.norm(back - start, axis=-1).ravel() < MAX_RETURN_PX)
    if is_good.sum() < MIN_FLOW_POINTS:
        return None
    return fit_robustly(start[is_good, 0], there[is_good, 0], 2, grain=0.05)
