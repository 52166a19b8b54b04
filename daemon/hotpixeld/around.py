"""What lies around a site: a square window, its rings and rays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rec. 601, as in JPEG: the one component that no camera subsamples.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Half width of the window that a defect is measured in: the widest footprint seen is 7x7.
WINDOW = 6
CORE = 3


def window(plane: NDArray[np.float32], row: int, col: int) -> NDArray[np.float32]:
    """Return the (2 WINDOW + 1) square around a site, of (H, W, C); NaN outside."""
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
