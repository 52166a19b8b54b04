"""Repair a JPEG in its DCT coefficients: blocks without a defect stay bit for bit.

A sequential photo is walked: only the blocks around listed pixels are decoded, and the
bits of those that change take the place of the old ones.  A progressive photo is
transformed: all its scans are coded anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import attach, coefficients, entropy, markers, scans, turbojpeg
from hotpixeld.jpeg.bits import CodedDataError
from hotpixeld.repair.component import ComponentRepair
from hotpixeld.repair.field import Box, Subsampling
from hotpixeld.repair.footprint import Spot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.defect import Defect
    from hotpixeld.jpeg.bits import Replaced
    from hotpixeld.jpeg.dct_blocks import Coefficients
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.jpeg.scans import Integers
    from hotpixeld.repair.footprint import Footprint
    from hotpixeld.repair.separation import Fill


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
    patch : Patch or None
        What was changed, where all else was kept bit for bit.
    """

    data: bytes
    method: Literal["lossless", "reencoded"]
    notes: tuple[str, ...]
    blocks: int
    patch: Patch | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """What differs in a copy that is the original in all other bits.

    Attributes
    ----------
    mcus, bits : int
        MCUs that hold changed bits, and how many bits of the original were replaced.
    replaced : Replaced
        Those bits.
    fill, moved : int
        As in `attach.Attached`.
    """

    mcus: int
    bits: int
    replaced: Replaced
    fill: int
    moved: int


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


class _Wanted(NamedTuple):
    """How the holes are to be filled."""

    fill: Fill
    footprint: Footprint | None


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


class _Edit:
    """The edit of all components, and what came of it."""

    def __init__(self, components: Sequence[ComponentRepair]) -> None:
        self._components = components
        each = [component.places() for component in components]
        self._ends = np.cumsum([len(places) for places in each])[:-1]
        self.places = np.concatenate(each)
        self.moved = np.zeros(len(self.places), bool)

    def __call__(self, old: Coefficients) -> Coefficients:
        """Return the blocks at `places` without the defects."""
        parts = zip(self._components, np.split(old, self._ends), strict=True)
        new = np.concatenate([component.edited(part) for component, part in parts])
        self.moved = (new != old).any(axis=(1, 2))
        return new


def _unchanged(data: bytes) -> Repaired:
    """Return a photo whose defects do not show."""
    return Repaired(data, "lossless", (), 0)


def _patched(data: bytes, structure: Structure, edit: _Edit) -> Repaired:
    """Return a sequential photo with the bits of some blocks replaced."""
    walked = entropy.walk(data, scans.coded_scans(data, structure), edit.places)
    new = edit(walked.coefficients(edit.places))
    if not edit.moved.any():
        return _unchanged(data)
    places, blocks = edit.places[edit.moved], new[edit.moved]
    try:
        patched = entropy.patch(data, walked, places, blocks)
    except entropy.MissingCodeError:
        return _coded_anew(data, structure, places, blocks)
    out = attach.attached(data, structure, patched.data)
    patch = Patch(patched.mcus, patched.bits, patched.replaced, out.fill, out.moved)
    return Repaired(out.data, "lossless", out.notes, len(patched.places), patch)


def _coded_anew(
    data: bytes, structure: Structure, places: Integers, blocks: Coefficients
) -> Repaired:
    """Return a sequential photo with other tables: its own have no code for a value."""
    coded = coefficients.rewrite(data, places, lambda _: blocks)
    out = attach.spliced(data, structure, coded)
    notes = "the scans coded anew: the tables lack a code", *out.notes
    return Repaired(out.data, "lossless", notes, len(places))


def _transformed(data: bytes, structure: Structure, edit: _Edit) -> Repaired:
    """Return a progressive photo with all its scans coded anew."""
    coded = coefficients.rewrite(data, edit.places, edit, progressive=True)
    if not edit.moved.any():
        return _unchanged(data)
    out = attach.spliced(data, structure, coded)
    return Repaired(out.data, "lossless", out.notes, int(edit.moved.sum()))


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
        libturbojpeg is not installed, and the photo's scans must be coded anew.
    """
    structure = whole(data, defects)
    _check_coding(structure)
    spots = tuple(dict.fromkeys(Spot.of(defect) for defect in defects))
    try:
        edit = _Edit(
            _component_repairs(data, structure, spots, _Wanted(fill, footprint))
        )
        make = _transformed if structure.progressive else _patched
        return make(data, structure, edit)
    except turbojpeg.CodecError as error:
        raise RefusedError(error.reason) from error
    except (
        *(markers.MarkerError, scans.ScanError, CodedDataError),
        attach.OffsetError,
    ) as error:
        raise RefusedError(str(error)) from error
