"""What a blindfolded generator can and cannot see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from redub.faces.masks import lower_face_mask
from redub.metrics.blindfold import blindfolded, hide_mouth
from redub.plugin import Clip, Generator, Painted, echo
from redub.stages.generate import Model
from redub.testing.clips import make_clip
from redub.types import Blend

MODE = echo.INFO.modes[Blend.POISSON]
INFO = replace(echo.INFO, references=2)
MOUTH = lower_face_mask(MODE.input_px, 0.0) > 0


class Keeps(Generator):
    """Paints its crops, and keeps what it was shown."""

    seen: Clip

    def generate(self, clip: Clip) -> Painted:
        self.seen = clip
        return Painted(frames=clip.frames.copy())


@pytest.fixture
def clip() -> Clip:
    return make_clip(INFO, MODE, 3, seed=4)


def test_clips_that_differ_only_in_the_mouth_look_the_same(clip):
    random = np.random.default_rng(0)
    frames, points = clip.frames.copy(), clip.points.copy()
    frames[:, MOUTH] = random.integers(0, 256, frames[:, MOUTH].shape)
    for part in (slice(0, 17), slice(48, 68)):
        points[:, part] += random.normal(0, 9, points[:, part].shape).astype(np.float32)
    one, other = hide_mouth(clip), hide_mouth(replace(clip, frames=frames, points=points))
    np.testing.assert_array_equal(one.frames, other.frames)
    np.testing.assert_array_equal(one.points, other.points)


def test_nothing_is_left_of_the_mouth(clip):
    hidden = hide_mouth(clip)
    assert all(len(np.unique(frame[MOUTH], axis=0)) == 1 for frame in hidden.frames)
    # Three faces with different mouths have one jaw and one mouth now.
    np.testing.assert_array_equal(hidden.points[0, :17], hidden.points[2, :17])
    np.testing.assert_array_equal(hidden.points[0, 48:], hidden.points[2, 48:])
    assert not np.array_equal(clip.points[0, 48:], clip.points[2, 48:])


def test_the_rest_of_the_clip_stays(clip):
    hidden = hide_mouth(clip)
    np.testing.assert_array_equal(hidden.frames[:, ~MOUTH], clip.frames[:, ~MOUTH])
    np.testing.assert_array_equal(hidden.points[:, 17:48], clip.points[:, 17:48])
    for name in ("speech", "times_s", "references"):
        assert getattr(hidden, name) is getattr(clip, name)
    assert not hidden.frames.flags.writeable
    assert not hidden.points.flags.writeable


def test_a_blindfolded_model_hands_on_what_is_hidden(clip):
    keeps = Keeps()
    model = blindfolded(Model(info=INFO, mode=MODE, generator=keeps))
    painted = model.generator.generate(clip)
    np.testing.assert_array_equal(keeps.seen.frames, hide_mouth(clip).frames)
    np.testing.assert_array_equal(painted.frames, hide_mouth(clip).frames)
    assert model.info is INFO
