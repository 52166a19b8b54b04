"""The ledger's defects: each camera's maintained map, as `map.yaml` publishes it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hotpixeld.defect import Appearance, Defect, Kind, Strength

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from hotpixeld.store.images import CameraRecord

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
            "focal": defect.focal,
            "appearance": defect.appearance and asdict(defect.appearance),
        }
    )


def _text(when: dt.datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def _pair(values: list[Any] | None) -> tuple[Any, Any] | None:
    return None if values is None else (values[0], values[1])


def _appearance(saved: dict[str, Any] | None) -> Appearance | None:
    if saved is None:
        return None
    strengths = (
        Strength(
            _pair(one["seconds"]), _pair(one["iso"]), one["amplitude"], one["photos"]
        )
        for one in saved["strengths"]
    )
    return Appearance(saved["seen"], saved["telling"], tuple(strengths))


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
        focal=_pair(verdict.get("focal")),
        appearance=_appearance(verdict.get("appearance")),
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


Maps = list[tuple["CameraRecord", list[Defect]]]
"""Cameras, each with its defects."""
