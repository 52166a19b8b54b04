"""Weighing: how far a site stands out of chance, in all photos or in a part of them.

A score test: the bounded residuals of a site, each over the variance of its surroundings,
add up to a sum whose standard deviation is known, so their ratio is a signal to noise
ratio. The parts are one stretch of time (the defect appeared, or healed) and the longest
exposures; a choice among many parts is paid for with the logarithm of their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.calibration import Grid, Told

# At any place there may be a speck, a star or a bird: one photo counts for so many
# standard deviations at most.
BOUND = 4.0
# Different scenes without which a part is no part.
LEAST_VOTES = 4.0
# What a stuck or dead site is drawn to; what only adds is the same in every light.
LEVELS = (0.0, 64.0, 128.0, 192.0, 255.0)
PULL = np.float32(64)
"""A pull is measured in this many levels away from where it draws to."""


class Sums(NamedTuple):
    """Sums over photos, (photos, N) or (N,); all parts of a signal to noise ratio."""

    signal: Grid
    variance: Grid
    offset: Grid
    votes: Grid

    def snr(self, grain: float) -> Grid:
        """Return the signal to noise ratio; 0 where too few photos tell.

        The sensor's ordinary fixed pattern, of standard deviation `grain`, is noise that
        no number of photos averages out.
        """
        noise = self.variance + np.square(grain * self.offset)
        ratio = self.signal / np.sqrt(np.maximum(noise, np.float32(1e-12)))
        return np.where(self.votes >= LEAST_VOTES, ratio, 0)


def terms(told: Told, level: float | None = None) -> Sums:
    """Return what each photo adds to the sums.

    Parameters
    ----------
    told : Told
        (photos, N).
    level : float, optional
        What the site is drawn to; None if it adds the same in every light.
    """
    ratio = np.clip(told.residual / told.spread, -BOUND, BOUND)
    weight = 1 / told.spread
    pull = 1.0 if level is None else (np.float32(level) - told.level) / PULL
    signal = told.share * ratio * weight * pull
    variance = told.share * np.square(weight * pull)
    offset = told.share * np.square(weight) * pull
    return Sums(
        np.asarray(signal, np.float32),
        np.asarray(variance, np.float32),
        np.asarray(offset, np.float32),
        told.share,
    )


def total(each: Sums) -> Sums:
    """Return the sums over all photos."""
    return Sums(*(one.sum(axis=0) for one in each))


def _from_first(each: Sums) -> Sums:
    """Return the running sums, with a row of zeros before the first photo."""
    return Sums(*(np.cumsum(np.pad(one, ((1, 0), (0, 0))), axis=0) for one in each))


@dataclass(slots=True)
class Weighed:
    """The best part of each site.

    Attributes
    ----------
    weight : (N,) float32
        Half the squared signal to noise ratio, less what the choice costs; 0 or more.
    shown : (photos, N) bool
        The photos of that part.
    """

    weight: NDArray[np.float32]
    shown: NDArray[np.bool_]

    def consider(
        self, weight: Grid, first: NDArray[np.intp], last: NDArray[np.intp]
    ) -> None:
        """Take the photos from `first` to before `last` where they weigh more."""
        better = weight > self.weight
        number = np.arange(len(self.shown))[:, None]
        inside = (number >= first) & (number < last)
        self.shown[:, better] = inside[:, better]
        np.maximum(self.weight, weight, out=self.weight)


def _stretches(each: Sums, grain: float, best: Weighed) -> None:
    """Consider every stretch of photos."""
    sums = _from_first(each)
    photos, sites = each.signal.shape
    cost = np.log(photos * (photos + 1) / 2)
    for first in range(photos):
        part = Sums(*(one[first + 1 :] - one[first] for one in sums))
        weight = np.square(part.snr(grain)) / 2
        last = weight.argmax(axis=0)
        highest = weight[last, np.arange(sites)] - np.float32(cost)
        best.consider(highest, np.full(sites, first), first + 1 + last)


def _longest(
    each: Sums, grain: float, exposure: NDArray[np.float64], best: Weighed
) -> None:
    """Consider the longest exposures, down to any that differs from the next."""
    order = np.argsort(-exposure, kind="stable")
    falls = exposure[order[1:]] < exposure[order[:-1]]
    ends = np.flatnonzero(falls)
    if not ends.size:
        return
    sums = Sums(*(np.cumsum(one[order], axis=0)[ends] for one in each))
    weight = np.square(sums.snr(grain)) / 2
    last = weight.argmax(axis=0)
    highest = weight[last, np.arange(weight.shape[1])] - np.float32(np.log(len(ends)))
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    better = highest > best.weight
    best.shown[:, better] = (rank[:, None] <= ends[last])[:, better]
    np.maximum(best.weight, highest, out=best.weight)


def weigh(told: Told, exposure: NDArray[np.float64], grain: float) -> Weighed:
    """Return the best part of every site.

    Parameters
    ----------
    told : Told
        Photos in order of capture time.
    exposure : (photos,) float64
        Any unit; 0 where unknown.
    grain : float
        Standard deviation of the sensor's fixed pattern, levels.
    """
    each = terms(told)
    whole = np.square(total(each).snr(grain)) / 2
    best = Weighed(
        np.asarray(whole, np.float32), np.ones(told.residual.shape, np.bool_)
    )
    photos, sites = told.residual.shape
    for level in LEVELS:
        pull = np.maximum(total(terms(told, level)).snr(grain), 0)
        weight = np.square(pull) / 2 - np.log(len(LEVELS))
        best.consider(
            np.asarray(weight, np.float32),
            np.zeros(sites, np.intp),
            np.full(sites, photos),
        )
    _stretches(each, grain, best)
    _longest(each, grain, exposure, best)
    return best
