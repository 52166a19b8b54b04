"""The ledger's images and cameras: what was admitted, in which order, and is durable.

Each camera's current generation is named here, and the one before, to fall back on when
the newest is damaged.  A body whose serial number appeared, or changed its form, keeps the
name that its state began with (`Aliases`).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from hotpixeld.camera import Bin, Camera

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from hotpixeld.photo.metadata import Metadata
    from hotpixeld.statistics.generation import Counts

SCHEMA = """
CREATE TABLE cameras (
  id TEXT PRIMARY KEY, make TEXT NOT NULL, model TEXT NOT NULL, serial TEXT NOT NULL,
  width INTEGER NOT NULL, height INTEGER NOT NULL,
  sequence INTEGER NOT NULL DEFAULT 0,      -- of the image admitted last
  generation INTEGER NOT NULL DEFAULT 0,    -- number of the current one; 0 is none
  folded_to INTEGER NOT NULL DEFAULT 0,     -- sequence of the last image it holds
  photos INTEGER NOT NULL DEFAULT 0, weight REAL NOT NULL DEFAULT 0,
  mean_sha256 TEXT NOT NULL DEFAULT '',     -- of a version without manifests
  m2_sha256 TEXT NOT NULL DEFAULT '',
  mapped INTEGER NOT NULL DEFAULT 0,        -- photos in the state when last mapped
  scenes REAL NOT NULL DEFAULT 0,           -- different ones among the newest, then
  pass_photos INTEGER NOT NULL DEFAULT 0,   -- most in the next pass; 0: as many as fit
  mapped_by TEXT NOT NULL DEFAULT ''        -- the settings that the map was made by
) WITHOUT ROWID;
CREATE TABLE images (
  id INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE,
  camera TEXT NOT NULL REFERENCES cameras, sequence INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('pending', 'folded', 'lost', 'forgotten')),
  captured TEXT, exposure_seconds REAL, iso INTEGER, focal_mm REAL,
  admitted REAL NOT NULL DEFAULT 0,         -- seconds since the epoch
  unlearned INTEGER NOT NULL DEFAULT 0,     -- 1: was taken out of its camera's state
  celsius REAL,
  suppressed INTEGER NOT NULL DEFAULT 0,    -- 1: shows none of what it should
  lens TEXT NOT NULL DEFAULT ''
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


