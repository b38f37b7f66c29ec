"""errors: what a user did or met -> one sentence and one hint.

A `RedubError` is the user's to repair and is printed without a traceback; every other exception is a bug.
"""

from __future__ import annotations


class RedubError(Exception):
    """Something the user can repair.

    Args:
        message: What was found and what was expected, in one sentence.
        hint: What to type or change.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MediaError(RedubError):
    """A file of pictures or sound cannot be read or written."""


class NoFaceError(RedubError):
    """No face was found that could be painted."""


class PlanError(RedubError):
    """A plan is damaged, edited into nonsense, or belongs to another video."""


class ConfigError(RedubError):
    """A setting has an unknown name or an impossible value."""


class PluginError(RedubError):
    """A generator plugin is missing, broken, or failed while it painted."""


class WeightError(RedubError):
    """A weight file is missing or is not the file that was declared."""


class ShapeError(RedubError, ValueError):
    """An array has not the shape or type that the contract names."""
