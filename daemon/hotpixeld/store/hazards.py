"""Hazards: photos that may bring down the process that decodes them.

A crash in the decoder cannot be caught, so each image is marked while it is decoded: its
identity stands in a slot of a small file, which outlives the process and is never synced
(a power cut is not the decoder's doing).  What a dead process left marked is suspect, and
is tried once in a process of its own before this one decodes it.

Behind the slots lie the numbers of the images that the threads of a pass are in: compiled
code writes them, for every strip of every photo, into the mapped file.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import queue
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE hazards (
  identity BLOB PRIMARY KEY,
  reason TEXT NOT NULL                      -- how it ended; empty: not tried yet
) WITHOUT ROWID;
"""
SLOT = 32
SLOTS = 128
"""More than there are threads that decode."""
PASS_THREADS = 512
_NUMBERS = SLOT * SLOTS
"""Where the numbers begin in the file: at its second page."""
_BYTES = _NUMBERS + 8 * PASS_THREADS


class Hazards:
    """The table `hazards`, and the marks of what is being decoded now.

    One thread owns it; `under_way` alone may be called by any.

    Parameters
    ----------
    connection : sqlite3.Connection
    transaction : callable
        As `Ledger.transaction`.
    marks : Path
        The file of the marks.

    Attributes
    ----------
    threads : (`PASS_THREADS`,) uint64
        For each thread of a pass the number of the image that it is in, 0 for none.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        transaction: Callable[[], AbstractContextManager[None]],
        marks: Path,
    ) -> None:
        self._connection = connection
        self._transaction = transaction
        self._marks = marks
        self._descriptor: int | None = None
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.threads: NDArray[np.uint64] = np.zeros(PASS_THREADS, np.uint64)

    def open(self) -> None:
        """Begin to mark, after what a dead process left marked became suspect.

        Raises
        ------
        OSError, LedgerError
            The marks cannot be kept.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._marks, flags, 0o600)
        found = os.read(self._descriptor, _BYTES).ljust(_BYTES, b"\0")
        slots = {found[start : start + SLOT] for start in range(0, _NUMBERS, SLOT)}
        left = {slot for slot in slots if any(slot)}
        left |= self._of_numbers(np.frombuffer(found, "<u8", offset=_NUMBERS))
        if left:
            with self._transaction():
                for identity in left:
                    self._connection.execute(
                        "INSERT OR IGNORE INTO hazards VALUES (?, '')", (identity,)
                    )
        # Written out, not a hole: a mark needs no room on a full disk then.
        os.pwrite(self._descriptor, bytes(_BYTES), 0)
        mapped = mmap.mmap(self._descriptor, _BYTES)
        self.threads = np.frombuffer(mapped, np.uint64, offset=_NUMBERS)
        for slot in range(SLOTS):
            self._free.put(slot)

    def _of_numbers(self, numbers: NDArray[np.uint64]) -> set[bytes]:
        """Return the identities of the images of some numbers."""
        query = "SELECT identity FROM images WHERE id = ?"
        found = set()
        for number in set(numbers.tolist()) - {0}:
            if row := self._connection.execute(query, (number,)).fetchone():
                found.add(bytes(row[0]))
        return found

    def close(self) -> None:
        """Release the marks."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextlib.contextmanager
    def under_way(self, identity: str) -> Iterator[None]:
        """Mark an image, if it is known which, while the block decodes it.

        Any thread may call this.
        """
        if self._descriptor is None or not identity:
            yield
            return
        slot = self._free.get()
        try:
            self._mark(slot, bytes.fromhex(identity))
            yield
        finally:
            self._mark(slot, bytes(SLOT))
            self._free.put(slot)

    def _mark(self, slot: int, content: bytes) -> None:
        # A photo that cannot be marked is decoded all the same: hazards are rare.
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, content, slot * SLOT)

    def reason(self, identity: str, trial: Callable[[], str]) -> str:
        """Return why an image must not be decoded here, empty when it may be.

        A suspect is tried first; what comes of it is remembered.

        Parameters
        ----------
        trial : callable
            Decodes the image's file in a process of its own; returns how that dies, empty
            when it does not.  What it raises leaves the image suspect.
        """
        run = self._connection.execute
        key = (bytes.fromhex(identity),)
        row = run("SELECT reason FROM hazards WHERE identity = ?", key).fetchone()
        if row is None or row[0]:
            return str(row[0]) if row else ""
        reason = trial()
        log.info(
            "tried a photo that was being decoded in a crash: %s", reason or "fine"
        )
        with self._transaction():
            if reason:
                run("UPDATE hazards SET reason = ? WHERE identity = ?", (reason, *key))
            else:
                run("DELETE FROM hazards WHERE identity = ?", key)
        return reason
