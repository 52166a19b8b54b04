"""The samples of one component, cut into windows at many positions at once.

`Dense` holds all samples of a component, `Mosaic` those of some blocks; both cut windows.
`PositionSet` is a set of samples or of blocks, and `overlapping` finds which of many
rectangles overlap, and which do so in clusters.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hotpixeld.compiled import function

if TYPE_CHECKING:
    from collections.abc import Sequence

Samples = NDArray[np.float32]
"""float32: levels of a component's own samples."""
Indices = NDArray[np.intp]
"""intp: rows, columns, or ranks in a set or list."""
Mask = NDArray[np.bool_]

# Room on the left of a plane, so that positions before its first sample have a number too.
_ROOM = 64


class Subsampling(NamedTuple):
    """Pixels of the frame per sample of a component, down and across."""

    down: int
    across: int


class Box(NamedTuple):
    """A rectangle of samples, half-open."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    def clipped(self, outer: Box) -> Box:
        """Return the part inside another box."""
        return Box(
            max(self.top, outer.top),
            max(self.left, outer.left),
            min(self.bottom, outer.bottom),
            min(self.right, outer.right),
        )

    def within(self, outer: Box) -> tuple[slice, slice]:
        """Return the slices that cut this box out of an array that holds `outer`."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )


class Positions(ctypes.Structure):
    """`struct positions` of separation.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("count", "width", "origin")),
        ("numbers", ctypes.c_void_p),
    )


class Boxes(ctypes.Structure):
    """`struct boxes` of separation.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("count", "rows", "columns")),
        *((name, ctypes.c_void_p) for name in ("tops", "lefts")),
    )

    @classmethod
    def of(cls, tops: Indices, lefts: Indices, shape: tuple[int, int]) -> Boxes:
        """Return n boxes of one shape; they refer to their corners."""
        corners = [np.ascontiguousarray(part, np.int64) for part in (tops, lefts)]
        boxes = cls(len(tops), *shape, *(part.ctypes.data for part in corners))
        boxes.corners = corners
        return boxes


_place = ctypes.c_void_p
_members = function("hotpixeld_members_1", *[_place] * 3)
_windows = function(
    "hotpixeld_windows_1", _place, _place, *[ctypes.c_int64] * 2, *[_place] * 3
)


class Field(Protocol):
    """The samples of one component, as far as they are known."""

    frame: Box
    """The whole component."""

    def cut(
        self, tops: Indices, lefts: Indices, shape: tuple[int, int]
    ) -> tuple[Samples, Mask]:
        """Return equal windows, (n, rows, columns), and which of their samples exist.

        Those outside the frame hold any value.
        """


def window(
    tops: Indices, lefts: Indices, shape: tuple[int, int]
) -> tuple[Indices, Indices]:
    """Return the rows, (n, rows, 1), and columns, (n, 1, columns), of equal windows."""
    rows = tops[:, None, None] + np.arange(shape[0])[:, None]
    columns = lefts[:, None, None] + np.arange(shape[1])
    return rows, columns


def _inside(rows: Indices, columns: Indices, frame: Box) -> Mask:
    """Return which positions are inside a frame."""
    within_rows = (rows >= frame.top) & (rows < frame.bottom)
    return within_rows & (columns >= frame.left) & (columns < frame.right)


def _numbers(width: int, rows: Indices, columns: Indices) -> Indices:
    """Return one number for each position."""
    return (rows + _ROOM) * width + columns + _ROOM


@dataclass(frozen=True, slots=True)
class PositionSet:
    """A set of positions in a plane, of samples or of blocks.

    Attributes
    ----------
    width : int
        Of the plane.
    numbers : (n,) intp, sorted
    """

    width: int
    numbers: Indices

    @classmethod
    def of(cls, frame: Box, boxes: Sequence[Box] | Indices) -> PositionSet:
        """Return the positions in some boxes of a plane, (n, 4)."""
        width = frame.right + 2 * _ROOM
        array = np.array(boxes, np.intp).reshape(-1, 4)
        rows, columns = array[:, 2] - array[:, 0], array[:, 3] - array[:, 1]
        parts = [np.empty(0, np.intp)]
        for shape in set(zip(rows.tolist(), columns.tolist(), strict=True)):
            some = array[(rows == shape[0]) & (columns == shape[1])]
            positions = window(some[:, 0], some[:, 1], shape)
            parts.append(_numbers(width, *positions).ravel())
        numbers = np.sort(np.concatenate(parts))
        return cls(width, numbers[np.diff(numbers, prepend=-1) > 0])

    def index(self, rows: Indices, columns: Indices) -> tuple[Indices, Mask]:
        """Return the rank of each position in the set, and whether it is in it."""
        numbers = _numbers(self.width, rows, columns)
        if not self.numbers.size:
            return np.zeros(numbers.shape, np.intp), np.zeros(numbers.shape, bool)
        rank = np.searchsorted(self.numbers, numbers)
        rank = np.minimum(rank, self.numbers.size - 1)
        return rank, self.numbers[rank] == numbers

    def cut(self, tops: Indices, lefts: Indices, shape: tuple[int, int]) -> Mask:
        """Return, for equal windows, which of their positions are in the set."""
        out = np.zeros((len(tops), *shape), bool)
        boxes = Boxes.of(tops, lefts, shape)
        _members(*map(ctypes.byref, (self.compiled(), boxes)), out.ctypes.data)
        return out

    def compiled(self) -> Positions:
        """Return the set as compiled code takes it; it refers to `numbers`."""
        origin = _ROOM * (self.width + 1)
        return Positions(
            self.numbers.size, self.width, origin, self.numbers.ctypes.data
        )

    def coordinates(self) -> tuple[Indices, Indices]:
        """Return the rows and the columns, in order."""
        rows, columns = np.divmod(self.numbers, self.width)
        return rows - _ROOM, columns - _ROOM


