"""Another state's ledger: its rows, taken over into the one that is written.

The other one is read as it was when it was opened, whatever its daemon does meanwhile.
Images are known by their identity in both; where both know a file, the word of the ledger
that is written holds.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld.errors import LedgerError
from hotpixeld.store import state_folder
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hotpixeld.camera import Camera


class Folded(NamedTuple):
    """An image that a generation holds.

    `captured` is the camera's local time, ISO 8601, empty where it is not known.
    """

    identity: str
    captured: str


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """Open the ledger of another state as it is now; its daemon may go on.

    Raises
    ------
    LedgerError
        There is none, or another version of hotpixeld wrote it.
    """
    path = state_folder.ledger_file(folder)
    if not path.is_file():
        raise LedgerError(f"{folder}: no state folder: it holds no {path.name}")
    ledger = Ledger(path, read_only=True)
    try:
        ledger.connection.execute("BEGIN")
        ledger.connection.execute("SELECT count(*) FROM cameras").fetchone()
        yield ledger
    finally:
        ledger.close()


def folded(ledger: Ledger, camera_id: str) -> list[Folded]:
    """Return the images that a camera's generation holds, in their sequence."""
    rows = ledger.connection.execute(
        "SELECT identity, coalesce(captured, '') FROM images"
        " WHERE camera = ? AND outcome = 'folded' ORDER BY sequence",
        (camera_id,),
    )
    return [Folded(identity.hex(), captured) for identity, captured in rows]


def _columns(ledger: Ledger, table: str) -> list[str]:
    query = f"SELECT name FROM pragma_table_info('{table}')"  # noqa: S608 - ours
    return [name for (name,) in ledger.connection.execute(query)]


