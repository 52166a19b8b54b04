#!/usr/bin/env python3
"""Measure how long a settled photo waits for its repaired copy, in the running daemon.

    python tests/bench/latency.py FOLDER [--photos N] [--large MEGAPIXELS]

FOLDER holds photos of one camera.  The daemon knows one pixel of it to repair, and every
photo gets a copy.  A photo settles `SETTLE_SECONDS` after its last byte: what is reported is
the time beyond.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import material

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTLE_SECONDS = 0.5
MOST_SECONDS = 60.0
LOOK_SECONDS = 0.002


@contextlib.contextmanager
def daemon(root: Path, watched: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon on `watched`, with a pixel to repair in every photo."""
    config = root / "config.yaml"
    config.write_text(
        f"folders: [{{path: {watched}, settle_seconds: {SETTLE_SECONDS}}}]\n"
        "repair: {pixels: configured}\n"
        "cameras: [{make: null, pixels: [[100, 100]]}]\n"
        "limits: {memory: 2_000_000_000}\n"
    )
    command = [sys.executable, "-m", "hotpixeld", "run", "--config", str(config)]
    command += ["--state", str(root / "state")]
    log = (root / "log").open("wb")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_for(copy: Path) -> float:
    """Return when a copy is on disk (copies appear complete, by a rename)."""
    end = time.monotonic() + MOST_SECONDS
    while not copy.exists():
        if time.monotonic() > end:
            raise SystemExit(f"no copy after {MOST_SECONDS} s: {copy}")
        time.sleep(LOOK_SECONDS)
    return time.monotonic()


def latencies(photos: list[Path], root: Path) -> list[float]:
    """Return the seconds from settled to repaired, photo by photo."""
    watched = root / "import"
    watched.mkdir()
    found = []
    with daemon(root, watched):
        for photo in photos:
            shutil.copyfile(photo, watched / photo.name)
            settled = time.monotonic() + SETTLE_SECONDS
            copy = watched / "repaired" / f"c_{photo.name}"
            found.append(wait_for(copy) - settled)
    return found[1:]  # the first waits for the daemon to start


def main() -> None:
    """Print the median and the worst."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--large", type=float, help="enlarge to so many megapixels")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hotpixeld-bench-") as temporary:
        root, count = Path(temporary), arguments.photos + 1
        if arguments.large:
            photos = material.enlarged(
                arguments.folder, root / "photos", count, arguments.large
            )
        else:
            photos = material.copies(arguments.folder, root / "photos", count)
        found = latencies(photos, root)
    print(
        f"settled to repaired, {len(found)} photos: median"
        f" {statistics.median(found):.2f} s, worst {max(found):.2f} s"
    )


if __name__ == "__main__":
    main()
