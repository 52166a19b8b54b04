"""Folding whole frames, one after the other: what passes in strips are held to.

Mean and M2 in numpy; the trace by the compiled function of one frame, which is held to
numpy in its own tests.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from hotpixeld.compiled import function
from hotpixeld.detection import evidence
from hotpixeld.statistics import generation
from hotpixeld.statistics import trace as statistics_trace
from hotpixeld.statistics.generation import CELL, Counts
from hotpixeld.statistics.trace import PAD, SCRATCH_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hotpixeld.jpeg.decoder import Frame

_LEVELS, _FIXED, _FLOATS = (
    np.ctypeslib.ndpointer(dtype, flags="C_CONTIGUOUS")
    for dtype in (np.uint8, np.int16, np.float32)
)


class _Sum(ctypes.Structure):
    """`struct sum` of trace.c."""

    _fields_ = (
        ("total", ctypes.c_void_p),
        ("information", ctypes.c_void_p),
        ("decay", ctypes.c_float),
    )


_add_rows = function(
    "hotpixeld_trace_2",
    *(_LEVELS, *[ctypes.c_ssize_t] * 4, _FLOATS),
    *(ctypes.POINTER(_Sum), ctypes.c_void_p, _FIXED, _FLOATS),
)


@dataclass(slots=True, eq=False)
class Trace(statistics_trace.Trace):
    """A trace that whole frames are added to, in place."""

    @classmethod
    def empty(cls, height: int, width: int) -> Self:
        """Return the trace of no photos."""
        cells = -(-height // CELL), -(-width // CELL)
        return cls(0, np.zeros((height, width), np.int16), np.zeros(cells, np.float32))

    def add(self, frame: Frame) -> None:
        """Add a photo: its whole frame, or the band that is next."""
        height, width = self.total.shape
        first, last, decay = generation.band(self.photos, height)
        _add_rows(
            *(np.ascontiguousarray(frame), height, width, first, last),
            statistics_trace.telling_numbers(),
            _Sum(self.total.ctypes.data, self.information.ctypes.data, decay),
            None,
            np.zeros((SCRATCH_ROWS, width + 2 * PAD), np.int16),
            np.empty(width, np.float32),
        )
        self.photos += 1


@dataclass(slots=True, eq=False)
class State(generation.State):
    """A state that whole frames are folded into, in place."""

    @classmethod
    def empty(cls, height: int, width: int, *, traced: bool = False) -> Self:
        """Return the state of no photos, with an empty trace or none."""
        shape = (height, width, 3)
        trace = Trace.empty(height, width) if traced else None
        mean, m2 = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        return cls(0, 0.0, mean, m2, trace)

    def fold(self, frame: Frame, memory: int = 0) -> None:
        """Fold one photo, as West's recurrence has it."""
        if frame.shape != self.mean.shape:
            raise ValueError(f"frame is {frame.shape}, state is {self.mean.shape}")
        ((share, spread, decay),), after = generation.steps(
            Counts(self.photos, self.weight), 1, memory
        )
        delta = frame.astype(np.float32) - self.mean
        self.m2 *= np.float32(decay)
        self.m2 += delta * delta * np.float32(spread)
        self.mean += delta * np.float32(share)
        self.photos, self.weight = after.photos, after.weight
        if isinstance(self.trace, Trace):
            self.trace.add(frame)

    def fold_all(self, frames: Sequence[Frame], memory: int = 0) -> None:
        """Fold photos, one after the other."""
        for frame in frames:
            self.fold(frame, memory)


def sample(frame: NDArray[np.uint8], sites: NDArray[np.intp]) -> evidence.Samples:
    """Return what one photo shows at `sites`.

    Parameters
    ----------
    frame : (H, W, 3) uint8, 0-255
        At least 7x7.
    sites : (N, 2) intp
        Row, column, inside the frame.

    Returns
    -------
    (N,) of `SAMPLE`
    """
    samples: evidence.Samples = evidence.sample_rows(frame[None], 0, len(frame), sites)[
        0
    ]
    return samples
