"""Loading: a camera's state from its checkpoint, or from the one before with the rest again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hotpixeld import checkpoint
from hotpixeld.errors import CheckpointError
from hotpixeld.messages import MessageId
from hotpixeld.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.again import Again
    from hotpixeld.camera import Camera
    from hotpixeld.checkpoint import Checkpoint
    from hotpixeld.config import Config
    from hotpixeld.images import Image
    from hotpixeld.ledger import Ledger
    from hotpixeld.welford import State

log = logging.getLogger(__name__)


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
