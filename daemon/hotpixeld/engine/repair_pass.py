"""The repair pass: one photo from its settled path to its place in the ledger and its copy.

It never waits for learning: the photo is held against the pixel list of the day, and is
pending until a learning pass folds it.  Worker threads read and repair several photos at
once; one thread owns the ledger and takes the photos in their order, whatever order the
workers end in.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hotpixeld.camera import Camera
from hotpixeld.engine import copy_writer, decode_trial
from hotpixeld.engine.recognition import Recognition
from hotpixeld.errors import (
    KnownPhotoError,
    PhotoError,
    PhotoGoneError,
    SkippedPhotoError,
    TruncatedPhotoError,
    UnreadablePhotoError,
    why,
)
from hotpixeld.files import DISK_FAULTS, open_regular
from hotpixeld.messages import MessageId, counted
from hotpixeld.photo import edit_detection, fingerprint, photo_file
from hotpixeld.store import disk_room
from hotpixeld.store.images import Taken
from hotpixeld.store.paths import joined_version, split_version
from hotpixeld.watch import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future
    from pathlib import Path

    from hotpixeld.config.model import Config, Folder
    from hotpixeld.engine.copy_writer import RepairResult
    from hotpixeld.engine.maps import Maps
    from hotpixeld.engine.memory import Memory
    from hotpixeld.engine.workers import Workers
    from hotpixeld.files import Signature
    from hotpixeld.photo.fingerprint import Fingerprint
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.repair.pixel_list import PixelList
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.store.spool import Spool

    Pixels = tuple[tuple[int, int], ...]
    MakeCopy = Callable[[Photo, Folder, PixelList, Pixels | None], RepairResult]

log = logging.getLogger(__name__)

COPY_WORDS = {
    "written": "written",
    "rewritten": "rewritten: other pixels",
    "renewed": "rewritten: the same pixels anew",
    "found": "found as written",
}
"""What people are told of a copy that is there, for `Done.copy`."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one photo.

    Attributes
    ----------
    path : Path
    outcome : str
        "pending" (new, to be folded), "folded", "duplicate", "known" (here, before),
        "skipped", "left" (likewise, where a copy of ours was left), "failed", "waiting",
        "lost" or "gone".
    reason : str
        Why it was skipped, failed or waits; else empty.
    copy : str
        What was done to its copy: "written", "rewritten" (other pixels are repaired in
        it), "renewed" (the same ones in another way), "found" (where it is wanted now, as
        it would be written), "removed", "kept" as it was, or why it could not be:
        "foreign", "refused"; else empty.
    closed : walk.Closed or None
        The folder that its copy could not be written to.
    again : bool
        Whether it was folded before, and taken out since.
    unusable : bool
        Whether it failed, or was skipped for what it is itself.
    """

    path: Path
    outcome: str
    reason: str = ""
    copy: str = ""
    closed: walk.Closed | None = None
    again: bool = False
    unusable: bool = False


@dataclass(slots=True)
class Job:
    """One photo under way; the steps fill it in, one after the other."""

    path: Path
    photo: Photo | None = None
    camera: Camera | None = None
    image: Image | None = None
    pixels: PixelList | None = None
    known: tuple[tuple[int, int], ...] | None = None
    repaired: RepairResult | None = None
    outcome: str = ""
    error: PhotoError | None = None
    seen: Signature | None = None  # the file, just before it was read
    patient: bool = True  # a photo that is cut short waits for its end
    version: str | None = None  # of the pixel list, where the photo is looked at again
    repaired_with: str = ""  # that of the look before
    is_kept: bool = False  # its copy stays as it is, whatever is listed now
    bytes: int = 0  # of memory, from its reading to its end

    @property
    def log_level(self) -> int:
        """Return the level to log at: DEBUG for a repeated look without a new copy."""
        again = self.version is not None
        is_written = self.repaired is not None and self.repaired.repaired is not None
        return logging.DEBUG if again and not is_written else logging.INFO

    @property
    def is_renewed(self) -> bool:
        """Return whether its copy is made anew, although its pixels are the same."""
        _, fill = split_version(self.version or "")
        return fill != "" and not self.is_kept and self.repaired_with != self.version

    @property
    def checked_with(self) -> str:
        """Return the version that the photo is checked against now.

        Of a copy that is left as it is, with the fill that it has.
        """
        version = self.pixels.version if self.pixels else ""
        same = self.repaired is not None and self.repaired.pixels == self.known
        if same and not self.is_renewed:
            return joined_version(
                split_version(version)[0], split_version(self.repaired_with)[1]
            )
        return version

    @property
    def signature(self) -> Signature | None:
        """Return what is kept of the file, so that it is not read again unchanged.

        None of a file that could not be read: it is read again.
        """
        if isinstance(self.error, UnreadablePhotoError):
            return None
        return self.photo.signature if self.photo else self.seen

    @property
    def identity(self) -> str:
        """Return the identity of the photo; empty before it was examined."""
        return self.photo.identity if self.photo else ""

    def written(self, pixels: Pixels) -> str:
        """Return what it is, see `Done.copy`, that a copy with `pixels` was written."""
        if self.known is None or self.version is None:
            return "written"
        return "renewed" if self.known == pixels else "rewritten"

    def fields(self, outcome: str, message_id: MessageId) -> dict[str, object]:
        """Return the journal's fields about the photo; see `logs.FIELDS`."""
        pixels = self.repaired.pixels if self.repaired else ()
        return {
            "MESSAGE_ID": message_id,
            "PHOTO": self.path,
            "PHOTO_SHA256": self.identity or None,
            "CAMERA": self.camera.id if self.camera else None,
            "OUTCOME": outcome,
            "PIXELS": " ".join(f"{x},{y}" for x, y in pixels) or None,
        }


