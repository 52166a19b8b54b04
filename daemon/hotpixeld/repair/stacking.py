"""Shapes of defects, learned from the mean of some of the camera's photos.

The mean of photos (`Stacks`) less the trend around the site is the defect's shape times its
mean amplitude, and what the scenes have left of themselves: noise, whose covariance the
surroundings show.  Where that hides the shape, the usual footprints decide.

Copies are made with what is learned, so it may change only with the evidence: it is learned
from the first photos of the camera, their number a fixed `place`, and again only when half as
many more are there, or other defects are.  The same photos give the same shapes to the last
bit, in whatever order they came.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hotpixeld.defect import WHITE, Law
from hotpixeld.detection import light
from hotpixeld.detection.explanation import Pull
from hotpixeld.detection.score_test import Residuals
from hotpixeld.jpeg.block_reader import Window
from hotpixeld.repair import footprint
from hotpixeld.repair.footprint import HALF_WIDTH, LARGEST, SIDE
from hotpixeld.repair.shape import (
    COMPONENTS,
    DIGITS,
    UNKNOWN,
    Footprints,
    Shape,
    Shapes,
    possible_covariance,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from hotpixeld.repair.field import Indices
    from hotpixeld.repair.footprint import Array, Covariance
    from hotpixeld.repair.shape import Exposure, Site

# Half width of what is looked at around a site, and how much of it shows the trend.
WINDOW, TREND = 20, 8
# How far the peak of one component must stand out of the noise, and each ring of pixels that
# belongs to the shape, in standard deviations.
CLEAR, BELONGS = 3.0, 5.0
# Half widths that shapes may have in chroma, which smears, the same in both: few, as equations
# of one size are solved together, and none so wide that it takes most of a repair's time.
WIDE = (HALF_WIDTH, 4, 6)
# Levels of noise that every mean has: rounding.
LEAST_NOISE = 0.1
# Times what a law expects in the mean that luma shows there, or the other way round: a law
# that is further off is none.
LAWFUL = 3.0
# Levels beyond which nothing is seen of a law.
CLIPPED = 250.0
# Levels of noise that every photo has around a site, whatever its scene.
GRAIN = 2.0
# Ways in which what is known of a shape may be wrong; more are noise.
WAYS = 4


class _Learned(NamedTuple):
    """What a defect added to one component of the mean of photos.

    `levels` are its (2 half + 1) squared pixels, known as well as `covariance` says;
    `clear` is how many times the noise the strongest of those seen is.
    """

    half: int
    levels: Array
    covariance: Covariance
    clear: float

    @property
    def peak(self) -> float:
        """Return its strongest pixel, with its sign."""
        return float(self.levels[np.abs(self.levels).argmax()])


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(round(one, DIGITS) for one in values.tolist())


def _shape(learned: _Learned) -> Shape:
    """Return the shape of what a defect added."""
    values, vectors = np.linalg.eigh(learned.covariance)
    variances = np.maximum(values, 0)
    ways = (vectors * np.sqrt(variances)).T[: -WAYS - 1 : -1]
    error = np.sqrt(variances[:-WAYS].sum() / len(variances))
    return Shape(
        learned.half,
        _rounded(learned.levels),
        tuple(map(_rounded, ways)),
        round(float(error), DIGITS),
    )


class _View:
    """What the mean of photos shows around a site, in one component.

    Attributes
    ----------
    residual : (side, side) float64, levels
        Less the trend; 0 where it is not known.
    noise : (289, 289) float64, levels squared
        Covariance of the pixels that a shape may have.
    """

    def __init__(self, levels: Array, usable: NDArray[np.bool_], half: int) -> None:
        rows, columns = np.mgrid[-WINDOW : WINDOW + 1, -WINDOW : WINDOW + 1]
        distance = np.maximum(abs(rows), abs(columns))
        near = usable & (distance > half) & (distance <= half + TREND)
        terms = np.stack([np.ones(rows.shape), rows, columns], axis=-1)
        trend = np.linalg.lstsq(terms[near], levels[near], rcond=None)[0]
        self.residual = np.where(np.isnan(levels), 0, levels - terms @ trend)
        around = usable & (distance > half)
        self.noise = _covariance(np.where(around, self.residual, 0), int(around.sum()))
        self.spread = float(np.sqrt(self.noise[0, 0]))

    def middle(self) -> Array:
        """Return the pixels that a shape may have: (17, 17)."""
        inner = slice(WINDOW - LARGEST, WINDOW + LARGEST + 1)
        return self.residual[inner, inner]


@functools.cache
def _shifts() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how far two pixels of a shape are apart, down and across: (289, 289)."""
    rows, columns = (index.ravel() for index in np.indices((SIDE, SIDE)))
    return rows[:, None] - rows, columns[:, None] - columns


