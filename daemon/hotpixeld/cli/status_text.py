"""The status of a state in words: all of it on one screen, whatever happened.

What is much is counted, with a few examples and the command that lists all; what is little
is told in full.  With `--problems` everything is.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.messages import counted, plain
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hotpixeld.service.status_file import Json

LINES, COLUMNS = 22, 80
"""What a status takes at most of the smallest terminals: 24 lines, less the one that names
the state and the one to type at."""
CAMERAS = 5
"""So many are told of, and folders with a fault and former places of copies 2 each."""
FEW = 2
COMMAND = 2
"""Rows for the command that lists all."""

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


def moment(text: str) -> str:
    """Return a time of the published status as people write it.

    >>> moment("2026-05-03T09:30:10+02:00")
    '3 May 2026, 09:30'
    """
    when = dt.datetime.fromisoformat(text)
    return f"{when.day} {when:%b %Y, %H:%M}"


def needed(have: int, wanted: int) -> str:
    """Return how many photos a camera has of those that its first map needs.

    >>> needed(6, 16)
    '6 of 16 photos needed for a map'
    """
    return f"{have:,} of {wanted:,} photos needed for a map"


def _photos(camera: Json) -> Iterator[str]:
    """Yield how many photos there are of a camera, and what they are still needed for."""
    have, pending = camera["folded"] + camera["pending"], camera["pending"]
    is_short = have < camera["photos_needed"] and not camera["dropped"]
    if is_short and not camera["mapped"]:
        yield needed(have, camera["photos_needed"])
    else:
        yield counted(have, "photo")
        if pending:
            yield f"{pending:,} of them pending" if pending < have else "all pending"
        if not camera["mapped"] and not camera["dropped"]:
            yield "no map yet"


def _defects(camera: Json) -> str:
    """Return how many defects a camera's map has, and how many are not certain yet."""
    words, unsure = counted(camera["defects"], "defect"), camera.get("unsure")
    return f"{words}, {unsure:,} of them not certain yet" if unsure else words


def _pixels(camera: Json, names: dict[str, str]) -> Iterator[str]:
    """Yield what there is to say of a camera's list, and of what it lacks."""
    if camera["mapped"] or camera["defects"]:
        yield _defects(camera)
    if camera["dropped"]:
        yield "dropped to its list"
    if camera["same_body"]:
        yield f"same body as {' and '.join(names[one] for one in camera['same_body'])}"
    for what in ("forgotten", "ignored", "primed"):
        if camera[what]:
            yield f"{camera[what]:,} {what}"
    if camera["prior"]:
        yield f"{camera['prior']:,} from the list of another size"
    if camera["mapped"] and camera["scenes"] < camera["scenes_needed"]:
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


def _cameras(state: Json) -> list[str]:
    """Return a line about each camera."""
    # What a daemon of an older version published has no names.
    names = {one["id"]: one.get("name", one["id"]) for one in state["cameras"]}
    return [
        f"{names[one['id']]}: "
        + ", ".join([*_photos(one), *_pixels(one, names), *_room(one)])
        for one in state["cameras"]
    ]


def _daemon(state: Json, see_all: str) -> list[str]:
    """Return the lines about the daemon, and its faults that no folder has."""
    daemon, killed, process = (
        state.get(name) for name in ("daemon", "killed", "process")
    )
    if killed:
        which = f"process {killed['pid']}, started {moment(killed['since'])}"
        end = "was killed or crashed; what it had is safe: start it again"
        return [f"daemon: not running: {which}, {end}"]
    if not daemon:
        works = f"; process {process} works on this state (`run --once`?)"
        return [f"daemon: not running{works if process else ''}"]
    since = f"process {daemon['pid']}, since {moment(daemon['since'])}"
    work, places = daemon["status"], [place["path"] for place in state["folders"]]
    for fault in reversed(daemon["faults"]):
        work = work.removesuffix(f"; {plain(fault)}")
    others = [
        fault
        for fault in daemon["faults"]
        if not any(fault.startswith(f"{plain(place)}: ") for place in places)
    ]
    told = _up_to(others, FEW, "fault", see_all)
    return [f"daemon: running, {since}", f"daemon: {work}", *told]


def _waiting(state: Json) -> Iterator[str]:
    """Yield what photos wait for."""
    photos, is_running = state["photos"], bool(state.get("daemon"))
    if photos.get("pending"):
        yield (
            "pending: learned from within a day, once there are four of their camera"
            if is_running
            else "pending: `hotpixeld run` learns from them, once there are enough of a camera"
        )
    if photos.get("waiting"):
        yield (
            "waiting: not whole yet, perhaps still being written; read again for an hour"
            if is_running
            else "waiting: not whole yet; the next `hotpixeld run` reads them again"
        )


def _numbers(state: Json) -> Iterator[str]:
    """Yield how many photos and copies there are, by what became of them."""
    photos = [
        (count, "to be learned again" if outcome == "again" else outcome)
        for outcome, count in state["photos"].items()
        if count
    ]
    if photos:
        (count, outcome), *rest = photos
        first = f"{counted(count, 'photo')} {outcome}"
        yield ", ".join([first, *(f"{many:,} {what}" for many, what in rest)])
    copies = []
    for how, count in state["copies"].items():
        what, words = COPY_WORDS.get(how, ("copy", how))
        copies.append(f"{counted(count, what)} {words}")
    if copies:
        yield "; ".join(copies)


def _see_all(state: Json, options: str) -> str:
    """Return which command names every problem, to who may not read the state, too."""
    command = f"hotpixeld status --problems{options}"
    if state.get("published"):
        folder = Path(state["state"])
        owner = state_folder.as_owner(folder)
        command = f"{owner}hotpixeld status --problems --state {folder}"
    return f"`{command}` lists all"


