"""A plain coder of sequential JPEGs for tests: any coefficients, coded in any legal way.

Written for clarity, after T.81 annexes B, C and F, and independent of the compiled core:
bits are characters.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import jpegs
from hotpixeld.jpeg import markers
from hotpixeld.jpeg.markers import ZIGZAG
from jpegs import app

if TYPE_CHECKING:
    from collections.abc import Iterator

Blocks = NDArray[np.int16]


@functools.cache
def standard() -> dict[int, bytes]:
    """Return the Huffman tables of annex K.3, by class and number."""
    data = jpegs.jpeg(jpegs.scene(16, 16), "4:2:0")
    return markers.huffman(data, markers.parse(data))


def table(symbols: list[int]) -> bytes:
    """Return a table with codes for some symbols, each 9 bits long or longer."""
    counts = [0] * 16
    counts[8] = min(len(symbols), 255)
    counts[9] = len(symbols) - counts[8]
    return bytes(counts) + bytes(symbols)


def codes(definition: bytes) -> dict[int, str]:
    """Return the code of each symbol (annex C)."""
    found, code, place = {}, 0, 16
    for length in range(1, 17):
        for symbol in definition[place : place + definition[length - 1]]:
            found[symbol] = format(code, f"0{length}b")
            code += 1
        place += definition[length - 1]
        code <<= 1
    return found


def _bits(value: int) -> str:
    """Return the bits after the symbol of a number (table F.1)."""
    size = abs(value).bit_length()
    if not size:
        return ""
    return format(value if value > 0 else value + (1 << size) - 1, f"0{size}b")


def symbols_of(block: Blocks, difference: int) -> Iterator[tuple[bool, int, str]]:
    """Yield a block's symbols, whether each is a DC one, and the bits after it."""
    yield True, abs(difference).bit_length(), _bits(difference)
    run = 0
    for place in ZIGZAG[1:]:
        value = int(block.reshape(64)[place])
        if not value:
            run += 1
            continue
        while run > 15:
            yield False, 0xF0, ""
            run -= 16
        yield False, run << 4 | abs(value).bit_length(), _bits(value)
        run = 0
    if run:
        yield False, 0, ""


