"""The ledger: which photo was seen where, what became of it, and what is durable.

One SQLite file (WAL), so that one transaction commits all.  It is the single commit
point: a checkpoint counts once `Images.commit_checkpoint` names its generation and marks
the images that it holds as folded; until then they are pending, and are folded again.
Each table has a module of its own: images, paths, copies, defects, samples.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from hotpixeld import copies, defects, images, paths, samples
from hotpixeld.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 1
SCHEMA = images.SCHEMA + paths.SCHEMA + copies.SCHEMA + defects.SCHEMA + samples.SCHEMA


class Ledger:
    """The ledger of one state folder; used by one thread.

    Raises
    ------
    LedgerError
        The file is damaged, or was written by a newer hotpixeld.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        try:
            self.connection = self._open(read_only=read_only)
            self._check_version(read_only=read_only)
            self.images = images.Images(self.connection)
            self.paths = paths.Paths(self.connection)
            self.copies = copies.Copies(self.connection)
            self.defects = defects.Defects(self.connection)
            self.samples = samples.SampleTables(self.connection)
        except sqlite3.Error as error:
            raise LedgerError(f"{path}: cannot be used: {error}") from error

    def _open(self, *, read_only: bool) -> sqlite3.Connection:
        """Connect; the daemon's writes are durable with the next checkpoint."""
        if read_only:
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        else:
            connection = sqlite3.connect(self.path, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 10000")
        return connection

    def _check_version(self, *, read_only: bool) -> None:
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return
        if version > VERSION:
            raise LedgerError(
                f"{self.path}: written by a newer hotpixeld (schema {version}, this one"
                f" knows {VERSION}): upgrade hotpixeld, or name another --state"
            )
        if read_only:
            raise LedgerError(f"{self.path}: not a ledger yet")
        with self.transaction():
            for statement in SCHEMA.split(";\n"):
                self.connection.execute(statement)
            self.connection.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Close the file; what was written stays."""
        self.connection.close()

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Commit what the block writes, or none of it.

        Parameters
        ----------
        durable : bool
            Also survive a power cut: the log is synced to disk.

        Raises
        ------
        LedgerError
            SQLite refused: the disk is full or faulty, or the file is damaged.
        """
        level = "FULL" if durable else "NORMAL"
        try:
            self.connection.execute(f"PRAGMA synchronous = {level}")
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
            raise LedgerError(f"{self.path}: {error}") from error
