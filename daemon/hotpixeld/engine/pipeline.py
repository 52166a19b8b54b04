"""One photo, start to finish: examined, admitted, folded, repaired, and in the ledger.

Several photos are under way at once: worker threads read, decode and repair (the
libraries release the GIL), one thread owns the ledger and the states and takes the
photos in their order, whatever order the workers end in.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from hotpixeld.engine import copy_writer, decode_trial
from hotpixeld.engine.photos_under_way import Done, Job, fields
from hotpixeld.engine.sampling import sampled
from hotpixeld.errors import (
    PhotoError,
    PhotoGoneError,
    SkippedPhotoError,
    TruncatedPhotoError,
)
from hotpixeld.files import DISK_FAULTS
from hotpixeld.messages import MessageId
from hotpixeld.photo import edit_detection, photo_file
from hotpixeld.watch import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.engine.maps import Maps
    from hotpixeld.engine.photos_under_way import Stages
    from hotpixeld.engine.states import States
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)


class Outcomes:
    """Brings photos to their outcomes; used by one thread.

    Attributes
    ----------
    copies : copy_writer.CopyWriter
    """

    def __init__(self, ledger: Ledger, config: Config, states: States) -> None:
        self._ledger = ledger
        self._config = config
        self._states = states
        self.copies = copy_writer.CopyWriter(
            ledger, config.limits.max_bytes, undo=config.copies.undo
        )

    def finish(self, job: Job) -> Done:
        """Write the copy, fold the frame, and say in one line what became of the photo."""
        done = self._end(job)
        if job.image is not None:  # with those that were admitted since
            self._states.fold_waiting(job.image)
        return done

    def _end(self, job: Job) -> Done:
        if job.error is not None:
            return self._give_up(job, job.error)
        copied, reason = "", ""
        if job.samples and job.image:
            with self._ledger.transaction():
                self._ledger.samples.record(job.image.camera, job.samples)
        try:
            copied = self._copy(job)
        except OSError as error:  # the photo stays due for repair
            if error.errno in DISK_FAULTS:
                raise
            target = self._config.folder_of(job.path).copy_path(job.path)
            reason = f"no copy: {error.strerror}: {target.parent}"
        except PhotoError as error:  # its folder is not watched any more
            return self._give_up(job, error)
        camera = job.camera.id if job.camera else "?"
        detail = copied or (reason and f", {reason}")
        log.log(
            logging.WARNING if reason else job.log_level,
            "%s %s: %s%s",
            job.outcome,
            job.path,
            camera,
            detail,
            extra=fields(job, job.outcome, MessageId.PHOTO_DONE),
        )
        return Done(job.path, job.outcome, reason)

    def _copy(self, job: Job) -> str:
        """Bring the photo's copy up to date; return what the log says of it."""
        if not (job.photo and job.repaired and job.pixels):
            return ""
        folder = self._config.folder_of(job.path)
        copy = self.copies.update(job.photo, folder, job.repaired)
        with self._ledger.transaction():
            self._ledger.paths.set_repaired_with(job.path, job.pixels.version)
        if copy is None or copy.condition == "withdrawn":
            return ""
        return f", copy {copy.condition}, {len(copy.pixels)} pixels"

    def _give_up(self, job: Job, error: PhotoError) -> Done:
        """Record why a photo is not folded, now or ever."""
        if job.version is not None or isinstance(error, PhotoGoneError):
            with self._ledger.transaction():
                self._ledger.paths.mark_unseen(job.path, job.version)
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
        failed = outcome == "failed"
        message_id = MessageId.PHOTO_FAILED if failed else MessageId.PHOTO_SKIPPED
        log.log(
            logging.WARNING if failed else logging.INFO,
            "%s %s: %s",
            outcome,
            job.path,
            error.reason,
            extra=fields(job, outcome, message_id),
        )
        return Done(job.path, outcome, error.reason)


