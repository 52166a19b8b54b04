"""Folding side by side against folding one photo after the other."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sensor
from hotpixeld.statistics import generation
from hotpixeld.statistics.generation import (
    FORMATS,
    KEPT,
    M2,
    MEAN,
    TELLING,
    TOTAL,
    Counts,
    Folding,
    Planes,
    strips,
)
from hotpixeld.statistics.trace import BANDS, MEMORY, WHOLE
from whole_frames import State


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 40), st.sampled_from([0, 2, 20, 100]))
def test_photos_count_as_in_a_state(before: int, photos: int, memory: int) -> None:
    state = State.empty(1, 1)
    for _ in range(before):
        state.fold(np.zeros((1, 1, 3), np.uint8), memory)
    counts = Counts(state.photos, state.weight, before)
    for _ in range(photos):
        state.fold(np.zeros((1, 1, 3), np.uint8), memory)
    _, after = generation.steps(counts, photos, memory)

    assert after == Counts(state.photos, state.weight, before + photos)


@pytest.mark.parametrize("height", [7, 16, 95, 96, 147])
def test_bands_cover_the_frame_once_in_turn(height: int) -> None:
    assert generation.band(WHOLE - 1, height) == (0, height, 1.0)
    bands = [generation.band(WHOLE + number, height) for number in range(BANDS)]
    ordered = sorted((first, last) for first, last, _ in bands)

    assert (ordered[0][0], ordered[-1][1]) == (0, height)
    assert [last for _, last in ordered[:-1]] == [first for first, _ in ordered[1:]]
    assert {decay for _, _, decay in bands} == {1 - 1 / MEMORY}


def folded(
    frames: np.ndarray, before: Counts, *, memory: int, rows: int, threads: int
) -> dict[str, np.ndarray]:
    """Return the planes after folding whole frames through windows."""
    height, width = frames.shape[1:3]
    windows = np.zeros((len(frames), KEPT + rows, width, 3), np.uint8)
    folding = Folding(before, memory, windows, height, threads=threads)
    planes = Planes(height, width, rows)
    out: dict[str, list[np.ndarray]] = {name: [] for name in FORMATS}
    for strip in strips(height, rows):
        for place, row in enumerate(range(strip.first - KEPT, strip.last)):
            if row >= 0:
                windows[:, place] = frames[:, row]
        planes.clear()
        folding.begin(strip, planes)
        crew = [threading.Thread(target=folding.share) for _ in range(threads)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        for name, parts in out.items():
            parts.append(planes.of(name, strip).copy())
    return {name: np.concatenate(parts) for name, parts in out.items()}


@pytest.mark.parametrize("rows", [16, 32, 64])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("memory", [0, 20])
def test_it_agrees_with_whole_frames_to_the_bit(
    rows: int, threads: int, memory: int
) -> None:
    """Beyond the photos that are traced whole, and beyond a full memory."""
    camera = sensor.Sensor(height=101, width=87, seed=1)
    frames = np.stack([*camera.frames(WHOLE + BANDS + 2)])
    state = State.empty(101, 87, traced=True)
    state.fold_all([*frames], memory)
    assert state.trace is not None
    got = folded(frames, Counts(), memory=memory, rows=rows, threads=threads)

    np.testing.assert_array_equal(got[MEAN], state.mean)
    np.testing.assert_array_equal(got[M2], state.m2)
    np.testing.assert_array_equal(got[TOTAL], state.trace.total)
    np.testing.assert_array_equal(got[TELLING], state.trace.information)


def test_more_subpixels_than_a_thread_takes_at_once_are_all_folded() -> None:
    frames = np.full((2, 40, 3000, 3), 9, np.uint8)

    assert (folded(frames, Counts(), memory=0, rows=64, threads=2)[MEAN] == 9).all()


def test_frames_without_a_neighbourhood_are_refused() -> None:
    with pytest.raises(ValueError, match="200x6"):
        Folding(Counts(), 0, np.zeros((1, 30, 200, 3), np.uint8), 6, threads=1)
