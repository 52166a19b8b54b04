"""Votes of single photos."""

from __future__ import annotations

import numpy as np
import pytest

from hotpixeld import likelihood
from hotpixeld.likelihood import Hypothesis
from hotpixeld.pixels import Kind


def grid(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_a_vote_is_the_log_likelihood_ratio_of_students_t() -> None:
    hot = Hypothesis(Kind.HOT, 4.0)
    residual, spread, wide = 3.0, 2.0, float(np.hypot(2.0, 0.3 * 4.0))

    def density(x: float, s: float) -> float:
        return float((1 + (x / s) ** 2 / 5) ** -3 / s)

    (vote,) = likelihood.votes(hot, grid(residual), grid(spread), grid(100))[0]

    ratio = density(residual - 4, wide) / density(residual, spread)
    assert vote == pytest.approx(np.log(ratio), abs=1e-5)


def test_no_photo_says_more_than_the_bound() -> None:
    hot = Hypothesis(Kind.HOT, 80.0)

    votes = likelihood.votes(hot, grid(80, 0, -200), grid(0.5, 0.5, 0.5), grid(9, 9, 9))

    assert votes.max() == likelihood.VOTE
    assert votes.min() == -likelihood.VOTE


def test_a_rough_surrounding_says_little() -> None:
    hot = Hypothesis(Kind.HOT, 8.0)

    smooth, rough = likelihood.votes(hot, grid(8, 8), grid(1, 30), grid(9, 9))[0]

    assert smooth > 2
    assert abs(rough) < 0.2


def test_a_stuck_site_pulls_to_its_level_from_both_sides() -> None:
    stuck = Hypothesis(Kind.STUCK, 0.0, 120.0, 0.9)

    assert stuck.expected(grid(20, 120, 220))[0].tolist() == pytest.approx([90, 0, -90])


def test_in_a_colour_difference_nothing_is_stuck() -> None:
    kinds = {one.kind for one in likelihood.hypotheses(colour=True)}

    assert kinds == {Kind.HOT}
    assert {one.kind for one in likelihood.hypotheses(colour=False)} == set(Kind)
