"""The ledger's images and cameras: what was admitted, in which order, and is durable.

Each camera's current checkpoint is named here, and the one before, to fall back on when
the newest is damaged.  A body whose serial number appeared, or changed its form, keeps the
name that its state began with (`Aliases`).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hotpixeld.camera import Camera
from hotpixeld.store.checkpoint import Checkpoint

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

SCHEMA = """
CREATE TABLE cameras (
  id TEXT PRIMARY KEY, make TEXT NOT NULL, model TEXT NOT NULL, serial TEXT NOT NULL,
  width INTEGER NOT NULL, height INTEGER NOT NULL,
  sequence INTEGER NOT NULL DEFAULT 0,      -- of the image admitted last
  generation INTEGER NOT NULL DEFAULT 0,    -- of the current checkpoint; 0 is none
  folded_to INTEGER NOT NULL DEFAULT 0,     -- sequence of the last image it holds
  photos INTEGER NOT NULL DEFAULT 0, weight REAL NOT NULL DEFAULT 0,
  mean_sha256 TEXT NOT NULL DEFAULT '', m2_sha256 TEXT NOT NULL DEFAULT '',
  mapped INTEGER NOT NULL DEFAULT 0,        -- photos in the state when last mapped
  scenes REAL NOT NULL DEFAULT 0            -- different ones among the newest, then
) WITHOUT ROWID;
CREATE TABLE images (
  id INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE,
  camera TEXT NOT NULL REFERENCES cameras, sequence INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('pending', 'folded', 'lost', 'forgotten')),
  captured TEXT
);
CREATE INDEX images_by_outcome ON images (outcome, camera, sequence);
CREATE INDEX images_by_camera ON images (camera, id);
CREATE TABLE aliases (
  id TEXT PRIMARY KEY,                      -- of the camera that photos name
  camera TEXT NOT NULL REFERENCES cameras   -- whose state they belong to
) WITHOUT ROWID;
CREATE TABLE previous_checkpoints (
  camera TEXT PRIMARY KEY REFERENCES cameras, generation INTEGER NOT NULL,
  folded_to INTEGER NOT NULL, photos INTEGER NOT NULL, weight REAL NOT NULL,
  mean_sha256 TEXT NOT NULL, m2_sha256 TEXT NOT NULL
) WITHOUT ROWID;
"""
TALLIES = """
CREATE TABLE tallies (
  kind TEXT NOT NULL, camera TEXT NOT NULL, outcome TEXT NOT NULL,
  count INTEGER NOT NULL, PRIMARY KEY (kind, camera, outcome)
) WITHOUT ROWID;
CREATE TRIGGER images_come AFTER INSERT ON images BEGIN
  INSERT INTO tallies VALUES ('image', new.camera, new.outcome, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER images_turn AFTER UPDATE OF camera, outcome ON images BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'image'
    AND camera = old.camera AND outcome = old.outcome;
  INSERT INTO tallies VALUES ('image', new.camera, new.outcome, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER images_go AFTER DELETE ON images BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'image'
    AND camera = old.camera AND outcome = old.outcome;
END;
CREATE TRIGGER paths_come AFTER INSERT ON paths BEGIN
  INSERT INTO tallies VALUES ('path', '', new.outcome, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER paths_turn AFTER UPDATE OF outcome ON paths BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'path'
    AND camera = '' AND outcome = old.outcome;
  INSERT INTO tallies VALUES ('path', '', new.outcome, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER paths_go AFTER DELETE ON paths BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'path'
    AND camera = '' AND outcome = old.outcome;
END;
CREATE TRIGGER copies_come AFTER INSERT ON copies BEGIN
  INSERT INTO tallies VALUES ('copy', '', iif(new.condition = 'written', new.method, new.condition), 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER copies_turn AFTER UPDATE OF condition, method ON copies BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'copy'
    AND camera = '' AND outcome = iif(old.condition = 'written', old.method, old.condition);
  INSERT INTO tallies VALUES ('copy', '', iif(new.condition = 'written', new.method, new.condition), 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER copies_go AFTER DELETE ON copies BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'copy'
    AND camera = '' AND outcome = iif(old.condition = 'written', old.method, old.condition);
END;
"""
"""How many images, paths and copies there are, kept by triggers: no query counts rows."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was admitted to its camera's sequence.

    Attributes
    ----------
    id : int
        Names the image inside the ledger.
    identity : str
        SHA-256 of the primary image's coded data, in hex.
    camera : str
        The camera's id.
    sequence : int
        Place in the camera's sequence, from 1.
    outcome : str
        "pending", "folded", "lost" (gone before its checkpoint) or "forgotten".
    captured : datetime or None
        Local time as the camera wrote it.
    """

    id: int
    identity: str
    camera: str
    sequence: int
    outcome: str
    captured: dt.datetime | None


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """What the ledger knows of a camera.

    Attributes
    ----------
    camera : Camera
    sequence, folded_to : int
        Of the image admitted last, and of the last one in the checkpoint.
    checkpoint : Checkpoint or None
        The current one.
    mapped : int
        Photos in the state when the map was made last.
    scenes : float
        How many different scenes the newest photos amounted to then.
    """

    camera: Camera
    sequence: int
    folded_to: int
    checkpoint: Checkpoint | None
    mapped: int
    scenes: float

    @property
    def photos(self) -> int:
        """Return how many photos the current checkpoint holds."""
        return self.checkpoint.photos if self.checkpoint else 0


OUTCOMES = ("folded", "pending", "lost", "forgotten")
_IMAGE = "SELECT id, identity, camera, sequence, outcome, captured FROM images "
_CAMERA = (
    "SELECT make, model, serial, width, height, sequence, folded_to, mapped,"
    " scenes, generation, photos, weight, mean_sha256, m2_sha256 FROM cameras "
)


def _image(row: tuple[int, bytes, str, int, str, str | None]) -> Image:
    id_, identity, camera, sequence, outcome, captured = row
    when = None if captured is None else dt.datetime.fromisoformat(captured)
    return Image(id_, identity.hex(), camera, sequence, outcome, when)


def _record(
    row: tuple[
        str, str, str, int, int, int, int, int, float, int, int, float, str, str
    ],
) -> CameraRecord:
    current = Checkpoint(*row[9:]) if row[9] else None
    return CameraRecord(Camera(*row[:5]), row[5], row[6], current, row[7], row[8])


def counts(
    connection: sqlite3.Connection,
    kind: Literal["image", "path", "copy"],
    camera_id: str | None = None,
) -> dict[str, int]:
    """Return how many images, paths or copies came to which outcome.

    Copies that were written count by their method.

    Parameters
    ----------
    camera_id : str, optional
        Count its images only.
    """
    query = (
        "SELECT outcome, sum(count) FROM tallies WHERE kind = ?1"
        " AND (?2 IS NULL OR camera = ?2) GROUP BY outcome HAVING sum(count) > 0"
    )
    return dict(connection.execute(query, (kind, camera_id)))


class Images:
    """The tables `images` and `cameras`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, identity: str) -> Image | None:
        """Return the image with this identity, if it was ever admitted."""
        query = _IMAGE + "WHERE identity = ?"
        row = self._connection.execute(query, (bytes.fromhex(identity),)).fetchone()
        return None if row is None else _image(row)

    def admit(
        self, identity: str, camera: Camera, captured: dt.datetime | None
    ) -> Image:
        """Give a new image its place in its camera's sequence; it is pending.

        Call inside a transaction.  The identity must not be known, except of an image
        that was lost before a checkpoint and has turned up again.
        """
        run = self._connection.execute
        run(
            "INSERT INTO cameras (id, make, model, serial, width, height)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                camera.id,
                camera.make,
                camera.model,
                camera.serial,
                camera.width,
                camera.height,
            ),
        )
        (sequence,) = run(
            "UPDATE cameras SET sequence = sequence + 1 WHERE id = ?"
            " RETURNING sequence",
            (camera.id,),
        ).fetchone()
        when = None if captured is None else captured.isoformat()
        (id_,) = run(
            "INSERT INTO images (identity, camera, sequence, outcome, captured)"
            " VALUES (?, ?, ?, 'pending', ?) ON CONFLICT (identity) DO UPDATE SET"
            " sequence = excluded.sequence, outcome = 'pending'"
            " WHERE outcome = 'lost' RETURNING id",
            (bytes.fromhex(identity), camera.id, sequence, when),
        ).fetchone()
        return Image(id_, identity, camera.id, sequence, "pending", captured)

    def pending(self, camera_id: str) -> list[Image]:
        """Return the camera's pending images in the order of its sequence."""
        query = _IMAGE + "WHERE outcome = 'pending' AND camera = ? ORDER BY sequence"
        return [_image(row) for row in self._connection.execute(query, (camera_id,))]

    def newest(self, camera_id: str, count: int) -> list[Image]:
        """Return the images that count, those admitted last first."""
        query = _IMAGE + (
            "WHERE camera = ? AND outcome IN ('pending', 'folded')"
            " ORDER BY id DESC LIMIT ?"
        )
        rows = self._connection.execute(query, (camera_id, count))
        return [_image(row) for row in rows]

    def mark_lost(self, image: Image) -> None:
        """Record that a pending image's file was gone before a checkpoint held it."""
        self._connection.execute(
            "UPDATE images SET outcome = 'lost' WHERE id = ?", (image.id,)
        )

    def commit_checkpoint(
        self, camera_id: str, checkpoint: Checkpoint, sequence: int
    ) -> None:
        """Name the camera's checkpoint and mark its images up to `sequence` folded.

        Call inside a durable transaction, after the files are durable.  What was the
        current checkpoint is the previous one from then on.
        """
        self._connection.execute(
            "INSERT OR REPLACE INTO previous_checkpoints SELECT id, generation,"
            " folded_to, photos, weight, mean_sha256, m2_sha256 FROM cameras"
            " WHERE id = ? AND generation > 0",
            (camera_id,),
        )
        self._connection.execute(
            "UPDATE cameras SET generation = ?, folded_to = ?, photos = ?, weight = ?,"
            " mean_sha256 = ?, m2_sha256 = ? WHERE id = ?",
            (
                checkpoint.generation,
                sequence,
                checkpoint.photos,
                checkpoint.weight,
                checkpoint.mean_sha256,
                checkpoint.m2_sha256,
                camera_id,
            ),
        )
        self._connection.execute(
            "UPDATE images SET outcome = 'folded'"
            " WHERE camera = ? AND outcome = 'pending' AND sequence <= ?",
            (camera_id, sequence),
        )

    def set_mapped(self, camera_id: str, photos: int, scenes: float) -> None:
        """Record how many photos and scenes there were when the map was made."""
        self._connection.execute(
            "UPDATE cameras SET mapped = ?, scenes = ? WHERE id = ?",
            (photos, scenes, camera_id),
        )

    def camera(self, camera_id: str) -> CameraRecord | None:
        """Return what is known of one camera."""
        query = _CAMERA + "WHERE id = ?"
        row = self._connection.execute(query, (camera_id,)).fetchone()
        return None if row is None else _record(row)

    def cameras(self) -> Iterator[CameraRecord]:
        """Yield what is known of every camera, by id."""
        for row in self._connection.execute(_CAMERA + "ORDER BY id").fetchall():
            yield _record(row)

    def counts(self, camera_id: str | None = None) -> dict[str, int]:
        """Return the number of images by outcome, of one camera or of all."""
        counted = counts(self._connection, "image", camera_id)
        return {name: counted.get(name, 0) for name in OUTCOMES}

    def count_since(self, camera_id: str, since: dt.datetime | None) -> int:
        """Return how many images `forget` would forget."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM images WHERE coalesce(captured, 'none') >= ?"
            " AND camera = ? AND outcome IN ('pending', 'folded')",
            ("" if since is None else since.isoformat(), camera_id),
        ).fetchone()
        return int(count)

    def forget(self, camera_id: str, since: dt.datetime | None) -> None:
        """Drop a camera's checkpoint; what it held is forgotten, or pending again.

        Call inside a durable transaction.  Forgotten images are never folded again.

        Parameters
        ----------
        since : datetime or None
            Images captured from here on are forgotten, earlier ones become pending; None
            forgets all.
        """
        when = "" if since is None else since.isoformat()
        self._connection.execute(
            "UPDATE images SET outcome = CASE WHEN coalesce(captured, 'none') >= ?"
            " THEN 'forgotten' ELSE 'pending' END"
            " WHERE camera = ? AND outcome IN ('pending', 'folded')",
            (when, camera_id),
        )
        self._connection.execute(
            "DELETE FROM previous_checkpoints WHERE camera = ?", (camera_id,)
        )
        self._connection.execute(
            "UPDATE cameras SET generation = 0, folded_to = 0, photos = 0, weight = 0,"
            " mapped = 0 WHERE id = ?",
            (camera_id,),
        )


def bare(serial: str) -> str:
    """Return what two forms of one serial have in common.

    >>> bare("0056-0018a") == bare("560018A")
    True
    """
    return re.sub(r"[^0-9A-Z]", "", serial.upper()).lstrip("0")


class Aliases:
    """The table `aliases`: one body under several serial numbers.

    A firmware update, or a program before us, may write a serial that was missing,
    with leading zeros, in lower case.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def resolve(self, camera: Camera, *, may_appear: bool) -> Camera:
        """Return the camera whose state a photo of `camera` belongs to.

        Parameters
        ----------
        may_appear : bool
            Take a serial for one that appeared, where a single body of this make, model
            and size is known and its photos had none.
        """
        run = self._connection.execute
        same_kind = [
            Camera(*row)
            for row in run(
                "SELECT make, model, serial, width, height FROM cameras WHERE make = ?"
                " AND model = ? AND width = ? AND height = ?",
                (camera.make, camera.model, camera.width, camera.height),
            )
        ]
        if not camera.serial or camera in same_kind:
            return camera
        row = run("SELECT camera FROM aliases WHERE id = ?", (camera.id,)).fetchone()
        if row is not None:
            return next(known for known in same_kind if known.id == row[0])
        same = bare(camera.serial)
        found = [known for known in same_kind if bare(known.serial) == same]
        if not found and may_appear and [known.serial for known in same_kind] == [""]:
            found = same_kind
        if not found:
            return camera
        run("INSERT INTO aliases VALUES (?, ?)", (camera.id, found[0].id))
        return found[0]


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
