"""Registration: the lens correction of each bin, by the camera's own defects.

The places that stand out most in the reference's trace are a constellation that photos of
every bin show, moved along the rays from the frame's centre.  For each of its sites the
trace of another bin is read along the ray; a correction is scored by what it finds there.
Hypotheses come from the strongest places found on a few rays; what the same search finds
with the constellation turned or mirrored about the centre, where there are no defects, is
what chance gives.  What the bins show then decides together (`lens_prior`): a peak counts
by the probability that it is a site's, and not some scene's.

References
----------
M. A. Fischler and R. C. Bolles, "Random sample consensus", Communications of the ACM 24
(1981) 381-395: hypotheses from the fewest observations that determine one.
"""

from __future__ import annotations

import ctypes
import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from hotpixeld.compiled import function
from hotpixeld.detection import lens_prior
from hotpixeld.detection.lens_correction import EVERYWHERE, NONE, Correction
from hotpixeld.detection.lens_prior import TERMS, Places, Told
from hotpixeld.statistics import peaks
from hotpixeld.statistics.trace import PART, SNR_UNIT, UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hotpixeld.camera import Bin
    from hotpixeld.detection.lens_prior import Estimate
    from hotpixeld.statistics.contrast import FixedPoint
    from hotpixeld.statistics.peaks import Peaks, Scratch
    from hotpixeld.statistics.trace import Trace

Array = NDArray[np.float64]

STRONGEST, MANY = 60, 4
"""Sites of a constellation; of so many times as many, they stand out without the bin that
is asked."""
STANDS_OUT = 4.0
"""Signal to noise of such a site, by the other bins."""
FARTHEST = 0.17
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
CLEAR = 4.5
"""Signal to noise of the places that hypotheses are made of."""
TRIED = 18
"""Sites of which they are, and places on the ray of each: `CANDIDATES`."""
CANDIDATES = 3
LEAST_MATCHES = 4
PLACE, LOOSE = 0.4, 30.0
"""Standard deviation of a site's place along its ray, pixels; and of one that the
reference does not show."""
PEAK, SEEN = 3.5, 0.5
"""Signal to noise of a peak that may be a site's, and how often a site has one."""
FIT_STEPS = 8
LEAST_SHARE = 0.05
"""Probability from which on a peak is taken for a site's in part."""
OVER_CHANCE, MORE = 1.3, 2.0
"""A score must be so many times what turned constellations reach, and so much more; and
one match more: a defect that is really there, at which any correction can be hung up."""
GAIN = 3.0
"""What a correction must be better by than none at all: a match, nearly."""
NEAR = 8.0
"""Pixels around what other focal lengths make likely, at the corner."""
REACH = 1.5
"""Pixels from its place at which a site is matched."""
SCENE = 0.02
"""What is enlarged by the ratio of focal lengths, but for this, is a scene."""
APART = 3
"""Pixels between sites that are two."""
ROUNDS = 3
"""In which bins that are known make the constellation better."""
TURNS = tuple(
    math.radians(angle)
    for angle in (9, 17, 25, -9, -17, -25, 180, 171, 163, 189, 197, 205)
)


class _Moved(ctypes.Structure):
    """`struct moved` of sensor.c."""

    _fields_ = (
        ("total", ctypes.c_void_p),
        ("information", ctypes.c_void_p),
        ("scale", ctypes.c_double),
        ("k1", ctypes.c_double),
        ("k2", ctypes.c_double),
        ("k3", ctypes.c_double),
        ("within", ctypes.c_double),
    )


_sensor_snr = function(
    "hotpixeld_sensor_snr_2",
    *(ctypes.POINTER(_Moved), ctypes.c_size_t, *[ctypes.c_int64] * 4, ctypes.c_float),
    *[ctypes.c_void_p] * 3,
)
_read_rays = function(
    "hotpixeld_rays",
    *[ctypes.c_void_p] * 2,
    *[ctypes.c_int64] * 2,
    ctypes.c_void_p,
    *[ctypes.c_int64] * 2,
    *[ctypes.c_double] * 3,
    ctypes.c_void_p,
)


