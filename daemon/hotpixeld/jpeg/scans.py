"""How the scans of a sequential Huffman photo are coded: tables, intervals, MCUs.

References
----------
ITU-T T.81 (1992), annexes A.2 (MCUs), B.2.3 (scan header) and B.2.4 (tables).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld.jpeg import markers
from hotpixeld.jpeg.markers import DHT, DQT, DRI, SOS, MarkerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.jpeg.markers import Segment, Structure

Integers = NDArray[np.int64]

SEQUENTIAL = frozenset({0xC0, 0xC1})
# Blocks of an MCU of several components, at most (B.2.3).
MOST_BLOCKS = 10


class ScanError(ValueError):
    """The photo's scans are not such as can be walked."""


class BlockPlaces(NamedTuple):
    """Where blocks are coded in a scan: their MCU, and their number in it."""

    mcus: Integers
    blocks: Integers


@dataclass(frozen=True, slots=True)
class CodedScan:
    """One scan, and all that its decoding depends on.

    Attributes
    ----------
    start, end : int
        Where its coded data stand in the file, without fill bytes at the end.
    interval : int
        MCUs between restart markers; 0 is none.
    components : tuple of int
        Indices into the frame's components, in coding order.
    factors : tuple of (int, int)
        Rows and columns of blocks in an MCU, of each component.
    rows, columns : int
        Of MCUs.
    dc, ac : tuple of bytes
        Huffman table of each component: 16 counts, then the symbols.
    steps : tuple of tuple of int
        Quantisation table of each component: 64 steps, row-major.
    """

    start: int
    end: int
    interval: int
    components: tuple[int, ...]
    factors: tuple[tuple[int, int], ...]
    rows: int
    columns: int
    dc: tuple[bytes, ...]
    ac: tuple[bytes, ...]
    steps: tuple[tuple[int, ...], ...]

    @property
    def owners(self) -> tuple[int, ...]:
        """Return the component of each block of an MCU, by its place in the scan."""
        counts = [down * across for down, across in self.factors]
        return tuple(i for i, count in enumerate(counts) for _ in range(count))

    def located(self, component: int, rows: Integers, columns: Integers) -> BlockPlaces:
        """Return where blocks of one of the scan's components are coded.

        Raises
        ------
        IndexError
            A block is outside the scan.
        """
        index = self.components.index(component)
        down, across = self.factors[index]
        top, left = rows // down, columns // across
        if ((rows < 0) | (columns < 0) | (top >= self.rows)).any() or (
            left >= self.columns
        ).any():
            raise IndexError(f"a block of component {component} is outside the scan")
        first = sum(down * across for down, across in self.factors[:index])
        return BlockPlaces(
            top * self.columns + left, first + rows % down * across + columns % across
        )

    def places(self, mcus: Integers, blocks: Integers) -> Integers:
        """Return (n, 3): component, row and column of blocks that are coded somewhere."""
        by_number = [
            (component, *divmod(number, across), down, across)
            for component, (down, across) in zip(
                self.components, self.factors, strict=True
            )
            for number in range(down * across)
        ]
        component, row, column, down, across = np.array(by_number)[blocks].T
        top, left = mcus // self.columns, mcus % self.columns
        return np.column_stack((component, top * down + row, left * across + column))

    def followers(self, mcus: Integers) -> Integers:
        """Return the MCUs whose DC differences depend on some others."""
        after = mcus + 1
        depends = after < self.rows * self.columns
        if self.interval:
            depends &= after % self.interval != 0
        return after[depends]


@dataclass(slots=True)
class _Tables:
    """What the segments so far have defined; changes as they are read."""

    huffman: dict[int, bytes]
    steps: dict[int, tuple[int, ...]]
    interval: int = 0

    def read(self, data: bytes, segment: Segment) -> None:
        """Take in a segment."""
        payload = segment.payload(data)
        if segment.marker == DHT:
            self.huffman |= markers.huffman_tables(payload)
        elif segment.marker == DQT:
            self.steps |= markers.quantisation_tables(payload)
        elif segment.marker == DRI:
            if len(payload) != 2:
                raise MarkerError("the restart interval (DRI) has the wrong length")
            self.interval = int.from_bytes(payload, "big")


