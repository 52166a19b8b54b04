"""Hypotheses on a site, and the votes of single photos for them."""

from __future__ import annotations

import numpy as np
import pytest

from hotpixeld.defect import Kind
from hotpixeld.detection import light, verdict
from hotpixeld.detection.score_test import Residuals
from hotpixeld.detection.verdict import Hypothesis


def grid(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_a_vote_is_the_log_likelihood_ratio_of_students_t() -> None:
    hot = Hypothesis(Kind.HOT, 4.0)
    residual, spread, wide = 3.0, 2.0, float(np.hypot(2.0, 0.3 * 4.0))

    def density(x: float, s: float) -> float:
        return float((1 + (x / s) ** 2 / 5) ** -3 / s)

    (vote,) = verdict.votes(hot, grid(residual), grid(spread), grid(100))[0]

    ratio = density(residual - 4, wide) / density(residual, spread)
    assert vote == pytest.approx(np.log(ratio), abs=1e-5)


def test_no_photo_says_more_than_the_bound() -> None:
    hot = Hypothesis(Kind.HOT, 80.0)

    votes = verdict.votes(hot, grid(80, 0, -200), grid(0.5, 0.5, 0.5), grid(9, 9, 9))

    assert votes.max() == light.VOTE
    assert votes.min() == -light.VOTE


def test_a_rough_surrounding_says_little() -> None:
    hot = Hypothesis(Kind.HOT, 8.0)

    smooth, rough = verdict.votes(hot, grid(8, 8), grid(1, 30), grid(9, 9))[0]

    assert smooth > 2
    assert abs(rough) < 0.2


def test_a_stuck_site_pulls_to_its_level_from_both_sides() -> None:
    stuck = Hypothesis(Kind.STUCK, 0.0, 120.0, 0.9)

    assert stuck.expected(grid(20, 120, 220))[0].tolist() == pytest.approx([90, 0, -90])


def explained(residual: list[float], level: list[float]) -> Hypothesis:
    """Return what explains the residuals of one site in surroundings of these levels."""
    columns = [np.array(one, np.float32)[:, None] for one in (residual, level)]
    one = np.ones_like(columns[0])
    residuals = Residuals(columns[0], one, columns[1], one)
    (best,), _ = verdict.explain(residuals, one > 0)
    return best


def test_what_adds_differs_from_what_has_a_level_of_its_own() -> None:
    level = [20.0, 60.0, 110.0, 150.0, 200.0]

    assert explained([30, 32, 29, 31, 30], level).kind is Kind.HOT
    assert explained([-30, -32, -29, -31, -30], level).kind is Kind.DEAD
    assert explained([-0.9 * x for x in level], level).kind is Kind.DEAD
    stuck = explained([0.8 * (192 - x) for x in level], level)
    assert stuck.kind is Kind.STUCK
    assert stuck.level == pytest.approx(192, abs=9)
    assert stuck.share == pytest.approx(0.8, abs=0.05)


def test_what_adds_less_where_it_is_bright_is_hot() -> None:
    """The tone curve: a weak pull to white."""
    level = [20.0, 60.0, 110.0, 150.0, 200.0]

    assert explained([0.2 * (255 - x) for x in level], level).kind is Kind.HOT