class _UnderWay:
    """The photos that are read, and those that are repaired, in their order."""

    def __init__(self, memory: Memory) -> None:
        self.read: deque[tuple[Job, Future[Job]]] = deque()
        self.repaired: deque[tuple[Job, Future[Job]]] = deque()
        self._memory = memory

    def has_room(self, job: Job) -> bool:
        """Return whether one more photo fits into memory."""
        ahead = sum(one.bytes for one, _ in self.read)
        held = ahead + sum(one.bytes for one, _ in self.repaired)
        self._memory.photos = held + job.bytes
        return self._memory.has_room()

    def give_up(self) -> None:
        """Leave for another time what was not begun; admitted photos are kept all the same."""
        for _, reading in self.read:
            reading.cancel()
        for job, _ in self.repaired:
            job.pixels = None
        self._memory.photos = 0

    def may_read(self, job: Job) -> bool:
        """Return whether one more photo may be read ahead: a few small ones, or one."""
        ahead = sum(one.bytes for one, _ in self.read)
        few = not self.read or ahead + job.bytes <= self._memory.ahead
        return few and self.has_room(job)


def camera_of(source: Photo, config: Config) -> Camera:
    """Return the camera that a photo shows that it is from, or that its folder says.

    Raises
    ------
    SkippedPhotoError
        Neither does.
    """
    about = source.metadata
    with contextlib.suppress(SkippedPhotoError):  # it is in no watched folder
        folder = config.folder_of(source.path)
        size = about.width, about.height
        shown = Camera(about.make, about.model, about.serial, *size)
        if (named := config.camera_of(folder, shown)) != shown:
            return named
    return photo_file.camera(source)


def camera_unless_edited(source: Photo, config: Config) -> Camera:
    """Return the camera that a photo shows that it is from, or that its folder says.

    Raises
    ------
    SkippedPhotoError
        There is none, the photo is edited, or its camera moved or blurred what its sensor
        saw: that whatever the configuration says of edited ones.
    PhotoError
        It is in no watched folder.
    """
    camera, reason = camera_of(source, config), None
    if effect := source.metadata.creative_filter:
        reason = f'a creative filter of the camera: "{effect}"'
    elif config.folder_of(source.path).edited == "skip":
        reason = edit_detection.why_edited(source.metadata)
    if reason:
        raise SkippedPhotoError(source.path, reason)
    return camera


