"""Dates: told where photos prove them, and not where conditions explain the photos."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.defect import Kind, Law
from hotpixeld.detection import dates
from hotpixeld.detection.evidence import Conditions
from hotpixeld.detection.explanation import Question
from hotpixeld.detection.score_test import Axis, Residuals

if TYPE_CHECKING:
    from hotpixeld.detection.dates import Life, Told

SHORT, LONG = 0.5, 400.0
"""Seconds times ISO: 1/200 s at ISO 100, and 1 s at ISO 400."""


class Body:
    """A camera with defects of the law of light, in photos of changing brightness."""

    def __init__(self, photos: int, defects: int, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.there = np.ones((photos, defects), np.bool_)
        self.exposure = self.rng.choice([SHORT, LONG], photos)
        self.focal = np.zeros(photos)
        self.offset = np.full(defects, 0.12)
        self.dark = np.full(defects, 2e-4)
        self.gain = np.ones(photos)
        self.moved = np.ones((photos, defects), np.bool_)

    def told(self, axis: Axis = Axis.TIME) -> Told:
        """Return what the photos tell; suspects' parts are their true ones."""
        shape = self.there.shape
        level = self.rng.uniform(20, 170, shape)
        strength = self.offset + self.dark * self.exposure[:, None]
        added = (262 - level) * -np.expm1(-self.gain[:, None] * strength)
        added *= self.there & self.moved
        spread = self.rng.uniform(1, 4, shape)
        added *= 1 + 0.15 * self.rng.standard_normal(shape)
        residual = added + spread * self.rng.standard_t(5, shape)
        arrays = residual, spread, level, np.ones(shape)
        samples = Residuals(*(each.astype(np.float32) for each in arrays))
        unknown = np.full(len(self.focal), math.nan)
        conditions = Conditions(self.exposure, self.focal, unknown)
        question = Question(samples, samples, conditions, {})
        along = np.full(shape[1], axis, np.int8)
        shown = self.moved if axis == Axis.FOCAL else np.ones(shape, np.bool_)
        return dates.told(question, along, shown)


def undated(life: Life) -> bool:
    return (life.after, life.until) == (None, None)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_there_all_the_time_has_no_date(seed: int) -> None:
    told = Body(40, 9, seed).told()

    assert all(map(undated, told.lives))
    assert set(told.explained.kinds) == {Kind.HOT}


@pytest.mark.parametrize("defects", [1, 2, 9])
def test_a_beginning_and_an_end_are_dated_whatever_the_exposures(defects: int) -> None:
    body = Body(40, defects)
    body.there[:14, 0] = False
    body.there[31:, defects - 1] = False
    told = body.told()

    assert told.lives[0].first == pytest.approx(14, abs=2)
    assert told.lives[0].after == pytest.approx(13, abs=2)
    assert told.lives[-1].until == pytest.approx(31, abs=2)
    assert all(map(undated, told.lives[1:-1]))


@pytest.mark.parametrize("defects", [1, 2, 9])
def test_the_first_long_exposures_are_no_beginning(defects: int) -> None:
    body = Body(40, defects)
    body.offset[:] = 0
    body.dark[:] = 5e-4
    body.exposure[:] = SHORT
    body.exposure[22:] = LONG

    assert all(map(undated, body.told().lives))


def test_photos_whose_camera_took_its_defects_away_are_no_end() -> None:
    """Noise reduction of long exposures: 9 defects end at the same photos, or none."""
    body = Body(40, 9)
    body.gain[28:] = 0

    assert all(map(undated, body.told().lives))


def test_laws_are_of_the_photos_that_show_defects_even_where_half_do_not() -> None:
    """Weak gains in all others would explain them as well, but for what they cost."""
    body = Body(80, 9)
    body.offset[:] = np.linspace(0.05, 0.3, 9)
    body.gain[42:] = 0
    told = body.told()

    assert all(map(undated, told.lives))
    fitted = [told.explained.fit.law(number).offset for number in range(9)]
    assert fitted == pytest.approx(body.offset, rel=0.3)


def test_daylight_leaves_the_share_of_the_dark_rate_as_former_photos_had_it() -> None:
    """Any dark rate fits: one that was invented there would deny a defect by night."""
    body = Body(60, 5)
    body.exposure[:] = SHORT
    fit = body.told().explained.fit
    former = Law(0.06, 1e-4, 0.3)
    law = fit.law(0, former)

    assert law.dark / law.offset == pytest.approx(former.dark / former.offset)
    assert law.offset == pytest.approx(0.12, rel=0.1)


def test_a_beginning_of_its_own_brings_no_end_that_conditions_explain() -> None:
    body = Body(60, 9)
    body.there[:20, 4] = False
    body.gain[40:] = 0
    told = body.told()

    assert told.lives[4].first == pytest.approx(20, abs=2)
    assert [life.until for life in told.lives] == [None] * 9


def test_a_third_that_begins_at_one_photo_is_dated_as_the_others_go_on() -> None:
    body = Body(30, 12)
    body.there[:10, ::3] = False
    told = body.told()

    begun = [life.first for life in told.lives[::3]]
    assert begun == pytest.approx([10] * 4, abs=2)
    assert all(undated(life) for number, life in enumerate(told.lives) if number % 3)


def test_more_than_half_that_change_are_dated_if_the_others_go_on() -> None:
    body = Body(40, 12)
    body.there[20:, :7] = False
    told = body.told()

    assert all(life.until is not None for life in told.lives[:7])
    assert all(map(undated, told.lives[7:]))


def test_a_lone_defect_that_long_exposures_lack_has_no_end() -> None:
    """A camera that suppresses it there, and nothing to compare it with."""
    body = Body(40, 1)
    body.exposure[:] = SHORT
    body.exposure[30:] = LONG
    body.there[30:] = False

    assert undated(body.told().lives[0])


def test_the_zoom_moves_defects_from_their_places() -> None:
    body = Body(40, 8)
    body.focal = np.where(np.arange(40) % 2, 4.3, 17.0)
    wide = body.focal == 4.3
    body.moved[:, :4] = wide[:, None]
    body.moved[:, 4:] = ~wide[:, None]
    told = body.told(Axis.FOCAL)

    assert told.by_focal.all()
    assert all(map(undated, told.lives))


def test_photos_at_one_focal_length_that_could_not_show_it_move_nothing() -> None:
    """A prime lens in the night, and a zoom by day."""
    body = Body(40, 4)
    body.offset[:] = 0
    body.dark[:] = 5e-4
    body.focal = np.where(np.arange(40) % 2, 300.0, 50.0)
    body.exposure = np.where(body.focal == 300, LONG, SHORT)
    body.moved[:] = (body.focal == 300)[:, None]
    told = body.told(Axis.FOCAL)

    assert not told.by_focal.any()


def test_false_dates_are_rare_where_gains_vary() -> None:
    """Warm and cold photos in a row: 180 lives without a change."""
    invented = 0
    for seed in range(20):
        body = Body(40, 9, seed)
        body.gain = np.exp(np.cumsum(0.2 * body.rng.standard_normal(40)))
        invented += sum(not undated(life) for life in body.told().lives)

    assert invented <= 2
