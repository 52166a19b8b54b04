"""The marker structure of a JPEG file: what stands where, without decoding it.

`parse` finds the segments and scans of the primary image; what follows gives their
content: the image's identity, its quantisation tables and its Huffman tables.

References
----------
ITU-T T.81 (1992), annex B: compressed data formats; B.2.4: tables; A.3.6: zigzag order.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Start and end of image, of scan, and the segments that define how scans are coded.
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
DHT, DAC, DQT, DRI = 0xC4, 0xCC, 0xDB, 0xDD
APP2, COM = 0xE2, 0xFE
# Frame headers: C0 to CF without DHT, JPG (reserved) and DAC.
FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, DAC}
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
ARITHMETIC = frozenset(range(0xC9, 0xD0)) - {DAC}
# Baseline, extended and progressive Huffman: what libjpeg can transcode.
HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})
# Everything that decides the pixels.
CODING = FRAMES | {DQT, DHT, DAC, DRI, SOS}

# Row-major place of the n-th coefficient of a block in a file (T.81 figure A.6).
ZIGZAG = tuple(
    8 * row + col
    for _, _, row, col in sorted(
        (row + col, row if (row + col) % 2 else col, row, col)
        for row in range(8)
        for col in range(8)
    )
)
_PLACE_IN_FILE = tuple(map(ZIGZAG.index, range(64)))

# Far above what cameras write: more is there to use up time and memory.
MOST_STRAYS, MOST_SEGMENTS = 1 << 20, 20_000

# A marker inside coded data: neither a stuffed FF00, nor a restart, nor a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class MarkerError(ValueError):
    """The bytes are not a well-formed JPEG file."""


class TruncatedError(MarkerError):
    """The bytes end before the first scan: perhaps the file is still growing."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One marker segment: its marker's second byte, where its 0xFF stands, its bytes."""

    marker: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """Return the offset of the first byte after the segment."""
        return self.offset + self.length

    def payload(self, data: bytes) -> bytes:
        """Return what follows the length field."""
        return data[self.offset + 4 : self.end]


