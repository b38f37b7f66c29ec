"""kit: a folder with a face kit -> its shapes, cut down to what a camera can see.

The kit is the light model of ICT-FaceKit (USC Institute for Creative Technologies, MIT licence) packed as one npz: a
neutral head with teeth, tongue and eyes, 100 shapes of identities and 57 of expressions on the same vertices.  It is
given by the user and no part of redub.  Lengths are the kit's: a unit is about 8 mm, the face looks along +z, y points up.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redub.errors import RedubError
from redub.footage import atlas
from redub.types import Bools, Floats, Ints

FILE = "ict_facekit_light.npz"
HINT = "The light model of ICT-FaceKit, packed as one npz, belongs there; see the page 'Make footage' of the documentation."
VERTICES, TRIANGLES = 26719, 52220

LANDMARKS = (
    *(1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443),
    *(268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509),
    *(978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360),
    *(1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732),
    *(5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841),
    *(5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966),
)
"""The 68 points of the iBUG order as vertex numbers, from the kit's description."""

SKIN, THROAT, UPPER_TEETH, LOWER_TEETH, GUMS, EYE = range(6)
"""What a triangle is part of."""
BEHIND = np.array([0.0, 3.0, 0.9, 0.9, 1.1, 0.35], np.float32)
"""How far each part is drawn behind where it is, so that no identity's teeth pierce its lips, nor eyes their lids."""
_EYEBALLS = ((21451, 22221), (23021, 23791))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Shapes on V vertices with Q triangles."""

    neutral: Floats
    """(V, 3)."""
    identities: Floats
    """(I, V, 3): what each adds at weight 1."""
    expressions: Floats
    """(E, 3 V): what each adds at weight 1, flat."""
    names: tuple[str, ...]
    """Of the expressions (E,)."""
    corners: Ints
    """(3, Q) vertices."""
    part: NDArray[np.uint8]
    """(Q,)."""
    places: Floats
    """(2, 3, Q): x and y in px of the atlas at each corner."""
    landmarks: Ints
    """(68,) vertices."""
    is_skin: Bools
    """(V,)."""
    eyes: Floats
    """(2, 3): the middle of each eyeball at rest, the person's left first."""
    sha256: str

    def weights(self, wanted: dict[str, float]) -> Floats:
        """Return the weights (E,) for named expressions; both sides move where the kit has two."""
        pairs = ((name, wanted.get(name, wanted.get(name.removesuffix("_L").removesuffix("_R"), 0.0))) for name in self.names)
        return np.array([value for _, value in pairs], np.float32)


@cache
def load_kit(folder: Path) -> Kit:
    """Read the kit in a folder, once in a process.

    Raises:
        RedubError: It is missing, damaged, or of another version.
    """
    path = folder / FILE if folder.is_dir() else folder
    if not path.is_file():
        raise RedubError(f"There is no face kit {path}.", HINT)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RedubError(f"The face kit {path} cannot be read: {error}.", HINT) from error
    _check(path, found)
    return _reduce(found, hashlib.sha256(path.read_bytes()).hexdigest())


def _check(path: Path, found: dict[str, Any]) -> None:
    """Raise `RedubError` unless the kit is the one whose vertex numbers are known here."""
    expected = {
        "neutral": (VERTICES, 3), "identities": (100, VERTICES, 3), "expressions": (57, VERTICES, 3), "expression_names": (57,),
        "tri": (TRIANGLES, 3), "tri_uv": (TRIANGLES, 3), "tri_material": (TRIANGLES,), "uv": (28911, 2), "materials": (12,),
    }  # fmt: skip
    for name, shape in expected.items():
        if name not in found:
            raise RedubError(f"The face kit {path} has no array {name!r}: it is of another version.", HINT)
        if found[name].shape != shape:
            raise RedubError(f"The face kit {path} is of another version: its {name} is {found[name].shape}, not {shape}.", HINT)


