"""A camera's constellation: its strongest defects, and where another bin shows them.

The places that stand out most in the reference's trace are a constellation that photos of
every bin show, moved along the rays from the frame's centre.  For each of its sites the
trace of another bin is read along the ray.  Sites that lie outside of the reference's frame
are of bins that show more of the sensor.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from hotpixeld.compiled import function
from hotpixeld.detection.lens_correction import NONE, Correction
from hotpixeld.detection.lens_prior import TERMS, Places, Told
from hotpixeld.detection.sensor_trace import snr_at
from hotpixeld.statistics.trace import UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.detection.lens_prior import Estimate
    from hotpixeld.statistics.peaks import Peaks, Scratch
    from hotpixeld.statistics.trace import Trace

Array = NDArray[np.float64]

STRONGEST, MANY = 60, 4
"""Sites of a constellation; of so many times as many, they stand out without the bin that
is asked."""
STANDS_OUT = 4.0
"""Signal to noise of such a site, by the other bins."""
MOST_MOVED = 0.17
"""By how much of its distance from the centre a site is moved at most: kit zooms are
corrected by 12 % at the corner."""
EDGE = 4
"""Pixels from the frame's edge within which nothing is read: what stands out there is often
the edge itself, which no correction moves."""
STEPS = 2
"""Places that are read to a pixel of a ray."""
# A site counts by what its signal to noise has over the first, bounded by the second:
# below, chance reaches it on many rays; above, one strong defect would outvote three.
FLOOR, BOUND = 2.5, 6.0
PLACE, LOOSE = 0.4, 30.0
"""Standard deviation of a site's place along its ray, pixels; and of one that the
reference does not show."""
NEAR = 8.0
"""Pixels around what other focal lengths make likely, at the corner."""
APART = 3
"""Pixels between sites that are two."""
CHANCE = 0.1
"""False alarms of a bin's trace up to which a site stands out by it alone."""
TURNS = tuple(
    math.radians(angle)
    for angle in (9, 17, 25, -9, -17, -25, 180, 171, 163, 189, 197, 205)
)
"""By which a constellation is turned to where no defects are."""
REACH = 1.5
"""Pixels from its place at which a site is matched."""
PEAK = 3.5
"""Signal to noise of a peak that may be a site's."""

_read_rays = function(
    "hotpixeld_rays",
    *[ctypes.c_void_p] * 2,
    *[ctypes.c_int64] * 2,
    ctypes.c_void_p,
    *[ctypes.c_int64] * 2,
    *[ctypes.c_double] * 3,
    ctypes.c_void_p,
)


@dataclass(frozen=True, slots=True)
class Rays:
    """What a trace shows along the ray of each site.

    Attributes
    ----------
    distance : (N,) float64
        Of the sites from the centre, in half diagonals.
    length : float
        Of a half diagonal, in pixels.
    ratios : (N, 2 M + 1) float32
        Signal to noise, signed as the site's; the middle is the site's own place, and
        neighbours are 1 / `STEPS` pixel apart.  The larger of their own where they are
        larger, as the place of a peak is known no better; 0 where nothing is read.
    """

    distance: Array
    length: float
    ratios: NDArray[np.float32]

    def at(self, shifts: Array) -> NDArray[np.float32]:
        """Return the ratios of sites that are moved outward by so many pixels.

        Parameters
        ----------
        shifts : (..., N) float64
        """
        middle = self.ratios.shape[1] // 2
        index = np.rint(shifts * STEPS).astype(np.intp) + middle
        inside = (index >= 0) & (index < self.ratios.shape[1])
        site = np.arange(len(self.distance))
        found = self.ratios[site, np.where(inside, index, 0)]
        return np.where(inside, found, np.float32(0))

    def shifts(self, parameters: Array) -> Array:
        """Return by how many pixels (H, 4) corrections move the sites, (H, N).

        The parameters are scale, scale k1, scale k2 and scale k3.
        """
        growth = parameters @ self.distance ** (2 * np.arange(TERMS)[:, None]) - 1
        return np.asarray(growth * self.distance * self.length)

    def scores(self, parameters: Array) -> NDArray[np.float32]:
        """Return the score of each correction, (H,)."""
        over = np.clip(self.at(self.shifts(parameters)) - FLOOR, 0, BOUND - FLOOR)
        return np.asarray(over.sum(axis=-1))


