"""Saving: checkpoints written by a thread of their own, committed by the ledger's.

Folding waits only until the kernel has the bytes (a copy in memory); what takes long, the
disk, is waited for beside it.  Until the ledger's transaction nothing counts.

Earlier photos again: the frame of an admitted image, from wherever its file is now.

Loading: a camera's state from its checkpoint, or from the one before with the rest again.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hotpixeld.engine import decode_trial
from hotpixeld.engine.camera_state import Running, Saving
from hotpixeld.errors import CheckpointError, LedgerError, PhotoError
from hotpixeld.messages import MessageId
from hotpixeld.photo import photo_file
from hotpixeld.store import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config, Limits
    from hotpixeld.engine.memory import Frames
    from hotpixeld.engine.workers import Workers
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.statistics.welford import Frame, State
    from hotpixeld.store.checkpoint import Checkpoint
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)


class Again:
    """Has `workers` decode pending images again; used by one thread."""

    def __init__(
        self,
        ledger: Ledger,
        limits: Limits,
        frames: Frames,
        workers: Workers,
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._frames = frames
        self.workers = workers

    def frame(self, image: Image) -> Frame | None:
        """Return the frame of a pending image; without a file of it, it is lost."""
        most = self._limits.max_bytes, self._limits.most_pixels
        for path in self._ledger.paths.of_image(image.id):
            try:
                found = self.workers.call(photo_file.examine, path, *most)
                if found.identity == image.identity:
                    return self._decode(found)
            except PhotoError as error:
                log.debug("pending photo: %s", error)
        self._lose(image)
        return None

    def _decode(self, found: Photo) -> Frame:
        hazards = self._ledger.hazards
        if reason := hazards.reason(found.identity, found.data, decode_trial.reason):
            raise PhotoError(found.path, reason)
        size = found.structure.height, found.structure.width
        with hazards.under_way(found.identity):
            frame = self.workers.call(
                photo_file.decode, found, self._frames.take(*size)
            )
        self.workers.progress()
        return frame

    def _lose(self, image: Image) -> None:
        log.warning(
            "lost before checkpoint: image %s of %s, its file cannot be read any more",
            image.identity[:16],
            image.camera,
            extra={"MESSAGE_ID": MessageId.PHOTO_LOST, "CAMERA": image.camera},
        )
        with self._ledger.transaction():
            self._ledger.images.mark_lost(image)
            for path in self._ledger.paths.of_image(image.id):
                # When its folder is there again, it is read and folded after all.
                self._ledger.paths.mark_unseen(path, None)


class Loader:
    """Brings states into memory; used by one thread.

    Parameters
    ----------
    cameras : Path
        Holds the folders of the cameras.
    again : Again
        Decodes pending photos.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        cameras: Path,
        again: Again,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._cameras = cameras
        self._again = again
        self._clock = clock

    def load(self, camera_id: str) -> Running:
        """Return a camera's state as its checkpoint has it; without one there is none.

        Raises
        ------
        CheckpointError
            It is missing or damaged, and so is the one before; nothing is overwritten.
        """
        record = self._ledger.images.camera(camera_id)
        if record is None or record.checkpoint is None:
            return Running(None, 0, 0)
        try:
            state = self._read(record.camera, record.checkpoint)
        except CheckpointError as error:
            return self._fall_back(record.camera, error)
        return Running(state, record.folded_to, record.checkpoint.generation)

    def _read(self, camera: Camera, saved: Checkpoint) -> State:
        folder, progress = self._cameras / camera.id, self._again.workers.progress
        return checkpoint.load(folder, saved, camera.height, camera.width, progress)

    def _fall_back(self, camera: Camera, damage: CheckpointError) -> Running:
        """Return the state of the checkpoint before, with what it lacks folded again."""
        images, generations = self._ledger.images, self._ledger.generations
        previous = generations.previous(camera.id)
        try:
            if previous is None:
                raise damage
            state = self._read(camera, previous)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}; there is no checkpoint before it that could be used:"
                f" `hotpixeld forget {camera.id}` learns the camera anew"
            ) from damage
        with self._ledger.transaction(durable=True):
            lacking = generations.fall_back(camera.id)
        log.error(
            "checkpoint damaged, the one before it is used and %d photos are folded"
            " again: %s",
            lacking,
            damage,
            extra={"MESSAGE_ID": MessageId.CHECKPOINT_DAMAGED, "CAMERA": camera.id},
        )
        record = images.camera(camera.id)
        folded_to = record.folded_to if record else 0
        running = Running(state, folded_to, previous.generation)
        for image in images.pending(camera.id):
            self.fold_again(running, image)
        return running

    def fold_again(self, running: Running, image: Image) -> None:
        """Fold a pending image from wherever its file is now, or mark it lost."""
        frame = self._again.frame(image)
        if frame is not None:
            running.add(frame, image.sequence, self._clock())
            running.fold(self._config.detection.memory)


@dataclass(frozen=True, slots=True)
class _Task:
    """What the writing thread needs: counts of this moment, and the arrays."""

    camera_folder: Path
    generation: int
    state: State
    copied: Future[None]

    def run(self) -> Checkpoint:
        """Write the checkpoint; whatever happens, the arrays are let go of."""
        try:
            return checkpoint.save(
                self.camera_folder,
                self.generation,
                self.state,
                copied=lambda: self.copied.set_result(None),
            )
        finally:
            if not self.copied.done():
                self.copied.set_result(None)


class Saver:
    """Writes the checkpoints of one state folder; used by one thread.

    Parameters
    ----------
    cameras : Path
        Holds the folders of the cameras.
    upkeep : Workers
        Threads that write.
    """

    def __init__(self, ledger: Ledger, cameras: Path, upkeep: Workers) -> None:
        self._ledger = ledger
        self._cameras = cameras
        self._upkeep = upkeep

    def begin(self, camera_id: str, running: Running) -> None:
        """Have a checkpoint written; nothing waits to be folded, none is being written."""
        if running.state is None or running.waiting or running.saving:
            raise AssertionError("not the moment for a checkpoint")
        copied: Future[None] = Future()
        folder, generation = self._cameras / camera_id, running.generation + 1
        task = _Task(folder, generation, replace(running.state), copied)
        written = self._upkeep.submit(_Task.run, task)
        running.readers.append(copied)
        running.saving = Saving(
            written, running.folded_to, running.unsaved, running.oldest
        )
        running.unsaved = 0

    def commit(self, camera_id: str, running: Running) -> None:
        """Commit the checkpoint that is being written, if one is, once it is durable.

        Raises
        ------
        OSError, LedgerError
            The disk is full or faulty; the former checkpoint still holds.
        """
        saving, running.saving = running.saving, None
        if saving is None:
            return
        try:
            saved = self._upkeep.result(saving.written)
            with self._ledger.transaction(durable=True):
                self._ledger.images.commit_checkpoint(
                    camera_id, saved, saving.folded_to
                )
        except (OSError, LedgerError):
            running.unsaved += saving.photos
            running.oldest = saving.oldest
            raise
        running.generation = saved.generation
        self.tidy(camera_id, saved)
        log.info(
            "checkpoint of %s: %d photos",
            camera_id,
            saved.photos,
            extra={"MESSAGE_ID": MessageId.CHECKPOINT_WRITTEN, "CAMERA": camera_id},
        )

    def tidy(self, camera_id: str, current: Checkpoint | None) -> None:
        """Remove what the ledger does not name from a camera's folder."""
        previous = self._ledger.generations.previous(camera_id)
        checkpoint.tidy(
            self._cameras / camera_id,
            current.generation if current else None,
            previous.generation if previous else None,
        )
