#!/usr/bin/env python3
"""Do the main job on a small machine: one core, 512 MB, real photos; print the pace.

    python tests/bench/small.py FOLDER ... [--memory BYTES] [--program HOTPIXELD]

FOLDERs hold photos, which are copied; as root, with control groups of either version.  The
program may not swap, and begins with files in no cache.  The other core is left to others.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from memory import Measured, forget_cache, running


def megapixels(photos: list[Path]) -> float:
    """Return how many there are in all."""
    from PIL import Image  # noqa: PLC0415 - nothing else here needs it

    sizes = []
    for path in photos:
        with Image.open(path) as image:
            sizes.append(image.width * image.height)
    return sum(sizes) / 1e6


def timed(command: list[str], log: Path, memory: int) -> tuple[Measured, float]:
    """Run a command in so much memory, and return what it took, and the seconds."""
    measured = Measured()
    began = time.monotonic()
    with running(command, log, measured, memory):
        pass
    return measured, time.monotonic() - began


def main() -> int:
    """Run on all photos, once, and again with nothing new; return 1 if it was killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--memory", type=int, default=512 << 20)
    parser.add_argument("--program", nargs="+")
    options = parser.parse_args()
    program = options.program or [sys.executable, "-m", "hotpixeld"]
    with tempfile.TemporaryDirectory(prefix="small-") as name:
        root = Path(name)
        for folder in options.folders:
            shutil.copytree(folder, root / "photos" / folder.name)
        photos = [p for p in root.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg"}]
        frames = megapixels(photos)
        one_core = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]
        command = [*one_core, *program, "run", "--once", "--quiet"]
        command += [str(root / "photos"), "--state", str(root / "state")]
        killed = False
        for about in ("first run", "nothing new"):
            forget_cache(photos)
            measured, took = timed(command, root / "log", options.memory)
            killed |= measured.kills > 0 or measured.status != 0
            copies = sum(1 for _ in root.rglob("c_*"))
            print(
                f"{about}: {len(photos)} photos of {frames / len(photos):.1f} MP"
                f" in {took:.1f} s, {len(photos) / took:.1f} a second;"
                f" {measured.cpu / len(photos):.3f} s of CPU each;"
                f" anon {measured.anon / 1e6:.0f} MB, peak {measured.peak / 1e6:.0f} MB,"
                f" killed {measured.kills}, exit {measured.status}; {copies} copies"
            )
        print((root / "log").read_text().strip())
    return int(killed)


sys.exit(main())
