"""silhouette: pictures, where the face is -> which pixels are the person.

A lecturer sits before a background that is plainer than they are.  Its colours are learnt from where nobody can be, given the
face: one smooth slope of colour over the picture with the scatter around it.  What lies far from that slope, counted in its own
scatter, is the person.  Such a distance does not change when all colours are mixed anew, so the silhouette depends on the scene
and not on its colours.  Where the background is too varied to tell, a body of average shape takes the silhouette's place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from redub.faces.cv import load_cv
from redub.faces.geometry import apply_similarity, invert_similarity
from redub.types import RGB, Bools, Doubles, Floats

SIDE = 128
"""Silhouettes are found at this size."""
SAMPLED = 12
"""Pictures that the background's colours are learnt from."""
FAR = 16.0
"""Squared distance from the background, in its own scatter, beyond which a pixel is the person: four deviations."""
LEAST_BACKGROUND = 0.04
"""Share of the picture that must surely be background to learn from it."""
MOST_STRAY, LEAST_FOUND = 0.15, 0.6
"""What surely is background may look like the person in this share at most; of the chest, so much must be found."""
TERMS, BORDER = 6, 2
"""Of a slope; and px at the sides of a picture that often show none of the scene."""
BLUNT = 17
"""Px of what is narrower and so no part of a person: light on the wall behind, a shelf."""
_ROUNDS = 5


def silhouettes(pictures: RGB, rows: Doubles, seen: Bools) -> Bools:
    """Find the person in consecutive pictures of one shot.

    Args:
        pictures: (T, S, S, 3).
        rows: (T, 4) similarities from the canonical face to px.
        seen: (T,) where there is a face; elsewhere nothing is found.

    Returns:
        (T, S, S).
    """
    cv2 = load_cv()
    size = pictures.shape[1]
    found = np.zeros(pictures.shape[:3], bool)
    places = np.flatnonzero(seen)
    if not len(places):
        return found
    small = np.stack([cv2.resize(pictures[i], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for i in places])
    bodies = [_Body(_shrunk(rows[i], size)) for i in places]
    background = _learn(small, bodies)
    far = [None if background is None else _is_far(picture, background) for picture in small]
    is_clear = background is not None and _tells(far, bodies)
    for i, body, one in zip(places, bodies, far, strict=True):
        mask = _settle(one, body) if is_clear and one is not None and body.certain.any() else body.usual
        # Enlarged as a soft edge and cut at its middle, the outline is smooth.
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.2)
        found[i] = cv2.resize(soft, (size, size), interpolation=cv2.INTER_LINEAR) > 0.5
    return found


class _Body:
    """Where in a picture of `SIDE` px a person is, may be, and cannot be, given the face."""

    def __init__(self, row: Doubles) -> None:
        y, x = np.mgrid[0:SIDE, 0:SIDE]
        place = apply_similarity(invert_similarity(row), np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float64))
        across, down = np.abs(place[:, 0] - 0.5).reshape(SIDE, SIDE), place[:, 1].reshape(SIDE, SIDE)
        self.usual: Bools = _shape(across, down, 1.0)
        self.possible: Bools = _shape(across, down, 1.55)
        face = (across / 0.42) ** 2 + ((down - 0.35) / 0.58) ** 2 < 1
        self.chest: Bools = (across < 0.3) & (down > 1.25)
        self.certain: Bools = face | ((across < 0.22) & (down > 0.5)) | self.chest & (across < 0.15)


def _shape(across: Doubles, down: Doubles, growth: float) -> Bools:
    """Return an average body: a head, a neck, and shoulders that fall away from it."""
    head = (across / (0.58 * growth)) ** 2 + ((down - 0.22) / (0.78 * growth**0.6)) ** 2 < 1
    neck = (across < 0.34 * growth) & (down > 0.6)
    reach = growth * (0.34 + 1.05 * np.sqrt(np.clip((down - 1.05 + 0.25 * (growth - 1)) / 0.75, 0, 1)))
    shoulders = (across < reach) & (down > 1.05 - 0.25 * (growth - 1))
    shape: Bools = head | neck | shoulders
    return shape


