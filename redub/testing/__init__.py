"""testing: shipped with redub, for authors of plugins and for its own tests."""
