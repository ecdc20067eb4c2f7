"""`python -m morelike` is the command line."""

from morelike.cli import main

main()
