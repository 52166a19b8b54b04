"""The ledger's evidence tables: what each photo shows of its camera's suspects, and the map.

One packed row a photo: `evidence.SAMPLE` times (suspects + controls), about 14 kB.  Only
the newest `KEPT` photos of a camera are kept, so a camera costs 4 MB however many photos
it takes.  The suspects change from map to map; a row says which list it was sampled at.
The defects are the camera's map, as `map.yaml` publishes it.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from hotpixeld.defect import Appearance, Defect, Kind, Law, Strength
from hotpixeld.detection.evidence import SAMPLE, SampledPhoto, Suspects
from hotpixeld.detection.lens_correction import NOT_CORRECTED, Corrections

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from hotpixeld.statistics.contrast import Sites

KEPT = 256
"""Photos of a camera whose samples are kept: more than its state remembers."""

_NEWEST = (
    " FROM samples JOIN images ON images.id = samples.image"
    " WHERE samples.camera = ? ORDER BY sequence DESC"
)
"""The samples of a camera, those of the photo that was folded last first."""

SCHEMA = """
CREATE TABLE suspects (
  camera TEXT NOT NULL REFERENCES cameras, version INTEGER NOT NULL,
  sites BLOB NOT NULL,                      -- int32 row, column of each
  corrections TEXT NOT NULL DEFAULT '',     -- JSON, where photos do not show them there
  PRIMARY KEY (camera, version)
) WITHOUT ROWID;
CREATE TABLE samples (
  image INTEGER PRIMARY KEY REFERENCES images, camera TEXT NOT NULL,
  captured TEXT, exposure_seconds REAL, iso INTEGER, focal_mm REAL,
  version INTEGER NOT NULL, packed BLOB NOT NULL,
  celsius REAL
);
CREATE INDEX samples_by_camera ON samples (camera, image);
CREATE TABLE defects (
  camera TEXT NOT NULL REFERENCES cameras, row INTEGER NOT NULL, col INTEGER NOT NULL,
  verdict TEXT NOT NULL                     -- JSON of the rest of defect.Defect
);
CREATE INDEX defects_by_camera ON defects (camera, row, col);
"""


def _sampled_photo(
    row: tuple[
        int,
        str | None,
        float | None,
        int | None,
        float | None,
        float | None,
        str,
        int,
        bytes,
    ],
) -> SampledPhoto:
    image, captured, seconds, iso, focal, celsius, lens, version, packed = row
    when, samples = _time(captured), np.frombuffer(packed, SAMPLE)
    taken = seconds, iso, focal, celsius, lens
    return SampledPhoto(image, when, *taken, version, samples)


class SampleTables:
    """The tables `suspects` and `samples`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def suspects(self, camera_id: str, version: int | None = None) -> Suspects:
        """Return a camera's list of suspects: of a version, or the newest."""
        row = self._connection.execute(
            "SELECT version, sites, corrections FROM suspects WHERE camera = ?"
            " AND version = coalesce(?, version) ORDER BY version DESC LIMIT 1",
            (camera_id, version),
        ).fetchone()
        if row is None:
            return Suspects(0, np.empty((0, 2), np.intp))
        sites = np.frombuffer(row[1], "<i4").reshape(-1, 2).astype(np.intp)
        return Suspects(row[0], sites, Corrections.parse(row[2]))

    def list_suspects(
        self, camera_id: str, sites: Sites, corrections: Corrections = NOT_CORRECTED
    ) -> Suspects:
        """Make `sites` the camera's suspects; lists that no row needs are dropped."""
        version = self.suspects(camera_id).version + 1
        run = self._connection.execute
        run(
            "DELETE FROM suspects WHERE camera = ?1 AND version NOT IN"
            " (SELECT version FROM samples WHERE camera = ?1)",
            (camera_id,),
        )
        packed = sites.astype("<i4").tobytes()
        run(
            "INSERT INTO suspects VALUES (?, ?, ?, ?)",
            (camera_id, version, packed, corrections.to_json()),
        )
        return Suspects(version, sites, corrections)

    def record(self, camera_id: str, photo: SampledPhoto) -> None:
        """Keep a photo's samples, in place of former ones; drop the oldest photo's."""
        captured = _text(photo.captured)
        run = self._connection.execute
        run(
            "INSERT OR REPLACE INTO samples (image, camera, captured,"
            " exposure_seconds, iso, focal_mm, celsius, version, packed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                photo.image,
                camera_id,
                captured,
                photo.exposure_seconds,
                photo.iso,
                photo.focal_mm,
                photo.celsius,
                photo.version,
                photo.samples.tobytes(),
            ),
        )
        self.drop_oldest(camera_id)

    def drop_oldest(self, camera_id: str) -> None:
        """Drop the samples of all but the newest `KEPT` photos."""
        query = "SELECT image" + _NEWEST + " LIMIT -1 OFFSET ?"
        older = self._connection.execute(query, (camera_id, KEPT)).fetchall()
        self._connection.executemany("DELETE FROM samples WHERE image = ?", older)

    def newest(self, camera_id: str, count: int) -> list[SampledPhoto]:
        """Return the samples of the last photos of the sequence, by capture time."""
        rows = self._connection.execute(
            "SELECT image, samples.captured, samples.exposure_seconds, samples.iso,"
            " samples.focal_mm, samples.celsius, images.lens, version, packed"
            + _NEWEST
            + " LIMIT ?",
            (camera_id, count),
        )
        photos = [_sampled_photo(row) for row in rows]
        return sorted(
            photos,
            key=lambda one: (one.captured or dt.datetime.max, one.image),
        )

    def count(self, camera_id: str) -> int:
        """Return of how many photos of a camera samples are kept."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM samples WHERE camera = ?", (camera_id,)
        ).fetchone()
        return int(count)

    def drop(self, image: int) -> None:
        """Drop the samples of an image whose file is another now."""
        self._connection.execute("DELETE FROM samples WHERE image = ?", (image,))

    def forget(self, camera_id: str) -> None:
        """Drop all samples and suspects of a camera."""
        for table in ("samples", "suspects"):
            self._connection.execute(
                f"DELETE FROM {table} WHERE camera = ?",  # noqa: S608 - two constants
                (camera_id,),
            )


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
            "law": defect.law and asdict(defect.law),
            **({"aside": defect.aside} if any(defect.aside) else {}),
        }
    )


def _text(when: dt.datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def _pair(values: list[Any] | None) -> tuple[Any, Any] | None:
    return None if values is None else (values[0], values[1])


def parsed_appearance(saved: dict[str, Any] | None) -> Appearance | None:
    """Return the appearance that was kept as JSON of its fields."""
    if saved is None:
        return None
    strengths = (
        Strength(
            _pair(one["seconds"]), _pair(one["iso"]), one["amplitude"], one["photos"]
        )
        for one in saved["strengths"]
    )
    return Appearance(saved["seen"], saved["telling"], tuple(strengths))


def _law(saved: dict[str, Any] | None) -> Law | None:
    return None if saved is None else Law(**saved)


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
        appearance=parsed_appearance(verdict.get("appearance")),
        law=_law(verdict.get("law")),
        aside=_pair(verdict.get("aside")) or (0.0, 0.0),
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
