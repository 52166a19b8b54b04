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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""A decoded photo: (H, W, 3) uint8, red, green, blue, 0-255."""
Plane = NDArray[np.float32]

# Subpixels per block of the fold: the scratch of one block stays in a core's cache, the
# calls cost little (64 Ki was the fastest of 8 Ki to 256 Ki).
BLOCK = 1 << 16


def _decay(weight: float, memory: float) -> float:
    """Return the factor on a weight that leaves it at most `memory`."""
    return memory / weight if weight > memory else 1.0


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

    Notes
    -----
    float32 bears it: see "Measured" in the README.
    """

    photos: int
    weight: float
    mean: Plane
    m2: Plane

    @classmethod
    def empty(cls, height: int, width: int) -> State:
        """Return the state of no photos at all."""
        shape = (height, width, 3)
        return cls(0, 0.0, np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def fold(self, frame: Frame, memory: int = 0) -> None:
        """Fold one photo into this state, in place.

        Parameters
        ----------
        frame : (H, W, 3) uint8, 0-255
            Left as it is.
        memory : int
            Photos to remember; 0 never forgets.

        Raises
        ------
        ValueError
            The frame is of another shape.

        >>> state = State.empty(1, 1)
        >>> for level in (10, 20, 60):
        ...     state.fold(np.full((1, 1, 3), level, np.uint8))
        >>> float(state.mean[0, 0, 0]), float(state.variance()[0, 0, 0])
        (30.0, 700.0)
        """
        if frame.shape != self.mean.shape:
            raise ValueError(f"frame is {frame.shape}, state is {self.mean.shape}")
        decay = _decay(self.weight, memory - 1) if memory else 1.0
        before = self.weight * decay
        levels = np.ascontiguousarray(frame).reshape(-1)
        mean, m2 = self.mean.reshape(-1), self.m2.reshape(-1)
        scratch = np.empty((2, BLOCK), np.float32)
        for start in range(0, levels.size, BLOCK):
            part = slice(start, start + BLOCK)
            _fold_block(levels[part], mean[part], m2[part], scratch, before, decay)
        self.photos += 1
        self.weight = before + 1.0

    @classmethod
    def merge(cls, older: State, newer: State, memory: int = 0) -> State:
        """Return the state of both sets of photos; the operands stay as they are.

        With a `memory` the older operand is forgotten first, as if the newer photos had
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


def _fold_block(
    levels: Frame,
    mean: Plane,
    m2: Plane,
    scratch: Plane,
    before: float,
    decay: float,
) -> None:
    """Edit `mean` and `m2` of one block in place: West's recurrence.

    d = x - mean;  mean += d / (before + 1);  M2 = decay M2 + d^2 before / (before + 1)
    """
    delta, squared = scratch[0, : levels.size], scratch[1, : levels.size]
    np.subtract(levels, mean, out=delta, dtype=np.float32)
    np.multiply(delta, delta, out=squared)
    np.multiply(squared, np.float32(before / (before + 1.0)), out=squared)
    if decay != 1.0:
        np.multiply(m2, np.float32(decay), out=m2)
    np.add(m2, squared, out=m2)
    np.multiply(delta, np.float32(1.0 / (before + 1.0)), out=delta)
    np.add(mean, delta, out=mean)
