"""Weights: the declared file or a refusal that says what to do."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redub import weights
from redub.errors import WeightError
from redub.weights import WeightFile, allows_commercial_use

CONTENT = b"numbers that mean something"
FILE = WeightFile(
    name="net.safetensors",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
    licence="CC-BY-4.0",
    source="https://example.org/net",
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache and two named folders, all in a fresh place."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REDUB_WEIGHTS", os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")]))
    folder = weights.cache_folder()
    for path in (folder, tmp_path / "one", tmp_path / "two"):
        path.mkdir(parents=True)
    assert folder.is_relative_to(tmp_path)
    return folder


def test_a_file_is_found_in_the_cache(cache):
    (cache / FILE.name).write_bytes(CONTENT)
    assert weights.find(FILE) == cache / FILE.name


def test_named_folders_come_before_the_cache_and_the_package_before_both(cache, tmp_path, monkeypatch):
    (cache / FILE.name).write_bytes(CONTENT)
    (tmp_path / "two" / FILE.name).write_bytes(CONTENT)
    assert weights.find(FILE) == tmp_path / "two" / FILE.name
    package = tmp_path / "site" / "carrier_of_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('looking for weights must not import the plugin')")
    (package / FILE.name).write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert weights.find(replace(FILE, package="carrier_of_weights")) == package / FILE.name


def test_a_package_that_is_not_installed_is_no_place(cache):
    (cache / FILE.name).write_bytes(CONTENT)
    assert weights.find(replace(FILE, package="nobody_carries_this.deeper")) == cache / FILE.name


def test_a_missing_file_is_told_with_its_licence_source_and_place(cache):
    with pytest.raises(WeightError) as caught:
        weights.find(FILE)
    assert FILE.name in caught.value.message
    assert FILE.licence in caught.value.message
    for needed in (FILE.source, str(cache), "REDUB_WEIGHTS"):
        assert needed in caught.value.hint


@settings(deadline=None)
@given(position=st.integers(0, len(CONTENT) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused_with_both_hashes(tmp_path_factory, position, flip):
    folder = tmp_path_factory.mktemp("w")
    changed = bytearray(CONTENT)
    changed[position] ^= flip
    (folder / FILE.name).write_bytes(changed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDUB_WEIGHTS", str(folder))
        with pytest.raises(WeightError, match=FILE.sha256) as caught:
            weights.find(FILE)
    assert hashlib.sha256(changed).hexdigest() in caught.value.message


def test_a_truncated_file_is_refused_by_its_size(cache):
    (cache / FILE.name).write_bytes(CONTENT[:-1])
    with pytest.raises(WeightError, match=f"{len(CONTENT) - 1} bytes, not {len(CONTENT)}"):
        weights.find(FILE)


def test_a_right_file_behind_a_wrong_one_is_found(cache, tmp_path):
    (tmp_path / "one" / FILE.name).write_bytes(CONTENT[::-1])
    (cache / FILE.name).write_bytes(CONTENT)
    assert weights.find(FILE) == cache / FILE.name


def test_a_file_that_changes_after_it_was_verified_is_refused(cache):
    path = cache / FILE.name
    path.write_bytes(CONTENT)
    weights.find(FILE)
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(1, 1))
    with pytest.raises(WeightError):
        weights.find(FILE)


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0", True),
        ("CC-BY-4.0", True),
        ("CC0-1.0", True),
        ("GPL-3.0-or-later", True),
        ("CC-BY-NC-4.0", False),
        ("cc-by-nc-sa-4.0", False),
        ("CC-BY-NC-ND-3.0", False),
        ("PolyForm-Noncommercial-1.0.0", False),
        ("LicenseRef-iBUG-300W-non-commercial", False),
        ("LicenseRef-somebody", None),
        ("OpenRAIL-Something", None),
        ("MIT OR CC-BY-NC-4.0", True),
        ("MIT AND CC-BY-NC-4.0", False),
        ("MIT AND LicenseRef-x", None),
        ("LicenseRef-x AND CC-BY-NC-4.0", False),
        ("LicenseRef-x OR CC-BY-NC-4.0", None),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("(MIT)", None),
    ],
)
def test_commercial_use_is_known_forbidden_or_unknown(licence, allowed):
    assert allows_commercial_use(licence) is allowed


def test_the_ledger_has_a_row_for_each_file_of_each_generator_once(cache):
    (cache / FILE.name).write_bytes(CONTENT)
    other = replace(FILE, name="context.safetensors", licence="CC-BY-NC-4.0")
    rows = weights.ledger([("b", FILE), ("b", other), ("b", FILE), ("a", FILE)])
    assert [(row.generator, row.file.name, row.is_commercial, row.path) for row in rows] == [
        ("b", FILE.name, True, cache / FILE.name),
        ("b", other.name, False, None),
        ("a", FILE.name, True, cache / FILE.name),
    ]


@pytest.mark.parametrize("licence", ["", "AND", "MIT AND", "MIT Apache-2.0", "MIT and Apache-2.0", "a licence", 3, None])
def test_what_is_not_of_the_form_of_spdx_is_told(licence):
    assert not weights.is_spdx(licence)


def test_the_cache_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert weights.cache_folder() == tmp_path / ".cache" / "redub" / "weights"
