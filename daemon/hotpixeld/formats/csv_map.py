"""Maps as CSV, for spreadsheets: a pixel in each line, all that is known of it in columns.

Of a list of another's making, columns `x` and `y` are enough.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

from hotpixeld.errors import PixelListError
from hotpixeld.formats import json_map
from hotpixeld.formats.form import Form, ReadPixel, only_of, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.formats.form import CameraMaps
    from hotpixeld.repair.pixel_list import ListedPixel

COLUMNS = (
    "camera", "x", "y", "kind", "score", "after", "by", "until", "source", "ignored",
    "radius", "red", "green", "blue", "focal_from", "focal_to", "conditions",
    "offset", "dark", "scatter", "drift", "celsius", "doubling", "certain",
)  # fmt: skip
"""Scripts may go by their names or by their places: new ones go behind the last."""


def _row(camera: Camera, listed: ListedPixel) -> dict[str, Any]:
    told = json_map.pixel(listed)
    red, green, blue = told["amplitude"] or (None, None, None)
    focal_from, focal_to = told["focal"] or (None, None)
    return {
        **told,
        **told["since"],
        **(told["law"] or {}),
        "camera": camera.id,
        "ignored": "yes" if listed.ignored else "",
        "certain": "yes" if listed.is_certain else "",
        "red": red,
        "green": green,
        "blue": blue,
        "focal_from": focal_from,
        "focal_to": focal_to,
    }


def _write(maps: CameraMaps) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for one in maps:
        writer.writerows(
            _row(one.camera, listed) for listed in one.pixels if not listed.prior
        )
    return buffer.getvalue().encode()


def _whole(text: str | None, what: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"\s*-?\d{1,9}\s*", text):
        raise ValueError(f"{what} must be a whole number, not {text!r}")
    return int(text)


def _values(row: dict[str, str]) -> json_map.Json:
    """Return a line as JSON says it."""
    ends = row.get("focal_from"), row.get("focal_to")
    return {
        **{key: _whole(row.get(key), key) for key in ("x", "y", "radius")},
        "kind": row.get("kind"),
        "since": {"after": row.get("after"), "by": row.get("by")},
        "until": row.get("until"),
        "focal": ends if all(ends) else None,
        "source": row.get("source") or "configured",
    }


def _read(content: bytes, camera: Camera, source: Path) -> list[ReadPixel]:
    reader = csv.DictReader(io.StringIO(text_of(content, source), newline=""))
    try:
        columns = set(reader.fieldnames or ())
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        problem = f"{source}:{reader.line_num}: not valid CSV: {error}"
        raise PixelListError([problem]) from error
    if not {"x", "y"} <= columns:
        problem = f"{source}:1: no columns x and y: the first line names the columns"
        raise PixelListError([problem])
    names = list(dict.fromkeys(row.get("camera") or camera.id for _, row in rows))
    wanted = [index for index, name in enumerate(names) if name == camera.id]
    name = names[only_of(names, wanted, camera, source)] if names else camera.id
    found, problems = list[ReadPixel](), list[str]()
    for line, row in rows:
        if (row.get("camera") or camera.id) != name:
            continue
        try:
            defect = json_map.defect(_values(row))
        except ValueError as error:
            problems.append(f"{source}:{line}: {error}")
        else:
            found.append(ReadPixel(str(line), defect, row.get("ignored") == "yes"))
    if problems:
        raise PixelListError(problems)
    return found


FORM = Form(
    "csv",
    ".csv",
    _write,
    _read,
    re.compile(r'(?=.*\bx\b)(?=.*\by\b)["\w .]+(?:,["\w .]*)+'),
    knows_cameras=True,
)
