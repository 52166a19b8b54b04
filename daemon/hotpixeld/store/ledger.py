"""The ledger: which photo was seen where, what became of it, and what is durable.

One SQLite file (WAL), so that one transaction commits all.  It is the single commit
point: a generation counts once `Images.commit_generation` names it and marks the images
that it holds as folded; until then they are pending.
The tables themselves are in `images`, `fingerprints`, `paths`, `copies`, `undo_records`,
`evidence_tables`, `events`, `hazards` and `primed`.
An older file is brought up to them by `STEPS`, one for each version.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Any

from hotpixeld.errors import LedgerError, said, said_by_sqlite
from hotpixeld.store import (
    copies,
    events,
    evidence_tables,
    fingerprints,
    hazards,
    images,
    paths,
    primed,
    state_folder,
    undo_records,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEEP_A_GENERATION = """
CREATE TABLE previous_checkpoints (
  camera TEXT PRIMARY KEY REFERENCES cameras, generation INTEGER NOT NULL,
  folded_to INTEGER NOT NULL, photos INTEGER NOT NULL, weight REAL NOT NULL,
  mean_sha256 TEXT NOT NULL, m2_sha256 TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE hazards (
  identity BLOB PRIMARY KEY,
  reason TEXT NOT NULL                      -- how it ended; empty: not tried yet
) WITHOUT ROWID;
"""
_COUNT = """
INSERT INTO tallies
  SELECT 'image', camera, outcome, count(*) FROM images GROUP BY camera, outcome;
INSERT INTO tallies SELECT 'path', '', outcome, count(*) FROM paths GROUP BY outcome;
INSERT INTO tallies
  SELECT 'copy', '', iif(condition = 'written', method, condition), count(*)
  FROM copies GROUP BY 3;
DROP INDEX paths_by_outcome;
CREATE INDEX paths_with_reason ON paths (outcome, folder, name)
  WHERE outcome IN ('failed', 'waiting', 'skipped');
CREATE INDEX paths_by_repair ON paths (repaired_with, image);
CREATE INDEX copies_to_look_at ON copies (source)
  WHERE notes != '' OR condition IN ('foreign', 'refused');
CREATE INDEX copies_unfinished ON copies (source) WHERE condition = 'writing';
CREATE INDEX images_by_camera ON images (camera, id);
"""
# Several lives of one pixel.
_LIVES = """
ALTER TABLE defects RENAME TO former_defects;
CREATE TABLE defects (
  camera TEXT NOT NULL REFERENCES cameras, row INTEGER NOT NULL, col INTEGER NOT NULL,
  verdict TEXT NOT NULL                     -- JSON of the rest of defect.Defect
);
CREATE INDEX defects_by_camera ON defects (camera, row, col);
INSERT INTO defects SELECT * FROM former_defects;
DROP TABLE former_defects;
"""

_ALIASES = """
CREATE TABLE aliases (
  id TEXT PRIMARY KEY, camera TEXT NOT NULL REFERENCES cameras
) WITHOUT ROWID;
"""

# These samples hold other numbers: the photos are sampled again from their files.
_SAMPLE_AGAIN = """
DELETE FROM samples;
DELETE FROM suspects;
"""

# How many there are, the next map says, which is due at once.
_COUNT_SCENES = """
ALTER TABLE cameras ADD COLUMN scenes REAL NOT NULL DEFAULT 0;
UPDATE cameras SET mapped = 0;
"""

# How a photo was taken is known at admission: passes need not read it from the file.
_PASSES = """
ALTER TABLE cameras ADD COLUMN pass_photos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN exposure_seconds REAL;
ALTER TABLE images ADD COLUMN iso INTEGER;
ALTER TABLE images ADD COLUMN focal_mm REAL;
ALTER TABLE images ADD COLUMN admitted REAL NOT NULL DEFAULT 0;
UPDATE images SET (exposure_seconds, iso, focal_mm) = (
  SELECT exposure_seconds, iso, focal_mm FROM samples WHERE image = images.id
);
"""

# They count as new from now on: when they came was not kept.
_ADMITTED = """
UPDATE images SET admitted = CAST(strftime('%s', 'now') AS REAL)
  WHERE admitted = 0;
"""
_FORMER_COPIES = "ALTER TABLE copies ADD COLUMN original BLOB;" + copies.OTHER_COPIES
_UNLEARNED = "ALTER TABLE images ADD COLUMN unlearned INTEGER NOT NULL DEFAULT 0;"
_MAPPED_BY = "ALTER TABLE cameras ADD COLUMN mapped_by TEXT NOT NULL DEFAULT '';"

# Known of photos that are admitted, or sampled again, from now on.
_CELSIUS = """
ALTER TABLE images ADD COLUMN celsius REAL;
ALTER TABLE samples ADD COLUMN celsius REAL;
"""

# The next map says of which photos that is so.
_SUPPRESSED = "ALTER TABLE images ADD COLUMN suppressed INTEGER NOT NULL DEFAULT 0;"

# Photos that were admitted before have no lens, and are bins of their own.
_LENS = """
ALTER TABLE images ADD COLUMN lens TEXT NOT NULL DEFAULT '';
ALTER TABLE suspects ADD COLUMN corrections TEXT NOT NULL DEFAULT '';
"""

STEPS = (
    # The tallies have not changed since.
    _KEEP_A_GENERATION + images.TALLIES + _COUNT + _LIVES + _ALIASES,
    _SAMPLE_AGAIN,
    _COUNT_SCENES,
    undo_records.SCHEMA,
    _PASSES,
    _ADMITTED,
    _FORMER_COPIES,
    _UNLEARNED,
    paths.FOLDER_FAULTS,
    fingerprints.SCHEMA,
    _MAPPED_BY,
    _CELSIUS,
    paths.BY_SIZE,
    _SUPPRESSED,
    events.SCHEMA,
    _LENS,
    primed.SCHEMA,
)
"""SQL that brings a ledger from version 1 to 2, from 2 to 3, and so on."""
VERSION = len(STEPS) + 1
"""Of the ledgers that this hotpixeld writes, as SQLite's user_version."""


def statements(script: str) -> Iterator[str]:
    """Yield the statements of an SQL script, one by one.

    >>> list(statements("CREATE TABLE a (b); DROP TABLE a;"))
    ['CREATE TABLE a (b);', 'DROP TABLE a;']
    """
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if statement.strip() != ";" and sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""


SCHEMA = (
    "".join(
        module.SCHEMA
        for module in (
            images,
            fingerprints,
            paths,
            copies,
            undo_records,
            evidence_tables,
            hazards,
            events,
            primed,
        )
    )
    + images.TALLIES
    + paths.FOLDER_FAULTS
    + paths.BY_SIZE
)
"""What a new ledger holds, of version `VERSION`."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Ledger]:
    """Hold a state folder, with its ledger open for writing.

    Raises
    ------
    StateInUseError
        Another process holds it.
    LedgerError
        The ledger cannot be used.
    OSError
        The folder cannot be used.
    """
    lock = state_folder.lock(folder)
    try:
        ledger = Ledger(state_folder.ledger_file(folder))
        try:
            yield ledger
        finally:
            ledger.close()
    finally:
        os.close(lock)


class _Rows(sqlite3.Cursor):
    """Rows that are read as they are asked for, and fail with our own error."""

    connection: _Connection

    def __next__(self) -> Any:
        """Return the next row."""
        try:
            return super().__next__()
        except sqlite3.Error as error:
            raise self.connection.error(error) from error

    def fetchone(self) -> Any:
        """Return the next row, None when there are no more."""
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise self.connection.error(error) from error

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            raise self.connection.error(error) from error


class _Connection(sqlite3.Connection):
    """A connection whose statements fail with our own error."""

    path: Path

    def error(self, error: sqlite3.Error) -> LedgerError:
        """Return our own for what SQLite says."""
        return LedgerError(said_by_sqlite(error, self.path))

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Execute one statement.

        Raises
        ------
        LedgerError
            SQLite refused: the disk is full or faulty, or the file is damaged; also
            raised by the rows, as they are read.
        """
        try:
            return self.cursor(_Rows).execute(sql, parameters)
        except sqlite3.Error as error:
            raise self.error(error) from error


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
        except sqlite3.Error as error:
            raise LedgerError(said_by_sqlite(error, path)) from error
        try:
            self._bring_up_to_date(read_only=read_only)
        except BaseException:
            # A connection that lingers until it is collected holds the ledger's files: what
            # this process opens later at their path would be read through its old index.
            self.connection.close()
            raise
        self.aliases = images.Aliases(self.connection)
        self.images = images.Images(self.connection)
        self.generations = images.Generations(self.connection)
        self.fingerprints = fingerprints.Fingerprints(self.connection)
        self.events = events.Events(self.connection)
        self.paths = paths.Paths(self.connection, self.events)
        self.copies = copies.Copies(self.connection)
        self.other_copies = copies.OtherCopies(self.connection)
        self.folder_faults = paths.FolderFaults(self.connection, self.events)
        self.undo = undo_records.UndoRecords(self.connection)
        self.defects = evidence_tables.Defects(self.connection)
        self.samples = evidence_tables.SampleTables(self.connection)
        self.primed = primed.PrimedPixels(self.connection)
        self.hazards = hazards.Hazards(
            self.connection,
            self.transaction,
            state_folder.hazard_marks(path.parent),
        )

    @property
    def folder(self) -> Path:
        """Return the state folder; see `state_folder` for what lies there."""
        return self.path.parent

    def _open(self, *, read_only: bool) -> _Connection:
        """Connect; the daemon's writes are durable with the next generation."""
        mode = "ro" if read_only else "rwc"
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, factory=_Connection
        )
        connection.path = self.path
        try:
            connection.execute("PRAGMA busy_timeout = 10000")
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _bring_up_to_date(self, *, read_only: bool) -> None:
        """Create the tables, or change older ones into what they are now."""
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return
        if version > VERSION:
            raise LedgerError(
                f"{self.path}: written by a newer hotpixeld (schema {version}, this one"
                f" knows {VERSION}): upgrade hotpixeld, or name another"
                " --state"
            )
        if read_only:
            was = f"written by an older hotpixeld (schema {version})"
            raise LedgerError(
                f"{self.path}: {was if version else 'not a ledger yet'}: start"
                " `hotpixeld run` on it first"
            )
        steps = STEPS[version - 1 :] if version else (SCHEMA,)
        with self.transaction(durable=True):
            for step in steps:
                for statement in statements(step):
                    self.connection.execute(statement)
            self.connection.execute(f"PRAGMA user_version = {VERSION}")

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
            run(f"PRAGMA user_version = {VERSION}")
            busy, *_ = run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise LedgerError(f"{self.path}: its log is being read")
        self._is_log_doubtful = False

    def sync(self) -> None:
        """Make durable what others committed and can be read here, before it is told.

        A commit that is not `durable` may be gone after a power cut, but never after this.

        Raises
        ------
        LedgerError
            The disk is faulty.
        """
        # SQLite syncs what it moves from its log into the ledger's file.  That one must not be
        # opened here: closing it again would end the locks that SQLite holds on it.
        log = self.path.with_name(f"{self.path.name}-wal")
        try:
            descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LedgerError(said(error)) from error
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise LedgerError(said(error, log)) from error
        finally:
            os.close(descriptor)

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
        if self._is_log_doubtful:  # a commit would sync it again
            self.renew_log()
        try:
            self.connection.execute(f"PRAGMA synchronous = {level}")
            self.connection.execute("BEGIN IMMEDIATE")
            yield
            self._commit()
        except sqlite3.Error as error:
            raise LedgerError(said_by_sqlite(error, self.path)) from error
        finally:
            # Also after a COMMIT that failed: SQLite may have left the transaction open.
            if self.connection.in_transaction:
                with contextlib.suppress(LedgerError):
                    self.connection.execute("ROLLBACK")
