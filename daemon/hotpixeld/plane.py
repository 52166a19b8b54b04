"""One component of a photo: where the defects lie in it, what becomes of its blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import blocks, repair
from hotpixeld.coefficients import Area
from hotpixeld.footprint import Box, Grid, Spot
from hotpixeld.intervals import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hotpixeld.blocks import Block, Steps
    from hotpixeld.coefficients import Coefficients
    from hotpixeld.repair import Excess, Fill

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
    steps : (8, 8) float64
        Its quantisation table.
    spots : tuple of Spot
        All defects of the photo.
    fill : str
    areas : list of Area
        The blocks to look at, one area for each spot, after `plan`.
    """

    index: int
    grid: Grid
    frame: Box
    steps: Steps
    spots: tuple[Spot, ...]
    fill: Fill
    areas: list[Area] = field(default_factory=list)

    def plan(self) -> None:
        """List the blocks to look at, an area for each spot."""
        last = Box(0, 0, -(-self.frame.bottom // 8), -(-self.frame.right // 8))
        for spot in self.spots:
            whole = self._blocks(spot)
            self.areas.append(Area(self.index, *whole.grown(CONTEXT).clipped(last)))

    def places(self) -> Iterator[Place]:
        """Yield the blocks that may change."""
        for spot in self.spots:
            box = self._blocks(spot)
            for row in range(box.top, box.bottom):
                for column in range(box.left, box.right):
                    yield Place(self.index, row, column)

    def _blocks(self, spot: Spot) -> Box:
        """Return the blocks that a spot's footprint touches."""
        box = spot.box(self.grid).clipped(self.frame)
        return Box(box.top // 8, box.left // 8, -(-box.bottom // 8), -(-box.right // 8))

    def edited(self, found: Sequence[Coefficients]) -> dict[tuple[int, int], Block]:
        """Return the blocks that change, by block row and column."""
        known: dict[tuple[int, int], _Sum] = {}
        for spot, area, old in zip(self.spots, self.areas, found, strict=True):
            excess = self._excess(spot, area, old)
            if excess is not None:
                for place, part in self._parts(excess):
                    total = known.setdefault(place, _Sum())
                    total.add(*part)
                    total.source = area, old
        if not known:
            return {}
        old_blocks, sizes = [], []
        for (row, column), total in known.items():
            area, old = total.source
            old_blocks.append(old[row - area.top, column - area.left])
            sizes.append(self._around(area, old, known))
        before = np.array(old_blocks)
        after = self._new(before, list(known.values()), np.array(sizes))
        moved = np.flatnonzero((before != after).any(axis=(1, 2)))
        places = list(known)
        return {places[index]: after[index] for index in moved}

    def _excess(self, spot: Spot, area: Area, old: Coefficients) -> Excess | None:
        """Return what a spot added to the samples around it."""
        outer = Box(8 * area.top, 8 * area.left, 8 * area.bottom, 8 * area.right)
        inside = outer.clipped(self.frame)
        window = blocks.samples(old, self.steps)[inside.within(outer)]
        return repair.excess(
            window, inside, self.grid, spot, self.spots, fill=self.fill
        )

    def _parts(
        self, excess: Excess
    ) -> Iterator[tuple[tuple[int, int], tuple[Steps, Steps | None]]]:
        """Cut an excess into blocks: change and variance, both in steps."""
        box = excess.box
        for row in range(box.top // 8, -(-box.bottom // 8)):
            for column in range(box.left // 8, -(-box.right // 8)):
                block = Box(8 * row, 8 * column, 8 * row + 8, 8 * column + 8)
                common = block.clipped(box)
                change = np.zeros((8, 8))
                change[common.within(block)] = -excess.mean[common.within(box)]
                variance = None
                if excess.covariance is not None:
                    places = np.zeros((8, 8), bool)
                    places[common.within(block)] = True
                    held = np.zeros(box.shape, bool)
                    held[common.within(box)] = True
                    inside = np.flatnonzero(held)
                    covariance = excess.covariance[np.ix_(inside, inside)]
                    variance = blocks.spread(covariance, places, self.steps)
                yield (row, column), (blocks.in_steps(change, self.steps), variance)

    @staticmethod
    def _around(
        area: Area, old: Coefficients, known: dict[tuple[int, int], _Sum]
    ) -> Steps:
        """Return the expected coefficients, from an area's blocks without a defect."""
        clean = [
            old[row - area.top, column - area.left]
            for row in range(area.top, area.bottom)
            for column in range(area.left, area.right)
            if (row, column) not in known
        ]
        return blocks.expected_size(np.array(clean, float).reshape(-1, 8, 8))

    @staticmethod
    def _new(before: Coefficients, totals: Sequence[_Sum], sizes: Steps) -> Block:
        """Return blocks, (n, 8, 8), after what is to change in each."""
        change = np.array([total.change for total in totals])
        variances = [t.variance for t in totals if t.variance is not None]
        if not variances:
            return blocks.rounded(before, change)
        return blocks.requantised(before, change, np.array(variances), sizes)


class _Sum:
    """What all spots together change in one block; the source holds the block."""

    change: Steps
    variance: Steps | None
    source: tuple[Area, Coefficients]

    def __init__(self) -> None:
        self.change = np.zeros((8, 8))
        self.variance = None

    def add(self, change: Steps, variance: Steps | None) -> None:
        """Add one spot's part."""
        self.change = self.change + change
        if variance is not None:
            before = 0.0 if self.variance is None else self.variance
            self.variance = before + variance
