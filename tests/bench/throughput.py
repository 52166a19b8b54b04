#!/usr/bin/env python3
"""Measure the whole job against the decoder and against the original method.

    python tests/bench/throughput.py FOLDER [--photos N] [--jobs N] [--large MEGAPIXELS]

FOLDER holds photos of one camera.  All figures come from one run on one machine; the
ratios are what to compare: each whole job is held against libjpeg-turbo's decoding of the
same photos, into a frame that is used again, just before and just after it, since the speed
of a virtual machine changes from minute to minute.  "The original method" is the recurrence
in float64 over whole arrays, one photo after the other.  Runs with one job, and what they are
held against, have one processor.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import material
import numpy as np
from PIL import Image

from hotpixeld.jpeg import markers

sys.path.insert(0, str(Path(__file__).parents[1]))

import libturbojpeg

if TYPE_CHECKING:
    import resource
    from collections.abc import Callable, Iterator

SAMPLE = 12
"""Photos that the single steps are timed on."""
AROUND = 48
"""Photos that are plainly decoded before and after a whole job."""
DECODE = """
import sys; sys.path.insert(0, sys.argv[1]); import throughput as t; from pathlib import Path
print(*t.per_photo("", t.plainly, [*map(Path, sys.argv[3:])], int(sys.argv[2])).both)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: seconds by the clock and of processors, per photo."""

    what: str
    wall: float
    cpu: float
    remark: str = ""
    plain: tuple[float, float] = (0.0, 0.0)

    @property
    def both(self) -> tuple[float, float]:
        """Return the seconds by the clock and those of processors."""
        return self.wall, self.cpu


def per_photo(
    what: str, work: Callable[[Path], object], paths: list[Path], jobs: int = 1
) -> Row:
    """Return what `work` takes per photo with `jobs` threads."""
    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(jobs) as executor:
        for _ in executor.map(work, paths):
            pass
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    return Row(what, wall / len(paths), cpu / len(paths))


def with_pillow(path: Path) -> np.ndarray:
    """Decode as everybody does."""
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return np.asarray(image.convert("RGB"))


_local = threading.local()


def plainly(path: Path) -> np.ndarray:
    """Decode with libjpeg-turbo into the thread's own frame, used again and again."""
    data = path.read_bytes()
    structure = markers.parse(data, header_only=True)
    shape = structure.height, structure.width, 3
    frame: np.ndarray = _local.__dict__.setdefault("frame", np.zeros(shape, np.uint8))
    return libturbojpeg.decode(data, structure.width, structure.height, frame)


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


@dataclass(frozen=True, slots=True)
class Bench:
    """The photos, and a folder for what comes of them."""

    paths: list[Path]
    root: Path
    memory: int

    def run(self, jobs: int, pixels: str, *, shares: Path | None = None) -> Row:
        """Measure ``run --once``, a process of its own."""
        config, state = self._configured(pixels), self.root / "state"
        folder = self.paths[0].parent
        shutil.rmtree(folder / "repaired", ignore_errors=True)
        program = ["-m", "hotpixeld"]
        if shares is not None:
            program = [str(Path(__file__).with_name("shares.py")), str(shares)]
        command = [sys.executable, *program, "run", str(folder), "--once"]
        command += ["--state", str(state), "--jobs", str(jobs)]
        before = self._plain(jobs)
        wall, usage = _process([*command, "--config", str(config)], jobs)
        after = self._plain(jobs)
        shutil.rmtree(state)
        count = len(self.paths)
        peak, written = usage.ru_maxrss * 1024, usage.ru_oublock * 512
        return Row(
            f"whole job, {jobs} jobs, copies: {pixels}",
            wall / count,
            (usage.ru_utime + usage.ru_stime) / count,
            f"peak {peak / 1e6:.0f} MB, written {written / count / 1e6:.1f} MB a photo",
            ((before[0] + after[0]) / 2, (before[1] + after[1]) / 2),
        )

    def _plain(self, jobs: int) -> tuple[float, float]:
        """Return what decoding takes now, a process of its own with so many processors."""
        command = [sys.executable, "-c", DECODE, str(Path(__file__).parent), str(jobs)]
        command += map(str, self.paths[:AROUND])
        with _held_to(jobs):
            output = subprocess.check_output(command, text=True)
        wall, cpu = map(float, output.split())
        return wall, cpu

    def _configured(self, pixels: str) -> Path:
        config = self.root / f"{pixels}.yaml"
        entry = "[{make: null, pixels: [[100, 100]]}]" if pixels == "every" else "[]"
        config.write_text(
            f"repair: {{pixels: configured}}\ncameras: {entry}\n"
            f"limits: {{memory: {self.memory}}}\n"
        )
        return config


