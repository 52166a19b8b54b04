"""Making maps while photos go on: a step at a time, one map at a time.

What a map reads of the state is read by the upkeep thread; the camera's frames wait to be
folded meanwhile, within the memory limit.  Earlier photos are looked at again between new
ones.  All that the ledger keeps is written by its own thread.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from hotpixeld.memory import FRAME_BYTES, MAP_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Future

    from hotpixeld.memory import Memory
    from hotpixeld.workers import Workers

    Steps = Generator[Future[Any] | None, Any, None]
    """Yields what it waits for and is sent the result, or None after a step of its own."""


STEPS = 3
"""Taken for every photo meanwhile: a map begun after 20 photos is made within 40."""


class Making:
    """The map that is being made, and those that are to be; used by one thread.

    Parameters
    ----------
    memory : Memory
        Gives room for one map at a time; without it, none is begun.
    upkeep : Workers
        The thread that does what `Steps` wait for.
    jobs : int
        Earlier photos that are decoded at once.
    """

    def __init__(self, memory: Memory, upkeep: Workers, jobs: int) -> None:
        self._memory = memory
        self._upkeep = upkeep
        self._jobs = jobs
        self._queue: dict[str, tuple[Callable[[], Steps], int]] = {}
        self._steps: Steps | None = None
        self._future: Future[Any] | None = None
        self._name = ""

    @property
    def is_busy(self) -> bool:
        """Tell whether there is a map to be made, or to be made on."""
        return bool(self._queue) or self._steps is not None

    def add(self, camera_id: str, pixels: int, begin: Callable[[], Steps]) -> None:
        """Make a map of a camera with so many pixels, unless that is under way."""
        if camera_id != self._name:
            self._queue.setdefault(camera_id, (begin, pixels))

    def step(self) -> None:
        """Take a few steps, if nothing has to be waited for.

        Raises
        ------
        OSError, HotpixeldError
            Of the map; it is dropped.
        """
        if self._steps is None and self._queue:
            self._begin()
        if self._steps is None or not self._has_room():
            return
        if inspect.getgeneratorstate(self._steps) == inspect.GEN_CREATED:
            self._memory.frames.trim()  # what photos gave back is the map's now
        steps = self._steps
        for _ in range(STEPS):
            waits = self._future is not None and not self._future.done()
            if waits or self._steps is not steps:
                break
            self._go_on(steps)

    def finish(self) -> None:
        """Make all maps that are to be made, waiting for what they wait for."""
        while self.is_busy:
            if self._future is not None:
                self._upkeep.wait(self._future)
            self.step()

    def _begin(self) -> None:
        self._name, (begin, pixels) = next(iter(self._queue.items()))
        del self._queue[self._name]
        # Room is taken first: photos that end give it back, no others begin in it.
        self._memory.making = (MAP_BYTES + self._jobs * FRAME_BYTES) * pixels
        self._steps = begin()

    def _has_room(self) -> bool:
        """Tell whether what photos under way take leaves room by now."""
        return self._memory.is_within_limit() or not self._memory.under_way

    def _go_on(self, steps: Steps) -> None:
        """Go on to where the map waits next, or to its end."""
        future, self._future = self._future, None
        try:
            result = None if future is None else future.result()
            self._future = steps.send(result)
        except StopIteration:
            self._end()
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._steps, self._name, self._memory.making = None, "", 0
        self._memory.frames.trim()
