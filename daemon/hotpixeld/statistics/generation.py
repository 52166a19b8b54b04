"""Generations: what is kept of a camera's photos, made anew by each pass, never edited.

A generation is four planes and what they count: mean, M2, and the trace's totals and
weights.  A pass goes through them in strips of rows, front to back; M2 is the sum of
squared differences from the mean, and M2 / (weight - 1) the variance.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hotpixeld.statistics.contrast import FloatArray
    from hotpixeld.statistics.trace import Trace

CELL = 4
"""Rows and columns of a cell of the trace's weights."""
MARGIN = 8
"""So many rows above the end of what is decoded, a neighbourhood is whole: six, and
strips of traces begin with a cell."""


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


def generation_bytes(height: int, width: int) -> int:
    """Return the bytes that a generation takes on disk, but for its manifest."""
    return sum(one.bytes(height, width) for one in FORMATS.values())


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

    Notes
    -----
    float32 bears it: see "Measured" in the README.
    """

    photos: int
    weight: float
    mean: FloatArray
    m2: FloatArray
    trace: Trace | None = None


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
    """

    height: int
    width: int
    counts: Counts
    checksums: Mapping[str, str]

    def to_json(self) -> str:
        """Return the manifest."""
        content = {
            "height": self.height,
            "width": self.width,
            **asdict(self.counts),
            "files": {
                f"{name}.npy": {
                    "checksum": self.checksums[name],
                    "dtype": one.dtype,
                    "shape": one.shape(self.height, self.width),
                }
                for name, one in FORMATS.items()
            },
        }
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
            sums = {name: str(files[f"{name}.npy"]["checksum"]) for name in FORMATS}
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a manifest: {text[:40]!r}") from error
        return cls(height, width, counts, sums)


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
        cell = FORMATS[name].cell
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

    def __init__(self, height: int, width: int, rows: int) -> None:
        most = min(rows + MARGIN, height)
        self._memory: dict[str, NDArray[np.float32] | NDArray[np.int16]] = {
            name: np.zeros(one.shape(most, width), one.dtype)
            for name, one in FORMATS.items()
        }

    def of(self, name: str, strip: Strip) -> NDArray[np.float32] | NDArray[np.int16]:
        """Return the rows of a plane that belong to a strip, to be read and written."""
        first, last = strip.rows(name)
        return self._memory[name][: last - first]

    def clear(self) -> None:
        """Make all zero: the planes of no photos."""
        for memory in self._memory.values():
            memory[...] = 0