def rays_through(
    trace: Trace, sites: Array, signs: Array, turn: float = 0.0, edge: int = EDGE
) -> Rays:
    """Return what a trace shows along the rays of sites, turned about the centre."""
    centre = (np.array(trace.total.shape, np.float64) - 1) / 2
    aside = sites - centre
    length = float(np.hypot(*centre))
    far = np.hypot(*aside.T)
    cos, sin = math.cos(turn), math.sin(turn)
    turned = aside @ np.array([[cos, -sin], [sin, cos]])
    ray = turned / np.maximum(far, 1)[:, None]
    reach = math.ceil(MOST_MOVED * length * STEPS)
    limit = MOST_MOVED * far + NEAR
    through = np.column_stack([centre + turned, ray, limit, signs]).astype(np.float64)
    ratios = np.zeros((len(sites), 2 * reach + 1), np.float32)
    _read_rays(
        *(trace.total.ctypes.data, trace.information.ctypes.data),
        *(*trace.total.shape, through.ctypes.data, len(through)),
        *(reach, STEPS, UNIT, edge, ratios.ctypes.data),
    )
    return Rays(far / length, length, ratios)


class RayPeaks(NamedTuple):
    """The peaks of sites' rays.

    Attributes
    ----------
    site : (P,) intp
    shift : (P,) float64
        Outward, pixels.
    chance : (P,) float64, 1 / pixel
        How often a ray where no defect is has one as high.
    """

    site: NDArray[np.intp]
    shift: Array
    chance: Array


