"""The Welford state against numpy's own mean and variance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hotpixeld.statistics import welford
from hotpixeld.statistics.welford import State

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
def test_mean_and_variance_equal_numpys(frames: np.ndarray) -> None:
    state = folded(frames)

    assert (state.photos, state.weight) == (len(frames), len(frames))
    np.testing.assert_allclose(state.mean, frames.mean(axis=0), atol=1e-4)
    if len(frames) > 1:
        np.testing.assert_allclose(
            state.variance(), frames.var(axis=0, ddof=1), rtol=1e-4, atol=1e-2
        )


@settings(deadline=None)
@given(stacks, st.data())
def test_any_partition_merges_to_one_stream(
    frames: np.ndarray, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(frames)))
    merged = State.merge(folded(frames[:cut]), folded(frames[cut:]))
    whole = folded(frames)

    assert (merged.photos, merged.weight) == (whole.photos, whole.weight)
    np.testing.assert_allclose(merged.mean, whole.mean, atol=1e-3)
    np.testing.assert_allclose(merged.m2, whole.m2, rtol=1e-4, atol=0.1)


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


@settings(deadline=None)
@given(stacks, st.integers(2, 6), st.data())
def test_merging_forgets_the_older_as_folding_does(
    frames: np.ndarray, memory: int, data: st.DataObject
) -> None:
    newer = data.draw(st.integers(0, min(len(frames), memory)))
    cut = len(frames) - newer
    merged = State.merge(folded(frames[:cut], memory), folded(frames[cut:]), memory)

    assert merged.photos == len(frames)
    assert merged.weight == pytest.approx(min(len(frames), memory))


def test_the_order_of_merging_counts_once_it_forgets() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 256, (2, 4, *SHAPE), np.uint8)
    one, other = folded(first), folded(second)

    forward = State.merge(one, other, memory=5)
    backward = State.merge(other, one, memory=5)

    assert np.abs(forward.mean - backward.mean).max() > 1


@pytest.mark.parametrize("memory", [0, 4])
def test_the_compiled_fold_and_numpys_agree_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    if welford.compiled() is None:
        pytest.skip("the package was built without a compiler: there is only numpy")
    frames = np.random.default_rng(2).integers(0, 256, (9, *SHAPE), np.uint8)
    compiled = folded(frames, memory)
    monkeypatch.setattr(welford, "compiled", lambda: None)
    monkeypatch.setattr(welford, "BLOCK", 16)
    blocked = folded(frames, memory)

    np.testing.assert_array_equal(compiled.mean, blocked.mean)
    np.testing.assert_array_equal(compiled.m2, blocked.m2)


@pytest.mark.parametrize("is_compiled", [True, False])
def test_folding_several_at_once_is_folding_them_one_by_one(
    monkeypatch: pytest.MonkeyPatch, *, is_compiled: bool
) -> None:
    if not is_compiled:
        monkeypatch.setattr(welford, "compiled", lambda: None)
    shape = (50, 70, 3)  # more than a block of the compiled fold
    frames = np.random.default_rng(6).integers(0, 256, (7, *shape), np.uint8)
    single, several = State.empty(50, 70), State.empty(50, 70)
    for frame in frames:
        single.fold(frame, 4)
    several.fold_all(list(frames[:3]), 4)
    several.fold_all([], 4)
    several.fold_all(list(frames[3:]), 4)

    assert (several.photos, several.weight) == (single.photos, single.weight)
    np.testing.assert_array_equal(several.mean, single.mean)
    np.testing.assert_array_equal(several.m2, single.m2)


@settings(deadline=None)
@given(stacks, st.integers(2, 6))
def test_numpys_fold_is_right_too(frames: np.ndarray, memory: int) -> None:
    mean, m2 = np.zeros(105, np.float32), np.zeros(105, np.float32)
    for count, frame in enumerate(frames):
        before = min(count, memory - 1)
        decay = before / min(count, memory) if count else 1.0
        step = welford.Step(1 / (before + 1), before / (before + 1), decay)
        welford.fold_in_blocks(frame.reshape(-1), mean, m2, step)
    expected = weighted(frames.astype(float), memory)

    np.testing.assert_allclose(mean.reshape(SHAPE), expected[0], atol=1e-3)
    np.testing.assert_allclose(m2.reshape(SHAPE), expected[1], rtol=1e-4, atol=0.1)


def test_a_frame_is_left_as_it_is_and_may_be_a_view() -> None:
    wide = np.random.default_rng(3).integers(0, 256, (5, 14, 3), np.uint8)
    before = wide.copy()
    state = State.empty(5, 7)
    state.fold(wide[:, ::2])

    np.testing.assert_array_equal(wide, before)
    np.testing.assert_array_equal(state.mean, wide[:, ::2])


def test_operands_of_a_merge_are_left_as_they_are() -> None:
    frames = np.random.default_rng(4).integers(0, 256, (4, *SHAPE), np.uint8)
    one, other = folded(frames[:2]), folded(frames[2:])
    before = one.mean.copy(), other.m2.copy()
    State.merge(one, other, memory=3)

    np.testing.assert_array_equal(one.mean, before[0])
    np.testing.assert_array_equal(other.m2, before[1])


def test_other_shapes_are_refused() -> None:
    state = State.empty(5, 7)
    with pytest.raises(ValueError, match=r"frame is \(7, 5, 3\), state is \(5, 7, 3\)"):
        state.fold(np.zeros((7, 5, 3), np.uint8))
    with pytest.raises(ValueError, match="states are"):
        State.merge(state, State.empty(7, 5))


def test_variance_needs_more_photos_than_ddof() -> None:
    state = folded(np.zeros((1, *SHAPE), np.uint8))

    assert np.isnan(state.variance()).all()
    assert (state.variance(ddof=0) == 0).all()


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
