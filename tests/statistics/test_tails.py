"""What chance alone makes of the extremes."""

from __future__ import annotations

import numpy as np
import pytest

from hotpixeld.statistics import peaks


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


def test_a_score_is_a_gaussian_signal_to_noise_ratio() -> None:
    scores = peaks.snr(np.array([0.0, 1_000_000 * 2.866515719e-07]), 1_000_000)

    assert scores[1] == pytest.approx(5.0, abs=1e-6)
    assert scores[0] > 37
