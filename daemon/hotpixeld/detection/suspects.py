"""Suspects: the sites of a camera that stand out most, and the shape of a defect there.

By the trace, which finds the weak ones; by the mean, which shows stuck pixels better; and by
the variance, the only one that shows a pixel stuck at a level that scenes are as often above
as below: it takes away here and adds there, but varies less than all around it.
`lowest_variance` is the original method, in place of all three and of all verdicts.

References
----------
S. Kuthirummal, A. Agarwala, D. Goldman, S. Nayar, "Priors for large photo collections and
what they reveal about cameras", ECCV 2008: the average of many photos is smooth, and a
pixel that differs from its neighbours in it is bad.
M. Anders, "Finding stuck or hot pixels in Nikon D80 images" (2011): lowest variance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.defect import Defect, Kind
from hotpixeld.detection.sensor_trace import SensorTrace
from hotpixeld.statistics import peaks
from hotpixeld.statistics.contrast import CORE, LUMA, RAYS, RING, WINDOW, window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from hotpixeld.statistics.contrast import Sites
    from hotpixeld.statistics.generation import State
    from hotpixeld.statistics.peaks import Peaks, Scratch
    from hotpixeld.statistics.trace import Trace

# Surroundings that vary less than this from photo to photo (levels squared), or so much
# less than the frame usually does, are not seen through the lens: bars, burned-in text,
# clipped sky. Rounding alone gives 1/12.
UNCHANGED = 0.25
USUAL = 1 / 50
# So many such pixels around a site are a caption over the scene.
MARKS = 3
# A neighbour of a suspect is its centre when it exceeds it by so many times the usual
# step.
CLEARLY = 3.0
# Peaks nearer than this are one defect.
APART = 3
# Suspects by each.
BY_TRACE, BY_MEAN, BY_VARIANCE = 400, 100, 20
FOREMOST = 20
"""Suspects that stand out most: all that varies too little, the rest half by each other way."""
# A relief holds levels up to 255: fourteen to an octave of variance, from what rounding
# gives to the most that a level can vary, are 246.
OCTAVE = 14 / np.log(2)
# Places whose variance is as far below that around them, by chance, in a whole frame.
FEW = 0.1
# With N different scenes the photos vary N - 1 times as much as their mean does over the
# frame; with one, hardly at all.
ONE_SCENE = 0.25
# A site that varies this much less than its surroundings shows one level whatever the
# light.
STUCK = 0.5
IGNORE_REACH = 2
# A spot stands out in every direction, by this share of its amplitude at least but for so
# many standard deviations of what other places there do.
SPOT, SPOT_SIGMAS = 0.25, 2.5
# For a repair: one pixel in a thousand million is as strong by chance.
CERTAIN = 6.0


def are_seen(state: State, sites: Sites) -> NDArray[np.bool_]:
    """Return which sites have surroundings that change from photo to photo, all around."""
    usual = float(np.median(state.m2[::16, ::16]))
    least = max(UNCHANGED * state.weight, USUAL * usual)
    seen = []
    for row, col in sites.tolist():
        varied = window(state.m2, row, col).mean(axis=2)
        # Medians of nothing, outside the frame, are no fault: NaN is below no limit.
        rays = np.median(varied[RAYS], axis=1)
        marks = np.count_nonzero(varied[RING > CORE] < least)
        seen.append(not (rays < least).any() and marks < MARKS)
    return np.array(seen, np.bool_)


def _peaks(
    state: State,
    levels_of: Callable[[slice], NDArray[np.float32]],
    count: int,
    scratch: Scratch,
) -> Peaks:
    """Return the `count` most significant peaks and dips of a plane, given by its rows."""
    height, width, _ = state.mean.shape
    plane = peaks.relief(
        lambda start, stop: levels_of(slice(start, stop)), height, width, scratch
    )
    peaks.level_grid(plane)
    return peaks.peaks(plane, count)


def by_mean(state: State, count: int, scratch: Scratch = peaks.zeros) -> Peaks:
    """Return the sites whose mean stands out most, whatever the reason.

    Parameters
    ----------
    state : State
    count : int

    Returns
    -------
    Peaks
        At most `count`, most significant first.
    """
    height, width, _ = state.mean.shape
    if state.photos == 0 or min(height, width) < peaks.SMALLEST:
        return peaks.no_peaks()
    strongest = _peaks(state, lambda rows: state.mean[rows] @ LUMA, count, scratch)
    return strongest.only(are_seen(state, strongest.sites))


def by_variance(state: State, count: int, scratch: Scratch = peaks.zeros) -> Sites:
    """Return the sites that vary far less than their surroundings, which do vary.

    Only those of which chance would give less than `FEW` in a frame.

    Parameters
    ----------
    state : State
    count : int

    Returns
    -------
    (N, 2) intp
        Row, column; at most `count`, most significant first.
    """
    height, width, _ = state.m2.shape
    if state.weight < 2 or min(height, width) < peaks.SMALLEST:
        return peaks.no_peaks().sites
    every = np.full(3, 1 / state.weight, np.float32)

    def octaves(rows: slice) -> NDArray[np.float32]:
        variance = state.m2[rows] @ every
        return np.asarray(np.log(4 * variance + 1) * OCTAVE, np.float32)

    found = _peaks(state, octaves, 2 * count, scratch)
    found = found.only((found.ratios < 0) & (found.false_alarms < FEW))
    return found.sites[are_seen(state, found.sites)][:count]


def _centred(state: State, site: NDArray[np.intp], sign: float) -> tuple[int, int]:
    """Return a site, or the one beside it where the mean is clearly more extreme.

    What is bounded photo by photo is as strong beside the centre of a strong defect.
    """
    row, col = (int(value) for value in site)
    levels = sign * (window(state.mean, row, col) @ LUMA)
    steps = np.diff(levels, axis=1)
    noise = 1.4826 * float(np.nanmedian(np.abs(steps)))
    nine = np.nan_to_num(
        levels[WINDOW - 1 : WINDOW + 2, WINDOW - 1 : WINDOW + 2], nan=-np.inf
    )
    down, right = divmod(int(nine.argmax()), 3)
    if nine[down, right] - levels[WINDOW, WINDOW] < CLEARLY * noise:
        return row, col
    return row + down - 1, col + right - 1


def strongest(trace: Trace, places: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the one of neighbouring places that stands out most in the trace."""

    def ratio(site: tuple[int, int]) -> float:
        return abs(float(trace.ratios(*site)[WINDOW, WINDOW]))

    return max(places, key=ratio)


