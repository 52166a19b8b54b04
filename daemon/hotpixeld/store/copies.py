"""The ledger's copies: what was written for which photo, so that it can be recognised.

A copy belongs to the path of its source, and each source has one: `Copies`.  What else of
ours may lie about is in `OtherCopies`: copies at places that are not configured any more,
and those that a command wrote elsewhere.
"""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.camera import Bin
from hotpixeld.store.images import counts
from hotpixeld.store.paths import Told, tally

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

OTHER_COPIES = """
CREATE TABLE other_copies (
  target BLOB PRIMARY KEY, source BLOB NOT NULL, condition TEXT NOT NULL
    CHECK (condition IN ('former', 'renamed', 'edited', 'by hand')),
  sha256 BLOB NOT NULL, identity BLOB, original BLOB, pixels TEXT NOT NULL,
  method TEXT NOT NULL, rewrites INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX other_copies_by_source ON other_copies (source);
CREATE INDEX other_copies_by_identity ON other_copies (identity);
CREATE INDEX other_copies_by_condition ON other_copies (condition, target);
CREATE TABLE places (                       -- of the configuration that was used last
  number INTEGER PRIMARY KEY, folder BLOB NOT NULL, repaired BLOB NOT NULL,
  name TEXT NOT NULL
);
"""
SCHEMA = (
    """
CREATE TABLE copies (
  source BLOB PRIMARY KEY, target BLOB NOT NULL, condition TEXT NOT NULL
    CHECK (condition IN ('writing', 'written', 'withdrawn', 'deleted', 'foreign',
                         'refused')),
  sha256 BLOB, former BLOB, identity BLOB, pixels TEXT NOT NULL DEFAULT '[]',
  method TEXT NOT NULL DEFAULT '', notes TEXT NOT NULL DEFAULT '',
  rewrites INTEGER NOT NULL DEFAULT 0,
  original BLOB                             -- identity of the photo that it is of
) WITHOUT ROWID;
CREATE INDEX copies_by_identity ON copies (identity);
CREATE INDEX copies_to_look_at ON copies (source)
  WHERE notes != '' OR condition IN ('foreign', 'refused');
CREATE INDEX copies_unfinished ON copies (source) WHERE condition = 'writing';
"""
    + OTHER_COPIES
)


