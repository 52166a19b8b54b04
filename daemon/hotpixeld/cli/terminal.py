"""What people see on a terminal: the status, tables of defects, and progress."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from hotpixeld.formats.map_formats import pixel
from hotpixeld.messages import counted, plain
from hotpixeld.repair import pixel_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hotpixeld.formats.map_formats import CameraMaps, Json
    from hotpixeld.repair.pixel_list import ListedPixel
    from hotpixeld.store.images import CameraRecord

Item = TypeVar("Item")


class Show(Protocol):
    """Yields items and shows, or does not show, how far they are: `with_progress`."""

    def __call__(self, items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
        """Yield the items."""


COLUMNS = ("x", "y", "kind", "score", "red green blue", "after", "by", "until", "")
LIFE_COLUMNS = (
    "x,y",
    "kind",
    "after",
    "by",
    "until",
    "seen in",
    "levels by exposure time (photos)",
    "focal length",
    "",
)

PLAIN_SECONDS = 10.0
"""Seconds between two plain lines."""


def size(number: int) -> str:
    """Return a number of bytes as people write it.

    >>> size(400), size(12_345_678), size(1_200_000_000)
    ('0 MB', '12 MB', '1.2 GB')
    """
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def _no_map(camera: Json) -> str:
    """Return why there is no map of the present state."""
    if camera["dropped"]:
        return "dropped to its list"
    return "no new map yet" if camera["defects"] else "no map yet"


def _camera(camera: Json) -> str:
    """Return the line about one camera."""
    known = camera["folded"] + camera["pending"]
    line = f"{camera['id']}: {known} photos, {camera['defects']} defects"
    if camera["forgotten"]:
        line += f", {camera['forgotten']} forgotten"
    if camera["ignored"]:
        line += f", {camera['ignored']} ignored"
    if not camera["mapped"]:
        line += f", {_no_map(camera)}"
    if camera["mapped"] and camera["scenes"] < camera["scenes_needed"]:
        line += (
            f", {camera['scenes']:.0f} scenes, {camera['scenes_needed']} needed:"
            " list its pixels by hand, or add a few photos of other things"
        )
    if camera["pending"]:
        line += f", {camera['pending']} photos not in a checkpoint yet"
    line += f", {size(camera['folder_bytes'] + camera['spool_bytes'])} on disk"
    if camera["spool_bytes"]:
        line += f", {size(camera['spool_bytes'])} of it pending photos"
    return line


def _problems(state: Json) -> list[str]:
    """Return a line for every photo and copy that went wrong."""
    photos = [
        f"{photo['outcome']} {photo['path']}: {photo['reason']}"
        for photo in state["problems"]
    ]
    copies = [
        f"copy {copy['condition']} {copy['path']}: {copy['notes']}"
        for copy in state["copy_problems"]
    ]
    return photos + copies


def status(state: Json) -> str:
    """Return a status for people."""
    daemon = state.get("daemon")
    lines = [f"daemon: {daemon['status']}" if daemon else "daemon: not running"]
    lines.append(f"on disk: {size(state['state_bytes'])}")
    counts = {**state["photos"]}
    counts |= {f"copies {how}": count for how, count in state["copies"].items()}
    lines += [f"{count:8} {what}" for what, count in counts.items() if count]
    lines += [_camera(camera) for camera in state["cameras"]]
    lines += [
        f"{counted(former['copies'], 'copy')} at a former place: {former['place']};"
        " `hotpixeld tidy` removes what is not needed there"
        for former in state.get("former_copies", ())
    ]
    return "\n".join(map(plain, lines + _problems(state))) + "\n"


def _mark(listed: ListedPixel) -> str:
    """Return what a table says of where a pixel comes from: nothing of detected ones."""
    if listed.ignored:
        return "ignored"
    return {"detected": "", "both": "configured, detected"}.get(
        listed.source, listed.source
    )


def table_rows(pixels: Iterable[ListedPixel]) -> list[list[str]]:
    """Return the cells of a table of pixels, a row each, in the order of `COLUMNS`."""
    rows = []
    for listed in pixels:
        cells = pixel(listed)
        amplitude = cells["amplitude"] or []
        since = cells["since"]
        rows.append(
            [
                str(cells["x"]),
                str(cells["y"]),
                cells["kind"],
                "" if cells["score"] is None else f"{cells['score']:.1f}",
                " ".join(f"{part:+.0f}" for part in amplitude),
                since["after"] or "",
                since["by"] or "",
                cells["until"] or "",
                _mark(listed),
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


def history_rows(pixels: Iterable[ListedPixel]) -> list[list[str]]:
    """Return the cells of a table of lives, a row each, in the order of `LIFE_COLUMNS`."""
    rows = []
    for listed in pixels:
        cells, shown = pixel(listed), listed.defect.appearance
        strengths = [
            f"{_range(each.seconds, 's')}: {each.amplitude:+.0f} ({each.photos})"
            for each in (shown.strengths if shown else ())
        ]
        since = cells["since"]
        rows.append(
            [
                f"{cells['x']},{cells['y']}",
                cells["kind"],
                since["after"] or "",
                since["by"] or "",
                cells["until"] or "",
                f"{shown.seen} of {shown.telling}" if shown else "",
                ", ".join(strengths),
                _range(listed.defect.focal, "mm") if listed.defect.focal else "",
                _mark(listed),
            ]
        )
    return rows


def histories(maps: CameraMaps) -> str:
    """Return the lives of all defects as tables for a terminal."""
    return tables(maps, LIFE_COLUMNS, history_rows)


def _title(record: CameraRecord, pixels: Sequence[ListedPixel]) -> str:
    """Return the heading of a camera's table: how many places there are, of each sort."""
    counts = pixel_list.counts(pixels)
    extra = [f", {counts[name]} {name}" for name in ("configured", "ignored")]
    known = "".join(text for text in extra if not text.startswith(", 0 "))
    return (
        f"{record.camera.id}: {counts['defects']} defects from {record.photos}"
        f" photos{known}"
    )


