"""A configuration file: read it, and report every fault in it at once.

Read (YAML to values), check (the grammar, then each entry against the others), build
(`Config`).  Messages read ``FILE:LINE: PATH: what is wrong, what to do``; positions in
lists count from 0.  Every part that is sound by itself is checked against its neighbours
too (`check`), so that one fault does not hide another.
"""

from __future__ import annotations

import difflib
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from hotpixeld.config import yaml_positions
from hotpixeld.config.model import (
    CameraConfig,
    Config,
    Copies,
    Detection,
    Folder,
    Limits,
    Notify,
    Pixel,
    Point,
    Repair,
    Since,
)
from hotpixeld.config.values import Size
from hotpixeld.config.yaml_positions import Document, Fault, Loc, OddNumber, show
from hotpixeld.errors import ConfigError, said

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from hotpixeld.config.values import Model

Entry = dict[str, object]
T = TypeVar("T")

FOLDER = TypeAdapter(Folder)
CAMERA = TypeAdapter(CameraConfig)
PIXEL = TypeAdapter(Pixel)
POINT = TypeAdapter(Point)
AROUND = 0.2
"""Of a frame's width and height: so far a lens correction moves a sensor site at most."""
SIZE: TypeAdapter[tuple[int, int]] = TypeAdapter(Size)

MAX_BYTES = 4_000_000

SECTIONS: dict[str, type[Model]] = {
    "": Config,
    "folders": Folder,
    "cameras": CameraConfig,
    "pixels": Pixel,
    "ignore": Point,
    "since": Since,
    "detection": Detection,
    "repair": Repair,
    "copies": Copies,
    "limits": Limits,
    "notify": Notify,
}
"""What stands below a key: to name the nearest key for an unknown one."""

PREDICATES = {
    "bool_type": "must be true or false",
    "enum": "must be {expected}",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "model_type": "must be a mapping (`key: value`)",
    "string_too_short": "must be text of {min_length} or more characters",
    "string_type": "must be text",
    "too_long": "must have {max_length} values",
    "tuple_type": "must be a list (`[..]`, or a line with `- ` for each item)",
    "value_error": "{error}",
}
"""Our words for pydantic's kinds of errors; they complete "KEY ..."."""


def check(value: Entry, document: Document, context: dict[str, Any]) -> Iterator[Fault]:
    """Yield the contradictions in a configuration.

    Parameters
    ----------
    value : mapping
        The whole configuration as read, faulty or not.
    document : Document
        For the line numbers.
    context : dict
        What the models need: ``base``, the folder of relative paths.
    """
    folders, cameras = _entries(value, "folders"), _entries(value, "cameras")
    places = [(index, _only(entry, "path", "repaired")) for index, entry in folders]
    for index, key, text in folder_faults(_sound(FOLDER, places, context)):
        yield Fault(("folders", index, key), text)
    names = [entry["name"] for _, entry in cameras if "name" in entry]
    bodies = set[str]()
    for index, entry in folders:
        name = entry.get("camera")
        if isinstance(name, str):
            bodies.add(name)
            if name not in names:
                yield Fault(("folders", index, "camera"), _unknown_camera(name, names))
    yield from _claimed_twice(cameras, bodies, document)
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
    entries: list[tuple[int, Entry]], bodies: set[str], document: Document
) -> Iterator[Fault]:
    """Yield a fault for each entry that an earlier one makes ambiguous.

    Parameters
    ----------
    bodies : set of str
        Names that folders name: two bodies of one model may be told apart by them alone.
    """
    claims: dict[object, int] = {}
    names: dict[str, int] = {}
    who = [
        (index, _only(entry, "name", "make", "model", "serial", "size"))
        for index, entry in entries
    ]
    for index, camera in _sound(CAMERA, who):
        is_body = camera.name in bodies and not camera.serial
        alone = camera.name if is_body or not camera.has_identity else None
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
        yield from _outside((*loc, "ignore"), points, size, AROUND)
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
    loc: Loc,
    points: Mapping[int, Point],
    size: tuple[int, int],
    around: float = 0.0,
) -> Iterator[Fault]:
    """Yield which points lie outside of a frame, by more than a share of its size."""
    width, height = size
    for index, point in points.items():
        if not -around * width <= point.x < (1 + around) * width:
            text = f"x {point.x} is outside the {width}-pixel width"
            yield Fault((*loc, index), text)
        if not -around * height <= point.y < (1 + around) * height:
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


