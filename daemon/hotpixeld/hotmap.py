"""The hot-pixel map that the Welford state alone gives: suspects, and clear defects.

References
----------
S. Kuthirummal, A. Agarwala, D. Goldman, S. Nayar, "Priors for large photo collections and
what they reveal about cameras", ECCV 2008: the average of many photos is smooth, and a
pixel that differs from its neighbours in it is bad.
M. Anders, "Finding stuck or hot pixels in Nikon D80 images" (2011): lowest variance, kept
as `lowest_variance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import contrast, trace
from hotpixeld.pixels import Defect, Kind

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from hotpixeld.contrast import Peaks, Places
    from hotpixeld.trace import Trace
    from hotpixeld.welford import State

# Rec. 601, as in JPEG: the one component that no camera subsamples.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Expected false alarms in a whole map, each sign.
FALSE_ALARMS = 0.25
# Surroundings that vary less than this from photo to photo (levels squared), or so much
# less than the frame usually does, are not seen through the lens: bars, burned-in text,
# clipped sky. Rounding alone gives 1/12.
UNCHANGED = 0.25
USUAL = 1 / 50
# With N different scenes the photos vary N - 1 times as much as their mean does over the
# frame; with one, hardly at all.
ONE_SCENE = 0.25
# A site that varies this much less than its surroundings shows one level whatever the
# light.
STUCK = 0.5
# Half width of the window that a defect is measured in: the widest footprint seen is 7x7.
WINDOW = 6
CORE = 3
IGNORE_REACH = 2
# A spot stands out in every direction, by this share of its amplitude at least but for
# noise; its contrast to two opposite points is about twice as noisy as that to sixteen.
SPOT, SPOT_SIGMAS = 0.5, 2.5 * 2.0
# Peaks nearer than this are one defect.
APART = 3
# Suspects by the trace, and by the mean: that one shows stuck pixels better.
BY_TRACE, BY_MEAN = 400, 100
# For a repair: one pixel in a thousand million is as strong by chance.
CERTAIN = 6.0


def _window(plane: NDArray[np.float32], row: int, col: int) -> NDArray[np.float32]:
    """Return the (2 WINDOW + 1) square around a site; NaN outside the frame."""
    size = 2 * WINDOW + 1
    out = np.full((size, size, plane.shape[2]), np.nan, np.float32)
    top, left = row - WINDOW, col - WINDOW
    part = plane[max(top, 0) : top + size, max(left, 0) : left + size]
    down, right = max(-top, 0), max(-left, 0)
    out[down : down + part.shape[0], right : right + part.shape[1]] = part
    return out


def _rings() -> NDArray[np.intp]:
    """Return the distance of each place of a window from its centre (largest axis)."""
    axis = np.abs(np.arange(-WINDOW, WINDOW + 1))
    return np.maximum(axis[:, None], axis[None, :])


RING = _rings()


def _rays() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns, (8, 3) each, of eight rays outward from the footprint."""
    towards = np.array([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b])
    steps = np.arange(CORE + 1, WINDOW + 1)
    places = WINDOW + towards[:, :, None] * steps
    return places[:, 0], places[:, 1]


RAYS = _rays()


def _are_seen(state: State, sites: Places) -> NDArray[np.bool_]:
    """Return which sites have surroundings that change from photo to photo, all around."""
    usual = float(np.median(state.m2[::16, ::16]))
    least = max(UNCHANGED * state.weight, USUAL * usual)
    seen = []
    for row, col in sites.tolist():
        varied = _window(state.m2, row, col).mean(axis=2)
        # Medians of nothing, outside the frame, are no fault: NaN is below no limit.
        rays = np.median(varied[RAYS], axis=1)
        seen.append(not (rays < least).any())
    return np.array(seen, np.bool_)


