"""The law of light: fitted to photos of a known one, and what is expected by it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hotpixeld.defect import Law
from hotpixeld.detection import light
from hotpixeld.detection.score_test import Residuals

EXPOSURES = np.array([0.1, 1.5, 12.0, 200.0, 800.0])
"""Seconds times ISO: 1/1000 s at ISO 100, to 2 s at ISO 400."""


class Body:
    """A camera whose defects and photos follow the law, with noise."""

    def __init__(self, photos: int, defects: int, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = photos, defects
        self.exposure = self.rng.choice(EXPOSURES, photos)
        self.level = self.rng.uniform(20, 200, self.shape)
        self.offset = self.rng.uniform(0.02, 0.2, defects)
        self.dark = 10 ** self.rng.uniform(-4, -3, defects)
        self.gain = np.ones(photos)
        self.celsius = np.full(photos, math.nan)
        self.inside = np.ones(self.shape, np.bool_)

    def residuals(self) -> Residuals:
        """Return samples in levels at the centre."""
        strength = self.offset + self.dark * self.exposure[:, None]
        added = (262 - self.level) * -np.expm1(-self.gain[:, None] * strength)
        added *= self.inside
        spread = self.rng.uniform(0.7, 3, self.shape)
        scatter = 1 + 0.1 * self.rng.standard_normal(self.shape)
        noise = spread * self.rng.standard_t(5, self.shape)
        arrays = added * scatter + noise, spread, self.level, np.ones(self.shape)
        return Residuals(*(each.astype(np.float32) for each in arrays))

    def fit(self, inside: np.ndarray | None = None) -> light.Fit:
        known = np.ones(self.shape, np.bool_) if inside is None else inside
        return light.fit(self.residuals(), self.exposure, self.celsius, known, {})


def test_offset_and_dark_rate_are_told_apart() -> None:
    body = Body(60, 12)
    found = body.fit()

    np.testing.assert_allclose(found.laws.offset, body.offset, rtol=0.2, atol=0.01)
    np.testing.assert_allclose(found.laws.dark, body.dark, rtol=0.2)
    assert found.scatter <= 0.2
    assert found.drift <= 0.1


def test_exposures_that_are_all_the_same_tell_the_offset_alone() -> None:
    body = Body(40, 5)
    body.exposure[:] = 0
    found = body.fit()

    np.testing.assert_allclose(found.laws.offset, body.offset, rtol=0.2, atol=0.01)
    assert not found.laws.dark.any()


def test_an_offset_that_photos_hardly_tell_is_not_expected() -> None:
    """All are of the night but one in ten; what is dark alone votes for nothing by day."""
    body = Body(60, 6)
    body.offset[:] = 0
    body.exposure[:] = body.rng.choice(EXPOSURES[2:], 60)
    body.exposure[::10] = EXPOSURES[0]
    found = body.fit()

    assert found.expected[::10].max() < 0.5
    np.testing.assert_allclose(found.laws.dark, body.dark, rtol=0.2)


def test_photos_before_it_began_do_not_weaken_a_law() -> None:
    body = Body(60, 12)
    body.inside[:30, 0] = False
    found = body.fit(body.inside)

    assert found.laws.offset[0] == pytest.approx(body.offset[0], rel=0.2, abs=0.01)


def test_the_warmth_of_a_photo_is_that_of_its_other_defects() -> None:
    body = Body(60, 12)
    body.gain[::2] = 0.5
    found = body.fit()
    added = found.expected / (262 - body.level)
    strength = -np.log1p(-added) / (body.offset + body.dark * body.exposure[:, None])
    cold, warm = np.median(strength[::2]), np.median(strength[1::2])

    assert cold / warm == pytest.approx(0.5, abs=0.05)
    assert found.drift >= 0.2


def test_the_cameras_temperature_tells_it_where_it_is_written() -> None:
    body = Body(80, 8)
    body.celsius[:] = body.rng.uniform(10, 45, 80)
    body.gain = 2 ** ((body.celsius - 27) / 7)
    found = body.fit()

    assert 6 <= found.doubling <= 8.5
    assert found.drift <= 0.2
    assert found.celsius == pytest.approx(np.median(body.celsius))
    law = found.law(0)
    warmer = law.gain(law.celsius + law.doubling if law.celsius else None)
    assert warmer == pytest.approx(2)


def test_a_photo_without_its_defects_votes_against_none_of_them() -> None:
    """The camera took them away: what all lack says nothing of one."""
    body = Body(40, 8)
    body.gain[7] = 0
    found = body.fit()

    assert abs(found.votes[7]).max() < 0.2
    assert found.votes[8].mean() > 1


def test_a_photo_that_lacks_one_of_many_votes_against_that_one() -> None:
    body = Body(40, 8)
    body.inside[20:, 2] = False
    found = body.fit(body.inside)
    away = found.votes[20:, 2]

    assert away.sum() < -10
    assert found.votes[20:, [0, 1, 3, 4]].sum(axis=0).min() > 10


def test_where_nothing_is_expected_absence_says_nothing() -> None:
    body = Body(60, 4)
    body.offset[:] = 0
    body.exposure[:40] = 0.01
    body.exposure[40:] = 400.0
    found = body.fit()

    assert abs(found.votes[:40].sum(axis=0)).max() < 2
    assert found.votes[40:].sum(axis=0).min() > 20


@pytest.mark.parametrize("scatter", [0.1, 0.3])
def test_the_probability_to_see_it_is_calibrated(scatter: float) -> None:
    """In ten bins of what was predicted, as much is seen."""
    rng = np.random.default_rng(3)
    law = Law(0.05, 0.001, scatter, 0.3)
    exposure, level = rng.choice(EXPOSURES, 40000), rng.uniform(20, 240, 40000)
    spread = rng.uniform(0.5, 12, 40000)
    unknown = np.zeros(40000)
    alone = Residuals(
        *(
            each.astype(np.float32)[:, None]
            for each in (unknown, spread, level, unknown)
        )
    )
    everywhere = np.ones((40000, 1), np.bool_)
    expected = light.Expected.of(
        alone, exposure, np.full(40000, math.nan), everywhere, [law]
    )
    predicted = expected.seen(3 * spread[:, None])[:, 0]
    gain = np.exp(law.drift * rng.standard_normal(40000))
    added = (262 - level) * -np.expm1(-gain * (law.offset + law.dark * exposure))
    wide = np.hypot(spread, scatter * added)
    seen = added + wide * rng.standard_t(5, 40000) >= 3 * spread
    bins = np.minimum((predicted * 10).astype(int), 9)

    for number in range(10):
        inside = bins == number
        if inside.sum() > 200:
            assert seen[inside].mean() == pytest.approx(
                predicted[inside].mean(), abs=0.05
            )


def test_photos_that_show_none_of_the_defects_have_no_vote() -> None:
    body = Body(60, 12)
    body.gain[::3] = 0
    found = body.fit()

    assert (found.unseen[::3] > light.LIKELIER).mean() > 0.9
    assert not found.votes[found.unseen > light.LIKELIER].any()
    assert np.abs(found.votes[::3].sum(axis=0)).max() < 2
    assert found.votes[1::3].sum(axis=0).min() > 10


def test_the_law_in_one_photo_is_that_of_the_fit() -> None:
    body = Body(10, 2)
    found = replace(body.fit(), celsius=20.0)
    law = found.law(1)
    strength = law.offset + law.dark * 0.5 * 400

    assert law.amplitude(62, 0.5, 400) == pytest.approx(-200 * math.expm1(-strength))
    assert law.amplitude(62, None, 400) == pytest.approx(-200 * math.expm1(-law.offset))
    assert law.gain(None) == 1
