"""What people see on a terminal: the status, and progress; of defects, see `tables`."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from pathlib import Path
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
from rich.text import Text

from hotpixeld.messages import counted, plain
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hotpixeld.formats.map_formats import Json

Item = TypeVar("Item")


class Show(Protocol):
    """Yields items and shows, or does not show, how far they are: `with_progress`."""

    def __call__(self, items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
        """Yield the items."""


PLAIN_SECONDS = 10.0
"""Seconds between two plain lines."""


PROBLEMS = 20
"""A status names at most so many photos, copies and folders one by one, each."""

COPY_WORDS = {
    "lossless": ("copy", "repaired without loss"),
    "reencoded": ("copy", "repaired and coded anew"),
    "link": ("copy", "that is a link: nothing to repair"),
    "copy": ("copy", "as the original: nothing to repair"),
    "writing": ("copy", "being written"),
    "withdrawn": ("copy", "removed: nothing left to repair"),
    "deleted": ("copy", "deleted since: stays so"),
    "foreign": ("copy", "left alone: another file is in its place, or it was changed"),
    "refused": ("photo", "that cannot be repaired"),
    "by hand": ("copy", "repaired by the command `repair`"),
}
"""What stands in a status for what became of copies: of what so many, and how."""


def size(number: int) -> str:
    """Return a number of bytes as people write it.

    >>> size(400), size(12_345_678), size(1_200_000_000)
    ('0 MB', '12 MB', '1.2 GB')
    """
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


WORTH_TELLING = 500_000
"""Bytes on disk of one camera: fewer are not told."""


def _no_map(camera: Json) -> str:
    """Return why there is no map of the present state."""
    if camera["dropped"]:
        return "dropped to its list"
    new = "new " if camera["defects"] else ""
    return f"no {new}map yet: {counted(camera['photos_needed'], 'photo')} needed"


def _pixels(camera: Json) -> Iterator[str]:
    """Yield what there is to say of a camera's list, and of what it lacks."""
    if camera["mapped"] or camera["defects"]:
        yield counted(camera["defects"], "defect")
    if camera["same_body"]:
        yield f"same body as {' and '.join(camera['same_body'])}"
    if camera["forgotten"]:
        yield f"{camera['forgotten']:,} forgotten"
    if camera["ignored"]:
        yield f"{camera['ignored']:,} ignored"
    if not camera["mapped"]:
        yield _no_map(camera)
    elif camera["scenes"] < camera["scenes_needed"]:
        yield (
            f"{camera['scenes']:.0f} scenes, {camera['scenes_needed']} needed:"
            " list its pixels by hand, or add a few photos of other things"
        )


def _room(camera: Json) -> Iterator[str]:
    """Yield what a camera takes on disk."""
    taken = camera["folder_bytes"] + camera["spool_bytes"]
    if taken >= WORTH_TELLING:
        yield f"{size(taken)} on disk"
        if camera["spool_bytes"] >= WORTH_TELLING:
            yield f"{size(camera['spool_bytes'])} of it pending photos"


def _camera(camera: Json) -> str:
    """Return the line about one camera."""
    parts = [counted(camera["folded"] + camera["pending"], "photo")]
    if camera["pending"] and camera["folded"]:
        parts.append(f"{camera['pending']:,} of them pending")
    return f"{camera['id']}: {', '.join([*parts, *_pixels(camera), *_room(camera)])}"


def _daemon(state: Json) -> list[str]:
    """Return the lines about the daemon, and its faults that no folder has."""
    daemon, killed, process = (
        state.get(name) for name in ("daemon", "killed", "process")
    )
    if killed:
        which = f"process {killed['pid']}, started {killed['since']}"
        end = "was killed or crashed; what it had is safe: start it again"
        return [f"daemon: not running: {which}, {end}"]
    if not daemon:
        works = f"; process {process} works on this state (`run --once`?)"
        return [f"daemon: not running{works if process else ''}"]
    since = f"process {daemon['pid']}, since {daemon['since']}"
    work, places = daemon["status"], [place["path"] for place in state["folders"]]
    for fault in reversed(daemon["faults"]):
        work = work.removesuffix(f"; {plain(fault)}")
    others = [
        fault
        for fault in daemon["faults"]
        if not any(fault.startswith(f"{plain(place)}: ") for place in places)
    ]
    return [f"daemon: running, {since}", f"daemon: {work}", *others]


def _see_all(state: Json) -> str:
    """Return which command names every problem, to who may not read the state, too."""
    command = "hotpixeld status --problems"
    if state.get("published"):
        folder = Path(state["state"])
        command = f"{state_folder.as_owner(folder)}{command} --state {folder}"
    return f"`{command}` lists all"


def _up_to(
    lines: Sequence[str], most: int | None, see_all: str, left_out: int = 0
) -> list[str]:
    """Return at most `most` lines, and a line about the others, if there are any."""
    shown = list(lines if most is None else lines[:most])
    more = left_out + len(lines) - len(shown)
    return shown + ([f"and {more:,} more like these: {see_all}"] if more else [])


def _problems(state: Json, most: int | None) -> list[str]:
    """Return a line for every folder, photo and copy that went wrong, or so many."""
    folders = [f"{place['path']}: {place['reason']}" for place in state["folders"]]
    photos = [
        f"{photo['outcome']} {photo['path']}: {photo['reason']}"
        for photo in state["problems"]
    ]
    copies = [
        f"copy {copy['condition']} {copy['path']}: {copy['notes']}"
        for copy in state["copy_problems"]
    ]
    see_all = _see_all(state)
    return [
        *_up_to(folders, most, see_all),
        *_up_to(photos, most, see_all, state["problems_left_out"]),
        *_up_to(copies, most, see_all, state["copy_problems_left_out"]),
    ]


def former_copies(places: Iterable[Json]) -> list[str]:
    """Return a line for every former place of copies."""
    return [
        f"{counted(former['copies'], 'copy')} at a former place: {former['place']};"
        " `hotpixeld tidy` removes what is not needed there"
        for former in places
    ]


def status(state: Json, most: int | None = PROBLEMS) -> str:
    """Return a status for people, with at most so many problems of a kind; None is all."""
    lines = [*_daemon(state), f"on disk: {size(state['state_bytes'])}"]
    for outcome, count in state["photos"].items():
        if count:
            lines.append(f"{counted(count, 'photo')} {outcome}")
    for how, count in state["copies"].items():
        what, words = COPY_WORDS.get(how, ("copy", how))
        lines.append(f"{counted(count, what)} {words}")
    lines += [_camera(camera) for camera in state["cameras"]]
    lines += former_copies(state.get("former_copies", ()))
    return "\n".join(map(plain, lines + _problems(state, most))) + "\n"


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
    progress = Progress(*columns, console=Console(stderr=True))
    with _above(progress), progress:  # in this order: a bar puts itself before stderr
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