@dataclass(frozen=True, slots=True)
class Copy:
    """The repaired copy of one source path.

    Attributes
    ----------
    source, target : Path
    condition : str
        Of the current copy of its source: "writing" (announced; a crash may have kept it
        from being written), "written", "withdrawn" (nothing to repair any more), "deleted"
        (by the user, and stays so), "foreign" (another file is there, or ours was edited)
        or "refused" (`notes`).  Of another one: "former" (as written, at a place that is
        not configured any more), "renamed" (likewise, as its source was renamed), "edited"
        (likewise, but not as written any more) or "by hand" (that a command wrote).
    sha256 : str
        Of the bytes that were written, in hex; empty when nothing ever was.
    former : str
        Of the bytes before, which a crash while "writing" leaves in place.
    identity : str
        Of the copy's own image, so that it is recognised wherever it turns up.
    original : str
        Identity of the photo that it is a copy of; empty where an older version wrote it.
    pixels : tuple of (x, y)
        What was repaired in it.
    method : str
        "lossless", "reencoded", "link", "copy", "by hand" or empty.
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
    original: str = ""
    pixels: tuple[tuple[int, int], ...] = ()
    method: str = ""
    notes: str = ""
    rewrites: int = 0

    @property
    def is_plain(self) -> bool:
        """Return whether it is the photo itself: nothing showed, or no bit changed."""
        return self.method in {"link", "copy"} or "" != self.identity == self.original

    def is_of(self, original: str) -> bool:
        """Return whether it is a copy of the photo with this identity, as far as known."""
        return self.original in {"", original}


_Hash = bytes | None
_COLUMNS = (
    "SELECT source, target, condition, sha256, identity, original, pixels, method,"
    " rewrites"
)


@functools.lru_cache(maxsize=256)
def _pixels(text: str) -> tuple[tuple[int, int], ...]:
    """Return the x, y of a column: many copies have the same."""
    return tuple((x, y) for x, y in json.loads(text))


_COPY = _COLUMNS + ", former, notes FROM copies "
_OTHER = _COLUMNS + ", NULL, '' FROM other_copies "


def _copy(
    row: tuple[bytes, bytes, str, _Hash, _Hash, _Hash, str, str, int, _Hash, str],
) -> Copy:
    source, target, condition, sha256, identity, original, pixels = row[:7]
    method, rewrites, former, notes = row[7:]
    return Copy(
        source=Path(os.fsdecode(source)),
        target=Path(os.fsdecode(target)),
        condition=condition,
        sha256=(sha256 or b"").hex(),
        former=(former or b"").hex(),
        identity=(identity or b"").hex(),
        original=(original or b"").hex(),
        pixels=_pixels(pixels),
        method=method,
        notes=notes,
        rewrites=rewrites,
    )


def _values(copy: Copy) -> tuple[object, ...]:
    """Return the values of the columns that both tables have."""
    return (
        os.fsencode(copy.source),
        os.fsencode(copy.target),
        copy.condition,
        bytes.fromhex(copy.sha256) or None,
        bytes.fromhex(copy.identity) or None,
        bytes.fromhex(copy.original) or None,
        json.dumps(copy.pixels),
        copy.method,
        copy.rewrites,
    )


_TO_LOOK_AT = "(notes != '' OR condition IN ('foreign', 'refused'))"


class Copies:
    """The table `copies`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, source: Path) -> Copy | None:
        """Return what is known of the copy of `source`."""
        query = _COPY + "WHERE source = ?"
        row = self._connection.execute(query, (os.fsencode(source),)).fetchone()
        return None if row is None else _copy(row)

    def is_own(self, identity: str) -> bool:
        """Return whether an image with this identity is a copy that we wrote.

        Where a repair changed no bit, it is the photo.
        """
        query = (
            "SELECT 1 FROM copies WHERE identity = ?1 AND identity IS NOT original"
            " UNION ALL SELECT 1 FROM other_copies"
            " WHERE identity = ?1 AND identity IS NOT original LIMIT 1"
        )
        found = self._connection.execute(query, (bytes.fromhex(identity),)).fetchone()
        return found is not None

    def with_identity(self, identity: str) -> Copy | None:
        """Return a copy whose image is this one, a current one first."""
        wanted = (bytes.fromhex(identity),)
        for query in (_COPY, _OTHER):
            row = self._connection.execute(query + "WHERE identity = ? LIMIT 1", wanted)
            if (found := row.fetchone()) is not None:
                return _copy(found)
        return None

    def with_sha256(self, sha256: str) -> Copy | None:
        """Return a copy whose bytes have this SHA-256; looks through all of them."""
        query = _COPY + "WHERE sha256 = ?"
        row = self._connection.execute(query, (bytes.fromhex(sha256),)).fetchone()
        return None if row is None else _copy(row)

    def record(self, copy: Copy) -> None:
        """Keep `copy`, in place of what was known of its source's copy."""
        self._connection.execute(
            "INSERT INTO copies (source, target, condition, sha256, identity, original,"
            " pixels, method, rewrites, former, notes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET target = excluded.target,"
            " condition = excluded.condition, sha256 = excluded.sha256,"
            " former = excluded.former, identity = excluded.identity,"
            " original = excluded.original, pixels = excluded.pixels,"
            " method = excluded.method, notes = excluded.notes,"
            " rewrites = excluded.rewrites",
            (*_values(copy), bytes.fromhex(copy.former) or None, copy.notes),
        )

    def forget(self, source: Path) -> None:
        """Drop what is known of the copy of `source`."""
        query = "DELETE FROM copies WHERE source = ?"
        self._connection.execute(query, (os.fsencode(source),))

    def targets(self) -> Iterator[tuple[str, str]]:
        """Yield the paths of source and target of every copy, as text: there are many."""
        for source, target in self._connection.execute(
            "SELECT source, target FROM copies"
        ):
            yield os.fsdecode(source), os.fsdecode(target)

    def repaired(
        self, camera_id: str
    ) -> Iterator[tuple[int, Bin, tuple[tuple[int, int], ...]]]:
        """Yield for each repaired copy of a camera's photos image id, bin and x, y repaired.

        These are pixels of the photo, which its lens correction may have moved.

        Copies that an older version wrote, which name no photo, are left out.
        """
        rows = self._connection.execute(
            "SELECT images.id, lens, focal_mm, pixels FROM images JOIN copies"
            " ON copies.original = images.identity WHERE camera = ?"
            " AND condition = 'written' AND pixels != '[]' ORDER BY images.sequence",
            (camera_id,),
        )
        for image, lens, focal, pixels in rows:
            yield image, Bin.of(lens, focal), _pixels(pixels)

    def unfinished(self) -> list[Copy]:
        """Return the copies that were being written when the process ended."""
        query = _COPY + "WHERE condition = 'writing'"
        return [_copy(row) for row in self._connection.execute(query)]

    def counts(self) -> dict[str, int]:
        """Return the number of copies by condition, and of those written by method."""
        return counts(self._connection, "copy")

    def written(self) -> int:
        """Return how many copies there are."""
        counted = self.counts()
        return sum(
            counted.get(how, 0)
            for how in ("lossless", "reencoded", "link", "copy", "by hand")
        )

    def with_notes(self, limit: int | None) -> list[Copy]:
        """Return at most `limit` copies that carry notes or need the user's eye."""
        query = _COPY + f"WHERE {_TO_LOOK_AT} ORDER BY source LIMIT ?"
        rows = self._connection.execute(query, (-1 if limit is None else limit,))
        return [_copy(row) for row in rows]

    def count_with_notes(self) -> int:
        """Return how many copies `with_notes` has without a limit."""
        query = f"SELECT count(*) FROM copies WHERE {_TO_LOOK_AT}"  # noqa: S608 - ours
        (count,) = self._connection.execute(query).fetchone()
        return int(count)

    def told(self, most: int) -> list[Told]:
        """Return how many of the copies of `with_notes` have each note, and a few of each."""
        query = (
            "SELECT condition, notes, target FROM copies"  # noqa: S608 - a constant
            f" WHERE {_TO_LOOK_AT} ORDER BY source"
        )
        return tally(self._connection.execute(query), most)