def _covariance(residual: Array, count: int) -> Covariance:
    """Return the covariance of a shape's pixels, by their shift, as the surroundings have it.

    Sums over all pairs, divided by the number of pixels: what is so estimated is the
    covariance of something, as it must be.
    """
    size = 2 * len(residual)
    spectrum = np.abs(np.fft.rfft2(residual, (size, size))) ** 2
    by_shift = np.fft.irfft2(spectrum, (size, size)) / max(count, 1)
    found = by_shift[_shifts()]
    found[np.diag_indices(len(found))] += LEAST_NOISE**2
    return found


def _reach(levels: Array, usable: NDArray[np.bool_]) -> int:
    """Return the half width that holds what stands out of the noise, the widest at most.

    A ring of pixels does whose mean square exceeds the noise's by `BELONGS` times its
    standard deviation, were it noise.
    """
    rows, columns = np.mgrid[-LARGEST : LARGEST + 1, -LARGEST : LARGEST + 1]
    distance = np.maximum(abs(rows), abs(columns)).ravel()
    view = _View(levels, usable, LARGEST)
    middle = view.middle().ravel()
    for half in range(WIDE[-1], HALF_WIDTH, -1):
        ring = distance == half
        noise = view.noise[np.ix_(ring, ring)]
        excess = (middle[ring] ** 2).mean() - noise.diagonal().mean()
        if excess > BELONGS * np.sqrt(2 * (noise**2).mean()):
            return next(one for one in WIDE if one >= half)
    return HALF_WIDTH


def _learned(
    levels: Array, usable: NDArray[np.bool_], half: int, *, is_chroma: bool
) -> _Learned:
    """Return what a defect added to one component of the mean of photos."""
    view = _View(levels, usable, half)
    seen = footprint.of_pixels(view.middle().ravel(), half)
    noise = footprint.of_half(view.noise, half)
    peak = np.abs(view.middle()[LARGEST - 1 : LARGEST + 2, LARGEST - 1 : LARGEST + 2])
    power = max(float(peak.max()) ** 2 - view.spread**2, view.spread**2)
    prior = power * footprint.of_half(possible_covariance(is_chroma=is_chroma), half)
    share = np.linalg.solve(prior + noise, prior).T
    left = prior - share @ prior
    return _Learned(
        half,
        share @ seen,
        left,
        float(peak.max()) / view.spread,
    )


