"""Photos under way: what is known of each, and how workers get ahead in order."""

from __future__ import annotations

import collections
import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hotpixeld import metadata
from hotpixeld.errors import UnreadablePhotoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.errors import PhotoError
    from hotpixeld.images import Image
    from hotpixeld.messages import MessageId
    from hotpixeld.photo import Photo
    from hotpixeld.repairs import Mended, PixelList
    from hotpixeld.samples import SampledPhoto, Suspects
    from hotpixeld.settle import Signature
    from hotpixeld.welford import Frame
    from hotpixeld.workers import Workers

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
