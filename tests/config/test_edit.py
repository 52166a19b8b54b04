"""Pixels put into a configuration's text: what the owner wrote stays as it was."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from hotpixeld.camera import Camera
from hotpixeld.config.edit import with_camera, with_pixels
from hotpixeld.config.load import parse

CAMERA = Camera("NIKON CORPORATION", "NIKON D80", "0123", 40, 30)
NEW = {"pixels": ["{x: 9, y: 7, kind: hot}", "[3, 4]"], "ignore": []}
BOTH = {"pixels": ["[3, 4]"], "ignore": ["[5, 6]"]}

BLOCK = """\
# mine
folders:
- path:   /srv/photos      # all of them

cameras:
- name: anna      # a D80
  pixels:
  - [1, 2]        # by eye

  # doubtful
  - {x: 2, y: 2}

  # that is all
# the end of the cameras
limits: {max_pixels: 200_000_000}
"""
FLOW = """\
cameras:
    -   {name: anna, serial: "0123",
         pixels: [[1, 2],
                  [2, 2]],  # by eye
         ignore: [[7, 9]]}
detection: {memory: 0}
"""


def changes(before: str, after: str) -> list[str]:
    """Return the lines that went and came."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0)
    return [f"{line[0]} {line[1:]}" for line in list(lines)[2:] if line[0] in "+-"]


def places(text: str, index: int = 0, key: str = "pixels") -> list[tuple[int, int]]:
    entry = parse(text, Path("/hotpixeld.yaml")).cameras[index]
    return [(one.x, one.y) for one in getattr(entry, key)]


def test_pixels_go_below_the_last_in_the_form_of_the_list() -> None:
    after = with_pixels(BLOCK, 0, NEW)

    assert changes(BLOCK, after) == ["+   - {x: 9, y: 7, kind: hot}", "+   - [3, 4]"]
    assert places(after) == [(1, 2), (2, 2), (9, 7), (3, 4)]


def test_pixels_go_into_brackets_each_on_its_line() -> None:
    after = with_pixels(FLOW, 0, NEW)

    assert changes(FLOW, after) == [
        "-                   [2, 2]],  # by eye",
        "+                   [2, 2],",
        "+                   {x: 9, y: 7, kind: hot},",
        "+                   [3, 4]],  # by eye",
    ]
    assert places(after) == [(1, 2), (2, 2), (9, 7), (3, 4)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cameras:\n  - name: anna  # a D80\n", "+     pixels:"),
        ("cameras:\n  - {name: anna}\n", "+      pixels: [[3, 4]],"),
        ("cameras: [{name: anna}]", "+            pixels: [[3, 4]],"),
        ("cameras:\n  - name: anna\n    pixels:\n", "+     pixels: [[3, 4]]"),
        ("cameras:\n  - name: anna\n    pixels: []\n", "+     pixels: [[3, 4]]"),
        (
            "cameras:\n  - name: anna\n    pixels: ~ # none\n",
            "+     pixels: [[3, 4]] # none",
        ),
        ("cameras:\n  - name: anna\n    ignore: # none", "+     pixels:"),
    ],
)
def test_a_list_that_is_not_there_or_empty_is_made(text: str, line: str) -> None:
    after = with_pixels(text, 0, BOTH)

    assert line in changes(text, after)
    assert places(after) == [(3, 4)]
    assert places(after, key="ignore") == [(5, 6)]
    assert after.count("#") == text.count("#")


def test_only_the_entry_that_is_meant_changes() -> None:
    text = BLOCK.replace("# the end", "- name: ben\n  model: D70\n# the end")
    after = with_pixels(text, 1, NEW)

    assert changes(text, after) == [
        "+   pixels:",
        "+     - {x: 9, y: 7, kind: hot}",
        "+     - [3, 4]",
    ]
    assert places(after, 1) == [(9, 7), (3, 4)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "# nothing yet",
        "state: /var/lib/hotpixeld\n",
        "folders:\n  - path: /srv\n    # its copies\nlimits: {max_pixels: 200000}  # few\n\n",
        "cameras: []  # none yet\nstate: /var/lib/hotpixeld\n",
        "cameras:   # none yet\nstate: /var/lib/hotpixeld\n",
        "cameras: ~\n",
        "{state: /var/lib/hotpixeld}",
        "{cameras: [], state: /var/lib/hotpixeld}",
        "{}",
        "---\nstate: /var/lib/hotpixeld\n...\n",
    ],
)
def test_the_first_camera_is_added_to_any_configuration(text: str) -> None:
    after = with_camera(text, CAMERA, BOTH)
    config = parse(after, Path("/hotpixeld.yaml"))

    (entry,) = config.cameras
    assert entry.matches(CAMERA)
    assert (entry.serial, entry.size) == ("0123", (40, 30))
    assert places(after) == [(3, 4)]
    assert places(after, key="ignore") == [(5, 6)]
    assert config.state == parse(text, Path("/hotpixeld.yaml")).state
    assert after.count("#") == text.count("#")


@pytest.mark.parametrize("text", [BLOCK, FLOW, "cameras: [{name: anna}]\n"])
def test_another_camera_goes_below_the_last(text: str) -> None:
    after = with_camera(text, CAMERA, NEW)

    assert places(after, 1) == [(9, 7), (3, 4)]
    assert all(line[0] == "+" or text.endswith("]\n") for line in changes(text, after))
    assert parse(after, Path("/hotpixeld.yaml")).cameras[0].name == "anna"


def test_the_form_of_a_new_entry_is_that_of_the_map() -> None:
    assert with_camera("", CAMERA, NEW) == (
        "cameras:\n"
        '  - make: "NIKON CORPORATION"\n'
        '    model: "NIKON D80"\n'
        '    serial: "0123"\n'
        "    size: [40, 30]\n"
        "    pixels:\n"
        "      - {x: 9, y: 7, kind: hot}\n"
        "      - [3, 4]\n"
    )
