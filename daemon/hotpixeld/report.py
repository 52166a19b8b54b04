"""What `status`, `map` and `history` say, as plain values; the command line prints them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from hotpixeld import mapfile
from hotpixeld.lives import SCENES

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable

    from hotpixeld.camera import Camera
    from hotpixeld.images import CameraRecord
    from hotpixeld.ledger import Ledger
    from hotpixeld.pixels import Defect

PROBLEMS = 1000
"""At most so many photos are named one by one in a status."""

Json = dict[str, Any]


def _camera(camera: Camera) -> Json:
    return {
        "id": camera.id,
        "make": camera.make,
        "model": camera.model,
        "serial": camera.serial,
        "width": camera.width,
        "height": camera.height,
    }


def status(ledger: Ledger) -> Json:
    """Return the status of a state folder, ready for JSON."""
    cameras = []
    for record in ledger.images.cameras():
        counts = ledger.images.counts(record.camera.id)
        cameras.append(
            {
                **_camera(record.camera),
                "photos": record.checkpoint.photos if record.checkpoint else 0,
                "weight": record.checkpoint.weight if record.checkpoint else 0.0,
                **counts,
                "mapped": record.mapped,
                "scenes": round(record.scenes, 1),
                "scenes_needed": SCENES,
                "defects": len(ledger.defects.of(record.camera.id)),
            }
        )
    problems = [
        {"path": str(one.path), "outcome": one.outcome, "reason": one.reason}
        for one in ledger.paths.with_reason(PROBLEMS)
    ]
    copies = [
        {"path": str(one.target), "condition": one.condition, "notes": one.notes}
        for one in ledger.copies.with_notes(PROBLEMS)
    ]
    return {
        "cameras": cameras,
        "photos": {**ledger.images.counts(), **ledger.paths.counts()},
        "copies": ledger.copies.counts(),
        "problems": problems,
        "copy_problems": copies,
    }


def _text(when: dt.datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def pixel(defect: Defect) -> Json:
    """Return one defect for JSON: x, y are stored coordinates, times ISO 8601 local."""
    return {
        "x": defect.x,
        "y": defect.y,
        "kind": str(defect.kind),
        "score": None if defect.score is None else round(defect.score, 2),
        "radius": defect.radius,
        "amplitude": defect.amplitude and [round(part, 2) for part in defect.amplitude],
        "since": {"after": _text(defect.after), "by": _text(defect.by)},
        "until": _text(defect.until),
        "focal": defect.focal and list(defect.focal),
    }


def life(defect: Defect) -> Json:
    """Return one defect with how it appeared in its photos, for JSON."""
    shown = defect.appearance
    strengths = shown.strengths if shown else ()
    return {
        **pixel(defect),
        "photos": shown and {"seen": shown.seen, "telling": shown.telling},
        "exposures": [
            {
                "seconds": one.seconds and list(one.seconds),
                "iso": one.iso and list(one.iso),
                "amplitude": round(one.amplitude, 2),
                "photos": one.photos,
            }
            for one in strengths
        ],
    }


Maps = list[tuple["CameraRecord", list["Defect"]]]
"""Cameras, each with its defects."""


def _photos(record: CameraRecord) -> int:
    return record.checkpoint.photos if record.checkpoint else 0


def map_json(maps: Maps, one: Callable[[Defect], Json] = pixel) -> str:
    """Return the maps as JSON, each defect as `one` says it."""
    cameras = [
        {
            **_camera(record.camera),
            "photos": _photos(record),
            "pixels": [one(defect) for defect in defects],
        }
        for record, defects in maps
    ]
    return json.dumps({"cameras": cameras}, indent=1) + "\n"


def map_yaml(maps: Maps) -> str:
    """Return the maps as YAML, in the configuration's grammar."""
    entries = [
        mapfile.entry(record.camera, defects, _photos(record))
        for record, defects in maps
    ]
    return (
        f"{mapfile.HEADER}cameras:\n{''.join(entries)}" if entries else "cameras: []\n"
    )


