"""What no entry of a configuration shows alone: entries that contradict each other.

Every part that is sound by itself is checked against its neighbours, so that one fault
does not hide another.
"""

from __future__ import annotations

import difflib
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hotpixeld.config import Folder
from hotpixeld.grammar import Size
from hotpixeld.pixellist import CameraConfig, Pixel, Point
from hotpixeld.yamltext import Document, Fault, Loc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

Entry = dict[str, object]
T = TypeVar("T")

FOLDER = TypeAdapter(Folder)
CAMERA = TypeAdapter(CameraConfig)
PIXEL = TypeAdapter(Pixel)
POINT = TypeAdapter(Point)
SIZE: TypeAdapter[tuple[int, int]] = TypeAdapter(Size)


def check(value: Entry, document: Document, context: dict[str, Any]) -> Iterator[Fault]:
    """Yield the contradictions in a configuration.

    Parameters
    ----------
    value : mapping
        The whole configuration as read, faulty or not.
    document : Document
        Tells the lines.
    context : dict
        What the models need: ``base``, the folder of relative paths.
    """
    folders, cameras = _entries(value, "folders"), _entries(value, "cameras")
    places = [(index, _only(entry, "path", "repaired")) for index, entry in folders]
    for index, key, text in folder_faults(_sound(FOLDER, places, context)):
        yield Fault(("folders", index, key), text)
    names = [entry["name"] for _, entry in cameras if "name" in entry]
    for index, entry in folders:
        name = entry.get("camera")
        if isinstance(name, str) and name not in names:
            yield Fault(("folders", index, "camera"), _unknown_camera(name, names))
    yield from _claimed_twice(cameras, document)
    for index, entry in cameras:
        yield from _pixel_faults(("cameras", index), entry, document)


def folder_faults(
    folders: Iterable[tuple[int, Folder]],
) -> Iterator[tuple[int, str, str]]:
    """Yield index, key and text for each folder that gets in another's way."""
    for (_, one), (index, two) in combinations(folders, 2):
        if one.path == two.path:
            text = f"path {_quoted(two.path)} is listed twice: remove one"
            yield index, "path", text
        elif two.path.is_relative_to(one.repaired):
            yield index, "path", _loop(two, one)
        elif one.path.is_relative_to(two.repaired):
            yield index, "repaired", _loop(one, two)
        elif _nested(one, two):
            outer, inner = map(_quoted, sorted((one.path, two.path)))
            text = f"path {inner} lies inside the watched {outer}: list one of them"
            yield index, "path", text
        elif one.repaired == two.repaired:
            text = (
                f"repaired {_quoted(two.repaired)} is the repaired folder of"
                f" {_quoted(one.path)} too, where copies of one name would collide:"
                " name another"
            )
            yield index, "repaired", text


def _quoted(path: Path) -> str:
    """Return a path for a message; it need not be UTF-8."""
    return repr(str(path))


def _loop(watched: Folder, other: Folder) -> str:
    return (
        f"{_quoted(watched.path)} lies in the repaired folder of"
        f" {_quoted(other.path)}, where copies would be taken for photos:"
        " move one of them"
    )


def _nested(one: Folder, two: Folder) -> bool:
    return one.path.is_relative_to(two.path) or two.path.is_relative_to(one.path)


def _unknown_camera(name: str, names: list[object]) -> str:
    near = difflib.get_close_matches(name, [str(known) for known in names], n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"add `- name: {name}` there"
    return f"camera {name!r} is the name of no entry in `cameras`: {advice}"


def _claimed_twice(
    entries: list[tuple[int, Entry]], document: Document
) -> Iterator[Fault]:
    """Yield a fault for each entry that an earlier one makes ambiguous."""
    claims: dict[object, int] = {}
    names: dict[str, int] = {}
    who = [
        (index, _only(entry, "name", "make", "model", "serial", "size"))
        for index, entry in entries
    ]
    for index, camera in _sound(CAMERA, who):
        alone = None if camera.has_identity else camera.name
        first = claims.setdefault((camera.identity, camera.size, alone), index)
        if first != index:
            line = document.place(("cameras", first)).line
            text = f"is the same camera as cameras[{first}] (line {line}): merge them"
            yield Fault(("cameras", index), text)
        elif camera.name and names.setdefault(camera.name, index) != index:
            first = names[camera.name]
            text = f"name {camera.name!r} is that of cameras[{first}] too: change one"
            yield Fault(("cameras", index, "name"), text)


def _pixel_faults(loc: Loc, entry: Entry, document: Document) -> Iterator[Fault]:
    pixels = dict(_sound(PIXEL, _list(entry.get("pixels"))))
    points = dict(_sound(POINT, _list(entry.get("ignore"))))
    for _, size in _sound(SIZE, [(0, entry.get("size"))]):
        yield from _outside((*loc, "pixels"), pixels, size)
        yield from _outside((*loc, "ignore"), points, size)
    seen: dict[tuple[int, int], list[tuple[int, Pixel]]] = {}
    for index, pixel in pixels.items():
        others = seen.setdefault((pixel.x, pixel.y), [])
        for first, other in others:
            if max(pixel.life[0], other.life[0]) < min(pixel.life[1], other.life[1]):
                line = document.place((*loc, "pixels", first)).line
                text = f"{pixel.x},{pixel.y} is listed twice (first in line {line})"
                yield Fault((*loc, "pixels", index), f"{text}: remove one")
                break
        others.append((index, pixel))
    for index, point in points.items():
        if (point.x, point.y) in seen:
            text = f"{point.x},{point.y} is in `pixels` too: take it out of one of them"
            yield Fault((*loc, "ignore", index), text)


def _outside(
    loc: Loc, points: Mapping[int, Point], size: tuple[int, int]
) -> Iterator[Fault]:
    width, height = size
    for index, point in points.items():
        if point.x >= width:
            text = f"x {point.x} is outside the {width}-pixel width"
            yield Fault((*loc, index), text)
        if point.y >= height:
            text = f"y {point.y} is outside the {height}-pixel height"
            yield Fault((*loc, index), text)


def _list(value: object) -> list[tuple[int, object]]:
    return list(enumerate(value)) if isinstance(value, tuple) else []


def _entries(value: Entry, key: str) -> list[tuple[int, Entry]]:
    parts = _list(value.get(key))
    return [(index, part) for index, part in parts if isinstance(part, dict)]


def _only(entry: Entry, *keys: str) -> Entry:
    return {key: entry[key] for key in keys if key in entry}


def _sound(
    adapter: TypeAdapter[T],
    parts: Iterable[tuple[int, object]],
    context: dict[str, Any] | None = None,
) -> Iterator[tuple[int, T]]:
    """Yield position and value of each part that has no fault of its own."""
    for index, part in parts:
        try:
            yield index, adapter.validate_python(part, context=context)
        except ValidationError:
            continue
