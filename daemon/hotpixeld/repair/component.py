"""One component of a photo: the blocks under defects, and what becomes of them.

A component is repaired in its own samples: the blocks under footprints and those around
are decoded, what the defects added is estimated, and the coefficients that the camera
would have written without it take the place of the old ones.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld.compiled import function
from hotpixeld.jpeg import dct_blocks
from hotpixeld.repair import footprint, separation
from hotpixeld.repair.field import Box, Boxes, Mosaic, PositionSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from hotpixeld.jpeg.dct_blocks import Coefficients, Float32, QuantisationTable
    from hotpixeld.jpeg.scans import Integers
    from hotpixeld.repair.field import Subsampling
    from hotpixeld.repair.footprint import Spot
    from hotpixeld.repair.separation import Excess, Fill, Priors

# Blocks around a footprint's own that the scene is learned from.
CONTEXT = 1
# Half width of the window whose middle level is that around a spot.
AROUND = 6

_transform = function("hotpixeld_transform_1", *[ctypes.c_void_p] * 7)


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a photo.

    Attributes
    ----------
    index : int
        In the photo's order.
    subsampling : Subsampling
    frame : Box
        The whole plane.
    table : (8, 8) float32
        Its quantisation table.
    """

    index: int
    subsampling: Subsampling
    frame: Box
    table: QuantisationTable

    def seen(self, spots: tuple[Spot, ...]) -> Integers:
        """Return the blocks that the repair of some spots looks at, in order: (n, 3).

        Component, row and column of each.
        """
        blocks = _blocks(self.frame, self.subsampling, spots)
        rows, columns = blocks.seen.coordinates()
        return np.stack([np.full_like(rows, self.index), rows, columns], axis=1)


class _Blocks(NamedTuple):
    """The blocks under footprints, and with them those to look at."""

    under: PositionSet
    seen: PositionSet


@functools.lru_cache(maxsize=8)
def _blocks(frame: Box, subsampling: Subsampling, spots: tuple[Spot, ...]) -> _Blocks:
    """Return the blocks of some spots: kept for after the walk, and for the other chroma."""
    whole = Box(0, 0, -(-frame.bottom // 8), -(-frame.right // 8))
    limits = [whole.bottom, whole.right] * 2
    boxes = footprint.boxes(spots, subsampling)
    under = np.concatenate([boxes[:, :2] // 8, -(-boxes[:, 2:] // 8)], axis=1)
    under = np.clip(under, 0, limits)
    around = np.clip(under + CONTEXT * np.array([-1, -1, 1, 1]), 0, limits)
    return _Blocks(PositionSet.of(whole, under), PositionSet.of(whole, around))


class ComponentRepair:
    """The repair of some spots in one component.

    Parameters
    ----------
    component : Component
    spots : tuple of Spot
        All defects of the photo.
    fill : str

    Attributes
    ----------
    places : (n, 3) int64
        The blocks to look at, in order.
    """

    def __init__(
        self,
        component: Component,
        spots: tuple[Spot, ...],
        fill: Fill,
    ) -> None:
        self.frame, self.table = component.frame, component.table
        self.subsampling = component.subsampling
        self.spots, self.fill = spots, fill
        self._under, self._seen = _blocks(self.frame, self.subsampling, spots)
        self.places = component.seen(spots)

    def samples(self, old: Coefficients) -> Mosaic:
        """Return what the blocks at `places` show."""
        return Mosaic(self.frame, self._seen, dct_blocks.samples(old, self.table))

    def levels(self, mosaic: Mosaic) -> list[float]:
        """Return the middle level of what is around each spot, in its order."""
        side = 2 * AROUND + 1
        rows, columns, _ = np.array(self.spots, np.intp).reshape(-1, 3).T
        tops = rows // self.subsampling.down - AROUND
        lefts = columns // self.subsampling.across - AROUND
        seen, exists = mosaic.cut(tops, lefts, (side, side))
        if exists.all():
            return [float(one) for one in np.median(seen, axis=(1, 2))]
        return [
            float(np.median(part[some]))
            for part, some in zip(seen, exists, strict=True)
        ]

    def edited(self, old: Coefficients, mosaic: Mosaic, priors: Priors) -> Coefficients:
        """Return the coefficients of the blocks at `places` without the defects.

        `mosaic` is what they show; see `samples`.
        """
        new = old.copy()
        rank, _ = self._seen.index(*self._under.coordinates())
        new[rank] = self._without(old, mosaic, rank, priors)
        return new

    def _without(
        self,
        old: Coefficients,
        mosaic: Mosaic,
        rank: NDArray[np.intp],
        priors: Priors,
    ) -> Coefficients:
        """Return the blocks under footprints, at `rank` of those seen, repaired."""
        parts = separation.excesses(
            mosaic,
            self.subsampling,
            self.spots,
            fill=self.fill,
            priors=priors,
            noise=dct_blocks.noise(self.table),
        )
        change, variance = self._summed(parts)
        if self.fill == "neighbours":
            return dct_blocks.rounded(old[rank], -change)
        return dct_blocks.requantised(old[rank], -change, variance, self._sizes(old))

    def _summed(self, parts: Iterable[Excess]) -> tuple[Float32, Float32]:
        """Return what all footprints added to the blocks under them, and its variance."""
        under = self._under.compiled()
        change, variance = np.zeros((2, under.count, 8, 8), np.float32)
        for part in parts:
            boxes = Boxes.of(part.tops, part.lefts, part.mean.shape[1:])
            _transform(
                *(ctypes.byref(under), ctypes.byref(boxes), part.mean.ctypes.data),
                None if part.covariance is None else part.covariance.ctypes.data,
                dct_blocks.WAVES.ctypes.data,
                *(change.ctypes.data, variance.ctypes.data),
            )
        return change / self.table, variance / self.table**2

    def _sizes(self, old: Coefficients) -> Float32:
        """Return the expected coefficients of the blocks under footprints."""
        rows, columns = self._under.coordinates()
        around = np.arange(-2, 3)
        near = rows[:, None, None] + around[:, None], columns[:, None, None] + around
        rank, known = self._seen.index(*near)
        known &= ~self._under.index(*near)[1]
        size = np.abs(old).reshape(-1, 64).astype(np.float32)
        each = known.reshape(-1, 1, 25).astype(np.float32)
        total = each @ size[rank.reshape(-1, 25)]
        return dct_blocks.expected_size(total.reshape(-1, 8, 8), known.sum(axis=(1, 2)))
