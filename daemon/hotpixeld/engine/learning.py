"""Learning: the passes and maps that are due, one at a time, and what is committed of them.

One thread at a time does the long work, a pass over one camera's pending photos or one
camera's map, and knows no ledger; what it returns is committed here, by the thread that
owns the ledger.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.detection import evidence
from hotpixeld.engine.learning_pass import (
    Folder,
    Means,
    Passed,
    PassStoppedError,
    Pending,
    Task,
    learn,
)
from hotpixeld.engine.maps import LOOK_BACK, MadeMap, make
from hotpixeld.engine.memory import give_back
from hotpixeld.engine.repair_pass import Done
from hotpixeld.engine.sampling import JUDGED, sampled, with_controls
from hotpixeld.engine.schedule import FEWEST, Schedule
from hotpixeld.errors import (
    CheckpointError,
    LedgerError,
    PhotoError,
    PhotoGoneError,
    UnreadablePhotoError,
)
from hotpixeld.files import NotAFileError, Signature, open_regular
from hotpixeld.jpeg.decoder import Size
from hotpixeld.messages import EventKind, MessageId, counted
from hotpixeld.statistics.generation import MOST_BINS
from hotpixeld.store import disk_room, generation_files, state_folder
from hotpixeld.store.events import NAMED

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from hotpixeld.camera import Bin, Camera
    from hotpixeld.config.model import Config
    from hotpixeld.detection.evidence import Suspects
    from hotpixeld.engine.maps import Maps
    from hotpixeld.engine.sampling import EarlierPhotos
    from hotpixeld.engine.workers import Workers
    from hotpixeld.store.images import CameraRecord, Image
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.store.spool import Spool

log = logging.getLogger(__name__)

MOST_IN_A_PASS = 128
"""A run that is done once ends a pass, and makes a map, after each such number of photos. A
map looks back on as many samples, so every photo is sampled for one of them."""
YIELD_SECONDS = 0.25
"""How long a pass rests at a strip's border while photos are repaired."""