def suspects(state: State, count: int = 500) -> Peaks:
    """Return the places whose mean stands out most, whatever the reason.

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
    if state.photos == 0 or min(height, width) < contrast.SMALLEST:
        return contrast.no_peaks()
    plane = contrast.relief(
        lambda start, stop: state.mean[start:stop] @ LUMA, height, width
    )
    contrast.level_grid(plane)
    found = contrast.peaks(plane, count)
    return found.only(_are_seen(state, found.sites))


def nominated(state: State, told: Trace) -> Places:
    """Return the suspects of a camera, (N, 2) row and column: by its mean, by its trace.

    The latter with the most suspicious first, so that the last ones of all are what
    chance gives.

    Parameters
    ----------
    state : State
    told : Trace
        Of the same photos, or of some of them.
    """
    by_trace = trace.suspects(told, BY_TRACE)
    seen = by_trace.only(_are_seen(state, by_trace.sites)).sites
    by_mean = suspects(state, 2 * BY_MEAN).sites
    distance = np.abs(by_mean[:, None] - seen[None]).max(axis=2)
    new = distance.min(axis=1, initial=APART + 1) > APART
    return np.concatenate([by_mean[new][:BY_MEAN], seen])


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
    variance = _window(state.m2, row, col) / np.float32(max(state.weight, 1.0))
    around = variance[RING > CORE]
    mean = _window(state.mean, row, col)
    excess = mean - np.nanmedian(mean[RING > CORE], axis=0)
    luma = excess @ LUMA
    centre = excess[WINDOW, WINDOW]
    own = float(variance[WINDOW, WINDOW].mean())
    if luma[WINDOW, WINDOW] < 0:
        kind = Kind.DEAD
    else:
        kind = Kind.STUCK if own < STUCK * np.nanmedian(around) else Kind.HOT
    amplitude = (float(centre[0]), float(centre[1]), float(centre[2]))
    return Defect(row, col, kind, _radius(luma), score, amplitude)


def stands_alone(
    state: State, row: int, col: int, expected: float, noise: float
) -> bool:
    """Tell whether the mean shows a spot at a site, and no edge or line of a scene.

    Parameters
    ----------
    state : State
    row, col : int
    expected : float, levels
        Mean amplitude (luma) that a defect would have in the state, with its sign.
    noise : float, levels
        Standard deviation of the mean's contrast there.
    """
    around = _window(state.mean, row, col) @ LUMA
    centre = around[WINDOW, WINDOW]
    pairs = [
        np.nanmean((around[WINDOW + a, WINDOW + b], around[WINDOW - a, WINDOW - b]))
        for a, b in contrast.PAIRS
        if not np.isnan(around[WINDOW + a, WINDOW + b] + around[WINDOW - a, WINDOW - b])
    ]
    if not pairs:
        return True
    least = float(np.min((centre - np.array(pairs)) * np.sign(expected)))
    return least > SPOT * abs(expected) - SPOT_SIGMAS * noise


def _ignored(row: int, col: int, ignore: Collection[tuple[int, int]]) -> bool:
    """Return whether a site lies within two pixels of one to ignore."""
    return any(
        max(abs(row - other[0]), abs(col - other[1])) <= IGNORE_REACH
        for other in ignore
    )


def is_one_scene(state: State) -> bool:
    """Tell whether the photos differ so little that there can be no verdict."""
    thin = state.mean[::4, ::4].reshape(-1, 3)
    over_time = float(state.m2[::4, ::4].mean()) / max(state.weight, 1.0)
    return over_time < ONE_SCENE * float(thin.var(axis=0).mean())


def find(
    state: State,
    *,
    min_photos: int = 16,
    ignore: Collection[tuple[int, int]] = (),
) -> list[Defect]:
    """Return the defects that the state alone proves, most significant first.

    Parameters
    ----------
    state : State
    min_photos : int
        With fewer photos nothing is listed.
    ignore : collection of (row, column)
        Places that are never listed, nor what lies within 2 pixels of them.

    Returns
    -------
    list of Defect
        One entry per defect. `score` is a signal to noise ratio that means the same for
        every camera: see `contrast.Peaks`. About `FALSE_ALARMS` entries per map and sign
        would be there by chance.
    """
    if state.photos < max(min_photos, 2) or is_one_scene(state):
        return []
    strongest = suspects(state)
    found = []
    for index in np.flatnonzero(strongest.false_alarms < FALSE_ALARMS).tolist():
        row, col = (int(value) for value in strongest.sites[index])
        if not _ignored(row, col, ignore):
            found.append(measure(state, row, col, float(strongest.scores[index])))
    return found


def is_certain(defect: Defect) -> bool:
    """Tell whether a detected defect may be repaired: more than listing asks for."""
    return defect.score is None or defect.score >= CERTAIN


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
    lowest = state.m2.min(axis=2)
    wanted = min(64 * count + 64, lowest.size)
    order = np.argpartition(lowest, wanted - 1, axis=None)[:wanted]
    order = order[np.argsort(lowest.ravel()[order], kind="stable")]
    sites: Places = np.stack(np.unravel_index(order, lowest.shape), axis=1)
    defects = []
    for row, col in contrast.apart(sites)[:count].tolist():
        around = np.nanmedian(_window(state.m2, row, col)[RING > CORE])
        score = float(np.sqrt((around + 1e-6) / (lowest[row, col] + 1e-6)))
        defects.append(Defect(row, col, Kind.STUCK, None, score))
    return defects