def _shrunk(row: Doubles, size: int) -> Doubles:
    scale = SIDE / size
    return np.array([row[0] + np.log(scale), row[1], *((row[2:] + 0.5) * scale - 0.5)])


def _learn(pictures: RGB, bodies: list[_Body]) -> tuple[Doubles, Doubles] | None:
    """Return the background as a slope (6, 3) over `_terms` and the inverse of its scatter (3, 3); None where too little is seen."""
    chosen = sorted({int(i) for i in np.linspace(0, len(pictures) - 1, SAMPLED)})
    y, x = np.mgrid[BORDER : SIDE - BORDER, BORDER : SIDE - BORDER]
    place = np.tile(_terms(x / SIDE, y / SIDE).reshape(-1, TERMS), (len(chosen), 1))
    colour = np.concatenate([pictures[i][y, x].reshape(-1, 3) for i in chosen]).astype(np.float64)
    kept = np.concatenate([~bodies[i].possible[y, x].ravel() for i in chosen])
    is_open = np.concatenate([~bodies[i].certain[y, x].ravel() for i in chosen])
    if kept.mean() < LEAST_BACKGROUND:
        return None
    for _ in range(_ROUNDS):
        seen = place[kept]
        # Six terms over the unit square are far enough apart for their normal equations, which take a fraction of the time.
        slope: Doubles = np.linalg.solve(seen.T @ seen, seen.T @ colour[kept])
        error = colour - place @ slope
        # Rounding alone scatters colours by so much, even where a background is one of them.
        inverse = np.asarray(np.linalg.inv(np.cov(error[kept], rowvar=False) + np.eye(3) / 12), np.float64)
        # What looks like it nearer to the person is background too, and tells how the slope goes on there.
        kept = is_open & (((error @ inverse) * error).sum(axis=-1) < FAR)
        if kept.mean() < LEAST_BACKGROUND:
            return None
    return slope, inverse


def _terms(x: Doubles, y: Doubles) -> Doubles:
    """Return what a slope is made of: lamps light a wall brighter in its middle than at its corners."""
    return np.stack([x**i * y**j for i in range(3) for j in range(3 - i)], axis=-1)


def _is_far(picture: RGB, background: tuple[Doubles, Doubles]) -> Bools:
    slope, inverse = background
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    error = picture - _terms(x, y) @ slope
    far: Bools = ((error @ inverse) * error).sum(axis=-1) > FAR
    return far


def _tells(far: list[Any], bodies: list[_Body]) -> bool:
    """Say whether person and background differ by colour."""
    stray = np.mean([one[~body.possible].mean() for one, body in zip(far, bodies, strict=True)])
    chests = [one[body.chest].mean() for one, body in zip(far, bodies, strict=True) if body.chest.sum() > 20]
    return bool(stray < MOST_STRAY and (not chests or np.mean(chests) > LEAST_FOUND))


def _settle(far: Bools, body: _Body) -> Bools:
    """Join what is far from the background to one person without holes."""
    cv2 = load_cv()
    mask = ((far & body.possible) | body.certain).astype(np.uint8)
    small, large = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)) for side in (3, 9))
    mask = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, small), cv2.MORPH_CLOSE, large)
    _, label = cv2.connectedComponents(mask | body.certain.astype(np.uint8))
    numbers = np.bincount(label[body.certain])
    person = label == numbers.argmax()
    # Whatever the picture's upper corners cannot reach is inside.
    flooded = np.pad(person.astype(np.uint8), ((1, 0), (1, 1)))
    cv2.floodFill(flooded, None, (0, 0), 2)
    whole: Bools = flooded[1:, 1:-1] != 2
    blunt = cv2.morphologyEx(whole.astype(np.uint8), cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BLUNT, BLUNT)))
    smooth: Floats = cv2.GaussianBlur(blunt.astype(np.float32), (0, 0), 1.5)
    return smooth > 0.5