def next_place(photos: int) -> int:
    """Return after how many photos a run that is done once ends its next pass.

    >>> [next_place(photos) for photos in (0, 127, 128, 200)]
    [128, 128, 256, 256]
    """
    return (photos // MOST_IN_A_PASS + 1) * MOST_IN_A_PASS


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where a pending photo is."""

    spool: Spool
    image: Image
    files: Sequence[tuple[Path, Signature | None]]
    earlier: EarlierPhotos

    @property
    def path(self) -> Path:
        """Return its first place, for messages."""
        return self.files[0][0] if self.files else Path(self.image.identity[:16])

    def open(self) -> int:
        """Return a descriptor of a file that holds the image; see `Pending`."""
        with contextlib.suppress(OSError):
            return self.spool.open(self.image.identity)
        return self._open_original()

    def open_again(self) -> int:
        """Return that of a photo itself, before its copy that could not be read."""
        with contextlib.suppress(PhotoError):
            return self._open_original()
        return self.open()

    def _open_original(self) -> int:
        for path, seen in self.files:
            try:
                descriptor = open_regular(path)
            except (OSError, NotAFileError):
                continue
            found = Signature.of(os.fstat(descriptor))
            if seen is not None and found.is_still(seen):
                return descriptor
            for photo in self.earlier.examined(self.image, [path]):
                if photo.signature.is_still(found):
                    return descriptor
            os.close(descriptor)
        raise PhotoGoneError(self.path, "gone, or replaced by another photo")


@dataclass(frozen=True, slots=True)
class _Work:
    """What the thread is at: a pass, with what its commit needs, or a map."""

    record: CameraRecord
    future: Future[Passed] | Future[MadeMap]
    images: Mapping[int, Image] = field(default_factory=dict)
    refused: Mapping[int, PhotoError] = field(default_factory=dict)
    suspects: Suspects | None = None
    left: int = 0  # pending photos that the pass was too small for


class Learning:
    """The learning of all cameras; used by one thread.

    Parameters
    ----------
    upkeep : Workers
        The thread that does the work.
    spool : Spool
        Keeps pending photos.
    wall : callable
        Seconds since the epoch.

    Attributes
    ----------
    schedule : Schedule
        Says when.
    commits : int
        Generations that were named, or dropped, so far.
    waits : bool
        Whether a pass is due that waits for photos to stop coming.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        maps: Maps,
        upkeep: Workers,
        spool: Spool,
        wall: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._config = config
        self.schedule = Schedule(
            ledger.images, spool, config.detection.min_photos, wall
        )
        self._maps = maps
        self._earlier = maps.earlier
        self._memory = maps.earlier.memory
        self._memory.make_room = self._make_room
        self._upkeep = upkeep
        self._spool = spool
        self._wall = wall
        self.commits = 0
        self.waits = False
        self._work: _Work | None = None
        # Generations that seemed damaged and were not, when they were read again.
        self._doubted: set[tuple[str, int]] = set()
        self._stop = np.zeros(1, np.uint32)
        self._free = threading.Event()
        self._free.set()

    def _hold(self, count: int) -> None:
        """Note how many bytes the work takes; in its thread, too."""
        self._memory.upkeep = count

    def _folder(self, camera_id: str) -> Path:
        return state_folder.camera_folder(self._ledger.folder, camera_id)

    def _at_border(self) -> None:
        """Let repairs go first for a while; end the work where that is asked for."""
        self._upkeep.renew()
        self._free.wait(YIELD_SECONDS)
        if self._stop[0]:
            raise PassStoppedError("asked to stop")

    @property
    def is_busy(self) -> bool:
        """Return whether a pass or a map is being made."""
        return self._work is not None

    def yield_to_repairs(self, *, now: bool) -> None:
        """Have passes rest at borders, or go on."""
        (self._free.clear if now else self._free.set)()

    # The daemon's way: what is due, one at a time, beside the photos.

    def keep_up(self, *, coming: bool = False) -> None:
        """Commit what is done, and begin what is due.

        Parameters
        ----------
        coming : bool
            More photos are to be expected soon: a pass that is due may wait for them.

        Raises
        ------
        OSError, LedgerError
            The disk is full or faulty; nothing is left of the work.
        CheckpointError
            The generation is missing or damaged, and so is the one before.
        """
        if self._work is not None and not self._work.future.done():
            return
        self._commit()
        self.waits = False
        if not self._memory.of_pass:
            return
        cameras = list(self._ledger.images.cameras())
        mappable = (one for one in cameras if self.schedule.may_map(one))
        stale = next((one for one in mappable if self._maps.is_stale(one)), None)
        if stale is not None:
            self._begin_map(stale, LOOK_BACK)
            return
        due = [one for one in cameras if self.schedule.is_due(one)]
        now = (one for one in due if not (coming and self.schedule.may_wait(one)))
        if (record := next(now, None)) is not None:
            self._begin_pass(record, MOST_IN_A_PASS)
        elif due:
            self.waits = True
        else:
            self._drop_unused()

    # The way of a run that is done once: all that is there, camera by camera.

    def all_at_once(self, *, with_maps: bool = True) -> Iterator[Done]:
        """Fold all that is pending and make all maps; yield what became of photos.

        Without maps nothing is sampled either: what is learned is a part, to be joined.
        """
        for record in list(self._ledger.images.cameras()):
            yield from self._all_of(record.camera.id, with_maps=with_maps)
            for image in self._ledger.images.pending(record.camera.id):
                self._keep(image, record.camera)
        self._drop_unused()

    def keep_pending(self) -> None:
        """Copy into the spool what is pending and not in it, as a crash may leave it."""
        for record in self._ledger.images.cameras():
            for image in self._ledger.images.pending(record.camera.id):
                self._keep(image, record.camera)
                self._upkeep.progress()

    def _keep(self, image: Image, camera: Camera) -> None:
        """Copy a photo that goes on pending into the spool, if it is there and fits."""
        leave = disk_room.needed(camera.height, camera.width)
        self._spool.keep_if_it_can(image.identity, self._sources(image).open, leave)

    def _all_of(self, camera_id: str, *, with_maps: bool) -> Iterator[Done]:
        while (record := self._ledger.images.camera(camera_id)) is not None:
            if not self.schedule.may_fold(record):
                break
            at_place = record.photos and record.photos % MOST_IN_A_PASS == 0
            if (
                with_maps
                and at_place
                and self.schedule.may_map(record)
                and record.mapped != record.photos
            ):
                self._begin_map(record, JUDGED)
                self._finish()
            self._begin_pass(record, next_place(record.photos) - record.photos)
            yield from self._finish()
        if with_maps and record is not None and self.schedule.may_map(record):
            self._begin_map(record, JUDGED)
            self._finish()

    def _finish(self) -> list[Done]:
        """Wait for the work, and commit it."""
        if self._work is not None:
            self._upkeep.wait(self._work.future)
        return self._commit()

    # One pass.

    def _begin_pass(self, record: CameraRecord, most: int) -> None:
        camera = record.camera
        # Before anything is: a pass that had no room was not interrupted.
        bins = self._bins(camera.id)
        disk_room.check(self._ledger.folder, camera.height, camera.width, len(bins))
        most = min(most, record.pass_photos or most)
        everything = self._ledger.images.pending(camera.id)
        images = everything[:most]
        refused = {one.id: error for one in images if (error := self._refusal(one))}
        wanted = [one for one in images if one.id not in refused]
        pending = [
            Pending(
                image.id,
                source.path,
                source.open,
                source.open_again,
                image.taken.bin,
            )
            for image in wanted
            for source in [self._sources(image)]
        ]
        with self._ledger.transaction():  # if it does not end, the next one is smaller
            fewer = max(len(images) // 2, FEWEST)
            self._ledger.images.limit_pass(camera.id, fewer)
        suspects = self._ledger.samples.suspects(camera.id)
        taken = {image.taken.bin for image in wanted}
        task = self._task(record, suspects, bins, taken)
        give_back()
        self._hold(self._memory.of_pass)
        work = partial(self._pass, record, task, pending, self._memory.of_pass)
        self._work = _Work(
            record,
            self._upkeep.submit(work),
            {one.id: one for one in images},
            refused,
            suspects if suspects.version else None,
            len(everything) - len(images),
        )

    def _bins(self, camera_id: str) -> list[Bin]:
        """Return the bins whose traces are kept: the fullest, where there are several."""
        counts = self._ledger.images.bins(camera_id)
        others = sum(counts.values()) - max(counts.values(), default=0)
        return list(counts)[:MOST_BINS] if others >= FEWEST else []

    def _task(
        self,
        record: CameraRecord,
        suspects: Suspects,
        bins: Sequence[Bin],
        taken: Collection[Bin],
    ) -> Task:
        """Return what a pass over photos of the bins `taken` is to do, but for what was before."""
        camera = record.camera
        size = Size(camera.height, camera.width)
        sites = np.empty((0, 2), np.intp)
        places = {}
        if suspects.version:
            sites = np.concatenate([suspects.sites, evidence.controls(*size)])
            if suspects.corrections.move:
                places = {one: with_controls(suspects, *size, one) for one in taken}
        folded = list(self._ledger.images.bins(camera.id, folded_only=True))
        return Task(
            size,
            None,
            generation_files.folder_of(self._folder(camera.id), record.generation + 1),
            self._config.detection.memory,
            sites,
            places,
            bins,
            folded[0] if len(folded) == 1 else None,
        )

    def _pass(
        self, record: CameraRecord, task: Task, pending: Sequence[Pending], memory: int
    ) -> Passed:
        """Make a pass; in the thread."""
        if record.generation:
            folder = self._folder(record.camera.id)
            path = generation_files.folder_of(folder, record.generation)
            before = Folder(path, generation_files.read_manifest(path))
            only = None if before.generation.bins else task.only
            task = replace(task, before=before, only=only)
        means = Means(
            memory,
            self._earlier.threads,
            self._at_border,
            self._stop,
            self._ledger.hazards.threads,
            self._memory.work,
            self._hold,
        )
        return learn(task, pending, means)

    def _sources(self, image: Image) -> _Sources:
        paths = self._ledger.paths
        places = [(path, paths.find(path)) for path in paths.of_image(image.id)]
        files = [(path, found.signature) for path, found in places if found]
        return _Sources(self._spool, image, files, self._earlier)

    def _refusal(self, image: Image) -> PhotoError | None:
        """Return why a photo must not be decoded: an earlier process died of it."""
        reason = self._earlier.refusal(image)
        return PhotoError(self._sources(image).path, reason) if reason else None

    def _commit(self) -> list[Done]:
        """Commit what the thread made."""
        work, self._work = self._work, None
        if work is None:
            return []
        self._hold(0)
        try:
            made = work.future.result()
        except PassStoppedError:
            return []
        except CheckpointError as error:
            self._fall_back(work.record, error)
            return []
        if isinstance(made, MadeMap):
            self._maps.keep(made)
            return []
        return self._commit_pass(work, made)

    def _commit_pass(self, work: _Work, passed: Passed) -> list[Done]:
        """Name the generation, keep the samples, and say what became of each photo."""
        camera_id, ledger = work.record.camera.id, self._ledger
        folded = [work.images[number] for number in passed.folded]
        bad = {**work.refused, **passed.bad}
        done = []
        left = work.left + len(work.images) - len(folded) - len(bad)
        if left and (folded or bad):
            self.schedule.unfinished.add(camera_id)
        else:
            self.schedule.unfinished.discard(camera_id)
        with ledger.transaction(durable=True):
            for number, error in bad.items():
                done += self._drop(work.images[number], error)
            self._tell_lost(work.record.camera.id, done)
            if passed.generation is not None:
                ledger.images.commit_generation(
                    camera_id,
                    passed.generation.counts,
                    folded[-1].sequence,
                )
                ledger.images.limit_pass(camera_id, self._next_most(work.record))
                if work.suspects is not None:
                    for image, samples in zip(folded, passed.samples, strict=True):
                        if ledger.images.with_id(image.id) is None:
                            continue  # a version, whose original came meanwhile
                        photo = sampled(image, image.taken, work.suspects, samples)
                        ledger.samples.record(camera_id, photo)
        self._spool.drop(
            work.images[number].identity for number in (*passed.folded, *bad)
        )
        if passed.generation is not None:
            self.commits += 1
            self.tidy_camera(camera_id)
            log.info(
                "generation of %s: %s",
                camera_id,
                counted(passed.generation.counts.photos, "photo"),
                extra={"MESSAGE_ID": MessageId.CHECKPOINT_WRITTEN, "CAMERA": camera_id},
            )
        return done + [
            Done(self._sources(one).path, "folded", again=one.is_unlearned)
            for one in folded
        ]

    @staticmethod
    def _next_most(record: CameraRecord) -> int:
        """Return the most photos in the next pass, after one that ended well."""
        doubled = 2 * record.pass_photos
        return doubled if doubled < MOST_IN_A_PASS else 0

    def _drop(self, image: Image, error: PhotoError) -> list[Done]:
        """Record why a pending photo was not folded; in a transaction."""
        paths, places = self._ledger.paths, self._ledger.paths.of_image(image.id)
        if isinstance(error, PhotoGoneError | UnreadablePhotoError):
            log.warning(
                "lost before it was folded: image %s of %s, its file cannot be read any more",
                image.identity[:16],
                image.camera,
                extra={"MESSAGE_ID": MessageId.PHOTO_LOST, "CAMERA": image.camera},
            )
            self._ledger.images.mark_lost(image)
            for path in places:
                # When its folder is there again, it is read and folded after all.
                paths.mark_unseen(path, None)
            return [Done(error.path, "lost", error.reason)]
        for path in places:
            found = paths.find(path)
            seen = found.signature if found else None
            paths.record(path, "failed", reason=error.reason, signature=seen)
            log.warning(
                "failed %s: %s",
                path,
                error.reason,
                extra={
                    "MESSAGE_ID": MessageId.PHOTO_FAILED,
                    "PHOTO": path,
                    "PHOTO_SHA256": image.identity,
                    "CAMERA": image.camera,
                    "OUTCOME": "failed",
                },
            )
        self._ledger.images.remove(image)
        return [Done(path, "failed", error.reason) for path in places]

    def _tell_lost(self, camera_id: str, done: Sequence[Done]) -> None:
        """Record the event that photos were lost; in a transaction."""
        lost = [str(one.path) for one in done if one.outcome == "lost"]
        if lost:
            verb = "was" if len(lost) == 1 else "were"
            self._ledger.events.record(
                EventKind.PHOTO_LOST,
                f"{camera_id}: {counted(len(lost), 'photo')} {verb} gone before"
                f" it could be learned from, such as {lost[0]}",
                camera=camera_id,
                count=len(lost),
                paths=lost[:NAMED],
            )

    def _is_whole_after_all(self, record: CameraRecord) -> bool:
        """Return whether a generation that seemed damaged can be read now; once each."""
        doubted = record.camera.id, record.generation
        if doubted in self._doubted:
            return False
        self._doubted.add(doubted)
        folder = self._folder(record.camera.id)
        with contextlib.suppress(CheckpointError):
            newest = generation_files.folder_of(folder, record.generation)
            generation_files.check(newest, self._upkeep.progress)
            return True
        return False

    def _fall_back(self, record: CameraRecord, damage: CheckpointError) -> None:
        """Go back to the generation before; what it lacks is pending again."""
        camera_id, generations = record.camera.id, self._ledger.generations
        if self._is_whole_after_all(record):
            with self._ledger.transaction():
                self._ledger.images.limit_pass(camera_id, record.pass_photos)
            log.warning("generation could be read at the second try: %s", damage)
            return
        previous = generations.previous(camera_id)
        try:
            if previous is None:
                raise damage
            folder = generation_files.bring_back(self._folder(camera_id), previous)
            generation_files.check(folder, self._upkeep.progress)
        except CheckpointError as error:
            self.tidy_camera(camera_id)
            raise CheckpointError(
                f"{error}; there is no generation before it that could be used:"
                f" `hotpixeld relearn {camera_id}` learns the camera anew"
            ) from damage
        with self._ledger.transaction(durable=True):
            lacking = generations.fall_back(camera_id)
            self._ledger.images.limit_pass(camera_id, record.pass_photos)
        self.tidy_camera(camera_id)
        log.error(
            "generation damaged, the one before it is used and %s to be folded again: %s",
            counted(lacking, "photo"),
            damage,
            extra={"MESSAGE_ID": MessageId.CHECKPOINT_DAMAGED, "CAMERA": camera_id},
        )

    # One map.

    def _begin_map(self, record: CameraRecord, look_back: int) -> None:
        task = self._maps.task(record, look_back)
        give_back()
        self._hold(self._memory.of_map)
        work = partial(make, task, self._earlier, self._at_border)
        self._work = _Work(record, self._upkeep.submit(work))

    # Cameras that are not used any more.

    def _drop_unused(self) -> None:
        """Drop cameras that had no new photo for `forget_after` to their lists."""
        patience = self._config.limits.forget_after
        if patience is None:
            return
        since = self._wall() - patience.total_seconds()
        for record in self._ledger.images.cameras():
            camera_id = record.camera.id
            last = self._ledger.images.last_admitted(camera_id)
            is_unused = record.generation and last is not None and last <= since
            # What is pending is folded first.
            if is_unused and not self._ledger.images.counts(camera_id)["pending"]:
                self._drop_to_list(camera_id, patience)

    def _drop_to_list(self, camera_id: str, patience: dt.timedelta) -> None:
        """Remove a camera's generations and samples; its list and its photos stay known.

        The ledger goes first: where this is interrupted, `tidy` removes the files.
        """
        with self._ledger.transaction(durable=True):
            self._ledger.images.drop_generation(camera_id)
            self._ledger.samples.forget(camera_id)
        self.commits += 1
        self.schedule.unfinished.discard(camera_id)
        log.info(
            "%s dropped to its list of %s: no new photo for %s",
            camera_id,
            counted(len(self._ledger.defects.of(camera_id)), "defect"),
            counted(patience.days, "day"),
            extra={"MESSAGE_ID": MessageId.CAMERA_DROPPED, "CAMERA": camera_id},
        )
        self.tidy_camera(camera_id)

    # Beginning and end.

    def stop(self) -> None:
        """End what is being made, at the next border; nothing is left of it."""
        if self._work is None:
            return
        self._stop[0] = 1
        self._free.set()
        self._upkeep.wait(self._work.future)
        self._hold(0)
        self._work = None
        self._stop[0] = 0

    def _make_room(self) -> None:
        """End what is being made for a photo that has no room beside it; keep what is done."""
        if self._work is not None and self._work.future.done():
            self._commit()
        else:
            self.stop()

    def tidy_camera(self, camera_id: str) -> None:
        """Remove what the ledger does not name from a camera's folder."""
        record = self._ledger.images.camera(camera_id)
        current = record.generation if record else 0
        previous = self._ledger.generations.previous(camera_id)
        generation_files.tidy(self._folder(camera_id), current, previous)

    def tidy(self) -> None:
        """Remove what a crash left in the cameras' folders.

        Raises
        ------
        LedgerError
            The ledger is empty, but there are generations that it must have named.
        """
        records = list(self._ledger.images.cameras())
        # The first generation may be there before the ledger is durable; others may not.
        cameras = state_folder.cameras(self._ledger.folder)
        names = [path.name for path in cameras.glob("*/*")]
        if not records and any(name.isdigit() and int(name) > 1 for name in names):
            raise LedgerError(
                f"{self._ledger.path}: is empty, but {cameras} holds"
                " generations: put the ledger back from a backup, or move both away to"
                " begin anew"
            )
        pending = set()
        for record in records:
            self.tidy_camera(record.camera.id)
            images = self._ledger.images.pending(record.camera.id)
            pending |= {image.identity for image in images}
        self._spool.sweep(pending)
