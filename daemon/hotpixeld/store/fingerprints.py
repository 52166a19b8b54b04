"""The ledger's fingerprints: by what the copies and versions of its images are recognised.

Some hundred bytes an image.  They are looked up by the capture time, of which a camera has
few photos, or without one by the beginning of the coded data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hotpixeld.photo.fingerprint import Fingerprint

if TYPE_CHECKING:
    import datetime as dt
    import sqlite3

    from hotpixeld.store.images import Image

SCHEMA = """
CREATE TABLE fingerprints (
  image INTEGER PRIMARY KEY REFERENCES images ON DELETE CASCADE,
  head BLOB, note BLOB NOT NULL, thumbnail BLOB NOT NULL, layout BLOB NOT NULL,
  samples BLOB NOT NULL
);
CREATE INDEX fingerprints_by_head ON fingerprints (head) WHERE head IS NOT NULL;
CREATE INDEX images_by_time ON images (captured) WHERE captured IS NOT NULL;
"""


MOST_RELATIVES = 16
"""Where a clock stands still, all photos have one capture time."""


class Relative(NamedTuple):
    """An image that another may be a copy or a version of.

    Attributes
    ----------
    id : int
        Of the image.
    make, model : str
        Of its camera.
    size : tuple of int
        Its height and width.
    fingerprint : Fingerprint or None
        None of an image that was admitted before there were any.
    """

    id: int
    make: str
    model: str
    size: tuple[int, int]
    fingerprint: Fingerprint | None


_RELATIVE = (
    "SELECT images.id, make, model, height, width, head, note, thumbnail, layout, samples FROM images"
    " JOIN cameras ON cameras.id = images.camera"
)


class Fingerprints:
    """The table `fingerprints`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def record(self, image: int, fingerprint: Fingerprint) -> None:
        """Keep the fingerprint of an image; in a transaction."""
        self._connection.execute(
            "INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?, ?, ?, ?)",
            (
                image,
                fingerprint.head or None,
                fingerprint.note,
                fingerprint.thumbnail,
                fingerprint.layout,
                fingerprint.samples,
            ),
        )

    def relatives(
        self, captured: dt.datetime | None, fingerprint: Fingerprint
    ) -> list[Relative]:
        """Return the images taken at that time, or whose coded data begin alike.

        Those with the same thumbnail and MakerNote first, then those that were not lost,
        then the newest; at most `MOST_RELATIVES`.
        """
        where, value = (
            (" JOIN fingerprints ON image = images.id WHERE head = ?", fingerprint.head)
            if captured is None
            else (
                " LEFT JOIN fingerprints ON image = images.id WHERE captured = ?",
                captured.isoformat(),
            )
        )
        query = (
            f"{_RELATIVE}{where} ORDER BY (thumbnail IS ?) + (note IS ?) DESC,"
            " outcome = 'lost', images.id DESC LIMIT ?"
        )
        order = fingerprint.thumbnail, fingerprint.note, MOST_RELATIVES
        return [
            Relative(image, make, model, (height, width), _fingerprint(rest))
            for image, make, model, height, width, *rest in self._connection.execute(
                query, (value, *order)
            )
        ]

    def replace(self, image: Image, identity: str, fingerprint: Fingerprint) -> None:
        """Let a photo stand for its copy, which was admitted first; in a transaction.

        The image keeps its place and its outcome.
        """
        run, new = self._connection.execute, bytes.fromhex(identity)
        # The photo itself may have been lost before its copy came.
        row = run("SELECT id FROM images WHERE identity = ?", (new,)).fetchone()
        if row is not None:
            run("UPDATE paths SET image = ? WHERE image = ?", (image.id, *row))
            run("DELETE FROM samples WHERE image = ?", row)
            run("DELETE FROM images WHERE id = ?", row)
        run("UPDATE images SET identity = ? WHERE id = ?", (new, image.id))
        self.record(image.id, fingerprint)


def _fingerprint(row: list[bytes | None]) -> Fingerprint | None:
    head, *rest = row
    parts = [part for part in rest if part is not None]
    return Fingerprint(head or b"", *parts) if parts else None