class Taken(NamedTuple):
    """When and how a photo was taken; None where it does not say.

    Attributes
    ----------
    captured : datetime or None
        Local time as the camera wrote it.
    exposure_seconds, focal_mm : float or None
    iso : int or None
    celsius : float or None
        The camera's own temperature, degrees.
    lens : str
        Its model; empty where the photo does not name it.
    """

    captured: dt.datetime | None = None
    exposure_seconds: float | None = None
    iso: int | None = None
    focal_mm: float | None = None
    celsius: float | None = None
    lens: str = ""

    @property
    def bin(self) -> Bin:
        """Return what its lens correction depends on."""
        return Bin.of(self.lens, self.focal_mm)

    @classmethod
    def of(cls, about: Metadata) -> Taken:
        """Return what a photo says."""
        return cls(
            about.captured,
            about.exposure_seconds,
            about.iso,
            about.focal_mm,
            about.celsius,
            about.lens,
        )


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
        "pending", "folded", "lost" (gone before it was folded, or not seen since it was to
        be learned again) or "forgotten".
    taken : Taken
    is_unlearned : bool
        It was taken out of its camera's state, and the map that its copy was made by is
        gone: the copy stays as it is until another map can speak for it.
    is_suppressed : bool
        By the last map that looked at it, it shows none of the defects that it should.
    """

    id: int
    identity: str
    camera: str
    sequence: int
    outcome: str
    taken: Taken
    is_unlearned: bool = False
    is_suppressed: bool = False

    @property
    def captured(self) -> dt.datetime | None:
        """Return when it was taken."""
        return self.taken.captured


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """What the ledger knows of a camera.

    Attributes
    ----------
    camera : Camera
    sequence, folded_to : int
        Of the image admitted last, and of the last one in the generation.
    mapped : int
        Photos in the state when the map was made last.
    scenes : float
        How many different scenes the newest photos amounted to then.
    generation : int
        Number of the current one; 0 before the first.
    photos : int
        Photos in it.
    weight : float
        Photos that still count.
    pass_photos : int
        Most photos in the next pass; 0 is without limit.
    mapped_by : str
        The settings that the map was made by.
    """

    camera: Camera
    sequence: int
    folded_to: int
    mapped: int
    scenes: float
    generation: int
    photos: int
    weight: float
    pass_photos: int
    mapped_by: str = ""


OUTCOMES = ("folded", "pending", "lost", "forgotten")
_IMAGE = (
    "SELECT id, identity, camera, sequence, outcome, captured, exposure_seconds, iso,"
    " focal_mm, celsius, lens, unlearned, suppressed FROM images "
)
_CAMERA = (
    "SELECT make, model, serial, width, height, sequence, folded_to, mapped,"
    " scenes, generation, photos, weight, pass_photos, mapped_by FROM cameras "
)


def _image(
    row: tuple[
        int,
        bytes,
        str,
        int,
        str,
        str | None,
        float | None,
        int | None,
        float | None,
        float | None,
        str,
        int,
        int,
    ],
) -> Image:
    id_, identity, camera, sequence, outcome, captured = row[:6]
    seconds, iso, focal, celsius, lens, unlearned, suppressed = row[6:]
    when = None if captured is None else dt.datetime.fromisoformat(captured)
    taken = Taken(when, seconds, iso, focal, celsius, lens)
    flags = bool(unlearned), bool(suppressed)
    return Image(id_, identity.hex(), camera, sequence, outcome, taken, *flags)


def _record(
    row: tuple[
        str, str, str, int, int, int, int, int, float, int, int, float, int, str
    ],
) -> CameraRecord:
    return CameraRecord(Camera(*row[:5]), *row[5:])


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

    def with_id(self, id_: int) -> Image | None:
        """Return the image that a path holds; see `PathRecord.image`."""
        row = self._connection.execute(_IMAGE + "WHERE id = ?", (id_,)).fetchone()
        return None if row is None else _image(row)

    def add_camera(self, camera: Camera) -> None:
        """Have a camera, if it is not known; call inside a transaction."""
        self._connection.execute(
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

    def admit(self, identity: str, camera: Camera, taken: Taken, now: float) -> Image:
        """Give a new image its place in its camera's sequence; it is pending.

        Call inside a transaction.  The identity must not be known, except of an image
        that was lost before it was folded and has turned up again: perhaps as one of
        another camera, by the configuration of today.

        Parameters
        ----------
        now : float
            Seconds since the epoch.
        """
        run = self._connection.execute
        known = self.find(identity)
        self.add_camera(camera)
        (sequence,) = run(
            "UPDATE cameras SET sequence = sequence + 1 WHERE id = ?"
            " RETURNING sequence",
            (camera.id,),
        ).fetchone()
        captured = taken.captured and taken.captured.isoformat()
        id_, unlearned = run(
            "INSERT INTO images (identity, camera, sequence, outcome, captured,"
            " exposure_seconds, iso, focal_mm, celsius, lens, admitted)"
            " VALUES (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (identity) DO UPDATE SET camera = excluded.camera,"
            " sequence = excluded.sequence, outcome = 'pending',"
            " admitted = excluded.admitted WHERE outcome = 'lost'"
            " RETURNING id, unlearned",
            (bytes.fromhex(identity), camera.id, sequence, captured, *taken[1:], now),
        ).fetchone()
        if known is not None and known.camera != camera.id:
            self._drop_if_empty(known.camera)
        is_unlearned = bool(unlearned)
        return Image(id_, identity, camera.id, sequence, "pending", taken, is_unlearned)

    def pending(self, camera_id: str) -> list[Image]:
        """Return the camera's pending images in the order of its sequence."""
        query = _IMAGE + "WHERE outcome = 'pending' AND camera = ? ORDER BY sequence"
        return [_image(row) for row in self._connection.execute(query, (camera_id,))]

    def newest(self, camera_id: str, count: int) -> list[Image]:
        """Return the images that are folded, the last ones of the sequence first."""
        query = _IMAGE + (
            "WHERE camera = ? AND outcome = 'folded' ORDER BY sequence DESC LIMIT ?"
        )
        rows = self._connection.execute(query, (camera_id, count))
        return [_image(row) for row in rows]

    def bins(self, camera_id: str, *, folded_only: bool = False) -> dict[Bin, int]:
        """Return how many photos of a camera each bin has, the fullest first.

        Those that are folded or pending; of equal ones, the first that was admitted.
        """
        rows = self._connection.execute(
            "SELECT lens, focal_mm, count(*), min(id) FROM images WHERE camera = ?1"
            " AND outcome IN ('folded', ?2) GROUP BY lens, round(focal_mm, 1)"
            " ORDER BY count(*) DESC, min(id)",
            (camera_id, "folded" if folded_only else "pending"),
        )
        return {Bin.of(lens, focal): count for lens, focal, count, _ in rows}

    def pending_since(self, camera_id: str) -> float | None:
        """Return when the first of the pending images was admitted, None without any.

        In seconds since the epoch.
        """
        (since,) = self._connection.execute(
            "SELECT min(admitted) FROM images WHERE outcome = 'pending' AND camera = ?",
            (camera_id,),
        ).fetchone()
        return None if since is None else float(since)

    def last_admitted(self, camera_id: str) -> float | None:
        """Return when the newest image was admitted, None without any.

        In seconds since the epoch.
        """
        row = self._connection.execute(
            "SELECT admitted FROM images WHERE camera = ? ORDER BY id DESC LIMIT 1",
            (camera_id,),
        ).fetchone()
        return None if row is None else float(row[0])

    def is_dropped(self, record: CameraRecord) -> bool:
        """Return whether a camera was dropped to its list, and not learned of since."""
        return not record.generation and self.counts(record.camera.id)["folded"] > 0

    def mark_lost(self, image: Image) -> None:
        """Record that a pending image's file was gone before it was folded."""
        self._connection.execute(
            "UPDATE images SET outcome = 'lost' WHERE id = ?", (image.id,)
        )

    def remove(self, image: Image) -> None:
        """Drop an image that is not to be folded, and a camera that had no other.

        Call inside a transaction; no path may hold it any more.
        """
        self._connection.execute("DELETE FROM images WHERE id = ?", (image.id,))
        self._drop_if_empty(image.camera)

    def drop_lost(self, identity: str) -> None:
        """Drop a lost image that was found and refused, unless a path holds it still.

        Call inside a transaction.
        """
        image = self.find(identity)
        if image is None or image.outcome != "lost":
            return
        query = "SELECT 1 FROM paths WHERE image = ? LIMIT 1"
        if self._connection.execute(query, (image.id,)).fetchone() is None:
            self.remove(image)

    def _drop_if_empty(self, camera_id: str) -> None:
        """Drop a camera that has no image, and of which nothing was learned."""
        self._connection.execute(
            "DELETE FROM cameras WHERE id = ?1 AND generation = 0 AND NOT EXISTS"
            " (SELECT * FROM images WHERE camera = ?1) AND NOT EXISTS"
            " (SELECT * FROM aliases WHERE camera = ?1) AND NOT EXISTS"
            " (SELECT * FROM suspects WHERE camera = ?1) AND NOT EXISTS"
            " (SELECT * FROM primed WHERE camera = ?1)",
            (camera_id,),
        )

    def limit_pass(self, camera_id: str, photos: int) -> None:
        """Record how many photos the next pass may take at most; 0 is without limit.

        Call inside a transaction.
        """
        self._connection.execute(
            "UPDATE cameras SET pass_photos = ? WHERE id = ?", (photos, camera_id)
        )

    def commit_generation(self, camera_id: str, counts: Counts, sequence: int) -> None:
        """Name the camera's next generation and mark its images up to `sequence` folded.

        Call inside a durable transaction, after the files are durable.  What was the
        current generation is the previous one from then on.
        """
        self._connection.execute(
            "INSERT OR REPLACE INTO previous_checkpoints SELECT id, generation,"
            " folded_to, photos, weight, mean_sha256, m2_sha256 FROM cameras"
            " WHERE id = ? AND generation > 0",
            (camera_id,),
        )
        self._connection.execute(
            "UPDATE cameras SET generation = generation + 1, folded_to = ?, photos = ?,"
            " weight = ?, mean_sha256 = '', m2_sha256 = '' WHERE id = ?",
            (sequence, counts.photos, counts.weight, camera_id),
        )
        self._connection.execute(
            "UPDATE images SET outcome = 'folded'"
            " WHERE camera = ? AND outcome = 'pending' AND sequence <= ?",
            (camera_id, sequence),
        )

    def set_mapped(
        self, camera_id: str, photos: int, scenes: float, settings: str
    ) -> None:
        """Record by which settings, of how many photos and scenes the map was made."""
        self._connection.execute(
            "UPDATE cameras SET mapped = ?, scenes = ?, mapped_by = ? WHERE id = ?",
            (photos, scenes, settings, camera_id),
        )

    def set_suppressed(self, suppressed: Mapping[int, bool]) -> list[int]:
        """Record which images show none of what they should; return those that changed.

        Call inside a transaction.
        """
        query = "UPDATE images SET suppressed = ?1 WHERE id = ?2 AND suppressed != ?1"
        return [
            id_
            for id_, is_suppressed in suppressed.items()
            if self._connection.execute(query, (is_suppressed, id_)).rowcount
        ]

    def suppressed(self, camera_id: str) -> int:
        """Return how many of a camera's images show none of what they should."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM images WHERE camera = ? AND suppressed", (camera_id,)
        ).fetchone()
        return int(count)

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

    def of_camera(self, camera_id: str) -> list[Image]:
        """Return all images of a camera, in the order of its sequence."""
        query = _IMAGE + "WHERE camera = ? ORDER BY sequence"
        return [_image(row) for row in self._connection.execute(query, (camera_id,))]

    def span(self, camera_id: str) -> tuple[dt.datetime, dt.datetime] | None:
        """Return when the first and the last of a camera's folded photos were taken.

        None if none says so.
        """
        first, last = self._connection.execute(
            "SELECT min(captured), max(captured) FROM images"
            " WHERE camera = ? AND outcome = 'folded'",
            (camera_id,),
        ).fetchone()
        if first is None:
            return None
        return dt.datetime.fromisoformat(first), dt.datetime.fromisoformat(last)

    def forget(self, camera_id: str, since: dt.datetime | None) -> None:
        """Drop a camera's generation; what it held is forgotten, or pending again.

        Call inside a durable transaction.  Forgotten images are not folded again, unless
        they are to be learned again (`relearn`).

        Parameters
        ----------
        since : datetime or None
            Images captured from here on are forgotten, lost ones too; earlier ones become
            pending.  None forgets all.
        """
        run = self._connection.execute
        run(
            "UPDATE images SET outcome = 'forgotten', unlearned = 1"
            " WHERE coalesce(captured, 'none') >= ?"
            " AND camera = ? AND outcome IN ('pending', 'folded', 'lost')",
            ("" if since is None else since.isoformat(), camera_id),
        )
        run(
            "UPDATE images SET outcome = 'pending', unlearned = 1"
            " WHERE camera = ? AND outcome = 'folded'",
            (camera_id,),
        )
        self.drop_generation(camera_id)

    def relearn(self, camera_id: str, images: Iterable[int]) -> None:
        """Drop a camera's generation; have images taken again as if they were new.

        Call inside a durable transaction, with the images' paths marked as unseen.  Until
        they are seen again they are lost.

        Parameters
        ----------
        images : iterable of int
            Their ids; what the generation held besides is pending again.
        """
        run = self._connection.execute
        for image in images:
            run(
                "UPDATE images SET outcome = 'lost', unlearned = 1 WHERE id = ?",
                (image,),
            )
        run(
            "UPDATE images SET outcome = 'pending', unlearned = 1"
            " WHERE camera = ? AND outcome = 'folded'",
            (camera_id,),
        )
        run("DELETE FROM aliases WHERE camera = ?", (camera_id,))
        self.drop_generation(camera_id)

    def drop_generation(self, camera_id: str) -> None:
        """Name no generation of a camera any more; its images stay what they are.

        Call inside a durable transaction.
        """
        self._connection.execute(
            "DELETE FROM previous_checkpoints WHERE camera = ?", (camera_id,)
        )
        self._connection.execute(
            "UPDATE cameras SET generation = 0, folded_to = 0, photos = 0, weight = 0,"
            " mapped = 0, pass_photos = 0 WHERE id = ?",
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
    """The table `previous_checkpoints`; `Images.commit_generation` fills it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def previous(self, camera_id: str) -> int | None:
        """Return the number of the generation before the current one, if there was one."""
        row = self._connection.execute(
            "SELECT generation FROM previous_checkpoints WHERE camera = ?",
            (camera_id,),
        ).fetchone()
        return None if row is None else int(row[0])

    def drop_previous(self, camera_id: str) -> None:
        """Name no generation before the current one any more."""
        self._connection.execute(
            "DELETE FROM previous_checkpoints WHERE camera = ?", (camera_id,)
        )

    def fall_back(self, camera_id: str) -> int:
        """Make the previous generation the current one; return how many images it lacks.

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
        self.drop_previous(camera_id)
        return run(
            "UPDATE images SET outcome = 'pending'"
            " WHERE camera = ? AND outcome = 'folded' AND sequence > ?",
            (camera_id, folded_to),
        ).rowcount
