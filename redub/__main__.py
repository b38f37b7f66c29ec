"""``python -m redub`` is the command line."""

from redub.cli import main

main()