class Dense:
    """A component of which all samples are known.

    Parameters
    ----------
    samples : (rows, columns) any number
    """

    def __init__(self, samples: NDArray[np.generic]) -> None:
        self.samples = samples
        self.frame = Box(0, 0, samples.shape[0], samples.shape[1])

    def cut(
        self, tops: Indices, lefts: Indices, shape: tuple[int, int]
    ) -> tuple[Samples, Mask]:
        """Return equal windows, and which of their samples exist."""
        rows, columns = window(tops, lefts, shape)
        seen = self.samples[
            np.clip(rows, 0, self.frame.bottom - 1),
            np.clip(columns, 0, self.frame.right - 1),
        ]
        return seen.astype(np.float32), _inside(rows, columns, self.frame)


class Mosaic:
    """A component of which some blocks are known.

    Parameters
    ----------
    frame : Box
        The whole component, in samples.
    blocks : PositionSet
        The known blocks, in units of blocks.
    samples : (n, 8, 8) float32
        Of those blocks, in order.
    """

    def __init__(self, frame: Box, blocks: PositionSet, samples: Samples) -> None:
        self.frame = frame
        self.blocks = blocks
        self.samples = np.ascontiguousarray(samples, np.float32)

    def cut(
        self, tops: Indices, lefts: Indices, shape: tuple[int, int]
    ) -> tuple[Samples, Mask]:
        """Return equal windows, and which of their samples exist and are known."""
        seen = np.zeros((len(tops), *shape), np.float32)
        exists = np.zeros(seen.shape, bool)
        boxes, known = Boxes.of(tops, lefts, shape), self.blocks.compiled()
        _windows(
            *(ctypes.byref(known), self.samples.ctypes.data, *self.frame.shape),
            *(ctypes.byref(boxes), seen.ctypes.data, exists.ctypes.data),
        )
        return seen, exists


class Overlaps(NamedTuple):
    """The overlaps of n boxes.

    Attributes
    ----------
    alone : (a,) intp
        The boxes that no other overlaps.
    linked : (b,) intp
        Those that a few others overlap.
    clustered : (c,) intp
        Those that many others overlap, and those that overlap one of these.
    starts : (n + 1,) intp
    others : (starts[n],) intp
        What overlaps box i is ``others[starts[i]:starts[i + 1]]``; nothing is listed for
        a clustered one.
    """

    alone: Indices
    linked: Indices
    clustered: Indices
    starts: Indices
    others: Indices

    def of(self, number: int) -> Indices:
        """Return the boxes that overlap box `number`."""
        return self.others[self.starts[number] : self.starts[number + 1]]


class _Ranges(NamedTuple):
    """Candidates: for each box, runs of the boxes sorted by top, then left."""

    owner: Indices
    first: Indices
    length: Indices


def _candidates(boxes: Indices, order: Indices) -> _Ranges:
    """Return, for each box and each row nearby, the boxes that start close by."""
    tops, lefts = boxes[:, 0], boxes[:, 1]
    reach = (boxes[:, 2:] - boxes[:, :2]).max(axis=0)
    width = int(lefts.max() - lefts.min() + 2 * reach[1] + 1)
    code = (tops - tops.min()) * width + lefts - lefts.min() + reach[1]
    ranked = code[order]
    rows = np.arange(-reach[0] + 1, reach[0]) * width
    first = np.searchsorted(ranked, code[:, None] + rows - reach[1] + 1)
    last = np.searchsorted(ranked, code[:, None] + rows + reach[1])
    owner = np.broadcast_to(np.arange(len(boxes))[:, None], first.shape)
    some = last > first
    return _Ranges(owner[some], first[some], (last - first)[some])


def overlapping(boxes: Sequence[Box] | Indices, most: int) -> Overlaps:
    """Return which boxes overlap; those with more than `most` near are clustered.

    The time grows with the number of boxes and of pairs outside clusters.
    """
    array = np.array(boxes, np.intp).reshape(-1, 4)
    order = np.lexsort((array[:, 1], array[:, 0]))
    ranges = _candidates(array, order)
    near = np.bincount(ranges.owner, ranges.length, len(array)) - 1
    dense = near > most
    listed = ~dense[ranges.owner]
    owner, first, length = (part[listed] for part in ranges)
    index = np.repeat(first - np.cumsum(length) + length, length)
    other = order[index + np.arange(index.size)]
    owner = np.repeat(owner, length)
    first, second = array[owner], array[other]
    touch = (first[:, :2] < second[:, 2:]).all(axis=1)
    touch &= (second[:, :2] < first[:, 2:]).all(axis=1) & (owner != other)
    owner, other = owner[touch], other[touch]
    clustered = dense.copy()
    clustered[owner[dense[other]]] = True
    count = np.bincount(owner, minlength=len(array))
    starts = np.concatenate([[0], np.cumsum(count)])
    everyone = np.arange(len(array))
    return Overlaps(
        alone=everyone[(count == 0) & ~clustered],
        linked=everyone[(count > 0) & ~clustered],
        clustered=everyone[clustered],
        starts=starts,
        others=other,
    )
