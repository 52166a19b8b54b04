"""What people see on a terminal: the status and the maps as text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from hotpixeld import report
from hotpixeld.messages import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hotpixeld.pixels import Defect
    from hotpixeld.report import Json, Maps


def _camera(camera: Json) -> str:
    """Return the line about one camera."""
    known = camera["folded"] + camera["pending"]
    line = f"{camera['id']}: {known} photos, {camera['defects']} defects"
    if not camera["mapped"]:
        line += ", no map yet"
    if camera["mapped"] and camera["scenes"] < camera["scenes_needed"]:
        line += (
            f", {camera['scenes']:.0f} scenes, {camera['scenes_needed']} needed:"
            " list its pixels by hand, or add a few photos of other things"
        )
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


def histories(maps: Maps) -> str:
    """Return the lives of all defects as tables for a terminal."""
    return tables(maps, report.LIFE_COLUMNS, report.history_rows)


def tables(
    maps: Maps,
    columns: Sequence[str] = report.COLUMNS,
    rows: Callable[[Iterable[Defect]], list[list[str]]] = report.table_rows,
) -> str:
    """Return the maps as tables for a terminal."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    with console.capture() as captured:
        for record, defects in maps:
            photos = record.checkpoint.photos if record.checkpoint else 0
            title = f"{record.camera.id}: {len(defects)} defects from {photos} photos"
            table = Table(*columns, title=title, title_justify="left")
            for row in rows(defects):
                table.add_row(*row)
            console.print(table)
        if not maps:
            console.print("no camera yet")
    return captured.get()
