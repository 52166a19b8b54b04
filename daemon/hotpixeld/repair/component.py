"""One component of a photo: the blocks under defects, and what becomes of them.

A component is repaired in its own samples: the blocks under footprints and those around
are decoded, what the defects added is estimated, and the coefficients that the camera
would have written without it take the place of the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.jpeg import dct_blocks
from hotpixeld.jpeg.dct_blocks import Cut
from hotpixeld.repair import separation
from hotpixeld.repair.field import Box, Mosaic, PositionSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hotpixeld.jpeg.dct_blocks import Coefficients, Float32, QuantisationTable
    from hotpixeld.jpeg.scans import Integers
    from hotpixeld.repair.field import Subsampling
    from hotpixeld.repair.footprint import FootprintPrior, Spot
    from hotpixeld.repair.separation import Fill

# Blocks around a footprint's own that the scene is learned from.
CONTEXT = 1


@dataclass(frozen=True, slots=True)
class ComponentRepair:
    """One component of a photo: where defects lie in it, what becomes of its blocks.

    Attributes
    ----------
    index : int
        Of the component, in the photo's order.
    subsampling : Subsampling
    frame : Box
        The whole plane.
    table : (8, 8) float32
        Its quantisation table.
    spots : tuple of Spot
        All defects of the photo.
    fill : str
    prior : FootprintPrior or None
        Of the footprints in it; None for what is usual.
    """

    index: int
    subsampling: Subsampling
    frame: Box
    table: QuantisationTable
    spots: tuple[Spot, ...]
    fill: Fill
    prior: FootprintPrior | None = None
    _under: PositionSet = field(init=False)
    _seen: PositionSet = field(init=False)

    def __post_init__(self) -> None:
        """Find the blocks that footprints touch, and those around them."""
        last = self._blocks(self.frame)
        under = [
            self._blocks(s.box(self.subsampling).clipped(self.frame))
            for s in self.spots
        ]
        seen = [box.grown(CONTEXT).clipped(last) for box in under]
        object.__setattr__(self, "_under", PositionSet.of(last, under))
        object.__setattr__(self, "_seen", PositionSet.of(last, seen))

    @staticmethod
    def _blocks(box: Box) -> Box:
        """Return the blocks that a box of samples touches."""
        return Box(box.top // 8, box.left // 8, -(-box.bottom // 8), -(-box.right // 8))

    def places(self) -> Integers:
        """Return the blocks to look at, in order: component, row and column of each."""
        rows, columns = self._seen.coordinates()
        return np.stack([np.full_like(rows, self.index), rows, columns], axis=1)

    def edited(self, old: Coefficients) -> Coefficients:
        """Return the coefficients of these blocks without the defects."""
        new = old.copy()
        rank, _ = self._seen.index(*self._under.coordinates())
        new[rank] = self._without(old, rank)
        return new

    def _without(self, old: Coefficients, rank: NDArray[np.intp]) -> Coefficients:
        """Return the blocks under footprints, at `rank` of those seen, repaired."""
        mosaic = Mosaic(self.frame, self._seen, dct_blocks.samples(old, self.table))
        cuts = [
            dct_blocks.cut(
                (part.tops, part.lefts), part.mean, part.covariance, self.table
            )
            for part in separation.excesses(
                mosaic,
                self.subsampling,
                self.spots,
                fill=self.fill,
                prior=self.prior,
                noise=dct_blocks.noise(self.table),
            )
        ]
        change, variance = self._summed(cuts)
        if self.fill == "neighbours":
            return dct_blocks.rounded(old[rank], -change)
        return dct_blocks.requantised(old[rank], -change, variance, self._sizes(old))

    def _summed(self, cuts: Sequence[Cut]) -> tuple[Float32, Float32]:
        """Return what all footprints added to the blocks under them, and its variance."""
        count = self._under.numbers.size
        if not cuts:
            nothing = np.zeros((count, 8, 8), np.float32)
            return nothing, nothing
        every = Cut(*(np.concatenate(part) for part in zip(*cuts, strict=True)))
        rank, inside = self._under.index(every.rows, every.columns)
        place = (64 * rank[inside, None] + np.arange(64)).ravel()

        def total(part: Float32) -> Float32:
            sums = np.bincount(place, part[inside].ravel(), 64 * count)
            return sums.reshape(count, 8, 8).astype(np.float32)

        return total(every.change), total(every.variance)

    def _sizes(self, old: Coefficients) -> Float32:
        """Return the expected coefficients of the blocks under footprints."""
        rows, columns = self._under.coordinates()
        around = np.arange(-2, 3)
        near = rows[:, None, None] + around[:, None], columns[:, None, None] + around
        rank, known = self._seen.index(*near)
        known &= ~self._under.index(*near)[1]
        size = np.abs(old).reshape(-1, 64).astype(np.float32)
        total = np.zeros((rows.size, 64), np.float32)
        for y, x in np.ndindex(5, 5):
            some = known[:, y, x]
            total[some] += size[rank[some, y, x]]
        return dct_blocks.expected_size(total.reshape(-1, 8, 8), known.sum(axis=(1, 2)))
