"""Compare the coded data of two photos bit by bit, and find which changes explain them.

Both are walked side by side, some MCUs at a time.  Where a block holds other coefficients,
the bits of its changed values may differ: those of its DC difference, those of its AC
coefficients.  So may the DC difference of the next block of its component, which is coded
relative to it and counts as the changed block's own: a block whose coefficients are equal
is not a different one.  And the padding of a restart interval that holds such bits may be
longer or shorter.  Every other bit must be the same, restart markers among them.

It does not use what makes the copies, `entropy.patch`: bits are compared, not coded again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld.jpeg import entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.jpeg.entropy import Records
    from hotpixeld.jpeg.scans import CodedScan, Integers

Mask = NDArray[np.bool_]
Bits = NDArray[np.uint8]

# Walked at once: some 150 bytes a block and photo.
BLOCKS_AT_ONCE = 1 << 17


@dataclass(frozen=True, slots=True, eq=False)
class CodedDifference:
    """In what the coded data of two photos differ.

    Attributes
    ----------
    places : (n, 3) int64
        The blocks with other coefficients: component, row, column.
    coefficients : (n,) int64
        How many of the 64 differ in each.
    bits : int
        Of the first photo, that code the values that changed.
    unexplained : tuple of int
        Bytes of the first photo where bits differ that no changed block explains: the
        first of each stretch that was walked at once.
    """

    places: Integers
    coefficients: Integers
    bits: int
    unexplained: tuple[int, ...]


def are_alike(one: CodedScan, two: CodedScan) -> bool:
    """Return whether two scans are coded with the same tables, intervals and MCUs."""
    return replace(one, start=0, end=0) == replace(two, start=0, end=0)


class _Stretch:
    """A photo's coded data from one address to another, bit by bit, without stuffing.

    Attributes
    ----------
    bits : (n,) uint8
        0 or 1; the zeros stuffed after 0xFF are left out.
    """

    def __init__(self, data: bytes, begin: int, end: int) -> None:
        self._base, self._before = divmod(begin, 8)
        part = np.frombuffer(data, np.uint8)[self._base : -(-end // 8)]
        self._stuffed = np.flatnonzero((part[:-1] == 0xFF) & (part[1:] == 0)) + 1
        self._size = len(part)
        stop = self.index(np.array([end]))[0] + self._before
        own = np.unpackbits(np.delete(part, self._stuffed))
        self.bits: Bits = own[self._before : stop]

    def index(self, addresses: Integers) -> Integers:
        """Return the places of some addresses among the bits."""
        places = addresses // 8 - self._base
        places -= np.searchsorted(self._stuffed, places)
        return 8 * places + addresses % 8 - self._before

    def byte(self, index: int) -> int:
        """Return the byte of the file that holds a bit; the last for one behind it."""
        own = np.delete(np.arange(self._size), self._stuffed)
        return self._base + int(own[min((index + self._before) // 8, len(own) - 1)])


class _Side(NamedTuple):
    """What one photo has in a stretch; begins and ends are places among its bits.

    Attributes
    ----------
    stretch : _Stretch
    values : (n, 2) int64
        Where the changed values stand.
    paddings : (n, 2) int64
        Where the paddings of touched intervals stand.
    """

    stretch: _Stretch
    values: Integers
    paddings: Integers

    @classmethod
    def of(cls, stretch: _Stretch, values: Integers, paddings: Integers) -> _Side:
        """Return it, of addresses."""
        return cls(stretch, stretch.index(values), stretch.index(paddings))

    def kept(self) -> Mask:
        """Return which bits must be as in the other photo."""
        edges = np.concatenate((self.values, self.paddings))
        edges = edges[np.argsort(edges[:, 0], kind="stable")].ravel()
        lengths = np.diff(edges, prepend=0, append=len(self.stretch.bits))
        return np.repeat(np.arange(len(lengths)) % 2 == 0, lengths)


def _changed_values(scan: CodedScan, one: Records, two: Records, count: int) -> Mask:
    """Return which parts of blocks differ: (count, blocks, 2), DC difference and AC."""
    before, after = one.coefficients[:count], two.coefficients[:count]
    changed = np.empty((*before.shape[:2], 2), np.bool_)
    changed[:, :, 1] = (before[:, :, 1:] != after[:, :, 1:]).any(axis=2)
    moved = after[:, :, 0].astype(np.int32) - before[:, :, 0]
    first = (two.predictors - one.predictors)[:count]
    owners = np.array(scan.owners)
    for component in range(len(scan.components)):
        own = np.flatnonzero(owners == component)
        relative_to = np.column_stack((first[:, component], moved[:, own[:-1]]))
        changed[:, own, 0] = moved[:, own] != relative_to
    return changed


def _is_kept(one: Bits, two: Bits) -> bool:
    """Return whether an interval's new padding is the old one, longer or shorter."""
    if len(one) == len(two):
        return bool((one == two).all())
    # Without padding of its own, an interval gets what encoders write.
    return bool((two == (one[0] if len(one) else 1)).all())


