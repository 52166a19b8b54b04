#!/usr/bin/env python3
"""Measure the dense scan for suspects: seconds, and memory beside the state.

    python tests/bench/map.py [--megapixels 12 45] [--repeats N]

The state is that of smooth light with noise and a few planted defects, and so is its trace.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

from hotpixeld.detection import suspects
from hotpixeld.statistics import trace

sys.path.insert(0, str(Path(__file__).parents[1]))

from whole_frames import State

PHOTOS = 32


def state_of(megapixels: float) -> State:
    """Return a state of about that size, three to two."""
    width = int((megapixels * 1.5e6) ** 0.5) // 16 * 16
    height = width * 2 // 3
    rng = np.random.default_rng(1)
    state = State.empty(height, width, traced=True)
    assert state.trace is not None
    rows = np.linspace(60, 180, height, dtype=np.float32)
    state.mean[:] = rows[:, None, None]
    for start in range(0, height, 64):  # in bands: no temporaries of full size
        band = state.mean[start : start + 64]
        band += rng.normal(0, 0.5, band.shape).astype(np.float32)
        total = state.trace.total[start : start + 64]
        total[:] = rng.normal(0, trace.UNIT, total.shape) * PHOTOS**0.5
    state.m2[:] = 900 * PHOTOS
    sites = rng.integers(20, height - 20, (20, 2))
    state.mean[sites[:, 0], sites[:, 1]] += 20
    state.trace.total[sites[:, 0], sites[:, 1]] += 20 * trace.UNIT * 6
    state.trace.information[:] = state.trace.photos = PHOTOS
    state.photos, state.weight = PHOTOS, float(PHOTOS)
    return state


def peak_bytes() -> int:
    """Return the largest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[12, 45])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    for megapixels in sorted(arguments.megapixels):
        state = state_of(megapixels)
        assert state.trace is not None
        pixels, before = state.mean[..., 0].size, peak_bytes()
        walls, cpus = [], []
        for _ in range(arguments.repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            suspects.nominated(state, state.trace)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        print(
            f"{pixels / 1e6:5.1f} MP: {min(walls):.2f} s ({min(cpus):.2f} s of processor"
            f" time), {(peak_bytes() - before) / pixels:.1f} bytes a pixel beside the"
            " state"
        )
        del state


if __name__ == "__main__":
    main()
