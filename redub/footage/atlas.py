"""atlas: where each part of a head lies in the one picture that all colours are looked up in.

Tiles are (left, top, side) in px.
"""

from __future__ import annotations

WIDTH, HEIGHT = 1024, 1280
FACE = (0, 0, 768)
BACK = (0, 768, 512)
EYE = (768, 0, 256)
TEETH = (768, 256, 128)
GUMS = (896, 256, 128)
STRANDS = (512, 768, 512)
"""Hair: it repeats in both directions."""
