"""Sphinx: docs/*.md -> pages.  Warnings are errors: ``sphinx-build -W -b html docs docs/_build/html``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from redub.version import VERSION

project = "redub"
author = "the redub authors"
project_copyright = "the redub authors"
release = version = VERSION
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {"description": "A new sound track for somebody talking, and the mouth to go with it.", "fixed_sidebar": True}
html_show_sourcelink = False
