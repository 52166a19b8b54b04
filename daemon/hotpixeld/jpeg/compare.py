"""Compare a photo and its copy: which blocks differ, and whether anything else does.

Sequential photos are compared bit by bit (`bit_comparison`), and byte by byte outside the
coded data: "identical but for 7 blocks (412 bits) and 2 offsets" is a proof.  Progressive
photos, and scans that were coded anew, are compared coefficient by coefficient, and the
text says so.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.errors import HotpixeldError
from hotpixeld.jpeg import (
    attach,
    bit_comparison,
    coefficients,
    entropy,
    markers,
    scans,
)
from hotpixeld.jpeg.bits import CodedDataError
from hotpixeld.jpeg.coefficients import Area
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.jpeg.scans import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.jpeg.scans import CodedScan

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
    bits : int or None
        Of the original, that code what differs in the blocks; None where coefficients
        were compared.
    offsets : int
        Entries of the MPF index that follow the images behind the first.
    fill_bytes : int
        Before the image's end, more in the copy (fewer, where negative).
    """

    blocks: tuple[DifferentBlock, ...]
    total: int
    notes: tuple[str, ...]
    others: tuple[str, ...]
    bits: int | None = None
    offsets: int = 0
    fill_bytes: int = 0

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
    first: bytes, second: bytes, one: Structure, two: Structure
) -> tuple[list[str], list[str]]:
    """Return the notes on, and the other differences of, all but the coefficients."""
    notes, others = [], []
    if markers.quantisation(first, one) != markers.quantisation(second, two):
        others.append("the quantisation tables differ")
    if _segments(first, one, without_index=True) != _segments(
        second, two, without_index=True
    ):
        others.append("the metadata segments differ")
    elif _segments(first, one, without_index=False) != _segments(
        second, two, without_index=False
    ):
        notes.append("the MPF index has other offsets")
    if first[one.tail :] != second[two.tail :]:
        others.append("the bytes after the image differ")
    if one.progressive != two.progressive:
        others.append("one is progressive, the other is not")
    if one.restart_interval != two.restart_interval:
        notes.append(f"restart interval {one.restart_interval}, {two.restart_interval}")
    if markers.huffman(first, one) != markers.huffman(second, two):
        notes.append("the Huffman tables differ")
    return notes, others


def _total(structure: Structure) -> int:
    """Return the number of blocks of all components."""
    return sum(
        rows * columns for rows, columns in map(structure.blocks, structure.components)
    )


def _named(
    structure: Structure, differing: Iterable[tuple[int, int, int, int]]
) -> list[DifferentBlock]:
    """Return differing blocks, by component, row, column and number of coefficients."""
    h, v = structure.sampling
    names = _COMPONENT_NAMES[len(structure.components)]
    blocks = []
    for index, row, column, count in differing:
        component = structure.components[index]
        across, down = 8 * h // component.h, 8 * v // component.v
        pixels = column * across, row * down, across, down
        blocks.append(DifferentBlock(names[index], row, column, *pixels, count))
    return blocks


def _different_blocks(
    first: bytes, second: bytes, structure: Structure
) -> list[DifferentBlock]:
    """Return the blocks that differ, by component, row and column."""
    areas = [
        Area(index, 0, 0, *structure.blocks(component))
        for index, component in enumerate(structure.components)
    ]
    differing = []
    for index, (before, after) in enumerate(
        zip(
            coefficients.read(first, areas),
            coefficients.read(second, areas),
            strict=True,
        )
    ):
        counts = (before != after).sum(axis=(2, 3))
        differing += [
            (index, row, column, int(counts[row, column]))
            for row, column in np.argwhere(counts).tolist()
        ]
    return _named(structure, differing)


def _others(data: bytes, structure: Structure) -> list[tuple[int, bytes]]:
    """Return the segments that are neither metadata nor tables nor scan headers."""
    known = {markers.COM, markers.DHT, markers.DQT, markers.DRI, markers.SOS}
    return [
        (segment.marker, segment.payload(data))
        for segment in structure.segments
        if segment.marker & 0xF0 != 0xE0 and segment.marker not in known
    ]


def _by_coefficient(
    first: bytes, second: bytes, one: Structure, two: Structure
) -> Difference:
    """Compare photos that are coded differently, or not sequentially."""
    notes, others = _beside_coefficients(first, second, one, two)
    if not others and _others(first, one) != _others(second, two):
        others.append("the frame header or a segment of a rare kind differs")
    coded = [
        [data[scan.start : scan.end] for scan in structure.scans]
        for data, structure in ((first, one), (second, two))
    ]
    if notes and coded[0] == coded[1]:
        others.append("the coded data are the same, but not what they are read with")
    blocks = tuple(_different_blocks(first, second, one))
    return Difference(blocks, _total(one), tuple(notes), tuple(others))


def _agreeing(before: bytes, after: bytes) -> int:
    """Return how many bytes are the same at the beginning."""
    shorter = min(len(before), len(after))
    one, two = (np.frombuffer(part[:shorter], np.uint8) for part in (before, after))
    return int(np.append(np.flatnonzero(one != two), shorter)[0])


