"""Run the command line: the program itself, and ``python -m hotpixeld``."""

import os
import sys

# Photos are worked on side by side, each with small matrices only: BLAS's own threads wait
# for one another in loops, which takes a tenth of the processor's time and more, and make
# nothing faster.  It asks once, as numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hotpixeld.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
