"""What people see on a terminal: the status and the maps as text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from hotpixeld.formats.json_format import pixel
from hotpixeld.messages import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hotpixeld.defect import Defect
    from hotpixeld.formats.json_format import Json
    from hotpixeld.store.evidence_tables import Maps


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


def histories(maps: Maps) -> str:
    """Return the lives of all defects as tables for a terminal."""
    return tables(maps, LIFE_COLUMNS, history_rows)


def tables(
    maps: Maps,
    columns: Sequence[str] = COLUMNS,
    rows: Callable[[Iterable[Defect]], list[list[str]]] = table_rows,
) -> str:
    """Return the maps as tables for a terminal."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    with console.capture() as captured:
        for record, defects in maps:
            title = f"{record.camera.id}: {len(defects)} defects from {record.photos} photos"
            table = Table(*columns, title=title, title_justify="left")
            for row in rows(defects):
                table.add_row(*row)
            console.print(table)
        if not maps:
            console.print("no camera yet")
    return captured.get()