def tables(
    maps: CameraMaps,
    columns: Sequence[str] = COLUMNS,
    rows: Callable[[Iterable[ListedPixel]], list[list[str]]] = table_rows,
) -> str:
    """Return the maps as tables for a terminal."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    with console.capture() as captured:
        for record, pixels in maps:
            table = Table(*columns, title=_title(record, pixels), title_justify="left")
            for row in rows(pixels):
                table.add_row(*row)
            console.print(table)
        if not maps:
            console.print("no camera yet")
    return captured.get()


class _Rate(TextColumn):
    """The number of photos per second, as far as they are done."""

    def render(self, task: Task) -> Text:
        """Return the rate, once there is one."""
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


class _Above:
    """A stream whose lines appear above a bar, each as long as it is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> None:
        """Print whole lines."""
        line = Text(text.removesuffix("\n"))
        self._progress.console.print(line, soft_wrap=True)

    def flush(self) -> None:
        """Do nothing: what is written is there."""


@contextlib.contextmanager
def _above(progress: Progress) -> Iterator[None]:
    """Have the log's lines appear above a bar, not in it."""
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if type(handler) is logging.StreamHandler and handler.stream is sys.stderr
    ]
    for handler in handlers:
        handler.terminator = ""
        handler.setStream(_Above(progress))
    try:
        yield
    finally:
        for handler in handlers:
            handler.terminator = "\n"
            handler.setStream(sys.stderr)


def _bar(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(""),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress, _above(progress):
        task = progress.add_task(label, total=total)
        for item in items:
            yield item
            progress.advance(task)


def _plain(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    began = shown_at = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - shown_at >= PLAIN_SECONDS or done == total:
            shown_at = now
            rate = done / max(now - began, 1e-3)
            left = (total - done) / rate
            line = f"{label}: {done} of {total}, {rate:.1f}/s, {left:.0f} s left\n"
            sys.stderr.write(line)
            sys.stderr.flush()


def with_progress(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield `items` and show how far they are, on standard error.

    Parameters
    ----------
    total : int
        How many there will be.
    label : str
        What is being done with them.
    """
    if not total:
        return iter(items)
    return (_bar if sys.stderr.isatty() else _plain)(items, total, label)


def without_progress(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield `items` and show nothing; takes what `with_progress` takes."""
    del total, label
    return iter(items)
