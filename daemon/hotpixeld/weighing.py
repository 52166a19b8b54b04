"""Weighing: how far a site stands out of chance, in all photos or in a part of them.

A score test: the bounded residuals of a site, each over the variance of its surroundings,
add up to a sum whose standard deviation is known, so their ratio is a signal to noise
ratio. The parts are one stretch of time (the defect appeared, or healed), the longest
exposures, and a range of focal lengths (lens correction moves a defect with the zoom); a
choice among many parts is paid for with the logarithm of their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
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


@dataclass(frozen=True, slots=True)
class Taken:
    """How photos were taken; (photos,) float64 each, 0 where unknown.

    Attributes
    ----------
    exposure
        Time times ISO, any unit.
    focal
        Focal length, mm.
    """

    exposure: NDArray[np.float64]
    focal: NDArray[np.float64]

    @classmethod
    def unknown(cls, photos: int) -> Taken:
        """Return what is said of photos without EXIF."""
        return cls(np.zeros(photos), np.zeros(photos))


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


class Axis(IntEnum):
    """Along what a part of the photos is cut out."""

    TIME = 0
    EXPOSURE = 1
    FOCAL = 2


@dataclass(slots=True)
class Weighed:
    """The best part of each site.

    Attributes
    ----------
    weight : (N,) float32
        Half the squared signal to noise ratio, less what the choice costs; 0 or more.
    shown : (photos, N) bool
        The photos of that part.
    axis : (N,) int8
        Of `Axis`; all photos are a stretch of time.
    """

    weight: NDArray[np.float32]
    shown: NDArray[np.bool_]
    axis: NDArray[np.int8]

    def consider(self, weight: Grid, inside: NDArray[np.bool_], axis: Axis) -> None:
        """Take the photos `inside`, (photos, N) or (photos, 1), where they weigh more."""
        better = weight > self.weight
        self.shown[:, better] = np.broadcast_to(inside, self.shown.shape)[:, better]
        self.axis[better] = axis
        np.maximum(self.weight, weight, out=self.weight)


def _grouped(each: Sums, group: NDArray[np.intp]) -> Sums:
    """Return the sums of each group of photos, (groups, N), from the first group on."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return Sums(*(np.add.reduceat(one[order], starts, axis=0) for one in each))


def _range(each: Sums, grain: float) -> tuple[Grid, NDArray[np.intp], NDArray[np.intp]]:
    """Return the weight, first and last row of each site's best range of rows."""
    rows, sites = each.signal.shape
    sums = Sums(*(np.cumsum(np.pad(one, ((1, 0), (0, 0))), axis=0) for one in each))
    best = np.full(sites, -np.inf, np.float32)
    bounds = np.zeros((2, sites), np.intp)
    site = np.arange(sites)
    for first in range(rows):
        part = Sums(*(one[first + 1 :] - one[first] for one in sums))
        weight = np.square(part.snr(grain)) / 2
        last = weight.argmax(axis=0)
        better = weight[last, site] > best
        best[better] = weight[last, site][better]
        bounds[0, better], bounds[1, better] = first, first + last[better]
    best -= np.float32(np.log(rows * (rows + 1) / 2))
    return best, bounds[0], bounds[1]


def _longest(each: Sums, grain: float) -> tuple[Grid, NDArray[np.intp]]:
    """Return the weight and last row of each site's best number of first rows."""
    sums = Sums(*(np.cumsum(one, axis=0) for one in each))
    weight = np.square(sums.snr(grain)) / 2
    last = weight.argmax(axis=0)
    highest = weight[last, np.arange(weight.shape[1])]
    return np.asarray(highest - np.log(len(weight)), np.float32), last


def _groups(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the rank of each value among the different ones; the same for the same."""
    return np.unique(values, return_inverse=True)[1].astype(np.intp)


def weigh(told: Told, taken: Taken, grain: float) -> Weighed:
    """Return the best part of every site.

    Parameters
    ----------
    told : Told
        Photos in order of capture time.
    taken : Taken
        How these were.
    grain : float
        Standard deviation of the sensor's fixed pattern, levels.
    """
    each = terms(told)
    photos, sites = told.residual.shape
    whole = np.square(total(each).snr(grain)) / 2
    everything = np.ones((photos, 1), np.bool_)
    best = Weighed(
        np.asarray(whole, np.float32),
        np.ones((photos, sites), np.bool_),
        np.zeros(sites, np.int8),
    )
    for level in LEVELS:
        pull = np.maximum(total(terms(told, level)).snr(grain), 0)
        weight = np.square(pull) / 2 - np.log(len(LEVELS))
        best.consider(np.asarray(weight, np.float32), everything, Axis.TIME)
    time = np.arange(photos)
    focal, exposure = _groups(taken.focal), _groups(-taken.exposure)
    for axis, group in ((Axis.TIME, time), (Axis.FOCAL, focal)):
        if group.any():
            found, first, last = _range(_grouped(each, group), grain)
            inside = (group[:, None] >= first) & (group[:, None] <= last)
            best.consider(found, inside, axis)
    if exposure.any():
        found, last = _longest(_grouped(each, exposure), grain)
        best.consider(found, exposure[:, None] <= last, Axis.EXPOSURE)
    return best
