"""stages: the flow, a module a step: shots, tracks, speakers, crops, generate, blend."""
