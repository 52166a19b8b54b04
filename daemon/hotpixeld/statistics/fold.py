"""Folding: how photos come to a camera's statistics, side by side, a strip at a time.

The result is, to the bit, that of folding them one after the other, whatever the strips
and passes are.

References
----------
B. P. Welford, "Note on a method for calculating corrected sums of squares and
products", Technometrics 4 (1962) 419-420: the recurrence.
D. H. D. West, "Updating mean and variance estimates: an improved method", Communications
of the ACM 22 (1979) 532-535: weights, here the forgetting.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld.compiled import function
from hotpixeld.statistics.generation import CELL, M2, MEAN, TELLING, TOTAL, Counts
from hotpixeld.statistics.trace import (
    BANDS,
    MEMORY,
    PAD,
    SCRATCH_ROWS,
    WHOLE,
    telling_numbers,
)

if TYPE_CHECKING:
    from hotpixeld.statistics.generation import Planes, Strip

Frame = NDArray[np.uint8]

KEPT = 14
"""Rows above a strip that neighbourhoods need: `MARGIN` and six."""
SMALLEST = 7
"""Rows and columns of a frame in which neighbourhoods can be mirrored at its edges."""
FEWEST_ROWS = 16
"""That one thread traces at once: it takes twelve around them."""


class _Step(ctypes.Structure):
    """`struct step` of strip.c."""

    _fields_ = (
        ("share", ctypes.c_float),
        ("spread", ctypes.c_float),
        ("decay", ctypes.c_float),
    )


class _Band(ctypes.Structure):
    """`struct band` of strip.c."""

    _fields_ = (
        ("first", ctypes.c_int32),
        ("last", ctypes.c_int32),
        ("decay", ctypes.c_float),
    )


class _Rows(ctypes.Structure):
    """`struct rows` of strip.c."""

    _fields_ = tuple(
        (name, ctypes.c_int64) for name in ("height", "width", "top", "first", "last")
    )


_SIZE, _PLACE, _COUNTER = (
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_size_t),
)
_fold_strip = function(
    "hotpixeld_fold_strip_1",
    *(_PLACE, _SIZE, ctypes.POINTER(_Step), _SIZE, _PLACE, _PLACE, _SIZE, _COUNTER),
)
_trace_strip = function(
    "hotpixeld_trace_strip_1",
    *(_PLACE, _SIZE, ctypes.POINTER(_Band), _SIZE, ctypes.POINTER(_Rows)),
    *(ctypes.c_int64, _PLACE, _PLACE, _PLACE, _PLACE, _SIZE, _PLACE, _COUNTER),
)


class Step(NamedTuple):
    """The numbers of one fold, with d = x - mean: mean + d share, M2 decay + d^2 spread."""

    share: float
    spread: float
    decay: float


def steps(before: Counts, photos: int, memory: int) -> tuple[list[Step], Counts]:
    """Return the numbers of the next folds, and the counts after them.

    Parameters
    ----------
    memory : int
        Photos to remember; 0 never forgets.
    """
    weight, found = before.weight, []
    for _ in range(photos):
        decay = (memory - 1) / weight if memory and weight > memory - 1 else 1.0
        kept = weight * decay
        weight = kept + 1.0
        found.append(Step(1.0 / weight, kept / weight, decay))
    after = Counts(before.photos + photos, weight, before.traced + photos)
    return found, after


def band(traced: int, height: int) -> tuple[int, int, float]:
    """Return the first and last row that the next photo tells, and what is kept there.

    Parameters
    ----------
    traced : int
        Photos before it.
    """
    if traced < WHOLE:
        return 0, height, 1.0
    cells, number = -(-height // CELL), traced % BANDS
    first = CELL * (cells * number // BANDS)
    last = min(CELL * (cells * (number + 1) // BANDS), height)
    return first, last, 1 - 1 / MEMORY


class Folding:
    """Photos of one camera that are folded side by side; edits planes in place.

    Parameters
    ----------
    before : Counts
        Of the generation that they come to.
    memory : int
        Photos to remember; 0 never forgets.
    windows : (photos, KEPT + rows, W, 3) uint8, contiguous
        The rows of each photo, in sequence: those of the strip after those kept.
    height : int
        Of the frames.
    threads : int
        How many will `share` a strip.

    Attributes
    ----------
    after : Counts

    Raises
    ------
    ValueError
        The frames are smaller than `SMALLEST` either way.
    """

    def __init__(
        self, before: Counts, memory: int, windows: Frame, height: int, *, threads: int
    ) -> None:
        photos, self._width = len(windows), windows.shape[2]
        if min(height, self._width) < SMALLEST:
            raise ValueError(f"frames of {self._width}x{height} have no neighbourhoods")
        numbers, self.after = steps(before, photos, memory)
        bands = [band(before.traced + i, height) for i in range(photos)]
        self._windows, self._height, self._threads = windows, height, threads
        self._steps = (_Step * photos)(*(_Step(*one) for one in numbers))
        self._bands = (_Band * photos)(*(_Band(*one) for one in bands))
        self._numbers = telling_numbers()
        self._next_traced, self._next_folded = ctypes.c_size_t(), ctypes.c_size_t()
        self._strip: Strip | None = None
        self._planes: Planes | None = None

    def begin(self, strip: Strip, planes: Planes) -> None:
        """Go on to a strip, which threads then `share`."""
        self._strip, self._planes = strip, planes
        self._next_traced.value = self._next_folded.value = 0

    def share(self) -> None:
        """Trace and fold parts of this strip until none is left that no thread has begun."""
        if self._strip is None or self._planes is None:
            raise AssertionError("no strip was begun")
        self._trace(self._strip, self._planes)
        self._fold(self._strip, self._planes)

    def _trace(self, strip: Strip, planes: Planes) -> None:
        """Tell the rows whose neighbourhoods are complete."""
        windows, rows = self._windows, strip.last_whole - strip.first_whole
        together = max(-(-rows // self._threads // CELL) * CELL, FEWEST_ROWS)
        scratch = np.empty((SCRATCH_ROWS, self._width + 2 * PAD), np.int16)
        weight = np.empty(self._width, np.float32)
        top, whole = strip.first - KEPT, (strip.first_whole, strip.last_whole)
        _trace_strip(
            *(windows.ctypes.data, windows.strides[0], self._bands, len(windows)),
            *(_Rows(self._height, self._width, top, *whole), together),
            self._numbers.ctypes.data,
            planes.of(TOTAL, strip).ctypes.data,
            planes.of(TELLING, strip).ctypes.data,
            *(scratch.ctypes.data, scratch.nbytes, weight.ctypes.data),
            ctypes.byref(self._next_traced),
        )

    def _fold(self, strip: Strip, planes: Planes) -> None:
        """Fold the rows that were decoded."""
        windows, mean, m2 = self._windows, planes.of(MEAN, strip), planes.of(M2, strip)
        _fold_strip(
            *(windows.ctypes.data + KEPT * windows.strides[1], windows.strides[0]),
            *(self._steps, len(windows)),
            *(mean.ctypes.data, m2.ctypes.data, mean.size),
            ctypes.byref(self._next_folded),
        )
