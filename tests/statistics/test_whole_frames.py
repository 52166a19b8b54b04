"""The recurrence, as the reference has it, against numpy's own mean and variance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from whole_frames import State

SHAPE = (5, 7, 3)
stacks = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 12), *(st.just(side) for side in SHAPE))
)


def folded(frames: np.ndarray, memory: int = 0) -> State:
    state = State.empty(*SHAPE[:2])
    for frame in frames:
        state.fold(frame, memory)
    return state


def weighted(frames: np.ndarray, memory: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and M2 by definition: weights that fall geometrically with age."""
    weights = np.ones(1)
    for _ in frames[1:]:
        if memory and weights.sum() > memory - 1:
            weights *= (memory - 1) / weights.sum()
        weights = np.append(weights, 1.0)
    mean = np.tensordot(weights, frames, 1) / weights.sum()
    return mean, np.tensordot(weights, (frames - mean) ** 2, 1)


@settings(deadline=None)
@given(stacks)
def test_mean_and_m2_equal_numpys(frames: np.ndarray) -> None:
    state = folded(frames)

    assert (state.photos, state.weight) == (len(frames), len(frames))
    np.testing.assert_allclose(state.mean, frames.mean(axis=0), atol=1e-4)
    squares = len(frames) * frames.var(axis=0)
    np.testing.assert_allclose(state.m2, squares, rtol=1e-4, atol=0.1)


@settings(deadline=None)
@given(stacks, st.integers(2, 6))
def test_forgetting_is_a_geometrically_weighted_state(
    frames: np.ndarray, memory: int
) -> None:
    state = folded(frames, memory)
    mean, m2 = weighted(frames.astype(float), memory)

    assert state.photos == len(frames)
    assert state.weight == pytest.approx(min(len(frames), memory))
    np.testing.assert_allclose(state.mean, mean, atol=1e-3)
    np.testing.assert_allclose(state.m2, m2, rtol=1e-4, atol=0.1)


def test_a_frame_is_left_as_it_is_and_may_be_a_view() -> None:
    wide = np.random.default_rng(3).integers(0, 256, (5, 14, 3), np.uint8)
    before = wide.copy()
    state = State.empty(5, 7)
    state.fold(wide[:, ::2])

    np.testing.assert_array_equal(wide, before)
    np.testing.assert_array_equal(state.mean, wide[:, ::2])


@pytest.mark.slow
def test_float32_bears_thirty_thousand_photos_without_forgetting() -> None:
    """Levels near 250 that differ by a few: where float32 loses most."""
    rng = np.random.default_rng(5)
    state = State.empty(2, 3)
    total, squares, count = np.zeros((2, 3, 3)), np.zeros((2, 3, 3)), 30_000
    for frame in rng.integers(245, 252, (count, 2, 3, 3), np.uint8):
        state.fold(frame)
        total += frame
        squares += frame.astype(float) ** 2
    mean = total / count

    np.testing.assert_allclose(state.mean, mean, atol=0.02)
    np.testing.assert_allclose(state.m2, squares - count * mean**2, rtol=0.01)
