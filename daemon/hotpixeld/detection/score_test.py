"""The score test: how far a site stands out of chance, in all photos or in a part of them.

The bounded residuals of a site, each over the variance of its surroundings, add up to a
sum whose standard deviation is known, so their ratio is a signal-to-noise ratio. The parts
are one stretch of time (the defect appeared, or healed), a range of exposures, and one of
focal lengths (lens correction moves a defect with the zoom); a choice among many
parts is paid for with the logarithm of their number.

Three things spoil this arithmetic of independent photos, and the control sites, ordinary
ones that are sampled in the same photos, show all three: photos that show the same things
share a vote (`vote_shares`, `local_shares`), the sensor's fixed pattern is noise that no
number of photos averages out (`grain`), and what scenes that keep their places add is
calibrated away (`calibrate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.detection.evidence import Conditions, Samples
    from hotpixeld.statistics.contrast import FloatArray

# Rounding to whole levels, and to JPEG's steps in smooth blocks.
ROUNDING = 0.5
# A sample does not count where more than this share (of 255) is clipped white.
CLIPPED = 64
# Photos whose residuals correlate over the controls, by more than so many standard
# errors, show the same things: they share a vote.
SAME = 3.0
CONTROL_BOUND = 3.0
# So do photos whose levels at the controls differ by less than this.
SAME_LEVEL = 3.0
# A control is fixed when it looks alike in more than this share of the photos, or varies
# by less than so many levels.
REPEATED, STEADY = 0.15, 4.0
# Surroundings are alike when at most so many of their 16 parts differ.
DIFFER = 1
# The sensor's fixed pattern is at least so strong (levels).
LEAST_GRAIN = 0.15
# The calibration leaves out the strongest, which may be defects, and the bulk of the
# controls.
FAIR = (1 / 128, 1 / 8)
LAST = (1 / 2, 1)
STEEPEST = 4.0
# At any place there may be a speck, a star or a bird: one photo counts for so many
# standard deviations at most.
SCORE_BOUND = 4.0
# Different scenes without which a part is no part.
LEAST_VOTES = 4.0
# What a stuck or dead site is drawn to; what only adds is the same in every light.
LEVELS = (0.0, 64.0, 128.0, 192.0, 255.0)
PULL = np.float32(64)
"""A pull is measured in this many levels away from where it draws to."""


class Axis(IntEnum):
    """Along what a part of the photos is cut out."""

    TIME = 0
    EXPOSURE = 1
    FOCAL = 2


@dataclass(slots=True)
class Residuals:
    """Samples as the test takes them; all (photos, sites) float32.

    Attributes
    ----------
    residual, spread, level
        As in `evidence.SAMPLE`, levels; the spread with rounding noise.
    share
        Of a vote: 0 where the photo does not count, 1 where it stands alone.
    """

    residual: FloatArray
    spread: FloatArray
    level: FloatArray
    share: FloatArray

    @classmethod
    def of(cls, samples: Samples) -> Residuals:
        """Return those of samples, each with a vote of its own."""
        spread = samples["spread"].astype(np.float32)
        counts = samples["clipped"] <= CLIPPED
        return cls(
            samples["residual"].astype(np.float32),
            np.hypot(spread, np.float32(ROUNDING)),
            samples["level"].astype(np.float32),
            counts.astype(np.float32),
        )

    def only(self, sites: slice | list[int]) -> Residuals:
        """Return those of some sites."""
        return Residuals(
            self.residual[:, sites],
            self.spread[:, sites],
            self.level[:, sites],
            self.share[:, sites],
        )


def _alike(pattern: NDArray[np.uint16]) -> FloatArray:
    """Return how many other photos look like each, (photos, N)."""
    alike = np.full(pattern.shape, -1, np.float32)
    for other in pattern:
        alike += np.bitwise_count(pattern ^ other) <= DIFFER
    return alike


def _changing(controls: Samples) -> NDArray[np.bool_]:
    """Return which controls see other things from photo to photo; all, if half do not."""
    others = max(len(controls) - 1, 1)
    repeated = _alike(controls["pattern"]).mean(axis=0) > REPEATED * others
    fixed = repeated | (controls["level"].std(axis=0) < STEADY)
    return ~fixed if fixed.mean() < 1 / 2 else np.ones_like(fixed)


def _differences(level: FloatArray) -> FloatArray:
    """Return by how many levels photos differ, root of the mean square, (photos, photos)."""
    power = np.square(level).mean(axis=1)
    square = power[:, None] + power - 2 * (level @ level.T) / level.shape[1]
    return np.asarray(np.sqrt(np.maximum(square, 0)), np.float32)


def vote_shares(controls: Samples) -> FloatArray:
    """Return each photo's share of a vote, (photos, 1): 1 over the number alike.

    Photos are alike as far as their residuals correlate over the controls, and wholly
    where their brightness agrees everywhere: nothing correlates in a black sky. Parts of
    the frame that never change, a border or a table, say nothing about the rest.

    Parameters
    ----------
    controls : (photos, C) of `evidence.SAMPLE`
    """
    controls = controls[:, _changing(controls)]
    residuals = Residuals.of(controls)
    ratio = np.clip(
        residuals.residual / residuals.spread, -CONTROL_BOUND, CONTROL_BOUND
    )
    ratio -= ratio.mean(axis=1, keepdims=True)
    ratio /= np.sqrt((ratio**2).mean(axis=1, keepdims=True)) + np.float32(1e-6)
    alike = ratio @ ratio.T / ratio.shape[1]
    alike = np.where(alike > SAME / np.sqrt(ratio.shape[1]), alike, 0)
    alike = np.maximum(alike, _differences(residuals.level) < SAME_LEVEL)
    np.fill_diagonal(alike, 1)
    return np.asarray(1 / alike.sum(axis=1, keepdims=True), np.float32)


def scenes(controls: Samples) -> float:
    """Return how many different scenes photos amount to, by their (photos, C) controls."""
    return float(vote_shares(controls).sum()) if len(controls) else 0.0


def local_shares(suspects: Samples, controls: Samples) -> FloatArray:
    """Return each sample's share of a vote: 1 over the photos that look alike there.

    Surroundings whose brighter parts are the same are the same surroundings: a bar, a
    caption, a wall behind a tripod. As many as look alike by chance, at ordinary places,
    do not count.

    Parameters
    ----------
    suspects : (photos, N) of `evidence.SAMPLE`
    controls : (photos, C) of `evidence.SAMPLE`
    """
    usual = _alike(controls["pattern"]).mean()
    more = _alike(suspects["pattern"]) - np.float32(usual)
    return np.asarray(1 / (1 + np.maximum(more, 0)), np.float32)


def grain(controls: Residuals) -> float:
    """Return the standard deviation of the sensor's fixed pattern, in levels.

    What the controls' mean residuals vary beyond the noise of these means.
    """
    weight = controls.share / controls.spread**2
    bound = CONTROL_BOUND * controls.spread
    bounded = np.clip(controls.residual, -bound, bound)
    total = weight.sum(axis=0) + np.float32(1e-9)
    mean = (weight * bounded).sum(axis=0) / total
    noise = ((weight * (bounded - mean)) ** 2).sum(axis=0) / total**2
    spread = 1.4826 * float(np.median(np.abs(mean - np.median(mean))))
    return max(
        float(np.sqrt(max(spread**2 - float(np.median(noise)), 0.0))), LEAST_GRAIN
    )


class Sums(NamedTuple):
    """Sums over photos, (photos, N) or (N,); all parts of a signal-to-noise ratio."""

    signal: FloatArray
    variance: FloatArray
    offset: FloatArray
    votes: FloatArray

    def snr(self, grain: float) -> FloatArray:
        """Return the signal-to-noise ratio; 0 where too few photos count.

        The sensor's ordinary fixed pattern, of standard deviation `grain`, is noise that
        no number of photos averages out.
        """
        noise = self.variance + np.square(grain * self.offset)
        ratio = self.signal / np.sqrt(np.maximum(noise, np.float32(1e-12)))
        return np.where(self.votes >= LEAST_VOTES, ratio, 0)


def terms(residuals: Residuals, level: float | None = None) -> Sums:
    """Return what each photo adds to the sums.

    Parameters
    ----------
    residuals : Residuals
        (photos, N).
    level : float, optional
        What the site is drawn to; None if it adds the same in every light.
    """
    ratio = np.clip(residuals.residual / residuals.spread, -SCORE_BOUND, SCORE_BOUND)
    weight = 1 / residuals.spread
    pull = 1.0 if level is None else (np.float32(level) - residuals.level) / PULL
    signal = residuals.share * ratio * weight * pull
    variance = residuals.share * np.square(weight * pull)
    offset = residuals.share * np.square(weight) * pull
    return Sums(
        np.asarray(signal, np.float32),
        np.asarray(variance, np.float32),
        np.asarray(offset, np.float32),
        residuals.share,
    )


def total(each: Sums) -> Sums:
    """Return the sums over all photos."""
    return Sums(*(term.sum(axis=0) for term in each))


@dataclass(slots=True)
class StrongestPart:
    """Of each site, the part of the photos in which it stands out most.

    Attributes
    ----------
    statistic : (N,) float32
        Half the squared signal-to-noise ratio, less what the choice costs; 0 or more.
    shown : (photos, N) bool
        The photos of that part.
    axis : (N,) int8
        Of `Axis`; all photos are a stretch of time.
    drawn_to : (N,) float32
        The level that it is drawn to; NaN where it adds the same in every light.
    """

    statistic: FloatArray
    shown: NDArray[np.bool_]
    axis: NDArray[np.int8]
    drawn_to: FloatArray

    def consider(
        self,
        statistic: FloatArray,
        inside: NDArray[np.bool_],
        axis: Axis,
        drawn_to: float = np.nan,
    ) -> None:
        """Take the photos `inside`, (photos, N) or (photos, 1), where that is more."""
        better = statistic > self.statistic
        self.shown[:, better] = np.broadcast_to(inside, self.shown.shape)[:, better]
        self.axis[better] = axis
        self.drawn_to[better] = drawn_to
        np.maximum(self.statistic, statistic, out=self.statistic)


def _grouped(each: Sums, group: NDArray[np.intp]) -> Sums:
    """Return the sums of each group of photos, (groups, N), from the first group on."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return Sums(*(np.add.reduceat(term[order], starts, axis=0) for term in each))


