"""Local contrast: how far a pixel stands out of its surroundings in one frame.

Of luma alone: it is the one component that JPEG does not subsample, and in plantings of
every tint the colour differences found nothing that luma did not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FixedPoint = NDArray[np.int16]
"""Levels or contrasts, int16, so many units a level: each array says how many."""
FloatArray = NDArray[np.float32]
Sites = NDArray[np.intp]
"""(N, 2): row, column."""

# Rec. 601, as in JPEG.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
STEP = 2
"""Luma is held in half levels: 48 times 255 of them still fit 16 bits."""
WINDOW = 6
"""Half width of the window that a site is measured in: the widest footprint seen is 7x7."""
CORE = 3
"""Half width of that footprint."""
# Contrast, in 1/48: the site twice and its four neighbours (a footprint that JPEG has
# dulled) against the border of the 5x5. Narrower and wider ones, and filters whitened by
# the covariance of real scenes, found fewer defects or no more.
CENTRE, BORDER = 8, 3
UNIT = 16 * BORDER * STEP
# Places whose contrast gives the spread: outside the footprint, inside the window.
INNER, OUTER = 3, 4
# Mean absolute value to standard deviation, for a Gaussian.
GAUSSIAN = float(np.sqrt(np.pi / 2))


def _rings() -> NDArray[np.intp]:
    """Return the distance of each place of a window from its centre (largest axis)."""
    axis = np.abs(np.arange(-WINDOW, WINDOW + 1))
    return np.maximum(axis[:, None], axis[None, :])


def _rays() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns, (8, 3) each, of eight rays outward from the footprint."""
    towards = np.array([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b])
    steps = np.arange(CORE + 1, WINDOW + 1)
    places = WINDOW + towards[:, :, None] * steps
    return places[:, 0], places[:, 1]


RING = _rings()
"""(13, 13): the distance of each place of a window from its centre."""
RAYS = _rays()
"""Rows and columns in a window, (8, 3) each, of eight rays outward from the footprint."""
OUTSIDE = (RING[2:-2, 2:-2] >= INNER).astype(np.float32).ravel()
"""(81,): 1 for the contrasts of a window, (9, 9), that lie outside the footprint."""


def window(plane: FloatArray, row: int, col: int) -> FloatArray:
    """Return the (2 WINDOW + 1) square around a site, of (H, W, C); NaN outside."""
    size = 2 * WINDOW + 1
    out = np.full((size, size, plane.shape[2]), np.nan, np.float32)
    top, left = row - WINDOW, col - WINDOW
    part = plane[max(top, 0) : top + size, max(left, 0) : left + size]
    down, right = max(-top, 0), max(-left, 0)
    out[down : down + part.shape[0], right : right + part.shape[1]] = part
    return out


def luma_of(red: FixedPoint, green: FixedPoint, blue: FixedPoint) -> FixedPoint:
    """Return the luma of levels, int16: Rec. 601, `STEP` a level."""
    return (19 * red + 38 * green + 7 * blue) >> 5


def box(plane: FixedPoint, reach: int) -> FixedPoint:
    """Return the sum of the (2 reach + 1) square around each place but the margins.

    Parameters
    ----------
    plane : (H, W, ...) int16
        The sums must fit.
    reach : int

    Returns
    -------
    (H - 2 reach, W - 2 reach, ...) int16
    """
    size = 2 * reach
    height, width = plane.shape[0] - size, plane.shape[1] - size
    down = plane[:height].copy()
    for step in range(1, size + 1):
        down += plane[step : step + height]
    out = down[:, :width].copy()
    for step in range(1, size + 1):
        out += down[:, step : step + width]
    return out


def contrast(luma: FixedPoint) -> tuple[FixedPoint, FixedPoint]:
    """Return how far each place but a margin of two stands out of its surroundings.

    Parameters
    ----------
    luma : (H, W, ...) int16, `STEP` a level

    Returns
    -------
    contrast, border : (H - 4, W - 4, ...) int16
        Contrast, `UNIT` a level, and the sum of the 16 places around, `STEP` a level.
    """
    middle = luma[1:-1, 1:-1]
    border = box(luma, 2) - box(middle, 1)
    plus = 2 * luma[2:-2, 2:-2] + luma[1:-3, 2:-2] + luma[3:-1, 2:-2]
    plus += luma[2:-2, 1:-3] + luma[2:-2, 3:-1]
    return CENTRE * plus - BORDER * border, border
