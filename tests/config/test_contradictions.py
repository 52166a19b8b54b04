from __future__ import annotations

from pathlib import Path

import pytest

from hotpixeld.config import load
from hotpixeld.errors import ConfigError

SOURCE = Path("/etc/hotpixeld.yaml")


def problems(text: str) -> list[str]:
    try:
        load.parse(text, SOURCE)
    except ConfigError as error:
        return [problem.removeprefix(f"{SOURCE}:") for problem in error.problems]
    return []


LOOP = "copies would be taken for photos: move one of them"


@pytest.mark.parametrize(
    ("one", "two", "problem"),
    [
        ("path: /a", "path: /b/../a", "path '/a' is listed twice: remove one"),
        (
            "path: /a",
            "path: /a/b",
            "path '/a/b' lies inside the watched '/a': list one of them",
        ),
        (
            "path: /a/b",
            "path: /a",
            "path '/a/b' lies inside the watched '/a': list one of them",
        ),
        (
            "path: /a",
            "path: /a/repaired",
            f"'/a/repaired' lies in the repaired folder of '/a', where {LOOP}",
        ),
        (
            "path: /a, repaired: /out",
            "path: /out/x",
            f"'/out/x' lies in the repaired folder of '/a', where {LOOP}",
        ),
        (
            "path: /out/x",
            "path: /a, repaired: /out",
            f"'/out/x' lies in the repaired folder of '/a', where {LOOP}",
        ),
        (
            "path: /a, repaired: /out",
            "path: /b, repaired: /out",
            (
                "repaired '/out' is the repaired folder of '/a' too,"
                " where copies of one name would collide: name another"
            ),
        ),
    ],
)
def test_a_folder_in_the_way_of_another_is_a_fault(
    one: str, two: str, problem: str
) -> None:
    text = f"folders:\n  - {{{one}}}\n  - {{{two}}}\n"

    assert problems(text) == [f"3: folders[1]: {problem}"]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("path: /a", "path: /ab"),
        ("path: /a, repaired: /out/a", "path: /b, repaired: /out/b"),
        ("path: /a, repaired: /b/a", "path: /b"),
    ],
)
def test_folders_side_by_side_are_none(one: str, two: str) -> None:
    assert problems(f"folders: [{{{one}}}, {{{two}}}]") == []


def test_a_folder_must_name_a_camera_that_is_there() -> None:
    text = """\
folders:
  - {path: /a, camera: anna}
  - {path: /b, camera: bena}
  - {path: /c, camera: porch}
cameras:
  - name: ben
  - {name: anna, serial: 5}
  - garage
"""

    assert problems(text) == [
        (
            "3: folders[1]: camera 'bena' is the name of no entry in `cameras`:"
            " did you mean 'ben'?"
        ),
        (
            "4: folders[2]: camera 'porch' is the name of no entry in `cameras`:"
            " add `- name: porch` there"
        ),
        "7: cameras[1]: serial must be quoted: YAML reads 5 as a number",
        "8: cameras[2]: must be a mapping (`key: value`), not 'garage'",
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("{}", "{}"),
        ("{model: NIKON D80}", "{model: Nikon D80, pixels: [[1, 2]]}"),
        ('{serial: "0123"}', '{serial: "123"}'),
        ("{model: A, size: [4, 6]}", "{model: A, size: [4, 6]}"),
        ("{name: a, model: A}", "{name: b, model: A}"),
    ],
)
def test_two_entries_for_one_camera_are_a_fault(one: str, two: str) -> None:
    text = f"cameras:\n  - {one}\n  - {two}\n"

    assert problems(text) == [
        "3: cameras[1]: is the same camera as cameras[0] (line 2): merge them"
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("{model: A}", '{model: A, serial: ""}'),
        ("{model: A, size: [4, 6]}", "{model: A, size: [6, 4]}"),
        ("{make: A}", "{model: A}"),
        ("{name: porch}", "{name: garage}"),
    ],
)
def test_entries_that_differ_may_both_match(one: str, two: str) -> None:
    assert problems(f"cameras: [{one}, {two}]") == []


def test_a_name_belongs_to_one_camera() -> None:
    text = "cameras:\n  - {name: a, model: A}\n  - {name: a, model: B}\n"

    assert problems(text) == [
        "3: cameras[1]: name 'a' is that of cameras[0] too: change one"
    ]


def test_pixels_must_lie_in_the_frame() -> None:
    text = """\
cameras:
  - {size: [7, 5], pixels: [[6, 4]], ignore: [[0, 0]]}
  - size: [6000, 4000]
    model: A
    pixels:
      - [5999, 3999]
      - [6048, 3]
      - {x: 3, y: 4000}
    ignore:
      - [7200, 4800]
      - [6100, -90]
  - {model: B, pixels: [[60000, 1]]}
"""

    assert problems(text) == [
        "7: cameras[1].pixels[1]: x 6048 is outside the 6000-pixel width",
        "8: cameras[1].pixels[2]: y 4000 is outside the 4000-pixel height",
        "10: cameras[1].ignore[0]: x 7200 is outside the 6000-pixel width",
        "10: cameras[1].ignore[0]: y 4800 is outside the 4000-pixel height",
    ]


def pixel_list(*pixels: str) -> str:
    lines = [f"      - {pixel}" for pixel in pixels]
    return "\n".join(["cameras:", "  - pixels:", *lines])


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("[4, 6]", "{x: 4, y: 6}"),
        ("{x: 4, y: 6, since: 2010-01-01}", "[4, 6]"),
        (
            "{x: 4, y: 6, until: 2010-01-02}",
            "{x: 4, y: 6, since: {after: 2009-01-01, by: 2010-01-01}}",
        ),
    ],
)
def test_a_pixel_listed_twice_for_one_time_is_a_fault(one: str, two: str) -> None:
    assert problems(pixel_list("[6, 4]", one, two)) == [
        "5: cameras[0].pixels[2]: 4,6 is listed twice (first in line 4): remove one"
    ]


def test_a_pixel_may_heal_and_come_back() -> None:
    text = pixel_list(
        "{x: 4, y: 6, since: 2012-01-01, until: 2013-01-01}",
        "{x: 4, y: 6, until: 2010-01-01}",
        "{x: 4, y: 6, since: 2010-01-01, until: 2012-01-01}",
        "{x: 4, y: 6, since: 2014-01-01}",
    )

    assert problems(text) == []


def test_a_pixel_is_bad_or_sound_but_not_both() -> None:
    text = "cameras: [{pixels: [[4, 6]], ignore: [[6, 4], [4, 6]]}]"

    assert problems(text) == [
        "1: cameras[0].ignore[1]: 4,6 is in `pixels` too: take it out of one of them"
    ]


def test_one_fault_does_not_hide_another() -> None:
    text = """\
folders:
  - {path: /a, edited: maybe}
  - {path: /a}
cameras:
  - {model: A, serviced: soon, size: [7, 5], pixels: [[7, 5], x]}
  - {model: A, ignore: 3}
"""
    found = problems(text)

    assert "3: folders[1]: path '/a' is listed twice: remove one" in found
    assert "5: cameras[0].pixels[0]: x 7 is outside the 7-pixel width" in found
    assert len(found) == 7


def test_two_bodies_of_one_model_may_be_told_apart_by_their_folders() -> None:
    cameras = "cameras: [{name: anna, model: D80}, {name: ben, model: D80}]"
    folders = "folders: [{path: /a, camera: anna}, {path: /b, camera: ben}]"

    assert problems(f"{folders}\n{cameras}") == []
    (fault,) = problems(cameras)
    assert "is the same camera as cameras[0]" in fault
