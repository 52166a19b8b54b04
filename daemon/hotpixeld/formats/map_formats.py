"""The formats of ``map --format``: to add one, write a function and name it in `FORMATS`.

Coordinates are those of the camera's stored JPEG, 0-based: a raw frame may have borders.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from hotpixeld.config import map_yaml
from hotpixeld.formats import json_format

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hotpixeld.store.evidence_tables import CameraMaps


def csv_text(maps: CameraMaps) -> str:
    """Return the maps as CSV, a pixel a line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["camera", "x", "y", "kind", "score", "after", "by", "until"])
    for record, defects in maps:
        for defect in defects:
            pixel = json_format.pixel(defect)
            since = pixel["since"]
            row = [pixel["x"], pixel["y"], pixel["kind"], pixel["score"]]
            times = [since["after"], since["by"], pixel["until"]]
            writer.writerow([record.camera.id, *row, *times])
    return buffer.getvalue()


def dcraw_text(maps: CameraMaps) -> str:
    """Return the maps as .badpixels of dcraw(1): column, row, UNIX time of the onset."""
    lines = []
    for record, defects in maps:
        lines.append(f"# {record.camera.id}")
        for defect in defects:
            dated = defect.after is not None and defect.by is not None
            began = int(defect.by.timestamp()) if dated and defect.by else 0
            lines.append(f"{defect.x} {defect.y} {began}")
    return "\n".join(lines) + "\n"


def jpegpixi_text(maps: CameraMaps) -> str:
    """Return the maps as block lists of jpegpixi(1): X,Y,SIZE, a camera after another."""
    lines = []
    for record, defects in maps:
        lines.append(f"# {record.camera.id}")
        for defect in defects:
            reach = 1 if defect.radius is None else defect.radius
            x, y, size = defect.x - reach, defect.y - reach, 2 * reach + 1
            lines.append(f"{max(x, 0)},{max(y, 0)},{size}")
    return "\n".join(lines) + "\n"


def yaml_text(maps: CameraMaps) -> str:
    """Return the maps as YAML, in the configuration's grammar."""
    entries = [
        map_yaml.entry(record.camera, defects, record.photos)
        for record, defects in maps
    ]
    return (
        f"{map_yaml.HEADER}cameras:\n{''.join(entries)}" if entries else "cameras: []\n"
    )


FORMATS: Mapping[str, Callable[[CameraMaps], str]] = {
    "json": json_format.text,
    "yaml": yaml_text,
    "csv": csv_text,
    "jpegpixi": jpegpixi_text,
    "dcraw": dcraw_text,
}
"""From maps to a file's text; the table for people is `cli.terminal`."""
