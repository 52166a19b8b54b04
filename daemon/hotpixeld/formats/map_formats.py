"""The formats of ``map --format``: to add one, write a function and name it in `FORMATS`.

Coordinates are those of the camera's stored JPEG, 0-based: a raw frame may have borders.

A map here is a camera's whole list: detected, configured and ignored pixels.  JSON and CSV
say which is which; the formats of other programs leave the ignored ones out.

JSON: the maps, and the lives of their defects, for scripts.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

from hotpixeld.config import map_yaml
from hotpixeld.defect import conditions

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from hotpixeld.defect import Defect, Law
    from hotpixeld.repair.pixel_list import ListedPixel
    from hotpixeld.store.images import CameraRecord

CameraMaps = list[tuple["CameraRecord", list["ListedPixel"]]]
"""Cameras, each with its list."""
Json = dict[str, Any]


def _time(when: dt.datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _law(law: Law) -> Json:
    """Return a law of light for JSON; see `defect.Law` for what the numbers mean."""
    numbers: dict[str, float | None] = dataclasses.asdict(law)
    return {
        name: number if number is None else float(f"{number:.4g}")
        for name, number in numbers.items()
    }


def pixel(listed: ListedPixel) -> Json:
    """Return one pixel for JSON: x, y are stored coordinates, times ISO 8601 local."""
    defect = listed.defect
    return {
        "x": defect.x,
        "y": defect.y,
        "kind": str(defect.kind),
        "score": None if defect.score is None else round(defect.score, 2),
        "radius": defect.radius,
        "amplitude": defect.amplitude and [round(part, 2) for part in defect.amplitude],
        "since": {"after": _time(defect.after), "by": _time(defect.by)},
        "until": _time(defect.until),
        "focal": defect.focal and list(defect.focal),
        "conditions": conditions(defect),
        "law": defect.law and _law(defect.law),
        "source": str(listed.source),
        "ignored": listed.ignored,
    }


def life(listed: ListedPixel) -> Json:
    """Return one pixel with how it appeared in its photos, for JSON."""
    shown = listed.defect.appearance
    strengths = shown.strengths if shown else ()
    return {
        **pixel(listed),
        "photos": shown and {"seen": shown.seen, "telling": shown.telling},
        "exposures": [
            {
                "seconds": strength.seconds and list(strength.seconds),
                "iso": strength.iso and list(strength.iso),
                "amplitude": round(strength.amplitude, 2),
                "photos": strength.photos,
            }
            for strength in strengths
        ],
    }


def json_text(maps: CameraMaps, entry: Callable[[ListedPixel], Json] = pixel) -> str:
    """Return the maps as JSON, each pixel as `entry` (`pixel` or `life`) gives it."""
    cameras = [
        {
            "id": record.camera.id,
            **dataclasses.asdict(record.camera),
            "photos": record.photos,
            "pixels": [entry(listed) for listed in pixels],
        }
        for record, pixels in maps
    ]
    return json.dumps({"cameras": cameras}, indent=1) + "\n"


def csv_text(maps: CameraMaps) -> str:
    """Return the maps as CSV, a pixel a line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = ["x", "y", "kind", "score", "after", "by", "until", "source", "ignored"]
    writer.writerow(["camera", *columns])
    for record, pixels in maps:
        for listed in pixels:
            entry = pixel(listed)
            entry |= entry["since"]
            entry["ignored"] = "yes" if listed.ignored else ""
            writer.writerow([record.camera.id, *(entry[name] for name in columns)])
    return buffer.getvalue()


def _defects(pixels: list[ListedPixel], *, ignored: bool = False) -> list[Defect]:
    """Return the defects of those that are to be repaired, or of those `ignored`."""
    return [listed.defect for listed in pixels if listed.ignored == ignored]


def dcraw_text(maps: CameraMaps) -> str:
    """Return the maps as .badpixels of dcraw(1): column, row, UNIX time of the onset."""
    lines = []
    for record, pixels in maps:
        lines.append(f"# {record.camera.id}")
        for defect in _defects(pixels):
            dated = defect.after is not None and defect.by is not None
            began = int(defect.by.timestamp()) if dated and defect.by else 0
            lines.append(f"{defect.x} {defect.y} {began}")
    return "\n".join(lines) + "\n"


def jpegpixi_text(maps: CameraMaps) -> str:
    """Return the maps as block lists of jpegpixi(1): X,Y,SIZE, a camera after another."""
    lines = []
    for record, pixels in maps:
        lines.append(f"# {record.camera.id}")
        for defect in _defects(pixels):
            reach = 1 if defect.radius is None else defect.radius
            x, y, size = defect.x - reach, defect.y - reach, 2 * reach + 1
            lines.append(f"{max(x, 0)},{max(y, 0)},{size}")
    return "\n".join(lines) + "\n"


def yaml_text(maps: CameraMaps) -> str:
    """Return the maps as YAML, in the configuration's grammar."""
    entries = [
        map_yaml.entry(
            record.camera,
            _defects(pixels),
            record.photos,
            _defects(pixels, ignored=True),
        )
        for record, pixels in maps
    ]
    return (
        f"{map_yaml.HEADER}cameras:\n{''.join(entries)}" if entries else "cameras: []\n"
    )


FORMATS: Mapping[str, Callable[[CameraMaps], str]] = {
    "json": json_text,
    "yaml": yaml_text,
    "csv": csv_text,
    "jpegpixi": jpegpixi_text,
    "dcraw": dcraw_text,
}
"""From maps to a file's text; the table for people is `cli.tables`."""
