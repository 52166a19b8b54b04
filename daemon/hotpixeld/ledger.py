"""The ledger: which photo was seen where, what became of it, and what is durable.

One SQLite file (WAL), so that one transaction commits all.  It is the single commit
point: a checkpoint counts once `Images.commit_checkpoint` names its generation and marks
the images that it holds as folded; until then they are pending, and are folded again.
Each table has a module of its own: images, generations, paths, copies, defects,
samples, hazards; `migrations` brings an older file up to them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from hotpixeld import (
    aliases,
    copies,
    defects,
    generations,
    hazards,
    images,
    migrations,
    paths,
    samples,
    tallies,
)
from hotpixeld.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = "".join(
    module.SCHEMA
    for module in (
        *(images, aliases, generations, paths, copies, defects, samples, hazards),
        tallies,
    )
)
"""What a new ledger holds: `migrations.VERSION`."""


class _Connection(sqlite3.Connection):
    """A connection whose statements fail with our own error."""

    path: Path

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Execute one statement.

        Raises
        ------
        LedgerError
            SQLite refused: the disk is full or faulty, or the file is damaged.
        """
        try:
            return super().execute(sql, parameters)
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: cannot be used: {error}") from error


class Ledger:
    """The ledger of one state folder; used by one thread.

    Raises
    ------
    LedgerError
        The file is damaged, or was written by a newer hotpixeld.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._is_log_doubtful = False
        try:
            self.connection = self._open(read_only=read_only)
            self._bring_up_to_date(read_only=read_only)
            self.aliases = aliases.Aliases(self.connection)
            self.images = images.Images(self.connection)
            self.generations = generations.Generations(self.connection)
            self.paths = paths.Paths(self.connection)
            self.copies = copies.Copies(self.connection)
            self.defects = defects.Defects(self.connection)
            self.samples = samples.SampleTables(self.connection)
            self.hazards = hazards.Hazards(
                self.connection, self.transaction, path.with_name("under-way")
            )
        except sqlite3.Error as error:
            raise LedgerError(f"{path}: cannot be used: {error}") from error

    def _open(self, *, read_only: bool) -> _Connection:
        """Connect; the daemon's writes are durable with the next checkpoint."""
        mode = "ro" if read_only else "rwc"
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, factory=_Connection
        )
        connection.path = self.path
        connection.execute("PRAGMA busy_timeout = 10000")
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _bring_up_to_date(self, *, read_only: bool) -> None:
        """Create the tables, or change older ones into what they are now."""
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version == migrations.VERSION:
            return
        if version > migrations.VERSION:
            raise LedgerError(
                f"{self.path}: written by a newer hotpixeld (schema {version}, this one"
                f" knows {migrations.VERSION}): upgrade hotpixeld, or name another"
                " --state"
            )
        if read_only:
            was = f"written by an older hotpixeld (schema {version})"
            raise LedgerError(
                f"{self.path}: {was if version else 'not a ledger yet'}: start"
                " `hotpixeld run` on it first"
            )
        steps = migrations.STEPS[version - 1 :] if version else (SCHEMA,)
        with self.transaction(durable=True):
            for step in steps:
                for statement in migrations.statements(step):
                    self.connection.execute(statement)
            self.connection.execute(f"PRAGMA user_version = {migrations.VERSION}")

    def renew_log(self) -> None:
        """Move all of SQLite's log into the ledger's file, after a failed write.

        A failed sync may have dropped what the log still shows (see `files.replacing`),
        and the next one would report success.  So the log is not synced again: what it
        shows is written anew, into the other file, and the log begins from nothing.

        Raises
        ------
        LedgerError
            The disk is still full or faulty, or somebody reads the log right now.
        """
        run = self.connection.execute
        for level in ("OFF", "FULL"):
            run(f"PRAGMA synchronous = {level}")
            # Something to write, so that the second round syncs what the first wrote.
            run(f"PRAGMA user_version = {migrations.VERSION}")
            busy, *_ = run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise LedgerError(f"{self.path}: its log is being read")
        self._is_log_doubtful = False

    def close(self) -> None:
        """Close the file; what was written stays."""
        self.hazards.close()
        if self._is_log_doubtful:  # closing would sync it again
            with contextlib.suppress(LedgerError):
                self.renew_log()
        self.connection.close()

    def _commit(self) -> None:
        try:
            self.connection.execute("COMMIT")
        except LedgerError:
            self._is_log_doubtful = True
            raise

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
            yield
            self._commit()
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: cannot be used: {error}") from error
        finally:
            # Also after a COMMIT that failed: SQLite may have left the transaction open.
            if self.connection.in_transaction:
                with contextlib.suppress(LedgerError):
                    self.connection.execute("ROLLBACK")