class Pipeline:
    """Takes photos from their paths to their outcomes; owned by one thread.

    Parameters
    ----------
    stages : Stages
        Whose workers read, decode and repair, as far as memory goes.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        states: States,
        maps: Maps,
        stages: Stages,
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._states = states
        self._maps = maps
        self._outcomes = Outcomes(ledger, config, states)
        self._stages = stages

    def run(
        self, paths: Iterable[Path], *, with_copies: bool, patient: bool
    ) -> Generator[Done]:
        """Take new photos through all stages, in this order.

        Closing the iterator leaves what is under way for another time: nothing is lost.

        Parameters
        ----------
        with_copies : bool
            Write copies at once; else `repair` does it later.
        patient : bool
            A photo that is cut short waits for its end; else it has failed at once.
        """

        def admit(job: Job) -> Job:
            admitted = self._admit(job)
            return self._list_pixels(admitted) if with_copies else admitted

        new = (Job(path, patient=patient) for path in paths)
        jobs = (self._triage(self._check(job)) for job in self._examined(new))
        yield from self._through(jobs, admit)

    def repair(self, photos: Iterable[tuple[Path, str]]) -> Generator[Done]:
        """Check photos that are in the ledger against their camera's pixel list again.

        Parameters
        ----------
        photos : iterable of (Path, str)
            With the version of that list.
        """
        again = (Job(path, version=version) for path, version in photos)
        jobs = (self._recognise(self._check(job)) for job in self._examined(again))
        yield from self._through(jobs, self._list_pixels)

    def _examined(self, jobs: Iterable[Job]) -> Iterator[Job]:
        return self._stages.ahead(self._attempt(self._examine), jobs)

    def _through(
        self, jobs: Iterable[Job], admit: Callable[[Job], Job]
    ) -> Generator[Done]:
        decode, look = self._attempt(self._decode), self._attempt(self._look)
        with contextlib.closing(
            self._stages.through(jobs, decode, admit, look)
        ) as looked_at:
            for job in looked_at:
                yield self._outcomes.finish(job)

    def _attempt(self, work: Callable[[Job], None]) -> Callable[[Job], Job]:
        """Return `work` for a worker: what it raises becomes the job's error."""

        def attempt(job: Job) -> Job:
            try:
                if not job.error:
                    with self._ledger.hazards.under_way(job.identity):
                        work(job)
            except PhotoError as error:
                job.error, job.frame = error, None
            return job

        return attempt

    def _examine(self, job: Job) -> None:
        limits = self._config.limits
        with contextlib.suppress(OSError):
            job.seen = walk.stat_photo(job.path)
        root = self._config.folder_of(job.path).path
        job.photo = photo_file.examine(
            job.path, limits.max_bytes, limits.most_pixels, root
        )

    def _check(self, job: Job) -> Job:
        """Refuse a photo that an earlier process died of."""
        if job.photo is not None:
            trial = partial(decode_trial.reason, job.photo.data)
            reason = self._ledger.hazards.reason(job.identity, trial)
            job.error = PhotoError(job.path, reason) if reason else None
        return job

    def _triage(self, job: Job) -> Job:
        """Find the photo's camera, and its image when it is known already."""
        if job.error or job.photo is None:
            return job
        try:
            if self._ledger.copies.is_own(job.photo.identity):
                raise SkippedPhotoError(job.path, "a copy that hotpixeld wrote")
            job.camera = self._camera_unless_edited(job.photo)
            job.image = self._known(job.photo)
        except PhotoError as error:
            job.error = error
        return job

    def _camera_unless_edited(self, source: Photo) -> Camera:
        """Return the photo's camera; an edited photo is refused, or one without camera."""
        about, folder = source.metadata, self._config.folder_of(source.path)
        named = self._config.camera_of(folder, about.width, about.height)
        has_identity = about.make or about.model
        camera = named if named and not has_identity else photo_file.camera(source)
        why = edit_detection.why_edited(about) if folder.edited == "skip" else None
        if why:
            raise SkippedPhotoError(source.path, why)
        return camera

    def _known(self, source: Photo) -> Image | None:
        image = self._ledger.images.find(source.identity)
        return None if image is None or image.outcome == "lost" else image

    def _decode(self, job: Job) -> None:
        if job.photo is not None and job.frame is not None:
            photo_file.decode(job.photo, job.frame)

    def _admit(self, job: Job) -> Job:
        """Put the photo into the ledger, and fold it if its image is new."""
        if job.error or job.photo is None or job.camera is None:
            return job
        named = any(one.serial for one in self._config.camera_entries(job.camera))
        job.camera = self._ledger.aliases.resolve(job.camera, may_appear=not named)
        # The same image may have been admitted while this one was under way.
        job.image = job.image or self._known(job.photo)
        record = self._ledger.paths.find(job.path)
        signature = job.photo.signature
        new = job.image is None
        self._states.load(job.camera.id)  # its checkpoint may be damaged
        with self._ledger.transaction():
            if job.image is None:
                captured = job.photo.metadata.captured
                job.image = self._ledger.images.admit(
                    job.photo.identity, job.camera, captured
                )
            same = record and record.image == job.image.id and record.outcome == "image"
            outcome = "image" if new or same else "duplicate"
            self._ledger.paths.record(
                job.path, outcome, image=job.image.id, signature=signature
            )
        job.outcome = "known" if same else "duplicate"
        if new and job.frame is not None:
            self._states.fold(job.image, job.frame)
            suspects = self._ledger.samples.suspects(job.camera.id)
            job.suspects = suspects if suspects.version else None
            job.outcome = "folded"
        return job

    def _recognise(self, job: Job) -> Job:
        """Find the image of a photo that the ledger knows."""
        if not job.error and job.photo is not None:
            job.image = self._known(job.photo)
            job.outcome = "known"
            if job.image is None:
                job.error = PhotoGoneError(job.path, "replaced by another photo")
            elif record := self._ledger.images.camera(job.image.camera):
                job.camera = record.camera
        return job

    def _list_pixels(self, job: Job) -> Job:
        """Look up what may be repaired in this photo."""
        if not job.error and job.photo is not None and job.camera is not None:
            job.pixels = self._maps.listed_for(job.camera, job.photo.metadata)
            job.known = self._outcomes.copies.known(job.path)
        return job

    def _look(self, job: Job) -> None:
        """Sample the photo at its camera's suspects, and repair it."""
        if job.photo and job.image and job.suspects and job.frame is not None:
            job.samples = sampled(job.photo, job.image, job.frame, job.suspects)
        if job.photo is not None and job.pixels is not None:
            settings = self._config.repair
            if job.must_decode:
                structure = job.photo.structure
                frame = self._stages.frames.take(structure.height, structure.width)
                job.frame = photo_file.decode(job.photo, frame)
            job.repaired = copy_writer.repair(
                job.photo, job.frame, job.pixels, job.known, settings
            )
        elif job.photo is not None:  # its file is not needed any more
            job.photo = replace(job.photo, data=b"")
        job.frame = None
