"""Fixtures: a state of a worked folder, with names that no page may obey, and its report."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from hotpixeld.cli.main import main
from sensor import START, Planted, Sensor, scattered, write_jpeg

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("matplotlib", reason="the extra hotpixeld[report] is not installed")
pytest.importorskip("jinja2", reason="the extra hotpixeld[report] is not installed")

EVIL = "<img src=x onerror=alert(1)>&\"'.JPG"
EVIL_MODEL = "</script><script>alert(2)</script>"
PHOTOS = 40
ONSET = 24


@dataclass(frozen=True)
class World:
    """A folder that was worked off, its state, and the defects planted in it."""

    folder: Path
    state: Path
    defects: tuple[Planted, ...]


@dataclass(frozen=True)
class Element:
    """An element of a page: its name, attributes, the text in it, and what it is in."""

    tag: str
    attributes: dict[str, str]
    text: list[str]
    within: tuple[Element, ...]

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def __contains__(self, other: Element) -> bool:
        return any(one is self for one in other.within)


VOID = {"meta", "img", "input", "br", "rect", "circle", "path", "use", "line"}


class Page(HTMLParser):
    """A page's elements, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.text = text
        self.feed(text)
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        element = Element(tag, attributes, [], tuple(self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append(Element(tag, attributes, [], tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text.append(data)

    def all(self, tag: str, of_class: str | None = None) -> list[Element]:
        """Return the elements of a name, and a class."""
        return [
            one
            for one in self.elements
            if one.tag == tag and (of_class is None or of_class in one.classes)
        ]

    def said(self, tag: str) -> str:
        """Return the text of the first element of a name, in single spaces."""
        return " ".join("".join(self.all(tag)[0].text).split())


def shoot(folder: Path, sensor: Sensor, index: int, name: str, **more: Any) -> None:
    """Write one photo; every other one is long and sensitive."""
    exposure, iso = ((0.01, 200), (0.5, 1600))[index % 2]
    when = START + dt.timedelta(days=index)
    write_jpeg(
        folder / name, sensor.frame(index), when, exposure=exposure, iso=iso, **more
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a folder after `run --once`: three defects, one of them seen to begin."""
    root = tmp_path_factory.mktemp("world")
    folder = root / "import"
    folder.mkdir()
    first, second, third = scattered(3, 200, 280, levels=(60, 90))
    defects = first, second, replace(third, onset=ONSET)
    sensor = Sensor(height=200, width=280, defects=defects)
    for index in range(PHOTOS):
        name = EVIL if index == PHOTOS - 1 else f"IMG_{index:04d}.JPG"
        shoot(folder, sensor, index, name)
    for number in range(2):
        name = f"other_{number}.jpg"
        shoot(folder, sensor, 60 + number, name, model=EVIL_MODEL, serial="9")
    shoot(folder, sensor, 99, "b<b>old.jpg", software="GIMP 2.10.30")
    (folder / "half.jpg").write_bytes((folder / "other_0.jpg").read_bytes()[:5000])
    state = root / "state"
    assert main(["run", "--once", "-q", str(folder), "--state", str(state)]) == 0
    return World(folder, state, defects)


def made(state: Path, target: Path, *arguments: str) -> Page:
    """Return the report of a state, as the command writes it."""
    command = ["report", "--state", str(state), "--output", str(target), *arguments]
    assert main(command) == 0
    return Page(target.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def report(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of its report."""
    target = tmp_path_factory.mktemp("report") / "report.html"
    made(world.state, target)
    return target


@pytest.fixture(scope="session")
def page(report: Path) -> Page:
    """Return that report, parsed."""
    return Page(report.read_text(encoding="utf-8"))
