"""What corrections of one lens have in common: a Gaussian process over the focal length.

Few defects of a bin tell its correction near the places where they lie, and nothing at a
corner where none does.  There corrections of neighbouring focal lengths tell more: those
of a zoom change smoothly.  All bins of a camera are estimated together, and how far from
the centre a bin's places are known to a pixel comes out of it.

References
----------
C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning" (2006),
chapters 2 and 4: regression; the Matern class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld.detection.lens_correction import FARTHEST, MOST_RADII

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.camera import Bin
    from hotpixeld.detection.lens_correction import Radii

Array = NDArray[np.float64]

TERMS = 4
USUAL = np.array(
    [
        [0.00266, -0.00699, 0.00385, -0.00109],
        [-0.00699, 0.02111, -0.01238, 0.00374],
        [0.00385, -0.01238, 0.0097, -0.00353],
        [-0.00109, 0.00374, -0.00353, 0.00152],
    ]
)
"""Covariance of scale, scale k1, scale k2, scale k3 from one focal length to another that
is longer by a factor of 2 to 3.7, over 226 zoom lenses of lensfun's profiles, each
enlarged until the frame is filled; and of 0.015 more in the scale, as cameras do that as they like."""
# Of the smooth part, against `USUAL`; focal lengths apart by this natural logarithm are
# alike; and the part that each has for itself.  The first two by the likelihood of the
# same profiles; the last is five times theirs, as some cameras change in steps.
SMOOTH, ALIKE, OWN = 0.7, 0.5, 0.05
KNOWN = 1.0
"""Standard deviation of a place up to which it is known, pixels: within the footprint."""
RADII = np.linspace(0.0, FARTHEST, 126)


def powers(distance: Array) -> Array:
    """Return by what each parameter moves sites outward, half diagonals, (N, 4)."""
    return np.asarray(distance[..., None] ** (2 * np.arange(TERMS) + 1))


@dataclass(frozen=True, slots=True)
class Places:
    """Sensor sites that bins may show.

    Attributes
    ----------
    distance : (M,) float64
        From the centre, half diagonals.
    spread : (M,) float64, pixels
        Standard deviation of that: wide where the reference does not show the site.
    length : float
        Of a half diagonal, in pixels.
    """

    distance: Array
    spread: Array
    length: float

    def moves(self, chosen: NDArray[np.intp]) -> Array:
        """Return by what each parameter moves some sites outward, pixels, (N, 4)."""
        return powers(self.distance[chosen]) * self.length


@dataclass(frozen=True, slots=True)
class Told:
    """What a bin tells of its parameters.

    Attributes
    ----------
    sites : (N,) intp
        Which of the places it shows.
    shifts : (N,) float64, pixels
        By how much they are moved outward.
    weights : (N,) float64, 1 / pixels^2
    """

    sites: NDArray[np.intp]
    shifts: Array
    weights: Array


class Estimate(NamedTuple):
    """What is known of bins' parameters and of places; 0 for no correction and no error.

    Attributes
    ----------
    mean : (K,) float64
        Four parameters of each bin, those of the reference 0; then for each of `sites`
        by how many pixels it lies further out than is assumed.
    covariance : (K, K) float64
    bins : int
    sites : (N,) intp
    """

    mean: Array
    covariance: Array
    bins: int
    sites: NDArray[np.intp]

    def parameters(self, number: int) -> Array:
        """Return the likeliest of a bin, (4,)."""
        return self.mean[TERMS * number : TERMS * number + TERMS]

    def of(self, number: int) -> tuple[Array, Array]:
        """Return mean and covariance of a bin's parameters and of all sites."""
        own = np.arange(TERMS * number, TERMS * number + TERMS)
        which = np.append(own, np.arange(TERMS * self.bins, len(self.mean)))
        return self.mean[which], self.covariance[np.ix_(which, which)]

    def further(self, chosen: NDArray[np.intp]) -> Array:
        """Return by how many pixels some of the sites lie further out, (N,)."""
        own = TERMS * self.bins
        return np.asarray(self.mean[own:][np.searchsorted(self.sites, chosen)])

    def spread(self, number: int, other: int = 0) -> Array:
        """Return the standard deviation of places at `RADII`, half diagonals.

        Parameters
        ----------
        other : int
            Against the places of this bin.
        """
        which = TERMS * np.array([[number], [other]]) + np.arange(TERMS)
        varied = self.covariance[np.ix_(which.ravel(), which.ravel())]
        move = np.concatenate([powers(RADII), -powers(RADII)], axis=1)
        square = np.einsum("ij,jk,ik->i", move, varied, move)
        return np.asarray(np.sqrt(np.maximum(square, 0)))

    def known(
        self, number: int, photos: Sequence[int], places: Places
    ) -> tuple[Radii, Radii]:
        """Return where the places of a bin are known.

        Of sites in the reference's frame; and of those outside, whose places are those of
        the fullest bin that shows as much of the sensor.

        Parameters
        ----------
        photos : sequence of int
            Of each bin; 0 of those that are not known.
        places : Places
        """
        most = KNOWN / places.length
        inside = self.spread(number) <= most
        shown = np.array([self._reach(one) for one in range(self.bins)])
        shows = shown[:, None] >= RADII
        shows[0] = False
        fullest = np.argmax(np.where(shows, np.reshape(photos, (-1, 1)), -1), axis=0)
        spread = np.array([self.spread(number, one) for one in range(self.bins)])
        outside = spread[fullest, np.arange(len(RADII))] <= most
        return _radii(inside), _radii(inside | outside | ~shows[number])

    def _reach(self, number: int) -> float:
        """Return how much of the sensor the corners of a bin show, half diagonals."""
        places = RADII + powers(RADII) @ self.parameters(number)
        return float(RADII[places <= 1].max())


