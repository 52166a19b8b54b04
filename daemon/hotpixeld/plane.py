"""One component of a photo: where the defects lie in it, what becomes of its blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import blocks, repair
from hotpixeld.blocks import Cut
from hotpixeld.coefficients import Area
from hotpixeld.field import Mosaic, PlaceSet
from hotpixeld.footprint import Box, Grid, Shape, Spot
from hotpixeld.intervals import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hotpixeld.blocks import Block, Samples, Steps
    from hotpixeld.coefficients import Coefficients
    from hotpixeld.repair import Fill

# Blocks around a footprint's own that the scene is learned from.
CONTEXT = 1


@dataclass(frozen=True, slots=True)
class Plane:
    """One component of a photo.

    Attributes
    ----------
    index : int
        Of the component, in the photo's order.
    grid : Grid
    frame : Box
        The whole plane.
    steps : (8, 8) float32
        Its quantisation table.
    spots : tuple of Spot
        All defects of the photo.
    fill : str
    shape : Shape or None
        How footprints look in it; None for what is usual.
    """

    index: int
    grid: Grid
    frame: Box
    steps: Steps
    spots: tuple[Spot, ...]
    fill: Fill
    shape: Shape | None = None
    _under: PlaceSet = field(init=False)
    _seen: PlaceSet = field(init=False)

    def __post_init__(self) -> None:
        """Find the blocks that footprints touch, and those around them."""
        last = self._blocks(self.frame)
        under = [self._blocks(s.box(self.grid).clipped(self.frame)) for s in self.spots]
        seen = [box.grown(CONTEXT).clipped(last) for box in under]
        object.__setattr__(self, "_under", PlaceSet.of(last, under))
        object.__setattr__(self, "_seen", PlaceSet.of(last, seen))

    @staticmethod
    def _blocks(box: Box) -> Box:
        """Return the blocks that a box of samples touches."""
        return Box(box.top // 8, box.left // 8, -(-box.bottom // 8), -(-box.right // 8))

    def areas(self) -> list[Area]:
        """Return the blocks to look at, as runs of one row each."""
        rows, columns = self._seen.coordinates()
        starts = np.flatnonzero(np.diff(self._seen.numbers, prepend=-2) != 1)
        lengths = np.diff(starts, append=rows.size)
        runs = zip(
            rows[starts].tolist(),
            columns[starts].tolist(),
            lengths.tolist(),
            strict=True,
        )
        return [
            Area(self.index, row, column, row + 1, column + length)
            for row, column, length in runs
        ]

    def places(self) -> Iterator[Place]:
        """Yield the blocks that may change."""
        rows, columns = self._under.coordinates()
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            yield Place(self.index, row, column)

    def edited(
        self, found: Sequence[Coefficients]
    ) -> tuple[list[Coefficients], dict[Place, Block]]:
        """Return the areas' coefficients without the defects, and the changed blocks."""
        if not found:
            return [], {}
        old = np.concatenate([part.reshape(-1, 8, 8) for part in found])
        new = old.copy()
        under = self._under.coordinates()
        rank, _ = self._seen.index(*under)
        new[rank] = self._without(old, rank)
        moved = np.flatnonzero((new[rank] != old[rank]).any(axis=(1, 2)))
        places = zip(*(part[moved].tolist() for part in under), strict=True)
        changed = {
            Place(self.index, *place): new[rank[block]].astype(np.int32)
            for place, block in zip(places, moved.tolist(), strict=True)
        }
        ends = np.cumsum([part.shape[1] for part in found])[:-1]
        return [part[None] for part in np.split(new, ends)], changed

    def _without(self, old: NDArray[np.int16], rank: NDArray[np.intp]) -> Block:
        """Return the blocks under footprints, at `rank` of those seen, repaired."""
        mosaic = Mosaic(self.frame, self._seen, blocks.samples(old, self.steps))
        cuts = [
            blocks.cut((part.tops, part.lefts), part.mean, part.covariance, self.steps)
            for part in repair.excesses(
                mosaic,
                self.grid,
                self.spots,
                fill=self.fill,
                shape=self.shape,
                noise=blocks.noise(self.steps),
            )
        ]
        change, variance = self._summed(cuts)
        if self.fill == "neighbours":
            return blocks.rounded(old[rank], -change)
        return blocks.requantised(old[rank], -change, variance, self._sizes(old))

    def _summed(self, cuts: Sequence[Cut]) -> tuple[Samples, Samples]:
        """Return what all footprints added to the blocks under them, and its variance."""
        count = self._under.numbers.size
        if not cuts:
            nothing = np.zeros((count, 8, 8), np.float32)
            return nothing, nothing
        every = Cut(*(np.concatenate(part) for part in zip(*cuts, strict=True)))
        rank, inside = self._under.index(every.rows, every.columns)
        place = (64 * rank[inside, None] + np.arange(64)).ravel()

        def total(part: Samples) -> Samples:
            sums = np.bincount(place, part[inside].ravel(), 64 * count)
            return sums.reshape(count, 8, 8).astype(np.float32)

        return total(every.change), total(every.variance)

    def _sizes(self, old: NDArray[np.int16]) -> Samples:
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
        return blocks.expected_size(total.reshape(-1, 8, 8), known.sum(axis=(1, 2)))
