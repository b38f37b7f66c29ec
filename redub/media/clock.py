"""clock: PyAV's rational numbers -> `fractions.Fraction`.

Time is exact from file to file.  PyAV's time bases have changed their type before and may be missing, so they are
converted here and nowhere else.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

MICROSECOND = Fraction(1, 1_000_000)
"""The unit of a container's own start and length."""


def as_fraction(rational: Any, default: Fraction) -> Fraction:
    """Return a time base or rate as a positive Fraction; the default where there is none."""
    if rational is None or not rational.numerator or not rational.denominator:
        return default
    value = Fraction(rational.numerator, rational.denominator)
    return value if value > 0 else default


def as_ticks(time: Fraction, time_base: Fraction) -> int:
    """Return the tick nearest to a time; halves go up, so that equal steps stay equal."""
    ticks = time / time_base
    return (2 * ticks.numerator + ticks.denominator) // (2 * ticks.denominator)
