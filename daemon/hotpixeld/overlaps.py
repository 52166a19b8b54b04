"""Which footprints overlap, and which defects make a crowd."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.footprint import Box

Places = NDArray[np.intp]


class Overlaps(NamedTuple):
    """The overlaps of n boxes.

    Attributes
    ----------
    alone : (a,) intp
        The boxes that no other overlaps.
    linked : (b,) intp
        Those that a few others overlap.
    crowded : (c,) intp
        Those that many others overlap, or one of such a box.
    starts : (n + 1,) intp
    others : (starts[n],) intp
        What overlaps box i is ``others[starts[i]:starts[i + 1]]``; nothing is listed for
        a crowded one.
    """

    alone: Places
    linked: Places
    crowded: Places
    starts: Places
    others: Places

    def of(self, number: int) -> Places:
        """Return the boxes that overlap box `number`."""
        return self.others[self.starts[number] : self.starts[number + 1]]


class _Ranges(NamedTuple):
    """Candidates: for each box, runs of the boxes sorted by top, then left."""

    owner: Places
    first: Places
    length: Places


def _candidates(boxes: Places, order: Places) -> _Ranges:
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


def overlapping(boxes: Sequence[Box], crowd: int) -> Overlaps:
    """Return which boxes overlap; those with more than `crowd` near are crowded.

    The time grows with the number of boxes and of pairs outside crowds.
    """
    array = np.array(boxes, np.intp).reshape(-1, 4)
    order = np.lexsort((array[:, 1], array[:, 0]))
    ranges = _candidates(array, order)
    near = np.bincount(ranges.owner, ranges.length, len(array)) - 1
    dense = near > crowd
    listed = ~dense[ranges.owner]
    owner, first, length = (part[listed] for part in ranges)
    index = np.repeat(first - np.cumsum(length) + length, length)
    other = order[index + np.arange(index.size)]
    owner = np.repeat(owner, length)
    one, two = array[owner], array[other]
    touch = (one[:, :2] < two[:, 2:]).all(axis=1) & (two[:, :2] < one[:, 2:]).all(
        axis=1
    )
    touch &= owner != other
    owner, other = owner[touch], other[touch]
    crowded = dense.copy()
    crowded[owner[dense[other]]] = True
    count = np.bincount(owner, minlength=len(array))
    starts = np.concatenate([[0], np.cumsum(count)])
    everyone = np.arange(len(array))
    return Overlaps(
        alone=everyone[(count == 0) & ~crowded],
        linked=everyone[(count > 0) & ~crowded],
        crowded=everyone[crowded],
        starts=starts,
        others=other,
    )
