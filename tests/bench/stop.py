#!/usr/bin/env python3
"""Measure how long SIGTERM takes to end the program, at random moments of its work.

    python tests/bench/stop.py FOLDER [--sizes MP ...] [--moments N] [--photos N]

FOLDER holds photos of one camera, which are enlarged.  Each run begins with an empty state
and all photos, and ends at a moment between its start and the end of all work, which one
undisturbed run tells: photos are read, copied and repaired, folded, and the map is made.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import material
import memory
import numpy as np

START_SECONDS = 0.5
MOST_SECONDS = 600.0


def undisturbed(root: Path, *how: str) -> float:
    """Return how many seconds all work takes."""
    clear(root)
    with (
        (root / "log").open("wb") as log,
        subprocess.Popen(
            memory.program(root, None, *how), stdout=log, stderr=log
        ) as process,
    ):
        began = time.monotonic()
        is_quiet = memory.quiet(process.pid)
        while process.poll() is None and not is_quiet():
            time.sleep(0.1)
            if time.monotonic() > began + MOST_SECONDS:
                break
        idle = memory.QUIET_SECONDS if process.poll() is None else 0.0
        process.terminate()
    return time.monotonic() - began - idle


def clear(root: Path) -> None:
    """Remove all that runs before have left."""
    shutil.rmtree(root / "state", ignore_errors=True)
    shutil.rmtree(root / "import" / "repaired", ignore_errors=True)


def stopped(root: Path, moment: float, *how: str) -> float | None:
    """Return how long a stop takes after so many seconds, None where all was done."""
    clear(root)
    with (
        (root / "log").open("wb") as log,
        subprocess.Popen(
            memory.program(root, None, *how), stdout=log, stderr=log
        ) as process,
    ):
        time.sleep(moment)
        if process.poll() is not None:
            return None
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        status = process.wait()
        took = time.monotonic() - asked
    if status not in {0, -signal.SIGTERM}:
        raise SystemExit(f"ended with {status}: {(root / 'log').read_text()[-2000:]}")
    return took


def main() -> None:
    """Print the longest and the median of each size and way: most stops are the daemon's."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=float, nargs="*", default=[12, 45, 100])
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--photos", type=int, default=20)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    for megapixels in options.sizes:
        with tempfile.TemporaryDirectory(prefix="hotpixeld-bench-") as temporary:
            root = Path(temporary)
            material.enlarged(
                *(options.folder, root / "import", options.photos, megapixels),
                progressive=2,
            )
            for name, count, how in (
                ("daemon", options.moments, ()),
                ("once", options.moments // 5, ("--once",)),
            ):
                whole = undisturbed(root, *how)
                moments = rng.uniform(START_SECONDS, whole, count).tolist()
                found = [(stopped(root, moment, *how), moment) for moment in moments]
                took = [(seconds, at) for seconds, at in found if seconds is not None]
                print(*(f"{at:.1f}:{seconds:.2f}" for seconds, at in sorted(took)))
                longest, at = max(took)
                print(
                    f"{megapixels:g} MP, {name}: {len(took)} moments of {whole:.0f} s,"
                    f" SIGTERM to exit: median"
                    f" {statistics.median(one for one, _ in took):.2f} s, longest"
                    f" {longest:.2f} s (at {at:.1f} s)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