@dataclass(frozen=True, slots=True)
class Component:
    """A colour component: its identifier, sampling factors and quantisation table."""

    id: int
    h: int
    v: int
    table: int


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan: its SOS segment, and where its coded data are, without fill bytes."""

    header: Segment
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Structure:
    """The primary image of a JPEG file.

    Attributes
    ----------
    width, height : int
        Stored size in pixels.
    precision : int
        Bits per sample.
    process : int
        Marker of the frame header: 0xC0 is baseline, 0xC2 progressive Huffman.
    components : tuple of Component
    restart_interval : int
        MCUs between restart markers in the first scan; 0 is none.
    segments : tuple of Segment
        All segments in file order, frame and scan headers among them.
    scans : tuple of Scan
        Empty after a header-only parse.
    eoi : int or None
        Offset of the EOI marker, None where the file ends before it.
    tail : int
        Offset of the first byte that does not belong to the primary image.
    """

    width: int
    height: int
    precision: int
    process: int
    components: tuple[Component, ...]
    restart_interval: int
    segments: tuple[Segment, ...]
    scans: tuple[Scan, ...]
    eoi: int | None
    tail: int

    @property
    def progressive(self) -> bool:
        """Return whether the image is coded in successive passes."""
        return self.process in PROGRESSIVE

    @property
    def arithmetic(self) -> bool:
        """Return whether the coding is arithmetic, which few programs read."""
        return self.process in ARITHMETIC

    @property
    def sampling(self) -> tuple[int, int]:
        """Return the largest horizontal and vertical sampling factors."""
        return max(c.h for c in self.components), max(c.v for c in self.components)

    def plane(self, component: Component) -> tuple[int, int]:
        """Return (rows, columns) of a component's own sampled plane."""
        h, v = self.sampling
        return -(-self.height * component.v // v), -(-self.width * component.h // h)

    def blocks(self, component: Component) -> tuple[int, int]:
        """Return (rows, columns) of the 8x8 blocks that cover a component's plane."""
        rows, columns = self.plane(component)
        return -(-rows // 8), -(-columns // 8)


def _word(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 2], "big")


def _next_segment(data: bytes, offset: int) -> Segment | None:
    """Return the segment at or after `offset`, None where the file ends first.

    Stray bytes before it are passed over, as decoders do.
    """
    match = _MARKER.search(data, offset)
    if match is None:
        return None
    start, marker = match.start(), data[match.start() + 1]
    if start - offset > MOST_STRAYS:
        raise MarkerError(f"{start - offset} stray bytes at byte {offset}")
    if marker in {SOI, EOI} or marker == 0x01:
        return Segment(marker, start, 2)
    if start + 4 > len(data):
        return None
    length = _word(data, start + 2)
    if length < 2:
        raise MarkerError(f"segment 0xFF{marker:02X} at byte {start} has no length")
    if start + 2 + length > len(data):
        return None
    return Segment(marker, start, 2 + length)


def _scan(data: bytes, header: Segment) -> Scan:
    """Return the scan that `header` opens."""
    match = _MARKER.search(data, header.end)
    end = match.start() if match else len(data)
    while data[end - 1] == 0xFF and end > header.end:  # fill bytes: mostly none
        start = max(header.end, end - MOST_STRAYS)
        end = start + len(data[start:end].rstrip(b"\xff"))
    return Scan(header, header.end, end)


def _frame(data: bytes, segments: list[Segment]) -> tuple[Segment, list[Component]]:
    """Return the one frame header and the components that it lists."""
    frames = [segment for segment in segments if segment.marker in FRAMES]
    if len(frames) != 1:
        raise MarkerError(f"{len(frames)} frame headers (SOF) where one belongs")
    payload = frames[0].payload(data)
    if len(payload) < 6 or len(payload) != 6 + 3 * payload[5] or not payload[5]:
        raise MarkerError("the frame header (SOF) has the wrong length")
    parts = [payload[i : i + 3] for i in range(6, len(payload), 3)]
    components = [Component(c[0], c[1] >> 4, c[1] & 15, c[2]) for c in parts]
    if not all(1 <= c.h <= 4 and 1 <= c.v <= 4 for c in components):
        raise MarkerError("a sampling factor is outside 1 to 4")
    return frames[0], components


def _restart_interval(data: bytes, segments: list[Segment]) -> int:
    """Return the restart interval that holds for the first scan."""
    interval = 0
    for segment in segments:
        if segment.marker == SOS:
            break
        if segment.marker == DRI:
            if segment.length != 6:
                raise MarkerError("the restart interval (DRI) has the wrong length")
            interval = _word(data, segment.offset + 4)
    return interval


def _walk(data: bytes, *, header_only: bool) -> tuple[list[Segment], list[Scan]]:
    """Return the segments up to EOI (or the end, or the first SOS) and the scans."""
    segments: list[Segment] = []
    scans: list[Scan] = []
    offset = 2
    while (segment := _next_segment(data, offset)) is not None:
        if segment.marker == SOI:
            raise MarkerError(f"a second image starts at byte {segment.offset}")
        if len(segments) == MOST_SEGMENTS:
            raise MarkerError(f"more than {MOST_SEGMENTS} segments")
        segments.append(segment)
        offset = segment.end
        if segment.marker == EOI or (header_only and segment.marker == SOS):
            break
        if segment.marker == SOS:
            scans.append(_scan(data, segment))
            offset = scans[-1].end
    return segments, scans


def parse(data: bytes, *, header_only: bool = False) -> Structure:
    """Read the marker structure of the primary image.

    Parameters
    ----------
    data : bytes
        The file.
    header_only : bool
        Stop at the first scan: `scans` is empty then, and `eoi` None.

    Raises
    ------
    TruncatedError
        The file ends before its first scan.
    MarkerError
        The bytes are not a well-formed JPEG file.
    """
    if data[:2] != b"\xff\xd8":
        if b"\xff\xd8".startswith(data[:2]):
            raise TruncatedError("no bytes yet")
        raise MarkerError("not a JPEG file")
    segments, scans = _walk(data, header_only=header_only)
    if not any(segment.marker == SOS for segment in segments):
        if segments and segments[-1].marker == EOI:
            raise MarkerError("no image data before the end marker (EOI)")
        raise TruncatedError("the file ends before its image data")
    frame, components = _frame(data, segments)
    height, width = _word(data, frame.offset + 5), _word(data, frame.offset + 7)
    if not (width and height):
        raise MarkerError(f"the frame header (SOF) says {width}x{height}")
    last = segments[-1]
    eoi = last.offset if last.marker == EOI else None
    return Structure(
        width=width,
        height=height,
        precision=data[frame.offset + 4],
        process=frame.marker,
        components=tuple(components),
        restart_interval=_restart_interval(data, segments),
        segments=tuple(s for s in segments if s.marker != EOI),
        scans=tuple(scans),
        eoi=eoi,
        tail=len(data) if eoi is None else eoi + 2,
    )


def identity(data: bytes, structure: Structure) -> str:
    """Return the identity of a photo: hex SHA-256 of its primary image's coded data.

    Frame and scan headers, tables, restart intervals and coded data count; metadata,
    fill bytes and everything after EOI do not.  `structure` is that of the same `data`,
    with its scans.
    """
    view, digest = memoryview(data), hashlib.sha256()
    coded = {scan.header.offset: scan for scan in structure.scans}
    for segment in structure.segments:
        if segment.marker in CODING:
            digest.update(view[segment.offset : segment.end])
        if scan := coded.get(segment.offset):
            digest.update(view[scan.start : scan.end])
    return digest.hexdigest()


def tidied(data: bytes, structure: Structure) -> bytes:
    """Return the file without stray bytes between its header segments.

    Decoders pass over them, but libjpeg's warning is the one for a damaged scan.
    """
    parts, end, strays = [data[:2]], 2, 0
    for segment in structure.segments:
        strays += segment.offset - end
        end = segment.end
        parts.append(data[segment.offset : end])
        if segment.marker == SOS:
            break
    return b"".join([*parts, data[end:]]) if strays else data


def quantisation_tables(payload: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the tables of a DQT segment: index, and 64 steps, row-major.

    Raises
    ------
    MarkerError
        A table is cut short.
    """
    while payload:
        wide, index = payload[0] >> 4, payload[0] & 15
        size = 1 + (128 if wide else 64)
        if len(payload) < size:
            raise MarkerError("a quantisation table (DQT) is cut short")
        steps = struct.unpack(">64H" if wide else ">64B", payload[1:size])
        yield index, tuple(steps[place] for place in _PLACE_IN_FILE)
        payload = payload[size:]


def huffman_tables(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tables of a DHT segment: class and index in a byte, and definition.

    Raises
    ------
    MarkerError
        A table is cut short, or has more than 256 codes.
    """
    while payload:
        size = 17 + sum(payload[1:17])
        if len(payload) < size:
            raise MarkerError("a Huffman table (DHT) is cut short")
        if size > 17 + 256:
            raise MarkerError("a Huffman table (DHT) has more than 256 codes")
        yield payload[0], payload[1:size]
        payload = payload[size:]


def quantisation(data: bytes, structure: Structure) -> dict[int, tuple[int, ...]]:
    """Return the quantisation tables: index to 64 steps, row-major.

    Raises
    ------
    MarkerError
        A table is cut short.
    """
    tables: dict[int, tuple[int, ...]] = {}
    for segment in structure.segments:
        if segment.marker == DQT:
            tables |= quantisation_tables(segment.payload(data))
    return tables


def huffman(data: bytes, structure: Structure) -> dict[int, bytes]:
    """Return the Huffman tables before the first scan: class and index to definition.

    Raises
    ------
    MarkerError
        A table is cut short, or has more than 256 codes.
    """
    tables: dict[int, bytes] = {}
    for segment in structure.segments:
        if segment.marker == SOS:
            break
        if segment.marker == DHT:
            tables |= huffman_tables(segment.payload(data))
    return tables