def body(camera: Camera, config: Config, ledger: Ledger) -> Camera:
    """Return the camera that is meant: the one whose serial has appeared or changed."""
    if camera.serial in config.bodies:
        return camera
    named = any(one.serial for one in config.camera_entries(camera))
    return ledger.aliases.resolve(camera, may_appear=not named)


def _unless_lost(image: Image | None) -> Image | None:
    """Return an image, unless it is to be taken as if it were new."""
    return None if image is None or image.outcome == "lost" else image


class RepairPass:
    """Takes photos from their paths to their outcomes; owned by one thread.

    Parameters
    ----------
    workers : Workers
        Read and repair; as many photos are read, and repaired, beyond the oldest one.
    spool : Spool
        Keeps pending photos.
    wall : callable
        Seconds since the epoch.

    Attributes
    ----------
    make_copy : callable or None
        Has another process repair a photo and prepare its copy: called by the workers with
        the photo, its folder, its pixel list, and what its present copy has repaired.
    """

    make_copy: MakeCopy | None = None

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        maps: Maps,
        workers: Workers,
        spool: Spool,
        wall: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._maps = maps
        self._workers = workers
        self._spool = spool
        self._wall = wall
        self._closed: set[walk.Closed | None] = set()  # those that were logged
        self._memory = maps.earlier.memory
        self._recognition = Recognition(ledger, maps.earlier, workers.progress)
        self._copies = copy_writer.CopyWriter(
            ledger,
            config.limits.max_bytes,
            undo=config.copies.undo,
            tidy=config.copies.tidy,
        )

    def run(
        self, paths: Iterable[Path], *, with_copies: bool, patient: bool
    ) -> Generator[Done]:
        """Take new photos, in this order.

        Closing the iterator leaves what is under way for another time: nothing is lost.

        Parameters
        ----------
        with_copies : bool
            Write copies at once; else `repair` does it later.
        patient : bool
            A photo that is cut short waits for its end; else it has failed at once.
        """
        new = (Job(path, patient=patient) for path in paths)

        def admit(job: Job) -> None:
            self._attempt(self._admit, job)
            if with_copies:
                self._list_pixels(job)

        yield from self._through(new, admit)

    def repair(self, photos: Iterable[tuple[Path, str]]) -> Generator[Done]:
        """Check photos that are in the ledger against their camera's pixel list again.

        Parameters
        ----------
        photos : iterable of (Path, str)
            With the version of that list.
        """
        again = (Job(path, version=version) for path, version in photos)

        def recognise(job: Job) -> None:
            self._attempt(self._recognise, job)
            self._list_pixels(job)

        yield from self._through(again, recognise)

    def _through(
        self, jobs: Iterable[Job], admit: Callable[[Job], None]
    ) -> Generator[Done]:
        """Have workers read photos and make the bytes of copies; end all in their order.

        As many are under way as the memory allows, and some more than there are workers.
        """
        under_way, most = _UnderWay(self._memory), self._workers.count
        try:
            for job in jobs:
                with contextlib.suppress(
                    OSError
                ):  # whoever reads it says what is wrong
                    job.bytes = job.path.stat().st_size
                while under_way.read or under_way.repaired:
                    if len(under_way.read) <= most and under_way.may_read(job):
                        break
                    yield from self._forward(under_way, admit)
                future = self._workers.submit(self._attempt, self._examine, job)
                under_way.read.append((job, future))
            while under_way.read or under_way.repaired:
                yield from self._forward(under_way, admit)
        finally:
            under_way.give_up()

    def _forward(
        self, under_way: _UnderWay, admit: Callable[[Job], None]
    ) -> Generator[Done]:
        """Have the photo that was read first repaired, or end the one before it."""
        if under_way.read and len(under_way.repaired) <= self._workers.count:
            job, reading = under_way.read.popleft()
            self._workers.result(reading)
            self._refuse_hazard(job)
            admit(job)
            job.bytes = self._needed(job)
            while under_way.repaired and not under_way.has_room(job):
                yield self._next_end(under_way)
            if not under_way.has_room(job):
                self._memory.make_room()
            repairing = self._workers.submit(self._attempt, self._mend, job)
            under_way.repaired.append((job, repairing))
        else:
            yield self._next_end(under_way)

    def _next_end(self, under_way: _UnderWay) -> Done:
        """Wait for the photo that comes next, and end it."""
        job, repairing = under_way.repaired.popleft()
        self._workers.result(repairing)
        return self._end(job)

    def _needed(self, job: Job) -> int:
        """Return what a photo needs of the memory until its end."""
        if job.error or job.photo is None:
            return 0
        self._memory.note(len(job.photo.data))
        needed = self._memory.of_file(len(job.photo.data))
        return needed + (photo_file.coefficient_bytes(job.photo) if job.pixels else 0)

    def _refuse_hazard(self, job: Job) -> None:
        """Refuse a photo that an earlier process died of."""
        if job.photo is not None:
            trial = partial(decode_trial.reason, job.photo.data)
            if reason := self._ledger.hazards.reason(job.identity, trial):
                job.error = PhotoError(job.path, reason)

    def _attempt(self, step: Callable[[Job], None], job: Job) -> Job:
        """Take a step, unless a former one failed; mark a photo that is worked on."""
        try:
            if not job.error:
                with self._ledger.hazards.under_way(job.identity):
                    step(job)
        except PhotoError as error:
            job.error = error
        return job

    def _examine(self, job: Job) -> None:
        with contextlib.suppress(OSError):
            job.seen = walk.stat_photo(job.path)
        root = self._config.folder_of(job.path).path
        limits = self._config.limits
        job.photo = photo_file.examine(
            job.path, limits.max_bytes, limits.max_pixels, root
        )

    def _admit(self, job: Job) -> None:
        """Put the photo into the ledger: its image is new, or known."""
        photo = job.photo
        if photo is None:
            return
        image, places = self._ledger.images.find(photo.identity), self._copies.places
        if (copy := places.own(photo, image)) is not None:
            how = "plain" if copy.is_plain else "repaired"
            what = f"a {how} copy of {copy.source}, written by hotpixeld"
            raise KnownPhotoError(job.path, what)
        try:
            camera = camera_unless_edited(photo, self._config)
        except SkippedPhotoError:
            self._refuse_changed_copy(photo)
            raise
        job.camera = body(camera, self._config, self._ledger)
        job.image = _unless_lost(image)
        record = self._ledger.paths.find(job.path)
        is_there = record is not None and image is not None and record.image == image.id
        if image is not None and not is_there:
            places.follow_rename(photo, image, self._config)
            record = self._ledger.paths.find(job.path)
        if job.image is None:
            self._admit_new(job, photo, job.camera)
            return
        same = record and record.image == job.image.id and record.outcome == "image"
        with self._ledger.transaction():
            self._ledger.paths.record(
                job.path,
                "image" if same else "duplicate",
                image=job.image.id,
                signature=photo.signature,
            )
        job.outcome = "known" if same else "duplicate"

    def _refuse_changed_copy(
        self, photo: Photo, own: Fingerprint | None = None
    ) -> None:
        """Refuse what somebody made of one of our copies."""
        if copy := self._copies.places.changed(photo, self._config, own):
            what = f"a changed copy of {copy.source}, which hotpixeld wrote"
            raise KnownPhotoError(photo.path, what)

    def _admit_new(self, job: Job, photo: Photo, camera: Camera) -> None:
        """Give a new image its place, unless it was made of a known one, or that of it."""
        photo_file.check_decodable(photo, self._memory.work)
        ledger, own = self._ledger, fingerprint.of(photo)
        if ledger.images.find(photo.identity) is None:  # else it was lost, and is back
            self._refuse_changed_copy(photo, own)
        versions = self._config.folder_of(job.path).edited == "skip"
        kinship = self._recognition.kinship(photo, own, camera, versions=versions)
        if kinship is not None and not kinship.is_original:
            is_there = kinship.path != job.path
            original = kinship.path if is_there else "the photo that was here before"
            raise KnownPhotoError(job.path, kinship.reason(original))
        places = ledger.paths.of_image(kinship.image.id) if kinship else []
        # A photo in the spool is known after a power cut, too: its file may be gone then.
        with ledger.transaction(durable=job.patient):
            image = None
            if kinship is not None:
                image = self._recognition.give_way(kinship, photo, camera)
            if image is None:
                taken = Taken.of(photo.metadata)
                image = ledger.images.admit(photo.identity, camera, taken, self._wall())
                ledger.fingerprints.record(image.id, own)
            ledger.paths.record(
                job.path, "image", image=image.id, signature=photo.signature
            )
            for path in places:
                if (record := ledger.paths.find(path)) and record.outcome == "skipped":
                    folder = self._config.folder_of(job.path)
                    self._copies.places.give_way(path, job.path, folder)
        if kinship is not None:
            self._spool.drop([kinship.image.identity])
        job.image = image
        job.outcome = "pending" if image.outcome == "pending" else "known"

    def _recognise(self, job: Job) -> None:
        """Find the image of a photo that the ledger knows."""
        if job.photo is not None:
            job.image = _unless_lost(self._ledger.images.find(job.identity))
            job.outcome = "known"
            if job.image is None:
                raise PhotoGoneError(job.path, "replaced by another photo")
            if record := self._ledger.images.camera(job.image.camera):
                job.camera = record.camera

    def _list_pixels(self, job: Job) -> None:
        """Look up what may be repaired in this photo."""
        if not job.error and job.photo is not None and job.camera is not None:
            folder = self._config.folder_of(job.path)
            job.known = self._copies.places.known(job.photo, folder)
            kept = None
            if job.image is not None and self._maps.keeps(job.camera, job.image):
                kept = self._repaired_in_copy(job.photo, job.known)
            job.pixels = self._maps.listed_for(
                job.camera,
                job.photo.metadata,
                kept,
                suppressed=job.image is not None and job.image.is_suppressed,
            )
            if self.make_copy is not None:
                self._copies.clear(folder, folder.copy_path(job.path))
            record = self._ledger.paths.find(job.path)
            job.repaired_with = (record and record.repaired_with) or ""
            job.is_kept = kept is not None

    def _repaired_in_copy(self, photo: Photo, known: Pixels | None) -> Pixels:
        """Return what the copy of a photo has repaired, wherever it is now."""
        copy = self._ledger.copies.find(photo.path)
        is_there = copy is not None and copy.condition == "written"
        if known is None and copy and is_there and copy.is_of(photo.identity):
            return copy.pixels
        return known or ()

    def _mend(self, job: Job) -> None:
        """Make the bytes of the copy; keep a pending photo for its learning pass."""
        if job.outcome == "pending" and job.patient and job.camera is not None:
            self._keep(job, job.camera)
        photo, pixels = job.photo, job.pixels  # these go where all is given up
        if photo is None or pixels is None:
            return
        known = None if job.is_renewed else job.known
        if self.make_copy is not None:
            folder = self._config.folder_of(job.path)
            job.repaired = self.make_copy(photo, folder, pixels, known)
        else:
            with self._memory.holding(photo_file.coefficient_bytes(photo)):
                job.repaired = copy_writer.repair(
                    *(photo, None, pixels, known, self._config.repair),
                    memory=self._memory.work,
                )

    def _keep(self, job: Job, camera: Camera) -> None:
        """Copy a photo into the spool."""
        leave = disk_room.needed(camera.height, camera.width)
        self._spool.keep_if_it_can(job.identity, partial(open_regular, job.path), leave)

    def _end(self, job: Job) -> Done:
        """Write the copy, and say in one line what became of the photo."""
        if job.error is not None:
            return self._give_up(job, job.error)
        copied, words, closed = "", "", None
        try:
            copied, words = self._copy(job)
        except OSError as error:  # the photo stays due for repair
            if error.errno in DISK_FAULTS:
                raise
            target = self._config.folder_of(job.path).copy_path(job.path)
            closed = walk.Closed(str(target.parent), why(error))
            words = f", its copy waits: {closed.path}: {closed.reason}"
        except PhotoError as error:  # its folder is not watched any more
            return self._give_up(job, error)
        camera = job.camera.id if job.camera else "?"
        is_news = closed is not None and closed not in self._closed
        self._closed |= {closed} - {None}
        log.log(
            logging.WARNING if is_news else job.log_level,
            "%s %s: %s%s",
            job.outcome,
            job.path,
            camera,
            words,
            extra=job.fields(job.outcome, MessageId.PHOTO_DONE),
        )
        return Done(job.path, job.outcome, copy=copied, closed=closed)

    def _copy(self, job: Job) -> tuple[str, str]:
        """Bring the photo's copy up to date; return what was done, and the log's words."""
        if not (job.photo and job.repaired and job.pixels):
            return "", ""
        folder = self._config.folder_of(job.path)
        before = self._ledger.copies.find(job.path)
        try:
            copy, is_written = self._copies.update(job.photo, folder, job.repaired)
        finally:
            self._copies.drop(folder, folder.copy_path(job.path), job.repaired)
        # A hard link beside it changes the ctime of a photo: it need not be read again.
        now, seen = walk.stat_photo(job.path), self._ledger.paths.find(job.path)
        with self._ledger.transaction():
            # A copy that turned out to be gone has no fill that would be left as it is.
            is_there = copy is not None and copy.condition == "written"
            version = job.checked_with if is_there else job.pixels.version
            self._ledger.paths.set_repaired_with(job.path, version)
            if now and seen and seen.signature and now.is_still(seen.signature):
                self._ledger.paths.set_signature(job.path, now)
        if copy is None or copy.condition == "withdrawn":
            is_removed = copy is not None and job.known is not None
            return ("removed", "") if is_removed else ("", "")
        pixels = counted(len(copy.pixels), "pixel")
        if copy.condition != "written":
            told = copy.condition if copy.condition in {"foreign", "refused"} else ""
            return told, f", copy {copy.condition}, {pixels}"
        as_before = before and (before.condition, before.target, before.sha256)
        if as_before == ("written", copy.target, copy.sha256):
            return "kept", f", copy as it was, {pixels}"
        done = job.written(copy.pixels) if is_written else "found"
        return done, f", copy {COPY_WORDS[done]}, {pixels}"

    def _give_up(self, job: Job, error: PhotoError) -> Done:
        """Record why a photo is not folded, now or ever."""
        if job.version is not None and isinstance(error, UnreadablePhotoError):
            log.debug("stays due: %s: %s", job.path, error.reason)
            return Done(job.path, "waiting", error.reason)
        if job.version is not None or isinstance(error, PhotoGoneError):
            with self._ledger.transaction():
                self._ledger.paths.mark_unseen(job.path, job.version)
            if isinstance(error, PhotoGoneError):
                self._copies.places.leave_behind(job.path, self._config)
            log.debug("gone or replaced: %s: %s", job.path, error.reason)
            return Done(job.path, "gone", error.reason)
        outcome = "failed"
        if isinstance(error, TruncatedPhotoError) and job.patient:
            outcome = "waiting"
        elif isinstance(error, SkippedPhotoError):
            outcome = "skipped"
        with self._ledger.transaction():
            self._ledger.paths.record(
                job.path, outcome, reason=error.reason, signature=job.signature
            )
            if job.identity and outcome != "waiting":
                self._ledger.images.drop_lost(job.identity)
        failed = outcome == "failed"
        message_id = MessageId.PHOTO_FAILED if failed else MessageId.PHOTO_SKIPPED
        log.log(
            logging.WARNING if failed else logging.INFO,
            "%s %s: %s",
            outcome,
            job.path,
            error.reason,
            extra=job.fields(outcome, message_id),
        )
        is_known = isinstance(error, KnownPhotoError)
        unusable = outcome != "waiting" and not is_known
        if is_known and self._copies.places.is_left(job.path, job.identity):
            outcome = "left"
        return Done(job.path, outcome, error.reason, unusable=unusable)
