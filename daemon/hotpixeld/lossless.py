"""Repair a JPEG in its DCT coefficients: blocks without a defect stay bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from hotpixeld import markers, rescan, splice, tables, turbojpeg
from hotpixeld.errors import HotpixeldError
from hotpixeld.footprint import Box, Grid, Spot
from hotpixeld.plane import Plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.blocks import Block
    from hotpixeld.coefficients import Coefficients
    from hotpixeld.intervals import Place
    from hotpixeld.learning import Footprint
    from hotpixeld.markers import Structure
    from hotpixeld.pixels import Defect
    from hotpixeld.repair import Fill


class RefusedError(HotpixeldError):
    """A photo cannot be repaired; nothing was changed.

    Attributes
    ----------
    reason : str
        Why, in a few words.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


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
    steps_of = tables.quantisation(data, structure)
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
        out, notes = rescan.written(data, structure, edit)
    except turbojpeg.CodecError as error:
        raise RefusedError(error.reason) from error
    except (markers.MarkerError, splice.OffsetError) as error:
        raise RefusedError(str(error)) from error
    if not edit.changed:
        return Repaired(data, "lossless", (), 0)
    return Repaired(out, "lossless", notes, len(edit.changed))
