"""What explains a site, and the votes of single photos for that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hotpixeld.defect import Kind, Law
from hotpixeld.detection import explanation, light
from hotpixeld.detection.evidence import Conditions
from hotpixeld.detection.explanation import Explained, Question
from hotpixeld.detection.score_test import Residuals

LEVEL = np.tile([20.0, 60.0, 110.0, 150.0, 200.0], 3)


def grid(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_a_vote_is_the_log_likelihood_ratio_of_students_t() -> None:
    residual, spread, expected = 3.0, 2.0, 4.0
    wide = float(np.hypot(spread, 0.3 * expected))

    def density(x: float, s: float) -> float:
        return float((1 + (x / s) ** 2 / 5) ** -3 / s)

    (vote,) = light.support(grid(residual), grid(spread), grid(expected), 0.3)[0]

    ratio = density(residual - expected, wide) / density(residual, spread)
    assert vote == pytest.approx(np.log(ratio), abs=1e-5)


def test_no_photo_says_more_than_the_bound() -> None:
    votes = light.support(grid(80, 0, -200), grid(0.5, 0.5, 0.5), grid(80, 80, 80), 0.3)

    assert votes.max() == light.VOTE
    assert votes.min() == -light.VOTE


def test_a_rough_surrounding_says_little() -> None:
    smooth, rough = light.support(grid(8, 8), grid(1, 30), grid(8, 8), 0.3)[0]

    assert smooth > 2
    assert abs(rough) < 0.2


def explained(residual: np.ndarray, level: np.ndarray = LEVEL) -> Explained:
    """Return what explains the residuals of one site in surroundings of these levels."""
    columns = [np.asarray(one, np.float32)[:, None] for one in (residual, level)]
    one = np.ones_like(columns[0])
    residuals = Residuals(columns[0], one, columns[1], one)
    question = Question(residuals, residuals, Conditions.unknown(len(one)), {})
    return explanation.explain(question, one > 0)


def test_what_adds_differs_from_what_has_a_level_of_its_own() -> None:
    assert explained(0.2 * (262 - LEVEL)).kinds == (Kind.HOT,)
    assert explained(-30 + 0 * LEVEL).kinds == (Kind.DEAD,)
    assert explained(-0.9 * LEVEL).kinds == (Kind.DEAD,)
    stuck = explained(0.8 * (192 - LEVEL))
    assert stuck.kinds == (Kind.STUCK,)
    assert stuck.votes.min() >= 0, "from both sides"


def test_what_is_nearly_white_in_every_photo_may_be_stuck() -> None:
    assert explained(0.8 * (255 - LEVEL)).kinds == (Kind.STUCK,)
    assert explained(0.3 * (255 - LEVEL)).kinds == (Kind.HOT,)


def test_what_takes_away_from_bright_scenes_is_no_hot_pixel() -> None:
    """However weakly it is drawn: one of one colour, say."""
    assert explained(0.25 * (170 - LEVEL)).kinds == (Kind.STUCK,)
    assert explained(0.25 * (255 - LEVEL)).kinds == (Kind.HOT,)


def test_a_known_law_holds_where_nothing_shows_any_more() -> None:
    one = np.ones((15, 1), np.float32)
    residuals = Residuals(0 * one, one, 90 * one, one)
    law = Law(0.2, 0.0, 0.3)
    conditions = Conditions.unknown(15)
    healed = Question(residuals, residuals, conditions, {0: law})
    never = Question(residuals, residuals, conditions, {})

    assert explanation.explain(healed, one > 0).votes.sum() < -20
    assert abs(explanation.explain(never, one > 0).votes.sum()) < 1


def test_a_known_law_is_as_strong_as_the_other_defects_show_now() -> None:
    """In winter all are weaker than their laws of summer; one is not proven any more."""
    rng = np.random.default_rng(3)
    level = rng.uniform(30, 150, (40, 9)).astype(np.float32)
    added = (262 - level) * -np.expm1(np.float32(-0.3 * 0.2))
    spread = np.ones_like(level)
    noisy = (added + rng.standard_normal(level.shape)).astype(np.float32)
    residuals = Residuals(noisy, spread, level, spread)
    summer = dict.fromkeys(range(9), Law(0.2, 0.0, 0.3))
    question = Question(residuals, residuals, Conditions.unknown(40), {})

    told = question.with_former(summer, 8)
    assert list(told.known) == [8]
    assert told.known[8].offset == pytest.approx(0.06, rel=0.1)
    alone = question.with_former({8: summer[8]}, 8)
    assert alone.known == {8: summer[8]}
    assert explanation.explain(told, spread > 0).votes[:, 8].sum() > 0


def test_photos_that_could_hardly_show_a_former_defect_do_not_deny_it() -> None:
    rng = np.random.default_rng(4)
    level = np.full((40, 2), 100.0)
    spread = np.ones((40, 2))
    residual = spread * rng.standard_normal((40, 2))
    arrays = (residual, spread, level, spread)
    residuals = Residuals(*(each.astype(np.float32) for each in arrays))
    question = Question(residuals, residuals, Conditions.unknown(40), {})
    weak, strong = Law(0.025, 0, 0.3), Law(0.1, 0, 0.3)
    votes = explanation.explain(
        replace(question, known={0: weak, 1: strong}, silent=(0, 1)), spread > 0
    ).votes

    assert not votes[:, 0].any()
    assert votes[:, 1].sum() < -20