def _unexplained(one: _Side, two: _Side) -> int | None:
    """Return the first byte of the first photo with a bit that differs and should not."""
    before, after = one.stretch.bits, two.stretch.bits
    for old, new in zip(one.paddings.tolist(), two.paddings.tolist(), strict=True):
        if not _is_kept(before[slice(*old)], after[slice(*new)]):
            return one.stretch.byte(old[0])
    kept = one.kept()
    before, after = before[kept], after[two.kept()]
    shorter = min(len(before), len(after))
    differing = np.flatnonzero(before[:shorter] != after[:shorter])
    if not len(differing) and len(before) == len(after):
        return None
    place = int(differing[0]) if len(differing) else max(shorter - 1, 0)
    index = np.flatnonzero(kept)[place : place + 1].sum()
    return one.stretch.byte(int(index))


class _ScanComparison:
    """One scan of both photos, compared some MCUs at a time, in their order."""

    def __init__(
        self, datas: tuple[bytes, bytes], scans: tuple[CodedScan, CodedScan]
    ) -> None:
        self._datas, self._scans = datas, scans
        self.scan = scans[0]
        self.total = self.scan.rows * self.scan.columns
        self._open = np.empty(0, np.int64)  # touched intervals whose end is to come
        self.places: list[Integers] = []
        self.coefficients: list[Integers] = []
        self.bits = 0
        self.unexplained: list[int] = []

    def compare(self, first: int, last: int) -> None:
        """Compare the MCUs from `first` up to `last`."""
        # The next one's address is where these end.
        wanted = np.arange(first, min(last + 1, self.total))
        one, two = (
            entropy.walk_scan(data, scan, wanted)
            for data, scan in zip(self._datas, self._scans, strict=True)
        )
        count = last - first
        self._note_blocks(one, two, count)
        changed = _changed_values(self.scan, one, two, count)
        touched = first + np.unique(np.nonzero(changed)[0])
        ended = self._ended(touched, last) - first
        sides = []
        for data, scan, records in zip(
            self._datas, self._scans, (one, two), strict=True
        ):
            end = records.addresses[-1, 0, 0] if last < self.total else 8 * scan.end
            stretch = _Stretch(data, int(records.addresses[0, 0, 0]), int(end))
            places = records.addresses[:count]
            values = np.stack((places[:, :, :2], places[:, :, 1:]), axis=-1)
            sides.append(_Side.of(stretch, values[changed], records.ends[ended]))
        self.bits += int(np.diff(sides[0].values).sum())
        byte = _unexplained(*sides)
        if byte is not None:
            self.unexplained.append(byte)

    def _note_blocks(self, one: Records, two: Records, count: int) -> None:
        """Note the blocks whose coefficients differ."""
        differing = one.coefficients[:count] != two.coefficients[:count]
        counts = differing.sum(axis=2)
        mcus, blocks = np.nonzero(counts)
        self.coefficients.append(counts[mcus, blocks])
        self.places.append(self.scan.places(one.mcus[mcus], blocks))

    def _ended(self, touched: Integers, last: int) -> Integers:
        """Return the last MCUs of touched restart intervals that end before `last`."""
        length = self.scan.interval or self.total
        intervals = np.union1d(self._open, touched // length)
        ends = np.minimum((intervals + 1) * length, self.total) - 1
        self._open = intervals[ends >= last]
        return ends[ends < last]


def coded_difference(
    first: bytes, second: bytes, scans: Sequence[tuple[CodedScan, CodedScan]]
) -> CodedDifference:
    """Compare all scans of two photos.

    Some 100 MB are in use for any size of photo, and the files.

    Parameters
    ----------
    first, second : bytes
        The files.
    scans : sequence of (CodedScan, CodedScan)
        Of the first and the second file, each pair alike.

    Raises
    ------
    CodedDataError
        The coded data of one of them cannot be walked to their end.
    """
    compared = []
    for pair in scans:
        comparison = _ScanComparison((first, second), pair)
        step = max(1, BLOCKS_AT_ONCE // len(comparison.scan.owners))
        for start in range(0, comparison.total, step):
            comparison.compare(start, min(start + step, comparison.total))
        compared.append(comparison)
    return CodedDifference(
        np.concatenate([part for scan in compared for part in scan.places]),
        np.concatenate([part for scan in compared for part in scan.coefficients]),
        sum(scan.bits for scan in compared),
        tuple(byte for scan in compared for byte in scan.unexplained),
    )
