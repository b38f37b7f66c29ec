"""Which blending a run takes, and what it says of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from redub.blending import choose_blend
from redub.choices import BlendChoice
from redub.errors import PluginError, WeightError
from redub.plugin import WeightFile, manager
from redub.types import Blend

AUTO = BlendChoice.AUTO


def offering(*modes: Blend) -> manager.Entry:
    """Return echo as if it offered these blendings, with a file of weights for each."""
    entry = manager.find("echo")
    mode = next(iter(entry.info.modes.values()))
    own = [WeightFile(name=f"{blend}.safetensors", sha256="0" * 64, size_bytes=1, licence="MIT", source="nobody") for blend in modes]
    return replace(entry, info=replace(entry.info, modes={b: replace(mode, weights=(file,)) for b, file in zip(modes, own, strict=True)}))


@pytest.mark.parametrize(
    ("usual", "asked", "told"),
    [
        (AUTO, None, 0),  # nobody set it, so nobody misses it
        (BlendChoice.POISSON, None, 1),
        (BlendChoice.FEATHER, None, 0),
        (AUTO, Blend.FEATHER, 0),
    ],
)
def test_a_blending_that_somebody_set_and_does_not_get_is_told(usual, asked, told):
    notices: list[str] = []
    assert choose_blend(offering(Blend.FEATHER), asked, usual, notices, learns=True) is Blend.FEATHER
    assert len(notices) == told


def test_a_blending_that_is_asked_for_is_given_or_refused():
    with pytest.raises(PluginError, match="cannot be blended with 'network'"):
        choose_blend(offering(Blend.FEATHER), Blend.NETWORK, BlendChoice.POISSON, [], learns=True)


def test_in_context_is_painted_whom_a_generator_learns_and_nobody_else_unless_that_was_set():
    both = offering(Blend.POISSON, Blend.NETWORK)
    able = replace(both, info=replace(both.info, adapter="a:b", api=(1, 1)))
    assert choose_blend(able, None, AUTO, [], learns=True) is Blend.NETWORK
    assert choose_blend(able, None, AUTO, [], learns=False) is Blend.POISSON
    assert choose_blend(both, None, AUTO, [], learns=True) is Blend.POISSON
    assert choose_blend(able, None, BlendChoice.NETWORK, [], learns=False) is Blend.NETWORK
    assert choose_blend(able, Blend.NETWORK, AUTO, [], learns=False) is Blend.NETWORK
    assert choose_blend(able, None, BlendChoice.POISSON, [], learns=True) is Blend.POISSON


@pytest.mark.parametrize(
    ("said", "expected"), [("network", Blend.NETWORK), ("poisson", Blend.POISSON), ("", Blend.POISSON), ("oil", Blend.POISSON)]
)
def test_weights_that_are_named_decide_by_what_they_say_or_the_generator_by_its_first(tmp_path: Path, said, expected):
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "mine.safetensors", {"blend": said} if said else None)
    both, file = offering(Blend.POISSON, Blend.NETWORK), str(tmp_path / "mine.safetensors")
    for learns in (True, False):
        assert choose_blend(both, None, AUTO, [], learns=learns, named=file) == expected
    assert choose_blend(both, Blend.NETWORK, AUTO, [], learns=True, named=file) is Blend.NETWORK
    with pytest.raises(WeightError, match="no weights"):
        choose_blend(both, None, AUTO, [], learns=True, named=str(tmp_path / "other.safetensors"))
