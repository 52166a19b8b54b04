"""The .badpixels file of dcraw(1): column, row, UNIX time of the onset."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotpixeld.store.evidence_tables import Maps


def text(maps: Maps) -> str:
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
