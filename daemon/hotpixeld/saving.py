"""Saving: checkpoints written by a thread of their own, committed by the ledger's.

Folding waits only until the kernel has the bytes (a copy in memory); what takes long, the
disk, is waited for beside it.  Until the ledger's transaction nothing counts.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hotpixeld import checkpoint
from hotpixeld.errors import LedgerError
from hotpixeld.messages import MessageId
from hotpixeld.running import Running, Saving

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.checkpoint import Checkpoint
    from hotpixeld.ledger import Ledger
    from hotpixeld.welford import State
    from hotpixeld.workers import Workers

log = logging.getLogger(__name__)


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
