"""testing: shipped with redub, for authors of plugins and for its own tests.

`GeneratorConformance` tests a plugin in two lines, `run_checks` does the same without pytest, and `clips` makes faces
and speech with known answers.
"""

from redub.testing.bench import Check
from redub.testing.clips import draw_face, make_clip, make_speech
from redub.testing.conformance import GeneratorConformance, run_checks

__all__ = ["Check", "GeneratorConformance", "draw_face", "make_clip", "make_speech", "run_checks"]