def _header(
    payload: bytes, structure: Structure
) -> list[tuple[int, int]]:  # component, table selectors
    """Return the components of a scan header, and their tables' numbers."""
    if not payload or len(payload) != 4 + 2 * payload[0]:
        raise MarkerError("a scan header (SOS) has the wrong length")
    if payload[-3:] != b"\x00\x3f\x00":
        raise ScanError("a scan that is not sequential")
    index_of = {c.id: i for i, c in enumerate(structure.components)}
    pairs = [payload[i : i + 2] for i in range(1, len(payload) - 3, 2)]
    if not pairs or any(identifier not in index_of for identifier, _ in pairs):
        raise ScanError("a scan of components that the frame does not have")
    return [(index_of[identifier], tables) for identifier, tables in pairs]


def _mcus(
    structure: Structure, components: Sequence[int]
) -> tuple[tuple[tuple[int, int], ...], int, int]:
    """Return a scan's factors, and its rows and columns of MCUs."""
    if len(components) == 1:
        # One block, whatever the sampling, and none beyond the component's edge.
        return (((1, 1),), *structure.blocks(structure.components[components[0]]))
    parts = [structure.components[i] for i in components]
    if sum(c.h * c.v for c in parts) > MOST_BLOCKS:
        raise ScanError(f"more than {MOST_BLOCKS} blocks in an MCU")
    h, v = structure.sampling
    rows, columns = -(-structure.height // (8 * v)), -(-structure.width // (8 * h))
    return tuple((c.v, c.h) for c in parts), rows, columns


def _scan(data: bytes, structure: Structure, index: int, tables: _Tables) -> CodedScan:
    """Return a scan, by the tables that hold at its header."""
    scan = structure.scans[index]
    chosen = _header(scan.header.payload(data), structure)
    components = tuple(component for component, _ in chosen)
    factors, rows, columns = _mcus(structure, components)
    try:
        return CodedScan(
            scan.start,
            scan.end,
            tables.interval,
            components,
            factors,
            rows,
            columns,
            tuple(tables.huffman[selectors >> 4] for _, selectors in chosen),
            tuple(tables.huffman[0x10 | selectors & 15] for _, selectors in chosen),
            tuple(tables.steps[structure.components[i].table] for i in components),
        )
    except KeyError:
        raise ScanError("a table that a scan needs is missing") from None


def _check(structure: Structure) -> None:
    """Refuse what is not sequential, 8 bits, of 1 or 3 components, and whole."""
    if structure.process not in SEQUENTIAL:
        raise ScanError("not a sequential photo with Huffman codes")
    if structure.precision != 8:
        raise ScanError(f"{structure.precision} bits per sample")
    if len(structure.components) not in {1, 3}:
        raise ScanError(f"{len(structure.components)} colour components")
    if structure.eoi is None:
        raise ScanError("the file ends before its image does")


def coded_scans(data: bytes, structure: Structure) -> tuple[CodedScan, ...]:
    """Return the scans of a photo, ready to be walked.

    Parameters
    ----------
    data : bytes
    structure : Structure
        Of the same `data`, with its scans.

    Raises
    ------
    ScanError
        The photo is not sequential with Huffman codes, 8 bits, and 1 or 3 components,
        each of them in one scan.
    MarkerError
        A table or a scan header is malformed.
    """
    _check(structure)
    tables = _Tables({}, {})
    scans: list[CodedScan] = []
    for segment in structure.segments:
        if segment.marker == SOS:
            scans.append(_scan(data, structure, len(scans), tables))
        else:
            tables.read(data, segment)
    coded = sorted(i for scan in scans for i in scan.components)
    if coded != list(range(len(structure.components))):
        raise ScanError("a component is coded in no scan, or in two")
    return tuple(scans)
