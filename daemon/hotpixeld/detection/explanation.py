"""Explanations: what made the samples of each defect, and how single photos vote for that.

A hot pixel follows the law of light (`light`); a stuck one shows a level of its own whatever
the surroundings, a dead one is stuck at black or takes away, and each of them weakly when a
JPEG or a neighbour has dulled it. What explains the photos best is taken. A photo votes with
the logarithm of how much likelier its residual is under that than under chance, which has
the heavy tails that scenes have: nothing where nothing was expected, and nothing where the
camera's other defects are missing as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld.defect import WHITE, Kind
from hotpixeld.detection import light
from hotpixeld.detection.verdict import VISIBLE
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hotpixeld.defect import Law
    from hotpixeld.detection.evidence import Conditions, Samples
    from hotpixeld.detection.light import Fit
    from hotpixeld.detection.score_test import Residuals
    from hotpixeld.statistics.contrast import FloatArray

# What a stuck or dead site shows varies with its neighbours.
VARIATION = 0.3
# What a stuck or dead site is drawn to.
LEVELS = np.arange(0, 256, 17, dtype=np.float32)
# What is drawn to a level has had many to choose from.
CHARGE = float(np.log(len(LEVELS)))
# A weak pull to white is a hot pixel, too, of one colour perhaps, unless photos show that it
# takes away as well.
BRIGHT, WEAK = 150.0, 0.3
HALF = 0.5
# Of `Pull`: samples that are clipped to less than half; as many as two numbers and a scatter
# want; how far its slope may be expected to lie off 0; until it moves no more.
CLIPPED, FEWEST, LIKELY_SLOPE, ROUNDS, MAD = 128, 6, 0.5, 8, 1.4826


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about N sites of a camera.

    Attributes
    ----------
    contrast : Residuals
        (photos, N), as sampled.
    centre : Residuals
        The same in levels at the centre; see `light.at_centre`.
    conditions : Conditions
        Of the photos.
    known : mapping of int to Law
        By number of the site: what former photos told, where that is to hold.
    silent : tuple of int
        Numbers of sites that tell nothing of the gains of photos.
    """

    contrast: Residuals
    centre: Residuals
    conditions: Conditions
    known: Mapping[int, Law]
    silent: tuple[int, ...] = ()

    @classmethod
    def about(
        cls,
        suspects: Samples,
        contrast: Residuals,
        shown: NDArray[np.bool_],
        conditions: Conditions,
    ) -> Question:
        """Return what is asked about sites, by their samples.

        Parameters
        ----------
        suspects : (photos, N) of `evidence.SAMPLE`
        contrast : Residuals
            Of the same.
        shown : (photos, N) bool
            The photos in which each stands out.
        conditions : Conditions
        """
        centre = light.at_centre(contrast, suspects["peak"], shown)
        return cls(contrast, centre, conditions, {})

    def with_former(self, laws: Mapping[int, Law], proven: int) -> Question:
        """Return it with laws of former photos, for what these photos do not prove.

        Parameters
        ----------
        laws : mapping of int to Law
            By number of the site.
        proven : int
            Sites that these photos prove, the first ones: how they show now, by their
            former laws, says how all do.
        """
        known = {number: law for number, law in laws.items() if number >= proven}
        again = [number for number in laws if number < proven]
        factor = light.stronger(
            self.centre.only(again),
            [laws[number] for number in again],
            self.conditions.exposure,
        )
        return replace(
            self, known={number: law.times(factor) for number, law in known.items()}
        )


@dataclass(frozen=True, slots=True)
class Explained:
    """What explains N sites, if each was there in some photos and not in the others.

    Attributes
    ----------
    kinds : tuple of N Kind
        Stuck where a hot one that saturates explains the photos as well.
    votes : (photos, N) float32
        Of each photo: above 0 where the defect is likelier to be there than not.
    fit : Fit
        Of the laws.
    """

    kinds: tuple[Kind, ...]
    votes: FloatArray
    fit: Fit


