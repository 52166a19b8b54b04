#!/usr/bin/env python3
"""Measure how long a settled photo waits for its repaired copy, in the running daemon.

    python tests/bench/latency.py FOLDER [--photos N] [--large MEGAPIXELS] [--pending N]

FOLDER holds photos of one camera.  The daemon knows one pixel of it to repair, and every
photo gets a copy.  A photo settles `SETTLE_SECONDS` after its last byte: what is reported is
the time beyond, of photos that are dropped one after the other,

- while there is nothing else to do;
- on one core, while a learning pass over `--pending` photos runs: one that is under way both
  when the photo settles and when its copy is there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import material

from hotpixeld.store.generation_files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SETTLE_SECONDS = 0.5
MOST_SECONDS = 120.0
LOOK_SECONDS = 0.002
NEVER = 10_000
"""Photos until the first pass, where there is to be none."""


@contextlib.contextmanager
def daemon(
    root: Path, min_photos: int = NEVER, before: Sequence[str] = ()
) -> Iterator[None]:
    """Run the daemon on the import folder, with a pixel to repair in every photo."""
    config = root / "config.yaml"
    config.write_text(
        f"folders: [{{path: {root / 'import'}, settle_seconds: {SETTLE_SECONDS}}}]\n"
        "repair: {pixels: configured}\n"
        "cameras: [{make: null, pixels: [[100, 100]]}]\n"
        f"detection: {{min_photos: {min_photos}, memory: 0}}\n"
    )
    command = [*before, sys.executable, "-m", "hotpixeld", "run"]
    command += ["--config", str(config), "--state", str(root / "state")]
    log = (root / "log").open("wb")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield
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


def drop(photo: Path, root: Path) -> float:
    """Copy a photo into the import folder; return when it will have settled."""
    shutil.copyfile(photo, root / "import" / photo.name)
    return time.monotonic() + SETTLE_SECONDS


def copy_of(photo: Path, root: Path) -> Path:
    """Return where the copy of a photo will be."""
    return root / "import" / "repaired" / f"c_{photo.name}"


def when_idle(photos: Sequence[Path], root: Path) -> list[float]:
    """Return the seconds from settled to repaired, photo by photo."""
    (root / "import").mkdir()
    found = []
    with daemon(root):
        for photo in photos:
            settled = drop(photo, root)
            found.append(wait_for(copy_of(photo, root)) - settled)
    return found[1:]  # the first waits for the daemon to start


def pass_is_under_way(root: Path) -> bool:
    """Return whether a generation is being written."""
    folders = (root / "state" / "cameras").glob("*/[0-9]*")
    return any(not (folder / MANIFEST).exists() for folder in folders)


def during_pass(photos: Sequence[Path], pending: int, root: Path) -> list[float]:
    """Return the same for photos that are dropped during a pass on one core.

    The daemon has taken `pending` photos before; started anew, it folds them in one pass.
    """
    (root / "import").mkdir()
    with daemon(root):
        for photo in photos[:pending]:
            drop(photo, root)
        wait_for(copy_of(photos[pending - 1], root))
        for photo in photos[:pending]:
            wait_for(copy_of(photo, root))
    found = []
    core = min(os.sched_getaffinity(0))
    with daemon(root, pending, ("taskset", "-c", str(core))):
        end = time.monotonic() + MOST_SECONDS
        while not pass_is_under_way(root) and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
        for photo in photos[pending:]:
            settled = drop(photo, root)
            time.sleep(settled - time.monotonic())
            if not pass_is_under_way(root):
                break
            seconds = wait_for(copy_of(photo, root)) - settled
            if pass_is_under_way(root):
                found.append(seconds)
    return found


def report(what: str, found: Sequence[float]) -> None:
    """Print the median and the worst."""
    load = os.getloadavg()[0]
    if not found:
        raise SystemExit(f"{what}: the pass was over at once: give more --pending")
    print(
        f"settled to repaired, {what}: {len(found)} photos, median"
        f" {statistics.median(found):.2f} s, worst {max(found):.2f} s; load {load:.1f}"
    )


def main() -> None:
    """Measure when idle, and during a pass."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--pending", type=int, default=120)
    parser.add_argument("--large", type=float, help="enlarge to so many megapixels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hotpixeld-bench-") as temporary:
        root, target = Path(temporary), Path(temporary) / "photos"
        count = options.pending + options.photos + 1
        if options.large:
            photos = material.enlarged(options.folder, target, count, options.large)
        else:
            photos = material.copies(options.folder, target, count)
        for name in ("idle", "pass"):
            (root / name).mkdir()
        report("idle", when_idle(photos[: options.photos + 1], root / "idle"))
        during = during_pass(photos, options.pending, root / "pass")
        report("during a pass on one core", during)


if __name__ == "__main__":
    main()