def map_csv(maps: Maps) -> str:
    """Return the maps as CSV, a pixel a line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["camera", "x", "y", "kind", "score", "after", "by", "until"])
    for record, defects in maps:
        for defect in defects:
            one = pixel(defect)
            since = one["since"]
            row = [one["x"], one["y"], one["kind"], one["score"]]
            times = [since["after"], since["by"], one["until"]]
            writer.writerow([record.camera.id, *row, *times])
    return buffer.getvalue()


def map_jpegpixi(maps: Maps) -> str:
    """Return the maps as block lists of jpegpixi(1): X,Y,SIZE, a camera after another."""
    lines = []
    for record, defects in maps:
        lines.append(f"# {record.camera.id}")
        for defect in defects:
            reach = 1 if defect.radius is None else defect.radius
            x, y, size = defect.x - reach, defect.y - reach, 2 * reach + 1
            lines.append(f"{max(x, 0)},{max(y, 0)},{size}")
    return "\n".join(lines) + "\n"


def map_dcraw(maps: Maps) -> str:
    """Return the maps as dcraw's .badpixels: column, row, UNIX time of the onset.

    The coordinates are those of the camera's JPEG: a raw frame may have borders.
    """
    lines = []
    for record, defects in maps:
        lines.append(f"# {record.camera.id}")
        for defect in defects:
            dated = defect.after is not None and defect.by is not None
            began = int(defect.by.timestamp()) if dated and defect.by else 0
            lines.append(f"{defect.x} {defect.y} {began}")
    return "\n".join(lines) + "\n"


def table_rows(defects: Iterable[Defect]) -> list[list[str]]:
    """Return the cells of a table of defects, a row each, in the order of `COLUMNS`."""
    rows = []
    for defect in defects:
        one = pixel(defect)
        amplitude = one["amplitude"] or []
        since = one["since"]
        rows.append(
            [
                str(one["x"]),
                str(one["y"]),
                one["kind"],
                "" if one["score"] is None else f"{one['score']:.1f}",
                " ".join(f"{part:+.0f}" for part in amplitude),
                since["after"] or "",
                since["by"] or "",
                one["until"] or "",
            ]
        )
    return rows


def _times(seconds: float) -> str:
    """Return an exposure time as photographers write it."""
    return f"1/{1 / seconds:.0f}" if seconds < 0.4 else f"{seconds:.3g}"


def _range(ends: tuple[float, float] | tuple[int, int] | None, text: str) -> str:
    """Return a range of exposure times or numbers in as few characters as it takes."""
    if ends is None:
        return "?"
    first, last = (_times(end) if text == "s" else f"{end:g}" for end in ends)
    return f"{first} {text}" if first == last else f"{first}-{last} {text}"


def history_rows(defects: Iterable[Defect]) -> list[list[str]]:
    """Return the cells of a table of lives, a row each, in the order of `LIFE_COLUMNS`."""
    rows = []
    for defect in defects:
        one, shown = pixel(defect), defect.appearance
        strengths = [
            f"{_range(each.seconds, 's')}: {each.amplitude:+.0f} ({each.photos})"
            for each in (shown.strengths if shown else ())
        ]
        since = one["since"]
        rows.append(
            [
                f"{one['x']},{one['y']}",
                one["kind"],
                since["after"] or "",
                since["by"] or "",
                one["until"] or "",
                f"{shown.seen} of {shown.telling}" if shown else "",
                ", ".join(strengths),
                _range(defect.focal, "mm") if defect.focal else "",
            ]
        )
    return rows


LIFE_COLUMNS = (
    "x,y",
    "kind",
    "after",
    "by",
    "until",
    "seen in",
    "levels by exposure time (photos)",
    "focal length",
)
COLUMNS = ("x", "y", "kind", "score", "red green blue", "after", "by", "until")
FORMATS = {
    "json": map_json,
    "yaml": map_yaml,
    "csv": map_csv,
    "jpegpixi": map_jpegpixi,
    "dcraw": map_dcraw,
}
"""The formats of `map` besides the table."""
