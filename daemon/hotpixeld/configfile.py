"""A configuration file: read it, and report every fault in it at once.

Read (YAML to values), check (the grammar, then each entry against the others), build
(`Config`).  Messages read ``FILE:LINE: PATH: what is wrong, what to do``; positions in
lists count from 0.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema

from hotpixeld import configcheck, yamltext
from hotpixeld.config import Config, Detection, Folder, Limits, Repair
from hotpixeld.errors import ConfigError
from hotpixeld.pixellist import CameraConfig, Pixel, Point, Since
from hotpixeld.yamltext import Document, Fault, Loc, OddNumber, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from hotpixeld.grammar import Model

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
    "limits": Limits,
}
"""What stands below a key: to name the nearest key for an unknown one."""


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
    document = yamltext.parse(text, str(source))
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
    faults += configcheck.check(value, document, context)
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
        A folder lies inside another.
    """
    base = base or Config()
    listed = {folder.path: folder for folder in base.folders}
    named = {folder.path: folder for folder in (Folder(path=path) for path in paths)}
    folders = tuple(listed.get(path, folder) for path, folder in named.items())
    problems = [text for _, _, text in configcheck.folder_faults(enumerate(folders))]
    if problems:
        raise ConfigError(problems)
    return base.model_copy(update={"folders": folders})


class _Untitled(GenerateJsonSchema):
    """Leaves out titles that only repeat the keys."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration, for editors.

    ``config/hotpixeld.schema.json`` holds it; ``tests/test_configfile.py`` says how to
    write it anew.
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
        reason = error.strerror or str(error)
        problem = f"{path}: cannot be read ({reason}): check the path and its mode"
        raise ConfigError([problem]) from error
    if len(content) > MAX_BYTES:
        problem = f"{path}: larger than {MAX_BYTES} bytes: this is no configuration"
        raise ConfigError([problem])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"byte 0x{content[error.start]:02x} is not UTF-8: save it as UTF-8"
        raise ConfigError([f"{path}:{line}: {problem}"]) from error


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
    near = difflib.get_close_matches(key.lower().replace("-", "_"), known, n=1)
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
