"""settings: ``--set KEY=VALUE`` -> a plugin's own frozen dataclass of values.

A recipe is a frozen dataclass whose fields are numbers, words, or groups of them one level down, so that ``mouth.rate``
names a field of the group ``mouth``.  An unknown key is an error that names the nearest known one: a training that
silently ignores a misspelt setting costs its user a day.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, field, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from redub.errors import ConfigError

Recipe = TypeVar("Recipe")

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def between(least: float, most: float, default: Any) -> Any:
    """Declare a number with the range in which it makes sense, both ends included."""
    return field(default=default, metadata={"least": least, "most": most})


def with_settings(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """Return a recipe with some of its values replaced.

    Args:
        recipe: A frozen dataclass.  Its fields are bool, int, float, str, a `Literal`, a tuple of those, or dataclasses
            of such fields.
        settings: Values as text, by name; a tuple's are separated by commas, and an empty text is an empty tuple.

    Raises:
        ConfigError: A name is not known, or a value is of another type or out of its range.
    """
    known = flattened(recipe)
    for key, text in settings.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
            raise ConfigError(f"There is no setting of this training called {key!r}.", hint)
        recipe = _put(recipe, key.split("."), text, key)
    return recipe


def flattened(recipe: Any) -> dict[str, Any]:
    """Return all values of a recipe by the names under which they are set."""
    flat: dict[str, Any] = {}
    for key, value in asdict(recipe).items():
        inner = {f"{key}.{name}": one for name, one in value.items()} if isinstance(value, dict) else {key: value}
        flat.update(inner)
    return flat


def _put(recipe: Recipe, path: list[str], text: str, key: str) -> Recipe:
    name, *rest = path
    inner = getattr(recipe, name)
    if is_dataclass(inner):
        value: Any = _put(inner, rest, text, key)
    else:
        metadata = next(one.metadata for one in fields(recipe) if one.name == name)  # type: ignore[arg-type]
        value = _parse(text.strip(), get_type_hints(type(recipe))[name], key)
        _check_range(value, metadata, key)
    return replace(recipe, **{name: value})  # type: ignore[type-var]


def _parse(text: str, kind: Any, key: str) -> Any:
    if get_origin(kind) is tuple:
        return tuple(_parse(part.strip(), get_args(kind)[0], key) for part in text.split(",") if part.strip())
    if get_origin(kind) is Literal:
        if text in get_args(kind):
            return text
        raise ConfigError(f"{key} is {text!r}.", f"Choose from: {', '.join(get_args(kind))}.")
    if kind is bool:
        if text.lower() in _YES + _NO:
            return text.lower() in _YES
        raise ConfigError(f"{key} is {text!r}, neither yes nor no.", "Write true or false.")
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{key} is {text!r}, which is not a number of the kind {kind.__name__}.", "Correct the value.") from None


def _check_range(value: Any, metadata: Mapping[str, Any], key: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key} is {value}, which is no number.", "Correct the value.")
    if metadata and not metadata["least"] <= value <= metadata["most"]:
        raise ConfigError(f"{key} is {value}, which makes no sense.", f"Give {metadata['least']:g} to {metadata['most']:g}.")
