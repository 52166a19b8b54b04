"""The Welford state: count, mean and M2 of every subpixel of one camera.

M2 is the sum of squared differences from the mean; M2 / (weight - 1) is the variance.

References
----------
B. P. Welford, "Note on a method for calculating corrected sums of squares and
products", Technometrics 4 (1962) 419-420: the recurrence of `State.fold_all`.
D. H. D. West, "Updating mean and variance estimates: an improved method", Communications
of the ACM 22 (1979) 532-535: weights, here the forgetting.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hotpixeld.compiled import function
from hotpixeld.statistics.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hotpixeld.statistics.contrast import FloatArray

Frame = NDArray[np.uint8]
"""A decoded photo: (H, W, 3) uint8, red, green, blue, 0-255."""


class _Recurrence(ctypes.Structure):
    """The numbers of one fold, as fold.c takes them.

    West's recurrence, with d = x - mean: mean + d share, and M2 decay + d^2 spread.
    """

    _fields_ = (
        ("share", ctypes.c_float),
        ("spread", ctypes.c_float),
        ("decay", ctypes.c_float),
    )


def _compiled() -> Callable[..., None]:
    """Return the compiled fold.

    It takes the addresses of the frames and their recurrences, the number of both, mean
    and M2 (float32, edited in place) and their size.
    """
    array = np.ctypeslib.ndpointer(
        np.float32, ndim=1, flags=("C_CONTIGUOUS", "WRITEABLE")
    )
    frames, steps = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(_Recurrence)
    size = ctypes.c_size_t
    return function("hotpixeld_fold_2", frames, steps, size, array, array, size)


_fold = _compiled()


STATE_BYTES = 27
"""A pixel: mean and M2 of three channels in float32, and the trace's three bytes."""


@dataclass(slots=True, eq=False)
class State:
    """Running statistics of every subpixel; edited in place.

    Attributes
    ----------
    photos : int
        Photos folded, ever.
    weight : float
        Photos that still count: `photos` until the memory is full, then the memory.
    mean, m2 : (H, W, 3) float32
        Mean level, and sum of squared differences from it (levels squared).
    trace : Trace or None
        What finds suspects: each photo is added as it is folded, where one is kept.

    Notes
    -----
    float32 bears it: see "Measured" in the README.
    """

    photos: int
    weight: float
    mean: FloatArray
    m2: FloatArray
    trace: Trace | None = None

    @classmethod
    def empty(cls, height: int, width: int, *, traced: bool = False) -> State:
        """Return the state of no photos at all, with an empty trace or none."""
        shape = (height, width, 3)
        trace = Trace.empty(height, width) if traced else None
        return cls(
            0, 0.0, np.zeros(shape, np.float32), np.zeros(shape, np.float32), trace
        )

    def fold(self, frame: Frame, memory: int = 0) -> None:
        """Fold one photo into this state, in place; see `fold_all`.

        >>> state = State.empty(1, 1)
        >>> for level in (10, 20, 60):
        ...     state.fold(np.full((1, 1, 3), level, np.uint8))
        >>> float(state.mean[0, 0, 0]), float(state.m2[0, 0, 0])
        (30.0, 1400.0)
        """
        self.fold_all([frame], memory)

    def fold_all(self, frames: Sequence[Frame], memory: int = 0) -> None:
        """Fold photos into this state, in place, to the same bits as one by one.

        Parameters
        ----------
        frames : sequence of (H, W, 3) uint8, 0-255
            Left as they are.
        memory : int
            Photos to remember; 0 never forgets.

        Raises
        ------
        ValueError
            A frame is of another shape; none was folded.
        """
        for frame in frames:
            if frame.shape != self.mean.shape:
                raise ValueError(f"frame is {frame.shape}, state is {self.mean.shape}")
        levels = [np.ascontiguousarray(frame, np.uint8).reshape(-1) for frame in frames]
        mean, m2 = self.mean.reshape(-1), self.m2.reshape(-1)
        count = len(frames)
        steps = (_Recurrence * count)(*(self._count_one(memory) for _ in frames))
        addresses = (ctypes.c_void_p * count)(*(frame.ctypes.data for frame in levels))
        _fold(addresses, steps, count, mean, m2, mean.size)
        if self.trace is not None:
            for frame in frames:
                self.trace.add(frame)

    def _count_one(self, memory: int) -> _Recurrence:
        """Count one more photo, and return how it is to be folded."""
        is_full = memory and self.weight > memory - 1
        decay = (memory - 1) / self.weight if is_full else 1.0
        before = self.weight * decay
        self.photos += 1
        self.weight = before + 1.0
        return _Recurrence(1.0 / self.weight, before / self.weight, decay)
