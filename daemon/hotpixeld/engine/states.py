"""The cameras' Welford states: folded in sequence, checkpointed, recovered after a crash.

A camera's arrays are allocated at its 4th photo; until then its photos are pending in the
ledger and are folded from their files when the 4th comes, as after a crash.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from hotpixeld.engine.camera_state import Loader, Saver
from hotpixeld.engine.earlier_photos import EarlierPhotos
from hotpixeld.errors import CheckpointError, LedgerError
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from hotpixeld.config.model import Config
    from hotpixeld.engine.camera_state import Running
    from hotpixeld.engine.photos_under_way import Memory
    from hotpixeld.engine.workers import Workers
    from hotpixeld.statistics.welford import Frame, State
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)


Result = TypeVar("Result")

ALLOCATE_AT = 4
CHECKPOINT_PHOTOS = 32
CHECKPOINT_PHOTOS_ONCE = 256
"""In a run that is done once: what is pending is still there to be read again."""
CHECKPOINT_SECONDS = 600.0


class States:
    """The states of all cameras under one state folder; used by one thread.

    Parameters
    ----------
    memory : Memory
        Bounds the states in memory: those used least recently are saved and dropped.
    upkeep : Workers
        Threads that write checkpoints while photos go on.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        memory: Memory,
        upkeep: Workers,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._memory = memory
        self._upkeep = upkeep
        self._clock = clock
        self._saver = Saver(ledger, upkeep)
        earlier = EarlierPhotos(ledger, config.limits, memory.frames)
        self._loader = Loader(ledger, config, earlier, upkeep, clock)
        self._running: dict[str, Running] = {}  # the one used last comes last

    def running(self, camera_id: str) -> Running:
        """Return a camera's state with all that was folded; see `load` for errors."""
        running = self.load(camera_id)
        self._fold_waiting(running)
        return running

    def load(self, camera_id: str) -> Running:
        """Bring a camera's state into memory; return it with the frames that wait.

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
        if record is not None and record.checkpoint is not None:
            self._make_room(record.camera.height, record.camera.width)
        return self._loader.load(camera_id)

    def _make_room(self, height: int, width: int) -> None:
        """Save and drop the states used least recently, for one more to fit in."""
        while not self._memory.has_room_for_state(height * width):
            self._drop(next(key for key, own in self._running.items() if own.state))

    def _drop(self, camera_id: str) -> None:
        self.save(camera_id)
        self._running[camera_id].still(self._upkeep.wait)
        del self._running[camera_id]
        self._count()
        log.debug("state of %s leaves the memory to others", camera_id)

    def _count(self) -> None:
        states = (running.state for running in self._running.values())
        pixels = [state.mean[..., 0].size for state in states if state]
        self._memory.keep_states(sum(pixels))

    def tidy(self) -> None:
        """Remove what a crash left of checkpoints in the cameras' folders.

        Raises
        ------
        LedgerError
            The ledger is empty, but there are checkpoints that it must have named.
        """
        records = list(self._ledger.images.cameras())
        # The first generation may be there before the ledger is durable; others may not.
        cameras = state_folder.cameras(self._ledger.folder)
        names = [path.name for path in cameras.glob("*/*")]
        if not records and any(name.isdigit() and int(name) > 1 for name in names):
            raise LedgerError(
                f"{self._ledger.path}: is empty, but {cameras} holds"
                " checkpoints: put the ledger back from a backup, or move both away to"
                " begin anew"
            )
        for record in records:
            self._saver.tidy(record.camera.id, record.checkpoint)

    def photos(self, camera_id: str) -> int:
        """Return how many photos a camera's state holds, without loading it."""
        running = self._running.get(camera_id)
        if running is not None:
            folded = running.state.photos if running.state else 0
            return folded + len(running.waiting)
        record = self._ledger.images.camera(camera_id)
        return record.photos if record else 0

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
                    self._loader.fold_again(running, earlier)
        running.add(frame, image.sequence, self._clock())

    def read(self, camera_id: str, work: Callable[[State], Result]) -> Future[Result]:
        """Let the upkeep thread do `work` on a camera's state; nothing is folded meanwhile.

        Raises
        ------
        CheckpointError
            As `load`; also where there is no state yet.
        """
        running = self.running(camera_id)
        if running.state is None:
            raise CheckpointError(f"{camera_id}: no state that could be read")
        future = self._upkeep.submit(work, running.state)
        running.add_reader(future)
        return future

    def _allocate(self, running: Running, height: int, width: int) -> None:
        self._make_room(height, width)
        running.allocate(height, width)
        self._count()

    def fold_waiting(self, image: Image) -> None:
        """Fold an image, if it waits, and all others of its camera that wait.

        While the state is read it may go on waiting, if others have room beside it.
        """
        running = self._running.get(image.camera)
        if not running or not running.waiting or running.waiting[0][0] > image.sequence:
            return
        size = running.waiting[0][1].nbytes
        if running.is_read and self._memory.has_room(2 * size):
            running.hold(size)
            self._memory.take(size)
        else:
            self._fold_waiting(running)

    def _fold_waiting(self, running: Running) -> None:
        if running.state is not None and running.waiting:
            running.still(self._upkeep.wait)
            running.fold(self._config.detection.memory)
            self._memory.take(-running.held)
            running.hold(-running.held)

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
                self._loader.fold_again(running, image)
                again += 1
        return again

    def due(self, now: float, *, once: bool = False) -> list[str]:
        """Return the cameras whose checkpoint is due."""
        most = CHECKPOINT_PHOTOS_ONCE if once else CHECKPOINT_PHOTOS
        return [
            camera_id
            for camera_id, running in self._running.items()
            if running.unsaved >= most
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

    def begin_all(self) -> None:
        """Begin a checkpoint of every camera that is ahead of its last one."""
        for camera_id in self._running:
            self.begin_save(camera_id)

    @property
    def is_saving(self) -> bool:
        """Return whether a checkpoint is being written."""
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

    def drop_all(self) -> None:
        """Save and drop all states, to free their memory."""
        for camera_id in list(self._running):
            self._drop(camera_id)

    def save_all(self) -> None:
        """Take a checkpoint of every camera that is ahead of its last one."""
        for camera_id in list(self._running):
            self.save(camera_id)
