#!/usr/bin/env python3
"""Measure how long SIGTERM takes to end the daemon, at random moments of its work.

    python tests/bench/stop.py FOLDER [--sizes MP ...] [--moments N] [--photos N] [--seconds N]

FOLDER holds photos of one camera, which are enlarged.  The daemon begins with none of them
known, and is stopped and started again and again: while it reads, copies and repairs photos
and folds them, and then, from a state that holds all photos and has no map, while it makes
that.  Once it has a map, it begins from there again.  A moment is up to `--seconds` after a
start.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import material
import memory
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_SECONDS = 1.0
MOST_SECONDS = 900.0
MAP = "map of"


@contextlib.contextmanager
def running(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon; it is stopped after the block."""
    command = memory.program(root, None)
    with (
        (root / "log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def stopped(root: Path, moment: float) -> float:
    """Return how long a stop takes after so many seconds."""
    with running(root) as process:
        time.sleep(moment)
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        status = process.wait()
        took = time.monotonic() - asked
    if status not in {0, -signal.SIGTERM}:  # that is before it listens
        raise SystemExit(f"ended with {status}: {(root / 'log').read_text()[-2000:]}")
    return took


def has_done(root: Path, words: str) -> bool:
    """Return whether the log says that something was done."""
    return words in (root / "log").read_text()


def clear(root: Path) -> None:
    """Remove all that runs before have left."""
    for left in (root / "state", root / "import" / "repaired"):
        shutil.rmtree(left, ignore_errors=True)
    (root / "log").write_bytes(b"")


def fold(root: Path, photos: int) -> None:
    """Let the daemon fold all photos, and stop it before it has a map; keep that state."""
    clear(root)
    with running(root):
        end = time.monotonic() + MOST_SECONDS
        while not has_done(root, f": {photos} photos") and time.monotonic() < end:
            time.sleep(0.05)
    if has_done(root, MAP):
        raise SystemExit("the map was made before the daemon could be stopped")
    (root / "state").rename(root / "folded")


def unmap(root: Path) -> None:
    """Go back to the state of `fold`; its generations are not edited by anybody."""
    shutil.rmtree(root / "state", ignore_errors=True)
    (root / "log").write_bytes(b"")

    def put(source: str, target: str) -> None:
        (os.link if source.endswith(".npy") else shutil.copy2)(source, target)

    shutil.copytree(root / "folded", root / "state", copy_function=put)


def measure(
    name: str, root: Path, moments: list[float], begin: Callable[[Path], None]
) -> None:
    """Print how long stops took."""
    begin(root)
    found: list[tuple[float, float]] = []
    for moment in moments:
        found.append((stopped(root, moment), moment))
        if has_done(root, MAP):
            begin(root)
    longest, at = max(found)
    print(
        f"{name}: {len(found)} stops, median"
        f" {statistics.median(one for one, _ in found):.2f} s, longest"
        f" {longest:.2f} s ({at:.1f} s after the start); load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    """Stop the daemon while it learns, and while it makes a map."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=float, nargs="*", default=[12, 45, 100])
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    for megapixels in options.sizes:
        with tempfile.TemporaryDirectory(prefix="hotpixeld-bench-") as temporary:
            root, half = Path(temporary), options.moments // 2
            material.enlarged(
                options.folder, root / "import", options.photos, megapixels
            )
            moments = rng.uniform(START_SECONDS, options.seconds, 2 * half).tolist()
            name = f"{megapixels:g} MP"
            measure(f"{name}, repairs and passes", root, moments[:half], clear)
            fold(root, options.photos)
            measure(f"{name}, map", root, moments[half:], unmap)


if __name__ == "__main__":
    main()
