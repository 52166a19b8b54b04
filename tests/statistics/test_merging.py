from __future__ import annotations

import numpy as np
import pytest

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
from hotpixeld.statistics.merging import Merging, Side, weights

HEIGHT, WIDTH = 40, 32
HOT = 21, 13


def frames(count: int, seed: int) -> np.ndarray:
    """Return noisy photos of different levels that share a hot pixel."""
    rng = np.random.default_rng(seed)
    levels = rng.uniform(60, 160, (count, 1, 1, 1))
    out = rng.normal(levels, 6, (count, HEIGHT, WIDTH, 3))
    out[:, HOT[0], HOT[1]] += 12
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def folded(photos: np.ndarray, memory: int) -> tuple[dict[str, np.ndarray], Counts]:
    """Return the planes of photos, and what they count."""
    planes = Planes(HEIGHT, WIDTH, 48)
    windows = np.zeros((len(photos), KEPT + HEIGHT, WIDTH, 3), np.uint8)
    windows[:, KEPT:] = photos
    folding = Folding(Counts(), memory, windows, HEIGHT, threads=1)
    (strip,) = strips(HEIGHT, 48)
    folding.begin(strip, planes)
    folding.share()
    return {name: planes.of(name, strip).copy() for name in FORMATS}, folding.after


def merged(
    older: np.ndarray, newer: np.ndarray, memory: int
) -> tuple[dict[str, np.ndarray], Counts]:
    """Return the planes of two parts that were folded by themselves."""
    (strip,) = strips(HEIGHT, 48)
    sides, planes = [], []
    kept = weights(len(older) + len(newer), memory)
    for part, share in (
        (older, kept[: len(older)]),
        (newer, kept[len(older) :]),
    ):
        found, counts = folded(part, memory)
        held = Planes(HEIGHT, WIDTH, 48)
        for name, plane in found.items():
            held.of(name, strip)[...] = plane
        planes.append(held)
        sides.append(Side(counts, float(share.sum())))
    merging = Merging(sides[0], sides[1], len(older) + len(newer))
    merging.merge(strip, *planes)
    return {name: planes[0].of(name, strip) for name in FORMATS}, merging.counts


@pytest.mark.parametrize(("first", "second"), [(1, 7), (20, 12), (40, 3)])
def test_two_parts_are_all_photos_where_nothing_is_forgotten(
    first: int, second: int
) -> None:
    photos = frames(first + second, 1)
    found, counts = merged(photos[:first], photos[first:], 0)
    whole, expected = folded(photos, 0)
    assert counts.photos == expected.photos
    assert counts.weight == expected.weight
    np.testing.assert_allclose(found[MEAN], whole[MEAN], rtol=1e-5)
    np.testing.assert_allclose(found[M2], whole[M2], rtol=2e-4, atol=0.05)


def test_a_part_without_photos_changes_nothing() -> None:
    photos = frames(9, 2)
    whole, counts = folded(photos, 0)
    found, joint = merged(photos, photos[:0], 0)
    assert joint == counts
    for name in FORMATS:
        np.testing.assert_array_equal(found[name], whole[name])


def test_what_one_sequence_would_have_forgotten_is_forgotten() -> None:
    photos = frames(50, 3)
    found, counts = merged(photos[:30], photos[30:], 20)
    whole, expected = folded(photos, 20)
    assert counts.weight == pytest.approx(expected.weight)
    spread = np.sqrt(whole[M2] / expected.weight)
    # The newer side's own photos weigh alike here, and decay one by one there.
    assert np.abs(found[MEAN] - whole[MEAN]).mean() < 0.15 * spread.mean()
    forgetful = frames(30, 4) // 2
    found, _ = merged(forgetful, photos[30:], 20)
    aside = np.abs(found[MEAN].mean() - photos[30:].mean())
    assert aside < 0.5 * np.abs(forgetful.mean() - photos[30:].mean())


def test_weights_are_those_of_the_state() -> None:
    for memory in (0, 1, 5, 100):
        _, counts = folded(frames(23, 5), memory)
        assert weights(23, memory).sum() == pytest.approx(counts.weight)


def ratio(planes: dict[str, np.ndarray]) -> np.ndarray:
    """Return the trace's signal-to-noise ratio."""
    telling = planes[TELLING].repeat(4, 0).repeat(4, 1)[:HEIGHT, :WIDTH]
    return np.asarray(planes[TOTAL] / np.sqrt(telling))


@pytest.mark.parametrize(("first", "second"), [(16, 16), (24, 40), (90, 60)])
def test_the_trace_of_both_tells_more_than_that_of_each(
    first: int, second: int
) -> None:
    photos = frames(first + second, 6)
    found, counts = merged(photos[:first], photos[first:], 0)
    parts = [folded(part, 0)[0] for part in (photos[:first], photos[first:])]
    assert counts.traced == first + second
    assert ratio(found)[HOT] > max(ratio(part)[HOT] for part in parts)
    # Ratios of ordinary pixels stay those of noise.
    others = ratio(found)
    others[HOT[0] - 3 : HOT[0] + 4, HOT[1] - 3 : HOT[1] + 4] = 0
    single = ratio(folded(photos, 0)[0])
    single[HOT[0] - 3 : HOT[0] + 4, HOT[1] - 3 : HOT[1] + 4] = 0
    assert others.std() < 1.25 * single.std()


def test_few_photos_of_both_have_the_trace_of_all() -> None:
    photos = frames(30, 7)
    found, _ = merged(photos[:11], photos[11:], 0)
    whole, _ = folded(photos, 0)
    np.testing.assert_allclose(found[TOTAL], whole[TOTAL], atol=11)  # rounded each time
    np.testing.assert_allclose(found[TELLING], whole[TELLING], rtol=1e-5)


def test_totals_stay_within_their_range() -> None:
    photos = frames(2, 8)
    (strip,) = strips(HEIGHT, 48)
    planes = [Planes(HEIGHT, WIDTH, 48) for _ in range(2)]
    for one in planes:
        one.of(TOTAL, strip)[...] = np.array(30000, np.int16)
        one.of(TELLING, strip)[...] = 1
    _, counts = folded(photos, 0)
    Merging(Side(counts, 2.0), Side(counts, 2.0), 4).merge(strip, *planes)
    assert (planes[0].of(TOTAL, strip) == np.iinfo(np.int16).max).all()