def distinct(sites: Sites) -> Sites:
    """Return the sites, each once, in their order."""
    once = dict.fromkeys((row, col) for row, col in sites.tolist())
    return np.array(list(once), np.intp).reshape(-1, 2)


def _inside(state: State, sites: Sites) -> NDArray[np.bool_]:
    """Return which sites lie in the frame: not all do where photos of other bins show them."""
    size = np.array(state.mean.shape[:2])
    return np.asarray(np.all((sites >= 0) & (sites < size), axis=1))


def nominated(state: State, trace: Trace, scratch: Scratch = peaks.zeros) -> Sites:
    """Return the suspects of a camera, (N, 2) row and column, the `FOREMOST` first.

    Then those by its mean, then those by its trace with the most suspicious first, so
    that the last ones of all are what chance gives.

    Parameters
    ----------
    state : State
    trace : Trace
        Of the same photos, or of some of them.
    scratch : callable
        Holds one plane at a time.
    """
    strongest = trace.suspects(BY_TRACE, scratch)
    inside = _inside(state, strongest.sites)
    seen = ~inside
    seen[inside] = are_seen(state, strongest.sites[inside])
    strongest = strongest.only(seen)
    by_trace = strongest.sites
    if not isinstance(trace, SensorTrace):  # the mean of moving defects has no centres
        signs = np.sign(strongest.ratios)
        centred = [
            _centred(state, site, sign)
            for site, sign in zip(strongest.sites, signs, strict=True)
        ]
        by_trace = np.array(centred, np.intp).reshape(-1, 2)
    others = by_mean(state, 2 * BY_MEAN, scratch).sites
    distance = np.abs(others[:, None] - by_trace[None]).max(axis=2)
    new = distance.min(axis=1, initial=APART + 1) > APART
    half = FOREMOST // 2
    # What stands out by both is a suspect where the trace has it.
    by_both = by_trace[(distance[:half] <= APART).any(axis=0)]
    ordered = [
        by_variance(state, BY_VARIANCE, scratch),
        others[:half][new[:half]],
        by_both,
        by_trace[:half],
        others[new][:BY_MEAN],
        by_trace,
    ]
    return distinct(np.concatenate(ordered))


def _radius(excess: NDArray[np.floating]) -> int:
    """Return the half width of the footprint in a (13, 13) window of luma excess."""
    noise = float(np.nanstd(excess[RING > CORE]))
    peak = abs(float(excess[WINDOW, WINDOW]))
    for distance in range(CORE, 0, -1):
        level = float(np.nanmax(np.abs(excess[distance == RING])))
        if level > max(0.1 * peak, 4 * noise):
            return distance
    return 0 if peak > 20 * noise else 1


def measure(state: State, row: int, col: int, score: float) -> Defect:
    """Return the defect at a site."""
    variance = window(state.m2, row, col) / np.float32(max(state.weight, 1.0))
    mean = window(state.mean, row, col)
    excess = mean - np.nanmedian(mean[RING > CORE], axis=0)
    luma = excess @ LUMA
    centre = excess[WINDOW, WINDOW]
    own = float(variance[WINDOW, WINDOW].mean())
    if luma[WINDOW, WINDOW] < 0:
        kind = Kind.DEAD
    else:
        kind = (
            Kind.STUCK
            if own < STUCK * np.nanmedian(variance[RING > CORE])
            else Kind.HOT
        )
    amplitude = (float(centre[0]), float(centre[1]), float(centre[2]))
    return Defect(row, col, kind, _radius(luma), score, amplitude)


