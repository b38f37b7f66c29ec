"""reach: true and painted faces of a person -> by how much more a mouth has to be told to open, so that it opens as far as it does.

A painter that has not seen a person for long moves their mouth less far than its shape says: what it is unsure of it averages.
How much less is seen where the true shape is known.  The ear's answer is enlarged by that.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from redub.choices import LandmarkModel
from redub.faces.follow import box_from_place
from redub.faces.landmarks import find_landmarks, mouth_openness
from redub.types import RGB, Doubles

MOST = 1.6
LEAST_ALIKE = 0.7
"""If painted mouths open less alike true ones than this, what is painted is no matter of reach."""
LUMA = np.array([0.299, 0.587, 0.114])


def measure_reach(painted: Tensor, true: Tensor, told: Doubles) -> float:
    """Return the factor, 1 to `MOST`.

    Args:
        painted: (B, 3, S, S) in 0..1, registered faces, painted from the shapes of the true ones.
        true: Likewise.
        told: (B,) how far the true mouths are open, as something else saw them: a measure must not be held against its own noise.
    """
    shown, wanted = (openness(_pictures(one)) for one in (painted, true))
    z = told - told.mean()
    if min(shown.std(), wanted.std(), z.std()) < 1e-6 or np.corrcoef(shown, wanted)[0, 1] < LEAST_ALIKE:
        return 1.0
    moved, moves = float(shown @ z), float(wanted @ z)
    return float(np.clip(moves / moved, 1.0, MOST)) if moved > 0 and moves > 0 else 1.0


def openness(faces: RGB) -> Doubles:
    """Return how far mouths are open, as shares of the distance between the eyes: (B, S, S, 3) registered faces -> (B,)."""
    size = faces.shape[1]
    box = box_from_place(np.array([np.log(size), 0.0, -0.5, -0.5]))
    # redub's own model: it is free for every use, and compared with itself alone.
    grays = np.rint(faces @ LUMA).astype(np.uint8)
    return np.array([float(mouth_openness(find_landmarks(gray, box, LandmarkModel.OWN)[0])) for gray in grays])


def _pictures(faces: Tensor) -> RGB:
    return np.asarray((faces.detach().float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
