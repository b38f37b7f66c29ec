"""faces: looking at one picture."""
