"""stills: photographs -> the face in each, registered, as the identity that a generator paints.

The paper's network takes its identity from five stills, whoever they show.  Those of a video are chosen from it (see
`redub.stages.crops`); these are files that somebody names, of the speaker or of anybody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from redub.choices import LandmarkModel
from redub.errors import NoFaceError, PluginError, RedubError
from redub.faces.cv import load_cv
from redub.faces.detect import detect_faces
from redub.faces.follow import Sight, box_from_place, look_twice, place_from_box
from redub.faces.landmarks import mouth_openness
from redub.faces.photo import read_photo
from redub.media import Frame
from redub.media.still import still_frame
from redub.plugin import GeneratorInfo, Region
from redub.stages.tracks import COARSE_SHARE, FINE_SHARE, MAX_SPREAD
from redub.types import Doubles, Floats

MOST_STILLS = 5
MAX_SIDE_PX = 1920
MIN_SCORE = 0.25
MARGIN = 0.3
"""Room around a picture that is filled by a face, as a share of its longer side: the detector wants to see some."""
CONSENT = "A person's face may be used only with their agreement to these words, this voice and where they will be shown."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Still:
    """A photograph with the face that counts."""

    path: Path
    frame: Frame
    """RGB, upright, of even size."""
    box: Floats
    """(4,) px of the frame."""
    points: Floats
    """(68, 2) px of the frame."""
    similarity: Doubles
    """(4,) takes the canonical face to px of the frame."""
    faces: int
    """How many were found; the largest is this one."""


Images = Sequence[Path | str | Still] | Path | str


def listed(images: Images) -> list[Path | Still]:
    """Return pictures as a list, also where a single one was named.

    Raises:
        RedubError: There are none or too many.
    """
    named = [images] if isinstance(images, Path | str) else images
    if not 1 <= len(named) <= MOST_STILLS:
        raise RedubError(f"There are {len(named)} pictures of the face.", f"Give one to {MOST_STILLS}.")
    return [image if isinstance(image, Still) else Path(image) for image in named]


def load_stills(images: Images, max_side_px: int = MAX_SIDE_PX, model: LandmarkModel = LandmarkModel.OWN) -> tuple[Still, ...]:
    """Read photographs and find the largest face in each.

    Args:
        images: One to five JPEG or PNG files; what is loaded already stays as it is.
        max_side_px: Larger pictures are scaled down.
        model: What finds the landmarks.

    Returns:
        The stills, in the same order.

    Raises:
        MediaError: A file cannot be read.
        NoFaceError: A picture shows no face.
        RedubError: There are none or too many.
        WeightError: The landmark predictor is not installed.
    """
    return tuple(image if isinstance(image, Still) else _load(image, max_side_px, model) for image in listed(images))


def check_takes_stills(info: GeneratorInfo) -> None:
    """Raise `PluginError` if a generator cannot be given a face by stills."""
    if info.region is Region.FRAME:
        raise PluginError(
            f"The generator {info.name} paints whole pictures of the person it was trained on; no photograph can change who that is.",
            "Choose one that paints faces:  redub plugins",
        )


def by_openness(stills: Sequence[Still], count: int) -> list[tuple[Frame, Doubles]]:
    """Return as many frames with their similarities as a generator wants, from the least to the widest open mouth.

    Fewer stills are repeated, each about as often; of more, those nearest to even percentiles are taken.
    """
    ranked = sorted(stills, key=lambda still: float(mouth_openness(still.points)))
    chosen = [ranked[(2 * i + 1) * len(ranked) // (2 * count)] for i in range(count)]
    return [(still.frame, still.similarity) for still in chosen]


def remarks(stills: Sequence[Still]) -> list[str]:
    """Return what the user should know of the stills, one sentence each."""
    return [f"{still.path.name} shows {still.faces} faces; the largest is used." for still in stills if still.faces > 1]


def _load(path: Path, max_side_px: int, model: LandmarkModel) -> Still:
    frame = still_frame(read_photo(path, max_side_px))
    gray = frame.gray()
    sights = next((found for found in _looks(gray, model) if found), None)
    if sights is None:
        hint = "Give a picture in which the face is upright, looks into the camera and is not small."
        raise NoFaceError(f"No face was found in {path}.", hint)
    sight = max(sights, key=lambda one: float(one.place[0]))
    return Still(
        path=path,
        frame=frame,
        box=box_from_place(sight.place).astype(np.float32),
        points=sight.points,
        similarity=sight.place,
        faces=len(sights),
    )


def _looks(gray: Any, model: LandmarkModel) -> Iterator[list[Sight]]:
    """Look for faces in a picture: for large ones, for small ones, and for one that is all of it."""
    short, margin = min(gray.shape), round(max(gray.shape) * MARGIN)
    yield _sights(gray, gray, 0, short * COARSE_SHARE, model)
    yield _sights(gray, gray, 0, short * FINE_SHARE, model)
    wide = load_cv().copyMakeBorder(gray, margin, margin, margin, margin, load_cv().BORDER_REPLICATE)
    yield _sights(gray, wide, margin, short / 2, model)


def _sights(gray: Any, shown: Any, margin: int, smallest_px: float, model: LandmarkModel) -> list[Sight]:
    """Return the faces of a picture that is shown to the detector with a margin."""
    places = [place_from_box(np.subtract(face.box, margin)) for face in detect_faces(shown, smallest_px, MIN_SCORE)]
    sights = [look_twice(gray, place, model) for place in places]
    return [sight for sight in sights if sight.spread <= MAX_SPREAD]
