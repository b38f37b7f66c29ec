"""conformance: a name -> a test class for pytest, or a list of verdicts without it."""

from __future__ import annotations

import unittest
from collections.abc import Callable

from redub.testing.bench import Bench, Check
from redub.testing.checks import CHECKS


def run_checks(name: str) -> list[Check]:
    """Check an installed generator, as ``redub plugins check NAME`` does.

    Returns:
        One verdict for each check, in a fixed order; all passed or skipped means that the host can rely on it.
    """
    with Bench(name) as bench:
        return [bench.run(check) for check in CHECKS]


class GeneratorConformance:
    """Runs the checks as tests.

    All that a plugin writes is::

        class TestMouthbar(GeneratorConformance):
            name = "mouthbar"

    Models are loaded once a class.  This module does not import pytest: what is skipped is skipped as `unittest` does it.
    """

    name = ""
    """The generator, as ``redub plugins`` lists it."""
    bench: Bench

    @classmethod
    def setup_class(cls) -> None:
        """Prepare; pytest calls it."""
        cls.bench = Bench(cls.name)

    @classmethod
    def teardown_class(cls) -> None:
        """Free the models; pytest calls it."""
        cls.bench.close()


def _as_test(check: Callable[[Bench], str | None]) -> Callable[[GeneratorConformance], None]:
    def test(self: GeneratorConformance) -> None:
        verdict = self.bench.run(check)
        if verdict.skipped:
            raise unittest.SkipTest(verdict.detail)
        if not verdict.passed:
            raise AssertionError(verdict.detail)

    test.__doc__ = check.__doc__
    return test


for _check in CHECKS:
    setattr(GeneratorConformance, f"test_{_check.__name__}", _as_test(_check))
