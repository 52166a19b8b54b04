"""Registration: the lens correction of each bin, by the camera's own defects.

The places that stand out most in the reference's trace are a constellation that photos of
every bin show, moved along the rays from the frame's centre.  For each of its sites the
trace of another bin is read along the ray; a correction is scored by what it finds there.
Hypotheses come from the strongest places found on a few rays; what the same search finds
with the constellation turned or mirrored about the centre, where there are no defects, is
what chance gives.

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
from hotpixeld.detection.lens_correction import NONE, Correction
from hotpixeld.statistics import peaks
from hotpixeld.statistics.trace import CELL, PART, SNR_UNIT, UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hotpixeld.camera import Bin
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
LIKELY = np.array([0.05, 0.1, 0.05, 0.015])
"""Standard deviations of the parameters, about twice those between the focal lengths of
three kit zooms in lensfun's profiles: what few defects leave open is taken from there."""
PLACE = 0.5
"""That of a site's place along its ray, pixels."""
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
    )


_sensor_snr = function(
    "hotpixeld_sensor_snr_1",
    *(ctypes.POINTER(_Moved), ctypes.c_size_t, *[ctypes.c_int64] * 4, ctypes.c_float),
    *[ctypes.c_void_p] * 3,
)


TOO_FEW = "too few defects show"
TERMS = 4
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
    """

    correction: Correction | None
    matches: int
    score: float
    chance: float
    why: str


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
        neighbours are 1 / `STEPS` pixel apart.
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


def _sums_at(
    trace: Trace, places: Array
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a trace's totals and weights at (..., 2) places; 0 outside the frame."""
    size = np.array(trace.total.shape)
    pixels = np.rint(places).astype(np.intp)
    inside = np.all((pixels >= 0) & (pixels < size), axis=-1)
    row, col = np.moveaxis(np.where(inside[..., None], pixels, 0), -1, 0)
    information = trace.information[row // CELL, col // CELL]
    total = trace.total[row, col] / np.float32(UNIT)
    nothing = np.float32(0)
    return np.where(inside, total, nothing), np.where(inside, information, nothing)


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
    along = np.arange(-reach, reach + 1) / STEPS
    places = centre + turned[:, None] + along[:, None] * ray[:, None]
    total, information = _sums_at(trace, places)
    ratios = total / np.sqrt(np.maximum(information, np.float32(1e-9)))
    ratios *= signs[:, None].astype(np.float32)
    # Within half a pixel and across the ray: the place of a peak is known no better.
    wide = ratios.copy()
    wide[:, 1:] = np.maximum(wide[:, 1:], ratios[:, :-1])
    wide[:, :-1] = np.maximum(wide[:, :-1], ratios[:, 1:])
    limit = FARTHEST * far[:, None] + NEAR
    wide[np.abs(along) > limit] = 0
    return _Rays(far / length, length, wide.astype(np.float32))


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


def _refined(rays: _Rays, found: Array) -> tuple[Array, int]:
    """Return a correction fitted to the sites that it matches, and their number."""
    matches = 0
    for reach in (2 * REACH, REACH, REACH):
        around = np.arange(-reach, reach + 0.1, 1 / STEPS)
        shifts = rays.shifts(found[None])[0]
        weight = np.clip(rays.at(shifts + around[:, None]) - FLOOR, 0, None)
        matched = np.flatnonzero(weight.max(axis=0) > 1)
        matches = len(matched)
        if matches < LEAST_MATCHES:
            break
        off = (weight * around[:, None]).sum(axis=0)[matched]
        target = shifts[matched] + off / weight.sum(axis=0)[matched]
        r = rays.distance[matched, None]
        powers = r ** (2 * np.arange(TERMS) + 1) * rays.length / PLACE
        system = np.concatenate([powers, np.diag(1 / LIKELY)])
        sides = np.concatenate([target / PLACE, np.zeros(TERMS)])
        found = np.linalg.lstsq(system, sides, rcond=None)[0] + _NONE
    return found, matches


class _Constellation(NamedTuple):
    """Sites that stand out, with their signs."""

    sites: Array
    signs: Array

    @classmethod
    def of(cls, found: Peaks, margin: tuple[int, int] = (0, 0)) -> Self:
        """Return the strongest peaks of a plane that begins `margin` before the frame."""
        sites = np.asarray(found.sites, np.float64) - np.array(margin)
        return cls(sites, np.sign(np.asarray(found.ratios, np.float64)))

    def without(
        self,
        number: int,
        traces: Sequence[Trace],
        corrections: Sequence[Correction | None],
    ) -> _Constellation:
        """Return the sites that stand out by the other bins alone, strongest first.

        What a bin itself has made stand out, at a correction that may be wrong, would
        prove that one.
        """
        total, information = np.zeros(len(self.sites)), np.zeros(len(self.sites))
        size = traces[0].total.shape
        for other, (trace, one) in enumerate(zip(traces, corrections, strict=True)):
            if other == number or one is None:
                continue
            told, weight = _sums_at(trace, one.places(self.sites, (size[0], size[1])))
            total += told
            information += weight
        ratio = self.signs * total / np.sqrt(np.maximum(information, 1e-9))
        order = np.argsort(-ratio)[:STRONGEST]
        order = order[ratio[order] > STANDS_OUT]
        return _Constellation(self.sites[order], self.signs[order])

    def seen_in(self, trace: Trace, turn: float = 0.0) -> _Rays:
        """Return what a trace shows along the rays of the sites."""
        return _rays(trace, self.sites, self.signs, turn)


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
    likely: Sequence[Array],
    ratio: float | None,
) -> Registered:
    """Return what is known of a bin's correction."""
    none = float(rays.scores(_NONE[None])[0])
    best = Registered(None, 0, 0.0, 0.0, TOO_FEW)
    ways = [(likely, False)] if likely else []
    for near, all_ in [*ways, ([_NONE], True)]:
        found, score, chance = _search(rays, turned, near, all_=all_)
        found, matches = _refined(rays, found)
        score = max(score, float(rays.scores(found[None])[0]))
        if score < none + GAIN:
            found, score = _NONE, none
            matches = int((rays.at(rays.shifts(_NONE[None])[0]) > FLOOR + 1).sum())
        why = f"{matches} defects, {score:.0f} for {chance:.0f} by chance"
        if matches < LEAST_MATCHES:
            best = replace(best, matches=matches, score=score, chance=chance)
        elif score <= OVER_CHANCE * chance + MORE + BOUND - FLOOR:
            why = f"no better than chance: {why}"
            best = Registered(None, matches, score, chance, why)
        elif ratio is not None and _is_of_scene(found, ratio):
            best = Registered(None, matches, score, chance, "one scene, enlarged")
        else:
            scale, *bent = found.tolist()
            correction = Correction(scale, *(one / scale for one in bent))
            return Registered(correction, matches, score, chance, f"known by {why}")
    return best


