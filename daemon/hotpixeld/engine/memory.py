"""Memory: what `limits: memory` leaves for work, and who has how much of it.

A learning pass, or a map that is made, has what is left beside the photos that may be under
way at the same time, from their reading to their copies.  A photo that needs more than that
ends the pass; it is made anew later.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BASE = 105_000_000
"""Bytes: the interpreter with its libraries, what SQLite keeps, what lies free."""
LEAST = 8_000_000
"""For work, whatever the limit."""
LEAST_BESIDE = 40_000_000
"""For a pass beside photos under way: 15 photos of 100 megapixels side by side."""
FILES, WORKING = 3, 4_000_000
"""A photo under way takes its file so often (read; kept or changed; a trailer moved), and
so many bytes for the blocks around its defects."""

# See mallopt(3): the most that is taken from the heap, what may lie free at its end, and
# how many heaps there are.
_ALLOCATOR = {-3: 8 << 20, -1: 32 << 20, -8: 1}


def share_one_heap() -> None:
    """Have all threads take their memory from one heap, which keeps some, where glibc is.

    Each would have its own, with holes that no other can use: 60 MB in all, measured.  And
    what is taken and freed for every photo would come anew from the kernel, filled with
    zeros: a third of a repair at 12 MP.  Blocks larger than that have pages of their own:
    photos of 24 MB left holes of 220 MB in the heap.
    """
    with contextlib.suppress(AttributeError, OSError):
        for option, value in _ALLOCATOR.items():
            ctypes.CDLL(None).mallopt(option, value)


def give_back() -> None:
    """Return the holes in the heap to the system, where glibc is; takes milliseconds."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _nothing() -> None:
    """Stand in for ending a pass where there is none."""


class Memory:
    """Who has how much; `upkeep` is set by the thread that has it, the rest by the owner.

    Parameters
    ----------
    limit : int
        Bytes, of the whole program.
    largest_file : int
        Bytes of the largest photo known.
    jobs : int
        Photos worked on at once.

    Attributes
    ----------
    work : int
        What there is for all work, in bytes.
    photos, upkeep : int
        What photos under way have; what a pass or a map has.
    make_room : callable
        Ends that pass or map.
    ahead : int
        What may be read ahead of the photos that are repaired, where it is more than one.
    """

    def __init__(self, limit: int, largest_file: int, jobs: int) -> None:
        self.work = max(limit - BASE, LEAST)
        self.photos = self.upkeep = 0
        self.make_room: Callable[[], None] = _nothing
        self.ahead = self.work // 8
        self._several = threading.Lock()
        self._jobs = jobs
        self._largest = self.of_file(largest_file)

    @staticmethod
    def of_file(size: int) -> int:
        """Return what a photo under way needs, by the bytes of its file."""
        return FILES * size + WORKING

    def note(self, size: int) -> None:
        """Note how large the file of a photo is."""
        self._largest = max(self._largest, self.of_file(size))

    @property
    def beside(self) -> int:
        """Return what is kept for photos while a pass runs: one, or some small ones."""
        some = min(2 * self._jobs * self._largest, self.work // 4)
        return max(min(max(self._largest, some), self.work - LEAST_BESIDE), 0)

    @property
    def at_once(self) -> int:
        """Return how many photos may be sampled again at once for a map."""
        fit = (self.work - self.beside) // self._largest
        return max(min(self._jobs, fit), 1)

    @property
    def of_map(self) -> int:
        """Return what a map needs while photos are sampled for it."""
        return self.at_once * self._largest

    @property
    def of_pass(self) -> int:
        """Return what a pass may take; 0 while photos under way have too much."""
        left = self.work - max(self.beside, self.photos)
        return left if self.photos <= self.beside or left >= LEAST_BESIDE else 0

    def has_room(self) -> bool:
        """Return whether there is room for all that is under way."""
        return self.photos + self.upkeep <= self.work

    @contextlib.contextmanager
    def holding(self, coefficients: int) -> Iterator[None]:
        """Hold coefficients while no other photo's are held, except those of a pass."""
        with self._several if coefficients else contextlib.nullcontext():
            yield
