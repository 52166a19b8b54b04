"""The quantisation and Huffman tables of a JPEG file.

References
----------
ITU-T T.81 (1992), annexes B.2.4 (tables) and A.3.6 (zigzag order).
"""

from __future__ import annotations

from hotpixeld.markers import DHT, DQT, SOS, MarkerError, Structure

# Row-major place of the n-th coefficient of a block in a file (T.81 figure A.6).
ZIGZAG = tuple(
    8 * row + col
    for _, _, row, col in sorted(
        (row + col, row if (row + col) % 2 else col, row, col)
        for row in range(8)
        for col in range(8)
    )
)


def quantisation(data: bytes, structure: Structure) -> dict[int, tuple[int, ...]]:
    """Return the quantisation tables: index to 64 steps, row-major.

    Raises
    ------
    MarkerError
        A table is cut short.
    """
    tables: dict[int, tuple[int, ...]] = {}
    for segment in structure.segments:
        payload = segment.payload(data) if segment.marker == DQT else b""
        while payload:
            wide, index = payload[0] >> 4, payload[0] & 15
            size = 1 + (128 if wide else 64)
            if len(payload) < size:
                raise MarkerError("a quantisation table (DQT) is cut short")
            width = 2 if wide else 1
            steps = [
                int.from_bytes(payload[i : i + width], "big")
                for i in range(1, size, width)
            ]
            natural = [0] * 64
            for place, step in zip(ZIGZAG, steps, strict=True):
                natural[place] = step
            tables[index] = tuple(natural)
            payload = payload[size:]
    return tables


def huffman(data: bytes, structure: Structure) -> dict[int, bytes]:
    """Return the Huffman tables before the first scan: class and index to definition."""
    tables: dict[int, bytes] = {}
    for segment in structure.segments:
        if segment.marker == SOS:
            break
        payload = segment.payload(data) if segment.marker == DHT else b""
        while payload:
            size = 17 + sum(payload[1:17])
            if len(payload) < size:
                raise MarkerError("a Huffman table (DHT) is cut short")
            tables[payload[0]] = payload[1:size]
            payload = payload[size:]
    return tables


def selected(data: bytes, structure: Structure) -> list[tuple[int, bytes, bytes]]:
    """Return component, DC and AC table definitions of the first scan, in its order."""
    tables = huffman(data, structure)
    payload = structure.scans[0].header.payload(data)
    if len(payload) != 4 + 2 * payload[0]:
        raise MarkerError("a scan header (SOS) has the wrong length")
    pairs = [payload[i : i + 2] for i in range(1, len(payload) - 3, 2)]
    return [
        (
            identifier,
            tables.get(index >> 4, b""),
            tables.get(0x10 | (index & 15), b""),
        )
        for identifier, index in pairs
    ]
