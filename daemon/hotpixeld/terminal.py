"""What people see on a terminal: the status and the maps as text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from hotpixeld import report
from hotpixeld.messages import plain

if TYPE_CHECKING:
    from hotpixeld.report import Json, Maps


def _camera(camera: Json) -> str:
    """Return the line about one camera."""
    known = camera["folded"] + camera["pending"]
    line = f"{camera['id']}: {known} photos, {camera['defects']} defects"
    if not camera["mapped"]:
        line += ", no map yet"
    if camera["pending"]:
        line += f", {camera['pending']} photos not in a checkpoint yet"
    return line


def _problems(found: Json) -> list[str]:
    """Return a line for every photo and copy that needs an eye."""
    photos = [
        f"{one['outcome']} {one['path']}: {one['reason']}" for one in found["problems"]
    ]
    copies = [
        f"copy {one['condition']} {one['path']}: {one['notes']}"
        for one in found["copy_problems"]
    ]
    return photos + copies


def status(found: Json) -> str:
    """Return a status for people."""
    daemon = found.get("daemon")
    lines = [f"daemon: {daemon['status']}" if daemon else "daemon: not running"]
    counts = {**found["photos"]}
    counts |= {f"copies {how}": count for how, count in found["copies"].items()}
    lines += [f"{count:8} {what}" for what, count in counts.items() if count]
    lines += [_camera(camera) for camera in found["cameras"]]
    return "\n".join(map(plain, lines + _problems(found))) + "\n"


def tables(maps: Maps) -> str:
    """Return the maps as tables for a terminal."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    with console.capture() as captured:
        for record, defects in maps:
            photos = record.checkpoint.photos if record.checkpoint else 0
            title = f"{record.camera.id}: {len(defects)} defects from {photos} photos"
            table = Table(*report.COLUMNS, title=title, title_justify="left")
            for row in report.table_rows(defects):
                table.add_row(*row)
            console.print(table)
        if not maps:
            console.print("no camera yet")
    return captured.get()