@contextlib.contextmanager
def _held_to(processors: int) -> Iterator[None]:
    """Hold what is started in the block to so many processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:processors])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _process(
    command: list[str], processors: int
) -> tuple[float, resource.struct_rusage]:
    """Run a command on so many processors; return its seconds and its usage."""
    began = time.perf_counter()
    with _held_to(processors):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return time.perf_counter() - began, usage


def steps(paths: list[Path], jobs: int) -> list[Row]:
    """Return rows about the single steps."""
    some = paths[:SAMPLE]
    shape = with_pillow(some[0]).shape
    naive = Naive(shape)
    return [
        per_photo("libjpeg-turbo, 1 thread", plainly, paths[:AROUND]),
        per_photo(f"libjpeg-turbo, {jobs} threads", plainly, paths[:AROUND], jobs),
        per_photo("Pillow decode, 1 thread", with_pillow, some),
        per_photo("original method, decode included", naive.fold, some),
    ]


def measure(bench: Bench, jobs: int) -> tuple[list[Row], dict[str, Any]]:
    """Return the rows, and what `shares.py` found in the whole job."""
    # First, while this process is small: a child's peak starts at its parent's size.
    rows = [
        bench.run(workers, pixels)
        for workers, pixels in ((1, "none"), (jobs, "none"), (jobs, "every"))
    ]
    output = bench.root / "shares.json"
    bench.run(jobs, "every", shares=output)
    return steps(bench.paths, jobs) + rows, json.loads(output.read_text())


def show(rows: list[Row], shares: dict[str, float]) -> None:
    """Print the table, how threads scale, and the shares."""
    plain, threads, _, original, one, two, _ = rows
    print(f"{'':34} {'ms/photo':>8} {'of plain':>9} {'CPU ms':>7} {'of plain':>9}")
    for row in rows:
        held = row.plain if row.plain[0] else plain.both
        print(
            f"{row.what:34} {row.wall * 1e3:8.1f} {row.wall / held[0]:8.2f}x"
            f" {row.cpu * 1e3:7.1f} {row.cpu / held[1]:8.2f}x  {row.remark}"
        )
    print(
        f"faster than the original method: {original.wall / one.wall:.1f}x on one core,"
        f" {original.wall / two.wall:.1f}x on all"
    )
    scaling, decoding = one.wall / two.wall, plain.wall / threads.wall
    own = (one.plain[0] / two.plain[0] + decoding) / 2
    print(
        f"all over one: whole job {scaling:.2f}x, plain decoding {own:.2f}x:"
        f" {scaling / own:.2f} of it"
    )
    total = sum(shares.values())
    print("processor time of the whole job with a copy of every photo, by step:")
    for step, seconds in sorted(shares.items(), key=lambda item: -item[1]):
        print(f"  {step:32} {seconds / total:6.1%}")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--large", type=float, help="enlarge to so many megapixels")
    parser.add_argument(
        "--memory", type=int, default=300_000_000, help="limits: memory"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hotpixeld-bench-") as temporary:
        root, count = Path(temporary), arguments.photos
        if arguments.large:
            paths = material.enlarged(
                arguments.folder, root / "photos", count, arguments.large
            )
        else:
            paths = material.copies(arguments.folder, root / "photos", count)
        rows, found = measure(Bench(paths, root, arguments.memory), arguments.jobs)
    print(f"{count} photos of {arguments.folder.name}")
    show(rows, found["steps"])


if __name__ == "__main__":
    main()
