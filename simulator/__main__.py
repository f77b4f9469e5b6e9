"""`python -m simulator`.

It owns nothing but the way in.
"""

import sys

from simulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
