"""Walk the coded data of a photo, and patch the bits of some blocks, all others kept.

One pass decodes the scans to their end, remembers the wanted blocks' coefficients and
where their bits stand, and passes over all others.  A patch codes changed blocks with the
photo's own tables, and the DC difference after them; every other bit is copied.

What can be walked: sequential Huffman coding of 8 bits (SOF0, SOF1), 1 or 3 components,
in one scan or several, with and without restart markers.  Decoders go on where a stream is
damaged, each in its own way; here it ends the walk, for a copy must be right in all of
them:

==========================================  ==============================  ===========
in the coded data                           libjpeg-turbo                   here
==========================================  ==============================  ===========
fill bytes (FF) before a marker             accepts                         kept
padding of any bits                         accepts                         kept
a run of zeros beyond the block             accepts                         refused
an AC symbol without a meaning (size 0)     takes it for the block's end    refused
bits that begin no code                     warns, takes a zero             refused
the data end early                          warns, fills up with grey       refused
a marker inside an interval                 warns, looks for the next       refused
another RST than the next                   warns, looks around             refused
bytes, or FF 00, after the last MCU         warns, or overlooks up to seven refused
a restart marker after the last MCU         accepts                         refused
fill bytes (FF) before a stuffed FF 00      accepts                         refused
a table with a code of all ones             refuses                         refused
==========================================  ==============================  ===========

The Huffman coding is in ``c/entropy.c``, the moving of bits in ``c/bits.c``.

References
----------
ITU-T T.81 (1992), annexes B.1.1 (markers), E.1.4 (restart intervals), F.1.2 and F.2.2.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotpixeld import compiled
from hotpixeld.jpeg import codes
from hotpixeld.jpeg.bits import (
    CHANGE,
    PADDING,
    REASONS,
    CodedDataError,
    Replaced,
    spliced,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.jpeg.codes import Missing
    from hotpixeld.jpeg.scans import CodedScan, Integers

Coefficients = NDArray[np.int16]
"""(n, 8, 8) int16: blocks of quantised coefficients, row-major."""

_MOST_COMPONENTS, _DEFINITION = 3, 16 + 256
_BITS_OF_A_BLOCK = 64 * (16 + 15)
# A round may find another value without a code.
_MOST_ROUNDS = 8

_MISSING = np.dtype(
    [(name, np.int64) for name in ("record", "block", "coefficient", "symbol")]
)


class MissingCodeError(ValueError):
    """A wanted coefficient has no code in the photo's tables, nor has one near it."""


class _Scan(ctypes.Structure):
    """`struct scan` of entropy.h."""

    _fields_ = (
        ("data", ctypes.c_char_p),
        ("start", ctypes.c_int64),
        ("end", ctypes.c_int64),
        ("mcus", ctypes.c_int64),
        ("interval", ctypes.c_int64),
        ("components", ctypes.c_int32),
        ("blocks", ctypes.c_int32),
        ("owners", ctypes.c_uint8 * 10),
        ("dc", ctypes.c_uint8 * _DEFINITION * _MOST_COMPONENTS),
        ("ac", ctypes.c_uint8 * _DEFINITION * _MOST_COMPONENTS),
    )


_place, _number = ctypes.c_void_p, ctypes.c_int64
_walk = compiled.function(
    "hotpixeld_walk_1", _place, _number, *[_place] * 6, returns=ctypes.c_int
)
_code = compiled.function(
    "hotpixeld_code_1",
    *(_place, _number, _place, _place, _place, _place, _place),
    *(_place, _place, _number, _place, _place),
    returns=ctypes.c_int,
)


