"""The ledger's previous checkpoints: what to fall back on when the newest is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotpixeld.checkpoint import Checkpoint

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
CREATE TABLE previous_checkpoints (
  camera TEXT PRIMARY KEY REFERENCES cameras, generation INTEGER NOT NULL,
  folded_to INTEGER NOT NULL, photos INTEGER NOT NULL, weight REAL NOT NULL,
  mean_sha256 TEXT NOT NULL, m2_sha256 TEXT NOT NULL
) WITHOUT ROWID;
"""


class Generations:
    """The table `previous_checkpoints`; `Images.commit_checkpoint` fills it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def previous(self, camera_id: str) -> Checkpoint | None:
        """Return the checkpoint before the current one, if there was one."""
        row = self._connection.execute(
            "SELECT generation, photos, weight, mean_sha256, m2_sha256"
            " FROM previous_checkpoints WHERE camera = ?",
            (camera_id,),
        ).fetchone()
        return None if row is None else Checkpoint(*row)

    def fall_back(self, camera_id: str) -> int:
        """Make the previous checkpoint the current one; return how many images it lacks.

        They are pending again.  Call inside a durable transaction, and only if there is
        a previous one.
        """
        run = self._connection.execute
        (folded_to,) = run(
            "UPDATE cameras SET (generation, folded_to, photos, weight, mean_sha256,"
            " m2_sha256, mapped) = (SELECT generation, folded_to, photos, weight,"
            " mean_sha256, m2_sha256, min(cameras.mapped, photos)"
            " FROM previous_checkpoints WHERE camera = cameras.id)"
            " WHERE id = ? RETURNING folded_to",
            (camera_id,),
        ).fetchone()
        run("DELETE FROM previous_checkpoints WHERE camera = ?", (camera_id,))
        return run(
            "UPDATE images SET outcome = 'pending'"
            " WHERE camera = ? AND outcome = 'folded' AND sequence > ?",
            (camera_id, folded_to),
        ).rowcount
