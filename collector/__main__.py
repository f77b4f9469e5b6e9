"""`python -m collector` is the `marketprism` command."""

import sys

from collector.cli import main

sys.exit(main())
