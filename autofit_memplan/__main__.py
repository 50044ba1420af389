"""`python -m autofit_memplan`: the same as `memplan`."""

import sys

from autofit_memplan.cli import main

if __name__ == "__main__":
    sys.exit(main())
