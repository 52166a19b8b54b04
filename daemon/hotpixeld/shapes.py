"""How a defective photosite shows in a photo: the shapes that cameras make of it.

Demosaicing spreads one site over its neighbours, sharpening draws a ring around it, and
the end of the scale flattens the peak or the ring.  All shapes that a few usual amounts
of each give are taken as equally likely; no camera's own shape is among them.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

Shapes = NDArray[np.float64]
"""(n, side, side) float64: footprints, 1 at the centre."""
Covariance = NDArray[np.float64]
"""(side * side, side * side) float64: of a footprint of amplitude 1."""

# Half width of the shapes; no camera shows more.
LARGEST = 8
SIDE = 2 * LARGEST + 1

# Demosaicing: share of the four neighbours, and of the diagonal ones in that; or the
# width of a blur, in pixels.
_NEIGHBOURS, _DIAGONALS = (0.15, 0.3, 0.45), (0.25, 0.5)
_BLURS = (0.3, 0.5, 0.7, 0.9)
# Sharpening: amount and radius of an unsharp mask.
_SHARPENINGS = ((0.0, 1.0), (0.4, 1.0), (0.4, 1.7), (0.9, 1.0), (0.9, 1.7))
# Where the peak is cut off, and the ring (1: nowhere).
_PEAKS, _RINGS = (1.0, 1.0, 0.8, 0.5), (1.0, 1.0, 1.0, 0.04)

# Share of footprints like no shape above: mirrored pixels rise and fall together, each
# such set for itself, with the strength of its distance from the centre squared.
_OTHER = 0.2
_STRENGTH = {0: 1.0, 1: 0.4, 2: 0.25, 4: 0.2, 5: 0.17, 8: 0.12}
_FAINT = 0.06
# A camera's own footprints outweigh the usual ones when there are more than this.
USUAL_COUNT = 4.0
# Share of its strength by which a pixel may differ from all that, on its own.
_APART = 0.2


def _blurred(shape: Shapes, radius: float) -> Shapes:
    """Return a shape blurred by a Gaussian."""
    places = np.arange(SIDE)
    kernel = np.exp(-((places[:, None] - places) ** 2) / (2 * radius**2))
    kernel /= kernel[LARGEST].sum()
    return np.asarray(kernel @ shape @ kernel.T)


def _spreads() -> Shapes:
    """Return what demosaicing may make of one site."""
    out = []
    for share, diagonal in itertools.product(_NEIGHBOURS, _DIAGONALS):
        shape = np.zeros((SIDE, SIDE))
        shape[LARGEST - 1 : LARGEST + 2, LARGEST - 1 : LARGEST + 2] = share * diagonal
        shape[LARGEST, LARGEST - 1 : LARGEST + 2] = share
        shape[LARGEST - 1 : LARGEST + 2, LARGEST] = share
        out.append(shape)
    for radius in _BLURS:
        point = np.zeros((SIDE, SIDE))
        point[LARGEST, LARGEST] = 1.0
        shape = _blurred(point, radius)
        out.append(shape / shape[LARGEST, LARGEST])
    for shape in out:
        shape[LARGEST, LARGEST] = 1.0
    return np.array(out)


def family() -> Shapes:
    """Return the footprints that cameras make of a photosite, all equally likely."""
    out = []
    steps = itertools.product(_spreads(), _SHARPENINGS, _PEAKS, _RINGS)
    for spread, (amount, radius), peak, ring in steps:
        shape = spread + amount * (spread - _blurred(spread, radius))
        shape = np.clip(shape / shape[LARGEST, LARGEST], -ring, peak)
        out.append(shape / peak)
    return np.array(out)


def _mirrored() -> Covariance:
    """Return the covariance of footprints known to be alike on all sides only."""
    rows, columns = (np.abs(place - LARGEST) for place in np.indices((SIDE, SIDE)))
    distance = (rows**2 + columns**2).ravel()
    strength = np.array([_STRENGTH.get(int(d), _FAINT) for d in distance])
    sets = (rows * SIDE + columns).ravel()
    together = sets[:, None] == sets[None, :]
    return np.asarray(np.outer(strength, strength) * together)


def _loose(covariance: Covariance) -> Covariance:
    """Return a covariance with what each pixel but the centre may do on its own."""
    apart = _APART**2 * (np.diag(covariance) + _FAINT**2)
    apart[apart.size // 2] = 0.0
    return np.asarray(covariance + np.diag(apart))


@functools.cache
def _strict() -> Covariance:
    """Return the covariance of usual footprints, and rare ones of any other shape."""
    flat = family().reshape(-1, SIDE * SIDE)
    return (1 - _OTHER) * (flat.T @ flat) / len(flat) + _OTHER * _mirrored()


@functools.cache
def usual() -> Covariance:
    """Return the covariance of the footprint of a camera that is not known better."""
    return _loose(_strict())


def like(second_moment: Covariance, count: float) -> Covariance:
    """Return the covariance of a footprint of a camera of which some were seen.

    Parameters
    ----------
    second_moment : (side * side, side * side) float64
        Of the footprints seen, each divided by its centre.
    count : float
        Their number; the usual shapes count as `USUAL_COUNT`.
    """
    share = count / (count + USUAL_COUNT)
    return _loose(share * second_moment + (1 - share) * _strict())
