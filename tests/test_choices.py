"""Which blending a run takes, and what it says of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from redub.config import BlendConfig
from redub.errors import PluginError, WeightError
from redub.pipeline import choose_blend
from redub.plugin import WeightFile, manager
from redub.types import Blend

USUAL = BlendConfig().mode


def offering(*modes: Blend) -> manager.Entry:
    """Return echo as if it offered these blendings, with a file of weights for each."""
    entry = manager.find("echo")
    mode = next(iter(entry.info.modes.values()))
    own = [WeightFile(name=f"{blend}.safetensors", sha256="0" * 64, size_bytes=1, licence="MIT", source="nobody") for blend in modes]
    return replace(entry, info=replace(entry.info, modes={b: replace(mode, weights=(file,)) for b, file in zip(modes, own, strict=True)}))


@pytest.mark.parametrize(
    ("usual", "asked", "expected", "told"),
    [
        (USUAL, None, Blend.FEATHER, 0),  # nobody set the default, so nobody misses it
        (Blend.POISSON, None, Blend.FEATHER, 1),
        (Blend.FEATHER, None, Blend.FEATHER, 0),
        (USUAL, Blend.FEATHER, Blend.FEATHER, 0),
    ],
)
def test_a_blending_that_somebody_set_and_does_not_get_is_told(usual, asked, expected, told):
    notices: list[str] = []
    assert choose_blend(offering(Blend.FEATHER), asked, usual, notices) is expected
    assert len(notices) == told


def test_a_blending_that_is_asked_for_is_given_or_refused():
    with pytest.raises(PluginError, match="cannot be blended with 'network'"):
        choose_blend(offering(Blend.FEATHER), Blend.NETWORK, Blend.POISSON, [])


def test_what_is_painted_from_photographs_is_blended_unless_something_else_was_set():
    both = offering(Blend.NETWORK, Blend.POISSON)
    assert choose_blend(both, None, USUAL, [], has_stills=True) is Blend.POISSON
    assert choose_blend(both, None, USUAL, []) is Blend.NETWORK
    assert choose_blend(both, Blend.NETWORK, USUAL, [], has_stills=True) is Blend.NETWORK
    assert choose_blend(both, None, Blend.FEATHER, [], has_stills=True) is Blend.NETWORK
    assert choose_blend(offering(Blend.NETWORK), None, USUAL, [], has_stills=True) is Blend.NETWORK


@pytest.mark.parametrize(
    ("said", "expected"), [("network", Blend.NETWORK), ("poisson", Blend.POISSON), ("", Blend.POISSON), ("oil", Blend.POISSON)]
)
def test_weights_that_are_named_decide_by_what_they_say_or_the_generator_by_its_first(tmp_path: Path, said, expected):
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "mine.safetensors", {"blend": said} if said else None)
    both, file = offering(Blend.POISSON, Blend.NETWORK), str(tmp_path / "mine.safetensors")
    assert choose_blend(both, None, USUAL, [], named=file) is expected
    assert choose_blend(both, Blend.NETWORK, USUAL, [], named=file) is Blend.NETWORK
    with pytest.raises(WeightError, match="no weights"):
        choose_blend(both, None, USUAL, [], named=str(tmp_path / "other.safetensors"))