class OtherCopies:
    """The tables `other_copies`, by where they are, and `places`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, target: Path) -> Copy | None:
        """Return what is known of another copy at `target`."""
        query = _OTHER + "WHERE target = ?"
        row = self._connection.execute(query, (os.fsencode(target),)).fetchone()
        return None if row is None else _copy(row)

    def of(self, source: Path) -> list[Copy]:
        """Return the other copies of a photo."""
        query = _OTHER + "WHERE source = ? ORDER BY target"
        rows = self._connection.execute(query, (os.fsencode(source),))
        return [_copy(row) for row in rows]

    def former(self, limit: int = -1) -> list[Copy]:
        """Return the copies at former places, at most `limit`, by place."""
        query = _OTHER + (
            "WHERE condition IN ('former', 'renamed') ORDER BY target LIMIT ?"
        )
        return [_copy(row) for row in self._connection.execute(query, (limit,))]

    def count_former(self) -> int:
        """Return how many copies are at former places."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM other_copies WHERE condition IN ('former', 'renamed')"
        ).fetchone()
        return int(count)

    def count_edited(self) -> int:
        """Return how many copies `edited` has without a limit."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM other_copies WHERE condition = 'edited'"
        ).fetchone()
        return int(count)

    def edited(self, limit: int | None) -> list[Copy]:
        """Return at most `limit` of those at former places that were edited there."""
        query = _OTHER + "WHERE condition = 'edited' ORDER BY target LIMIT ?"
        rows = self._connection.execute(query, (-1 if limit is None else limit,))
        return [_copy(row) for row in rows]

    def record(self, copy: Copy) -> None:
        """Keep `copy`, in place of what was known of its target."""
        self._connection.execute(
            "INSERT OR REPLACE INTO other_copies (source, target, condition, sha256,"
            " identity, original, pixels, method, rewrites)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _values(copy),
        )

    def forget(self, target: Path) -> None:
        """Drop what is known of `target`: it is gone, or the current copy."""
        query = "DELETE FROM other_copies WHERE target = ?"
        self._connection.execute(query, (os.fsencode(target),))

    def places(self) -> list[tuple[Path, Path, str]]:
        """Return the folders that were watched last: path, folder for copies, name."""
        query = "SELECT folder, repaired, name FROM places ORDER BY number"
        return [
            (Path(os.fsdecode(folder)), Path(os.fsdecode(repaired)), name)
            for folder, repaired, name in self._connection.execute(query)
        ]

    def set_places(self, places: list[tuple[Path, Path, str]]) -> None:
        """Keep the folders that are watched from now on.

        Call inside a transaction.
        """
        run = self._connection.execute
        run("DELETE FROM places")
        for number, (folder, repaired, name) in enumerate(places):
            values = (number, os.fsencode(folder), os.fsencode(repaired), name)
            run("INSERT INTO places VALUES (?, ?, ?, ?)", values)
