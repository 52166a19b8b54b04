"""The ledger's copies: what was written for which photo, so that it can be recognised."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.store import tallies

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
CREATE TABLE copies (
  source BLOB PRIMARY KEY, target BLOB NOT NULL, condition TEXT NOT NULL
    CHECK (condition IN ('writing', 'written', 'withdrawn', 'deleted', 'foreign',
                         'refused')),
  sha256 BLOB, former BLOB, identity BLOB, pixels TEXT NOT NULL DEFAULT '[]',
  method TEXT NOT NULL DEFAULT '', notes TEXT NOT NULL DEFAULT '',
  rewrites INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX copies_by_identity ON copies (identity);
CREATE INDEX copies_to_look_at ON copies (source)
  WHERE notes != '' OR condition IN ('foreign', 'refused');
CREATE INDEX copies_unfinished ON copies (source) WHERE condition = 'writing';
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """The repaired copy of one source path.

    Attributes
    ----------
    source, target : Path
    condition : str
        "writing" (announced; a crash may have kept it from being written), "written",
        "withdrawn" (nothing to repair any more), "deleted" (by the user, and stays so),
        "foreign" (another file is there, or ours was edited) or "refused" (`notes`).
    sha256 : str
        Of the bytes that were written, in hex; empty when nothing ever was.
    former : str
        Of the bytes before, which a crash while "writing" leaves in place.
    identity : str
        Of the copy's own image, so that it is recognised wherever it turns up.
    pixels : tuple of (x, y)
        What was repaired in it.
    method : str
        "lossless", "reencoded", "link", "copy" or empty.
    notes : str
        What the reader of `status` should know.
    rewrites : int
        How often it was written again: its mtime is the original's plus as many seconds.
    """

    source: Path
    target: Path
    condition: str
    sha256: str = ""
    former: str = ""
    identity: str = ""
    pixels: tuple[tuple[int, int], ...] = ()
    method: str = ""
    notes: str = ""
    rewrites: int = 0


def _record(
    row: tuple[
        bytes, bytes, str, bytes | None, bytes | None, bytes | None, str, str, str, int
    ],
) -> Copy:
    source, target, condition, sha256, former, identity, pixels = row[:7]
    method, notes, rewrites = row[7:]
    return Copy(
        source=Path(os.fsdecode(source)),
        target=Path(os.fsdecode(target)),
        condition=condition,
        sha256=(sha256 or b"").hex(),
        former=(former or b"").hex(),
        identity=(identity or b"").hex(),
        pixels=tuple((x, y) for x, y in json.loads(pixels)),
        method=method,
        notes=notes,
        rewrites=rewrites,
    )


_COPY = (
    "SELECT source, target, condition, sha256, former, identity, pixels, method, notes,"
    " rewrites FROM copies "
)


class Copies:
    """The table `copies`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, source: Path) -> Copy | None:
        """Return what is known of the copy of `source`."""
        query = _COPY + "WHERE source = ?"
        row = self._connection.execute(query, (os.fsencode(source),)).fetchone()
        return None if row is None else _record(row)

    def is_own(self, identity: str) -> bool:
        """Tell whether an image with this identity is a copy that we wrote."""
        query = "SELECT 1 FROM copies WHERE identity = ? LIMIT 1"
        found = self._connection.execute(query, (bytes.fromhex(identity),)).fetchone()
        return found is not None

    def record(self, copy: Copy) -> None:
        """Keep `copy`, in place of what was known of its source's copy."""
        self._connection.execute(
            "INSERT INTO copies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET target = excluded.target,"
            " condition = excluded.condition, sha256 = excluded.sha256,"
            " former = excluded.former, identity = excluded.identity,"
            " pixels = excluded.pixels, method = excluded.method,"
            " notes = excluded.notes, rewrites = excluded.rewrites",
            (
                os.fsencode(copy.source),
                os.fsencode(copy.target),
                copy.condition,
                bytes.fromhex(copy.sha256) or None,
                bytes.fromhex(copy.former) or None,
                bytes.fromhex(copy.identity) or None,
                json.dumps(copy.pixels),
                copy.method,
                copy.notes,
                copy.rewrites,
            ),
        )

    def unfinished(self) -> list[Copy]:
        """Return the copies that were being written when the process ended."""
        query = _COPY + "WHERE condition = 'writing'"
        return [_record(row) for row in self._connection.execute(query)]

    def counts(self) -> dict[str, int]:
        """Return the number of copies by condition, and of those written by method."""
        return tallies.read(self._connection, "copy")

    def with_notes(self, limit: int) -> list[Copy]:
        """Return at most `limit` copies that carry notes or need the user's eye."""
        query = _COPY + (
            "WHERE notes != '' OR condition IN ('foreign', 'refused')"
            " ORDER BY source LIMIT ?"
        )
        return [_record(row) for row in self._connection.execute(query, (limit,))]
