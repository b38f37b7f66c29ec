"""syncnet: pictures of a mouth, sound -> embeddings that are near where both belong together."""

from __future__ import annotations

from pathlib import Path

from redub.types import RGB, Doubles, Floats


class SyncModel:
    """A network that embeds mouths and sounds."""

    def embed_faces(self, crops: RGB) -> Floats:
        """Embed pictures at 25 Hz instants: (T, H, W, 3) -> (T, D); NaN where too near an end."""
        raise NotImplementedError

    def embed_sound(self, speech: Floats, times_s: Doubles) -> Floats:
        """Embed the sound around each instant: (N,) mono at 16 kHz, (T,) -> (T, D)."""
        raise NotImplementedError


def read_model(path: Path | None) -> SyncModel:
    """Read a network's weights.

    Raises:
        RedubError: There is no such file, it is damaged, or none is shipped.
    """
    raise NotImplementedError
