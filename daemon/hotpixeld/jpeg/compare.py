"""Compare a photo and its copy: which blocks differ, and whether anything else does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.errors import HotpixeldError
from hotpixeld.jpeg import attach, coefficients, markers, turbojpeg
from hotpixeld.jpeg.coefficients import Area

if TYPE_CHECKING:
    from hotpixeld.jpeg.markers import Structure

# Blocks named one by one in the text.
SHOWN = 100
_COMPONENT_NAMES = {1: ("grey",), 3: ("Y", "Cb", "Cr")}


class DifferenceError(HotpixeldError):
    """Two files cannot be compared: one is no JPEG that can be decoded whole."""


@dataclass(frozen=True, slots=True)
class DifferentBlock:
    """A block that differs.

    Attributes
    ----------
    component : str
        Y, Cb, Cr or grey.
    row, column : int
        Of the block in its component's plane.
    x, y, width, height : int
        The pixels of the frame that it covers.
    coefficients : int
        How many of its 64 differ.
    """

    component: str
    row: int
    column: int
    x: int
    y: int
    width: int
    height: int
    coefficients: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between a photo and its copy.

    Attributes
    ----------
    blocks : tuple of DifferentBlock
    total : int
        Blocks of all components, differing or not.
    notes : tuple of str
        Differences that a repair may make besides: other Huffman tables or scans.
    others : tuple of str
        Differences that no repair makes.
    """

    blocks: tuple[DifferentBlock, ...]
    total: int
    notes: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def is_repair(self) -> bool:
        """Return whether nothing but blocks, and what they need, differs."""
        return not self.others


def _segments(
    data: bytes, structure: Structure, *, without_index: bool
) -> list[tuple[int, bytes]]:
    """Return the metadata segments: marker and payload, the MPF offsets blanked."""
    segments = []
    for segment in structure.segments:
        if 0xE0 <= segment.marker <= 0xEF or segment.marker == markers.COM:
            payload = bytearray(segment.payload(data))
            if without_index:
                for entry, _ in attach.mp_entries(data, segment):
                    start = entry - segment.offset - 4
                    payload[start + 4 : start + 12] = bytes(8)
            segments.append((segment.marker, bytes(payload)))
    return segments


def _beside_coefficients(
    photo: bytes, copy: bytes, structure: Structure, copied: Structure
) -> tuple[list[str], list[str]]:
    """Return the notes on, and the other differences of, all but the coefficients."""
    notes, others = [], []
    if markers.quantisation(photo, structure) != markers.quantisation(copy, copied):
        others.append("the quantisation tables differ")
    if _segments(photo, structure, without_index=True) != _segments(
        copy, copied, without_index=True
    ):
        others.append("the metadata segments differ")
    elif _segments(photo, structure, without_index=False) != _segments(
        copy, copied, without_index=False
    ):
        notes.append("the MPF index has other offsets")
    if photo[structure.tail :] != copy[copied.tail :]:
        others.append("the bytes after the image differ")
    if structure.progressive != copied.progressive:
        others.append("one is progressive, the other is not")
    if structure.restart_interval != copied.restart_interval:
        notes.append(
            f"restart interval {structure.restart_interval}, {copied.restart_interval}"
        )
    if markers.huffman(photo, structure) != markers.huffman(copy, copied):
        notes.append("the Huffman tables differ")
    return notes, others


def _different_blocks(
    photo: bytes, copy: bytes, structure: Structure
) -> list[DifferentBlock]:
    """Return the blocks that differ, by component, row and column."""
    areas = [
        Area(index, 0, 0, *structure.blocks(component))
        for index, component in enumerate(structure.components)
    ]
    h, v = structure.sampling
    names = _COMPONENT_NAMES[len(structure.components)]
    blocks = []
    for name, component, before, after in zip(
        names,
        structure.components,
        coefficients.read(photo, areas),
        coefficients.read(copy, areas),
        strict=True,
    ):
        counts = (before != after).sum(axis=(2, 3))
        across, down = 8 * h // component.h, 8 * v // component.v
        for row, column in np.argwhere(counts).tolist():
            pixels = column * across, row * down, across, down
            count = int(counts[row, column])
            blocks.append(DifferentBlock(name, row, column, *pixels, count))
    return blocks


def compare(photo: bytes, copy: bytes) -> Difference:
    """Compare a photo and its copy, coefficient by coefficient.

    Raises
    ------
    DifferenceError
        One of them is no JPEG, or cannot be decoded whole.
    MissingLibraryError
        libturbojpeg is not installed.
    """
    try:
        structure, copied = markers.parse(photo), markers.parse(copy)
        size, other = ((s.width, s.height) for s in (structure, copied))
        if structure.components != copied.components or size != other:
            sizes = f"{size[0]}x{size[1]} and {other[0]}x{other[1]}"
            return Difference((), 0, (), (f"size or components differ: {sizes}",))
        notes, others = _beside_coefficients(photo, copy, structure, copied)
        blocks = _different_blocks(photo, copy, structure)
    except (markers.MarkerError, turbojpeg.CodecError) as error:
        raise DifferenceError(f"cannot compare: {error}") from error
    total = sum(
        rows * columns for rows, columns in map(structure.blocks, structure.components)
    )
    return Difference(tuple(blocks), total, tuple(notes), tuple(others))


def text(difference: Difference) -> str:
    """Return a difference for people, a line for each block and a summary."""
    lines = [
        f"{block.component:4} block {block.column},{block.row}:"
        f" x {block.x}-{block.x + block.width - 1},"
        f" y {block.y}-{block.y + block.height - 1};"
        f" {block.coefficients} of 64 coefficients"
        for block in difference.blocks[:SHOWN]
    ]
    if len(difference.blocks) > SHOWN:
        lines.append(f"and {len(difference.blocks) - SHOWN} more")
    lines.append(f"{len(difference.blocks)} of {difference.total} blocks differ")
    lines += [f"note: {note}" for note in difference.notes]
    lines += [f"NOT a repair: {other}" for other in difference.others]
    if not difference.others:
        lines.append("everything else is identical")
    return "\n".join(lines)
