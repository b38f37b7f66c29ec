"""A broken plugin is one line that names its distribution; the others go on."""

import re

import pytest

from redub.errors import PluginError
from redub.plugin import API, Region, manager, rules
from redub.plugin.echo import INFO

GOOD = "redub-good"


def names(catalogue):
    return [entry.info.name for entry in catalogue.entries]


def test_the_built_in_generator_comes_without_any_plugin(shelf):
    catalogue = manager.find_generators()
    assert names(catalogue) == ["echo"]
    assert catalogue.problems == ()
    assert catalogue.entries[0].distribution.startswith("redub ")


def test_an_installed_generator_is_found_with_its_distribution(shelf):
    shelf.put_generator("redub-mouthbar", "mouthbar", version="2.3")
    found = manager.find("mouthbar")
    assert found.distribution == "redub-mouthbar 2.3"
    assert found.info.region is Region.FACE


BROKEN = {
    "a failing import": ("import a_module_that_nobody_has", "cannot be imported: ModuleNotFoundError: .*a_module_that_nobody_has"),
    "an exit while importing": ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
    "a syntax error": ("def redub_generators(:", "cannot be imported: SyntaxError"),
    "a misspelt hook": (
        "from redub.plugin import hookimpl\n@hookimpl\ndef redub_generator():\n    return []",
        "hooks are not redub's.*redub_generator'",
    ),
    "an argument that the hook has not": (
        "from redub.plugin import hookimpl\n@hookimpl\ndef redub_generators(config):\n    return []",
        "hooks are not redub's.*config",
    ),
    "a hook without its mark": ("def redub_generators():\n    return []", "redub_generators lacks @hookimpl"),
    "no hook": ("x = 1", "implements no hook"),
    "an exception in the hook": (
        "from redub.plugin import hookimpl\n@hookimpl\ndef redub_generators():\n    raise RuntimeError('no luck')",
        "declaration failed: RuntimeError: no luck",
    ),
    "an exception after the first record": (
        "from redub.plugin import hookimpl\nfrom redub.plugin.echo import INFO\n"
        "@hookimpl\ndef redub_generators():\n    yield INFO\n    raise RuntimeError('no luck')",
        "declaration failed: RuntimeError: no luck",
    ),
    "a field that the contract has not": (
        "from redub.plugin import GeneratorInfo, hookimpl\n"
        "@hookimpl\ndef redub_generators():\n    yield GeneratorInfo(name='x', colour='red')",
        "declaration failed: TypeError: .*colour",
    ),
    "another type than a record": (
        "from redub.plugin import hookimpl\n@hookimpl\ndef redub_generators():\n    yield {'name': 'x'}",
        "yields a dict, not a GeneratorInfo",
    ),
    "a record instead of many": (
        "from redub.plugin import hookimpl\nfrom redub.plugin.echo import INFO\n@hookimpl\ndef redub_generators():\n    return INFO",
        "returned a GeneratorInfo, not GeneratorInfo records",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_plugin_is_one_line_and_the_rest_goes_on(shelf, what):
    source, expected = BROKEN[what]
    shelf.put_generator(GOOD, "good")
    shelf.put("redub-broken", source, version="0.7")
    catalogue = manager.find_generators()
    assert names(catalogue) == ["echo", "good"]
    (problem,) = catalogue.problems
    assert problem.distribution == "redub-broken 0.7"
    assert re.search(expected, problem.message)
    assert problem.hint
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    ("api", "side"), [((0, 9), "Upgrade the plugin"), ((API[0], API[1] + 1), "Upgrade redub"), ((2, 0), "Upgrade redub")]
)
def test_another_contract_version_says_both_and_who_must_upgrade(shelf, api, side):
    shelf.put_generator("redub-other", "other", api=api)
    (problem,) = manager.find_generators().problems
    assert f"{api[0]}.{api[1]}" in problem.message
    assert f"{API[0]}.{API[1]}" in problem.message
    assert side in problem.hint


def test_two_distributions_that_claim_a_name_are_both_dropped_and_blamed(shelf):
    shelf.put_generator("redub-one", "twin", version="1.1")
    shelf.put_generator("redub-two", "twin", version="2.2")
    catalogue = manager.find_generators()
    assert names(catalogue) == ["echo"]
    (problem,) = catalogue.problems
    assert problem.distribution == "redub-one 1.1 and redub-two 2.2"
    with pytest.raises(PluginError, match=r"redub-one 1\.1 and redub-two 2\.2"):
        manager.find("twin")


def test_nobody_takes_the_place_of_the_built_in_generator(shelf):
    shelf.put_generator("redub-impostor", "echo")
    catalogue = manager.find_generators()
    assert manager.find("echo").info.factory == INFO.factory
    (problem,) = catalogue.problems
    assert problem.distribution == "redub-impostor 1.0"


def test_one_bad_declaration_refuses_the_whole_plugin(shelf):
    module = shelf.put_generator("redub-half", "half")
    path = shelf.folder / f"{module}.py"
    path.write_text(path.read_text() + "\nfrom dataclasses import replace\n@hookimpl\ndef redub_generators():\n"
                    "    yield INFO\n    yield replace(INFO, name='Bad Name')\n")  # fmt: skip
    catalogue = manager.find_generators()
    assert names(catalogue) == ["echo"]
    assert "'Bad Name'" in catalogue.problems[0].message


def test_the_order_does_not_depend_on_the_order_of_installation(shelf):
    for name in ("zebra", "ape", "newt"):
        shelf.put_generator(f"redub-{name}", name)
        shelf.put(f"broken-{name}", "import nothing_like_it")
    catalogue = manager.find_generators()
    assert names(catalogue) == ["ape", "echo", "newt", "zebra"]
    assert [problem.distribution for problem in catalogue.problems] == ["broken-ape 1.0", "broken-newt 1.0", "broken-zebra 1.0"]


def test_the_variable_limits_what_is_asked(shelf, monkeypatch):
    shelf.put_generator("redub-one", "first")
    shelf.put("redub-two", "raise SystemError('must not be imported')")
    for value, expected in (("redub-one", ["echo", "first"]), ("one", ["echo", "first"]), ("", ["echo"]), ("echo", ["echo"])):
        monkeypatch.setenv("REDUB_PLUGINS", value)
        catalogue = manager.find_generators()
        assert names(catalogue) == expected
        assert catalogue.problems == ()
    monkeypatch.delenv("REDUB_PLUGINS")
    catalogue = manager.find_generators()
    assert "first" in names(catalogue)
    assert "redub-two 1.0" in [problem.distribution for problem in catalogue.problems]


def test_a_wish_that_is_not_installed_is_told(shelf, monkeypatch):
    monkeypatch.setenv("REDUB_PLUGINS", "redub-onne")
    (problem,) = manager.find_generators().problems
    assert problem.distribution == "redub-onne"
    assert "not installed" in problem.message


def test_a_missing_generator_is_told_with_what_is_there_and_what_to_type(shelf):
    shelf.put_generator("redub-mouthbar", "mouthbar")
    with pytest.raises(PluginError) as caught:
        manager.find("mouthbat")
    assert "echo, mouthbar" in caught.value.message
    assert "Did you mean mouthbar?" in caught.value.hint
    assert "pip install redub-mouthbat" in caught.value.hint


def test_a_broken_generator_is_told_apart_from_a_missing_one(shelf):
    shelf.put("redub-sick", "import a_module_that_nobody_has")
    with pytest.raises(PluginError, match=r"redub-sick 1\.0.*a_module_that_nobody_has"):
        manager.find("sick")


def test_importing_redub_plugin_registers_nothing(shelf):
    """Two discoveries are independent: what was there for the first is gone for the second."""
    shelf.put_generator("redub-brief", "brief")
    assert "brief" in names(manager.find_generators())
    shelf.distributions.clear()
    shelf.choose()
    assert names(manager.find_generators()) == ["echo"]


def test_the_built_in_declaration_has_no_fault():
    assert rules.faults(INFO) == []
