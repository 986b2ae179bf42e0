"""`python -m tunnelfleet`."""

import sys

try:
    from tunnelfleet.cli import main

    main()
except KeyboardInterrupt:
    sys.exit(2)
