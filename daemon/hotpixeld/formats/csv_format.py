"""CSV: the maps for spreadsheets, a pixel a line."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from hotpixeld.formats.json_format import pixel

if TYPE_CHECKING:
    from hotpixeld.store.evidence_tables import Maps


def text(maps: Maps) -> str:
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
