"""What follows an image in its file, kept where the image has become another.

And newly coded scans put into a file whose every other byte stays as it is.

References
----------
ITU-T T.81 (1992), annex B: compressed data formats; B.1.1.2: fill bytes.
CIPA DC-007 (2009), Multi-Picture Format: the index of the images after the first.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from hotpixeld.jpeg import markers
from hotpixeld.jpeg.markers import APP2, DHT, DRI, SOS, Segment, Structure

_MP_ENTRY = 0xB002


class OffsetError(ValueError):
    """What follows the image is found by an offset that would not be true any more."""


class Attached(NamedTuple):
    """A new file, and what had to change besides the image.

    Attributes
    ----------
    data : bytes
    notes : tuple of str
    fill_bytes : int
        Bytes 0xFF that were put before EOI, so that what follows keeps its place.
    moved : int
        Bytes by which what follows has moved, and its offsets in the MPF index.
    """

    data: bytes
    notes: tuple[str, ...]
    fill_bytes: int = 0
    moved: int = 0


def _without(data: bytes, segments: list[Segment], end: int) -> bytes:
    """Return data[:end] without some segments."""
    parts, start = [], 0
    for segment in segments:
        parts.append(data[start : segment.offset])
        start = segment.end
    return b"".join([*parts, data[start:end]])


def _primary(source: bytes, structure: Structure, coded: bytes) -> bytes:
    """Return the new primary image up to, and without, its EOI."""
    recoded = markers.parse(coded)
    first = structure.scans[0].header
    leading = [s for s in structure.segments if s.offset < first.offset]
    dropped = [s for s in leading if s.marker in {DHT, DRI}]
    header = _without(source, dropped, first.offset)
    between = [
        source[s.offset : s.end]
        for s in structure.segments
        if s.offset > first.offset and s.marker not in {DHT, DRI, SOS}
    ]
    ends = {scan.header.offset: scan.end for scan in recoded.scans}
    scans = [
        coded[s.offset : ends.get(s.offset, s.end)]
        for s in recoded.segments
        if s.marker in {DHT, SOS}
    ]
    return b"".join([header, *between, *scans])


def mp_entries(data: bytes, segment: Segment) -> list[tuple[int, str]]:
    """Return where in the file the 16-byte MPF entries stand, and their byte order."""
    payload = segment.payload(data)
    if segment.marker != APP2 or not payload.startswith(b"MPF\0"):
        return []
    order = ">" if payload[4:6] == b"MM" else "<"
    tiff = payload[4:]
    try:
        (ifd,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, ifd)
        for place in range(ifd + 2, ifd + 2 + 12 * count, 12):
            tag, _, size, start = struct.unpack_from(f"{order}HHII", tiff, place)
            if tag == _MP_ENTRY:
                base = segment.offset + 8 + start
                if start + size > len(tiff):
                    return []
                return [(base + i, order) for i in range(0, size - 15, 16)]
    except struct.error:
        return []
    return []


def with_index_moved(data: bytes, growth: int) -> bytes:
    """Return a file whose MPF index is moved by `growth`; the same without one."""
    out = None
    for segment in markers.parse(data, header_only=True).segments:
        for place, order in mp_entries(data, segment):
            out = out or bytearray(data)
            size, offset = struct.unpack_from(f"{order}II", data, place + 4)
            # The first image has offset 0, and the size of all up to its EOI.
            entry = (size, offset + growth) if offset else (size + growth, 0)
            struct.pack_into(f"{order}II", out, place + 4, *entry)
    return data if out is None else bytes(out)


def _is_metadata(segment: Segment) -> bool:
    """Return whether a segment is APPn or a comment."""
    return segment.marker & 0xF0 == 0xE0 or segment.marker == markers.COM


def _holds_word(data: bytes, words: set[int]) -> bool:
    """Return whether some bytes hold one of some 32-bit numbers, in either byte order."""
    wanted = np.array(sorted(words), np.uint32)
    low, span = wanted[0], wanted[-1] - wanted[0]
    for start in range(4):
        count = (len(data) - start) // 4
        for order in ("<u4", ">u4"):
            found = np.frombuffer(data, order, max(count, 0), min(start, len(data)))
            near = found[found.astype(np.uint32) - low <= span]
            if np.isin(near, wanted).any():
                return True
    return False


def _check_offsets(source: bytes, structure: Structure) -> None:
    """Refuse where an offset outside the MPF index leads behind the image.

    Cameras point from EXIF and maker notes to previews there, by 32-bit offsets from
    the start of the file or of a TIFF header; trailers point to themselves.  Lengths,
    and distances from the end of the file (motion photos, gain maps), stay true.
    """
    head = source[: structure.scans[0].start]
    # Tables hold no offsets, but bytes that look like any small one.
    spans = [
        (s.offset, s.end)
        for s in structure.segments
        if mp_entries(source, s) or not _is_metadata(s)
    ]
    for begin, end in spans:
        # A progressive image has tables between its scans, too.
        first, last = min(begin, len(head)), min(end, len(head))
        head = head[:first] + bytes(last - first) + head[last:]
    bases = {0}
    for start in (b"II*\0", b"MM\0*"):
        place = head.find(start)
        while place >= 0:
            bases.add(place)
            place = head.find(start, place + 1)
    targets = {structure.tail}
    place = source.find(b"\xff\xd8\xff", structure.tail)
    while place >= 0:
        targets.add(place)
        place = source.find(b"\xff\xd8\xff", place + 3)
    distances = {target - base for target in targets for base in bases}
    if _holds_word(head, distances) or _holds_word(source[structure.tail :], distances):
        raise OffsetError(
            "the repaired image is longer than the original, and what follows it is"
            " found by its offset"
        )


def attached(source: bytes, structure: Structure, data: bytes) -> Attached:
    """Return a file with a new image, what follows the image being found as before.

    Bytes after EOI keep their offset by fill bytes before EOI; a longer image moves
    them, and the MPF index is corrected.

    Parameters
    ----------
    source : bytes
    structure : Structure
        Of `source`, which has an EOI.
    data : bytes
        The new image, and all of the source from its EOI on.

    Raises
    ------
    OffsetError
        Bytes after EOI would move, and are found by an offset that is not MPF's.
    """
    growth = len(data) - len(source)
    if len(source) == structure.tail or not growth:
        return Attached(data, ())
    if growth < 0:
        end = structure.tail - 2 + growth
        data = b"".join([data[:end], b"\xff" * -growth, data[end:]])
        return Attached(data, (), fill_bytes=-growth)
    _check_offsets(source, structure)
    out = with_index_moved(data, growth)
    note = f"offsets in the MPF index moved by {growth} bytes"
    return Attached(out, () if out is data else (note,), moved=growth)


def detached(attached: Attached) -> bytes:
    """Return the new image with the source's bytes behind it, as `attached` took it.

    Only `data`, `fill_bytes` and `moved` need be known.
    """
    data = with_index_moved(attached.data, -attached.moved)
    if attached.fill_bytes:
        end = markers.parse(data).tail - 2
        data = data[: end - attached.fill_bytes] + data[end:]
    return data


def spliced(source: bytes, structure: Structure, coded: bytes) -> Attached:
    """Return `source` with the scans of `coded` in place of its own.

    Segments keep their bytes and their order, except the Huffman tables, which are those
    of the new scans, and the restart interval, which they have not.

    Parameters
    ----------
    source, coded : bytes
        Two codings of one image, alike in size and components.
    structure : Structure
        Of `source`, which has an EOI.

    Raises
    ------
    OffsetError
        Bytes after EOI would move, and are found by an offset that is not MPF's.
    MarkerError
        A table or a scan header is malformed.
    """
    tail = source[structure.tail - 2 :]
    out = attached(source, structure, _primary(source, structure, coded) + tail)
    if structure.restart_interval:
        return out._replace(notes=("restart markers left out", *out.notes))
    return out
