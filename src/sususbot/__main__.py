"""`python -m sususbot`."""

from sususbot.cli.main import main

main()
