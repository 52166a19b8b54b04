"""The cameras' Welford states: folded in sequence, checkpointed, recovered after a crash.

A camera's arrays are allocated at its 4th photo; until then its photos are pending in the
ledger and are folded from their files when the 4th comes, as after a crash.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotpixeld import checkpoint, photo
from hotpixeld.errors import CheckpointError, PhotoError
from hotpixeld.messages import MessageId
from hotpixeld.welford import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.checkpoint import Checkpoint
    from hotpixeld.config import Config
    from hotpixeld.images import Image
    from hotpixeld.ledger import Ledger
    from hotpixeld.photo import Photo
    from hotpixeld.welford import Frame
    from hotpixeld.workers import Workers

log = logging.getLogger(__name__)

ALLOCATE_AT = 4
CHECKPOINT_PHOTOS = 32
CHECKPOINT_SECONDS = 600.0


@dataclass(slots=True)
class Running:
    """A camera's state in memory, and how far it is ahead of its checkpoint.

    Attributes
    ----------
    state : State or None
        None before the 4th photo.
    folded_to : int
        Sequence of the image folded last.
    generation : int
        Of the checkpoint that the ledger names; 0 is none.
    unsaved : int
        Photos folded since.
    oldest : float
        When the first of these was folded, by the clock that `States` was given.
    """

    state: State | None
    folded_to: int
    generation: int
    unsaved: int = 0
    oldest: float = 0.0


class States:
    """The states of all cameras under one state folder; used by one thread.

    `workers` decode photos again, and are told of the progress of checkpoints.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        folder: Path,
        clock: Callable[[], float],
        workers: Workers,
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._folder = folder
        self._clock = clock
        self._workers = workers
        self._running: dict[str, Running] = {}

    def folder_of(self, camera_id: str) -> Path:
        """Return the folder of a camera's checkpoints and map."""
        return self._folder / "cameras" / camera_id

    def running(self, camera_id: str) -> Running:
        """Return a camera's state, from its checkpoint when it is not in memory.

        Raises
        ------
        CheckpointError
            The checkpoint is missing or damaged, and so is the one before; nothing is
            overwritten.
        """
        if camera_id not in self._running:
            self._running[camera_id] = self._load(camera_id)
        return self._running[camera_id]

    def _load(self, camera_id: str) -> Running:
        record = self._ledger.images.camera(camera_id)
        if record is None or record.checkpoint is None:
            return Running(None, 0, 0)
        try:
            state = self._read(record.camera, record.checkpoint)
        except CheckpointError as error:
            return self._fall_back(record.camera, error)
        return Running(state, record.folded_to, record.checkpoint.generation)

    def _read(self, camera: Camera, saved: Checkpoint) -> State:
        folder, progress = self.folder_of(camera.id), self._workers.progress
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
            self._fold_from_file(running, image)
            self._workers.progress()
        return running

    def tidy(self) -> None:
        """Remove what a crash left of checkpoints in the cameras' folders."""
        for record in self._ledger.images.cameras():
            self._tidy(record.camera.id, record.checkpoint)

    def _tidy(self, camera_id: str, current: Checkpoint | None) -> None:
        previous = self._ledger.generations.previous(camera_id)
        checkpoint.tidy(
            self.folder_of(camera_id),
            current.generation if current else None,
            previous.generation if previous else None,
        )

    def photos(self, camera_id: str) -> int:
        """Return how many photos a camera's state holds, without loading it."""
        running = self._running.get(camera_id)
        if running is not None:
            return running.state.photos if running.state else 0
        record = self._ledger.images.camera(camera_id)
        return record.checkpoint.photos if record and record.checkpoint else 0

    def fold(self, image: Image, frame: Frame) -> None:
        """Fold an admitted image that comes next in its camera's sequence."""
        running = self.running(image.camera)
        if running.state is None:
            waiting = self._ledger.images.pending(image.camera)
            if len(waiting) < ALLOCATE_AT:
                return
            running.state = State.empty(*frame.shape[:2])
            for earlier in waiting:
                if earlier.sequence < image.sequence:
                    self._fold_from_file(running, earlier)
                    self._workers.progress()
        self._fold(running, image, frame)

    def _fold(self, running: Running, image: Image, frame: Frame) -> None:
        if running.state is None:
            raise AssertionError("folding before the arrays are allocated")
        running.state.fold(frame, self._config.detection.memory)
        running.folded_to = image.sequence
        if not running.unsaved:
            running.oldest = self._clock()
        running.unsaved += 1

    def _fold_from_file(self, running: Running, image: Image) -> None:
        """Fold a pending image from wherever its file is now, or mark it lost."""
        limits = self._config.limits
        for path in self._ledger.paths.of_image(image.id):
            try:
                found = self._workers.call(
                    photo.examine, path, limits.max_bytes, limits.most_pixels
                )
                if found.identity == image.identity:
                    self._fold(running, image, self._decode(found))
                    return
            except PhotoError as error:
                log.debug("pending photo: %s", error)
        log.warning(
            "lost before checkpoint: image %s of %s, its file is gone",
            image.identity[:16],
            image.camera,
            extra={"MESSAGE_ID": MessageId.PHOTO_LOST, "CAMERA": image.camera},
        )
        with self._ledger.transaction():
            self._ledger.images.mark_lost(image)
            for path in self._ledger.paths.of_image(image.id):
                # When its folder is there again, it is read and folded after all.
                self._ledger.paths.mark_unseen(path, None)

    def _decode(self, found: Photo) -> Frame:
        hazards = self._ledger.hazards
        if reason := hazards.reason(found.identity, found.data):
            raise PhotoError(found.path, reason)
        with hazards.under_way(found.identity):
            return self._workers.call(photo.decode, found)

    def recover(self) -> int:
        """Fold what a crash left pending, camera by camera, in sequence.

        Returns
        -------
        int
            Images folded again.
        """
        again = 0
        for record in self._ledger.images.cameras():
            pending = self._ledger.images.pending(record.camera.id)
            running = self.running(record.camera.id) if pending else None
            if running is None or (
                running.state is None and len(pending) < ALLOCATE_AT
            ):
                continue
            # Falling back to an earlier checkpoint has folded them already.
            pending = [one for one in pending if one.sequence > running.folded_to]
            if running.state is None:
                running.state = State.empty(record.camera.height, record.camera.width)
            for image in pending:
                self._fold_from_file(running, image)
                self._workers.progress()
                again += 1
        return again

    def due(self, now: float) -> list[str]:
        """Return the cameras whose checkpoint is due."""
        return [
            camera_id
            for camera_id, running in self._running.items()
            if running.unsaved >= CHECKPOINT_PHOTOS
            or (running.unsaved and now - running.oldest >= CHECKPOINT_SECONDS)
        ]

    def next_deadline(self) -> float | None:
        """Return when the next checkpoint is due by age, None with nothing unsaved."""
        ages = [running.oldest for running in self._running.values() if running.unsaved]
        return min(ages) + CHECKPOINT_SECONDS if ages else None

    def save(self, camera_id: str) -> None:
        """Take a checkpoint of one camera, durably, and commit it to the ledger.

        Raises
        ------
        OSError, LedgerError
            The disk is full or faulty; the former checkpoint still holds.
        """
        running = self._running[camera_id]
        if running.state is None or not running.unsaved:
            return
        folder = self.folder_of(camera_id)
        generation = running.generation + 1
        saved = checkpoint.save(
            folder, generation, running.state, self._workers.progress
        )
        with self._ledger.transaction(durable=True):
            self._ledger.images.commit_checkpoint(camera_id, saved, running.folded_to)
        running.generation, running.unsaved = generation, 0
        self._tidy(camera_id, saved)
        log.info(
            "checkpoint of %s: %d photos",
            camera_id,
            saved.photos,
            extra={"MESSAGE_ID": MessageId.CHECKPOINT_WRITTEN, "CAMERA": camera_id},
        )

    def save_all(self) -> None:
        """Take a checkpoint of every camera that is ahead of its last one."""
        for camera_id in list(self._running):
            self.save(camera_id)
