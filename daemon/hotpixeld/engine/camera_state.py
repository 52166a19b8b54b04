"""A camera's state: in memory, from its checkpoint, and to the next one.

A checkpoint is written by a thread of its own and committed by the ledger's.  Folding
waits only until the kernel has copied the bytes; the thread waits for the disk, which takes
long.  The checkpoint counts from the ledger's transaction on.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hotpixeld.errors import CheckpointError
from hotpixeld.messages import MessageId
from hotpixeld.statistics.welford import State
from hotpixeld.store import checkpoint, state_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.engine.earlier_photos import EarlierPhotos
    from hotpixeld.engine.workers import Workers
    from hotpixeld.statistics.welford import Frame
    from hotpixeld.store.checkpoint import Checkpoint
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saving:
    """A checkpoint that is being written.

    Attributes
    ----------
    written : Future of Checkpoint
        Done when it is durable.
    folded_to, photos : int
        Sequence of the last image in it, and how many the one before does not hold.
    oldest : float
        As `Running.oldest`.
    """

    written: Future[Checkpoint]
    folded_to: int
    photos: int
    oldest: float


@dataclass(slots=True)
class Running:
    """A camera's state in memory, and how far it is ahead of its checkpoint.

    Attributes
    ----------
    state : State or None
        None before the 4th photo.  Lacks the frames in `waiting`.
    folded_to : int
        Sequence of the image folded last, or waiting last.
    generation : int
        Of the checkpoint that the ledger names; 0 is none.
    unsaved : int
        Photos folded since, or waiting.
    oldest : float
        When the first of these came, by the clock that `States` was given.
    waiting : list of (int, Frame)
        Sequence and frame of what is to be folded, in this order: several at once cost
        little more than one.
    readers : list of Future
        Threads that read the arrays: nothing is folded before they are done.
    saving : Saving or None
    held : int
        Bytes of frames that wait though their photos have ended.
    """

    state: State | None
    folded_to: int
    generation: int
    unsaved: int = 0
    oldest: float = 0.0
    waiting: list[tuple[int, Frame]] = field(default_factory=list)
    readers: list[Future[Any]] = field(default_factory=list)
    saving: Saving | None = None
    held: int = 0

    def add(self, frame: Frame, sequence: int, now: float) -> None:
        """Let a frame wait to be folded."""
        self.waiting.append((sequence, frame))
        self.folded_to = sequence
        if not self.unsaved:
            self.oldest = now
        self.unsaved += 1

    def allocate(self, height: int, width: int) -> None:
        """Begin an empty state."""
        self.state = State.empty(height, width, traced=True)

    def fold(self, memory: int) -> None:
        """Fold the frames that wait, with this `memory`; nobody may read the arrays."""
        if self.state is None:
            raise AssertionError("folding before the arrays are allocated")
        self.state.fold_all([frame for _, frame in self.waiting], memory)
        self.waiting.clear()

    def hold(self, size: int) -> None:
        """Count `size` bytes more, or less, of frames whose photos have ended."""
        self.held += size

    def add_reader(self, reader: Future[Any]) -> None:
        """Let nothing be folded before `reader` is done."""
        self.readers.append(reader)

    @property
    def is_read(self) -> bool:
        """Return whether somebody reads the arrays."""
        return not all(reader.done() for reader in self.readers)

    def still(self, wait: Callable[[Future[Any]], None]) -> None:
        """Wait, by `wait`, until nobody reads the arrays."""
        while self.readers:
            wait(self.readers[0])
            self.readers.pop(0)

    def begin_saving(self, written: Future[Checkpoint], copied: Future[None]) -> None:
        """Count what is folded as in the checkpoint that is being written."""
        self.add_reader(copied)
        self.saving = Saving(written, self.folded_to, self.unsaved, self.oldest)
        self.unsaved = 0

    def end_saving(self, saved: Checkpoint | None) -> None:
        """Go on from the checkpoint that was committed, or without it if it failed."""
        saving, self.saving = self.saving, None
        if saved is not None:
            self.generation = saved.generation
        elif saving is not None:
            self.unsaved += saving.photos
            self.oldest = saving.oldest


class Loader:
    """Brings states into memory; used by one thread.

    Parameters
    ----------
    earlier : EarlierPhotos
        Decodes pending photos.
    upkeep : Workers
        Threads that do so.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        earlier: EarlierPhotos,
        upkeep: Workers,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._earlier = earlier
        self._upkeep = upkeep
        self._clock = clock

    def load(self, camera_id: str) -> Running:
        """Return a camera's state from its checkpoint; without one, an empty `Running`.

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
        return checkpoint.load(
            state_folder.camera_folder(self._ledger.folder, camera.id),
            saved,
            camera.height,
            camera.width,
            self._upkeep.progress,
        )

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
        paths = self._earlier.files(image)
        decoded = self._upkeep.call(self._earlier.decode, image, paths)
        if decoded is None:
            self._lose(image)
            return
        running.add(decoded[1], image.sequence, self._clock())
        running.fold(self._config.detection.memory)
        self._upkeep.progress()

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


@dataclass(frozen=True, slots=True)
class _Task:
    """What the writing thread needs: counts of this moment, and the arrays."""

    camera_folder: Path
    generation: int
    state: State
    copied: Future[None]

    def run(self) -> Checkpoint:
        """Write the checkpoint; whatever happens, the arrays are released."""
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
    upkeep : Workers
        Threads that write.
    """

    def __init__(self, ledger: Ledger, upkeep: Workers) -> None:
        self._ledger = ledger
        self._upkeep = upkeep

    def begin(self, camera_id: str, running: Running) -> None:
        """Have a checkpoint written; nothing waits to be folded, none is being written."""
        if running.state is None or running.waiting or running.saving:
            raise AssertionError("not the moment for a checkpoint")
        copied: Future[None] = Future()
        folder = state_folder.camera_folder(self._ledger.folder, camera_id)
        task = _Task(folder, running.generation + 1, replace(running.state), copied)
        written = self._upkeep.submit(_Task.run, task)
        running.begin_saving(written, copied)

    def commit(self, camera_id: str, running: Running) -> None:
        """Commit the checkpoint that is being written, if one is, once it is durable.

        Raises
        ------
        OSError, LedgerError
            The disk is full or faulty; the former checkpoint still holds.
        """
        saving = running.saving
        if saving is None:
            return
        try:
            saved = self._upkeep.result(saving.written)
            with self._ledger.transaction(durable=True):
                self._ledger.images.commit_checkpoint(
                    camera_id, saved, saving.folded_to
                )
        except BaseException:
            running.end_saving(None)
            raise
        running.end_saving(saved)
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
            state_folder.camera_folder(self._ledger.folder, camera_id),
            current.generation if current else None,
            previous.generation if previous else None,
        )
