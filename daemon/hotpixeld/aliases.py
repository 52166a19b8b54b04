"""The ledger's aliases: one body whose serial number appeared, or changed its form.

A firmware update, or another program on the way, may write a serial that was missing,
with leading zeros, in lower case.  The state goes on under the name that it began with.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hotpixeld.camera import Camera

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
CREATE TABLE aliases (
  id TEXT PRIMARY KEY,                      -- of the camera that photos name
  camera TEXT NOT NULL REFERENCES cameras   -- whose state they belong to
) WITHOUT ROWID;
"""


def bare(serial: str) -> str:
    """Return what two forms of one serial have in common.

    >>> bare("0056-0018a") == bare("560018A")
    True
    """
    return re.sub(r"[^0-9A-Z]", "", serial.upper()).lstrip("0")


class Aliases:
    """The table `aliases`."""

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
            return next(one for one in same_kind if one.id == row[0])
        found = [one for one in same_kind if bare(one.serial) == bare(camera.serial)]
        if not found and may_appear and [one.serial for one in same_kind] == [""]:
            found = same_kind
        if not found:
            return camera
        run("INSERT INTO aliases VALUES (?, ?)", (camera.id, found[0].id))
        return found[0]