def _reduce(found: dict[str, Any], sha256: str) -> Kit:
    neutral, corners = np.asarray(found["neutral"], np.float32), np.asarray(found["tri"], np.int64)
    material = np.asarray(found["materials"])[found["tri_material"]]
    uv = np.asarray(found["uv"], np.float32)[found["tri_uv"]]  # Q 3 2
    middle = neutral[corners].mean(1)
    eyes = np.stack([_middle(neutral[slice(*ball)]) for ball in _EYEBALLS])
    is_back = material == "M_BackHead"
    # The kit's chart keeps the sacks behind mouth and eyes in its corners, which the skull's outline reaches too.
    is_throat = is_back & (uv[..., 0].mean(1) < 1.26) & (uv[..., 1].mean(1) > 0.68) & (np.abs(middle[:, 0]) < 5) & (middle[:, 1] < 2)
    is_bag = is_back & (uv[..., 0].mean(1) > 1.7) & (uv[..., 1].mean(1) > 0.83) & (middle[:, 2] > 4) & (middle[:, 1] < 8)
    is_teeth = (material == "M_Teeth") & (middle[:, 2] > 7.6)
    is_eye = np.char.startswith(material.astype(str), "M_Sclera") & (middle[:, 2] > eyes[0, 2] + 0.3)
    chosen = {
        SKIN: (material == "M_Face") | (is_back & ~is_throat & ~is_bag),
        THROAT: is_throat,
        UPPER_TEETH: is_teeth & (middle[:, 1] > -3.35),
        LOWER_TEETH: is_teeth & (middle[:, 1] <= -3.35),
        GUMS: (material == "M_GumsTongue") & (middle[:, 2] > 5.0),
        EYE: is_eye,
    }
    part = np.full(len(corners), 255, np.uint8)
    for number, which in chosen.items():
        part[which] = number
    kept = part < 255
    used, fresh = np.unique(corners[kept], return_inverse=True)
    fresh = fresh.reshape(-1, 3)
    number_of = np.full(len(neutral), -1)
    number_of[used] = np.arange(len(used))
    names = [str(name) for name in found["expression_names"]]
    is_skin = np.zeros(len(used), bool)
    is_skin[fresh[part[kept] == SKIN]] = True
    return Kit(
        neutral=neutral[used],
        identities=found["identities"][:, used].astype(np.float32),
        expressions=found["expressions"][:, used].astype(np.float32).reshape(len(names), -1),
        names=tuple(names),
        corners=np.ascontiguousarray(fresh.T),
        part=part[kept],
        places=_places(part[kept], uv[kept], is_back[kept], neutral[corners[kept]], eyes),
        landmarks=number_of[list(LANDMARKS)],
        is_skin=is_skin,
        eyes=eyes,
        sha256=sha256,
    )


def _places(part: NDArray[np.uint8], uv: Floats, is_back: Bools, rest: Floats, eyes: Floats) -> Floats:
    """Return where each corner lies in the atlas: by the kit's own chart, but for eyes by the direction in which it looks."""
    inside = uv - np.floor(uv.mean(1, keepdims=True))
    inside[..., 1] = 1 - inside[..., 1]
    ball = np.where(rest.mean(1)[:, :1] > 0, eyes[0], eyes[1])[:, None]
    out = (rest - ball) / np.linalg.norm(rest - ball, axis=-1, keepdims=True)
    seen = np.stack([0.5 + 0.5 * out[..., 0], 0.5 - 0.5 * out[..., 1]], -1)
    inside = np.where((part == EYE)[:, None, None], seen, inside)
    tile = np.array([atlas.FACE, atlas.BACK, atlas.TEETH, atlas.TEETH, atlas.GUMS, atlas.EYE])[part]
    tile[is_back] = atlas.BACK
    left, top, side = tile[:, 0, None], tile[:, 1, None], tile[:, 2, None]
    x, y = left + inside[..., 0] * (side - 1), top + inside[..., 1] * (side - 1)
    return np.ascontiguousarray(np.stack([x.T, y.T]), np.float32)


def _middle(ball: Floats) -> Floats:
    """Return the middle of an eyeball; its cornea stands out in front, so the other five sides say where it is."""
    low, high = ball.min(0), ball.max(0)
    return np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2] + (high[0] - low[0]) / 2], np.float32)
