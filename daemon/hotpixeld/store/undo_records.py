"""The ledger's undo records: what leads from each copy back to its original.

A record belongs to the source of the copy, and is found by the copy's bytes, wherever the
file is now.  A copy that was written anew, withdrawn, moved, deleted or edited may still
lie elsewhere as it was, so its record stays: of each source the newest few.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
CREATE TABLE undo (
  id INTEGER PRIMARY KEY, source BLOB NOT NULL,
  copy BLOB NOT NULL, original BLOB NOT NULL,  -- SHA-256 of the files
  way BLOB NOT NULL                            -- from repair.undo
);
CREATE INDEX undo_by_source ON undo (source);
CREATE INDEX undo_by_copy ON undo (copy);
"""


KEPT = 8
"""Records of a source, of its newest copies; and those of copies at former places."""


@dataclass(frozen=True, slots=True)
class UndoRecord:
    """What leads from one copy back.

    Attributes
    ----------
    source : Path
        Where the original was.
    copy, original : str
        SHA-256 of the files, in hex.
    way : bytes
        As `lossless.way_back` packs it.
    """

    source: Path
    copy: str
    original: str
    way: bytes


class UndoRecords:
    """The table `undo`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def record(self, record: UndoRecord) -> None:
        """Keep a record, in place of one of the same copy, and drop the oldest of others.

        A copy that was written anew may lie elsewhere as it was.
        """
        source, copy = os.fsencode(record.source), bytes.fromhex(record.copy)
        self._connection.execute(
            "DELETE FROM undo WHERE source = ? AND copy = ?", (source, copy)
        )
        self._connection.execute(
            "INSERT INTO undo (source, copy, original, way) VALUES (?, ?, ?, ?)",
            (source, copy, bytes.fromhex(record.original), record.way),
        )
        self._connection.execute(
            "DELETE FROM undo WHERE source = ?1 AND copy NOT IN"
            " (SELECT sha256 FROM other_copies WHERE source = ?1) AND id NOT IN"
            " (SELECT id FROM undo WHERE source = ?1 ORDER BY id DESC LIMIT ?2)",
            (source, KEPT),
        )

    def find(self, copy: str) -> UndoRecord | None:
        """Return the newest record of a copy, by its SHA-256 in hex."""
        query = "SELECT source, original, way FROM undo WHERE copy = ? ORDER BY id DESC"
        row = self._connection.execute(query, (bytes.fromhex(copy),)).fetchone()
        if row is None:
            return None
        source, original, way = row
        return UndoRecord(Path(os.fsdecode(source)), copy, original.hex(), way)

    def rename(self, source: Path, new: Path) -> None:
        """Record that the original at `source` is at `new` now."""
        self._connection.execute(
            "UPDATE undo SET source = ? WHERE source = ?",
            (os.fsencode(new), os.fsencode(source)),
        )