TOO_FEW = "too few defects show"
_NONE = np.array([1.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True, slots=True)
class Registered:
    """What is known of a bin's correction.

    Attributes
    ----------
    correction : Correction or None
        None where the defects do not tell.
    matches : int
        Sites that it shows.
    score, chance : float
        Of the correction, and what the same search finds where no defects are.
    why : str
        In words.
    told : Told or None
        What its defects tell of its parameters.
    """

    correction: Correction | None
    matches: int
    score: float
    chance: float
    why: str
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class _Rays:
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


def snr_at(
    traces: Sequence[Trace],
    corrections: Sequence[Correction | None],
    sites: Array,
    *,
    between: bool = False,
) -> Array:
    """Return the signal to noise of sensor sites in bins together, (N,).

    Not a number where none shows it.

    Parameters
    ----------
    traces : sequence of Trace
    corrections : sequence of Correction or None
        Of each; None leaves it out.
    sites : (N, 2) float64
        Row, column, in the reference bin.
    between : bool
        Read between the pixels of each, in place of the nearest.
    """
    total, information = np.zeros(len(sites)), np.zeros(len(sites))
    for trace, one in zip(traces, corrections, strict=True):
        if one is None:
            continue
        size = trace.total.shape[0], trace.total.shape[1]
        places, known = one.places(sites, size), one.are_known(sites, size)
        told, weight = trace.at(places if between else np.rint(places))
        total += known * told
        information += known * weight
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(information > 0, total / np.sqrt(information), np.nan)


def _rays(trace: Trace, sites: Array, signs: Array, turn: float = 0.0) -> _Rays:
    """Return what a trace shows along the rays of sites, turned about the centre."""
    centre = (np.array(trace.total.shape, np.float64) - 1) / 2
    aside = sites - centre
    length = float(np.hypot(*centre))
    far = np.hypot(*aside.T)
    cos, sin = math.cos(turn), math.sin(turn)
    turned = aside @ np.array([[cos, -sin], [sin, cos]])
    ray = turned / np.maximum(far, 1)[:, None]
    reach = math.ceil(FARTHEST * length * STEPS)
    limit = FARTHEST * far + NEAR
    through = np.column_stack([centre + turned, ray, limit, signs]).astype(np.float64)
    ratios = np.zeros((len(sites), 2 * reach + 1), np.float32)
    _read_rays(
        *(trace.total.ctypes.data, trace.information.ctypes.data),
        *(*trace.total.shape, through.ctypes.data, len(through)),
        *(reach, STEPS, UNIT, EDGE, ratios.ctypes.data),
    )
    return _Rays(far / length, length, ratios)


def _candidates(rays: _Rays) -> list[tuple[int, float]]:
    """Return the clearest places on the rays of a few sites: site, shift in pixels."""
    middle, found = rays.ratios.shape[1] // 2, []
    for site in np.argsort(-rays.ratios.max(axis=1))[:TRIED].tolist():
        line = rays.ratios[site].copy()
        for _ in range(CANDIDATES):
            place = int(line.argmax())
            if line[place] < CLEAR:
                break
            level = line[place]
            flat = np.flatnonzero(line[place : place + 2 * STEPS] == level)[-1]
            found.append((site, (place + flat / 2 - middle) / STEPS))
            line[max(place - 3 * STEPS, 0) : place + 3 * STEPS + 1] = 0
    return found


def _hypotheses(rays: _Rays) -> Array:
    """Return corrections that up to three of the clearest places determine, (H, 4)."""
    pairs = _candidates(rays)
    where = np.array([rays.distance[site] for site, _ in pairs])
    grown = 1 + np.array(
        [shift / (rays.distance[site] * rays.length + 1e-9) for site, shift in pairs]
    )
    out = [_NONE[None]]
    for count in (1, 2, 3):
        chosen = np.array(list(itertools.combinations(range(len(pairs)), count)))
        if not len(chosen):
            break
        radius = where[chosen] ** 2
        apart = np.abs(np.diff(np.sort(radius, axis=1), axis=1))
        chosen = chosen[(apart > 0.05).all(axis=1)]
        if not len(chosen):
            break
        powers = where[chosen][..., None] ** (2 * np.arange(count))
        solved = np.linalg.solve(powers, grown[chosen][..., None])[..., 0]
        out.append(np.pad(solved, ((0, 0), (0, TERMS - count))))
    found = np.concatenate(out)
    edge = found[:, :3] @ np.array([[1, 1], [0, 1], [0, 1]])  # centre and corner
    half = found[:, :3] @ np.array([1, 0.5, 0.25])
    usual = np.all(np.abs(edge - 1) <= FARTHEST, axis=1)
    usual &= np.abs(half - edge.mean(axis=1)) <= FARTHEST / 3
    return found[usual]


def _best(rays: _Rays, hypotheses: Array) -> tuple[Array, float]:
    """Return the best of corrections, and its score."""
    scores = np.concatenate(
        [
            rays.scores(hypotheses[start : start + 4096])
            for start in range(0, len(hypotheses), 4096)
        ]
    )
    best = int(scores.argmax())
    return hypotheses[best], float(scores[best])


def _around(rays: _Rays, likely: Array) -> Array:
    """Return corrections near a likely one, (H, 4)."""
    step = np.arange(-NEAR, NEAR + 1) / rays.length
    scale, slope = np.meshgrid(step, step)
    near = np.stack([scale.ravel(), (slope - scale).ravel()], axis=1)
    return np.asarray(likely + np.pad(near, ((0, 0), (0, TERMS - 2))))


class _Peaks(NamedTuple):
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


def _peaks_of(rays: _Rays) -> tuple[NDArray[np.intp], Array, Array]:
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


def _peaks(rays: _Rays, turned: Sequence[_Rays]) -> _Peaks:
    """Return the peaks of rays, with how often turned ones have any as high."""
    site, shift, ratio = _peaks_of(rays)
    usual = np.sort(np.concatenate([_peaks_of(one)[2] for one in turned]))
    length = sum(np.count_nonzero(one.ratios) for one in turned) / STEPS
    as_high = len(usual) - np.searchsorted(usual, ratio)
    return _Peaks(site, shift, (as_high + 1) / max(length, 1.0))


class _Fit(NamedTuple):
    """Parameters fitted to what a bin shows, with what tells of them, and the matches."""

    parameters: Array
    told: Told
    matches: int


class _Likely(NamedTuple):
    """What other bins make likely of one: its parameters, and the sites' places.

    Attributes
    ----------
    mean, covariance : float64
        As `Estimate.of` has them.
    moves : (N, K) float64
        By what each of these moves the sites of a constellation, pixels.
    chosen : (N,) intp
        Which these are, of all places.
    """

    mean: Array
    covariance: Array
    moves: Array
    chosen: NDArray[np.intp]

    @property
    def parameters(self) -> Array:
        """Return the bin's."""
        return np.asarray(self.mean[:TERMS] + _NONE)


def _fitted(rays: _Rays, peaks_: _Peaks, begun: Array, likely: _Likely) -> _Fit:
    """Return a correction fitted to the peaks that it explains better than chance does.

    A peak counts as far as it is a site's, by where the others have it; so does what is
    likely of the bin by others.

    Parameters
    ----------
    begun : (4,) float64
        Parameters to begin with.
    """
    moves = likely.moves
    prior = np.linalg.inv(likely.covariance)
    expected = moves[:, :TERMS] @ (begun - _NONE)
    spread = np.full(len(moves), REACH)
    mean, none = likely.mean, np.zeros(len(moves))
    share, weight, shift = none, none, none
    for _ in range(FIT_STEPS):
        share, shift = _shares(peaks_, expected, spread)
        weight = _weights(share, spread**2)
        told = moves * weight[:, None]
        covariance = np.linalg.inv(prior + told.T @ moves)
        mean = covariance @ (prior @ likely.mean + told.T @ shift)
        # Where it would be expected without itself.
        variance = ((moves @ covariance) * moves).sum(axis=1)
        own = np.minimum(variance * weight, 0.999)
        expected = moves @ mean
        expected -= np.where(weight > 0, own / (1 - own) * (shift - expected), 0)
        spread = np.sqrt(np.maximum(variance, 0) / (1 - own))
    seen = weight > 0
    told_of = Told(likely.chosen[seen], shift[seen], weight[seen])
    return _Fit(mean[:TERMS] + _NONE, told_of, int((share > 1 / 2).sum()))


def _weights(share: Array, variance: Array) -> Array:
    """Return what peaks tell of sites' places, (N,), 1 / pixels^2.

    As much as makes the variance what it is if a peak is the site's with a probability,
    and else nothing is told.

    Parameters
    ----------
    share : (N,) float64
    variance : (N,) float64, pixels^2
        Without the peaks.
    """
    variance = np.maximum(variance, 1e-6)
    told = 1 / (1 / variance + 1 / PLACE**2)
    mixed = share * told + (1 - share) * variance
    return np.asarray(np.maximum(1 / mixed - 1 / variance, 0))


def _shares(peaks_: _Peaks, expected: Array, spread: Array) -> tuple[Array, Array]:
    """Return the probability that a site's likeliest peak is its own, and where that is."""
    count = len(expected)
    variance = spread[peaks_.site] ** 2 + PLACE**2
    off = peaks_.shift - expected[peaks_.site]
    likelihood = np.exp(-(off**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    odds = SEEN * likelihood / peaks_.chance
    total = np.bincount(peaks_.site, odds, count)
    order = np.argsort(odds, kind="stable")
    best, shift = np.zeros(count), np.zeros(count)
    best[peaks_.site[order]] = odds[order]
    shift[peaks_.site[order]] = peaks_.shift[order]
    share = best / (1 - SEEN + total)
    return np.where(share > LEAST_SHARE, share, 0), shift


class _Constellation(NamedTuple):
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
    def of(cls, found: Peaks, reference: Trace) -> Self:
        """Return the strongest peaks of the reference's trace."""
        sites = np.asarray(found.sites, np.float64)
        signs = np.sign(np.asarray(found.ratios, np.float64))
        shown = signs * snr_at([reference], [NONE], sites) >= STANDS_OUT
        return cls(sites, signs, shown)

    def with_others(
        self, found: Peaks, around: tuple[int, int], reference: Trace
    ) -> _Constellation:
        """Return it with the peaks of a plane that begins `around` before the frame."""
        sites = np.asarray(found.sites, np.float64) - np.array(around)
        apart = np.abs(sites[:, None] - self.sites).max(axis=2)
        is_new = apart.min(axis=1, initial=APART + 1) > APART
        new = peaks.Peaks(sites, found.ratios, found.false_alarms).only(is_new)
        more = self.of(new, reference)
        return _Constellation(
            np.concatenate([self.sites, more.sites]),
            np.concatenate([self.signs, more.signs]),
            np.concatenate([self.is_shown, more.is_shown]),
        )

    def without(
        self,
        number: int,
        traces: Sequence[Trace],
        corrections: Sequence[Correction | None],
    ) -> NDArray[np.intp]:
        """Return which sites stand out by the other bins alone, strongest first.

        What a bin itself has made stand out, at a correction that may be wrong, would
        prove that one.
        """
        others = [*corrections[:number], None, *corrections[number + 1 :]]
        ratio = self.signs * snr_at(traces, others, self.sites)
        order = np.argsort(-ratio)[:STRONGEST]
        return np.asarray(order[ratio[order] > STANDS_OUT])

    def seen_in(
        self, trace: Trace, chosen: NDArray[np.intp], turn: float = 0.0
    ) -> _Rays:
        """Return what a trace shows along the rays of some sites."""
        return _rays(trace, self.sites[chosen], self.signs[chosen], turn)

    def places(self, size: tuple[int, int]) -> Places:
        """Return where the sites lie, and how well that is known."""
        centre = (np.array(size, np.float64) - 1) / 2
        length = float(np.hypot(*centre))
        distance = np.hypot(*(self.sites - centre).T) / length
        return Places(distance, np.where(self.is_shown, PLACE, LOOSE), length)


def _search(
    rays: _Rays, turned: Sequence[_Rays], likely: Sequence[Array], *, all_: bool
) -> tuple[Array, float, float]:
    """Return the best correction, its score, and that of the same search by chance.

    Parameters
    ----------
    turned : sequence of _Rays
        Where there are no defects.
    likely : sequence of (4,) float64
        Whose surroundings are searched.
    all_ : bool
        Whether that is all there is to search: what clear places make is searched, too.
    """

    def hypotheses(which: _Rays) -> Array:
        near = [_around(which, one) for one in likely]
        return np.concatenate([*near, *([_hypotheses(which)] if all_ else [])])

    chance = max(_best(one, hypotheses(one))[1] for one in turned)
    found, score = _best(rays, hypotheses(rays))
    return found, score, chance


def _registered(
    rays: _Rays,
    turned: Sequence[_Rays],
    near: Sequence[Array],
    likely: _Likely,
    ratio: float | None,
) -> Registered:
    """Return what is known of a bin's correction.

    Parameters
    ----------
    near : sequence of (4,) float64
        Parameters whose surroundings are searched first.
    likely : _Likely
    ratio : float or None
        Of the focal lengths.
    """
    none = float(rays.scores(_NONE[None])[0])
    best = Registered(None, 0, 0.0, 0.0, TOO_FEW)
    shown = _peaks(rays, turned)
    ways = [(near, False)] if near else []
    for around, all_ in [*ways, ([_NONE], True)]:
        found, _, chance = _search(rays, turned, around, all_=all_)
        fits = [_fitted(rays, shown, one, likely) for one in (found, *near)]
        fit = max(fits, key=lambda one: _standing(rays, one, likely))
        scene = ratio is not None and _is_of_scene(found, ratio)
        score = float(rays.scores(fit.parameters[None])[0])
        is_moved = score >= none + GAIN
        if not is_moved:
            fit, score = _fitted(rays, shown, _NONE, likely), none
        why = f"{fit.matches} defects, {score:.0f} for {chance:.0f} by chance"
        if fit.matches < LEAST_MATCHES:
            best = replace(best, matches=fit.matches, score=score, chance=chance)
        elif score <= OVER_CHANCE * chance + MORE + BOUND - FLOOR:
            why = f"no better than chance: {why}"
            best = Registered(None, fit.matches, score, chance, why)
        elif is_moved and scene:
            best = Registered(None, fit.matches, score, chance, "one scene, enlarged")
        else:
            correction = _correction(fit.parameters) if is_moved else NONE
            why = f"known by {why}"
            return Registered(correction, fit.matches, score, chance, why, fit.told)
    return _as_expected(rays, turned, shown, likely, none) or best


def _as_expected(
    rays: _Rays,
    turned: Sequence[_Rays],
    shown: _Peaks,
    likely: _Likely,
    none: float,
) -> Registered | None:
    """Return that a bin's correction is what other focal lengths make likely, if it is.

    Where nothing is searched, chance reaches less, and fewer defects are enough; unmoved
    they must be missing, by `none`, the score without a correction.
    """
    expected = likely.parameters
    score = float(rays.scores(expected[None])[0])
    chance = max(float(one.scores(expected[None])[0]) for one in turned)
    if score <= OVER_CHANCE * chance + MORE or score < none + GAIN:
        return None
    fit = _fitted(rays, shown, expected, likely)
    why = f"as other focal lengths have it: {score:.0f} for {chance:.0f} by chance"
    correction = _correction(fit.parameters)
    return Registered(correction, fit.matches, score, chance, why, fit.told)


def _standing(rays: _Rays, fit: _Fit, likely: _Likely) -> float:
    """Return the score of a fit, less what it is unlikely by other bins."""
    off = fit.parameters - likely.parameters
    own = likely.covariance[:TERMS, :TERMS]
    unlikely = float(off @ np.linalg.inv(own) @ off)
    return float(rays.scores(fit.parameters[None])[0]) - unlikely / 2


def _is_of_scene(found: Array, ratio: float) -> bool:
    """Return whether photos of one scene would be as different: enlarged by the zoom."""
    return abs(ratio - 1) > SCENE and abs(found.sum() / ratio - 1) < SCENE


def _parameters(one: Correction) -> Array:
    return one.scale * np.array([1.0, one.k1, one.k2, one.k3])


def _correction(parameters: Array, within: float = EVERYWHERE) -> Correction:
    scale, k1, k2, k3 = parameters.tolist()
    return Correction(scale, k1 / scale, k2 / scale, k3 / scale, within)


def register(
    traces: Sequence[Trace],
    priors: Sequence[Correction | None],
    bins: Sequence[Bin],
    scratch: Scratch = peaks.zeros,
) -> list[Registered]:
    """Return the corrections of bins, as far as their traces tell.

    Parameters
    ----------
    traces : sequence of Trace
        That of the reference first.
    priors : sequence of Correction or None
        What was known of each before.
    bins : sequence of Bin
    scratch : callable
        Holds a plane.
    """
    seen = _Constellation.of(traces[0].suspects(STRONGEST, scratch), traces[0])
    found = [Registered(NONE, len(seen.sites), 0.0, 0.0, "the reference")]
    found += [Registered(None, 0, 0.0, 0.0, TOO_FEW) for _ in traces[1:]]
    for _ in range(ROUNDS):
        before = sum(one.correction is not None for one in found)
        _register_round(seen, traces, priors, bins, found)
        found = _together(seen, found, traces, bins)
        if sum(one.correction is not None for one in found) == before:
            break
        now = [one.correction for one in found]
        seen = seen.with_others(*_stacked(traces, now, scratch), traces[0])
    return found


def _together(
    seen: _Constellation,
    found: Sequence[Registered],
    traces: Sequence[Trace],
    bins: Sequence[Bin],
) -> list[Registered]:
    """Return corrections as all bins together have them, with how far they are known."""
    if all(one.correction in (None, NONE) for one in found):
        return list(found)
    height, width = traces[0].total.shape
    places = seen.places((height, width))
    told = [one.told for one in found]
    together = lens_prior.estimate(bins, places, told, np.zeros(0, np.intp))
    outer = _outermost(together, traces, found)
    out = [found[0]]
    for number, one in enumerate(found[1:], 1):
        if one.correction is None:
            out.append(one)
            continue
        within = together.within(number, outer, places.length)
        moved = _correction(together.parameters(number) + _NONE, within)
        out.append(replace(one, correction=moved))
    return out


def _outermost(
    together: Estimate, traces: Sequence[Trace], found: Sequence[Registered]
) -> int:
    """Return the fullest bin that shows more of the sensor's corners than the reference."""
    showing = [
        number
        for number, one in enumerate(found)
        if one.correction is not None and together.parameters(number).sum() < 0
    ]
    return max(showing, key=lambda number: traces[number].photos, default=0)


def _stacked(
    traces: Sequence[Trace], corrections: Sequence[Correction | None], scratch: Scratch
) -> tuple[Peaks, tuple[int, int]]:
    """Return what stands out in all bins that are known, and where its plane begins."""
    known = [
        (trace, one)
        for trace, one in zip(traces, corrections, strict=True)
        if one is not None
    ]
    moved = [one for _, one in known]
    height, width = traces[0].total.shape
    around = margin(moved, (height, width))
    plane = sensor_snr([trace for trace, _ in known], moved, scratch, around)
    return peaks.peaks(plane, MANY * STRONGEST, PART), around


def _register_round(
    seen: _Constellation,
    traces: Sequence[Trace],
    priors: Sequence[Correction | None],
    bins: Sequence[Bin],
    found: list[Registered],
) -> None:
    """Look for the corrections of all bins but the reference; put them into `found`."""
    if len(seen.sites) < LEAST_MATCHES:
        return
    focal = [one.focal_mm for one in bins]
    places = seen.places((traces[0].total.shape[0], traces[0].total.shape[1]))
    for number in sorted(range(1, len(traces)), key=lambda one: -traces[one].photos):
        chosen = seen.without(number, traces, [one.correction for one in found])
        if len(chosen) < LEAST_MATCHES:
            continue
        rays = seen.seen_in(traces[number], chosen)
        turned = [seen.seen_in(traces[number], chosen, turn) for turn in TURNS]
        told = [one.told for one in found]
        told[number] = None
        likely = _likely(places, bins, told, number, chosen)
        mine, prior, near = found[number].correction, priors[number], list[Array]()
        lens = [one.lens for one, by in zip(bins, told, strict=True) if by is not None]
        if mine is not None:
            near = [_parameters(mine)]
        elif prior is not None:
            near = [_parameters(prior)]
        elif bins[number].lens in lens:
            near = [likely.parameters]
        here, first = focal[number], focal[0]
        ratio = here / first if here and first else None
        now = _registered(rays, turned, near, likely, ratio)
        if now.correction is not None or mine is None:
            found[number] = now


def _likely(
    places: Places,
    bins: Sequence[Bin],
    told: Sequence[Told | None],
    number: int,
    chosen: NDArray[np.intp],
) -> _Likely:
    """Return what other bins make likely of one, and of a constellation's places."""
    known = lens_prior.estimate(bins, places, told, chosen)
    mean, covariance = known.of(number)
    moves = np.zeros((len(chosen), len(mean)))
    moves[:, :TERMS] = places.moves(chosen)
    at = np.searchsorted(known.sites, chosen)
    moves[np.arange(len(chosen)), TERMS + at] = 1
    return _Likely(mean, covariance, moves, chosen)


def margin(corrections: Iterable[Correction], size: tuple[int, int]) -> tuple[int, int]:
    """Return how many rows and columns beyond the reference's frame other bins show."""
    height, width = size
    edge = np.array([[0, 0], [0, (width - 1) / 2], [(height - 1) / 2, 0]], np.float64)
    first = np.zeros(2)
    for one in corrections:
        sites = one.sites(edge, size)
        first = np.minimum(
            first, sites[one.are_known(sites, size)].min(axis=0, initial=0)
        )
    down, right = np.ceil(-first).astype(int).tolist()
    return down, right


def sensor_snr(
    traces: Sequence[Trace],
    corrections: Sequence[Correction],
    scratch: Scratch,
    around: tuple[int, int],
) -> FixedPoint:
    """Return the signal to noise of sensor sites, in all bins together.

    Parameters
    ----------
    traces : sequence of Trace
    corrections : sequence of Correction
        Of each.
    scratch : callable
        Holds the plane.
    around : (rows, columns)
        Beyond the reference's frame, on each side.

    Returns
    -------
    (H + 2 rows, W + 2 columns) int16, `SNR_UNIT` a unit
    """
    height, width = traces[0].total.shape
    rows, cols = height + 2 * around[0], width + 2 * around[1]
    out = scratch(rows, cols)
    total, information = np.empty(cols, np.float32), np.empty(cols, np.float32)
    planes = (_Moved * len(traces))(
        *(
            _Moved(trace.total.ctypes.data, trace.information.ctypes.data,
                   *_parameters(one).tolist(), one.within**2)
            for trace, one in zip(traces, corrections, strict=True)
        )
    )  # fmt: skip
    _sensor_snr(
        *(planes, len(traces), height, width, *around, SNR_UNIT / UNIT),
        *(total.ctypes.data, information.ctypes.data, out.ctypes.data),
    )
    return out
