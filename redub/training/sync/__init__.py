"""sync: footage -> the sync network's weights.  What ``redub train sync`` does."""
