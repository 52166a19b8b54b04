#!/usr/bin/env python3
"""Measure the learning pass against plain decoding, by step.

    python tests/bench/learning_pass.py FOLDER [--photos N] [--threads N] [--memory BYTES]

FOLDER holds photos of one camera; they are taken again until there are N.  Passes end as
with `run --once`: after every 128 photos.  What is compared with is
libturbojpeg's decoding of the same photos into a frame that is used again, before and after.
All figures but those by the clock are processor time.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import resource
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hotpixeld.detection import evidence
from hotpixeld.engine.learning import MOST_IN_A_PASS
from hotpixeld.engine.learning_pass import Folder, Means, Pending, Task, learn
from hotpixeld.jpeg.decoder import SideBySide, Size, StripDecoder
from hotpixeld.statistics.generation import Folding
from hotpixeld.store.generation_files import GenerationReader, GenerationWriter

sys.path.insert(0, str(Path(__file__).parents[1]))

import libturbojpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SUSPECTS = 600
"""As many as the suspects of a 12 MP camera with foliage in its photos."""
STEPS: dict[str, tuple[type, str]] = {
    "decode in strips": (SideBySide, "share"),
    "fold": (Folding, "_fold"),
    "trace": (Folding, "_trace"),
    "read, check": (GenerationReader, "read"),
    "write, sum": (GenerationWriter, "write"),
}


def timed(used: dict[str, float], name: str, work: Callable[..., Any]) -> Any:
    """Return `work`, adding to `used` the processor time of the thread it runs in."""

    @functools.wraps(work)
    def run(*args: Any, **kwargs: Any) -> Any:
        began = time.thread_time()
        try:
            return work(*args, **kwargs)
        finally:
            used[name] = used.get(name, 0.0) + time.thread_time() - began

    return run


def of_one_size(folder: Path) -> tuple[Size, list[Path]]:
    """Return the photos of the size that most have."""
    sizes: dict[Size, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in {".jpg", ".jpeg"}:
            with StripDecoder(path.read_bytes()) as photo:
                sizes.setdefault(photo.size, []).append(path)
    return max(sizes.items(), key=lambda item: len(item[1]))


def plainly(size: Size, paths: Sequence[Path], threads: int) -> tuple[float, float]:
    """Return the seconds a photo takes to be decoded whole, of processors and by the clock.

    Each thread uses one frame again and again.
    """
    files = [path.read_bytes() for path in paths]

    def decode_all(_: int) -> None:
        frame = np.zeros((*size, 3), np.uint8)
        for data in files:
            libturbojpeg.decode(data, size.width, size.height, frame)

    cpu, wall = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(decode_all, range(threads)))
    count = threads * len(files)
    return (time.process_time() - cpu) / count, (time.perf_counter() - wall) / count


def suspects(size: Size) -> np.ndarray:
    """Return as many sites as a pass samples."""
    rng = np.random.default_rng(0)
    sites = rng.integers(0, size, (SUSPECTS, 2))
    return np.concatenate([sites, evidence.controls(*size)])


def all_passes(
    size: Size, photos: Sequence[Pending], means: Means, folder: Path
) -> None:
    """Fold all photos, as `run --once` does; keep one generation."""
    ends = itertools.count(MOST_IN_A_PASS, MOST_IN_A_PASS)
    before, sites, done, number = None, suspects(size), 0, 0
    for end in ends:
        while done < min(end, len(photos)):
            number += 1
            task = Task(size, before, folder / str(number), 100, sites)
            passed = learn(task, photos[done : min(end, len(photos))], means)
            if passed.generation is None or passed.bad:
                raise SystemExit(f"bad photos: {passed.bad}")
            if before:
                shutil.rmtree(before.path)
            before = Folder(task.target, passed.generation)
            done += len(passed.folded)
        if done == len(photos):
            return


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=120)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", type=int, default=200_000_000)
    options = parser.parse_args()
    size, paths = of_one_size(options.folder)
    chosen = itertools.islice(itertools.cycle(paths), options.photos)
    photos = [
        Pending(number, path, functools.partial(os.open, path, os.O_RDONLY))
        for number, path in enumerate(chosen, 1)
    ]
    plainly(size, paths, options.threads)
    before, used = plainly(size, paths, options.threads), dict[str, float]()
    for name, (owner, method) in STEPS.items():
        setattr(owner, method, timed(used, name, getattr(owner, method)))
    evidence.sample_rows = timed(used, "sample", evidence.sample_rows)
    means = Means(options.memory, options.threads)
    with tempfile.TemporaryDirectory() as folder:
        cpu, wall = time.process_time(), time.perf_counter()
        all_passes(size, photos, means, Path(folder))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    after = plainly(size, paths, options.threads)
    plain, plain_wall = ((a + b) / 2 for a, b in zip(before, after, strict=True))
    used["all"] = cpu
    print(
        f"{len(photos)} photos of {size.width}x{size.height}, {means.threads} threads"
    )
    print(f"{'plain decoding':20} {1000 * plain:7.1f} ms a photo")
    for name, seconds in used.items():
        each = seconds / len(photos)
        print(f"{name:20} {1000 * each:7.1f} ms a photo {each / plain:6.2f}")
    print(f"{'all, by the clock':20} {1000 * wall / len(photos):7.1f} ms a photo")
    print(f"{'plain, by the clock':20} {1000 * plain_wall:7.1f} ms a photo")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'most memory':20} {peak:7.1f} MiB, libraries and all")


if __name__ == "__main__":
    main()
