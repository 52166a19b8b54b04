"""Repair a JPEG in its DCT coefficients: blocks without a defect stay bit for bit.

One component of a photo: where the defects lie in it, what becomes of its blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import (
    attach,
    coefficients,
    dct_blocks,
    markers,
    turbojpeg,
)
from hotpixeld.jpeg.coefficients import Area
from hotpixeld.jpeg.dct_blocks import Cut
from hotpixeld.jpeg.huffman import Place
from hotpixeld.repair import separation
from hotpixeld.repair.field import Mosaic, PlaceSet
from hotpixeld.repair.footprint import Box, Grid, Shape, Spot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hotpixeld.defect import Defect
    from hotpixeld.jpeg.coefficients import Coefficients
    from hotpixeld.jpeg.dct_blocks import Block, Samples, Steps
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.repair.footprint import Footprint
    from hotpixeld.repair.separation import Fill

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
        mosaic = Mosaic(self.frame, self._seen, dct_blocks.samples(old, self.steps))
        cuts = [
            dct_blocks.cut(
                (part.tops, part.lefts), part.mean, part.covariance, self.steps
            )
            for part in separation.excesses(
                mosaic,
                self.grid,
                self.spots,
                fill=self.fill,
                shape=self.shape,
                noise=dct_blocks.noise(self.steps),
            )
        ]
        change, variance = self._summed(cuts)
        if self.fill == "neighbours":
            return dct_blocks.rounded(old[rank], -change)
        return dct_blocks.requantised(old[rank], -change, variance, self._sizes(old))

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
        return dct_blocks.expected_size(total.reshape(-1, 8, 8), known.sum(axis=(1, 2)))


@dataclass(frozen=True, slots=True)
class Repaired:
    """A repaired copy.

    Attributes
    ----------
    data : bytes
        The file.
    method : str
        How it was made.
    notes : tuple of str
        What had to change besides the blocks that hold defects.
    blocks : int
        Blocks, of all components, that were given other coefficients.
    """

    data: bytes
    method: Literal["lossless", "reencoded"]
    notes: tuple[str, ...]
    blocks: int


def checked(data: bytes, defects: Sequence[Defect]) -> Structure:
    """Return the structure of a photo that defects can be repaired in.

    Raises
    ------
    RefusedError
        It is truncated, malformed, or of a kind not supported; or a defect is outside.
    """
    try:
        structure = markers.parse(data)
    except markers.MarkerError as error:
        raise RefusedError(str(error)) from error
    count = len(structure.components)
    reasons = {
        "truncated: the file ends before its image does": structure.eoi is None,
        "arithmetic coding": structure.arithmetic,
        "a coding process without DCT or Huffman codes": (
            structure.process not in markers.HUFFMAN
        ),
        f"{structure.precision} bits per sample": structure.precision != 8,
        f"{count} colour components (CMYK)": count not in {1, 3},
    }
    for reason, holds in reasons.items():
        if holds:
            raise RefusedError(reason)
    height, width = structure.height, structure.width
    for defect in defects:
        if not (0 <= defect.row < height and 0 <= defect.col < width):
            raise RefusedError(
                f"pixel {defect.x},{defect.y} is outside {width}x{height}"
            )
    return structure


def _planes(
    data: bytes, structure: Structure, spots: tuple[Spot, ...], wanted: _Wanted
) -> list[Plane]:
    """Return the photo's components, planned."""
    steps_of = markers.quantisation(data, structure)
    h, v = structure.sampling
    planes = []
    for index, component in enumerate(structure.components):
        if h % component.h or v % component.v:
            raise RefusedError(f"sampling {component.h}x{component.v} of {h}x{v}")
        if component.table not in steps_of:
            raise RefusedError(f"quantisation table {component.table} is missing")
        steps = np.array(steps_of[component.table], np.float32).reshape(8, 8)
        if not steps.all():
            raise RefusedError("a quantisation table (DQT) holds a zero")
        grid = Grid(v // component.v, h // component.h)
        frame = Box(0, 0, *structure.plane(component))
        # What is learned of a camera is how its luma shows a defect.
        shape = wanted.footprint.luma if wanted.footprint and index == 0 else None
        planes.append(Plane(index, grid, frame, steps, spots, wanted.fill, shape))
    return planes


class _Wanted(NamedTuple):
    """How the holes are to be filled."""

    fill: Fill
    footprint: Footprint | None


class _Edit:
    """The edit as `rescan` asks for it: all components, all defects."""

    def __init__(self, planes: Sequence[Plane]) -> None:
        self.planes = planes
        self._areas = [plane.areas() for plane in planes]
        self.areas = [area for part in self._areas for area in part]
        self.places = [place for plane in planes for place in plane.places()]
        self.changed: dict[Place, Block] = {}

    def __call__(self, found: list[Coefficients]) -> list[Coefficients]:
        """Return the areas' coefficients without the defects."""
        rest = iter(found)
        wanted = []
        for plane, areas in zip(self.planes, self._areas, strict=True):
            new, changed = plane.edited([next(rest) for _ in areas])
            wanted += new
            self.changed |= changed
        return wanted


def repaired(
    data: bytes,
    defects: Sequence[Defect],
    *,
    fill: Fill = "adaptive",
    footprint: Footprint | None = None,
) -> Repaired:
    """Return a copy of a photo without some defects; all else in it stays as it is.

    Parameters
    ----------
    data : bytes
        The photo's file.
    defects : sequence of Defect
        All are taken to be visible.
    fill : str
        ``adaptive``, or ``neighbours`` for the weighted mean of eight.
    footprint : Footprint or None
        What was learned of the camera's footprints; None for what is usual.

    Raises
    ------
    RefusedError
        The photo cannot be repaired without loss.
    MissingLibraryError
        libturbojpeg is not installed.
    """
    structure = checked(data, defects)
    spots = tuple(dict.fromkeys(Spot.of(defect) for defect in defects))
    try:
        edit = _Edit(_planes(data, structure, spots, _Wanted(fill, footprint)))
        out, notes = coefficients.written(data, structure, edit)
    except turbojpeg.CodecError as error:
        raise RefusedError(error.reason) from error
    except (markers.MarkerError, attach.OffsetError) as error:
        raise RefusedError(str(error)) from error
    if not edit.changed:
        return Repaired(data, "lossless", (), 0)
    return Repaired(out, "lossless", notes, len(edit.changed))
