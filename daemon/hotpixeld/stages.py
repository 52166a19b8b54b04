"""Stages: photos decoded and looked at by workers, several at once, as memory allows.

Back-pressure is by bytes: a photo begins its next stage when what it needs there, which
its header tells, fits beside what is under way.  Those ahead of it end first.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hotpixeld.jobs import ahead
from hotpixeld.memory import coefficient_bytes, frame_bytes, state_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

    from hotpixeld.jobs import Job
    from hotpixeld.memory import Memory
    from hotpixeld.workers import Workers

    Work = Callable[[Job], Job]
    UnderWay = deque[tuple[Job, Future[Job]]]


def _to_decode(job: Job) -> int:
    """Return the bytes that decoding a photo takes, its file included."""
    if job.photo is None or job.error:
        return 0
    size = len(job.photo.data)
    if job.image is None:
        size += frame_bytes(job.photo.structure)
        if job.photo.structure.progressive:
            size += coefficient_bytes(job.photo.structure)
    return size


def _to_look(job: Job) -> int:
    """Return the further bytes that repairing a photo takes, if it may need any."""
    listed = job.pixels and (job.pixels.configured or job.pixels.detected)
    if job.photo is None or job.error or not listed:
        return 0
    frame = frame_bytes(job.photo.structure) if job.must_decode else 0
    return frame + coefficient_bytes(job.photo.structure)


class Stages:
    """Takes photos through decoding, admission and the look at them, in order.

    Parameters
    ----------
    workers : Workers
        Whose threads decode and look.
    memory : Memory
        Bounds how many are under way.
    window : int
        Photos at each of these stages, beyond the oldest one.

    Attributes
    ----------
    frames : Frames
        To decode into.
    """

    def __init__(self, workers: Workers, memory: Memory, window: int) -> None:
        self._workers = workers
        self._memory = memory
        self.frames = memory.frames
        self._window = window
        self._decoding: UnderWay = deque()
        self._looking: UnderWay = deque()

    def ahead(self, work: Work, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield ``work(job)`` in order; workers do it some photos ahead."""
        return ahead(self._workers, work, jobs, self._window)

    def through(
        self, jobs: Iterable[Job], decode: Work, admit: Work, look: Work
    ) -> Generator[Job]:
        """Yield the jobs in order once all is done; each is let go of at the next.

        Parameters
        ----------
        decode, look : callable
            Called by workers.
        admit : callable
            Called by the owner, in the order of the jobs, between the two.
        """
        try:
            for job in jobs:
                size = _to_decode(job)
                while self._is_full(size, job):
                    yield from self._advance(admit, look)
                self._begin(self._decoding, decode, job, size)
            while self._decoding or self._looking:
                yield from self._advance(admit, look)
        finally:
            for job, future in (*self._decoding, *self._looking):
                future.cancel()
                self._memory.under_way -= job.room
            self._decoding.clear()
            self._looking.clear()

    def _is_full(self, size: int, job: Job) -> bool:
        if len(self._decoding) > self._window:
            return True
        state = state_bytes(job.photo.structure) if job.photo else 0
        is_idle = not (self._decoding or self._looking)
        return not is_idle and not self._memory.has_room(size, state)

    def _begin(self, stage: UnderWay, work: Work, job: Job, size: int) -> None:
        job.room += size
        self._memory.under_way += size
        if stage is self._decoding and job.photo and not (job.error or job.image):
            structure = job.photo.structure
            job.frame = self._memory.frames.take(structure.height, structure.width)
        stage.append((job, self._workers.submit(work, job)))

    def _advance(self, admit: Work, look: Work) -> Generator[Job]:
        """Take the oldest photo of a stage on to the next, or to its end."""
        if len(self._looking) > self._window or not self._decoding:
            yield from self._end()
            return
        job = admit(self._workers.result(self._decoding[0][1]))
        self._decoding.popleft()
        size = _to_look(job)
        while self._looking and not self._memory.has_room(size):
            yield from self._end()
        self._begin(self._looking, look, job, size)

    def _end(self) -> Generator[Job]:
        job = self._workers.result(self._looking[0][1])
        self._looking.popleft()
        self._memory.under_way -= job.room
        yield job