class Joint:
    """Rows of another ledger that are taken over; used inside a transaction of `ledger`.

    Parameters
    ----------
    ledger, other : Ledger
        The one that is written, and the other one: see `opened`.
    """

    def __init__(self, ledger: Ledger, other: Ledger) -> None:
        self._run = ledger.connection.execute
        self._read = other.connection.execute
        self._ledger, self._other = ledger, other
        self._images: dict[int, int] = {}

    def camera(self, camera: Camera) -> str:
        """Return the id that a camera of the other ledger has in this one; make it known."""
        mine = self._ledger.aliases.resolve(camera, may_appear=False)
        self._run(
            "INSERT INTO cameras (id, make, model, serial, width, height)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (mine.id, mine.make, mine.model, mine.serial, mine.width, mine.height),
        )
        query = "SELECT id FROM aliases WHERE camera = ?"
        for (alias,) in self._read(query, (camera.id,)):
            self._run("INSERT OR IGNORE INTO aliases VALUES (?, ?)", (alias, mine.id))
        return mine.id

    def take_images(
        self, camera_id: str, mine: str, again: frozenset[str], gains: frozenset[str]
    ) -> list[str]:
        """Take over a camera's images; return the identities of those that are pending.

        Parameters
        ----------
        camera_id, mine : str
            Its id there, and here.
        again : frozenset of str
            Identities of those that are pending now, in either ledger.
        gains : frozenset of str
            Of those that the generation holds from now on.
        """
        (last,) = self._run(
            "SELECT coalesce(max(sequence), 0) FROM images WHERE camera = ?", (mine,)
        ).fetchone()
        pending = []
        rows = self._read(
            "SELECT id, identity, sequence, outcome, captured, exposure_seconds, iso,"
            " focal_mm, admitted, unlearned, celsius, suppressed, lens"
            " FROM images WHERE camera = ? ORDER BY sequence",
            (camera_id,),
        )
        for id_, identity, sequence, outcome, *rest in rows:
            known = self._run(
                "SELECT id, outcome FROM images WHERE identity = ?", (identity,)
            ).fetchone()
            now = known[1] if known else outcome
            if identity.hex() in gains:
                now = "folded"
            elif identity.hex() in again:
                now = "pending"
            if known is None:
                (new,) = self._run(
                    "INSERT INTO images (identity, camera, sequence, outcome, captured,"
                    " exposure_seconds, iso, focal_mm, admitted, unlearned, celsius,"
                    " suppressed, lens)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " RETURNING id",
                    (identity, mine, last + sequence, now, *rest),
                ).fetchone()
            else:
                new = known[0]
                self._run("UPDATE images SET outcome = ? WHERE id = ?", (now, new))
            self._images[id_] = new
            if now == "pending":
                pending.append(identity.hex())
        self._run(
            "UPDATE cameras SET sequence = (SELECT coalesce(max(sequence), 0) FROM images"
            " WHERE camera = ?1) WHERE id = ?1",
            (mine,),
        )
        for identity in again:  # of those that this ledger alone had folded
            self._run(
                "UPDATE images SET outcome = 'pending' WHERE identity = ?"
                " AND outcome = 'folded'",
                (bytes.fromhex(identity),),
            )
        return pending

    def set_sequence(self, camera_id: str, order: Iterable[str]) -> int:
        """Give a camera's images their places: what is folded in this order, then the rest.

        Returns the last place of what is folded.
        """
        last = 0
        for last, identity in enumerate(order, 1):
            self._run(
                "UPDATE images SET sequence = ? WHERE identity = ?",
                (-last, bytes.fromhex(identity)),
            )
        query = (
            "SELECT id FROM images WHERE camera = ? AND sequence >= 0 ORDER BY sequence"
        )
        rest = [id_ for (id_,) in self._run(query, (camera_id,))]
        for place, id_ in enumerate(rest, last + 1):
            self._run("UPDATE images SET sequence = ? WHERE id = ?", (-place, id_))
        self._run(
            "UPDATE images SET sequence = -sequence WHERE camera = ?", (camera_id,)
        )
        self._run(
            "UPDATE cameras SET sequence = ? WHERE id = ?",
            (last + len(rest), camera_id),
        )
        return last

    def take_samples(self, camera_id: str, mine: str) -> None:
        """Take over samples, and the suspects that they are of; those of both are one list."""
        present = self._ledger.samples.suspects(mine)
        lists = list(
            self._read(
                "SELECT version, sites, corrections FROM suspects WHERE camera = ?",
                (camera_id,),
            )
        )
        for version, *listed in lists:
            self._run(
                "INSERT INTO suspects VALUES (?, ?, ?, ?)",
                (mine, present.version + version, *listed),
            )
        columns = _columns(self._ledger, "samples")
        rows = self._read(
            f"SELECT {', '.join(columns)} FROM samples WHERE camera = ?",  # noqa: S608
            (camera_id,),
        )
        marks = ", ".join("?" * len(columns))
        for row in rows:
            values = dict(zip(columns, row, strict=True))
            values["image"] = self._images[values["image"]]
            values["camera"] = mine
            values["version"] += present.version
            self._run(
                f"INSERT OR IGNORE INTO samples ({', '.join(columns)})"  # noqa: S608
                f" VALUES ({marks})",
                tuple(values.values()),
            )
        self._ledger.samples.drop_oldest(mine)
        if present.version and lists:
            theirs = self._ledger.samples.suspects(mine)
            added = theirs.sites
            listed = {tuple(site) for site in present.sites.tolist()}
            new = [site for site in added.tolist() if tuple(site) not in listed]
            sites = np.array([*present.sites.tolist(), *new], np.intp).reshape(-1, 2)
            known = (
                present.corrections if present.corrections.move else theirs.corrections
            )
            self._ledger.samples.list_suspects(mine, sites, known)

    def take_files(self) -> None:
        """Take over what is known of files and copies that this ledger does not know."""
        self._take("fingerprints", ("image",))
        self._take("paths", ("image",))
        # A photo is one image, however many files hold it.
        self._run(
            "UPDATE paths SET outcome = 'duplicate' WHERE outcome = 'image' AND EXISTS"
            " (SELECT 1 FROM paths AS first WHERE first.image = paths.image"
            " AND first.outcome = 'image'"
            " AND (first.folder, first.name) < (paths.folder, paths.name))"
        )
        self._take("copies", ())
        self._take("other_copies", ())
        self._take("hazards", ())
        for row in self._read("SELECT source, copy, original, way FROM undo"):
            self._run(
                "INSERT INTO undo (source, copy, original, way) SELECT ?1, ?2, ?3, ?4"
                " WHERE NOT EXISTS (SELECT 1 FROM undo WHERE source = ?1 AND copy = ?2)",
                row,
            )

    def _take(self, table: str, images: Sequence[str]) -> None:
        """Take over a table's rows; some columns name images."""
        columns = _columns(self._ledger, table)
        named = ", ".join(columns)
        insert = (
            f"INSERT OR IGNORE INTO {table} ({named})"  # noqa: S608 - names of ours
            f" VALUES ({', '.join('?' * len(columns))})"
        )
        for row in self._read(f"SELECT {named} FROM {table}"):  # noqa: S608
            values = dict(zip(columns, row, strict=True))
            for name in images:
                if values[name] is not None:
                    values[name] = self._images.get(values[name])
            self._run(insert, tuple(values.values()))

    def copy_camera(self, camera_id: str, mine: str) -> None:
        """Let a camera that this ledger did not know be in all as it is in the other."""
        names = [
            name
            for name in _columns(self._ledger, "cameras")
            if name not in {"id", "make", "model", "serial", "width", "height"}
        ]
        row = self._read(
            f"SELECT {', '.join(names)} FROM cameras WHERE id = ?",  # noqa: S608
            (camera_id,),
        ).fetchone()
        values: Mapping[str, object] = dict(zip(names, row, strict=True))
        self._run(
            f"UPDATE cameras SET {', '.join(f'{name} = ?' for name in names)}"  # noqa: S608
            " WHERE id = ?",
            (*values.values(), mine),
        )
