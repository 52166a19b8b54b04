"""jpegpixi(1)'s block lists: X,Y,SIZE a line, a camera after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotpixeld.store.evidence_tables import Maps


def text(maps: Maps) -> str:
    """Return the maps as block lists of jpegpixi(1): X,Y,SIZE, a camera after another."""
    lines = []
    for record, defects in maps:
        lines.append(f"# {record.camera.id}")
        for defect in defects:
            reach = 1 if defect.radius is None else defect.radius
            x, y, size = defect.x - reach, defect.y - reach, 2 * reach + 1
            lines.append(f"{max(x, 0)},{max(y, 0)},{size}")
    return "\n".join(lines) + "\n"
