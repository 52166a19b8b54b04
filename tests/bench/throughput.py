#!/usr/bin/env python3
"""Measure the whole job against the decoder and against the original method.

    python tests/bench/throughput.py FOLDER [--photos N] [--jobs N]

FOLDER holds photos of one camera.  All figures come from one run on one machine; the
ratios are what to compare.  "The original method" is the recurrence in float64 over
whole arrays, one photo after the other.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hotpixeld import photo
from hotpixeld.welford import State

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = 12
"""Photos that the single steps are timed on."""


def copies(folder: Path, target: Path, count: int) -> list[Path]:
    """Fill `target` with `count` photos, each another image: a comment is no difference.

    Repeats of a photo get a pixel of their own changed, so that none is a duplicate.
    """
    found = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"}
    )
    for index, path in enumerate(itertools.islice(itertools.cycle(found), count)):
        name = target / f"{index:05d}_{path.name}"
        if index < len(found):
            shutil.copy2(path, name)
        else:
            name.write_bytes(_another(path.read_bytes(), index))
    return sorted(target.iterdir())


def _another(data: bytes, number: int) -> bytes:
    """Return the same picture as another image: with an unused quantisation table."""
    table = number.to_bytes(2, "big") + bytes([1]) * 62
    payload = bytes([3]) + bytes(max(value, 1) for value in table)
    return data[:2] + b"\xff\xdb" + (67).to_bytes(2, "big") + payload + data[2:]


def per_photo(
    work: Callable[[Path], object], paths: list[Path], jobs: int = 1
) -> float:
    """Return the seconds that `work` takes per photo with `jobs` threads."""
    began = time.perf_counter()
    with ThreadPoolExecutor(jobs) as executor:
        for _ in executor.map(work, paths):
            pass
    return (time.perf_counter() - began) / len(paths)


def with_pillow(path: Path) -> np.ndarray:
    """Decode as everybody does."""
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return np.asarray(image.convert("RGB"))


def with_ours(path: Path) -> np.ndarray:
    """Decode as hotpixeld does."""
    return photo.decode(photo.examine(path, 10**9, 10**9))


class Naive:
    """The original method's recurrence: float64, whole arrays, temporaries and all."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self.mean = np.zeros(shape)
        self.m2 = np.zeros(shape)

    def fold(self, path: Path) -> None:
        """Fold one photo, its decoding included."""
        frame = with_pillow(path).astype(np.float64)
        self.count += 1
        delta = frame - self.mean
        self.mean = self.mean + delta / self.count
        self.m2 = self.m2 + delta * (frame - self.mean)


def whole(folder: Path, state: Path, jobs: int, config: Path) -> tuple[float, int]:
    """Return the seconds and the peak memory (bytes) of `run --once` as a process."""
    command = [sys.executable, "-m", "hotpixeld", "run", str(folder), "--once"]
    command += ["--state", str(state), "--jobs", str(jobs), "--config", str(config)]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return time.perf_counter() - began, usage.ru_maxrss * 1024


def job(paths: list[Path], root: Path, jobs: int, pixels: str) -> tuple[float, int]:
    """Return seconds per photo and peak memory of the whole job."""
    config = root / f"{pixels}.yaml"
    entry = "[{make: null, pixels: [[100, 100]]}]" if pixels == "every" else "[]"
    config.write_text(f"repair: {{pixels: configured}}\ncameras: {entry}\n")
    state = root / f"state-{pixels}-{jobs}"
    shutil.rmtree(paths[0].parent / "repaired", ignore_errors=True)
    seconds, peak = whole(paths[0].parent, state, jobs, config)
    shutil.rmtree(state)
    return seconds / len(paths), peak


def steps(paths: list[Path], jobs: int) -> list[tuple[str, float, str]]:
    """Return rows of (what, seconds per photo, remark) about the single steps."""
    some = paths[:SAMPLE]
    frame = with_ours(some[0])
    state, naive = State.empty(*frame.shape[:2]), Naive(frame.shape)

    def fold(_: Path) -> None:
        state.fold(frame, 100)

    return [
        ("Pillow decode, 1 thread", per_photo(with_pillow, some), ""),
        (f"Pillow decode, {jobs} threads", per_photo(with_pillow, paths, jobs), ""),
        ("own decode, 1 thread", per_photo(with_ours, some), ""),
        ("fold alone", per_photo(fold, some), ""),
        ("original method, decode included", per_photo(naive.fold, some), ""),
    ]


def measure(folder: Path, count: int, jobs: int) -> list[tuple[str, float, str]]:
    """Return the rows of the single steps, then those of the whole job."""
    with tempfile.TemporaryDirectory(prefix="hotpixeld-bench-") as temporary:
        root = Path(temporary)
        (root / "photos").mkdir()
        paths = copies(folder, root / "photos", count)
        rows = []
        # First, while this process is small: a child's peak starts at its parent's size.
        for workers, pixels in ((1, "none"), (jobs, "none"), (jobs, "every")):
            seconds, peak = job(paths, root, workers, pixels)
            what = f"whole job, {workers} jobs, copies: {pixels}"
            rows.append((what, seconds, f"peak {peak / 1e6:.0f} MB"))
        return steps(paths, jobs) + rows


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    arguments = parser.parse_args()
    rows = measure(arguments.folder, arguments.photos, arguments.jobs)
    threads, original = rows[1][1], rows[4][1]
    if arguments.json:
        print(json.dumps({what: seconds for what, seconds, _ in rows}, indent=1))
        return
    print(f"{arguments.photos} photos of {arguments.folder.name}")
    print(f"{'':40} {'ms/photo':>9} {'of Pillow':>9} {'original':>9}")
    for what, seconds, remark in rows:
        share, faster = seconds / threads, original / seconds
        print(f"{what:40} {seconds * 1e3:9.1f} {share:8.2f}x {faster:8.1f}x  {remark}")


if __name__ == "__main__":
    main()
