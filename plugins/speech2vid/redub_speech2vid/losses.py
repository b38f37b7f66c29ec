"""losses: painted and true pictures -> terms, each a mean over its elements, so that no layer counts for its size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from redub.faces.masks import lower_face_mask
from redub_speech2vid.canvas import PLAIN, Canvas
from redub_speech2vid.hidden import fade

REST, LOWER, MOUTH, UNSEEN = 0.6, 0.8, 6.0, 0.1
"""Weight of the whole crop, and what the lower face and the mouth have more; share that is left of it outside what is shown."""
MOUTH_AT, MOUTH_REACH = (0.5, 0.63), (0.21, 0.15)
"""Centre and half axes of the mouth, in the unit square."""


def focus_map(canvas: Canvas = PLAIN) -> Tensor:
    """Return how much each pixel of what is painted counts, one on average: (1, 1, height, width)."""
    size = canvas.input_px
    place = torch.linspace(0, 1, size)
    y, x = torch.meshgrid(place, place, indexing="ij")
    far = ((x - MOUTH_AT[0]) / MOUTH_REACH[0]) ** 4 + ((y - MOUTH_AT[1]) / MOUTH_REACH[1]) ** 4
    weight = REST + LOWER * torch.from_numpy(lower_face_mask(size, 0.05).copy()) + MOUTH * torch.exp(-far)
    if canvas.has_context:
        # What is never put back need not be right.
        weight = weight * (UNSEEN + (1 - UNSEEN) * torch.from_numpy(np.sqrt(fade(size))))
    weight = canvas.cut(weight[None, None])
    return weight / weight.mean()


def image_loss(painted: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Return the mean distance of pixels (section 3.2, equation 1, by the number of its elements)."""
    return ((painted - true).abs() * weight).mean()


def gradient_loss(painted: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Return the mean distance of the differences between neighbouring pixels, across and down."""
    error = painted - true
    across = (error[..., 1:] - error[..., :-1]).abs() * weight[..., 1:]
    down = (error[..., 1:, :] - error[..., :-1, :]).abs() * weight[..., 1:, :]
    return across.mean() + down.mean()


def content_loss(painted: Sequence[Tensor], true: Sequence[Tensor]) -> Tensor:
    """Return the sum over layers of the mean distance of their maps."""
    return torch.stack([(a.float() - b.float()).abs().mean() for a, b in zip(painted, true, strict=True)]).sum()
