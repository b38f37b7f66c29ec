"""Which blending a run takes, and what it says of that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redub.errors import PluginError
from redub.pipeline import choose_blend
from redub.plugin import manager
from redub.types import Blend


@pytest.mark.parametrize(
    ("usual", "asked", "expected", "told"),
    [
        (Blend.POISSON, None, Blend.FEATHER, 0),  # nobody set the default, so nobody misses it
        (Blend.NETWORK, None, Blend.FEATHER, 1),
        (Blend.FEATHER, None, Blend.FEATHER, 0),
        (Blend.POISSON, Blend.FEATHER, Blend.FEATHER, 0),
    ],
)
def test_a_blending_that_somebody_set_and_does_not_get_is_told(usual, asked, expected, told):
    info = manager.find("echo").info
    info = replace(info, modes={Blend.FEATHER: next(iter(info.modes.values()))})
    notices: list[str] = []
    assert choose_blend(info, asked, usual, notices) is expected
    assert len(notices) == told


def test_a_blending_that_is_asked_for_is_given_or_refused():
    info = manager.find("echo").info
    info = replace(info, modes={Blend.FEATHER: next(iter(info.modes.values()))})
    with pytest.raises(PluginError, match="cannot be blended with 'network'"):
        choose_blend(info, Blend.NETWORK, Blend.POISSON, [])
