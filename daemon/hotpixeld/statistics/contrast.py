"""Local contrast of luma: how far a place stands out of its surroundings in one photo.

Of luma alone: it is the one component that JPEG does not subsample, and in plantings of
every tint the colour differences found nothing that luma did not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.statistics.peaks import Steps

STEP = 2
"""Luma is held in half levels: 48 times 255 of them still fit 16 bits."""
REACH = 6
# Contrast, in 1/48: the site twice and its four neighbours (a footprint that JPEG has
# dulled) against the border of the 5x5. Narrower and wider ones, and filters whitened by
# the covariance of real scenes, told less or no more.
CENTRE, BORDER = 8, 3
UNIT = 16 * BORDER * STEP
# Places whose contrast gives the spread: outside the footprint, inside the window.
INNER, OUTER = 3, 4
# Mean absolute value to standard deviation, for a Gaussian.
GAUSSIAN = float(np.sqrt(np.pi / 2))


def luma_of(red: Steps, green: Steps, blue: Steps) -> Steps:
    """Return the luma of levels, int16: Rec. 601, `STEP` a level."""
    return (19 * red + 38 * green + 7 * blue) >> 5


def box(plane: Steps, reach: int) -> Steps:
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


def contrast(luma: Steps) -> tuple[Steps, Steps]:
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


def _outside() -> NDArray[np.float32]:
    """Return 1 for the places of a flat square of contrasts outside the footprint."""
    axis = np.abs(np.arange(-OUTER, OUTER + 1))
    return (np.maximum(axis[:, None], axis) >= INNER).astype(np.float32).ravel()


OUTSIDE = _outside()
