"""`python -m pellucid` is the command `pellucid`."""

from .cli.main import main

main()
