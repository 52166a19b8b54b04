"""A defect's footprint: the samples it may change, and what is known of its shape."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld import shapes

if TYPE_CHECKING:
    from hotpixeld.pixels import Defect

Samples = NDArray[np.floating]

# Half width of the footprint that is always reckoned with: a DSLR shows 3x3, a compact
# 7x7 with a dark ring; compression smears either.
HALF_WIDTH = 3
# A larger radius is cut: no camera shows more, and the equations would be slow.
LARGEST = shapes.LARGEST


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


@functools.lru_cache(maxsize=64)
def _pooling(half: int, grid: Grid, down: int, across: int) -> tuple[Box, Samples]:
    """Return the samples of a footprint, and what share of its pixels goes into each.

    `down` and `across` are the place of the defect's pixel within its sample.
    """
    box = Spot(down, across, half).box(grid)
    side = 2 * half + 1
    share = np.zeros((*box.shape, side, side))
    for y, x in np.ndindex(side, side):
        row = (down + y - half) // grid.down - box.top
        column = (across + x - half) // grid.across - box.left
        share[row, column, y, x] = 1 / (grid.down * grid.across)
    return box, share.reshape(box.shape[0] * box.shape[1], side * side)


def of_half(covariance: Samples, half: int) -> Samples:
    """Return the part of a footprint's covariance within a half width."""
    inner = slice(LARGEST - half, LARGEST + half + 1)
    square = covariance.reshape((2 * LARGEST + 1,) * 4)[inner, inner, inner, inner]
    return square.reshape(((2 * half + 1) ** 2,) * 2)


class Shape:
    """What is known of the shape of a camera's footprints in one component.

    Parameters
    ----------
    covariance : (289, 289) float64
        Of the pixels of a footprint of amplitude 1, 17 x 17, row by row.
    """

    def __init__(self, covariance: Samples) -> None:
        self._covariance = covariance
        self._known: dict[tuple[int, ...], Samples] = {}

    def prior(self, half: int, grid: Grid, down: int, across: int) -> Samples:
        """Return the covariance over the samples of a footprint's box.

        `down` and `across` are the place of the defect's pixel within its sample.
        """
        key = half, *grid, down, across
        if key not in self._known:
            _, share = _pooling(half, grid, down, across)
            pooled = share @ of_half(self._covariance, half) @ share.T
            self._known[key] = pooled.astype(np.float32)
        return self._known[key]

    def embedded(self, spot: Spot, grid: Grid, outer: Box) -> Samples:
        """Return the prior of a footprint over another box, 0 where it does not reach."""
        box = spot.box(grid)
        phase = spot.row % grid.down, spot.col % grid.across
        place = outer.top - box.top, outer.left - box.left
        key = spot.half, *grid, *phase, *place, *outer.shape
        if key not in self._known:
            common = box.clipped(outer)
            into, out_of = common.within(outer), common.within(box)
            prior = self.prior(spot.half, grid, *phase).reshape(box.shape * 2)
            whole = np.zeros(outer.shape * 2, np.float32)
            whole[into + into] = prior[out_of + out_of]
            self._known[key] = whole.reshape((outer.shape[0] * outer.shape[1],) * 2)
        return self._known[key]


@functools.cache
def usual() -> Shape:
    """Return the shape of a camera that is not known better."""
    return Shape(shapes.usual())
