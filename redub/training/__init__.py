"""training: footage -> samples, and what every training loop shares."""