def _is_of_scene(found: Array, ratio: float) -> bool:
    """Return whether photos of one scene would be as different: enlarged by the zoom."""
    return abs(ratio - 1) > SCENE and abs(found.sum() / ratio - 1) < SCENE


def _interpolated(
    known: Mapping[int, Array], focal: Sequence[float | None], which: int
) -> list[Array]:
    """Return what corrections of other focal lengths make likely for one of them."""
    here = focal[which]
    lengths = sorted(
        (length, number) for number in known if (length := focal[number]) is not None
    )
    if here is None or not lengths:
        return []
    at = np.log([length for length, _ in lengths])
    of = np.array([known[number] for _, number in lengths])
    return [np.array([np.interp(math.log(here), at, column) for column in of.T])]


def _parameters(one: Correction) -> Array:
    return one.scale * np.array([1.0, one.k1, one.k2, one.k3])


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
    seen = _Constellation.of(traces[0].suspects(STRONGEST, scratch))
    found = [Registered(NONE, len(seen.sites), 0.0, 0.0, "the reference")]
    found += [Registered(None, 0, 0.0, 0.0, TOO_FEW) for _ in traces[1:]]
    for _ in range(ROUNDS):
        before = [one.correction for one in found]
        _register_round(seen, traces, priors, bins, found)
        now = [one.correction for one in found]
        if sum(one is not None for one in now) == sum(
            one is not None for one in before
        ):
            break
        seen = _stacked(traces, now, scratch)
    return found


def _stacked(
    traces: Sequence[Trace], corrections: Sequence[Correction | None], scratch: Scratch
) -> _Constellation:
    """Return what stands out in all bins that are known, together."""
    known = [
        (trace, one)
        for trace, one in zip(traces, corrections, strict=True)
        if one is not None
    ]
    moved = [one for _, one in known]
    height, width = traces[0].total.shape
    around = margin(moved, (height, width))
    plane = sensor_snr([trace for trace, _ in known], moved, scratch, around)
    return _Constellation.of(peaks.peaks(plane, MANY * STRONGEST, PART), around)


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
    for number in range(1, len(traces)):
        others = seen.without(number, traces, [one.correction for one in found])
        if len(others.sites) < LEAST_MATCHES:
            continue
        rays = others.seen_in(traces[number])
        turned = [others.seen_in(traces[number], turn) for turn in TURNS]
        known = {
            other: _parameters(one.correction)
            for other, one in enumerate(found)
            if one.correction is not None and bins[other].lens == bins[number].lens
        }
        mine, prior, likely = known.pop(number, None), priors[number], list[Array]()
        if mine is not None:
            likely = [mine]
        elif prior is not None:
            likely = [_parameters(prior)]
        elif len(known) > 1:
            likely = _interpolated(known, focal, number)
        here, first = focal[number], focal[0]
        ratio = here / first if here and first else None
        now = _registered(rays, turned, likely, ratio)
        if now.correction is not None or mine is None:
            found[number] = now


def margin(corrections: Iterable[Correction], size: tuple[int, int]) -> tuple[int, int]:
    """Return how many rows and columns beyond the reference's frame other bins show."""
    height, width = size
    edge = np.array([[0, 0], [0, (width - 1) / 2], [(height - 1) / 2, 0]], np.float64)
    first = np.zeros(2)
    for one in corrections:
        first = np.minimum(first, one.sites(edge, size).min(axis=0))
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
                   *_parameters(one).tolist())
            for trace, one in zip(traces, corrections, strict=True)
        )
    )  # fmt: skip
    _sensor_snr(
        *(planes, len(traces), height, width, *around, SNR_UNIT / UNIT),
        *(total.ctypes.data, information.ctypes.data, out.ctypes.data),
    )
    return out
