"""YAML text as plain values that remember their lines; only `edit` uses PyYAML too.

Only what a configuration needs: mappings with text keys, lists, scalars, aliases within
bounds.  Tags, merges and keys given twice are faults; dates stay text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import yaml

from hotpixeld.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

Loc = tuple[str | int, ...]
"""The way to a value from the top: keys and 0-based list positions."""

MAX_VALUES = 250_000
"""Values after aliases are expanded: 80,000 pixels as [x, y], or a bomb that stops here."""
MAX_DEPTH = 20

DECIMAL = re.compile(r"[-+]?(0|[1-9](_?[0-9]){0,30})")
FRACTION = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class OddNumber:
    """A number to YAML, but not the one people read: 0100 (octal), 1:30, 0x1f, .inf."""

    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, counted from 1, and its text as written if a scalar."""

    line: int = 1
    column: int = 1
    text: str | None = None

    @classmethod
    def of(cls, node: yaml.Node) -> Place:
        """Return where a node begins."""
        text = node.value if isinstance(node, yaml.ScalarNode) else None
        return cls(node.start_mark.line + 1, node.start_mark.column + 1, text)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place, in words.

    Attributes
    ----------
    loc : tuple
        The place; it need not be in the document (a missing key).
    text : str
        What is wrong and what to do; it names the key, if `loc` ends with one.
    place : Place or None
        Where `loc` is ambiguous: a second key of the same name.
    """

    loc: Loc
    text: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The value of a YAML text, with the place of each part.

    Attributes
    ----------
    value : object
        None, bool, int, float, str, `OddNumber`, tuple, or dict with str keys.
    places : dict of tuple to Place
        The key of a mapping's value stands for its place.
    faults : tuple of Fault
        What was left out of `value` because it may not stand there.
    """

    value: object
    places: dict[Loc, Place]
    faults: tuple[Fault, ...] = ()

    def place(self, loc: Loc) -> Place:
        """Return the place of `loc`, or of the nearest thing around it."""
        while loc and loc not in self.places:
            loc = loc[:-1]
        return self.places.get(loc, Place())


def parse(text: str, source: str) -> Document:
    """Read one YAML document.

    Parameters
    ----------
    text : str
    source : str
        The file's name, for messages.

    Raises
    ------
    ConfigError
        The text is not YAML, or larger than a configuration can be.

    >>> document = parse("size: [3872, 2592]", "example.yaml")
    >>> document.value, document.place(("size", 1)).line
    ({'size': (3872, 2592)}, 1)
    """
    reader = _Reader()
    try:
        node = yaml.compose(text, _Loader)
        value = None if node is None else reader.value(node, ())
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"U+{ord(text[error.position]):04X}"
        problem = f"character {character} is not allowed in YAML: remove it"
        raise ConfigError([f"{source}:{line}: {problem}"]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        column = f" (column {mark.column + 1})" if mark else ""
        problem = f"not valid YAML: {error.problem or error.context}{column}"
        raise ConfigError([f"{where}: {problem}"]) from error
    return Document(value, reader.places, tuple(reader.faults))


def nodes(text: str) -> yaml.Node | None:
    """Return the nodes of a text that `parse` has read, with their places in it."""
    return yaml.compose(text, _Loader)


def quote(text: str) -> str:
    """Return `text` as a YAML scalar in double quotes, on one line.

    >>> quote("0123456")
    '"0123456"'
    """
    dumped: str = yaml.safe_dump(
        text, default_style='"', allow_unicode=True, width=float("inf")
    )
    return dumped.removesuffix("\n")


def show(value: object) -> str:
    """Return a value for a message: short, on one line, text in quotes."""
    match value:
        case None:
            shown = "nothing"
        case bool():
            shown = "true" if value else "false"
        case OddNumber():
            shown = value.text
        case str():
            shown = repr(value if len(value) <= 60 else f"{value[:57]}...")
        case dict():
            shown = "a mapping"
        case tuple():
            more = ", ..." if len(value) > 5 else ""
            shown = f"[{', '.join(show(part) for part in value[:5])}{more}]"
        case _:
            shown = str(value)
    return shown


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which would otherwise recurse as deep as the text says."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            event = self.peek_event()  # type: ignore[no-untyped-call]  # not in the stubs
            _refuse_depth(event.start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _refuse_depth(mark: yaml.Mark) -> None:
    problem = f"nested more than {MAX_DEPTH} deep"
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class _Reader:
    """Turns nodes into values, and notes where each stood."""

    def __init__(self) -> None:
        self.places: dict[Loc, Place] = {}
        self.faults: list[Fault] = []

    def value(self, node: yaml.Node, loc: Loc) -> object:
        place = Place.of(node)
        if loc in self.places:  # by its key: that is where people look
            place = replace(self.places[loc], text=place.text)
        self.places[loc] = place
        if len(self.places) > MAX_VALUES:
            problem = f"more than {MAX_VALUES} values once aliases are expanded"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if len(loc) > MAX_DEPTH:  # only an alias inside its own anchor gets here
            _refuse_depth(node.start_mark)
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        match node:
            case yaml.MappingNode() if kind == "map":
                return self._mapping(node.value, loc)
            case yaml.SequenceNode() if kind == "seq":
                parts = enumerate(node.value)
                return tuple(self.value(part, (*loc, i)) for i, part in parts)
            case yaml.ScalarNode() if kind in SCALARS:
                return _scalar(kind, node.value)
        self.faults.append(Fault(loc, f"tag {show(node.tag)} is not used: remove it"))
        return None

    def _mapping(
        self, pairs: Iterable[tuple[yaml.Node, yaml.Node]], loc: Loc
    ) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in pairs:
            place = Place.of(key_node)
            key = place.text
            if key is None:
                text = "a key must be text: are quotes missing?"
                self.faults.append(Fault((*loc, ""), text, place))
            elif key_node.tag.endswith(":merge"):
                text = "'<<' is not used: write the keys out"
                self.faults.append(Fault((*loc, key), text, place))
            elif key in found:
                line = self.places[*loc, key].line
                text = f"key {key!r} is given twice (first in line {line}): remove one"
                self.faults.append(Fault((*loc, key), text, place))
            else:
                self.places[*loc, key] = replace(place, text=None)
                found[key] = self.value(value_node, (*loc, key))
        return found


SCALARS = {"null", "bool", "int", "float", "str", "timestamp", "value"}


def _scalar(kind: str, text: str) -> object:
    """Return a scalar's value; dates stay text, for the models to read."""
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() in {"yes", "true", "on"}
        case "int" if DECIMAL.fullmatch(text):
            return int(text)
        case "float" if FRACTION.fullmatch(text):
            return float(text)
        case "int" | "float":
            return OddNumber(text)
        case _:
            return text
