"""blindfold: generator -> the same generator, which cannot see the mouth it is to paint.

A generator promises not to look (and the conformance kit checks it); a measure must not rest on a promise.  What lies
under the lower mask is replaced by the mean colour of the rest of the face, and the landmarks of jaw and mouth by
those of the canonical face, before the generator is handed a clip.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from redub.faces.canonical import CANONICAL_FACE
from redub.faces.masks import lower_face_mask
from redub.plugin import Clip, Generator, Painted
from redub.stages.generate import Model

HIDDEN_POINTS = [*range(17), *range(48, 68)]
"""Jaw and mouth."""


def blindfolded(model: Model) -> Model:
    """Return a model that is handed clips without a mouth; the one within stays the caller's to close."""
    return replace(model, generator=_Blindfolded(model.generator))


def hide_mouth(clip: Clip) -> Clip:
    """Return a clip of aligned faces in which nothing tells what the mouth did; the speaker's stills stay as they are."""
    size = clip.frames.shape[1]
    hidden = lower_face_mask(size, 0.0) > 0
    frames, points = clip.frames.copy(), clip.points.copy()
    for frame in frames:
        frame[hidden] = np.rint(frame[~hidden].mean(axis=0)).astype(np.uint8)
    points[:, HIDDEN_POINTS] = (CANONICAL_FACE[HIDDEN_POINTS] * size - 0.5).astype(np.float32)
    frames.flags.writeable = points.flags.writeable = False
    return replace(clip, frames=frames, points=points)


class _Blindfolded(Generator):
    def __init__(self, inner: Generator) -> None:
        self._inner = inner

    def generate(self, clip: Clip) -> Painted:
        return self._inner.generate(hide_mouth(clip))
