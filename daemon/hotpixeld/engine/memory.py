"""The memory limit: what is kept of it, what frames under way take, what is left.

`limits: memory` bounds, in bytes,

    BASE + the states in memory (27 a pixel each) + what is under way + a map being made

where each photo under way takes 3 a pixel for its frame, its file, and for as long as its
coefficients are in memory (progressive coding, repair) 2 for each of them.  All that is
known from the header, before anything is decoded.  A map takes 8 a pixel, and a frame for
each worker; photos make room for it as they end.  One photo and the state of its camera
may always be worked on, so a limit that is too small for the camera at hand is exceeded
by that much and no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import weakref
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.statistics.welford import Frame

BASE = 105_000_000
"""The interpreter with its libraries, what SQLite keeps, what lies free in the heap."""
STATE_BYTES, FRAME_BYTES = 27, 3
"""A pixel: mean and M2 of three channels in float32, and the trace; three levels."""
MAP_BYTES = 8
"""A pixel: what the scan for suspects takes beside the state."""
WORK_BYTES = 12
"""A pixel, kept free of states: a frame, and the coefficients or a map's scratch."""


# See mallopt(3): the most that is taken from the heap, what may lie free at its end, and
# how many heaps there are.
_ALLOCATOR = {-3: 32 << 20, -1: 32 << 20, -8: 1}


def share_one_heap() -> None:
    """Have all threads take their memory from one heap, which keeps some, where glibc is.

    Each would have its own, with holes that no other can use: 60 MB in all, measured.  And
    what the decoder takes and frees for every photo would come anew from the kernel, filled
    with zeros: a third of a repair.
    """
    with contextlib.suppress(AttributeError, OSError):
        for option, value in _ALLOCATOR.items():
            ctypes.CDLL(None).mallopt(option, value)


def frame_bytes(structure: Structure) -> int:
    """Return what the frame of a photo takes."""
    return FRAME_BYTES * structure.width * structure.height


def state_bytes(structure: Structure) -> int:
    """Return what the state of a photo's camera takes."""
    return STATE_BYTES * structure.width * structure.height


def coefficient_bytes(structure: Structure) -> int:
    """Return what the DCT coefficients of a photo take: 64 a block, two bytes each."""
    sizes = (structure.blocks(component) for component in structure.components)
    return sum(128 * rows * columns for rows, columns in sizes)


class Frames:
    """Memory for frames, lent for as long as anything refers to it, then used again.

    New memory costs as much as a third of a photo's decoding: the kernel fills it with
    zeros, page by page.  Any thread may call what is here.
    """

    def __init__(self) -> None:
        self._spare: deque[np.ndarray] = deque()

    def take(self, height: int, width: int) -> Frame:
        """Return a frame to decode into: (height, width, 3) uint8, of any content."""
        size = height * width * 3
        try:
            memory = self._spare.pop()
            if memory.size != size:  # photos of one size mostly come together
                self.trim()
                memory = np.empty(size, np.uint8)
        except IndexError:
            memory = np.empty(size, np.uint8)
        # What is derived from this view keeps it alive, and not only the memory.
        view = np.frombuffer(memory.data, np.uint8)
        weakref.finalize(view, self._spare.append, memory).atexit = False
        return view.reshape(height, width, 3)

    def trim(self) -> None:
        """Give back to the system what is not lent."""
        self._spare.clear()


class Memory:
    """What of the limit is taken; one thread owns it.

    Attributes
    ----------
    limit : int
        Bytes.
    states : int
        Bytes of the states in memory.
    under_way : int
        Bytes that photos under way may take.
    making : int
        Bytes that a map being made may take.
    frames : Frames
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.states = 0
        self.under_way = 0
        self.making = 0
        self.frames = Frames()

    def has_room(self, size: int, state: int = 0) -> bool:
        """Tell whether `size` more bytes are within the limit; a first one always is.

        With room left for a state of so many bytes, where there is none yet.
        """
        more = size + max(state - self.states, 0)
        return not self.under_way or self._taken + more <= self.limit

    def is_within_limit(self) -> bool:
        """Tell whether all that is taken is within the limit."""
        return self._taken <= self.limit

    @property
    def _taken(self) -> int:
        return BASE + self.states + self.under_way + self.making

    def has_room_for_state(self, pixels: int) -> bool:
        """Tell whether a state of so many pixels fits beside those in memory."""
        work = max(self.under_way, WORK_BYTES * pixels)
        wanted = self.states + STATE_BYTES * pixels + work
        return not self.states or BASE + wanted <= self.limit
