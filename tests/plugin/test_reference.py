"""The reference names all of the contract, and nothing leaves the contract unnoticed."""

import inspect
import json
import re
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from pathlib import Path

import pytest

import redub.plugin as plugin
from redub.plugin import API, Generator, discovery, rules, spec

PAGE = (Path(__file__).parents[2] / "docs/reference/plugin-api.md").read_text(encoding="utf-8")
SURFACE = Path(__file__).with_name("api_surface.json")


def sections():
    """The reference by its third-level headings."""
    parts = re.split(r"^### `([A-Za-z_]\w*)[^`]*`$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def parts_of(value):
    """The names of a record's fields, an enumeration's members or a class's methods."""
    if is_dataclass(value):
        return [field.name for field in fields(value)]
    if isinstance(value, type) and issubclass(value, StrEnum):
        return [member.name for member in value]
    if value is Generator:
        return [name for name in vars(value) if not name.startswith("_")]
    return []


def optional_parts(value):
    """The fields of a record that need not be given."""
    return {f.name for f in fields(value) if f.default is not MISSING or f.default_factory is not MISSING} if is_dataclass(value) else set()


def surface():
    """The public names of the contract with their parts; what need not be given ends in a question mark."""
    values = {name: getattr(plugin, name) for name in plugin.__all__}
    return {name: [part + "?" * (part in optional_parts(value)) for part in parts_of(value)] for name, value in values.items()}


@pytest.mark.parametrize("name", [name for name in plugin.__all__ if name not in ("API", "hookimpl")])
def test_every_name_has_a_heading_and_every_part_stands_under_it(name):
    section = sections()[name]
    for part in parts_of(getattr(plugin, name)):
        assert re.search(rf"^(\| )?`{part}(\(\w*\))?`", section, re.MULTILINE), f"{name}.{part} is missing from the reference"


def test_every_hook_has_a_heading_with_its_arguments():
    hooks = [value for name, value in vars(spec).items() if hasattr(value, "redub_spec")]
    assert hooks
    for hook in hooks:
        arguments = ", ".join(hook.__code__.co_varnames[: hook.__code__.co_argcount])
        assert f"### `{hook.__name__}({arguments})`" in PAGE


def test_the_reference_names_nothing_that_is_not_there():
    known = {*plugin.__all__, discovery.HOOK}
    assert set(sections()) <= known
    for name, section in sections().items():
        listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert set(listed) <= set(parts_of(getattr(plugin, name, None))), name


def test_the_reference_is_of_this_version():
    assert PAGE.startswith(f"# Plugin API {API[0]}.{API[1]}\n")


def test_defaults_in_the_reference_are_the_contracts():
    for name, section in sections().items():
        value = getattr(plugin, name, None)
        if not is_dataclass(value) or "| default |" not in section:
            continue
        for field in fields(value):
            stated = re.search(rf"^\| `{field.name}` \|(.*?)\|", section, re.MULTILINE).group(1).strip().strip("`")
            if field.default is not MISSING:
                assert stated.replace('"', "'") == repr(field.default), f"{name}.{field.name}"
            else:
                assert (stated == "") == (field.default_factory is MISSING), f"{name}.{field.name}"


def test_nothing_leaves_the_contract_without_a_new_major_version():
    known = json.loads(SURFACE.read_text(encoding="utf-8"))
    now = surface()
    assert known["api"][0] == API[0], "A new major version: write the surface anew."
    for name, parts in known["names"].items():
        assert name in now, f"{name} was removed from redub.plugin: that needs a new major version of the API."
        gone = {part.rstrip("?") for part in parts} - {part.rstrip("?") for part in now[name]}
        assert not gone, f"{name} lost {gone}: that needs a new major version of the API."
        hardened = {part for part in parts if part.endswith("?")} - set(now[name])
        assert not hardened, f"{name} now demands {hardened}: that needs a new major version of the API."


def test_what_joins_the_contract_is_written_down_and_optional():
    known = json.loads(SURFACE.read_text(encoding="utf-8"))["names"]
    now = surface()
    assert now == known, "Add it to api_surface.json, with a new minor version of the API and a line in the changelog."


def test_every_public_record_takes_keywords_only():
    for name in plugin.__all__:
        value = getattr(plugin, name)
        if is_dataclass(value):
            assert all(field.kw_only for field in fields(value)), name
            assert value.__dataclass_params__.frozen, name


def test_the_example_in_the_hooks_docstring_is_a_valid_declaration():
    text = inspect.getdoc(spec.redub_generators)
    code = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    names = {}
    exec(compile(code, "example", "exec"), names)
    (info,) = names["redub_generators"]()
    assert rules.faults(info) == []
