"""Code restart intervals of a scan anew, with the photo's own Huffman tables.

A restart interval is coded for itself: the ones that hold no changed block keep their
bytes.  A scan without restart markers is a single interval.

References
----------
ITU-T T.81 (1992), annexes A.2 (order of blocks), C (codes from tables), E.1.4 (restart
intervals) and F.1.2 (sequential coding).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld.jpeg import markers
from hotpixeld.jpeg.markers import ZIGZAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hotpixeld.jpeg.markers import Structure

Numbers = NDArray[np.int64]

# Sixteen zeros; nothing but zeros until the end of the block.
_ZEROS, _END = 0xF0, 0x00
# Blocks coded at once: their bits, eight bytes each on the way, stay small.
_BATCH = 4096
_ORDER = np.array(ZIGZAG)


class CodeError(ValueError):
    """A coefficient needs a symbol that the photo's tables have no code for."""


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """The codes of a Huffman table, by symbol; a length of 0 is no code."""

    code: Numbers
    length: Numbers

    @classmethod
    def of(cls, definition: bytes) -> Codes:
        """Return the codes that a table's 16 counts and its symbols define."""
        code, length = np.zeros(256, np.int64), np.zeros(256, np.int64)
        following = place = 0
        for bits in range(1, 17):
            for symbol in definition[16:][place : place + definition[bits - 1]]:
                code[symbol], length[symbol] = following, bits
                following += 1
            place += definition[bits - 1]
            following <<= 1
        return cls(code, length)


def _sizes(values: Numbers) -> Numbers:
    """Return the bits that each value's magnitude takes."""
    return np.asarray(np.frexp(np.abs(values).astype(float))[1], np.int64)


def _joined(symbols: Numbers, values: Numbers, codes: Codes) -> tuple[Numbers, Numbers]:
    """Return code and value bits of each symbol as one number, and their count."""
    length = codes.length[symbols]
    if not length.all():
        raise CodeError("the photo's Huffman tables have no code for a coefficient")
    size = symbols & 15
    bits = np.where(values < 0, values + (1 << size) - 1, values)
    return (codes.code[symbols] << size) | bits, length + size


def _items(
    blocks: Numbers, differences: Numbers, dc: Codes, ac: Codes
) -> tuple[Numbers, Numbers, Numbers]:
    """Return what to write for blocks of one component: number, bits and order key.

    A key is 1024 times the block's index, plus the place within it.
    """
    rows, columns = np.nonzero(blocks[:, 1:])
    values = blocks[:, 1:][rows, columns]
    first = np.ones(rows.size, bool)
    first[1:] = rows[1:] != rows[:-1]
    before = np.where(first, -1, np.roll(columns, 1))
    runs = columns - before - 1
    symbols = ((runs & 15) << 4) | _sizes(values)
    key = 1024 * rows + 8 * columns + 15
    skips = runs >> 4
    long = np.repeat(key, skips) - 1
    last = np.zeros(len(blocks), np.int64)
    np.maximum.at(last, rows, columns + 1)
    ended = np.flatnonzero(last < 63)
    parts = [
        (*_joined(_sizes(differences), differences, dc), 1024 * np.arange(len(blocks))),
        (*_joined(symbols, values, ac), key),
        (*_joined(np.full(long.size, _ZEROS), np.zeros_like(long), ac), long),
        (
            *_joined(np.full(ended.size, _END), np.zeros_like(ended), ac),
            1024 * ended + 1023,
        ),
    ]
    numbers, counts, keys = (np.concatenate(part) for part in zip(*parts, strict=True))
    return numbers, counts, keys


def _bits(numbers: Numbers, counts: Numbers) -> NDArray[np.uint8]:
    """Return the numbers' lowest bits, one after the other."""
    ends = np.cumsum(counts)
    shift = np.repeat(ends, counts) - 1 - np.arange(ends[-1])
    return np.asarray((np.repeat(numbers, counts) >> shift) & 1, np.uint8)