def _peaks_of(rays: Rays) -> tuple[NDArray[np.intp], Array, Array]:
    """Return the peaks of rays: site, shift, signal to noise."""
    ratios = rays.ratios
    rises = np.ones(ratios.shape, np.bool_)
    rises[:, 1:] = ratios[:, 1:] > ratios[:, :-1]
    site, first = np.nonzero(rises & (ratios > PEAK))
    last = first.copy()
    end = ratios.shape[1] - 1
    for _ in range(2 * STEPS):
        further = np.minimum(last + 1, end)
        last = np.where(ratios[site, further] == ratios[site, first], further, last)
    falls = (last == end) | (
        ratios[site, np.minimum(last + 1, end)] < ratios[site, first]
    )
    site, first, last = site[falls], first[falls], last[falls]
    shift = ((first + last) / 2 - ratios.shape[1] // 2) / STEPS
    return site, shift, ratios[site, first].astype(np.float64)


def peaks_on(rays: Rays, turned: Sequence[Rays]) -> RayPeaks:
    """Return the peaks of rays, with how often turned ones have any as high."""
    site, shift, ratio = _peaks_of(rays)
    usual = np.sort(np.concatenate([_peaks_of(one)[2] for one in turned]))
    length = sum(np.count_nonzero(one.ratios) for one in turned) / STEPS
    as_high = len(usual) - np.searchsorted(usual, ratio)
    return RayPeaks(site, shift, (as_high + 1) / max(length, 1.0))


class Constellation(NamedTuple):
    """Sites that stand out.

    Attributes
    ----------
    sites : (N, 2) float64
        Row, column.
    signs : (N,) float64
    is_shown : (N,) bool
        By the reference.
    """

    sites: Array
    signs: Array
    is_shown: NDArray[np.bool_]

    @classmethod
    def of(cls, places: NDArray[Any], ratios: NDArray[Any], reference: Trace) -> Self:
        """Return sites that stand out, by row and column, and by signal to noise."""
        sites = np.asarray(places, np.float64).reshape(-1, 2)
        signs = np.sign(np.asarray(ratios, np.float64))
        shown = signs * snr_at([reference], [NONE], sites) >= STANDS_OUT
        return cls(sites, signs, shown)

    def _with(self, other: Constellation) -> Constellation:
        return Constellation(
            np.concatenate([self.sites, other.sites]),
            np.concatenate([self.signs, other.signs]),
            np.concatenate([self.is_shown, other.is_shown]),
        )

    def with_others(self, found: Peaks, reference: Trace) -> Constellation:
        """Return it with the peaks that are apart from its sites."""
        apart = np.abs(found.sites[:, None] - self.sites).max(axis=2)
        is_new = apart.min(axis=1, initial=APART + 1) > APART
        return self._with(self.of(found.sites[is_new], found.ratios[is_new], reference))

    def with_outer(
        self,
        traces: Sequence[Trace],
        corrections: Sequence[Correction | None],
        scratch: Scratch,
    ) -> Constellation:
        """Return it with what stands out in single bins, outside of the reference's frame.

        Where bins are not known yet they are not summed up, and such a site would never be
        one.  What lies on the ray of another is that one, as another bin shows it.
        """
        reference = traces[0]
        centre = (np.array(reference.total.shape) - 1) / 2
        outer = self.of(np.zeros(0), np.zeros(0), reference)
        for number in sorted(range(len(traces)), key=lambda one: -traces[one].photos):
            correction = corrections[number]
            if correction in (None, NONE):
                continue
            found = traces[number].suspects(STRONGEST, scratch)
            sites = correction.sites(found.sites, reference.total.shape)
            aside, others = sites - centre, outer.sites - centre
            far = np.hypot(*aside.T)[:, None]
            along = aside @ others.T / far
            across = np.sqrt(np.maximum((others**2).sum(axis=1) - along**2, 0))
            is_other = (across <= APART) & (abs(along - far) <= 2 * LOOSE)
            is_outside = (abs(aside) > centre).any(axis=1)
            is_new = is_outside & ~is_other.any(axis=1)
            is_new &= found.false_alarms <= CHANCE
            new = self.of(sites[is_new], found.ratios[is_new], reference)
            outer = outer._with(new)
        return self._with(outer)

    def is_off_edge(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which sites lie in the reference's frame, not at its edge, (N,)."""
        last = np.array(size) - 1 - EDGE
        off_edge = (self.sites >= EDGE) & (self.sites <= last)
        return np.asarray(off_edge.all(axis=1))

    def outside(
        self, known: Estimate, chosen: NDArray[np.intp], size: tuple[int, int]
    ) -> Told:
        """Return that sites lie outside of the frame, as the reference shows none of them.

        Parameters
        ----------
        known : Estimate
            Where they are likely to lie.
        chosen : (N,) intp
        """
        centre = (np.array(size) - 1) / 2
        aside = abs(self.sites[chosen] - centre)
        far = np.hypot(*aside.T)
        out = far * ((centre + APART) / np.maximum(aside, 1e-9)).min(axis=1) - far
        is_in = known.further(chosen) < out
        return Told(chosen[is_in], out[is_in], np.full(is_in.sum(), 1 / REACH**2))

    def without(
        self,
        number: int,
        traces: Sequence[Trace],
        corrections: Sequence[Correction | None],
    ) -> tuple[NDArray[np.intp], Array]:
        """Return which sites stand out by the other bins alone, strongest first.

        What a bin itself has made stand out, at a correction that may be wrong, would
        prove that one.

        Returns
        -------
        chosen : (N,) intp
        defective : (N,) float64
            Probability of each: as if among the pixels that stand out as much by chance
            there were one.
        """
        others = [*corrections[:number], None, *corrections[number + 1 :]]
        ratio = self.signs * snr_at(traces, others, self.sites)
        order = np.argsort(-ratio)[:STRONGEST]
        chosen = np.asarray(order[ratio[order] > STANDS_OUT])
        tail = [math.erfc(one / math.sqrt(2)) for one in ratio[chosen].tolist()]
        return chosen, 1 / (1 + traces[0].total.size * np.array(tail))

    def seen_in(
        self,
        trace: Trace,
        chosen: NDArray[np.intp],
        turn: float = 0.0,
        edge: int = EDGE,
    ) -> Rays:
        """Return what a trace shows along the rays of some sites."""
        return rays_through(trace, self.sites[chosen], self.signs[chosen], turn, edge)

    def places(self, size: tuple[int, int]) -> Places:
        """Return where the sites lie, and how well that is known."""
        centre = (np.array(size, np.float64) - 1) / 2
        length = float(np.hypot(*centre))
        distance = np.hypot(*(self.sites - centre).T) / length
        spread = np.where(self.is_shown, PLACE, LOOSE)
        return Places(distance, spread, length)
