"""Generations: what is kept of a camera's photos, made anew by each pass, never edited.

A generation is four planes and what they count: mean, M2, and the trace's totals and
weights; and where a camera's photos are of several bins, totals and weights of each bin's
own trace.  A pass goes through them in strips of rows, front to back; M2 is the sum of
squared differences from the mean, and M2 / (weight - 1) the variance.

Photos are folded into the next generation side by side, a strip at a time; the result is,
to the bit, that of folding them one after the other, whatever the strips and passes are.

References
----------
B. P. Welford, "Note on a method for calculating corrected sums of squares and
products", Technometrics 4 (1962) 419-420: the recurrence.
D. H. D. West, "Updating mean and variance estimates: an improved method", Communications
of the ACM 22 (1979) 532-535: weights, here the forgetting.
"""

from __future__ import annotations

import ctypes
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld.camera import Bin
from hotpixeld.compiled import function
from hotpixeld.statistics.trace import (
    BANDS,
    MEMORY,
    PAD,
    SCRATCH_ROWS,
    WHOLE,
    telling_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hotpixeld.statistics.contrast import FloatArray
    from hotpixeld.statistics.trace import Trace

CELL = 4
"""Rows and columns of a cell of the trace's weights."""
MARGIN = 8
"""The last rows of what is decoded so far wait for the next strip: a neighbourhood
reaches six rows down, and eight are whole cells of a trace."""


class PlaneFormat(NamedTuple):
    """How a plane lies in its file.

    `channels` is 0 where it has no such axis; `cell` is how many rows and columns of the
    frame have one value.
    """

    dtype: str
    channels: int
    cell: int

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of the plane of a frame."""
        size = -(-height // self.cell), -(-width // self.cell)
        return (*size, self.channels) if self.channels else size

    def bytes(self, height: int, width: int) -> int:
        """Return the bytes of the plane of a frame."""
        count = int(np.prod(self.shape(height, width)))
        return count * np.dtype(self.dtype).itemsize


MEAN, M2, TOTAL, TELLING = "mean", "m2", "trace_total", "trace_telling"
FORMATS: Mapping[str, PlaneFormat] = {
    MEAN: PlaneFormat("<f4", 3, 1),
    M2: PlaneFormat("<f4", 3, 1),
    TOTAL: PlaneFormat("<i2", 0, 1),
    TELLING: PlaneFormat("<f4", 0, CELL),
}
OF_BIN = {"total": TOTAL, "telling": TELLING}
"""The planes that a bin has of its own, and those of the camera that they are like."""
MOST_BINS = 16
"""Traces of bins that a generation has at most."""


def format_of(name: str) -> PlaneFormat:
    """Return how a plane lies in its file."""
    return FORMATS.get(name) or FORMATS[OF_BIN[name.rpartition("_")[2]]]


def own_planes(one: Bin) -> tuple[str, str]:
    """Return the names of the planes of a bin's trace: totals, weights."""
    return f"{one.plane}_total", f"{one.plane}_telling"


def planes_of(bins: Iterable[Bin]) -> tuple[str, ...]:
    """Return the names of a generation's planes, those of its bins last."""
    return (*FORMATS, *(name for one in bins for name in own_planes(one)))


def generation_bytes(height: int, width: int, bins: int = 0) -> int:
    """Return the bytes that a generation takes on disk, but for its manifest."""
    own = sum(FORMATS[like].bytes(height, width) for like in OF_BIN.values())
    return sum(one.bytes(height, width) for one in FORMATS.values()) + bins * own


@dataclass(frozen=True, slots=True)
class Counts:
    """What the planes count.

    Attributes
    ----------
    photos : int
        Photos folded, ever.
    weight : float
        Photos that still count: `photos` until the memory is full, then the memory.
    traced : int
        Photos in the trace, whole or in part: it may have begun later.
    """

    photos: int = 0
    weight: float = 0.0
    traced: int = 0


@dataclass(slots=True, eq=False)
class State:
    """What a generation knows of a camera, to be read.

    Attributes
    ----------
    photos : int
        Photos folded, ever.
    weight : float
        Photos that still count: `photos` until the memory is full, then the memory.
    mean, m2 : (H, W, 3) float32
        Mean level, and sum of squared differences from it (levels squared).
    trace : Trace or None
        The camera's own, as it lies in the generation, or one made of those of its bins.
    bins : mapping of Bin to Trace
        The traces of the bins that have their own.

    Notes
    -----
    float32 bears it: see "The whole job" in tests/bench/README.md.
    """

    photos: int
    weight: float
    mean: FloatArray
    m2: FloatArray
    trace: Trace | None = None
    bins: Mapping[Bin, Trace] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Generation:
    """A complete generation, as its manifest says.

    Attributes
    ----------
    height, width : int
        Of the camera's frames.
    counts : Counts
    checksums : mapping of str to str
        Of each plane's file.
    bins : mapping of Bin to int
        Photos in the trace of each bin that has its own.
    """

    height: int
    width: int
    counts: Counts
    checksums: Mapping[str, str]
    bins: Mapping[Bin, int] = field(default_factory=dict)

    @property
    def planes(self) -> tuple[str, ...]:
        """Return the names of its planes."""
        return planes_of(self.bins)

    def to_json(self) -> str:
        """Return the manifest."""
        content: dict[str, object] = {
            "height": self.height,
            "width": self.width,
            **asdict(self.counts),
            "files": {
                f"{name}.npy": {
                    "checksum": self.checksums[name],
                    "dtype": one.dtype,
                    "shape": one.shape(self.height, self.width),
                }
                for name in self.planes
                for one in [format_of(name)]
            },
        }
        if self.bins:
            content["bins"] = [[*one, photos] for one, photos in self.bins.items()]
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def parse(cls, text: str) -> Generation:
        """Return what a manifest says.

        Raises
        ------
        ValueError
            It is no manifest.
        """
        try:
            content = json.loads(text)
            height, width = int(content["height"]), int(content["width"])
            photos, traced = int(content["photos"]), int(content["traced"])
            counts = Counts(photos, float(content["weight"]), traced)
            files = content["files"]
            bins = {
                Bin(str(lens), None if focal is None else float(focal)): int(own)
                for lens, focal, own in content.get("bins", ())
            }
            names = planes_of(bins)
            sums = {name: str(files[f"{name}.npy"]["checksum"]) for name in names}
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a manifest: {text[:40]!r}") from error
        return cls(height, width, counts, sums, bins)


class Strip(NamedTuple):
    """Rows of a frame that a pass takes at once.

    `first` to `last` are decoded and folded; `first_whole` to `last_whole` are those whose
    neighbourhoods are complete by then, and were not in the strips before.
    """

    first: int
    last: int
    first_whole: int
    last_whole: int

    def rows(self, name: str) -> tuple[int, int]:
        """Return the first and last row of a plane that belong to this strip.

        >>> Strip(64, 128, 56, 120).rows("trace_telling")
        (14, 30)
        """
        if name in {MEAN, M2}:
            return self.first, self.last
        cell = format_of(name).cell
        return -(-self.first_whole // cell), -(-self.last_whole // cell)


def strips(height: int, rows: int) -> list[Strip]:
    """Return the strips of a frame, of so many rows each: a multiple of 4, at least 16.

    >>> strips(40, 16)[-1]
    Strip(first=32, last=40, first_whole=24, last_whole=40)
    """
    found = []
    for first in range(0, height, rows):
        last = min(first + rows, height)
        last_whole = last if last == height else last - MARGIN
        found.append(Strip(first, last, max(first - MARGIN, 0), last_whole))
    return found


class Planes:
    """A strip of each plane, in memory that all strips share; edited in place."""

    def __init__(
        self, height: int, width: int, rows: int, names: Iterable[str] = FORMATS
    ) -> None:
        most = min(rows + MARGIN, height)
        self._memory: dict[str, NDArray[np.float32] | NDArray[np.int16]] = {
            name: np.zeros(one.shape(most, width), one.dtype)
            for name in names
            for one in [format_of(name)]
        }

    def of(self, name: str, strip: Strip) -> NDArray[np.float32] | NDArray[np.int16]:
        """Return the rows of a plane that belong to a strip, to be read and written."""
        first, last = strip.rows(name)
        return self._memory[name][: last - first]

    def clear(self) -> None:
        """Make all zero: the planes of no photos."""
        for memory in self._memory.values():
            memory[...] = 0


Frame = NDArray[np.uint8]

KEPT = 14
"""Rows above a strip that neighbourhoods need: `MARGIN` and six."""
SMALLEST = 7
"""Rows and columns of a frame in which neighbourhoods can be mirrored at its edges."""
FEWEST_ROWS = 16
"""That one thread traces at once: it takes twelve around them."""


class _Step(ctypes.Structure):
    """`struct step` of fold.c."""

    _fields_ = (
        ("share", ctypes.c_float),
        ("spread", ctypes.c_float),
        ("decay", ctypes.c_float),
    )


class _Band(ctypes.Structure):
    """`struct band` of fold.c."""

    _fields_ = (
        ("first", ctypes.c_int32),
        ("last", ctypes.c_int32),
        ("decay", ctypes.c_float),
    )


class _Trace(ctypes.Structure):
    """`struct trace` of fold.c."""

    _fields_ = (("total", ctypes.c_void_p), ("telling", ctypes.c_void_p))


class _Rows(ctypes.Structure):
    """`struct rows` of fold.c."""

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
    "hotpixeld_trace_strip_2",
    *(_PLACE, _SIZE, ctypes.POINTER(_Band), ctypes.POINTER(_Band)),
    *(ctypes.POINTER(ctypes.c_int32), _SIZE, ctypes.POINTER(_Rows), ctypes.c_int64),
    *(_PLACE, ctypes.POINTER(_Trace), _PLACE, _SIZE, _PLACE, _COUNTER),
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
    traced : mapping of Bin to int
        The bins whose traces are kept, with the photos in each.
    bins : sequence of Bin, optional
        Of each photo; one whose bin is none of those is told in the camera's trace alone.

    Attributes
    ----------
    after : Counts
    bins : mapping of Bin to int
        Photos in the trace of each bin, after these.

    Raises
    ------
    ValueError
        The frames are smaller than `SMALLEST` either way.
    """

    def __init__(  # noqa: PLR0913 - what a pass brings along
        self,
        before: Counts,
        memory: int,
        windows: Frame,
        height: int,
        *,
        threads: int,
        traced: Mapping[Bin, int] = {},
        bins: Sequence[Bin] = (),
    ) -> None:
        photos, self._width = len(windows), windows.shape[2]
        if min(height, self._width) < SMALLEST:
            raise ValueError(f"frames of {self._width}x{height} have no neighbourhoods")
        numbers, self.after = steps(before, photos, memory)
        bands = [band(before.traced + i, height) for i in range(photos)]
        self._windows, self._height, self._threads = windows, height, threads
        self._steps = (_Step * photos)(*(_Step(*one) for one in numbers))
        self._bands = (_Band * photos)(*(_Band(*one) for one in bands))
        self.bins = dict(traced)
        self._own = (ctypes.c_int32 * photos)()
        self._own_bands = (_Band * photos)()
        places = {one: place for place, one in enumerate(traced, 1)}
        for photo, one in enumerate(bins):
            if place := places.get(one, 0):
                self._own[photo] = place
                self._own_bands[photo] = _Band(*band(self.bins[one], height))
                self.bins[one] += 1
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

    def _traces(self, strip: Strip, planes: Planes) -> ctypes.Array[_Trace]:
        """Return where the traces' rows are, the camera's first."""
        names = [(TOTAL, TELLING), *map(own_planes, self.bins)]
        found = [
            _Trace(*(planes.of(name, strip).ctypes.data for name in pair))
            for pair in names
        ]
        return (_Trace * len(found))(*found)

    def _trace(self, strip: Strip, planes: Planes) -> None:
        """Tell the rows whose neighbourhoods are complete."""
        windows, rows = self._windows, strip.last_whole - strip.first_whole
        together = max(-(-rows // self._threads // CELL) * CELL, FEWEST_ROWS)
        scratch = np.empty((SCRATCH_ROWS, self._width + 2 * PAD), np.int16)
        weight = np.empty(self._width, np.float32)
        top, whole = strip.first - KEPT, (strip.first_whole, strip.last_whole)
        _trace_strip(
            *(windows.ctypes.data, windows.strides[0], self._bands, self._own_bands),
            *(self._own, len(windows)),
            *(_Rows(self._height, self._width, top, *whole), together),
            self._numbers.ctypes.data,
            self._traces(strip, planes),
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
