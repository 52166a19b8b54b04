"""Tails: how many places of a frame chance alone makes as extreme as this one.

References
----------
B. M. Hill, "A simple general approach to inference about the tail of a distribution",
Annals of Statistics 3 (1975) 1163-1174: the tail index, here by regression on ranks.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The tail is fitted to at most so many of the largest, at most this share of all, and not
# to the very first of them, which may be defects.
TAIL = 1024
EXTREME = 1 / 16
FIRST = 1 / 16


def false_alarms(ratios: NDArray[np.floating], trials: int) -> NDArray[np.float64]:
    """Return how many peaks as strong as each chance alone would give.

    Parameters
    ----------
    ratios : (N,) float, 0 or more, strongest first
        The largest peaks of one sign, a sixteenth of all or more.
    trials : int
        Number of all.

    Notes
    -----
    A power law overrates the tail of a Gaussian, so it errs towards silence; in a scene
    that never changes, whose contrasts have no scale, it is what makes it silent.
    """
    last = min(TAIL, int(EXTREME * trials), len(ratios) - 1)
    if last < 1 / FIRST or ratios[last] <= 0:
        return np.full(len(ratios), np.inf)
    first = int(FIRST * last)
    ranks = np.arange(first, last) + 1.0
    spread = np.log((last + 1) / (ranks - 0.5))
    excess = np.log(np.asarray(ratios[first:last], np.float64) / ratios[last])
    index = max(float(excess @ spread / (spread @ spread)), 1e-3)
    above = np.log(np.maximum(ratios, 1e-9) / np.float64(ratios[last]))
    return np.asarray((last + 1) * np.exp(-above / index), np.float64)


def snr(expected: NDArray[np.float64], pixels: int) -> NDArray[np.float64]:
    """Return the Gaussian signal to noise ratio that is as rare in `pixels` trials."""
    tail = np.clip(expected / pixels, 1e-300, 0.5)
    return np.array([-NormalDist().inv_cdf(float(p)) for p in tail])
