"""speech: listening."""