def _range(
    each: Sums, grain: float
) -> tuple[FloatArray, NDArray[np.intp], NDArray[np.intp]]:
    """Return the statistic, first and last row of each site's best range of rows."""
    rows, sites = each.signal.shape
    sums = Sums(*(np.cumsum(np.pad(term, ((1, 0), (0, 0))), axis=0) for term in each))
    best = np.full(sites, -np.inf, np.float32)
    bounds = np.zeros((2, sites), np.intp)
    site = np.arange(sites)
    for first in range(rows):
        part = Sums(*(term[first + 1 :] - term[first] for term in sums))
        statistic = np.square(part.snr(grain)) / 2
        last = statistic.argmax(axis=0)
        better = statistic[last, site] > best
        best[better] = statistic[last, site][better]
        bounds[0, better], bounds[1, better] = first, first + last[better]
    best -= np.float32(np.log(rows * (rows + 1) / 2))
    return best, bounds[0], bounds[1]


def _ranks(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the rank of each value among the different ones; the same for the same."""
    return np.unique(values, return_inverse=True)[1].astype(np.intp)


def strongest_part(
    residuals: Residuals, conditions: Conditions, grain: float
) -> StrongestPart:
    """Return the part of the photos in which each site stands out most.

    Parameters
    ----------
    residuals : Residuals
        Photos in order of capture time.
    conditions : Conditions
        Of the same photos.
    grain : float
        Standard deviation of the sensor's fixed pattern, levels.
    """
    each = terms(residuals)
    photos, sites = residuals.residual.shape
    whole = np.square(total(each).snr(grain)) / 2
    everything = np.ones((photos, 1), np.bool_)
    best = StrongestPart(
        np.asarray(whole, np.float32),
        np.ones((photos, sites), np.bool_),
        np.zeros(sites, np.int8),
        np.full(sites, np.nan, np.float32),
    )
    for level in LEVELS:
        pull = np.maximum(total(terms(residuals, level)).snr(grain), 0)
        statistic = np.square(pull) / 2 - np.log(len(LEVELS))
        statistic = np.asarray(statistic, np.float32)
        best.consider(statistic, everything, Axis.TIME, level)
    time = np.arange(photos)
    focal, exposure = _ranks(conditions.focal), _ranks(conditions.exposure)
    for axis, group in (
        (Axis.TIME, time),
        (Axis.EXPOSURE, exposure),
        (Axis.FOCAL, focal),
    ):
        if group.any():
            statistic, first, last = _range(_grouped(each, group), grain)
            inside = (group[:, None] >= first) & (group[:, None] <= last)
            best.consider(statistic, inside, axis)
    return best


def calibrate(
    controls: NDArray[np.floating], suspects: NDArray[np.floating], pixels: int
) -> tuple[float, float]:
    """Return scale and exponent of strength = scale * ratio ^ exponent under chance.

    Strengths are sqrt(2 statistic), ratios those of a Gaussian. Two ends hold the line: the
    controls, a fair sample, and the last of the suspects, which are among the extremes of
    all `pixels` but behind the defects. Scale and exponent are 1 where chance is as
    assumed, and greater where scenes repeat; what the model overrates is not credited.

    Parameters
    ----------
    controls : (C,) float
    suspects : (N,) float
        The most suspicious first.
    pixels : int
    """
    points = []
    for strengths, trials, part in (
        (np.sort(controls)[::-1], len(controls), FAIR),
        (suspects, pixels, LAST),
    ):
        first, last = (int(share * len(strengths)) for share in part)
        for rank in range(first, last):
            ratio = -NormalDist().inv_cdf((rank + 0.5) / trials)
            size = max(float(strengths[rank]), ratio)
            points.append((ratio, size, 1 / (last - first)))
    ratio, size, weight = np.array(points).T
    ratio, size = np.log(ratio), np.log(size)
    middle, height = np.average(ratio, weights=weight), np.average(size, weights=weight)
    slope = (weight * (ratio - middle) * (size - height)).sum() / (
        weight * (ratio - middle) ** 2
    ).sum()
    exponent = min(max(float(slope), 1.0), STEEPEST)
    return max(float(np.exp(height - exponent * middle)), 1.0), exponent
