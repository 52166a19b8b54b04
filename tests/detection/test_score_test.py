"""The score test and its calibration, on simulated samples whose distribution is known.

Every bound is three to four standard errors of what it bounds, but where it says other.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.detection import score_test, verdict
from hotpixeld.detection.evidence import SAMPLE, Conditions
from hotpixeld.detection.score_test import Axis, Residuals

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotpixeld.detection.evidence import Samples

    Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

SPREAD = 4.0
PHOTOS = 24
CONTROLS = 512
PIXELS = 12_000_000


def gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_normal(shape)


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Student's t with 5 degrees of freedom, of variance 1."""
    return np.asarray(rng.standard_t(5, shape) * np.sqrt(3 / 5))


NOISES = pytest.mark.parametrize("noise", [gaussian, heavy])


def samples(residual: np.ndarray, seed: int = 0) -> Samples:
    """Return samples of different scenes with residuals in units of `SPREAD`."""
    rng = np.random.default_rng((seed, 1))
    out = np.zeros(residual.shape, SAMPLE)
    out["residual"], out["spread"] = residual * SPREAD, SPREAD
    out["level"] = rng.integers(30, 220, residual.shape)
    out["pattern"] = rng.integers(0, 1 << 16, residual.shape)
    return out


def pure(seed: int, photos: int = PHOTOS, sites: int = CONTROLS) -> Samples:
    return samples(gaussian(np.random.default_rng(seed), (photos, sites)), seed)


@pytest.mark.parametrize("count", [1, 3, 24])
def test_photos_that_are_the_same_share_one_vote(count: int) -> None:
    shares = score_test.vote_shares(pure(1, 1).repeat(count, axis=0))

    assert shares.shape == (count, 1)
    assert shares.sum() == pytest.approx(1)


def test_independent_photos_have_a_vote_each() -> None:
    """Of 276 pairs 0.4 correlate by chance beyond 3 standard errors; a pair costs 0.3."""
    votes = score_test.vote_shares(pure(2)).sum()

    assert PHOTOS - 1 < votes <= PHOTOS


def test_scenes_are_counted_however_often_each_was_taken() -> None:
    scenes = pure(3, photos=4)
    repeated = np.repeat(scenes, [1, 2, 5, 9], axis=0)

    assert score_test.scenes(repeated) == pytest.approx(score_test.scenes(scenes))
    assert score_test.scenes(scenes) == pytest.approx(4)
    assert score_test.scenes(repeated[:0, :0]) == 0


def test_black_photos_share_a_vote_although_nothing_correlates() -> None:
    black = pure(4)
    black["level"] = 3

    assert score_test.vote_shares(black).sum() == pytest.approx(1)


