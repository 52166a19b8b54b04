"""Run the command line as ``python -m hotpixeld``."""

import sys

from hotpixeld.cli import main

sys.exit(main())
