"""Peaks: what stands out alone, and what chance would give."""

from __future__ import annotations

import numpy as np
import pytest

from hotpixeld.statistics import peaks


def relief_of(plane: np.ndarray) -> np.ndarray:
    levels = plane.astype(np.float32)
    return peaks.relief(lambda start, stop: levels[start:stop], *plane.shape)


def naive_relief(plane: np.ndarray) -> np.ndarray:
    """The definition, pixel by pixel, in steps of 2 x STEP a level."""
    steps = (plane * peaks.STEP).astype(int)
    padded = np.pad(steps, 2, mode="reflect")
    out = np.zeros(plane.shape, int)
    for row in range(plane.shape[0]):
        for col in range(plane.shape[1]):
            pairs = [
                padded[row + 2 + y, col + 2 + x] + padded[row + 2 - y, col + 2 - x]
                for y, x in peaks.PAIRS
            ]
            centre = 2 * steps[row, col]
            above, below = centre - max(pairs), centre - min(pairs)
            out[row, col] = above if above > 0 else min(below, 0)
    return out


@pytest.mark.parametrize("shape", [(5, 7), (64, 9), (131, 70)])
def test_relief_is_the_excess_over_every_pair_also_at_edges_and_bands(
    shape: tuple[int, int],
) -> None:
    plane = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)

    assert np.array_equal(relief_of(plane), naive_relief(plane))


def test_straight_edges_lines_and_gradients_have_no_contrast() -> None:
    y, x = np.mgrid[:40, :60]
    edge = np.where(x + 0 * y < 30, 20.0, 200.0)
    line = np.where(y == 20, 180.0, 60.0) + 0.0 * x
    slope = 1.5 * x + 2.0 * y

    for plane in (edge, line, slope):
        assert not relief_of(plane)[3:-3, 3:-3].any()


def test_a_lone_pixel_has_its_full_contrast_of_either_sign() -> None:
    for level in (250.0, 10.0):
        plane = np.full((30, 41), 100.0)
        plane[13, 29] = level

        assert relief_of(plane)[13, 29] == (level - 100) * 2 * peaks.STEP


def test_levelling_removes_the_bias_of_the_block_grid_and_leaves_a_defect() -> None:
    rng = np.random.default_rng(2)
    plane = rng.normal(scale=40, size=(160, 240))
    plane[::8, ::8] += 100
    plane[77, 101] += 4000
    levelled = plane.astype(np.int16)

    peaks.level_grid(levelled)

    assert abs(levelled[::8, ::8].mean()) < 15
    assert levelled[77, 101] > 3900


def test_noise_alone_gives_about_the_false_alarms_it_should() -> None:
    """Never more than they claim, over both signs of many planes, nor below a half.

    A power law overrates the tail of a Gaussian, more so far out.
    """
    rng = np.random.default_rng(3)
    planes = 20
    noises = (relief_of(rng.normal(100, 1, (480, 560))) for _ in range(planes))
    expected = np.stack([peaks.peaks(noise, 50).false_alarms for noise in noises])

    assert (np.diff(expected, axis=1) >= 0).all()
    for claimed in (0.25, 3.0, 10.0):
        most = 2 * planes * claimed
        assert (expected < claimed).sum() < most + 3 * np.sqrt(most)
    assert (expected < 10).sum() > 2 * planes * 10 / 2


def test_one_peak_per_defect_and_both_of_a_pair() -> None:
    plane = np.random.default_rng(4).normal(100, 1, (480, 560))
    plane[40, 50] += 80
    plane[39:42, 49:52] += 20
    plane[100, 120] += 60
    plane[100, 130] += 50

    found = peaks.peaks(relief_of(plane), 100)

    strong = found.sites[found.false_alarms < 0.01].tolist()
    assert sorted(strong) == [[40, 50], [100, 120], [100, 130]]


def test_the_strongest_of_each_footprint_stays() -> None:
    sites = np.array([[10, 10], [12, 13], [40, 10], [10, 30]])

    assert peaks.apart(sites).tolist() == [[10, 10], [40, 10], [10, 30]]


def test_chance_peaks_are_counted_right_on_a_known_tail() -> None:
    """With Pareto ratios of index 1/4 the r-th largest is worth r false alarms."""
    uniform = (np.arange(20_000) + 0.5) / 20_000
    ratios = uniform**-0.25

    expected = peaks.false_alarms(ratios, ratios.size)

    assert expected[0] == pytest.approx(0.5, rel=0.05)
    assert expected[99] == pytest.approx(99.5, rel=0.05)


def test_too_few_peaks_prove_nothing() -> None:
    assert np.isinf(peaks.false_alarms(np.array([9.0, 2.0, 1.0]), 3)).all()
    assert peaks.false_alarms(np.zeros(0), 0).size == 0