def _described(data: bytes, scan: CodedScan) -> _Scan:
    """Return a scan as the compiled core takes it."""
    owners = scan.owners
    described = _Scan(
        data,
        scan.start,
        scan.end,
        scan.rows * scan.columns,
        scan.interval,
        len(scan.components),
        len(owners),
        (ctypes.c_uint8 * 10)(*owners),
    )
    for index, (dc, ac) in enumerate(zip(scan.dc, scan.ac, strict=True)):
        ctypes.memmove(described.dc[index], dc, len(dc))
        ctypes.memmove(described.ac[index], ac, len(ac))
    return described


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """What the walk remembers of some MCUs of a scan.

    Attributes
    ----------
    mcus : (n,) int64
        Their numbers, ascending.
    addresses : (n, blocks, 3) int64
        Where each block begins, its AC coefficients begin, and it ends, as 8 * byte +
        bit; the zero stuffed after 0xFF belongs to it.
    coefficients : (n, blocks, 64) int16
        Row-major.
    predictors : (n, components) int32
        DC before the MCU.
    ends : (n, 2) int64
        Addresses of the end of the MCU's restart interval, without padding and with it.
    """

    mcus: Integers
    addresses: Integers
    coefficients: NDArray[np.int16]
    predictors: NDArray[np.int32]
    ends: Integers

    @classmethod
    def empty(cls, scan: CodedScan, mcus: Integers) -> Records:
        """Return room for some MCUs."""
        count, blocks = len(mcus), len(scan.owners)
        return cls(
            mcus,
            np.empty((count, blocks, 3), np.int64),
            np.empty((count, blocks, 64), np.int16),
            np.empty((count, len(scan.components)), np.int32),
            np.empty((count, 2), np.int64),
        )

    def index(self, mcus: Integers) -> Integers:
        """Return the places of some MCUs among these.

        Raises
        ------
        KeyError
            One was not asked for.
        """
        found = np.searchsorted(self.mcus, mcus)
        known = found < len(self.mcus)
        if not known.all() or (self.mcus[found] != mcus).any():
            raise KeyError("a block that the walk was not asked for")
        return found

    def part(self, chosen: Integers) -> Records:
        """Return some of them."""
        return Records(
            self.mcus[chosen],
            self.addresses[chosen],
            self.coefficients[chosen],
            self.predictors[chosen],
            self.ends[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """A photo whose coded data were walked to their end.

    Attributes
    ----------
    scans : tuple of CodedScan
    records : tuple of Records
        Of each scan.
    """

    scans: tuple[CodedScan, ...]
    records: tuple[Records, ...]

    def coefficients(self, places: Integers) -> Coefficients:
        """Return the coefficients of blocks that the walk was asked for.

        Parameters
        ----------
        places : (n, 3) int64
            Component, row and column of each block, 0-based.

        Returns
        -------
        (n, 8, 8) int16
        """
        found = np.empty((len(places), 64), np.int16)
        for scan, records in zip(self.scans, self.records, strict=True):
            for own, mcus, blocks in _located(scan, places):
                found[own] = records.coefficients[records.index(mcus), blocks]
        return found.reshape(-1, 8, 8)


def _located(
    scan: CodedScan, places: Integers
) -> list[tuple[NDArray[np.bool_], Integers, Integers]]:
    """Return, for each component of a scan, which places are its, their MCUs and blocks."""
    parts = []
    for component in scan.components:
        own = places[:, 0] == component
        if own.any():
            found = scan.located(component, places[own, 1], places[own, 2])
            parts.append((own, found.mcus, found.blocks))
    return parts


def walk_scan(data: bytes, scan: CodedScan, wanted: Integers) -> Records:
    """Walk one scan, remembering some MCUs."""
    records = Records.empty(scan, wanted)
    fault = np.zeros(2, np.int64)
    reason = _walk(
        ctypes.byref(_described(data, scan)),
        len(wanted),
        wanted.ctypes.data,
        records.addresses.ctypes.data,
        records.coefficients.ctypes.data,
        records.predictors.ctypes.data,
        records.ends.ctypes.data,
        fault.ctypes.data,
    )
    if reason:
        raise CodedDataError(REASONS[reason], int(fault[0]))
    return records


def walk(
    data: bytes,
    scans: Sequence[CodedScan],
    places: Integers,
    *,
    to_patch: bool = True,
) -> Walked:
    """Decode a photo's coded data to their end, and keep some blocks.

    Parameters
    ----------
    data : bytes
        The file.
    scans : sequence of CodedScan
        All of `scans.coded_scans(data, ...)`.
    places : (n, 3) int64
        Component, row and column of each wanted block, 0-based.
    to_patch : bool
        Keep what `patch` needs, too: the MCUs whose DC differences change with these.

    Raises
    ------
    CodedDataError
        The data cannot be walked to their end.
    IndexError
        A block is outside the photo.
    """
    places = np.asarray(places, np.int64).reshape(-1, 3)
    known = [i for scan in scans for i in scan.components]
    if len(places) and not set(np.unique(places[:, 0]).tolist()).issubset(known):
        raise IndexError("a block of a component that the photo does not have")
    records = []
    for scan in scans:
        parts = [mcus for _, mcus, _ in _located(scan, places)]
        wanted = np.unique(np.concatenate([*parts, np.empty(0, np.int64)]))
        if to_patch:
            wanted = np.union1d(wanted, scan.followers(wanted))
        records.append(walk_scan(data, scan, wanted))
    return Walked(tuple(scans), tuple(records))


@dataclass(frozen=True, slots=True, eq=False)
class Patched:
    """A photo with other coefficients in some blocks.

    Attributes
    ----------
    data : bytes
        The file.
    replaced : Replaced
        What leads back to the original.
    places : (n, 3) int64
        The blocks that changed: component, row, column.
    mcus : int
        How many hold bits that changed, of DC differences after them, too.
    bits : int
        Of the original that were replaced.
    """

    data: bytes
    replaced: Replaced
    places: Integers
    mcus: int
    bits: int


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """New bits for a scan, and the values that have none."""

    changes: NDArray[Any]
    bits: bytes
    missing: list[Missing]


def _coded(
    data: bytes, scan: CodedScan, records: Records, after: NDArray[np.int16]
) -> _Coded:
    """Code what differs between the records and their wanted coefficients."""
    count, blocks = records.coefficients.shape[:2]
    changes = np.zeros(2 * count * blocks, CHANGE)
    moved = int((after != records.coefficients).any(axis=2).sum())
    room = (moved + count * blocks) * 8 + moved * _BITS_OF_A_BLOCK // 8
    bits = np.empty(room, np.uint8)
    missing = np.zeros(count * blocks * 130, _MISSING)
    counts = np.zeros(3, np.int64)
    reason = _code(
        ctypes.byref(_described(data, scan)),
        count,
        *(part.ctypes.data for part in (records.mcus, records.addresses)),
        *(records.predictors.ctypes.data, records.coefficients.ctypes.data),
        *(after.ctypes.data, changes.ctypes.data, bits.ctypes.data, room),
        *(missing.ctypes.data, counts.ctypes.data),
    )
    if reason:
        raise CodedDataError(REASONS[reason])
    absent = [
        codes.Missing(*(int(number) for number in item))
        for item in missing[: counts[2]]
    ]
    return _Coded(changes[: counts[0]], bits[: counts[1]].tobytes(), absent)


def _padding(data: bytes, ends: Integers, begins: Integers) -> NDArray[Any]:
    """Return the changes of the padding of the intervals that hold other changes."""
    ends = ends[np.unique(ends[:, 0], return_index=True)[1]]
    hit = np.unique(np.searchsorted(ends[:, 0], begins, side="right"))
    changes = np.zeros(len(hit), CHANGE)
    changes["begin"], changes["end"] = ends[hit].T
    changes["length"] = PADDING
    for change in changes:
        byte, bit = divmod(int(change["begin"]), 8)
        # Without padding of its own, an interval gets what encoders write.
        change["offset"] = data[byte] >> (7 - bit) & 1 if bit else 1
    return changes


def _with_codes(
    scan: CodedScan, data: bytes, before: Records, after: Records
) -> _Coded:
    """Code a scan's changed blocks, with the nearest values where some have no code."""
    for _ in range(_MOST_ROUNDS):
        coded = _coded(data, scan, before, after.coefficients)
        if not coded.missing:
            return coded
        if not codes.brought_near(scan, before, after, coded.missing):
            break
    raise MissingCodeError(
        "the photo's Huffman tables have no code for what a repaired block holds"
    )


def _patch_scan(
    data: bytes, scan: CodedScan, records: Records, wanted: Records
) -> tuple[_Coded, Integers, Records]:
    """Code a scan; return its bits, its intervals' ends, and what became of its records."""
    moved = (wanted.coefficients != records.coefficients).any(axis=(1, 2))
    touched = records.mcus[moved]
    chosen = records.index(np.union1d(touched, scan.followers(touched)))
    before, after = records.part(chosen), wanted.part(chosen)
    coded = _with_codes(scan, data, before, after)
    wanted.coefficients[chosen] = after.coefficients
    return coded, before.ends, wanted


def patch(
    data: bytes, walked: Walked, places: Integers, blocks: Coefficients
) -> Patched:
    """Return a photo with other coefficients in some blocks, every other bit kept.

    A coefficient without a code in the photo's tables gets the nearest value that has
    one, as long as the block comes nearer to what is wanted than it was.

    Parameters
    ----------
    data : bytes
        What was walked.
    walked : Walked
    places : (n, 3) int64
        Component, row and column of each block, among those that the walk was asked for.
    blocks : (n, 8, 8) int16
        What they are to hold.

    Raises
    ------
    MissingCodeError
        A block can only be coded with other tables.
    KeyError
        A block that the walk was not asked for.
    """
    places = np.asarray(places, np.int64).reshape(-1, 3)
    flat = np.asarray(blocks, np.int16).reshape(-1, 64)
    all_changes, all_bits, offset, mcus = [np.empty(0, CHANGE)], [], 0, 0
    moved = np.zeros(len(places), bool)
    for scan, records in zip(walked.scans, walked.records, strict=True):
        wanted = replace(records, coefficients=records.coefficients.copy())
        located = [
            (own, (records.index(numbers), positions))
            for own, numbers, positions in _located(scan, places)
        ]
        for own, place in located:
            wanted.coefficients[place] = flat[own]
        coded, ends, wanted = _patch_scan(data, scan, records, wanted)
        for own, place in located:
            differs = wanted.coefficients[place] != records.coefficients[place]
            moved[own] = differs.any(axis=1)
        if not len(coded.changes):
            continue
        coded.changes["offset"] += offset
        offset += len(coded.bits)
        begins = coded.changes["begin"]
        firsts = records.addresses[:, 0, 0]
        mcus += len(np.unique(np.searchsorted(firsts, begins, side="right")))
        all_changes += [coded.changes, _padding(data, ends, begins)]
        all_bits.append(coded.bits)
    changes = np.concatenate(all_changes)
    changes = changes[np.argsort(changes["begin"], kind="stable")]
    out, inverse, former = spliced(data, changes, b"".join(all_bits))
    bits = int(inverse["length"][changes["length"] != PADDING].sum())
    return Patched(out, Replaced(inverse, former), places[moved], mcus, bits)
