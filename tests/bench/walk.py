#!/usr/bin/env python3
"""Measure walk, levels, patch and repair against libjpeg-turbo's decode of the same photos.

    python tests/bench/walk.py [--rounds N] [PHOTO ...]

Without photos it takes some of the 12 MP set that HOTPIXELD_PHOTOS names, and one of them
enlarged to 20 MP, with a trailer of 1 MB of previews, and at 640x480.  Every round runs all steps, one after the other; the numbers are the
medians of their processor time, and of the ratios to the decode in the same round.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from material import photos_in
from PIL import Image

from hotpixeld.defect import Defect
from hotpixeld.jpeg import bits, entropy, markers
from hotpixeld.jpeg.block_reader import BlockReader, Window
from hotpixeld.jpeg.scans import coded_scans
from hotpixeld.repair import lossless

sys.path.insert(0, str(Path(__file__).parents[1]))

import libturbojpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotpixeld.jpeg.scans import Integers

COUNTS = (4, 24, 400)
NOWHERE = np.empty((0, 3), np.int64)


def resized(data: bytes, size: tuple[int, int]) -> bytes:
    """Return a photo at another size, 4:2:2 as before."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.resize(size, Image.Resampling.BICUBIC).save(
            buffer, "JPEG", quality=92, subsampling="4:2:2"
        )
    return buffer.getvalue()


def steps(data: bytes) -> dict[str, Callable[[], object]]:
    """Return what is measured on a photo."""
    structure = markers.parse(data)
    scans = coded_scans(data, structure)
    height, width = structure.height, structure.width
    frame = np.empty((height, width, 3), np.uint8)
    rng = np.random.default_rng(0)
    rows, columns = structure.blocks(structure.components[0])

    def patch(places: Integers) -> entropy.Patched:
        walked = entropy.walk(data, scans, places)
        blocks = walked.coefficients(places)
        blocks[:, 0, 0] += 2
        blocks[:, 1, 0] += 1
        return entropy.patch(data, walked, places, blocks)

    def levels(windows: list[Window]) -> object:
        reader = BlockReader(data, structure, scans)
        walked = entropy.walk(data, scans, reader.needed(windows))
        return reader.levels(walked, windows)

    found: dict[str, Callable[[], object]] = {
        "decode": lambda: libturbojpeg.decode(data, width, height, frame),
        "structure": lambda: coded_scans(data, markers.parse(data)),
        "walk": lambda: entropy.walk(data, scans, NOWHERE),
    }
    for count in COUNTS:
        row, column = rng.integers(0, rows, count), rng.integers(0, columns, count)
        places = np.stack([np.zeros(count, np.int64), row, column], axis=1)
        places = np.unique(places, axis=0)
        corners = rng.integers(0, (height - 9, width - 9), (count, 2)).tolist()
        windows = [Window(y, x, y + 9, x + 9) for y, x in corners]
        copy = patch(places)
        if bits.undone(copy.data, copy.replaced) != data:
            raise AssertionError("the patch does not lead back")
        found[f"walk, patch {count}"] = partial(patch, places)
        found[f"walk, {count} windows of 9x9"] = partial(levels, windows)
    for count in (*COUNTS, 12):
        sites = rng.integers(0, (height, width), (count, 2)).tolist()
        defects = [Defect(*site) for site in sites]
        found[f"repair {count}"] = partial(lossless.repaired, data, defects)
    return found


def measured(data: bytes, rounds: int) -> list[str]:
    """Return lines of numbers."""
    times: dict[str, list[float]] = defaultdict(list)
    measured_steps = steps(data)
    for _ in range(rounds):
        for name, step in measured_steps.items():
            start = time.process_time()
            step()
            times[name].append(time.process_time() - start)
    lines = []
    for name, spent in times.items():
        pairs = zip(spent, times["decode"], strict=True)
        ratios = [own / decode for own, decode in pairs]
        median, ratio = 1000 * statistics.median(spent), statistics.median(ratios)
        lines.append(f"  {name:28} {median:8.2f} ms  {ratio:5.2f}")
    return lines


def main() -> None:
    """Measure, and print a table for every photo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("photos", nargs="*", type=Path)
    arguments = parser.parse_args()
    paths = arguments.photos
    photos = [(path.name, path.read_bytes()) for path in paths]
    if not paths:
        paths = photos_in(Path(os.environ["HOTPIXELD_PHOTOS"]) / "canon-1100d")[:20:7]
        photos = [(path.name, path.read_bytes()) for path in paths]
        first = photos[0][1]
        small = resized(first, (640, 480))
        previews = small * (1_000_000 // len(small))
        photos.append((f"{paths[0].name}, with a trailer", first + previews))
        photos.append(("20 MP, enlarged", resized(first, (5472, 3648))))
        photos.append(("640x480", small))
    for name, data in photos:
        print(f"{name}, {len(data) / 1e6:.1f} MB")
        print("\n".join(measured(data, arguments.rounds)))


if __name__ == "__main__":
    main()
