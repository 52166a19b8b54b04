"""Photos under way: what is known of each, and how many at once the memory limit allows.

Workers read, decode and repair several photos at once.  A photo begins its next stage when
the bytes that it needs there fit beside what is under way; those before it end first.
`limits: memory` bounds, in bytes,

    BASE + the states in memory (27 a pixel each) + what is under way + a map being made

where each photo under way takes 3 a pixel for its frame, its file, once more for its copy,
and with progressive coding 2 for each of its coefficients.  All that is
known from the header, before anything is decoded.  A map takes 8 a pixel, and a frame for
each worker; photos make room for it as they end.  One photo and the state of its camera
may always be worked on, so a limit that is too small for the camera at hand is exceeded
by that much and no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.errors import UnreadablePhotoError
from hotpixeld.statistics.welford import STATE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.detection.evidence import SampledPhoto, Suspects
    from hotpixeld.engine.copy_writer import RepairResult
    from hotpixeld.engine.workers import Workers
    from hotpixeld.errors import PhotoError
    from hotpixeld.files import Signature
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.messages import MessageId
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.repair.pixel_list import PixelList
    from hotpixeld.statistics.welford import Frame
    from hotpixeld.store.images import Image

    Work = Callable[["Job"], "Job"]
    UnderWay = deque[tuple["Job", Future["Job"]]]

BASE = 105_000_000
"""The interpreter with its libraries, what SQLite keeps, what lies free in the heap."""
FRAME_BYTES = 3
"""A pixel: three levels."""
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
    map_room : int
        Bytes that a map being made may take.
    frames : Frames
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.states = 0
        self.under_way = 0
        self.map_room = 0
        self.frames = Frames()

    def has_room(self, size: int, state: int = 0) -> bool:
        """Return whether `size` more bytes are within the limit; a first one always is.

        With room left for a state of so many bytes, where there is none yet.
        """
        more = size + max(state - self.states, 0)
        return not self.under_way or self._taken + more <= self.limit

    def is_within_limit(self) -> bool:
        """Return whether all that is taken is within the limit."""
        return self._taken <= self.limit

    def take(self, size: int) -> None:
        """Count `size` bytes more, or less, for photos under way."""
        self.under_way += size

    def keep_states(self, pixels: int) -> None:
        """Count states of so many pixels in all as those in memory."""
        self.states = STATE_BYTES * pixels

    def reserve_for_map(self, pixels: int, frames: int) -> None:
        """Keep room for a map of so many pixels and some `frames`; 0 gives it back."""
        self.map_room = (MAP_BYTES + frames * FRAME_BYTES) * pixels

    @property
    def _taken(self) -> int:
        return BASE + self.states + self.under_way + self.map_room

    def has_room_for_state(self, pixels: int) -> bool:
        """Return whether a state of so many pixels fits beside those in memory."""
        work = max(self.under_way, WORK_BYTES * pixels)
        wanted = self.states + STATE_BYTES * pixels + work
        return not self.states or BASE + wanted <= self.limit


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one photo.

    Attributes
    ----------
    path : Path
    outcome : str
        "folded" (in memory; pending until the checkpoint), "duplicate", "known" (here,
        before), "skipped", "failed", "waiting" or "gone".
    reason : str
        Why it was skipped, failed or waits, or why there is no copy; else empty.
    """

    path: Path
    outcome: str
    reason: str = ""


@dataclass(slots=True)
class Job:
    """One photo under way; the stages fill it in, one after the other."""

    path: Path
    photo: Photo | None = None
    camera: Camera | None = None
    image: Image | None = None
    frame: Frame | None = None
    suspects: Suspects | None = None
    samples: SampledPhoto | None = None
    pixels: PixelList | None = None
    known: tuple[tuple[int, int], ...] | None = None
    repaired: RepairResult | None = None
    outcome: str = ""
    error: PhotoError | None = None
    seen: Signature | None = None  # the file, just before it was read
    patient: bool = True  # a photo that is cut short waits for its end
    room: int = 0  # bytes of memory that it was given
    version: str | None = None  # of the pixel list, where the photo is looked at again

    @property
    def log_level(self) -> int:
        """Return the level to log at: DEBUG for a repeated look without a new copy."""
        again = self.version is not None
        is_written = self.repaired is not None and self.repaired.repaired is not None
        return logging.DEBUG if again and not is_written else logging.INFO

    @property
    def signature(self) -> Signature | None:
        """Return what is kept of the file, so that it is not read again unchanged.

        None of a file that could not be read: it is read again.
        """
        if isinstance(self.error, UnreadablePhotoError):
            return None
        return self.photo.signature if self.photo else self.seen

    @property
    def must_decode(self) -> bool:
        """Return whether the frame is needed to see which detected pixels show.

        A sequential photo that is not decoded yet is walked instead.
        """
        is_walked = self.photo is None or not self.photo.structure.progressive
        detected = self.pixels is not None and bool(self.pixels.detected)
        return detected and self.frame is None and not is_walked

    @property
    def identity(self) -> str:
        """Return the identity of the photo; empty before it was examined."""
        return self.photo.identity if self.photo else ""


def fields(job: Job, outcome: str, message_id: MessageId) -> dict[str, object]:
    """Return the journal's fields about a photo; see `logs.FIELDS`."""
    pixels = job.repaired.pixels if job.repaired else ()
    return {
        "MESSAGE_ID": message_id,
        "PHOTO": job.path,
        "PHOTO_SHA256": job.photo.identity if job.photo else None,
        "CAMERA": job.camera.id if job.camera else None,
        "OUTCOME": outcome,
        "PIXELS": " ".join(f"{x},{y}" for x, y in pixels) or None,
    }


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
    if not job.photo.structure.progressive:
        return len(job.photo.data)  # the copy
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
        return self._workers.ahead(work, jobs, self._window)

    def through(
        self, jobs: Iterable[Job], decode: Work, admit: Work, look: Work
    ) -> Generator[Job]:
        """Yield the jobs in order once all is done; each is released at the next.

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
                self._memory.take(-job.room)
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
        self._memory.take(size)
        if stage is self._decoding and job.photo and not (job.error or job.image):
            structure = job.photo.structure
            job.frame = self._memory.frames.take(structure.height, structure.width)
        stage.append((job, self._workers.submit(work, job)))

    def _advance(self, admit: Work, look: Work) -> Generator[Job]:
        """Move the oldest photo of a stage to the next one, or end it."""
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
        self._memory.take(-job.room)
        yield job
