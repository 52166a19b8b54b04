"""Replace restart intervals of a scan, and nothing else in the file.

A restart interval is coded for itself: the ones that hold no changed block keep their
bytes.  A scan without restart markers is a single interval.

References
----------
ITU-T T.81 (1992), annexes A.2 (order of blocks) and E.1.4 (restart intervals).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld import huffman, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from hotpixeld.markers import Structure

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
        chosen = tables.selected(data, structure)
        if [index_of.get(identifier) for identifier, _, _ in chosen] != list(
            range(len(structure.components))
        ):
            raise IntervalError("the scan's components are in another order")
        self._codes = [
            (huffman.Codes.of(dc), huffman.Codes.of(ac)) for _, dc, ac in chosen
        ]
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
        return huffman.coded(*self._blocks(interval, rows_of), self._codes)

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