def packed(bits: str, padding: str = "1") -> bytes:
    """Return bits as coded data."""
    bits += padding * (-len(bits) % 8)
    data = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    return data.replace(b"\xff", b"\xff\x00")


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo to be coded.

    Attributes
    ----------
    height, width : int
    factors : tuple of (int, int)
        Horizontal and vertical sampling factors of each component.
    blocks : tuple of (rows, columns, 8, 8) int16
        Of each component, to the end of the last MCU.
    groups : tuple of tuple of int
        The components of each scan.
    dc, ac : tuple of bytes
        Huffman table of each component.
    """

    height: int
    width: int
    factors: tuple[tuple[int, int], ...]
    blocks: tuple[Blocks, ...]
    groups: tuple[tuple[int, ...], ...]
    dc: tuple[bytes, ...]
    ac: tuple[bytes, ...]
    interval: int = 0
    padding: str = "1"
    fill: int = 0
    ids: bytes = b"\x01\x02\x03"
    header: bytes = b""
    trailing: bytes = b""
    steps: tuple[int, ...] = field(default=(3,) * 64)

    @classmethod
    def shapes(
        cls, height: int, width: int, factors: tuple[tuple[int, int], ...]
    ) -> list[tuple[int, int]]:
        """Return the rows and columns of blocks of each component."""
        h, v = max(f[0] for f in factors), max(f[1] for f in factors)
        down, across = -(-height // (8 * v)), -(-width // (8 * h))
        return [(down * own_v, across * own_h) for own_h, own_v in factors]

    def real(self, component: int) -> tuple[int, int]:
        """Return the rows and columns of blocks that hold a part of the picture."""
        h, v = max(f[0] for f in self.factors), max(f[1] for f in self.factors)
        own_h, own_v = self.factors[component]
        rows, columns = -(-self.height * own_v // v), -(-self.width * own_h // h)
        return -(-rows // 8), -(-columns // 8)

    def with_blocks(self, blocks: tuple[Blocks, ...]) -> Photo:
        """Return the photo with other coefficients."""
        return replace(self, blocks=blocks)

    def order(self, group: tuple[int, ...]) -> Iterator[list[tuple[int, int, int]]]:
        """Yield the blocks of each MCU of a scan."""
        if len(group) == 1:
            rows, columns = self.real(group[0])
            for row in range(rows):
                for column in range(columns):
                    yield [(group[0], row, column)]
            return
        h, v = self.factors[group[0]]
        rows, columns = self.blocks[group[0]].shape[:2]
        for top in range(rows // v):
            for left in range(columns // h):
                yield [
                    (i, top * self.factors[i][1] + y, left * self.factors[i][0] + x)
                    for i in group
                    for y in range(self.factors[i][1])
                    for x in range(self.factors[i][0])
                ]

    def scan(self, group: tuple[int, ...]) -> bytes:
        """Return the coded data of a scan."""
        parts: list[bytes] = []
        bits: list[str] = []
        before = dict.fromkeys(group, 0)
        dc = {i: codes(self.dc[i]) for i in group}
        ac = {i: codes(self.ac[i]) for i in group}
        fill = b"\xff" * self.fill
        for mcu, places in enumerate(self.order(group)):
            if self.interval and mcu and mcu % self.interval == 0:
                number = mcu // self.interval - 1
                parts.append(packed("".join(bits), self.padding))
                parts.append(fill + bytes([0xFF, 0xD0 + number % 8]))
                bits, before = [], dict.fromkeys(group, 0)
            for i, row, column in places:
                block = self.blocks[i][row, column]
                difference = int(block[0, 0]) - before[i]
                before[i] = int(block[0, 0])
                for is_dc, symbol, extra in symbols_of(block, difference):
                    bits.append((dc if is_dc else ac)[i][symbol] + extra)
        return b"".join([*parts, packed("".join(bits), self.padding), fill])

    def coded(self, scans: list[bytes] | None = None) -> bytes:
        """Return the file; `scans` stand in place of the coded data."""
        count = len(self.factors)
        steps = app(0xDB, b"\x00" + bytes(self.steps[place] for place in ZIGZAG))
        frame = struct.pack(">BHHB", 8, self.height, self.width, count)
        for identifier, (h, v) in zip(self.ids, self.factors, strict=False):
            frame += bytes([identifier, h << 4 | v, 0])
        parts = [b"\xff\xd8", self.header, steps, app(0xC0, frame)]
        if self.interval:
            parts.append(app(0xDD, struct.pack(">H", self.interval)))
        coded = scans or [self.scan(group) for group in self.groups]
        for group, data in zip(self.groups, coded, strict=True):
            for i in group:
                parts += [app(0xC4, bytes([i]) + self.dc[i])]
                parts += [app(0xC4, bytes([0x10 | i]) + self.ac[i])]
            pairs = b"".join(bytes([self.ids[i], i << 4 | i]) for i in group)
            parts += [app(0xDA, bytes([len(group)]) + pairs + b"\x00\x3f\x00"), data]
        return b"".join([*parts, b"\xff\xd9", self.trailing])


def grey(width: int = 8, *, interval: int = 0) -> Photo:
    """Return a grey photo, 8 pixels high, of zeros, with the tables of annex K.3."""
    shapes = Photo.shapes(8, width, ((1, 1),))
    blocks = tuple(np.zeros((*shape, 8, 8), np.int16) for shape in shapes)
    known = standard()
    factors, groups = ((1, 1),), ((0,),)
    return Photo(
        8, width, factors, blocks, groups, (known[0],), (known[0x10],), interval
    )