def place(photos: int) -> int:
    """Return how many of so many photos are learned from: it grows by a third, or a half.

    >>> [place(photos) for photos in (4, 5, 6, 16, 23, 24, 127, 128)]
    [4, 4, 6, 16, 16, 24, 96, 128]
    """
    whole = 1 << (photos.bit_length() - 1)
    return max(whole, whole * 3 // 2 if photos >= whole * 3 // 2 else 0)


@functools.cache
def _ring() -> tuple[NDArray[np.bool_], Array]:
    """Return which pixels of a window are around a defect, and the terms of their trend."""
    rows, columns = np.mgrid[-WINDOW : WINDOW + 1, -WINDOW : WINDOW + 1]
    around = np.maximum(abs(rows), abs(columns)) > LARGEST
    terms = np.stack([np.ones(rows.shape), rows / WINDOW, columns / WINDOW], axis=-1)
    return around, terms[around]


class _Seen(NamedTuple):
    """What a photo shows of n sites in luma; (n,) each.

    The mean level around, the variance about its trend, and what the site has over that.
    """

    level: Array
    variance: Array
    centre: Array


def _seen(luma: Array) -> _Seen:
    """Return what (n, side, side) levels show; NaN is outside the frame."""
    around, terms = _ring()
    levels = luma[:, around]
    known = ~np.isnan(levels)
    count = known.sum(axis=1)
    levels = np.where(known, levels, 0)
    normal = np.einsum("nk,ki,kj->nij", known.astype(float), terms, terms)
    trend = np.linalg.solve(normal, (levels @ terms)[:, :, None])[:, :, 0]
    residual = np.where(known, levels - trend @ terms.T, 0)
    variance = np.square(residual).sum(axis=1) / count
    centre = luma[:, WINDOW, WINDOW] - trend[:, 0]
    return _Seen(levels.sum(axis=1) / count, variance, centre)


def _rounded_pair(aside: Array) -> tuple[float, float]:
    down, right = aside.round(DIGITS).tolist()
    return down, right


class Mean(NamedTuple):
    """What photos show around a site, in the mean.

    Attributes
    ----------
    site : (row, col)
    photos : int
    components : (3, side, side) float64
        Y, Cb and Cr: NaN is outside the frame.
    expected : float
        Levels of luma that the law expects at the site.
    law : Law or None
    pull : Pull or None
        Of a stuck or dead one, in place of a law.
    aside : (float, float)
        Rows, columns beside its pixel's middle.
    """

    site: Site
    photos: int
    components: Array
    expected: float
    law: Law | None
    pull: Pull | None
    aside: tuple[float, float]


def _rounded_law(law: Law) -> Law:
    """Return a law of so many digits as are known at most."""
    offset, dark, scatter, drift = (
        float(f"{value:.6g}")
        for value in (law.offset, law.dark, law.scatter, law.drift)
    )
    return replace(law, offset=offset, dark=dark, scatter=scatter, drift=drift)


def _rounded_pull(pull: Pull) -> Pull:
    """Return a pull of so many digits as are known at most."""
    constant, slope, scatter = (float(f"{value:.6g}") for value in pull[:3])
    return Pull(constant, slope, scatter, pull.photos)


class Stacks:
    """The means of photos around some sites, each photo weighing by how well it shows them.

    Parameters
    ----------
    sites : sequence of (row, col)
    height, width : int
        Of the frame that they are in.
    drawn : collection of (row, col)
        Those of them that are stuck or dead: what they add depends on the level around, and
        may be as much as they take away.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        height: int,
        width: int,
        drawn: Collection[Site] = (),
    ) -> None:
        self.sites = tuple(sites)
        self._size = height, width
        side = 2 * WINDOW + 1
        self._total = np.zeros((len(self.sites), side, side, 3))
        self._drawn = [n for n, site in enumerate(self.sites) if site in drawn]
        # Of these the sums of luma, and of luma times the level around.
        self._moments = np.zeros((2, len(self._drawn), side, side))
        self._aside = np.zeros((len(self.sites), 2))
        self._seen: list[_Seen] = []
        self._alive: list[NDArray[np.bool_]] = []
        self._exposures: list[Exposure] = []
        self._weights: list[Array] = []

    def windows(self, places: Sequence[Site] | None = None) -> list[Window]:
        """Return the windows of a photo that show the sites.

        Parameters
        ----------
        places : sequence of (row, col), optional
            Where it shows them, inside the frame; without it, they are those.
        """
        return [
            Window.around(row, col, WINDOW, *self._size)
            for row, col in places or self.sites
        ]

    def add(
        self,
        levels: Sequence[NDArray[Any]],
        alive: NDArray[np.bool_],
        exposure: Exposure = UNKNOWN,
        places: Sequence[Site] | None = None,
        aside: Array | None = None,
    ) -> None:
        """Add a photo.

        Parameters
        ----------
        levels : sequence of (rows, columns, 3)
            Of the `windows` at these places.
        alive : (n,) bool
            Which defects it may show.
        aside : (n, 2) float64, optional
            Where it shows them, beside the middle of these pixels.
        """
        whole = np.full(self._total.shape, np.nan)
        for (row, col), window, part, out in zip(
            places or self.sites, self.windows(places), levels, whole, strict=True
        ):
            down, right = window.top - row + WINDOW, window.left - col + WINDOW
            out[down : down + part.shape[0], right : right + part.shape[1]] = part
        luma = whole @ COMPONENTS[0]
        seen = _seen(luma)
        # What light leaves of a hot pixel, over the noise that it is seen through.
        light_left = np.where(alive, 1 - seen.level / WHITE, 0)
        weight = light_left / (seen.variance + GRAIN**2)
        self._total += weight[:, None, None, None] * whole
        self._seen.append(seen)
        self._alive.append(alive)
        self._exposures.append(exposure)
        self._weights.append(weight)
        steady = (alive / (seen.variance + GRAIN**2))[self._drawn]
        both = np.stack([steady, steady * seen.level[self._drawn]])
        self._moments += both[..., None, None] * luma[self._drawn]
        if aside is not None:
            self._aside += weight[:, None] * aside

    def _laws(self) -> list[tuple[float, Law]]:
        """Return what each defect's law expects in the mean of the photos, and the law."""
        level, variance, centre = np.array(self._seen, np.float32).transpose(1, 0, 2)
        alive = np.array(self._alive)
        spread = np.sqrt(variance + np.float32(GRAIN**2))
        share = np.asarray(alive & (level < CLIPPED), np.float32)
        exposure = [(one.seconds or 0) * (one.iso or 0) for one in self._exposures]
        celsius = [
            math.nan if one.celsius is None else one.celsius for one in self._exposures
        ]
        fit = light.fit(
            Residuals(centre, spread, level, share),
            np.array(exposure),
            np.array(celsius),
            alive,
            {},
        )
        weights = np.array(self._weights)
        total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
        means = (weights * fit.expected).sum(axis=0) / total
        laws = (_rounded_law(fit.law(number)) for number in range(len(self.sites)))
        return list(zip(means.tolist(), laws, strict=True))

    def means(self) -> list[Mean]:
        """Return the mean of what is around each site that any photo may show."""
        if not self._seen:
            return []
        photos, weights = np.sum(self._alive, axis=0), np.sum(self._weights, axis=0)
        found = {
            number: Mean(
                site,
                int(photos[number]),
                np.moveaxis(self._total[number] / weights[number] @ COMPONENTS.T, 2, 0),
                *told,
                None,
                _rounded_pair(self._aside[number] / weights[number]),
            )
            for number, (site, told) in enumerate(
                zip(self.sites, self._laws(), strict=True)
            )
            if weights[number] > 0
        }
        for place, number in enumerate(self._drawn):
            if number in found:
                found[number] = self._of_drawn(place, found[number])
        return list(found.values())

    def _of_drawn(self, place: int, mean: Mean) -> Mean:
        """Return what a stuck or dead site shows, each photo by what is expected of it.

        What the photos add is their windows times what draws the site in each, so that
        those that it takes away from count as much as those that it adds to: in luma.  Its
        chroma is drawn to another level, whatever luma is.
        """
        number = self._drawn[place]
        level, variance, centre = np.array(self._seen)[:, :, number].T
        alive = np.array(self._alive)[:, number]
        spread = np.sqrt(variance + GRAIN**2)
        told = alive & (level < CLIPPED)
        pull = Pull.fit(centre[told], level[told], spread[told])
        if pull is None:
            return mean._replace(expected=0.0, law=None)
        weight = alive / spread**2
        total = float(weight.sum())
        added = pull.constant + pull.slope * level
        size = math.sqrt(float((weight * added**2).sum()) / total)
        constant, slope = self._moments[:, place]
        luma = (pull.constant * constant + pull.slope * slope) / (size * total)
        return mean._replace(
            components=np.concatenate([luma[None], mean.components[1:]]),
            expected=size,
            law=None,
            pull=_rounded_pull(pull),
        )


def _usable(window: Array, others: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which pixels of a window are in the frame, and not near another defect."""
    usable = np.asarray(~np.isnan(window[0]))
    for row, col in others.tolist():
        rows, columns = (
            slice(
                max(WINDOW + place - LARGEST, 0), max(WINDOW + place + LARGEST + 1, 0)
            )
            for place in (row, col)
        )
        usable[rows, columns] = False
    return usable


def _shapes(mean: Mean, others: Indices) -> Shapes | None:
    """Return how a defect shows, if it stands out; `others` are near it."""
    usable = _usable(mean.components, others)
    wide = max(_reach(part, usable) for part in mean.components[1:])
    parts = [
        _learned(part, usable, wide if number else HALF_WIDTH, is_chroma=bool(number))
        for number, part in enumerate(mean.components)
    ]
    if max(part.clear for part in parts) < CLEAR:
        return None
    amplitude = max((part.peak for part in parts), key=abs)
    law, pull = None, None
    centre = abs(parts[0].levels[len(parts[0].levels) // 2])
    if centre / LAWFUL <= mean.expected <= centre * LAWFUL:
        amplitude, law, pull = mean.expected, mean.law, mean.pull
    shapes = tuple(map(_shape, parts))
    amplitude = round(amplitude, DIGITS)
    return Shapes(*mean.site, mean.photos, amplitude, law, shapes, pull, mean.aside)


def learn(stacks: Stacks, basis: str) -> Footprints:
    """Learn how a camera's defects show, all of them and each.

    Parameters
    ----------
    stacks : Stacks
        Of photos, around all defects of the camera.
    basis : str
        Of what that is.
    """
    sites = np.array(stacks.sites, np.intp).reshape(-1, 2)
    inner = slice(WINDOW - footprint.WINDOW, WINDOW + footprint.WINDOW + 1)
    single, alone = [], []
    for mean in stacks.means():
        shift = sites - mean.site
        distance = np.abs(shift).max(axis=1)
        if ((distance > 0) & (distance <= footprint.WINDOW + HALF_WIDTH)).any():
            continue
        alone.append(mean.components[0, inner, inner])
        near = (distance > 0) & (distance <= WINDOW + LARGEST)
        if (distance[near] <= 2 * LARGEST).any():
            continue
        if (found := _shapes(mean, shift[near])) is not None:
            single.append(found)
    inside = [one for one in alone if not np.isnan(one).any()]
    return Footprints(footprint.learn(inside), tuple(single), basis)
