"""The ledger's defects: each camera's maintained map, as `map.yaml` publishes it."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from hotpixeld.pixels import Defect, Kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

SCHEMA = """
CREATE TABLE defects (
  camera TEXT NOT NULL REFERENCES cameras, row INTEGER NOT NULL, col INTEGER NOT NULL,
  verdict TEXT NOT NULL                     -- JSON of the rest of pixels.Defect
);
CREATE INDEX defects_by_camera ON defects (camera, row, col);
"""


def _verdict(defect: Defect) -> str:
    """Return the JSON of everything but the place."""
    return json.dumps(
        {
            "kind": defect.kind,
            "radius": defect.radius,
            "score": defect.score,
            "amplitude": defect.amplitude,
            **{name: _text(getattr(defect, name)) for name in ("after", "by", "until")},
        }
    )


def _text(when: dt.datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def _defect(row: int, col: int, verdict: dict[str, Any]) -> Defect:
    amplitude = verdict["amplitude"]
    return Defect(
        row=row,
        col=col,
        kind=Kind(verdict["kind"]),
        radius=verdict["radius"],
        score=verdict["score"],
        amplitude=None if amplitude is None else tuple(amplitude),
        after=_time(verdict["after"]),
        by=_time(verdict["by"]),
        until=_time(verdict["until"]),
    )


class Defects:
    """The table `defects`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def of(self, camera_id: str) -> list[Defect]:
        """Return the camera's map, from the top left on; a place may have many lives."""
        query = (
            "SELECT row, col, verdict FROM defects WHERE camera = ?"
            " ORDER BY row, col, rowid"
        )
        rows = self._connection.execute(query, (camera_id,))
        return [_defect(row, col, json.loads(verdict)) for row, col, verdict in rows]

    def replace(self, camera_id: str, defects: Sequence[Defect]) -> None:
        """Make `defects` the camera's map; call inside a transaction."""
        run = self._connection.execute
        run("DELETE FROM defects WHERE camera = ?", (camera_id,))
        for defect in defects:
            run(
                "INSERT INTO defects VALUES (?, ?, ?, ?)",
                (camera_id, defect.row, defect.col, _verdict(defect)),
            )
