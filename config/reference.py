"""Write the JSON Schema of the configuration, and from it the commented reference.

    .venv/bin/python config/reference.py [FOLDER]

writes hotpixeld.schema.json and hotpixeld.yaml into FOLDER, or beside this file.  What
they say of a key stands once, in ``hotpixeld.config.model``: its default, what it may be,
its description and an example.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hotpixeld.config import load

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
SCHEMA = "hotpixeld.schema.json"
WIDTH = 92
COLUMN = 32
"""Where what is said of a key begins."""
UNBROKEN = "\N{NO-BREAK SPACE}"
HOW_TO_READ = """\
Lines that begin with "#" and a letter, or with "#" and two spaces, are examples: take the
"#" away.  `hotpixeld check-config FILE` names every fault at once; `systemctl reload
hotpixeld` takes the new configuration, or keeps the old one and says what is wrong."""


def comment(text: str) -> list[str]:
    """Return the lines of a comment of its own."""
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH - 2)]


def scalar(value: object) -> str:
    """Return a value as a person writes it into YAML."""
    match value:
        case int() if not isinstance(value, bool) and abs(value) >= 10_000:
            return f"{value:_}"
        case str() if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return value  # a date
        case _:
            flow = yaml.safe_dump(value, default_flow_style=True, width=1000)
            return flow.removesuffix("\n").removesuffix("\n...").replace("'", '"')


def ways(schema: Json, key: Json) -> list[Json]:
    """Return the ways to write a key's value, references followed."""
    parts = [
        part for one in key.get("anyOf", [key]) for part in one.get("allOf", [one])
    ]
    return [
        schema["$defs"][part["$ref"].split("/")[-1]] if "$ref" in part else part
        for part in parts
    ]


def allowed(schema: Json, key: Json) -> str:
    """Return in words which values a key may have, where that is not plain."""
    for way in ways(schema, key):
        if "enum" in way:
            return " | ".join(way["enum"])
        bounds = [
            (word, way[bound])
            for word, bound in (("from", "minimum"), ("to", "maximum"))
            if bound in way
        ]
        if bounds:
            return " ".join(f"{word} {scalar(bound)}" for word, bound in bounds)
    return ""


def said(schema: Json, key: Json, *, is_example: bool, is_required: bool) -> str:
    """Return what is said of a key: description, further form, values and default."""
    parts = [key["description"]]
    for way in ways(schema, key):
        if "properties" in way:  # as `since: {after: .., by: ..}`
            keys = way["properties"].items()
            form = ", ".join(f"{name}: .." for name, _ in keys)
            about = "  ".join(f"{name}: {one['description']}" for name, one in keys)
            parts.append(f"Or {{{form}}}.  {about}")
    notes = [allowed(schema, key)]
    if is_required:
        notes.append("required")
    elif is_example:
        notes.append(f"default: {scalar(key.get('default'))}")
    note = "; ".join(note for note in notes if note)
    if note:
        parts.append(f"[{note}]".replace(" ", UNBROKEN))
    return "  ".join(parts)


def line(start: str, text: str) -> Iterator[str]:
    """Yield a key and its value, with what is said of it beside and below."""
    mark = "#" if start.startswith("#") else ""
    wrapped = textwrap.wrap(text, WIDTH - COLUMN - 2, break_on_hyphens=False)
    lead = start.ljust(COLUMN)
    if len(start) >= COLUMN:
        yield start
        lead = mark.ljust(COLUMN)
    for part in wrapped:
        yield f"{lead}# {part}".replace(UNBROKEN, " ")
        lead = mark.ljust(COLUMN)


def keys(schema: Json, section: Json, indent: str, *, first: str = "") -> Iterator[str]:
    """Yield the keys of a section, a list's item if `first` is "- " before its first."""
    for name, key in section["properties"].items():
        examples = key.get("examples")
        value = examples[0] if examples else key.get("default")
        needed = name in section.get("required", ())
        text = said(schema, key, is_example=bool(examples), is_required=needed)
        items = [
            one for one in ways(schema, key.get("items", {})) if "properties" in one
        ]
        if items:
            yield from line(f"{indent}{first}{name}:", text)
            deeper = f"{indent}{' ' * len(first)}  "
            yield from (f"{deeper}- {scalar(item)}" for item in value)
            (item,) = items
            if set(item["properties"]) > {"x", "y"}:
                yield from keys(schema, item, deeper, first="- ")
        else:
            yield from line(f"{indent}{first}{name}: {scalar(value)}", text)
        indent, first = indent + " " * len(first), ""


def sections(schema: Json) -> Iterator[str]:
    """Yield the keys of the top, each with its own."""
    for name, key in schema["properties"].items():
        items = ways(schema, key.get("items", key))
        inner = next((one for one in items if "properties" in one), None)
        about = inner["description"].split("\n\n") if inner else [""]
        about[0] = key.get("description", about[0])
        yield ""
        for paragraph in about:
            yield from comment(paragraph)
        if inner is None:
            yield f"{name}: {scalar(key['default'])}"
        elif "items" in key:
            yield f"#{name}:"
            yield from keys(schema, inner, "#  ", first="- ")
        else:
            yield f"{name}:"
            yield from keys(schema, inner, "  ")


def reference(schema: Json) -> str:
    """Return the configuration with every key and its default, commented."""
    first, *more = schema["description"].split("\n\n")
    lines = [f"# yaml-language-server: $schema={SCHEMA}", ""]
    for paragraph in (first, HOW_TO_READ, *more):
        lines += [*comment(paragraph), "#"]
    lines.pop()
    return "\n".join([*lines, *sections(schema)]) + "\n"


def main() -> None:
    """Write both files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    schema = load.schema()
    (folder / SCHEMA).write_text(json.dumps(schema, indent=2) + "\n")
    (folder / "hotpixeld.yaml").write_text(reference(schema))


if __name__ == "__main__":
    main()
