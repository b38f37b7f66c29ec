"""generator: a load context -> a generator; imported only when it is used."""

from __future__ import annotations

from redub.errors import PluginError
from redub.plugin import Generator, LoadContext
from redub_speech2vid.plugin import INFO, UNAVAILABLE


def load(context: LoadContext) -> Generator:
    """Load the generator.

    Raises:
        PluginError: Always, as long as there is nothing to load.
    """
    raise PluginError(
        f"The generator {INFO.name} has no trained weights yet, for {context.mode} or anything else. {UNAVAILABLE}",
        "Use another one:  redub plugins",
    )
