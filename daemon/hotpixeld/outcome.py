"""Outcomes: what became of a photo, in the ledger, in its copy and in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hotpixeld import repairs
from hotpixeld.errors import (
    PhotoError,
    PhotoGoneError,
    SkippedPhotoError,
    TruncatedPhotoError,
)
from hotpixeld.files import DISK_FAULTS
from hotpixeld.jobs import Done, Job, fields
from hotpixeld.messages import MessageId

if TYPE_CHECKING:
    from hotpixeld.config import Config
    from hotpixeld.ledger import Ledger
    from hotpixeld.states import States

log = logging.getLogger(__name__)


class Outcomes:
    """Ends the way of photos; used by one thread.

    Attributes
    ----------
    copies : Copies
    """

    def __init__(self, ledger: Ledger, config: Config, states: States) -> None:
        self._ledger = ledger
        self._config = config
        self._states = states
        self.copies = repairs.Copies(ledger, config.limits.max_bytes)

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
        if job.told and job.image:
            with self._ledger.transaction():
                self._ledger.samples.record(job.image.camera, job.told)
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
        told = copied or (reason and f", {reason}")
        log.log(
            logging.WARNING if reason else job.log_level,
            "%s %s: %s%s",
            job.outcome,
            job.path,
            camera,
            told,
            extra=fields(job, job.outcome, MessageId.PHOTO_DONE),
        )
        return Done(job.path, job.outcome, reason)

    def _copy(self, job: Job) -> str:
        """Bring the photo's copy up to date; return what there is to tell of it."""
        if not (job.photo and job.mended and job.pixels):
            return ""
        folder = self._config.folder_of(job.path)
        copy = self.copies.settle(job.photo, folder, job.mended)
        with self._ledger.transaction():
            self._ledger.paths.set_repaired_with(job.path, job.pixels.version)
        if copy is None or copy.condition == "withdrawn":
            return ""
        return f", copy {copy.condition}, {len(copy.pixels)} pixels"

    def _give_up(self, job: Job, error: PhotoError) -> Done:
        """Record why a photo comes to nothing, now or for good."""
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
