"""The original fill: a defect's centre becomes the mean of its eight neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.field import PlaceSet
from hotpixeld.footprint import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.field import Field, Places, Samples
    from hotpixeld.footprint import Grid, Spot

# Diagonal ones weigh 1/sqrt(2).
_WEIGHTS = np.array([[0.5, 1, 0.5], [1, 0, 1], [0.5, 1, 0.5]]) ** 0.5


def filled(
    field: Field, grid: Grid, spots: Sequence[Spot]
) -> tuple[Places, Places, Samples]:
    """Return what to take off the samples at the centres of defects.

    Neighbours outside the frame and other defects weigh nothing.

    Returns
    -------
    rows, columns : (n,) intp
        The samples, each once; none that has no neighbour left.
    added : (n,) float32, levels
    """
    centres = [(spot.row // grid.down, spot.col // grid.across) for spot in spots]
    bad = PlaceSet.of(field.frame, [Box(y, x, y + 1, x + 1) for y, x in centres])
    rows, columns = bad.coordinates()
    corner = rows - 1, columns - 1
    seen, exists = field.cut(*corner, (3, 3))
    weights = _WEIGHTS * (exists & ~bad.cut(*corner, (3, 3)))
    total = weights.sum(axis=(1, 2))
    some = total > 0
    mean = (weights * seen).sum(axis=(1, 2))[some] / total[some]
    added = seen[some, 1, 1] - mean
    return rows[some], columns[some], np.asarray(added, np.float32)