def test_a_border_that_never_changes_says_nothing_about_the_photos() -> None:
    """A third of the controls are the same in all photos."""
    framed = pure(5)
    framed[:, : CONTROLS // 3] = framed[0, : CONTROLS // 3]

    assert score_test.vote_shares(framed).sum() > PHOTOS - 1


def test_surroundings_that_look_alike_share_a_vote_at_that_site_alone() -> None:
    suspects, controls = pure(6, sites=3), pure(7)
    suspects["pattern"][:, 1] = 0x0FF0

    votes = score_test.local_shares(suspects, controls).sum(axis=0)

    assert votes[1] == pytest.approx(1, abs=0.02)
    assert votes[[0, 2]] == pytest.approx(PHOTOS, rel=0.02)


def test_the_order_of_photos_does_not_matter_to_votes_and_grain() -> None:
    controls = np.concatenate([pure(8), pure(8)[:6]])
    order = np.random.default_rng(8).permutation(len(controls))

    shares, shuffled = map(score_test.vote_shares, (controls, controls[order]))

    np.testing.assert_allclose(shuffled, shares[order], rtol=1e-5)
    np.testing.assert_allclose(
        score_test.local_shares(controls[order], controls[order]),
        score_test.local_shares(controls, controls)[order],
        rtol=1e-5,
    )
    grains = [
        score_test.grain(Residuals.of(each)) for each in (controls, controls[order])
    ]
    assert grains[1] == pytest.approx(grains[0], rel=1e-4)


@pytest.mark.parametrize("pattern", [0.5, 1.0, 2.0])
def test_grain_is_the_spread_of_the_fixed_pattern(pattern: float) -> None:
    """Its variance is that of the means, less their noise of SPREAD^2 / photos."""
    rng = np.random.default_rng(9)
    photos = 60
    fixed = rng.standard_normal(CONTROLS) * pattern / SPREAD
    controls = samples(gaussian(rng, (photos, CONTROLS)) + fixed)
    # A median absolute deviation has a relative standard error of 1.17 / sqrt(C).
    error = 2 * 1.17 / np.sqrt(CONTROLS) * (pattern**2 + SPREAD**2 / photos)

    variance = score_test.grain(Residuals.of(controls)) ** 2

    assert variance == pytest.approx(pattern**2, abs=3 * error)


@NOISES
def test_the_ratio_of_pure_noise_is_standard_normal(noise: Noise) -> None:
    """Rounding noise (0.5 beside 4) and the bound take at most 4 % off; nothing adds."""
    rng = np.random.default_rng(10)
    shape = (PHOTOS, 4000)
    drawn = noise(rng, shape)

    ratio = score_test.total(score_test.terms(Residuals.of(samples(drawn)))).snr(0)

    error = 1 / np.sqrt(2 * ratio.size)
    assert 0.96 - 4 * error < ratio.std() < 1 + 4 * error
    assert ratio.mean() == pytest.approx(0, abs=4 / np.sqrt(ratio.size))
    for size in (1.0, 2.0, 3.0):
        expected = NormalDist().cdf(-size) * ratio.size
        assert (ratio > size).sum() < expected + 4 * np.sqrt(expected)


def chance(scale: float, exponent: float) -> tuple[np.ndarray, np.ndarray]:
    """Return strengths of controls and suspects of `PIXELS` that chance stretches so."""

    def quantiles(count: int, trials: int) -> np.ndarray:
        ranks = np.arange(count) + 0.5
        return np.array([-NormalDist().inv_cdf(rank / trials) for rank in ranks])

    def stretched(ratio: np.ndarray) -> np.ndarray:
        return np.asarray(scale * np.maximum(ratio, 0) ** exponent)

    return (
        stretched(quantiles(CONTROLS, CONTROLS)),
        stretched(quantiles(400, PIXELS)),
    )


@pytest.mark.parametrize(("scale", "exponent"), [(1.0, 1.0), (1.6, 1.0), (1.3, 1.7)])
def test_calibration_learns_how_chance_stretches_the_ratios(
    scale: float, exponent: float
) -> None:
    assert score_test.calibrate(*chance(scale, exponent), PIXELS) == pytest.approx(
        (scale, exponent), rel=1e-6
    )


def test_what_the_model_overrates_is_not_credited() -> None:
    assert score_test.calibrate(*chance(0.5, 1.0), PIXELS) == pytest.approx((1, 1))


def test_defects_among_the_first_suspects_do_not_move_the_calibration() -> None:
    controls, suspects = chance(1.2, 1.2)
    with_defects = suspects.copy()
    with_defects[: len(suspects) // 2] *= 9

    assert score_test.calibrate(controls, with_defects, PIXELS) == pytest.approx(
        score_test.calibrate(controls, suspects, PIXELS)
    )


def frame_of_noise(seed: int, noise: Noise) -> tuple[Samples, Samples, int]:
    """Return suspects, controls and pixels of a frame without a defect."""
    rng = np.random.default_rng(seed)
    shape = (PHOTOS, 8000)
    drawn = noise(rng, shape)
    whole = samples(drawn, seed)
    strength = np.abs(score_test.total(score_test.terms(Residuals.of(whole))).snr(0))
    order = np.argsort(-strength)
    controls = rng.choice(shape[1], CONTROLS, replace=False)
    return whole[:, order[:150]], whole[:, controls], shape[1]


@NOISES
def test_chance_gives_no_more_false_alarms_than_claimed(noise: Noise) -> None:
    """Over 12 frames, those claimed to be one in a frame or rarer: about 12 by chance."""
    expected = np.concatenate(
        [verdict.judge(*frame_of_noise(seed, noise)).false_alarms for seed in range(12)]
    )

    for claimed in (1.0, 3.0):
        most = 12 * claimed
        number = int((expected < claimed).sum())
        assert number <= most + 4 * np.sqrt(most), claimed
    assert (expected < 20).sum() > 12  # it errs to silence, and is not blind


def test_the_score_grows_with_the_defect_and_falls_as_the_controls_vary_more() -> None:
    suspects, controls, pixels = frame_of_noise(30, gaussian)
    amplitudes = np.arange(0, 5, 0.5) * SPREAD
    suspects["residual"][:, : len(amplitudes)] = 0
    suspects["residual"][:, : len(amplitudes)] += amplitudes.astype(np.float16)
    restless = controls.copy()
    # What repeats at a control in all photos, as the scenes of a tripod do.
    restless["residual"] += (
        np.random.default_rng(31).standard_normal(CONTROLS) * SPREAD
    ).astype(np.float16)

    score = verdict.judge(suspects, controls, pixels).score[: len(amplitudes)]
    doubted = verdict.judge(suspects, restless, pixels).score[: len(amplitudes)]

    assert (np.diff(score) >= 0).all()
    assert score[-1] > 6
    assert (doubted[2:] < score[2:]).all()


def strongest(residual: np.ndarray, conditions: Conditions) -> score_test.StrongestPart:
    residuals = Residuals.of(samples(residual))
    return score_test.strongest_part(residuals, conditions, 0.0)


def test_the_strongest_part_is_that_which_shows_the_defect() -> None:
    """By time, by exposure and by focal length, of one site each; the last shows all."""
    number = np.arange(32)
    exposure = (number * 7 % 32 + 1).astype(np.float64)
    focal = (number * 5 % 8 + 4).astype(np.float64)
    shown = np.stack(
        [(number >= 9) & (number < 25), exposure > 20, focal >= 9, number >= 0], axis=1
    )

    part = strongest(
        np.where(shown, 3.0, 0.0),
        Conditions(exposure, focal, np.full(len(focal), np.nan)),
    )

    assert part.axis.tolist() == [Axis.TIME, Axis.EXPOSURE, Axis.FOCAL, Axis.TIME]
    assert np.array_equal(part.shown, shown)


def test_fewer_than_four_votes_are_no_part() -> None:
    residual = np.zeros((32, 1))
    residual[5:8] = 4.0

    part = strongest(residual, Conditions.unknown(32))

    # Four photos, one of them without it; and what the choice among all stretches costs.
    ratio = 3 * 4 * SPREAD / np.hypot(SPREAD, score_test.ROUNDING) / np.sqrt(4)
    assert part.shown.sum() == 4
    assert part.statistic[0] == pytest.approx(
        ratio**2 / 2 - np.log(32 * 33 / 2), rel=1e-3
    )
