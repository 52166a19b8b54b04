"""The Welford state: count, mean and M2 of every subpixel of one camera.

References
----------
B. P. Welford, "Note on a method for calculating corrected sums of squares and
products", Technometrics 4 (1962) 419-420: the recurrence of `State.fold`.
T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance",
The American Statistician 37 (1983) 242-247: `State.merge`.
D. H. D. West, "Updating mean and variance estimates: an improved method", Communications
of the ACM 22 (1979) 532-535: weights, here the forgetting.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from hotpixeld.compiled import library
from hotpixeld.statistics.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Frame = NDArray[np.uint8]
"""A decoded photo: (H, W, 3) uint8, red, green, blue, 0-255."""
Plane = NDArray[np.float32]

# Subpixels per block of the fold: the scratch of one block stays in a core's cache, the
# calls cost little (64 Ki was the fastest of 8 Ki to 256 Ki).
BLOCK = 1 << 16


def _decay(weight: float, memory: float) -> float:
    """Return the factor on a weight that leaves it at most `memory`."""
    return memory / weight if weight > memory else 1.0


class Step(NamedTuple):
    """The numbers of one fold.

    West's recurrence, with d = x - mean: mean + d share, and M2 decay + d^2 spread.
    """

    share: float
    spread: float
    decay: float


class _Step(ctypes.Structure):
    """`Step`, as the compiled fold takes it."""

    _fields_ = (
        ("share", ctypes.c_float),
        ("spread", ctypes.c_float),
        ("decay", ctypes.c_float),
    )


@functools.cache
def compiled() -> Callable[..., None] | None:
    """Return the compiled fold, None where there is none.

    It takes the addresses of the frames and their steps, the number of both, mean and M2
    (float32, edited in place) and their size; the GIL is released meanwhile.
    """
    try:
        function = library().hotpixeld_fold_2  # type: ignore[union-attr]
    except AttributeError:
        return None
    plane = np.ctypeslib.ndpointer(
        np.float32, ndim=1, flags=("C_CONTIGUOUS", "WRITEABLE")
    )
    frames, steps = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(_Step)
    size = ctypes.c_size_t
    function.argtypes = [frames, steps, size, plane, plane, size]
    function.restype = None
    return cast("Callable[..., None]", function)


def _fold_compiled(
    function: Callable[..., None],
    frames: Sequence[Frame],
    mean: Plane,
    m2: Plane,
    steps: Sequence[Step],
) -> None:
    """Edit `mean` and `m2`, (N,) float32, in place, by the compiled `function`."""
    count = len(frames)
    places = (ctypes.c_void_p * count)(*(frame.ctypes.data for frame in frames))
    numbers = (_Step * count)(*(_Step(*step) for step in steps))
    function(places, numbers, count, mean, m2, mean.size)


def fold_in_blocks(levels: Frame, mean: Plane, m2: Plane, step: Step) -> None:
    """Edit `mean` and `m2`, (N,) float32, in place: what `compiled` does, in numpy."""
    scratch = np.empty((2, BLOCK), np.float32)
    share, spread, decay = (np.float32(number) for number in step)
    for start in range(0, levels.size, BLOCK):
        part = slice(start, start + BLOCK)
        x, block_mean, block_m2 = levels[part], mean[part], m2[part]
        delta, squared = scratch[0, : x.size], scratch[1, : x.size]
        np.subtract(x, block_mean, out=delta, dtype=np.float32)
        np.multiply(delta, delta, out=squared)
        np.multiply(squared, spread, out=squared)
        if decay != 1.0:
            np.multiply(block_m2, decay, out=block_m2)
        np.add(block_m2, squared, out=block_m2)
        np.multiply(delta, share, out=delta)
        np.add(block_mean, delta, out=block_mean)


@dataclass(slots=True, eq=False)
class State:
    """Running statistics of every subpixel; the one mutable object of the core.

    Attributes
    ----------
    photos : int
        Photos folded, ever.
    weight : float
        Photos that still count: `photos` until the memory is full, then the memory.
    mean, m2 : (H, W, 3) float32
        Mean level, and sum of squared differences from it (levels squared).
    trace : Trace or None
        What finds suspects, told of each photo as it is folded, where one is kept.

    Notes
    -----
    float32 bears it: see "Measured" in the README.
    """

    photos: int
    weight: float
    mean: Plane
    m2: Plane
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
        >>> float(state.mean[0, 0, 0]), float(state.variance()[0, 0, 0])
        (30.0, 700.0)
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
        steps = [self._count_one(memory) for _ in frames]
        function = compiled()
        if function is not None:
            _fold_compiled(function, levels, mean, m2, steps)
        else:
            for one, step in zip(levels, steps, strict=True):
                fold_in_blocks(one, mean, m2, step)
        if self.trace is not None:
            for frame in frames:
                self.trace.tell(frame)

    def _count_one(self, memory: int) -> Step:
        """Count one more photo, and return how it is to be folded."""
        decay = _decay(self.weight, memory - 1) if memory else 1.0
        before = self.weight * decay
        self.photos += 1
        self.weight = before + 1.0
        return Step(1.0 / self.weight, before / self.weight, decay)

    @classmethod
    def merge(cls, older: State, newer: State, memory: int = 0) -> State:
        """Return the state of both sets of photos; the operands stay as they are.

        It has no trace: that of a sequence cannot be had from its parts.  With a `memory` the older operand is forgotten first, as if the newer photos had
        been folded after it, so the order of the operands matters then.

        Raises
        ------
        ValueError
            The states are of different shapes.
        """
        if older.mean.shape != newer.mean.shape:
            raise ValueError(f"states are {older.mean.shape} and {newer.mean.shape}")
        decay = _decay(older.weight, max(memory - newer.weight, 0)) if memory else 1.0
        kept = older.weight * decay
        weight = kept + newer.weight
        share = newer.weight / weight if weight else 0.0
        delta = newer.mean - older.mean
        mean = older.mean + delta * np.float32(share)
        m2 = older.m2 * np.float32(decay) + newer.m2
        m2 += delta * delta * np.float32(kept * share)
        return cls(older.photos + newer.photos, weight, mean, m2)

    def variance(self, ddof: int = 1) -> Plane:
        """Return the variance of every subpixel, (H, W, 3) float32, levels squared.

        NaN where there are not more photos than `ddof`.
        """
        if self.weight <= ddof:
            return np.full_like(self.m2, np.nan)
        return self.m2 / np.float32(self.weight - ddof)
