"""Suspects: the places of a camera that stand out most, by its trace and by its mean.

References
----------
S. Kuthirummal, A. Agarwala, D. Goldman, S. Nayar, "Priors for large photo collections and
what they reveal about cameras", ECCV 2008: the average of many photos is smooth, and a
pixel that differs from its neighbours in it is bad.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import contrast, trace
from hotpixeld.around import CORE, LUMA, RAYS, RING, WINDOW, window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.contrast import Peaks, Places
    from hotpixeld.trace import Trace
    from hotpixeld.welford import State

# Surroundings that vary less than this from photo to photo (levels squared), or so much
# less than the frame usually does, are not seen through the lens: bars, burned-in text,
# clipped sky. Rounding alone gives 1/12.
UNCHANGED = 0.25
USUAL = 1 / 50
# So many such pixels around a site are a caption over the scene.
MARKS = 3
# A neighbour is the centre when it exceeds a site by so many times the usual step.
CLEARLY = 3.0
# Peaks nearer than this are one defect.
APART = 3
# Suspects by the trace, and by the mean: that one shows stuck pixels better.
BY_TRACE, BY_MEAN = 400, 100
FOREMOST = 20
"""Suspects that stand out most, half by each of the two."""


def are_seen(state: State, sites: Places) -> NDArray[np.bool_]:
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


def by_mean(state: State, count: int = 500) -> Peaks:
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
    return found.only(are_seen(state, found.sites))


def _centred(state: State, site: NDArray[np.intp], sign: float) -> tuple[int, int]:
    """Return a site, or the one beside it where the mean is clearly more extreme.

    What is bounded photo by photo is as strong beside the centre of a strong defect.
    """
    row, col = (int(value) for value in site)
    levels = sign * (window(state.mean, row, col) @ LUMA)
    steps = np.diff(levels, axis=1)
    noise = 1.4826 * float(np.nanmedian(np.abs(steps)))
    near = np.nan_to_num(
        levels[WINDOW - 1 : WINDOW + 2, WINDOW - 1 : WINDOW + 2], nan=-np.inf
    )
    down, right = divmod(int(near.argmax()), 3)
    if near[down, right] - levels[WINDOW, WINDOW] < CLEARLY * noise:
        return row, col
    return row + down - 1, col + right - 1


def distinct(sites: Places) -> Places:
    """Return the sites without those that are there already."""
    places = dict.fromkeys((row, col) for row, col in sites.tolist())
    return np.array(list(places), np.intp).reshape(-1, 2)


def nominated(state: State, told: Trace) -> Places:
    """Return the suspects of a camera, (N, 2) row and column, the `FOREMOST` first.

    Then those by its mean, then those by its trace with the most suspicious first, so
    that the last ones of all are what chance gives.

    Parameters
    ----------
    state : State
    told : Trace
        Of the same photos, or of some of them.
    """
    peaks = trace.suspects(told, BY_TRACE)
    peaks = peaks.only(are_seen(state, peaks.sites))
    signs = np.sign(peaks.ratios)
    moved = [_centred(state, *one) for one in zip(peaks.sites, signs, strict=True)]
    seen = np.array(moved, np.intp).reshape(-1, 2)
    others = by_mean(state, 2 * BY_MEAN).sites
    distance = np.abs(others[:, None] - seen[None]).max(axis=2)
    new = distance.min(axis=1, initial=APART + 1) > APART
    half = FOREMOST // 2
    # What stands out by both is a suspect where the trace has it.
    nearest = seen[(distance[:half] <= APART).any(axis=0)]
    places = [
        others[:half][new[:half]],
        nearest,
        seen[:half],
        others[new][:BY_MEAN],
        seen,
    ]
    return distinct(np.concatenate(places))
