"""The ledger's table of primed pixels: what dark frames have shown of a camera.

Each has an outcome, by the photos that followed; those that came to none are expected in
photos.  They stay with the camera until it is forgotten.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from hotpixeld.camera import Bin
from hotpixeld.defect import Primed
from hotpixeld.detection.dark_frames import Outcome
from hotpixeld.store.evidence_tables import parsed_appearance

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    Site = tuple[int, int]

SCHEMA = """
CREATE TABLE primed (
  camera TEXT NOT NULL REFERENCES cameras, row INTEGER NOT NULL, col INTEGER NOT NULL,
  outcome TEXT NOT NULL
    CHECK (outcome IN ('open', 'longer', 'confirmed', 'dropped')),
  lens TEXT NOT NULL, focal_mm REAL,        -- of the dark frames
  shown TEXT NOT NULL,                      -- JSON: how they show it
  PRIMARY KEY (camera, row, col)
) WITHOUT ROWID;
"""


class PrimedPixel(NamedTuple):
    """What dark frames have shown.

    Attributes
    ----------
    pixel : Primed
        Where they show it.
    bin : Bin
        Theirs.
    outcome : Outcome
    """

    pixel: Primed
    bin: Bin
    outcome: Outcome


class PrimedPixels:
    """The table `primed`; what writes is to be called inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def of(self, camera_id: str) -> list[PrimedPixel]:
        """Return what was primed of a camera, from the top left on."""
        rows = self._connection.execute(
            "SELECT row, col, outcome, lens, focal_mm, shown FROM primed"
            " WHERE camera = ? ORDER BY row, col",
            (camera_id,),
        )
        found = []
        for row, col, outcome, lens, focal, text in rows:
            shown = json.loads(text)
            red, green, blue = shown["amplitude"]
            pixel = Primed(
                row,
                col,
                amplitude=(red, green, blue),
                appearance=parsed_appearance(shown["appearance"]),
                source="dark frames",
                places=((row, col),),
                frame=(row, col),
            )
            found.append(PrimedPixel(pixel, Bin(lens, focal), Outcome(outcome)))
        return found

    def add(self, camera_id: str, pixels: Iterable[Primed], where: Bin) -> None:
        """List what dark frames of a bin show; in place of what former ones showed there."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO primed VALUES (?, ?, ?, 'open', ?, ?, ?)",
            [
                (
                    *(camera_id, one.row, one.col, where.lens, where.focal_mm),
                    json.dumps(
                        {
                            "amplitude": one.amplitude,
                            "appearance": one.appearance and asdict(one.appearance),
                        }
                    ),
                )
                for one in pixels
            ],
        )

    def set_outcomes(self, camera_id: str, outcomes: Mapping[Site, Outcome]) -> None:
        """Record what photos have said of pixels, by the row, column of the dark frames."""
        self._connection.executemany(
            "UPDATE primed SET outcome = ? WHERE camera = ? AND row = ? AND col = ?",
            [(str(one), camera_id, *site) for site, one in outcomes.items()],
        )

    def open_again(self, camera_id: str) -> None:
        """Take back all that photos have said."""
        self._connection.execute(
            "UPDATE primed SET outcome = 'open' WHERE camera = ?", (camera_id,)
        )

    def forget(self, camera_id: str) -> None:
        """Drop all that was primed of a camera."""
        self._connection.execute("DELETE FROM primed WHERE camera = ?", (camera_id,))

    def counts(self, camera_id: str) -> dict[str, int]:
        """Return how many pixels came to each outcome."""
        rows = self._connection.execute(
            "SELECT outcome, count(*) FROM primed WHERE camera = ? GROUP BY outcome",
            (camera_id,),
        )
        return {str(one): 0 for one in Outcome} | dict(rows)
