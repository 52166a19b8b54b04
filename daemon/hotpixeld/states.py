"""The cameras' Welford states: folded in sequence, checkpointed, recovered after a crash.

A camera's arrays are allocated at its 4th photo; until then its photos are pending in the
ledger and are folded from their files when the 4th comes, as after a crash.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hotpixeld import checkpoint
from hotpixeld.again import Again
from hotpixeld.errors import CheckpointError
from hotpixeld.messages import MessageId
from hotpixeld.running import Running
from hotpixeld.saving import Saver
from hotpixeld.welford import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.checkpoint import Checkpoint
    from hotpixeld.config import Config
    from hotpixeld.images import Image
    from hotpixeld.ledger import Ledger
    from hotpixeld.memory import Memory
    from hotpixeld.welford import Frame
    from hotpixeld.workers import Workers

log = logging.getLogger(__name__)

ALLOCATE_AT = 4
CHECKPOINT_PHOTOS = 32
CHECKPOINT_SECONDS = 600.0


class States:
    """The states of all cameras under one state folder; used by one thread.

    Parameters
    ----------
    memory : Memory
        Bounds the states in memory: those used least recently are saved and dropped.
    upkeep : Workers
        One thread, which writes checkpoints while photos go on.
    clock : callable
        Monotonic seconds.
    progress : callable
        Called whenever a step of work is done.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        folder: Path,
        memory: Memory,
        upkeep: Workers,
        clock: Callable[[], float],
        progress: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._folder = folder
        self._memory = memory
        self._upkeep = upkeep
        self._clock = clock
        self._progress = progress
        self._saver = Saver(ledger, folder / "cameras", upkeep)
        self._again = Again(ledger, config.limits, memory.frames)
        self._running: dict[str, Running] = {}  # the one used last comes last

    def folder_of(self, camera_id: str) -> Path:
        """Return the folder of a camera's checkpoints and map."""
        return self._folder / "cameras" / camera_id

    def running(self, camera_id: str) -> Running:
        """Return a camera's state with all that was folded; see `load` for errors."""
        running = self.load(camera_id)
        self._fold_waiting(running)
        return running

    def load(self, camera_id: str) -> Running:
        """Bring a camera's state into memory; return it, frames waiting and all.

        Others are dropped for it where the limit asks for that.

        Raises
        ------
        CheckpointError
            The checkpoint is missing or damaged, and so is the one before; nothing is
            overwritten.
        """
        running = self._running.pop(camera_id, None) or self._read_in(camera_id)
        self._running[camera_id] = running
        self._count()
        return running

    def _read_in(self, camera_id: str) -> Running:
        record = self._ledger.images.camera(camera_id)
        if record is None or record.checkpoint is None:
            return Running(None, 0, 0)
        self._make_room(record.camera.height, record.camera.width)
        try:
            state = self._read(record.camera, record.checkpoint)
        except CheckpointError as error:
            return self._fall_back(record.camera, error)
        return Running(state, record.folded_to, record.checkpoint.generation)

    def _make_room(self, height: int, width: int) -> None:
        """Save and drop the states used least recently, for one more to fit in."""
        while not self._memory.has_room_for_state(height * width):
            self._drop(next(one for one, own in self._running.items() if own.state))

    def _drop(self, camera_id: str) -> None:
        self.save(camera_id)
        self._running[camera_id].still(self._upkeep.result)
        del self._running[camera_id]
        self._count()
        log.debug("state of %s leaves the memory to others", camera_id)

    def _count(self) -> None:
        states = (running.state for running in self._running.values())
        self._memory.states = sum(2 * one.mean.nbytes for one in states if one)

    def _read(self, camera: Camera, saved: Checkpoint) -> State:
        folder = self.folder_of(camera.id)
        return checkpoint.load(folder, saved, camera.height, camera.width)

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
        return running

    def tidy(self) -> None:
        """Remove what a crash left of checkpoints in the cameras' folders."""
        for record in self._ledger.images.cameras():
            self._saver.tidy(record.camera.id, record.checkpoint)

    def photos(self, camera_id: str) -> int:
        """Return how many photos a camera's state holds, without loading it."""
        running = self._running.get(camera_id)
        if running is not None:
            folded = running.state.photos if running.state else 0
            return folded + len(running.waiting)
        record = self._ledger.images.camera(camera_id)
        return record.checkpoint.photos if record and record.checkpoint else 0

    def fold(self, image: Image, frame: Frame) -> None:
        """Take an admitted image, the next in its camera's sequence, to be folded.

        Its frame may be folded later, together with others: see `fold_waiting`.
        """
        running = self.load(image.camera)
        if running.state is None:
            waiting = self._ledger.images.pending(image.camera)
            if len(waiting) < ALLOCATE_AT:
                return
            self._allocate(running, *frame.shape[:2])
            for earlier in waiting:
                if earlier.sequence < image.sequence:
                    self._fold_from_file(running, earlier)
        running.add(frame, image.sequence, self._clock())

    def _allocate(self, running: Running, height: int, width: int) -> None:
        self._make_room(height, width)
        running.state = State.empty(height, width)
        self._count()

    def fold_waiting(self, camera_id: str) -> None:
        """Fold the frames of a camera that wait; all that refers to them is let go of."""
        if camera_id in self._running:
            self._fold_waiting(self._running[camera_id])

    def _fold_waiting(self, running: Running) -> None:
        if running.state is not None and running.waiting:
            running.still(self._upkeep.result)
            running.state.fold_all(running.waiting, self._config.detection.memory)
            running.waiting.clear()

    def _fold_from_file(self, running: Running, image: Image) -> None:
        """Fold a pending image from wherever its file is now, or mark it lost."""
        frame = self._again.frame(image)
        if frame is not None:
            running.add(frame, image.sequence, self._clock())
            self._fold_waiting(running)
        self._progress()

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
                self._allocate(running, record.camera.height, record.camera.width)
            for image in pending:
                self._fold_from_file(running, image)
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

    def begin_save(self, camera_id: str) -> None:
        """Begin a checkpoint of one camera; `commit_written` ends it."""
        running = self._running[camera_id]
        if running.state is not None and running.unsaved and running.saving is None:
            self._fold_waiting(running)
            self._saver.begin(camera_id, running)

    @property
    def is_saving(self) -> bool:
        """Tell whether a checkpoint is being written."""
        return any(running.saving for running in self._running.values())

    def commit_written(self) -> None:
        """Commit the checkpoints that are written to the ledger; see `save` for errors."""
        for camera_id, running in self._running.items():
            if running.saving is not None and running.saving.written.done():
                self._saver.commit(camera_id, running)

    def save(self, camera_id: str) -> None:
        """Take a checkpoint of one camera, durably, and commit it to the ledger.

        Raises
        ------
        OSError, LedgerError
            The disk is full or faulty; the former checkpoint still holds.
        """
        running = self._running[camera_id]
        self._saver.commit(camera_id, running)
        self.begin_save(camera_id)
        self._saver.commit(camera_id, running)

    def save_all(self) -> None:
        """Take a checkpoint of every camera that is ahead of its last one."""
        for camera_id in list(self._running):
            self.save(camera_id)
