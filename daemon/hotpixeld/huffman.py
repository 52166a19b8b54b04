"""Code blocks of coefficients with a photo's own Huffman tables.

References
----------
ITU-T T.81 (1992), annexes C (codes from tables) and F.1.2 (sequential coding).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hotpixeld.tables import ZIGZAG

if TYPE_CHECKING:
    from collections.abc import Sequence

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