def _up_to(lines: Sequence[str], most: int, what: str, see_all: str) -> list[str]:
    """Return the lines, or `most` of them and one about the others."""
    if len(lines) <= most + 1:
        return list(lines)
    more = counted(len(lines) - most, f"more {what}")
    return [*lines[:most], f"and {more}: {see_all}"]


def _examples(paths: Sequence[str], count: int, room: int = COLUMNS) -> str:
    """Return a few paths of so many: at least one, and as many as there is room for.

    >>> _examples(["/a/1.jpg", "/a/2.jpg"], 7)
    'in /a: 1.jpg, 2.jpg, ...'
    """
    if count == 1:
        return paths[0]
    top = os.path.commonpath([Path(path).parent for path in paths])
    names = [str(Path(path).relative_to(top)) for path in paths]
    ways = (
        [*names[:most], *(["..."] if most < count else [])]
        for most in range(len(names), 0, -1)
    )
    lines = [f"in {top}: {', '.join(shown)}" for shown in ways]
    return next((line for line in lines if len(line) <= room), lines[-1])


def _is_told_in_full(reason: Json) -> bool:
    return int(reason["count"]) == len(reason["examples"])


def _counted(reason: Json) -> str:
    """Return how many photos or copies there are of a reason, in words."""
    if reason["outcome"] in {"skipped", "failed", "waiting"}:
        return f"{reason['count']:,} {reason['outcome']}: {reason['words']}"
    return f"{counted(reason['count'], 'copy')}: {reason['words']}"


def _in_full(reason: Json) -> list[str]:
    """Return the lines about a reason: a line for each, where they are few."""
    if not _is_told_in_full(reason):
        return _advised(reason)
    what = "" if reason["outcome"] in {"skipped", "failed", "waiting"} else "copy "
    told = [
        f"{what}{reason['outcome']} {one['path']}: {one['reason']}"
        for one in reason["examples"]
    ]
    return [*told, f"  {reason['advice']}"]


def _named(reason: Json, rows: int) -> str:
    """Return a few photos or copies of a reason, in so many rows."""
    paths = [one["path"] for one in reason["examples"]]
    return f"  {_examples(paths, int(reason['count']), rows * COLUMNS - 2)}"


def _advised(reason: Json) -> list[str]:
    """Return what to do about a reason, and on a line of their own a few examples."""
    return [f"{_counted(reason)}. {reason['advice']}", _named(reason, 2)]


def _with_examples(reason: Json) -> list[str]:
    """Return a line about a reason, and one with a few examples."""
    return [_counted(reason), _named(reason, 1)]


def _in_short(reason: Json) -> list[str]:
    """Return one line about a reason."""
    return [_counted(reason)]


def _rows(lines: Iterable[str]) -> int:
    """Return how many rows lines take on a terminal."""
    return sum(max(-(-len(plain(line)) // COLUMNS), 1) for line in lines)


def _fitted(state: Json, room: int, see_all: str) -> list[str]:
    """Return what went wrong in so many rows, by reason: as much as there is room for."""
    found = [*state.get("reasons", ()), *state.get("copy_reasons", ())]
    told: list[list[str]] = []
    if not found:
        return []
    for way in (_in_full, _advised, _with_examples, _in_short):
        told = [way(reason) for reason in found]
        if _rows(itertools.chain(*told)) <= room - COMMAND:
            in_full = way is _in_full and all(map(_is_told_in_full, found))
            return [*itertools.chain(*told), *([] if in_full else [see_all])]
    most = max(room - COMMAND, 0)
    more = sum(reason["count"] for reason in found[most:])
    reasons = counted(len(found) - most, "other reason")
    shown = itertools.chain(*told[:most])
    return [*shown, f"and {more:,} more for {reasons}: {see_all}"]


def _all_problems(state: Json, see_all: str) -> Iterator[str]:
    """Yield a line for every folder, photo and copy that went wrong."""
    for place in state["folders"]:
        yield f"{place['path']}: {place['reason']}"
    for photo in state["problems"]:
        yield f"{photo['outcome']} {photo['path']}: {photo['reason']}"
    for copy in state["copy_problems"]:
        yield f"copy {copy['condition']} {copy['path']}: {copy['notes']}"
    if more := state["problems_left_out"] + state["copy_problems_left_out"]:
        yield f"and {more:,} more like these: {see_all}"


def former_copies(places: Iterable[Json]) -> list[str]:
    """Return a line for every former place of copies."""
    return [
        f"{counted(former['copies'], 'copy')} at a former place: {former['place']};"
        " `hotpixeld tidy` removes what is not needed there"
        for former in places
    ]


def text(state: Json, *, in_full: bool = False, options: str = "") -> str:
    """Return a status for people: on one screen, or with every problem.

    Parameters
    ----------
    options : str
        Of this command, that the one which lists all needs, too.
    """
    see_all = _see_all(state, options)
    disk = f"on disk: {size(state['state_bytes'])}"
    head = [*_daemon(state, see_all), *_numbers(state), *_waiting(state), disk]
    cameras, former = _cameras(state), former_copies(state.get("former_copies", ()))
    if in_full:
        lines = [*head, *cameras, *former, *_all_problems(state, see_all)]
    else:
        folders = [f"{place['path']}: {place['reason']}" for place in state["folders"]]
        lines = [
            *head,
            *_up_to(cameras, CAMERAS, "camera", see_all),
            *_up_to(former, FEW, "place", see_all),
            *_up_to(folders, FEW, "folder", see_all),
        ]
        lines += _fitted(state, LINES - _rows(lines), see_all)
    return "\n".join(map(plain, lines)) + "\n"
