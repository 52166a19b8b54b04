"""Registration: the lens correction of each bin, by the camera's own defects.

For each site of the camera's constellation the trace of another bin is read along its ray;
a correction is scored by what it finds there.  Hypotheses come from the strongest places
found on a few rays; what the same search finds with the constellation turned or mirrored
about the centre, where there are no defects, is what chance gives.  What the bins show then
decides together (`lens_prior`): a peak counts by the probability that it is a site's, and
not some scene's.

References
----------
M. A. Fischler and R. C. Bolles, "Random sample consensus", Communications of the ACM 24
(1981) 381-395: hypotheses from the fewest observations that determine one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld.detection import lens_prior
from hotpixeld.detection.constellation import (
    BOUND,
    FLOOR,
    MANY,
    MOST_MOVED,
    NEAR,
    PLACE,
    REACH,
    STEPS,
    STRONGEST,
    TURNS,
    Constellation,
    RayPeaks,
    Rays,
    peaks_on,
)
from hotpixeld.detection.lens_correction import NONE, Correction, Corrections
from hotpixeld.detection.lens_prior import TERMS, Places, Told
from hotpixeld.detection.sensor_trace import SensorTrace
from hotpixeld.statistics import peaks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hotpixeld.camera import Bin
    from hotpixeld.statistics.peaks import Scratch
    from hotpixeld.statistics.trace import Trace

Array = NDArray[np.float64]
CLEAR = 4.5
"""Signal to noise of the places that hypotheses are made of."""
TRIED = 18
"""Sites of which they are, and places on the ray of each: `CANDIDATES`."""
CANDIDATES = 3
LEAST_MATCHES = 4
SEEN = 0.5
"""How often a site has a peak."""
FIT_STEPS = 8
LEAST_SHARE = 0.05
"""Probability from which on a peak is taken for a site's in part."""
OVER_CHANCE, MORE = 1.3, 2.0
"""A score must be so many times what turned constellations reach, and so much more; and
one match more: a defect that is really there, at which any correction can be hung up."""
GAIN, TOGETHER = 3.0, 9.0
"""What a correction must be better by than none at all: a match, nearly; and what all bins
must be together: most cameras correct nothing."""
SCENE = 0.02
"""What is enlarged by the ratio of focal lengths, but for this, is a scene."""
FREEDOM = 4
"""Degrees of freedom of what is likely of a bin."""
ROUNDS = 3
"""In which bins that are known make the constellation better."""
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
    gain : float
        What the score is more than without any correction.
    """

    correction: Correction | None
    matches: int
    score: float
    chance: float
    why: str
    told: Told | None = None
    gain: float = 0.0


def _candidates(rays: Rays) -> list[tuple[int, float]]:
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


def _hypotheses(rays: Rays) -> Array:
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
    usual = np.all(np.abs(edge - 1) <= MOST_MOVED, axis=1)
    usual &= np.abs(half - edge.mean(axis=1)) <= MOST_MOVED / 3
    return found[usual]


def _best(rays: Rays, hypotheses: Array, likely: _Likely) -> tuple[Array, float]:
    """Return the best of corrections, less what it is unlikely, and its score."""
    scores = np.concatenate(
        [
            rays.scores(hypotheses[start : start + 4096])
            for start in range(0, len(hypotheses), 4096)
        ]
    )
    best = int((scores - likely.unlikely(hypotheses)).argmax())
    return hypotheses[best], float(scores[best])


def _around(rays: Rays, likely: Array) -> Array:
    """Return corrections near a likely one, (H, 4)."""
    step = np.arange(-NEAR, NEAR + 1) / rays.length
    scale, slope = np.meshgrid(step, step)
    near = np.stack([scale.ravel(), (slope - scale).ravel()], axis=1)
    return np.asarray(likely + np.pad(near, ((0, 0), (0, TERMS - 2))))


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
    defective : (N,) float64
        Probability that each is a defect.
    """

    mean: Array
    covariance: Array
    moves: Array
    chosen: NDArray[np.intp]
    defective: Array

    @property
    def parameters(self) -> Array:
        """Return the bin's."""
        return np.asarray(self.mean[:TERMS] + _NONE)

    def unlikely(self, parameters: Array) -> Array:
        """Return how unlikely (H, 4) parameters are, (H,): the negative log-likelihood.

        Of Student's distribution, as there are lenses unlike those that the covariance is of.
        """
        off = parameters - self.parameters
        precision = np.linalg.inv(self.covariance[:TERMS, :TERMS])
        square = ((off @ precision) * off).sum(axis=1)
        return np.asarray((FREEDOM + TERMS) / 2 * np.log1p(square / FREEDOM))


