"""Repair a JPEG in its DCT coefficients: blocks without a defect stay bit for bit.

Each component of the photo is repaired in its own samples: the blocks under footprints
and those around are decoded, what the defects added is estimated, and the coefficients
that the camera would have written without it take the place of the old ones.
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
from hotpixeld.repair.field import Box, Mosaic, PositionSet, Subsampling
from hotpixeld.repair.footprint import FootprintPrior, Spot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hotpixeld.defect import Defect
    from hotpixeld.jpeg.dct_blocks import Coefficients, Float32, QuantisationTable
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.repair.footprint import Footprint
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
    ) -> tuple[list[Coefficients], dict[Place, Coefficients]]:
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
            Place(self.index, *place): new[rank[block]]
            for place, block in zip(places, moved.tolist(), strict=True)
        }
        ends = np.cumsum([part.shape[1] for part in found])[:-1]
        return [part[None] for part in np.split(new, ends)], changed

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


def whole(data: bytes, defects: Sequence[Defect]) -> Structure:
    """Return the structure of a photo that is whole and has room for all defects.

    Raises
    ------
    RefusedError
        It is truncated or malformed, or a defect is outside.
    """
    try:
        structure = markers.parse(data)
    except markers.MarkerError as error:
        raise RefusedError(str(error)) from error
    if structure.eoi is None:
        raise RefusedError("truncated: the file ends before its image does")
    height, width = structure.height, structure.width
    for defect in defects:
        if not (0 <= defect.row < height and 0 <= defect.col < width):
            raise RefusedError(
                f"pixel {defect.x},{defect.y} is outside {width}x{height}"
            )
    return structure


def _check_coding(structure: Structure) -> None:
    """Refuse a kind of coding whose coefficients cannot be changed."""
    count = len(structure.components)
    reasons = {
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


def _component_repairs(
    data: bytes, structure: Structure, spots: tuple[Spot, ...], wanted: _Wanted
) -> list[ComponentRepair]:
    """Return the repair of each of the photo's components."""
    tables = markers.quantisation(data, structure)
    h, v = structure.sampling
    components = []
    for index, component in enumerate(structure.components):
        if h % component.h or v % component.v:
            raise RefusedError(f"sampling {component.h}x{component.v} of {h}x{v}")
        if component.table not in tables:
            raise RefusedError(f"quantisation table {component.table} is missing")
        table = np.array(tables[component.table], np.float32).reshape(8, 8)
        if not table.all():
            raise RefusedError("a quantisation table (DQT) holds a zero")
        subsampling = Subsampling(v // component.v, h // component.h)
        frame = Box(0, 0, *structure.plane(component))
        # What is learned of a camera is how its luma shows a defect.
        prior = wanted.footprint.luma if wanted.footprint and index == 0 else None
        components.append(
            ComponentRepair(index, subsampling, frame, table, spots, wanted.fill, prior)
        )
    return components


class _Wanted(NamedTuple):
    """How the holes are to be filled."""

    fill: Fill
    footprint: Footprint | None


class _Edit:
    """The edit as `coefficients.written` takes it: all components, all defects."""

    def __init__(self, components: Sequence[ComponentRepair]) -> None:
        self.components = components
        self._areas = [plane.areas() for plane in components]
        self.areas = [area for part in self._areas for area in part]
        self.places = [place for plane in components for place in plane.places()]
        self.changed: dict[Place, Coefficients] = {}

    def __call__(self, found: list[Coefficients]) -> list[Coefficients]:
        """Return the areas' coefficients without the defects."""
        rest = iter(found)
        wanted = []
        for plane, areas in zip(self.components, self._areas, strict=True):
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
    structure = whole(data, defects)
    _check_coding(structure)
    spots = tuple(dict.fromkeys(Spot.of(defect) for defect in defects))
    try:
        edit = _Edit(
            _component_repairs(data, structure, spots, _Wanted(fill, footprint))
        )
        out, notes = coefficients.written(data, structure, edit)
    except turbojpeg.CodecError as error:
        raise RefusedError(error.reason) from error
    except (markers.MarkerError, attach.OffsetError) as error:
        raise RefusedError(str(error)) from error
    if not edit.changed:
        return Repaired(data, "lossless", (), 0)
    return Repaired(out, "lossless", notes, len(edit.changed))
