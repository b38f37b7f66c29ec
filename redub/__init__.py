"""redub: give a video of somebody talking a new sound track, and the mouth to go with it."""
