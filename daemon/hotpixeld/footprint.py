"""A defect's footprint: the samples it may change, and what is known of its shape."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.pixels import Defect

Samples = NDArray[np.float64]

# Half width of the footprint that is always reckoned with: a DSLR shows 3x3, a compact
# 7x7 with a dark ring; compression smears either.
HALF_WIDTH = 3
# No camera shows more; a larger radius would only make the equations slow.
LARGEST = 8
# Expected strength of a footprint, centre = 1, by squared distance from the centre.
STRENGTH = {0: 1.0, 1: 0.4, 2: 0.25, 4: 0.2, 5: 0.17, 8: 0.12}
FAINT = 0.06
# Share of that strength by which a footprint may differ from its mirror images.
ASYMMETRY = 0.25


class Grid(NamedTuple):
    """Pixels of the frame per sample of a component, down and across."""

    down: int
    across: int


class Spot(NamedTuple):
    """A defect's place in the frame and the half width of its footprint, in pixels."""

    row: int
    col: int
    half: int

    @classmethod
    def of(cls, defect: Defect) -> Spot:
        """Return the spot of a defect."""
        half = min(max(defect.radius or 0, HALF_WIDTH), LARGEST)
        return cls(defect.row, defect.col, half)

    def box(self, grid: Grid) -> Box:
        """Return the samples of a component that the footprint touches."""
        return Box(
            (self.row - self.half) // grid.down,
            (self.col - self.half) // grid.across,
            (self.row + self.half) // grid.down + 1,
            (self.col + self.half) // grid.across + 1,
        )


class Box(NamedTuple):
    """A rectangle of samples, half-open."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    def clipped(self, outer: Box) -> Box:
        """Return the part inside another box."""
        return Box(
            max(self.top, outer.top),
            max(self.left, outer.left),
            min(self.bottom, outer.bottom),
            min(self.right, outer.right),
        )

    def grown(self, margin: int) -> Box:
        """Return the box with a margin on all sides."""
        top, left, bottom, right = self
        return Box(top - margin, left - margin, bottom + margin, right + margin)

    def within(self, outer: Box) -> tuple[slice, slice]:
        """Return the slices that cut this box out of an array that holds `outer`."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )


def reaching(spots: Sequence[Spot], outer: Box, grid: Grid) -> list[Spot]:
    """Return the spots whose footprint reaches into a box of samples."""
    row, col, half = np.array(spots).reshape(-1, 3).T
    inside = (row + half) // grid.down >= outer.top
    inside &= (row - half) // grid.down < outer.bottom
    inside &= (col + half) // grid.across >= outer.left
    inside &= (col - half) // grid.across < outer.right
    return [spots[index] for index in np.flatnonzero(inside).tolist()]


@functools.lru_cache(maxsize=256)
def _prior(half: int, grid: Grid, down: int, across: int) -> Samples:
    """Return the covariance of a footprint of amplitude 1 over the samples of its box.

    `down` and `across` are the place of the defect's pixel within its sample.
    Pixels at mirrored places rise and fall together, up to ASYMMETRY.
    """
    box = Spot(down, across, half).box(grid)
    offsets = range(-half, half + 1)
    mirrored: dict[tuple[int, int], Samples] = {}
    own = np.zeros(box.shape)
    share = 1 / (grid.down * grid.across)
    for y in offsets:
        for x in offsets:
            strength = share * STRENGTH.get(y * y + x * x, FAINT)
            place = (
                (down + y) // grid.down - box.top,
                (across + x) // grid.across - box.left,
            )
            key = abs(y), abs(x)
            mirrored.setdefault(key, np.zeros(box.shape))[place] += strength
            own[place] += (ASYMMETRY * strength) ** 2 if y or x else 0.0
    basis = np.array([part.ravel() for part in mirrored.values()])
    prior: Samples = basis.T @ basis + np.diag(own.ravel())
    prior.setflags(write=False)
    return prior


def embedded(spot: Spot, grid: Grid, patch: Box) -> tuple[NDArray[np.intp], Samples]:
    """Return the places of a footprint's samples in a flat patch, and their prior."""
    box = spot.box(grid)
    prior = _prior(spot.half, grid, spot.row % grid.down, spot.col % grid.across)
    rows, columns = np.indices(box.shape)
    rows, columns = rows + box.top - patch.top, columns + box.left - patch.left
    inside = (
        (rows >= 0)
        & (rows < patch.shape[0])
        & (columns >= 0)
        & (columns < patch.shape[1])
    ).ravel()
    places = (rows * patch.shape[1] + columns).ravel()[inside]
    return places, prior[np.ix_(inside, inside)]
