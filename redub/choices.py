"""choices: the words that a user chooses between; free of heavy imports, for the command line's sake."""

from __future__ import annotations

from enum import StrEnum


class Fit(StrEnum):
    """What happens when sound and video differ in length."""

    HOLD = "hold"
    LOOP = "loop"
    BOUNCE = "bounce"
    CUT = "cut"


class Blend(StrEnum):
    """How a painted crop goes back into its frame."""

    POISSON = "poisson"
    NETWORK = "network"
    FEATHER = "feather"


class BlendChoice(StrEnum):
    """The same as a setting, with which a user may leave the choice to redub."""

    AUTO = "auto"
    NETWORK = "network"
    POISSON = "poisson"
    FEATHER = "feather"


class BlendRegion(StrEnum):
    """Which part of a face is replaced."""

    LOWER = "lower"
    WHOLE = "whole"


class LandmarkModel(StrEnum):
    """What finds the 68 points of a face."""

    OWN = "own"
    DLIB = "dlib"


YARDSTICK = LandmarkModel.DLIB
"""What reads mouths where generators are measured, so that figures can be compared whichever model finds the faces."""
