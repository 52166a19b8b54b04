"""The hot-pixel map that the Welford state alone gives, and the shape of each defect.

References
----------
M. Anders, "Finding stuck or hot pixels in Nikon D80 images" (2011): lowest variance, kept
as `lowest_variance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import contrast, suspects
from hotpixeld.around import CORE, LUMA, RING, WINDOW, window
from hotpixeld.pixels import Defect, Kind

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from hotpixeld.contrast import Places
    from hotpixeld.welford import State

# Expected false alarms in a whole map, each sign.
FALSE_ALARMS = 0.25
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
    around = variance[RING > CORE]
    mean = window(state.mean, row, col)
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


def stands_alone(state: State, row: int, col: int, expected: float) -> bool:
    """Tell whether the mean shows a spot at a site, and no edge or line of a scene.

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
    for down, right in contrast.PAIRS:
        pairs = np.roll(levels, (down, right), (0, 1)) + np.roll(
            levels, (-down, -right), (0, 1)
        )
        excess = (levels - pairs / 2)[inner, inner]
        centre = float(excess[WINDOW - 2, WINDOW - 2])
        noise = 1.4826 * float(np.nanmedian(np.abs(excess[aside])))
        if centre < SPOT * abs(expected) - SPOT_SIGMAS * noise:
            return False  # NaN, beyond the frame's edge, is no evidence
    return True


def is_ignored(row: int, col: int, ignore: Collection[tuple[int, int]]) -> bool:
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
    strongest = suspects.by_mean(state)
    found = []
    for index in np.flatnonzero(strongest.false_alarms < FALSE_ALARMS).tolist():
        row, col = (int(value) for value in strongest.sites[index])
        if not is_ignored(row, col, ignore):
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
        around = np.nanmedian(window(state.m2, row, col)[RING > CORE])
        score = float(np.sqrt((around + 1e-6) / (lowest[row, col] + 1e-6)))
        defects.append(Defect(row, col, Kind.STUCK, None, score))
    return defects
