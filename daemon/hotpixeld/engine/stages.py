"""Stages: photos decoded and looked at by workers, several at once, as memory allows.

Back-pressure is by bytes: a photo begins its next stage when what it needs there, which
its header tells, fits beside what is under way.  Those ahead of it end first.

Photos under way: what is known of each, and how workers get ahead in order.
"""

from __future__ import annotations

import collections
import datetime as dt
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hotpixeld.engine.memory import coefficient_bytes, frame_bytes, state_bytes
from hotpixeld.errors import UnreadablePhotoError
from hotpixeld.photo import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.detection.evidence import SampledPhoto, Suspects
    from hotpixeld.engine.copy_writer import Mended
    from hotpixeld.engine.memory import Memory
    from hotpixeld.engine.workers import Workers
    from hotpixeld.errors import PhotoError
    from hotpixeld.files import Signature
    from hotpixeld.messages import MessageId
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.repair.pixel_list import PixelList
    from hotpixeld.statistics.welford import Frame
    from hotpixeld.store.images import Image

    Work = Callable[["Job"], "Job"]
    UnderWay = deque[tuple["Job", Future["Job"]]]

Item = TypeVar("Item")
Result = TypeVar("Result")


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
    told: SampledPhoto | None = None
    pixels: PixelList | None = None
    known: tuple[tuple[int, int], ...] | None = None
    mended: Mended | None = None
    outcome: str = ""
    error: PhotoError | None = None
    seen: Signature | None = None  # the file, just before it was read
    patient: bool = True  # a photo that is cut short waits for its end
    room: int = 0  # bytes of memory that it was given
    version: str | None = None  # of the pixel list, where the photo is looked at again

    @property
    def log_level(self) -> int:
        """Return how loud to tell of it: looking again without a new copy is no news."""
        again = self.version is not None
        is_written = self.mended is not None and self.mended.repaired is not None
        return logging.DEBUG if again and not is_written else logging.INFO

    @property
    def signature(self) -> Signature | None:
        """Return what is kept of the file, so that it is not read again unchanged.

        None of a file that could not be read: it is asked for again.
        """
        if isinstance(self.error, UnreadablePhotoError):
            return None
        return self.photo.signature if self.photo else self.seen

    @property
    def must_decode(self) -> bool:
        """Tell whether the photo is looked at for detected pixels, but not decoded yet."""
        return self.frame is None and bool(self.pixels and self.pixels.detected)

    @property
    def identity(self) -> str:
        """Return the identity of the photo; empty before it was examined."""
        return self.photo.identity if self.photo else ""


def fields(job: Job, outcome: str, message_id: MessageId) -> dict[str, object]:
    """Return the journal's fields about a photo; see `systemd.FIELDS`."""
    pixels = job.mended.pixels if job.mended else ()
    return {
        "MESSAGE_ID": message_id,
        "PHOTO": job.path,
        "PHOTO_SHA256": job.photo.identity if job.photo else None,
        "CAMERA": job.camera.id if job.camera else None,
        "OUTCOME": outcome,
        "PIXELS": " ".join(f"{x},{y}" for x, y in pixels) or None,
    }


def ahead(
    workers: Workers,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    window: int,
) -> Iterator[Result]:
    """Yield ``work(item)`` in order, with at most `window` more of them under way."""
    under_way: collections.deque[Future[Result]] = collections.deque()
    for item in items:
        under_way.append(workers.submit(work, item))
        if len(under_way) > window:
            yield workers.result(under_way.popleft())
    while under_way:
        yield workers.result(under_way.popleft())


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Return the paths of a scan camera by camera, each by capture time, then name.

    Each camera has a sequence of its own, and the states of many may not be in memory
    together.  Photos without a camera, or without a time, come last.
    """

    def key(path: Path) -> tuple[bool, tuple[str, ...], bool, dt.datetime, str, str]:
        body, captured = metadata.origin(path)
        when, parent = captured or dt.datetime.max, str(path.parent)
        return not any(body), body, captured is None, when, path.name, parent

    return [path for _, path in sorted((key(path), path) for path in paths)]


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
