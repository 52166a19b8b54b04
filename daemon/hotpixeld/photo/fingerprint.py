"""Fingerprints: what a photo leaves in the ledger by which its copies are recognised.

Some hundred bytes: digests of what the camera wrote beside the picture, which programs
mostly carry over, and samples of the coded data.  In a repaired copy a few blocks are coded
with more or fewer bits, and all that follows is shifted by as many; so each sample is
looked for around its place, bit by bit.  Nothing is decoded, and the photo itself is not
needed any more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotpixeld.jpeg import markers
from hotpixeld.jpeg.markers import DHT, DQT, DRI, FRAMES

if TYPE_CHECKING:
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.photo.photo_file import Photo

SAMPLES, SAMPLE_BYTES = 6, 16
ENOUGH = 3
"""Samples that must tell something, and half of which must be found: a date stamp may be
coded alike in two photos."""
_REACH = 8192
"""Bytes around its place in which a sample is looked for: hundreds of repaired pixels."""
_SEARCHED = 256
"""Bytes from its place on in which a sample that tells something is looked for."""
_HEAD = 2048
_LONGEST_PERIOD = 40
"""Bits in which blocks of one level repeat: those of an MCU without any detail."""
_APP0 = 0xE0
_LAYOUT = FRAMES | {_APP0, DQT, DHT, DRI}
_PIXELS_A_BYTE = 40
"""Of a thumbnail: one of a single level, as of a black frame, has more."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is kept of a photo.

    Attributes
    ----------
    head : bytes
        8, of the beginning of the coded data; empty where the photo has a capture time,
        by which it is looked up.
    note, thumbnail : bytes
        8 of each digest; empty where the photo has none, or one that shows nothing.
    layout : bytes
        4, of the order of its segments: another program writes them in another order.
    samples : bytes
        6 times 16 bytes of the coded data, zeros where they would say nothing.
    """

    head: bytes
    note: bytes
    thumbnail: bytes
    layout: bytes
    samples: bytes

    @property
    def telling(self) -> list[tuple[int, bytes]]:
        """Return the samples that say something, by their number."""
        parts = [
            (number, self.samples[number * SAMPLE_BYTES : (number + 1) * SAMPLE_BYTES])
            for number in range(SAMPLES)
        ]
        return [(number, part) for number, part in parts if any(part)]


def _digest(content: bytes | memoryview, size: int = 8) -> bytes:
    return hashlib.blake2b(content, digest_size=size).digest() if content else b""


def shows_something(thumbnail: bytes) -> bool:
    """Return whether a thumbnail shows more than one level: a black one tells no photo."""
    try:
        structure = markers.parse(thumbnail, header_only=True)
    except markers.MarkerError:
        return False
    coded = len(thumbnail.rstrip(b"\0")) - structure.segments[-1].end
    return coded * _PIXELS_A_BYTE >= structure.width * structure.height


def _layout(structure: Structure) -> bytes:
    order = bytes(
        segment.marker for segment in structure.segments if segment.marker in _LAYOUT
    )
    return _digest(order, 4)


def _is_periodic(sample: bytes) -> bool:
    """Return whether bits repeat, as those of blocks without detail do."""
    bits = int.from_bytes(sample, "big")
    length = 8 * len(sample)
    return any(
        (bits ^ bits >> period) & ((1 << length - period) - 1) == 0
        for period in range(1, _LONGEST_PERIOD + 1)
    )


def _place(structure: Structure, number: int) -> tuple[int, int]:
    """Return where a sample is looked for, and where its scan begins."""
    scan = structure.scans[0]
    length = scan.end - scan.start
    return scan.start + length * (2 * number + 1) // (2 * SAMPLES), scan.start


def _sample(data: bytes, structure: Structure, number: int) -> bytes:
    """Return the first bytes at a sample's place that tell something, else zeros."""
    start, _ = _place(structure, number)
    last = min(start + _SEARCHED, structure.scans[0].end) - SAMPLE_BYTES
    while start <= last:
        sample = data[start : start + SAMPLE_BYTES]
        marked = sample.rfind(
            b"\xff"
        )  # stuffed, or a restart marker: depends on the place
        if marked < 0 and not _is_periodic(sample):
            return sample
        start += marked + 2 if marked >= 0 else SAMPLE_BYTES
    return bytes(SAMPLE_BYTES)


def of(photo: Photo) -> Fingerprint:
    """Return the fingerprint of a photo."""
    data, structure, about = photo.data, photo.structure, photo.metadata
    # What several scans hold is coded anew in a copy.
    samples = (
        b"".join(_sample(data, structure, number) for number in range(SAMPLES))
        if len(structure.scans) == 1
        else bytes(SAMPLES * SAMPLE_BYTES)
    )
    thumbnail = about.thumbnail or b""
    start = structure.scans[0].start
    return Fingerprint(
        b"" if about.captured else _digest(data[start : start + _HEAD]),
        _digest(about.maker_note),
        _digest(thumbnail) if shows_something(thumbnail) else b"",
        _layout(structure),
        samples,
    )


def _holds(window: bytes, sample: bytes) -> bool:
    """Return whether the bits of `sample` stand anywhere among those of `window`."""
    if sample in window:
        return True
    bits, size = int.from_bytes(window, "big"), len(window)
    return any(sample in (bits >> shift).to_bytes(size, "big") for shift in range(1, 8))


def shares_coding(known: Fingerprint, data: bytes, structure: Structure) -> bool:
    """Return whether a photo is coded as a known one, but for a few blocks.

    Parameters
    ----------
    known : Fingerprint
    data, structure : bytes, Structure
        The photo.
    """
    telling = known.telling
    if len(telling) < ENOUGH or len(structure.scans) != 1:
        return False
    found = 0
    for number, sample in telling:
        place, start = _place(structure, number)
        end = min(place + _REACH, structure.scans[0].end)
        window = data[max(place - _REACH, start) : end].replace(b"\xff\0", b"\xff")
        found += _holds(window, sample)
    return 2 * found >= len(telling)
