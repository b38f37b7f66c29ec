"""redub_speech2vid: the generator of "You said that?" (Jamaludin, Chung, Zisserman, IJCV 2019) for redub."""