def _fitted(rays: Rays, peaks_: RayPeaks, begun: Array, likely: _Likely) -> _Fit:
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
        share, shift = _shares(peaks_, expected, spread, SEEN * likely.defective)
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
    matched, _ = _shares(peaks_, expected, spread, np.full(len(moves), SEEN))
    return _Fit(mean[:TERMS] + _NONE, told_of, int((matched > 1 / 2).sum()))


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


def _shares(
    peaks_: RayPeaks, expected: Array, spread: Array, seen: Array
) -> tuple[Array, Array]:
    """Return the probability that a site's likeliest peak is its own, and where that is.

    Parameters
    ----------
    expected, spread : (N,) float64
        Where that is likely to be, outward, pixels.
    seen : (N,) float64
        Probability that a site has one.
    """
    count = len(expected)
    variance = spread[peaks_.site] ** 2 + PLACE**2
    off = peaks_.shift - expected[peaks_.site]
    likelihood = np.exp(-(off**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    odds = seen[peaks_.site] * likelihood / peaks_.chance
    total = np.bincount(peaks_.site, odds, count)
    order = np.argsort(odds, kind="stable")
    best, shift = np.zeros(count), np.zeros(count)
    best[peaks_.site[order]] = odds[order]
    shift[peaks_.site[order]] = peaks_.shift[order]
    share = best / (1 - seen + total)
    return np.where(share > LEAST_SHARE, share, 0), shift


def _search(
    rays: Rays,
    turned: Sequence[Rays],
    near: Sequence[Array],
    likely: _Likely,
    *,
    all_: bool,
) -> tuple[Array, float, float]:
    """Return the best correction, its score, and that of the same search by chance.

    Parameters
    ----------
    turned : sequence of Rays
        Where there are no defects.
    near : sequence of (4,) float64
        Whose surroundings are searched.
    likely : _Likely
    all_ : bool
        Whether that is all there is to search: what clear places make is searched, too.
    """

    def hypotheses(which: Rays) -> Array:
        around = [_around(which, one) for one in near]
        return np.concatenate([*around, *([_hypotheses(which)] if all_ else [])])

    chance = max(_best(one, hypotheses(one), likely)[1] for one in turned)
    found, score = _best(rays, hypotheses(rays), likely)
    return found, score, chance


def _registered(
    rays: Rays,
    turned: Sequence[Rays],
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
    shown = peaks_on(rays, turned)
    ways = [(near, False)] if near else []
    for around, all_ in [*ways, ([_NONE], True)]:
        found, _, chance = _search(rays, turned, around, likely, all_=all_)
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
            correction = Correction.of(fit.parameters) if is_moved else NONE
            why = f"known by {why}"
            gain = score - none
            return Registered(
                correction, fit.matches, score, chance, why, fit.told, gain
            )
    return _as_expected(rays, turned, shown, likely, none) or best


def _as_expected(
    rays: Rays,
    turned: Sequence[Rays],
    shown: RayPeaks,
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
    correction = Correction.of(fit.parameters)
    return Registered(
        correction, fit.matches, score, chance, why, fit.told, score - none
    )


def _standing(rays: Rays, fit: _Fit, likely: _Likely) -> float:
    """Return the score of a fit, less what it is unlikely by other bins."""
    score = rays.scores(fit.parameters[None]) - likely.unlikely(fit.parameters[None])
    return float(score[0])


def _is_of_scene(found: Array, ratio: float) -> bool:
    """Return whether photos of one scene would be as different: enlarged by the zoom."""
    return abs(ratio - 1) > SCENE and abs(found.sum() / ratio - 1) < SCENE


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
    strongest = traces[0].suspects(STRONGEST, scratch)
    seen = Constellation.of(strongest.sites, strongest.ratios, traces[0])
    found = [Registered(NONE, len(seen.sites), 0.0, 0.0, "the reference")]
    found += [Registered(None, 0, 0.0, 0.0, TOO_FEW) for _ in traces[1:]]
    for _ in range(ROUNDS):
        before = sum(one.correction is not None for one in found)
        _register_round(seen, traces, priors, bins, found)
        found = _together(seen, found, traces, bins)
        if sum(one.correction is not None for one in found) == before:
            break
        known = SensorTrace.stacked(traces, [one.correction for one in found])
        stacked = known.suspects(MANY * STRONGEST, scratch)
        seen = seen.with_others(stacked, traces[0])
    if sum(one.gain for one in found) < TOGETHER:
        return [replace(one, correction=one.correction and NONE) for one in found]
    return _with_outer_sites(seen, found, traces, bins, scratch)


def _with_outer_sites(
    seen: Constellation,
    found: Sequence[Registered],
    traces: Sequence[Trace],
    bins: Sequence[Bin],
    scratch: Scratch,
) -> list[Registered]:
    """Return corrections, told of by sites outside of the reference's frame as well."""
    corrections = [one.correction for one in found]
    more = seen.with_outer(traces, corrections, scratch)
    outer = np.arange(len(seen.sites), len(more.sites))
    if not len(outer):
        return list(found)
    size = traces[0].total.shape[0], traces[0].total.shape[1]
    places, told = more.places(size), [one.told for one in found]
    rounds = itertools.product(range(ROUNDS), enumerate(corrections))
    for _, (number, correction) in rounds:
        if correction is None or correction == NONE:
            continue
        told[number] = told[0] = None
        told[0] = more.outside(
            lens_prior.estimate(bins, places, told, outer), outer, size
        )
        inner, defective = seen.without(number, traces, corrections)
        is_kept = seen.is_off_edge(size)[inner]
        chosen = np.append(inner[is_kept], outer)
        defective = np.append(defective[is_kept], np.ones(len(outer)))
        likely = _likely(places, bins, told, number, chosen, defective)
        told[number] = _told_again(more, traces[number], correction, likely)
    out = [replace(one, told=each) for one, each in zip(found, told, strict=True)]
    return _together(more, out, traces, bins)


def _told_again(
    seen: Constellation, trace: Trace, correction: Correction, likely: _Likely
) -> Told:
    """Return what the trace of a bin tells that is known: no edge of its frame misleads."""
    rays = seen.seen_in(trace, likely.chosen, edge=0)
    turned = [seen.seen_in(trace, likely.chosen, turn, edge=0) for turn in TURNS]
    shown = peaks_on(rays, turned)
    fits = [
        _fitted(rays, shown, one, likely)
        for one in (correction.parameters, likely.parameters)
    ]
    return max(fits, key=lambda fit: _standing(rays, fit, likely)).told


def _together(
    seen: Constellation,
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
    photos = [
        one.photos if each.correction is not None else 0
        for one, each in zip(traces, found, strict=True)
    ]
    out = [found[0]]
    for number, one in enumerate(found[1:], 1):
        if one.correction is None:
            out.append(one)
            continue
        known = together.known(number, photos, places)
        moved = Correction.of(together.parameters(number) + _NONE, *known)
        out.append(replace(one, correction=moved))
    return out


def _register_round(
    seen: Constellation,
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
        others = [one.correction for one in found]
        chosen, defective = seen.without(number, traces, others)
        if len(chosen) < LEAST_MATCHES:
            continue
        rays = seen.seen_in(traces[number], chosen)
        turned = [seen.seen_in(traces[number], chosen, turn) for turn in TURNS]
        told = [one.told for one in found]
        told[number] = None
        likely = _likely(places, bins, told, number, chosen, defective)
        mine, prior, near = found[number].correction, priors[number], list[Array]()
        lens = [one.lens for one, by in zip(bins, told, strict=True) if by is not None]
        if mine is not None:
            near.append(mine.parameters)
        elif prior is not None:
            near.append(prior.parameters)
        if bins[number].lens in lens:
            near.append(likely.parameters)
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
    defective: Array,
) -> _Likely:
    """Return what other bins make likely of one, and of a constellation's places."""
    known = lens_prior.estimate(bins, places, told, chosen)
    mean, covariance = known.of(number)
    moves = np.zeros((len(chosen), len(mean)))
    moves[:, :TERMS] = places.moves(chosen)
    at = np.searchsorted(known.sites, chosen)
    moves[np.arange(len(chosen)), TERMS + at] = 1
    return _Likely(mean, covariance, moves, chosen, defective)


def corrections(
    bins: Mapping[Bin, Trace], before: Corrections, scratch: Scratch = peaks.zeros
) -> Corrections:
    """Return the lens corrections that the traces of a camera's bins show.

    Parameters
    ----------
    bins : mapping of Bin to Trace
        The camera's.
    before : Corrections
        As the map before had them: what moves no place by half a pixel stays as it is, and
        so do those of bins that have no trace now.
    scratch : callable
        Holds a plane.
    """
    if not bins:
        return before
    reference = before.reference
    if reference is None or (reference not in bins and not before.move):
        reference = max(bins, key=lambda one: bins[one].photos)
    if reference not in bins:
        return before
    ordered = [reference, *(one for one in bins if one != reference)]
    traces = [bins[one] for one in ordered]
    size = traces[0].total.shape
    priors = [before.of.get(one) for one in ordered]
    found = register(traces, priors, ordered, scratch)
    of = dict(before.of)
    for one, registered in zip(ordered, found, strict=True):
        known, correction = of.get(one), registered.correction
        if correction is None:
            continue
        if known is None or not known.is_same(correction, (size[0], size[1])):
            of[one] = correction
    of[reference] = NONE
    why = {one: each.why for one, each in zip(ordered, found, strict=True)}
    return Corrections(reference, of, {**before.why, **why})
