"""Run the command line as ``python -m hotpixeld``."""

import sys

from hotpixeld.cli.main import main

sys.exit(main())
