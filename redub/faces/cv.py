"""cv: OpenCV, loaded late and behind one message.

The ordinary build wants libGL and glib from the system, which a bare server or container lacks; the headless build of
the same version is the same module without windows.
"""

from __future__ import annotations

import importlib
from typing import Any

from redub.errors import RedubError


def load_cv() -> Any:
    """Return the module ``cv2``.

    Raises:
        RedubError: OpenCV cannot be loaded, most often because a system library is missing.
    """
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise RedubError(
            f"OpenCV cannot be loaded: {error}.",
            "On a machine without a screen put its headless build in place:  "
            "pip install --force-reinstall --no-deps opencv-python-headless",
        ) from error