def _grammar_fault(detail: ErrorDetails, document: Document) -> Fault:
    loc: Loc = detail["loc"]
    kind, value = detail["type"], detail["input"]
    subject = f"{loc[-1]} " if loc and isinstance(loc[-1], str) else ""
    place = document.places.get(loc)
    written = place.text if place else None
    if kind == "extra_forbidden":
        return Fault(loc, _unknown_key(loc))
    if kind == "missing":
        return Fault(loc, f"{subject}{_missing(written, is_there=place is not None)}")
    shown = show(value) if written is None or isinstance(value, str) else written
    if kind == "string_type" and isinstance(value, (bool, int, float, OddNumber)):
        read_as = "true or false" if isinstance(value, bool) else "a number"
        text = f"{subject}must be quoted: YAML reads {shown} as {read_as}"
        return Fault(loc, text)
    predicate = f"is wrong ({detail['msg']})"
    if kind in PREDICATES:
        predicate = PREDICATES[kind].format(**detail.get("ctx", {}))
    text = f"{subject}{predicate}, not {shown}"
    if isinstance(value, OddNumber):
        text += ": write plain decimal digits"
    return Fault(loc, text)


def _missing(written: str | None, *, is_there: bool) -> str:
    if written == "~":
        return "must be quoted: YAML reads ~ as nothing"
    return "is empty: give it a value" if is_there else "is missing: add it"


def _unknown_key(loc: Loc) -> str:
    key = str(loc[-1])
    section = next((part for part in reversed(loc[:-1]) if isinstance(part, str)), "")
    known = list(SECTIONS[section].model_fields)
    near = difflib.get_close_matches(
        key.lower().replace("-", "_"), known, n=1, cutoff=0.7
    )
    advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown key {show(key)}: {advice}"


def _problems(
    faults: Iterable[Fault], document: Document, source: Path
) -> Iterator[str]:
    """Yield the faults in words, in the order of the file."""
    placed = [(fault.place or document.place(fault.loc), fault) for fault in faults]
    placed.sort(key=lambda pair: (pair[0].line, pair[0].column))
    for place, fault in placed:
        path = _path_text(fault.loc)
        yield f"{source}:{place.line}: {path}{': ' if path else ''}{fault.text}"


def _path_text(loc: Loc) -> str:
    """Return ``cameras[1].pixels[3]``; a last key is left to the message.

    >>> _path_text(("cameras", 1, "pixels", 3)), _path_text(("repair", "fill"))
    ('cameras[1].pixels[3]', 'repair')
    """
    if loc and isinstance(loc[-1], str):
        loc = loc[:-1]
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if part.isidentifier() else f".{part!r}"
    return text.removeprefix(".")


def load(path: Path) -> Config:
    """Read the configuration from a file.

    Raises
    ------
    ConfigError
        With every fault found; nothing of a faulty configuration is used.
    """
    return parse(read(path), path)


def parse(text: str, source: Path) -> Config:
    """Return the configuration that `text` holds.

    Parameters
    ----------
    text : str
        YAML; nothing at all means the defaults.
    source : Path
        The file it came from: relative paths start at its folder.

    Raises
    ------
    ConfigError
        With every fault found.
    """
    document = yaml_positions.parse(text, str(source))
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        problem = f"must be a mapping such as `folders: [..]`, not {show(value)}"
        raise ConfigError([f"{source}:{document.place(()).line}: {problem}"])
    context = {"base": source.parent.absolute()}
    faults = list(document.faults)
    config = Config()
    try:
        config = Config.model_validate(value, context=context)
    except ValidationError as error:
        faults += (_grammar_fault(detail, document) for detail in error.errors())
    faults += check(value, document, context)
    if faults:
        raise ConfigError(tuple(_problems(faults, document, source)))
    return config


def for_folders(paths: Iterable[Path], base: Config | None = None) -> Config:
    """Return `base` with these folders in place of its own.

    Parameters
    ----------
    paths : iterable of Path
        Folders named on the command line; one listed in `base` keeps its settings.
    base : Config, optional
        The configuration; the defaults without one.

    Raises
    ------
    ConfigError
        One is a file, or lies inside another.
    """
    base, paths = base or Config(), list(paths)
    if files := [path for path in paths if path.is_file()]:
        advice = "a file, not a folder: name the folder that it is in"
        raise ConfigError([f"{path}: {advice}" for path in files])
    listed = {folder.path: folder for folder in base.folders}
    named = {folder.path: folder for folder in (Folder(path=path) for path in paths)}
    folders = tuple(listed.get(path, folder) for path, folder in named.items())
    problems = [text for _, _, text in folder_faults(enumerate(folders))]
    if problems:
        raise ConfigError(problems)
    return base.model_copy(update={"folders": folders})


class _Untitled(GenerateJsonSchema):
    """Leaves out titles that only repeat the keys."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration, for editors.

    ``config/hotpixeld.schema.json`` holds it; ``config/reference.py`` writes it, and from
    it the commented reference.
    """
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return about | Config.model_json_schema(schema_generator=_Untitled)


def read(path: Path) -> str:
    """Return the text of a configuration file.

    Raises
    ------
    ConfigError
        It is missing, unreadable, too large, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([said(error, path)]) from error
    if len(content) > MAX_BYTES:
        problem = f"{path}: larger than {MAX_BYTES} bytes: this is no configuration"
        raise ConfigError([problem])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"byte 0x{content[error.start]:02x} is not UTF-8: save it as UTF-8"
        raise ConfigError([f"{path}:{line}: {problem}"]) from error