def _header(
    first: bytes, second: bytes, one: Structure, two: Structure
) -> tuple[int, list[str]]:
    """Return the offsets that moved, and what else differs, before the coded data."""
    before, after = first[: one.scans[0].start], second[: two.scans[0].start]
    growth = two.tail - one.tail
    moved = attach.with_index_moved(before, growth)
    entries = sum(len(attach.mp_entries(before, s)) for s in one.segments)
    if growth and entries and moved == after:
        return entries, []
    if before != after:
        same = _segments(first, one, without_index=True) == _segments(
            second, two, without_index=True
        )
        what = "bytes before the image" if same else "metadata segments"
        return 0, [f"the {what} differ, from byte {_agreeing(before, after)} on"]
    if growth and entries and len(first) > one.tail:
        return 0, ["the image's length differs, and the MPF index does not say so"]
    return 0, []


def _after_scans(
    first: bytes, second: bytes, one: Structure, two: Structure
) -> tuple[int, list[str]]:
    """Return the number of new fill bytes, and what else differs, outside the scans."""
    others = []
    for (scan, after), (new_scan, new_after) in zip(
        itertools.pairwise(one.scans), itertools.pairwise(two.scans), strict=True
    ):
        if first[scan.end : after.start] != second[new_scan.end : new_after.start]:
            others.append(f"the bytes between scans differ, from byte {scan.end} on")
    old = first[one.scans[-1].end : one.eoi]
    new = second[two.scans[-1].end : two.eoi]
    fill_bytes = len(new) - len(old)
    if old + b"\xff" * fill_bytes != new + b"\xff" * -fill_bytes:
        others.append("the bytes between the last scan and the image's end differ")
    if first[one.tail :] != second[two.tail :]:
        others.append("the bytes after the image differ")
    return fill_bytes, others


def _beyond(structure: Structure, blocks: list[DifferentBlock]) -> list[str]:
    """Return which blocks outside the picture differ: there is nothing to repair."""
    return [
        f"a block beyond the picture's edge differs: {block.component} block"
        f" {block.column},{block.row}"
        for block in blocks
        if block.x >= structure.width or block.y >= structure.height
    ][:1]


def _bit_by_bit(
    first: bytes,
    second: bytes,
    structures: tuple[Structure, Structure],
    coded: list[tuple[CodedScan, CodedScan]],
) -> Difference:
    """Compare photos that are coded alike."""
    one, two = structures
    offsets, others = _header(first, second, one, two)
    fill_bytes, after = _after_scans(first, second, one, two)
    found = bit_comparison.coded_difference(first, second, coded)
    order = np.lexsort(found.places.T[::-1])
    places = np.column_stack((found.places, found.coefficients))[order]
    blocks = _named(one, places.tolist())
    others += after + _beyond(one, blocks)
    others += [
        f"bits differ that no block explains, at byte {byte}"
        for byte in found.unexplained
    ]
    notes = ("the MPF index has other offsets",) if offsets else ()
    return Difference(
        *(tuple(blocks), _total(one), notes, tuple(others)),
        *(found.bits, offsets, fill_bytes),
    )


def _walked(data: bytes, structure: Structure) -> tuple[CodedScan, ...] | str:
    """Return the scans of a photo that can be walked to its end, else why it cannot."""
    try:
        found = scans.coded_scans(data, structure)
        for scan in found:
            entropy.walk_scan(data, scan, np.empty(0, np.int64))
    except (ScanError, CodedDataError) as error:
        return str(error)
    return found


def _difference(first: bytes, second: bytes) -> Difference:
    """Compare a photo and its copy in the stricter way that is possible."""
    one, two = markers.parse(first), markers.parse(second)
    if one.components != two.components or (one.width, one.height) != (
        two.width,
        two.height,
    ):
        sizes = f"{one.width}x{one.height} and {two.width}x{two.height}"
        return Difference((), 0, (), (f"size or components differ: {sizes}",))
    old, new = _walked(first, one), _walked(second, two)
    reason = "the scans were coded anew"
    others: tuple[str, ...] = ()
    if isinstance(old, str):
        reason = old
    elif isinstance(new, str):
        reason, others = new, (f"the coded data are damaged: {new}",)
    elif len(old) == len(new) and all(map(bit_comparison.are_alike, old, new)):
        pairs = list(zip(old, new, strict=True))
        return _bit_by_bit(first, second, (one, two), pairs)
    found = _by_coefficient(first, second, one, two)
    note = f"compared coefficient by coefficient, not bit by bit: {reason}"
    return replace(found, notes=(*found.notes, note), others=(*found.others, *others))


def compare(first: bytes, second: bytes) -> Difference:
    """Compare a photo and its copy, as strictly as their coding allows.

    Raises
    ------
    DifferenceError
        One of them is no JPEG, or cannot be decoded whole.
    MissingLibraryError
        libturbojpeg is not installed.
    """
    try:
        return _difference(first, second)
    except (markers.MarkerError, CodecError) as error:
        raise DifferenceError(f"cannot compare: {error}") from error


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _proof(difference: Difference) -> str:
    """Return in words what was compared bit by bit."""
    blocks = _counted(len(difference.blocks), "block")
    parts = [
        f"{blocks} ({_counted(difference.bits or 0, 'bit')})",
        _counted(abs(difference.fill_bytes), "fill byte"),
        _counted(difference.offsets, "offset"),
    ]
    present = difference.blocks, difference.fill_bytes, difference.offsets
    parts = [part for part, there in zip(parts, present, strict=True) if there]
    if not parts:
        return "identical"
    *most, last = parts
    return "identical but for " + (f"{', '.join(most)} and {last}" if most else last)


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
        if difference.bits is not None:
            lines.append(_proof(difference))
        lines.append("everything else is identical")
    return "\n".join(lines)