def coded(
    blocks: NDArray[np.int16],
    components: NDArray[np.intp],
    codes: Sequence[tuple[Codes, Codes]],
) -> bytes:
    """Return the coded data of one restart interval, or of a scan without any.

    Parameters
    ----------
    blocks : (n, 64) int16
        Quantised coefficients, row-major, in the order of the scan.
    components : (n,) int
        Each block's component, an index into `codes`.
    codes : sequence of (Codes, Codes)
        DC and AC codes of each component.

    Raises
    ------
    CodeError
        A coefficient has no code.
    """
    ordered = blocks[:, _ORDER]
    differences = np.zeros(len(blocks), np.int64)
    for index in range(len(codes)):
        own = components == index
        differences[own] = np.diff(ordered[own, 0].astype(np.int64), prepend=0)
    pieces = []
    for start in range(0, len(blocks), _BATCH):
        batch = slice(start, start + _BATCH)
        parts = []
        for index, (dc, ac) in enumerate(codes):
            own = np.flatnonzero(components[batch] == index)
            numbers, counts, keys = _items(
                ordered[batch][own].astype(np.int64), differences[batch][own], dc, ac
            )
            parts.append((numbers, counts, 1024 * own[keys // 1024] + keys % 1024))
        numbers, counts, keys = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        order = np.argsort(keys, kind="stable")
        pieces.append(_bits(numbers[order], counts[order]))
    bits = np.concatenate(pieces)
    padding = np.ones(-bits.size % 8, np.uint8)
    packed = np.packbits(np.concatenate([bits, padding])).tobytes()
    return packed.replace(b"\xff", b"\xff\x00")


_RESTART = re.compile(rb"\xff+[\xd0-\xd7]")
_BASELINE = frozenset({0xC0, 0xC1})


class IntervalError(ValueError):
    """The scan cannot be replaced in parts."""


class Place(NamedTuple):
    """A block: its component's index, its row and its column."""

    component: int
    row: int
    column: int


class Intervals:
    """The restart intervals of a photo with one sequential Huffman scan.

    Raises
    ------
    IntervalError
        The photo has several scans, or is not sequential, or its restart markers are
        not where they belong.
    MarkerError
        A table or the scan header is malformed.
    """

    def __init__(self, data: bytes, structure: Structure) -> None:
        if len(structure.scans) != 1 or structure.process not in _BASELINE:
            raise IntervalError("several scans, or not sequential")
        self._data = data
        self._structure = structure
        index_of = {c.id: i for i, c in enumerate(structure.components)}
        chosen = markers.selected(data, structure)
        if [index_of.get(identifier) for identifier, _, _ in chosen] != list(
            range(len(structure.components))
        ):
            raise IntervalError("the scan's components are in another order")
        self._codes = [(Codes.of(dc), Codes.of(ac)) for _, dc, ac in chosen]
        # A scan of one component has one block per MCU, whatever its sampling.
        single = len(structure.components) == 1
        self._factors = [(1, 1) if single else (c.v, c.h) for c in structure.components]
        rows, columns = structure.blocks(structure.components[0])
        down, across = self._factors[0]
        self._across = -(-columns // across)
        self._count = -(-rows // down) * self._across
        self._length = structure.restart_interval or self._count
        self._slices = self._found()

    def _found(self) -> list[slice]:
        """Return where in the file the intervals' coded data stand."""
        scan = self._structure.scans[0]
        slices, start = [], scan.start
        if self._structure.restart_interval:
            for found in _RESTART.finditer(self._data, scan.start, scan.end):
                slices.append(slice(start, found.start()))
                start = found.end()
        slices.append(slice(start, scan.end))
        if len(slices) != -(-self._count // self._length):
            raise IntervalError("restart markers are missing, or there are too many")
        return slices

    def touched(self, places: Iterable[Place]) -> list[int]:
        """Return the intervals that hold some blocks."""
        found = set()
        for place in places:
            down, across = self._factors[place.component]
            mcu = place.row // down * self._across + place.column // across
            found.add(mcu // self._length)
        return sorted(found)

    def rows(self, interval: int) -> tuple[int, int]:
        """Return the first MCU row that an interval has a part of, and the one after."""
        first = interval * self._length
        last = min(first + self._length, self._count) - 1
        return first // self._across, last // self._across + 1

    def row_range(self, component: int, interval: int) -> tuple[int, int]:
        """Return the half-open range of a component's block rows in an interval."""
        down, _ = self._factors[component]
        top, bottom = self.rows(interval)
        rows, _ = self._structure.blocks(self._structure.components[component])
        return top * down, min(bottom * down, rows)

    def _blocks(
        self, interval: int, rows_of: Callable[[int], NDArray[np.int16]]
    ) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
        """Return an interval's blocks in coding order, and each one's component.

        An MCU may reach beyond the picture; encoders repeat the last level there.
        """
        start = interval * self._length
        mcus = np.arange(start, min(start + self._length, self._count))
        top, _ = self.rows(interval)
        parts, owners = [], []
        for component, (down, across) in enumerate(self._factors):
            rows = rows_of(component)
            y, x = np.divmod(mcus, self._across)
            row = ((y - top) * down)[:, None] + np.repeat(np.arange(down), across)
            column = (x * across)[:, None] + np.tile(np.arange(across), down)
            outside = (row >= rows.shape[0]) | (column >= rows.shape[1])
            part = rows[
                np.minimum(row, rows.shape[0] - 1),
                np.minimum(column, rows.shape[1] - 1),
            ].reshape(*row.shape, 64)
            part[outside, 1:] = 0
            for place in range(1, row.shape[1]):
                # Only whole rows below the picture repeat the block coded before.
                below = row[:, place] >= rows.shape[0]
                part[below, place, 0] = part[below, place - 1, 0]
            parts.append(part)
            owners.append(np.full(row.shape[1], component))
        blocks = np.concatenate(parts, axis=1)
        components = np.tile(np.concatenate(owners), len(mcus))
        return blocks.reshape(-1, 64), components

    def recoded(
        self, interval: int, rows_of: Callable[[int], NDArray[np.int16]]
    ) -> bytes:
        """Return the coded data of an interval.

        Parameters
        ----------
        interval : int
        rows_of : callable
            Gives, for a component's index, its blocks in `row_range`: (rows, columns,
            8, 8) int16.

        Raises
        ------
        CodeError
            The photo's Huffman tables lack a code.
        """
        return coded(*self._blocks(interval, rows_of), self._codes)

    def source(self, interval: int) -> bytes:
        """Return the coded data that the photo has."""
        return self._data[self._slices[interval]]

    def replaced(self, new: dict[int, bytes]) -> bytes:
        """Return the photo up to its EOI with other data in some intervals."""
        parts, start = [], 0
        for interval, coded in sorted(new.items()):
            place = self._slices[interval]
            parts += [self._data[start : place.start], coded]
            start = place.stop
        end = self._structure.tail - 2
        return b"".join([*parts, self._data[start:end]])
