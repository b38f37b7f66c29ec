"""version: which redub this is."""

VERSION = "0.1.0"
