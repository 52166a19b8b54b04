"""Weighing: the best hypothesis of each site, over all photos or a part of them.

The parts are one stretch of time (the defect appeared, or healed) and the longer exposures
only. A choice among many parts is paid for with the logarithm of their number, and what
the sensor's ordinary grain explains as well does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import likelihood

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.calibration import Plane
    from hotpixeld.likelihood import Grid, Hypothesis

# The sensor's grain is tried at so many of its standard deviations.
GRAINS = tuple(sign * step for sign in (-1, 1) for step in (1, 2, 3, 4, 5, 6, 8, 10))


@dataclass(slots=True)
class Weighed:
    """The best hypothesis of each site of a plane.

    Attributes
    ----------
    weight : (N,) float32
        Logarithm of the likelihood ratio to chance, 0 or more.
    index : (N,) intp
        Number of the hypothesis, -1 for none.
    support : (photos, N) float32
        Each photo's vote for it.
    shown : (photos, N) bool
        The photos of the best part.
    """

    weight: NDArray[np.float32]
    index: NDArray[np.intp]
    support: Grid
    shown: NDArray[np.bool_]


def _stretch(votes: Grid) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the largest sum of any stretch of photos less its cost, and the stretch.

    A choice among so many stretches costs the logarithm of their number.
    """
    photos = len(votes)
    sums = np.concatenate([np.zeros_like(votes[:1]), np.cumsum(votes, axis=0)])
    lowest = np.minimum.accumulate(sums[:-1], axis=0)
    rise = sums[1:] - lowest
    last = rise.argmax(axis=0)
    number = np.arange(photos)[:, None]
    first = np.where(number <= last, sums[:-1], np.inf).argmin(axis=0)
    inside = (number >= first) & (number <= last)
    return rise.max(axis=0) - np.float32(np.log(photos * (photos + 1) / 2)), inside


def _longest(
    votes: Grid, order: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the largest sum over the longest exposures less its cost, and these."""
    photos = len(votes)
    sums = np.cumsum(votes[order], axis=0)
    rank = np.empty(photos, np.intp)
    rank[order] = np.arange(photos)
    inside = rank[:, None] <= sums.argmax(axis=0)
    return sums.max(axis=0) - np.float32(np.log(photos)), inside


def _best_part(
    votes: Grid, order: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the best sum over all photos, a stretch, or the longest exposures."""
    weight = votes.sum(axis=0)
    shown = np.ones(votes.shape, np.bool_)
    for other, inside in (_stretch(votes), _longest(votes, order)):
        better = other > weight
        weight = np.where(better, other, weight)
        shown[:, better] = inside[:, better]
    return weight, shown


def _highest(votes: Grid, order: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the weight alone of `_best_part`, in less time."""
    photos = len(votes)
    sums = np.cumsum(votes, axis=0)
    lowest = np.minimum.accumulate(np.minimum(sums, 0), axis=0)
    rise = np.maximum(sums[0], (sums[1:] - lowest[:-1]).max(axis=0, initial=-np.inf))
    longest = np.cumsum(votes[order], axis=0).max(axis=0)
    rise -= np.float32(np.log(photos * (photos + 1) / 2))
    longest -= np.float32(np.log(photos))
    return np.asarray(np.maximum(sums[-1], np.maximum(rise, longest)), np.float32)


def _choose(
    plane: Plane, options: list[Hypothesis], order: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return the number of the best option for each site, -1 where none beats chance."""
    best = np.zeros(plane.residual.shape[1], np.float32)
    index = np.full(len(best), -1, np.intp)
    for number, option in enumerate(options):
        votes = likelihood.votes(option, plane.residual, plane.spread, plane.level)
        votes *= plane.share
        weight = _highest(votes, order)
        better = weight > best
        best[better], index[better] = weight[better], number
    return index


def _excuse(
    plane: Plane, shown: NDArray[np.bool_], grain: float
) -> NDArray[np.float32]:
    """Return how much of the weight the sensor's ordinary grain explains as well.

    Grain is Gaussian over the sites: an offset of k standard deviations costs k^2 / 2.
    """
    part = np.where(shown, plane.share, 0)
    excuse = np.zeros(part.shape[1], np.float32)
    for sigmas in GRAINS:
        votes = likelihood.grain_votes(sigmas * grain, plane.residual, plane.spread)
        explained = (votes * part).sum(axis=0) - np.float32(sigmas**2 / 2)
        np.maximum(excuse, explained, out=excuse)
    return excuse


def weigh(
    plane: Plane, options: list[Hypothesis], order: NDArray[np.intp], grain: float
) -> Weighed:
    """Return the best hypothesis of every site in one plane.

    Parameters
    ----------
    plane : Plane
        Photos in order of capture time.
    options : list of Hypothesis
    order : (photos,) intp
        The photos from the longest exposure to the shortest.
    grain : float
        Standard deviation of the sensor's fixed pattern, levels.
    """
    index = _choose(plane, options, order)
    support = np.zeros_like(plane.residual)
    for number in np.unique(index[index >= 0]).tolist():
        which = index == number
        support[:, which] = likelihood.votes(
            options[number],
            plane.residual[:, which],
            plane.spread[:, which],
            plane.level[:, which],
        )
    support *= plane.share
    weight, shown = _best_part(support, order)
    weight -= _excuse(plane, shown, grain)
    return Weighed(np.maximum(weight, 0), index, support, shown)
