"""Settings reach the field that they name, or are refused with the nearest name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redub.errors import ConfigError
from redub.training.settings import between, flattened, with_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Mouth:
    rate: float = between(0, 10, 1e-3)
    steps: int = between(1, 100, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    width: float = 1.0
    name: str = ""
    sharp: bool = False
    kind: Literal["a", "b"] = "a"
    skips: tuple[Literal["x", "y"], ...] = ("x",)
    mouth: Mouth = field(default_factory=Mouth)


@pytest.mark.parametrize(
    ("settings", "key", "value"),
    [
        ({"width": "0.25"}, "width", 0.25),
        ({"mouth.rate": "2e-4"}, "mouth.rate", 2e-4),
        ({"mouth.steps": " 7 "}, "mouth.steps", 7),
        ({"sharp": "Yes"}, "sharp", True),
        ({"sharp": "off"}, "sharp", False),
        ({"kind": "b"}, "kind", "b"),
        ({"skips": "x, y"}, "skips", ("x", "y")),
        ({"skips": ""}, "skips", ()),
        ({"name": "a=b"}, "name", "a=b"),
    ],
)
def test_a_value_reaches_its_field_and_no_other(settings, key, value):
    changed, plain = flattened(with_settings(Recipe(), settings)), flattened(Recipe())
    assert changed.pop(key) == value
    plain.pop(key)
    assert changed == plain


@pytest.mark.parametrize(
    ("key", "value", "said", "hint"),
    [
        ("widht", "1", "widht", "width"),
        ("mouth.ratte", "1", "mouth.ratte", "mouth.rate"),
        ("mouth", "1", "mouth", "mouth."),
        ("zzz", "1", "zzz", "There are: width, name"),
        ("mouth.steps", "2.5", "2.5", "Correct"),
        ("mouth.steps", "0", "makes no sense", "1 to 100"),
        ("mouth.rate", "inf", "no number", "Correct"),
        ("skips", "x,z", "'z'", "x, y"),
        ("sharp", "perhaps", "perhaps", "true or false"),
    ],
)
def test_what_is_not_known_or_impossible_is_refused(key, value, said, hint):
    with pytest.raises(ConfigError) as caught:
        with_settings(Recipe(), {key: value})
    assert said in caught.value.message
    assert hint in caught.value.hint


@given(rate=st.floats(0, 10), steps=st.integers(1, 100), sharp=st.booleans())
def test_what_a_recipe_says_of_itself_makes_it_again(rate, steps, sharp):
    recipe = with_settings(Recipe(), {"mouth.rate": repr(rate), "mouth.steps": str(steps), "sharp": str(sharp)})
    said = {key: ",".join(value) if isinstance(value, tuple) else str(value) for key, value in flattened(recipe).items()}
    assert with_settings(Recipe(), said) == recipe