def stands_alone(state: State, row: int, col: int, expected: float) -> bool:
    """Return whether the mean shows a spot at a site, and no edge or line of a scene.

    Parameters
    ----------
    state : State
    row, col : int
    expected : float, levels
        Mean amplitude (luma) that a defect would have in the state, with its sign.
    """
    levels = np.sign(expected) * (window(state.mean, row, col) @ LUMA)
    inner = slice(2, -2)
    aside = (RING > CORE)[inner, inner]
    for down, right in peaks.PAIRS:
        pairs = np.roll(levels, (down, right), (0, 1)) + np.roll(
            levels, (-down, -right), (0, 1)
        )
        excess = (levels - pairs / 2)[inner, inner]
        centre = float(excess[WINDOW - 2, WINDOW - 2])
        noise = 1.4826 * float(np.nanmedian(np.abs(excess[aside])))
        if centre < SPOT * abs(expected) - SPOT_SIGMAS * noise:
            return False  # NaN, beyond the frame's edge, is no evidence
    return True


def varies_little(state: State, row: int, col: int) -> bool:
    """Return whether a site varies less than `STUCK` of all that is around it.

    Than each of eight interpolations through it, so that no edge or line of scenes does.
    """
    varied = window(state.m2, row, col).mean(axis=2)
    pairs = [
        varied[WINDOW + down, WINDOW + right] + varied[WINDOW - down, WINDOW - right]
        for down, right in peaks.PAIRS
    ]
    # NaN, beyond the frame's edge, is no evidence.
    return bool(varied[WINDOW, WINDOW] < STUCK * np.nanmin(pairs) / 2)


def is_ignored(row: int, col: int, ignore: Collection[tuple[int, int]]) -> bool:
    """Return whether a site lies within two pixels of one to ignore."""
    return any(
        max(abs(row - other[0]), abs(col - other[1])) <= IGNORE_REACH
        for other in ignore
    )


def is_one_scene(state: State) -> bool:
    """Return whether the photos differ so little that there can be no verdict.

    By one pixel of sixteen, band by band: of all bands these are 150 MB at 100 megapixels.
    """
    count, sums = 0, np.zeros((3, 3))
    for start in range(0, len(state.mean), peaks.BAND):
        rows = slice(start, start + peaks.BAND, 4)
        levels = state.mean[rows, ::4].reshape(-1, 3).astype(np.float64)
        squares = state.m2[rows, ::4].reshape(-1, 3).sum(axis=0, dtype=np.float64)
        sums += np.stack([levels.sum(axis=0), (levels**2).sum(axis=0), squares])
        count += len(levels)
    mean, mean_square, over_time = sums / count
    over_frame = (mean_square - mean**2).mean()
    return bool(over_time.mean() / max(state.weight, 1.0) < ONE_SCENE * over_frame)


def is_certain(defect: Defect) -> bool:
    """Return whether a detected defect may be repaired: more than listing asks for."""
    return defect.score is None or defect.score >= CERTAIN


def _lowest(state: State, count: int) -> Sites:
    """Return the sites of the lowest M2, lowest first, found band by band."""
    best, places = np.empty(0, np.float32), np.empty((0, 2), np.intp)
    for start in range(0, len(state.m2), peaks.BAND):
        lowest = state.m2[start : start + peaks.BAND].min(axis=2)
        order = np.argsort(lowest, axis=None, kind="stable")[:count]
        here = np.stack(np.unravel_index(order, lowest.shape), axis=1)
        best = np.concatenate([best, lowest.ravel()[order]])
        places = np.concatenate([places, here + np.array([start, 0])])
        first = np.argsort(best, kind="stable")[:count]
        best, places = best[first], places[first]
    return places


def lowest_variance(state: State, count: int) -> list[Defect]:
    """Return the sites of the lowest M2, the original method; one entry per defect.

    Parameters
    ----------
    state : State
    count : int

    Returns
    -------
    list of Defect
        Lowest first; `score` is the number of standard deviations of its surroundings
        per one of its own.
    """
    sites = _lowest(state, 64 * count + 64)
    defects = []
    for row, col in peaks.apart(sites)[:count].tolist():
        usual = np.nanmedian(window(state.m2, row, col)[RING > CORE])
        least = float(state.m2[row, col].min())
        score = float(np.sqrt((usual + 1e-6) / (least + 1e-6)))
        defects.append(Defect(row, col, Kind.STUCK, None, score))
    return defects
