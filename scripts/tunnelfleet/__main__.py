"""`python -m tunnelfleet`."""

from tunnelfleet.cli import main

main()