class Pull(NamedTuple):
    """What draws a stuck or dead site, as photos show it: towards a level of its own.

    What it adds to surroundings of a level is `constant` + `slope` x level; a dead one has a
    slope alone, a stuck one that shows L has L and -1.

    Attributes
    ----------
    constant, slope : float
        In levels of luma at the centre, and per level of the surroundings.
    scatter : float
        Standard deviation of what single photos show about that, in levels.
    photos : int
        That told.
    """

    constant: float
    slope: float
    scatter: float
    photos: int

    @classmethod
    def of(cls, samples: Samples) -> Pull | None:
        """Return what one site's samples show; None where too few were taken.

        Parameters
        ----------
        samples : (photos,) of `evidence.SAMPLE`
        """
        told = samples[samples["clipped"] < CLIPPED]
        added, level = told["peak"].astype(np.float64) @ LUMA, told["level"]
        return cls.fit(added, level.astype(np.float64), told["spread"])

    @classmethod
    def fit(
        cls,
        added: NDArray[np.float64],
        level: NDArray[np.float64],
        spread: NDArray[np.floating],
    ) -> Pull | None:
        """Return what photos show; None of too few.

        By iteratively reweighted least squares, with the weights of Student's t, as scenes
        have its tails (Lange, Little and Taylor 1989).

        Parameters
        ----------
        added : (photos,) float64
            Levels that the site has over its surroundings.
        level, spread : (photos,)
            Mean and standard deviation of these.
        """
        if len(added) < FEWEST:
            return None
        spread = np.maximum(spread.astype(np.float64), HALF)
        middle = float(np.median(level))
        terms = np.stack([np.ones(len(added)), level - middle], axis=1)
        solution, scatter = np.array([np.median(added), 0.0]), 0.0
        for _ in range(ROUNDS):
            residual = added - terms @ solution
            wide = spread**2 + scatter**2
            freedom = light.FREEDOM
            weight = (freedom + 1) / (freedom + residual**2 / wide) / wide
            power = terms.T @ (weight[:, None] * terms)
            power[1, 1] += 1 / LIKELY_SLOPE**2
            solution = np.linalg.solve(power, terms.T @ (weight * added))
            off = MAD * float(np.median(abs(added - terms @ solution)))
            scatter = max(off**2 - float(np.median(spread)) ** 2, 0.0) ** 0.5
        constant, slope = solution.tolist()
        return cls(constant - slope * middle, slope, scatter, len(added))

    def expected(self, level: float) -> float:
        """Return what it adds to surroundings of a level, 0-255, in levels of luma."""
        return self.constant + self.slope * level

    def visibility(self, level: float, spread: float, least: float) -> float:
        """Return the probability that it stands out by at least so many levels.

        Parameters
        ----------
        level : float
            Luma of the surroundings, 0-255.
        spread : float
            Standard deviation of the surroundings, levels.
        least : float

        >>> dead = Pull(0.0, -0.5, 2.0, 30)
        >>> dead.visibility(100, 1.0, 3.0) > 0.99, dead.visibility(2, 1.0, 3.0) < 0.3
        (True, True)
        """
        expected = abs(self.expected(level))
        ratio = (expected - least) / math.hypot(spread, self.scatter, HALF)
        return float(light.students_cdf(np.array(ratio)))


@dataclass(frozen=True, slots=True)
class _Pulls:
    """For each site what it is drawn to, or what it takes away, that explains it best."""

    votes: FloatArray
    kinds: NDArray[np.object_]


def _factors(
    residuals: Residuals, weight: FloatArray, shapes: FloatArray
) -> FloatArray:
    """Return the factor on each shape, (shapes, photos, N), that fits best; (shapes, N)."""
    power = (weight * shapes * shapes).sum(axis=1) + np.float32(1e-9)
    return np.asarray((weight * residuals.residual * shapes).sum(axis=1) / power)


def _pulls(residuals: Residuals, inside: NDArray[np.bool_]) -> _Pulls:
    """Return what explains sites that are drawn to a level, or take away."""
    counts = residuals.share * inside
    weight = np.asarray(counts / np.square(residuals.spread), np.float32)
    shapes = LEVELS[:, None, None] - residuals.level
    shapes = np.concatenate([shapes, np.full_like(shapes[:1], -1)])
    factors = _factors(residuals, weight, shapes)
    factors = np.maximum(factors, 0)
    expected = factors[:, None] * shapes
    votes = light.support(residuals.residual, residuals.spread, expected, VARIATION)
    best = (counts * votes).sum(axis=1).argmax(axis=0)
    site = np.arange(len(best))
    kinds = np.array([Kind.DEAD, *[Kind.STUCK] * (len(LEVELS) - 1), Kind.DEAD], object)
    bright = np.append(LEVELS > BRIGHT, [False])[best] & (factors[best, site] < WEAK)
    found, taken = kinds[best], votes[best, :, site].T
    below = (counts * taken * (shapes[best, :, site].T < 0)).sum(axis=0)
    found[bright & (below < CHARGE)] = Kind.HOT
    return _Pulls(taken, found)


def explain(question: Question, inside: NDArray[np.bool_]) -> Explained:
    """Return what explains sites that were there `inside` of some photos, (photos, N)."""
    exposure, celsius = question.conditions.exposure, question.conditions.celsius
    told = inside.copy()
    told[:, list(question.silent)] = False
    fit = light.fit(question.centre, exposure, celsius, told, question.known)
    share = question.contrast.share
    pulls = _pulls(question.contrast, inside)
    # Where all are missing, one that is missing says nothing.
    drawn = np.log(fit.unseen + (1 - fit.unseen) * np.exp(pulls.votes))
    drawn = np.where(fit.unseen > light.LIKELIER, 0, drawn)
    by_law, by_pull = (
        (share * inside * votes).sum(axis=0) for votes in (fit.votes, drawn)
    )
    is_hot = by_law >= by_pull - CHARGE
    # One that is drawn more than half of the way to white may be a hot one that saturates:
    # photos hardly tell them apart.
    drawn_by = np.median(fit.expected / (WHITE - question.centre.level), axis=0)
    may_be_stuck = (pulls.kinds == Kind.STUCK) & (drawn_by > HALF)
    may_be_stuck &= by_law < by_pull + CHARGE
    for one in question.known:
        is_hot[one], may_be_stuck[one] = True, False
    votes = np.asarray(share * np.where(is_hot, fit.votes, drawn), np.float32)
    former = list(question.known)
    # Not seen is no absence, unless half of what is expected would be: JPEGs swallow what
    # is weaker, former laws are no better than that, and many such photos would add up.
    least = np.maximum(light.SHOWN * question.centre.spread, VISIBLE)
    votes[:, former] *= (HALF * fit.expected >= least)[:, former]
    numbers = range(len(is_hot))
    return Explained(
        tuple(
            Kind.HOT if is_hot[one] and not may_be_stuck[one] else pulls.kinds[one]
            for one in numbers
        ),
        votes,
        fit,
    )
