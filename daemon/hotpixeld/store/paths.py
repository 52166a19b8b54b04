"""The ledger's paths: what became of every file ever seen as a candidate."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hotpixeld.files import Signature
from hotpixeld.messages import EventKind
from hotpixeld.store.images import counts
from hotpixeld.watch.walk import Closed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable, Mapping

    from hotpixeld.store.events import Events

Item = TypeVar("Item")

SCHEMA = """
CREATE TABLE paths (
  folder BLOB NOT NULL, name BLOB NOT NULL,
  outcome TEXT NOT NULL
    CHECK (outcome IN ('image', 'duplicate', 'skipped', 'failed', 'waiting')),
  reason TEXT NOT NULL DEFAULT '', image INTEGER REFERENCES images,
  inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
  repaired_with TEXT,                       -- the pixel list it was last checked against
  PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE INDEX paths_by_image ON paths (image);
CREATE INDEX paths_with_reason ON paths (outcome, folder, name)
  WHERE outcome IN ('failed', 'waiting', 'skipped');
CREATE INDEX paths_by_repair ON paths (repaired_with, image);
"""

_LEFT_COPY = (
    "outcome = 'skipped' AND CAST(folder || '/' || name AS BLOB)"
    " IN (SELECT target FROM other_copies WHERE condition != 'edited')"
)
"""Whether a path was skipped where a copy of ours was left: it is told as such."""

BY_SIZE = "CREATE INDEX paths_by_size ON paths (size) WHERE outcome = 'image';"
"""For `largest`, which every start asks, of a million photos too."""

FOLDER_FAULTS = """
CREATE TABLE folder_faults (
  path BLOB NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (path, reason)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class PathRecord:
    """What became of one path.

    Attributes
    ----------
    path : Path
    outcome : str
        "image" (its image's outcome counts), "duplicate", "skipped", "failed" or
        "waiting".
    reason : str
        Why it was skipped, failed or waits; else empty.
    image : int or None
        The image that the path holds, as `Image.id`.
    signature : Signature or None
        Of the file when it was looked at.
    repaired_with : str or None
        The pixel list that the photo was last checked against; None is none yet.
    """

    path: Path
    outcome: str
    reason: str
    image: int | None
    signature: Signature | None
    repaired_with: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """How many things came to one outcome for one reason, and a few of them.

    Attributes
    ----------
    outcome, reason : str
    count : int
    paths : tuple of Path
    """

    outcome: str
    reason: str
    count: int
    paths: tuple[Path, ...]


def tally(rows: Iterable[tuple[str, str, bytes]], most: int) -> list[Told]:
    """Return how many paths have each outcome and reason, and the first of them.

    Parameters
    ----------
    rows : iterable of (str, str, bytes)
        Outcome, reason and path.
    most : int
        Paths that are named of each.

    >>> tally([("failed", "empty", b"/a"), ("failed", "empty", b"/b")], 1)
    [Told(outcome='failed', reason='empty', count=2, paths=(PosixPath('/a'),))]
    """
    counts_: dict[tuple[str, str], int] = {}
    named: dict[tuple[str, str], list[bytes]] = {}
    for outcome, reason, path in rows:
        why = outcome, reason
        count = counts_[why] = counts_.get(why, 0) + 1
        if count <= most:
            named.setdefault(why, []).append(path)
    return [
        Told(*why, count, tuple(Path(os.fsdecode(path)) for path in named[why]))
        for why, count in counts_.items()
    ]


_PATH = (
    "SELECT folder, name, outcome, reason, image, inode, size, mtime_ns, ctime_ns,"
    " repaired_with FROM paths "
)
_UNREPAIRED = (
    "SELECT folder, name, camera FROM paths JOIN images ON images.id = paths.image"
    " WHERE repaired_with IS ? AND image IS NOT NULL AND images.outcome != 'lost'"
)
# One look into the index a value, however many paths have it.
_VERSIONS = (
    "WITH RECURSIVE found (version) AS (SELECT min(repaired_with) FROM paths"
    " UNION ALL SELECT (SELECT min(repaired_with) FROM paths"
    " WHERE repaired_with > version) FROM found WHERE version IS NOT NULL)"
    " SELECT version FROM found WHERE version IS NOT NULL"
)
_Row = tuple[
    bytes,
    bytes,
    str,
    str,
    int | None,
    int | None,
    int,
    int,
    int,
    str | None,
]


def _split(path: Path) -> tuple[bytes, bytes]:
    """Return folder and name as bytes: names need not be UTF-8."""
    return os.fsencode(path.parent), os.fsencode(path.name)


def _join(folder: bytes, name: bytes) -> Path:
    return Path(os.fsdecode(folder)) / os.fsdecode(name)


def joined_version(listed: str, fill: str) -> str:
    """Return the version of a pixel list and of its fill: how its pixels are repaired."""
    return f"{listed}.{fill}"


def split_version(version: str) -> tuple[str, str]:
    """Return the version of a pixel list, and of its fill: empty in one of the list alone."""
    listed, _, fill = version.partition(".")
    return listed, fill


def _record(row: _Row) -> PathRecord:
    folder, name, outcome, reason, image, inode, size, mtime_ns, ctime_ns, with_ = row
    seen = None if inode is None else Signature(inode, size, mtime_ns, ctime_ns)
    return PathRecord(_join(folder, name), outcome, reason, image, seen, with_)


class Paths:
    """The table `paths`."""

    def __init__(self, connection: sqlite3.Connection, events: Events) -> None:
        self._connection = connection
        self._events = events

    def find(self, path: Path) -> PathRecord | None:
        """Return what became of `path`."""
        query = _PATH + "WHERE folder = ? AND name = ?"
        row = self._connection.execute(query, _split(path)).fetchone()
        return None if row is None else _record(row)

    def largest(self) -> int:
        """Return the bytes of the largest photo ever seen."""
        query = "SELECT coalesce(max(size), 0) FROM paths WHERE outcome = 'image'"
        (size,) = self._connection.execute(query).fetchone()
        return int(size)

    def settled_in(self, folder: Path) -> dict[str, Signature]:
        """Return the files of one folder that need no second look, by name."""
        query = (
            "SELECT name, inode, size, mtime_ns, ctime_ns FROM paths"
            " WHERE folder = ? AND outcome != 'waiting' AND inode IS NOT NULL"
        )
        rows = self._connection.execute(query, (os.fsencode(folder),))
        return {os.fsdecode(row[0]): Signature._make(row[1:]) for row in rows}

    def news(
        self,
        seen: Iterable[Item],
        where: Callable[[Item], tuple[Path, str, Signature | None]],
    ) -> list[Item]:
        """Return those of a walk that need a look: not known, or changed since.

        Parameters
        ----------
        where : callable
            Returns folder, name and signature.  One folder's items come together.
        """
        news = []
        for folder, group in itertools.groupby(seen, key=lambda item: where(item)[0]):
            known = self.settled_in(folder)
            for item in group:
                _, name, signature = where(item)
                if known.get(name) != signature:
                    news.append(item)
        return news

    def record(
        self,
        path: Path,
        outcome: str,
        *,
        reason: str = "",
        image: int | None = None,
        signature: Signature | None = None,
    ) -> None:
        """Record what became of `path`; a new image there starts its copies anew.

        So does a file that was gone, or could not be read: its copy was not looked at.
        A photo that has failed is an event, once for each reason.  Call inside a
        transaction.
        """
        if outcome == "failed":
            self._tell_failed(path, reason)
        seen = (
            (None,) * 4
            if signature is None
            else (
                signature.inode,
                signature.size,
                signature.mtime_ns,
                signature.ctime_ns,
            )
        )
        self._connection.execute(
            "INSERT INTO paths (folder, name, outcome, reason, image, inode, size,"
            " mtime_ns, ctime_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (folder, name) DO UPDATE SET outcome = excluded.outcome,"
            " reason = excluded.reason, image = excluded.image,"
            " inode = excluded.inode, size = excluded.size,"
            " mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,"
            " repaired_with = CASE WHEN image IS excluded.image AND inode IS NOT NULL"
            " THEN repaired_with ELSE NULL END",
            (*_split(path), outcome, reason, image, *seen),
        )

    def _tell_failed(self, path: Path, reason: str) -> None:
        """Record the event that a photo has failed, unless that is known."""
        before = self.find(path)
        if before is None or (before.outcome, before.reason) != ("failed", reason):
            self._events.record(
                EventKind.PHOTO_FAILED,
                f"{path}: failed: {reason}",
                path=str(path),
                reason=reason,
            )

    def of_image(self, image: int) -> list[Path]:
        """Return every path that holds the image, the first seen as a photo first."""
        query = (
            "SELECT folder, name FROM paths WHERE image = ?"
            " ORDER BY outcome != 'image', folder, name"
        )
        return [_join(*row) for row in self._connection.execute(query, (image,))]

    def holding(self, image: int, inode: int, limit: int) -> list[PathRecord]:
        """Return at most `limit` paths that hold the image, those with this inode first."""
        query = _PATH + (
            "WHERE image = ? ORDER BY inode IS NOT ?, outcome != 'image', folder, name"
            " LIMIT ?"
        )
        rows = self._connection.execute(query, (image, inode, limit))
        return [_record(row) for row in rows]

    def rename(self, path: Path, new: Path) -> None:
        """Record that the file at `path` is at `new` now, whose copy is to be looked at.

        Call inside a transaction.
        """
        run = self._connection.execute
        run("DELETE FROM paths WHERE folder = ? AND name = ?", _split(new))
        run(
            "UPDATE paths SET folder = ?, name = ?, repaired_with = NULL"
            " WHERE folder = ? AND name = ?",
            (*_split(new), *_split(path)),
        )

    def forget_skipped(self, path: Path) -> None:
        """Drop a skipped path, and those below it: nobody looks there any more."""
        run, root = self._connection.execute, os.fsencode(path)
        run(
            "DELETE FROM paths WHERE outcome = 'skipped' AND folder = ? AND name = ?",
            _split(path),
        )
        run(
            "DELETE FROM paths WHERE outcome = 'skipped'"
            " AND (folder = ? OR (folder > ? AND folder < ?))",
            (root, root + b"/", root + b"0"),  # the character after the slash
        )

    def of_camera(self, camera_id: str) -> dict[int, list[PathRecord]]:
        """Return the paths of a camera's images, by image id."""
        query = _PATH + (  # noqa: S608 - two constants
            "WHERE image IN (SELECT id FROM images WHERE camera = ?)"
            " ORDER BY outcome != 'image', folder, name"
        )
        found: dict[int, list[PathRecord]] = {}
        for row in self._connection.execute(query, (camera_id,)):
            record = _record(row)
            if record.image is not None:
                found.setdefault(record.image, []).append(record)
        return found

    def to_repair(
        self, versions: Mapping[str, str], *, past: bool
    ) -> list[tuple[Path, str]]:
        """Return the photos not yet checked against the present version of their list.

        Parameters
        ----------
        versions : mapping
            The present version of each camera's list, by the camera's id.  No two
            cameras have the same.  With one of the list alone, see `split_version`, the
            fill of a photo's own does not count.
        past : bool
            Without it, only the photos that were never checked against any.

        Returns
        -------
        list of (Path, str)
            By path, with the version of its camera's list.
        """
        run = self._connection.execute
        held: list[str | None] = [None]
        if past:
            held += [version for (version,) in run(_VERSIONS)]
        present = set(versions.values())
        stale = [
            version
            for version in held
            if version is None
            or present.isdisjoint({version, split_version(version)[0]})
        ]
        rows = [row for version in stale for row in run(_UNREPAIRED, (version,))]
        return [
            (_join(folder, name), versions[camera])
            for folder, name, camera in sorted(rows)
            if camera in versions
        ]

    def set_repaired_with(self, path: Path, version: str | None) -> None:
        """Record the version of the pixel list that the photo was checked against.

        None: it is due.
        """
        self._connection.execute(
            "UPDATE paths SET repaired_with = ? WHERE folder = ? AND name = ?",
            (version, *_split(path)),
        )

    def have_repaired_again(self, image: int) -> None:
        """Have every file that holds an image checked against the pixel list again."""
        self._connection.execute(
            "UPDATE paths SET repaired_with = NULL WHERE image = ?", (image,)
        )

    def set_signature(self, path: Path, signature: Signature) -> None:
        """Record what `stat` says now of a file whose content is the same."""
        self._connection.execute(
            "UPDATE paths SET inode = ?, size = ?, mtime_ns = ?, ctime_ns = ?"
            " WHERE folder = ? AND name = ?",
            (*signature, *_split(path)),
        )

    def mark_unseen(self, path: Path, version: str | None) -> None:
        """Record that the file at `path` is gone or another; seen again, it is read.

        `version` is that of the pixel list it should have been checked against, if any.
        """
        self._connection.execute(
            "UPDATE paths SET inode = NULL, repaired_with = coalesce(?, repaired_with)"
            " WHERE folder = ? AND name = ?",
            (version, *_split(path)),
        )

    def mark_unseen_of(self, image: int) -> None:
        """Have every file that holds an image read again when it is seen again."""
        self._connection.execute(
            "UPDATE paths SET inode = NULL WHERE image = ?", (image,)
        )

    def to_learn_again(self) -> list[tuple[int, Path]]:
        """Return the files of images that `relearn` left lost until they are seen again."""
        rows = self._connection.execute(
            "SELECT image, folder, name FROM paths JOIN images ON images.id = image"
            " WHERE paths.inode IS NULL AND images.outcome = 'lost'"
        )
        return [(image, _join(folder, name)) for image, folder, name in rows]

    def counts(self) -> dict[str, int]:
        """Return the number of paths by outcome, without those that count as images.

        Nor do copies of ours count that were left where they are: `OtherCopies`.
        """
        counted = counts(self._connection, "path")
        names = ("duplicate", "skipped", "failed", "waiting")
        found = {name: counted.get(name, 0) for name in names}
        query = "SELECT count(*) FROM paths WHERE " + _LEFT_COPY  # noqa: S608 - ours
        (left,) = self._connection.execute(query).fetchone()
        return found | {"skipped": found["skipped"] - int(left)}

    def with_reason(self, limit: int | None) -> list[PathRecord]:
        """Return at most `limit` paths that were skipped, failed or wait, and why.

        Those among them that `counts` counts.
        """
        query = _PATH + (
            "WHERE outcome IN ('failed', 'waiting', 'skipped')"
            f" AND NOT ({_LEFT_COPY})"
            " ORDER BY outcome, folder, name LIMIT ?"
        )
        rows = self._connection.execute(query, (-1 if limit is None else limit,))
        return [_record(row) for row in rows]

    def told(self, most: int) -> list[Told]:
        """Return how many paths have each reason, and at most `most` of each.

        Of those that `with_reason` has; one look at each, however many there are.
        """
        query = (
            "SELECT outcome, reason, folder, name FROM paths"  # noqa: S608 - a constant
            " WHERE outcome IN ('failed', 'waiting', 'skipped')"
            f" AND NOT ({_LEFT_COPY}) ORDER BY outcome, folder, name"
        )
        rows = self._connection.execute(query)
        return tally(((*row[:2], b"/".join(row[2:])) for row in rows), most)


MOST_CLOSED = 10_000
"""So many are kept, and the number of the rest."""


class FolderFaults:
    """The table `folder_faults`: what of the watched folders cannot be used.

    As of the last look, so that `status` can say it whoever looked: the daemon, or a run
    that was done once.
    """

    def __init__(self, connection: sqlite3.Connection, events: Events) -> None:
        self._connection = connection
        self._events = events

    def replace(self, closed: Iterable[Closed], watched: Collection[Path] = ()) -> None:
        """Keep what a look at all folders found, in place of the look before.

        Call inside a transaction.

        Parameters
        ----------
        watched : collection of Path
            Folders of the configuration: that one cannot be used, or can again, is an event.
        """
        run = self._connection.execute
        found = list(dict.fromkeys(closed))
        self._tell(found, watched)
        run("DELETE FROM folder_faults")
        for path, reason in found[:MOST_CLOSED]:
            run("INSERT INTO folder_faults VALUES (?, ?)", (os.fsencode(path), reason))
        if found[MOST_CLOSED:]:
            more = f"{len(found) - MOST_CLOSED:,} more places like this, here and elsewhere"
            run(
                "INSERT INTO folder_faults VALUES (?, ?)",
                (os.fsencode(found[MOST_CLOSED].path), more),
            )

    def _tell(self, closed: Iterable[Closed], watched: Collection[Path]) -> None:
        """Record which of the folders went, or are there again, since the look before."""
        before = {place.path for place in self.all()}
        now = {place.path: place.reason for place in reversed(list(closed))}
        for path in dict.fromkeys(map(str, watched)):
            if path in now and path not in before:
                reason = now[path]
                self._events.record(
                    EventKind.FOLDER_OFFLINE,
                    f"{path}: {reason}",
                    path=path,
                    reason=reason,
                )
            elif path in before and path not in now:
                self._events.record(
                    EventKind.FOLDER_ONLINE, f"{path}: is there again", path=path
                )

    def all(self) -> list[Closed]:
        """Return what cannot be used, by path."""
        rows = self._connection.execute(
            "SELECT path, reason FROM folder_faults ORDER BY path, reason"
        )
        return [Closed(os.fsdecode(path), reason) for path, reason in rows]