def _radii(known: NDArray[np.bool_]) -> Radii:
    """Return where radii are known, the longest stretches of them."""
    steps = np.diff(np.pad(known.astype(np.int8), 1))
    stretches = list(
        zip(np.flatnonzero(steps > 0), np.flatnonzero(steps < 0), strict=True)
    )
    longest = sorted(stretches, key=lambda one: one[0] - one[1])[:MOST_RADII]
    return tuple(
        (float(RADII[first]), float(RADII[end - 1])) for first, end in sorted(longest)
    )


def _alike(bins: Sequence[Bin]) -> Array:
    """Return how far corrections go together, (N, N): of one lens and like focal lengths."""
    count = len(bins)
    alike = np.eye(count)
    for one in range(count):
        for other in range(one):
            here, there = bins[one], bins[other]
            if here.lens == there.lens and here.focal_mm and there.focal_mm:
                apart = abs(np.log(here.focal_mm / there.focal_mm))
                apart *= np.sqrt(3) / ALIKE
                alike[one, other] = alike[other, one] = (1 + apart) * np.exp(-apart)
    return SMOOTH**2 * alike + OWN**2 * np.eye(count)


def estimate(
    bins: Sequence[Bin],
    places: Places,
    told: Sequence[Told | None],
    asked: NDArray[np.intp],
) -> Estimate:
    """Return what is known of bins' parameters and of places, by all bins together.

    Parameters
    ----------
    bins : sequence of Bin
        The reference first: its places are the sensor sites.
    places : Places
    told : sequence of Told or None
        By each.
    asked : (N,) intp
        Places that are asked for beside those that are told of.
    """
    count = len(bins)
    own = TERMS * count
    of_bins = [(number, one) for number, one in enumerate(told) if one]
    sites = np.unique(np.concatenate([asked, *(one.sites for _, one in of_bins)]))
    precision, vector = np.zeros((own + len(sites),) * 2), np.zeros(own + len(sites))
    rest = np.arange(own, len(vector))
    precision[rest, rest] = 1 / places.spread[sites] ** 2
    alike = _alike(bins)
    alike = (alike - alike[:1] - alike[:, :1] + alike[0, 0])[1:, 1:]
    precision[TERMS:own, TERMS:own] = np.kron(
        np.linalg.inv(alike), np.linalg.inv(USUAL)
    )
    for number, one in of_bins:
        moves = np.zeros((len(one.sites), len(vector)))
        moves[:, TERMS * number : TERMS * number + TERMS] = places.moves(one.sites)
        moves[np.arange(len(moves)), own + np.searchsorted(sites, one.sites)] = 1
        precision += (moves * one.weights[:, None]).T @ moves
        vector += moves.T @ (one.weights * one.shifts)
    covariance = np.zeros_like(precision)
    covariance[TERMS:, TERMS:] = np.linalg.inv(precision[TERMS:, TERMS:])
    return Estimate(covariance @ vector, covariance, count, sites)
