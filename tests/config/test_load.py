from __future__ import annotations

import datetime as dt
import json
import os
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from hotpixeld.config import load, yaml_positions
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
from hotpixeld.errors import ConfigError
from hotpixeld.messages import EventKind

if TYPE_CHECKING:
    from hotpixeld.config.values import Model

REFERENCE = Path(__file__).parents[2] / "config" / "hotpixeld.yaml"
SCHEMA = REFERENCE.with_name("hotpixeld.schema.json")
WRITE_ANEW = "write it anew: .venv/bin/python config/reference.py"
SOURCE = Path("/etc/hotpixeld/hotpixeld.yaml")

DATE = "must be a date such as 2009-05-01 or 2009-05-01T14:30:00, local time"


def read(text: str) -> Config:
    return load.parse(text, SOURCE)


def problems(text: str) -> list[str]:
    """Return what is wrong, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    prefix = f"{SOURCE}:"
    assert all(problem.startswith(prefix) for problem in caught.value.problems)
    return [problem.removeprefix(prefix) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "---\n", "folders:\ncameras:\n"]
)
def test_an_empty_file_means_the_defaults(text: str) -> None:
    assert read(text) == Config()


def test_every_key_is_read() -> None:
    config = read("""
state: /var/lib/hotpixeld
folders:
  - path: /srv/photos/import
    repaired: done
    name: fixed-{name}
    camera: anna-d80
    edited: fold
    unchanged: link
    settle_seconds: 0.5
cameras:
  - {name: anna-d80, make: NIKON, model: NIKON D80, serial: "0123456",
     size: [3872, 2592], serviced: 2011-03-01,
     pixels: [[1500, 1271], {x: 10, y: 20, since: 2009-05-01, kind: dead}],
     ignore: [[7, 9], {x: 8, y: 9}]}
detection: {method: variance, min_photos: 8, memory: 0}
repair: {pixels: configured, past: no, fill: neighbours, fallback: reencode}
copies: {undo: no}
limits: {max_pixels: 50_000_000, max_bytes: 20_000_000, memory: 2_000_000_000,
         forget_after: 365 days}
""")

    assert config == Config(
        state=Path("/var/lib/hotpixeld"),
        folders=(
            Folder(
                path=Path("/srv/photos/import"),
                repaired=Path("/srv/photos/import/done"),
                name="fixed-{name}",
                camera="anna-d80",
                edited="fold",
                unchanged="link",
                settle_seconds=0.5,
            ),
        ),
        cameras=(
            CameraConfig(
                name="anna-d80",
                make="NIKON",
                model="NIKON D80",
                serial="0123456",
                size=(3872, 2592),
                serviced=dt.datetime.fromisoformat("2011-03-01"),
                pixels=(
                    Pixel(x=1500, y=1271),
                    Pixel.model_validate(
                        {
                            "x": 10,
                            "y": 20,
                            "since": {"by": "2009-05-01"},
                            "kind": "dead",
                        }
                    ),
                ),
                ignore=(Point(x=7, y=9), Point(x=8, y=9)),
            ),
        ),
        detection=Detection(method="variance", min_photos=8, memory=0),
        repair=Repair(
            pixels="configured", past=False, fill="neighbours", fallback="reencode"
        ),
        copies=Copies(undo=False),
        limits=Limits(
            max_pixels=50_000_000,
            max_bytes=20_000_000,
            memory=2_000_000_000,
            forget_after=dt.timedelta(days=365),
        ),
    )


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2009-05-01", "2009-05-01T00:00:00"),
        ("'2009-05-01'", "2009-05-01T00:00:00"),
        ("2009-05-01T14:30", "2009-05-01T14:30:00"),
        ("2009-05-01 14:30:15", "2009-05-01T14:30:15"),
        ("2009-05-01T14:30:15.25", "2009-05-01T14:30:15.250000"),
    ],
)
def test_dates_may_have_a_time_of_day(text: str, moment: str) -> None:
    serviced = read(f"cameras: [{{serviced: {text}}}]").cameras[0].serviced

    assert serviced is not None
    assert serviced.isoformat() == moment


def test_a_path_may_hold_bytes_that_are_no_text() -> None:
    config = read('folders: [{path: "/caf\\udce9"}]')

    assert os.fsencode(config.folders[0].path) == b"/caf\xe9"


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    text = "state: ../state\nfolders: [{path: photos/x/.., repaired: /out/../done}]"
    config = load.parse(text, tmp_path / "etc" / "hotpixeld.yaml")

    assert config.state == tmp_path / "state"
    assert config.folders[0].path == tmp_path / "etc" / "photos"
    assert config.folders[0].repaired == Path("/done")


def test_a_relative_file_is_taken_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("state: s", encoding="utf-8")

    assert load.load(Path("mine.yaml")).state == tmp_path / "s"


def test_a_tilde_is_the_home_of_who_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    config = read("folders: [{path: ~/import, repaired: ~/repaired}]")

    assert config.folders[0].path == Path("/home/anna/import")
    assert config.folders[0].repaired == Path("/home/anna/repaired")


FAULTS = {
    # text: what is said about it
    "[1, 2]": "1: must be a mapping such as `folders: [..]`, not [1, 2]",
    "folders": "1: must be a mapping such as `folders: [..]`, not 'folders'",
    "folder: []": "1: unknown key 'folder': did you mean 'folders'?",
    "\nxyz: 1": (
        "2: unknown key 'xyz': known are"
        " state, folders, cameras, detection, repair, copies, limits, report, notify"
    ),
    "{repair: {}, repair: {past: false}}": (
        "1: key 'repair' is given twice (first in line 1): remove one"
    ),
    "repair:\n  past: yes\n  past: no": (
        "3: repair: key 'past' is given twice (first in line 2): remove one"
    ),
    "state: 5": "1: state must be quoted: YAML reads 5 as a number",
    "state: ''": "1: state must be a path, not ''",
    'state: "a\\0b"': "1: state must be a path, not 'a\\x00b'",
    "state: ~nobody-has-this-name/x": (
        "1: state must start with the ~ of a user who has a home,"
        " not '~nobody-has-this-name/x'"
    ),
    "state: !x y": "1: tag '!x' is not used: remove it",
    "folders: /a": (
        "1: folders must be a list (`[..]`, or a line with `- ` for each item), not '/a'"
    ),
    "folders: [/a]": "1: folders[0]: must be a mapping (`key: value`), not '/a'",
    "folders:\n  - name: c_{name}": "2: folders[0]: path is missing: add it",
    "folders:\n  - path: ~": (
        "2: folders[0]: path must be quoted: YAML reads ~ as nothing"
    ),
    "folders:\n  - path:": "2: folders[0]: path is empty: give it a value",
    "folders:\n  - path: /a\n    repared: b": (
        "3: folders[0]: unknown key 'repared': did you mean 'repaired'?"
    ),
    "folders: [{path: /a, Settle-Seconds: 3}]": (
        "1: folders[0]: unknown key 'Settle-Seconds': did you mean 'settle_seconds'?"
    ),
    "folders: [{path: /a, repaired: .}]": (
        "1: folders[0]: repaired must not be or hold the watched folder:"
        " name another, such as repaired, not '.'"
    ),
    "folders: [{path: /a/b, repaired: /a}]": (
        "1: folders[0]: repaired must not be or hold the watched folder:"
        " name another, such as repaired, not '/a'"
    ),
    "folders: [{path: /a, name: c_}]": (
        "1: folders[0]: name must be text before {name}, such as c_{name}, or around"
        " {stem} and before {suffix}, such as {stem}.edit{suffix}, not 'c_'"
    ),
    "folders: [{path: /a, name: 'x/{name}'}]": (
        "1: folders[0]: name must be text before {name}, such as c_{name}, or around"
        " {stem} and before {suffix}, such as {stem}.edit{suffix}, not 'x/{name}'"
    ),
    "folders: [{path: /a, name: '{name}.bak'}]": (
        "1: folders[0]: name must be text before {name}, such as c_{name}, or around"
        " {stem} and before {suffix}, such as {stem}.edit{suffix}, not '{name}.bak'"
    ),
    "folders: [{path: /a, name: '{stem}.edit'}]": (
        "1: folders[0]: name must be text before {name}, such as c_{name}, or around"
        " {stem} and before {suffix}, such as {stem}.edit{suffix}, not '{stem}.edit'"
    ),
    "folders: [{path: /a, name: '{stem}{suffix}'}]": (
        "1: folders[0]: name must tell copies from originals, such as c_{name},"
        " while the repaired folder lies in the watched one, not '{stem}{suffix}'"
    ),
    "folders: [{path: /a, name: '{name}'}]": (
        "1: folders[0]: name must tell copies from originals, such as c_{name},"
        " while the repaired folder lies in the watched one, not '{name}'"
    ),
    "folders: [{path: /a, edited: keep}]": (
        "1: folders[0]: edited must be 'skip' or 'fold', not 'keep'"
    ),
    "folders: [{path: /a, unchanged: 1}]": (
        "1: folders[0]: unchanged must be 'skip', 'link' or 'copy', not 1"
    ),
    "folders: [{path: /a, settle_seconds: 0}]": (
        "1: folders[0]: settle_seconds must be at least 0.1, not 0"
    ),
    "folders: [{path: /a, settle_seconds: 1e9}]": (
        "1: folders[0]: settle_seconds must be a number, not '1e9'"
    ),
    "folders: [{path: /a, settle_seconds: .inf}]": (
        "1: folders[0]: settle_seconds must be a number, not .inf:"
        " write plain decimal digits"
    ),
    "folders: [{path: /a, camera: no}]": (
        "1: folders[0]: camera must be quoted: YAML reads no as true or false"
    ),
    "cameras: [{serial: 0123456}]": (
        "1: cameras[0]: serial must be quoted: YAML reads 0123456 as a number"
    ),
    "cameras: [{serial: 3012345}]": (
        "1: cameras[0]: serial must be quoted: YAML reads 3012345 as a number"
    ),
    "cameras: [{model: [D80]}]": "1: cameras[0]: model must be text, not ['D80']",
    "cameras: [{name: ''}]": (
        "1: cameras[0]: name must be text of 1 or more characters, not ''"
    ),
    "cameras: [{size: 3872x2592}]": (
        "1: cameras[0]: size must be [width, height] in stored pixels, not '3872x2592'"
    ),
    "cameras: [{size: [3872, 0]}]": (
        "1: cameras[0].size[1]: must be at least 1, not 0"
    ),
    "cameras: [{serviced: 1.3.2011}]": f"1: cameras[0]: serviced {DATE}, not '1.3.2011'",
    "cameras: [{serviced: 2011-02-29}]": (
        f"1: cameras[0]: serviced {DATE}, not '2011-02-29'"
    ),
    "cameras: [{serviced: 2011-03-01T10:00:00+02:00}]": (
        f"1: cameras[0]: serviced {DATE}, not '2011-03-01T10:00:00+02:00'"
    ),
    "cameras: [{serviced: 20110301}]": f"1: cameras[0]: serviced {DATE}, not 20110301",
    "cameras:\n  - pixels:\n      - [1, 2, 3]": (
        "3: cameras[0].pixels[0]: must be [x, y] or {x: .., y: ..}, not [1, 2, 3]"
    ),
    "cameras: [{pixels: [7]}]": (
        "1: cameras[0].pixels[0]: must be [x, y] or {x: .., y: ..}, not 7"
    ),
    "cameras: [{pixels: [[1, -2]]}]": (
        "1: cameras[0].pixels[0]: y must be at least 0, not -2"
    ),
    "cameras: [{pixels: [[1, 65535]]}]": (
        "1: cameras[0].pixels[0]: y must be less than 65535, not 65535"
    ),
    "cameras: [{pixels: [[1.5, 2]]}]": (
        "1: cameras[0].pixels[0]: x must be a whole number, not 1.5"
    ),
    "cameras: [{pixels: [[0100, 2]]}]": (
        "1: cameras[0].pixels[0]: x must be a whole number, not 0100:"
        " write plain decimal digits"
    ),
    "cameras: [{since: 2009-05-01}]": (
        "1: cameras[0]: unknown key 'since': known are name, make, model, serial, size,"
        " serviced, pixels, ignore"
    ),
    "cameras: [{pixels: [{x: 1}]}]": ("1: cameras[0].pixels[0]: y is missing: add it"),
    "cameras: [{pixels: [{x: 1, y: 2, kind: warm}]}]": (
        "1: cameras[0].pixels[0]: kind must be 'hot', 'stuck' or 'dead', not 'warm'"
    ),
    "cameras: [{pixels: [{x: 1, y: 2, sinse: 2009-05-01}]}]": (
        "1: cameras[0].pixels[0]: unknown key 'sinse': did you mean 'since'?"
    ),
    "cameras: [{pixels: [{x: 1, y: 2, since: {from: 2009-05-01}}]}]": (
        "1: cameras[0].pixels[0].since: unknown key 'from': known are after, by"
    ),
    "cameras: [{pixels: [{x: 1, y: 2, since: yesterday}]}]": (
        f"1: cameras[0].pixels[0]: since {DATE}, not 'yesterday'"
    ),
    "cameras: [{pixels: [{x: 1, y: 2, since: {after: 2010-01-01, by: 2009-01-01}}]}]": (
        "1: cameras[0].pixels[0].since: by must not be earlier than `after`"
        " (2010-01-01T00:00:00), not '2009-01-01'"
    ),
    "cameras: [{pixels: [{x: 1, y: 2, since: 2010-01-01, until: 2010-01-01}]}]": (
        "1: cameras[0].pixels[0]: until must be later than `since`"
        " (2010-01-01T00:00:00), not '2010-01-01'"
    ),
    "cameras: [{pixels: [{x: 1, y: 2, radius: 17}]}]": (
        "1: cameras[0].pixels[0]: radius must be at most 16, not 17"
    ),
    "cameras: [{pixels: [{x: 1, y: 2, amplitude: [1, 2]}]}]": (
        "1: cameras[0].pixels[0].amplitude[2]: is missing: add it"
    ),
    "cameras: [{pixels: [{x: 1, y: 2, amplitude: [1, 2, 3, 4]}]}]": (
        "1: cameras[0].pixels[0]: amplitude must have 3 values, not [1, 2, 3, 4]"
    ),
    "cameras: [{ignore: [{x: 1, y: 2, kind: hot}]}]": (
        "1: cameras[0].ignore[0]: unknown key 'kind': known are x, y"
    ),
    "detection: {method: contrst}": (
        "1: detection: method must be 'contrast' or 'variance', not 'contrst'"
    ),
    "detection: {min-photos: 8}": (
        "1: detection: unknown key 'min-photos': did you mean 'min_photos'?"
    ),
    "detection: {min_photos: 3}": "1: detection: min_photos must be at least 4, not 3",
    "detection: {memory: 10}": (
        "1: detection: memory must be 0 or at least `min_photos` (16), not 10"
    ),
    "repair: both": "1: repair must be a mapping (`key: value`), not 'both'",
    "repair: {past: maybe}": "1: repair: past must be true or false, not 'maybe'",
    "repair: {past: 1}": "1: repair: past must be true or false, not 1",
    "limits: {memory: 600 MB}": (
        "1: limits: memory must be a whole number, not '600 MB'"
    ),
    "limits: {memory: 1_000}": "1: limits: memory must be at least 50000000, not 1_000",
    "limits: {forget_after: 365}": (
        "1: limits: forget_after must be a number of days such as 365 days, not 365"
    ),
    "limits: {forget_after: 0 days}": (
        "1: limits: forget_after must be a number of days such as 365 days, not '0 days'"
    ),
    "limits: {max_pixels: on}": "1: limits: max_pixels must be a whole number, not on",
}


@pytest.mark.parametrize(("text", "problem"), FAULTS.items(), ids=range(len(FAULTS)))
def test_a_fault_is_named_with_its_place_and_what_to_do(
    text: str, problem: str
) -> None:
    assert problems(text) == [problem]


def test_all_faults_are_named_at_once_in_the_order_of_the_file() -> None:
    text = """\
folders:
  - path: /a
    repared: b
    camera: ana
  - {path: /a/b, settle_seconds: 0, edited: skip, edited: fold}
cameras:
  - name: anna
    serial: 0123456
    size: [6000, 4000]
    serviced: soon
    pixels:
      - [1, 1]
      - [1, 2, 3]
      - [1, 1]
      - [6048, 4100]
      - {x: -1, y: a, kind: warm}
    ignore: [[1, 1]]
  - {model: 1100}
detection: {memory: 3.5, method: contrst}
extra: 1
"""

    assert problems(text) == [
        "3: folders[0]: unknown key 'repared': did you mean 'repaired'?",
        (
            "4: folders[0]: camera 'ana' is the name of no entry in `cameras`:"
            " did you mean 'anna'?"
        ),
        "5: folders[1]: path '/a/b' lies inside the watched '/a': list one of them",
        "5: folders[1]: settle_seconds must be at least 0.1, not 0",
        "5: folders[1]: key 'edited' is given twice (first in line 5): remove one",
        "8: cameras[0]: serial must be quoted: YAML reads 0123456 as a number",
        f"10: cameras[0]: serviced {DATE}, not 'soon'",
        "13: cameras[0].pixels[1]: must be [x, y] or {x: .., y: ..}, not [1, 2, 3]",
        "14: cameras[0].pixels[2]: 1,1 is listed twice (first in line 12): remove one",
        "15: cameras[0].pixels[3]: x 6048 is outside the 6000-pixel width",
        "15: cameras[0].pixels[3]: y 4100 is outside the 4000-pixel height",
        "16: cameras[0].pixels[4]: x must be at least 0, not -1",
        "16: cameras[0].pixels[4]: y must be a whole number, not 'a'",
        "16: cameras[0].pixels[4]: kind must be 'hot', 'stuck' or 'dead', not 'warm'",
        "17: cameras[0].ignore[0]: 1,1 is in `pixels` too: take it out of one of them",
        "18: cameras[1]: model must be quoted: YAML reads 1100 as a number",
        "19: detection: memory must be a whole number, not 3.5",
        "19: detection: method must be 'contrast' or 'variance', not 'contrst'",
        (
            "20: unknown key 'extra': known are"
            " state, folders, cameras, detection, repair, copies, limits, report, notify"
        ),
    ]


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load.load(path)
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"

    assert refusal(path) == (
        f"{path}: No such file or directory:"
        " check the spelling, or plug in or mount what it is on"
    )


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    assert "Is a directory: move it away, or name another" in refusal(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "hotpixeld.yaml"
    path.touch(mode=0)

    assert "cannot be read (Permission denied)" in refusal(path)


def test_a_file_that_is_not_utf_8_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "hotpixeld.yaml"
    path.write_bytes(b"# photos\nstate: /caf\xe9\n")

    assert refusal(path) == f"{path}:2: byte 0xe9 is not UTF-8: save it as UTF-8"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "hotpixeld.yaml"
    path.write_bytes(b"\xef\xbb\xbfdetection: {memory: 0}\n")

    assert load.load(path).detection.memory == 0


def test_an_endless_file_is_not_read_to_its_end() -> None:
    assert "larger than 4000000 bytes" in refusal(Path("/dev/zero"))


def test_a_file_that_is_not_yaml_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "hotpixeld.yaml"
    path.write_text("folders:\n\t- path: /a\n", encoding="utf-8")

    assert refusal(path).startswith(f"{path}:2: not valid YAML: ")


def test_folders_of_the_command_line_need_no_file(tmp_path: Path) -> None:
    config = load.for_folders([tmp_path / "a", tmp_path / "b"])

    assert config == Config(
        folders=(Folder(path=tmp_path / "a"), Folder(path=tmp_path / "b"))
    )
    assert config.folders[0].repaired == tmp_path / "a" / "repaired"


def test_folders_of_the_command_line_are_taken_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    config = load.for_folders([Path("a"), Path("b/../a/"), tmp_path / "a"])

    assert [folder.path for folder in config.folders] == [tmp_path / "a"]


def test_a_photo_is_no_folder(tmp_path: Path) -> None:
    (photo := tmp_path / "a.JPG").write_bytes(b"")

    with pytest.raises(ConfigError, match=r"a\.JPG: a file.*name the folder"):
        load.for_folders([tmp_path, photo])


def test_a_folder_of_the_command_line_keeps_its_configured_settings() -> None:
    base = read("folders: [{path: /a, edited: fold}, {path: /b}]\nrepair: {past: no}")

    config = load.for_folders([Path("/c"), Path("/a")], base)

    assert config.folders == (Folder(path=Path("/c")), base.folders[0])
    assert config.repair == base.repair


def test_folders_of_the_command_line_may_not_lie_in_each_other() -> None:
    with pytest.raises(ConfigError) as caught:
        load.for_folders([Path("/a/b"), Path("/a")])

    assert caught.value.problems == (
        "path '/a/b' lies inside the watched '/a': list one of them",
    )


def uncommented() -> str:
    """Return the reference with its examples switched on."""
    text = REFERENCE.read_text(encoding="utf-8")
    return re.sub(r"^#(?=[a-z]|  )", "", text, flags=re.MULTILINE)


def test_the_reference_is_a_configuration_of_defaults() -> None:
    assert load.load(REFERENCE) == Config()


def test_the_examples_in_the_reference_are_right() -> None:
    config = read(uncommented())

    assert config.folders == (Folder(path=Path("/srv/photos/import")),)
    assert config.cameras[0].serial == "3012345"
    assert [(pixel.x, pixel.y) for pixel in config.cameras[0].pixels] == [
        (1500, 1271),
        (10, 20),
    ]
    assert config.warnings() == []


def test_the_reference_shows_every_key() -> None:
    written = yaml.safe_load(uncommented())
    (folder,), (camera,) = written["folders"], written["cameras"]
    shown: list[tuple[type[Model], dict[str, object]]] = [
        (Config, written),
        (Folder, folder),
        (CameraConfig, camera),
        (Pixel, camera["pixels"][1]),
        (Detection, written["detection"]),
        (Repair, written["repair"]),
        (Copies, written["copies"]),
        (Limits, written["limits"]),
        (Notify, written["notify"]),
    ]

    assert all(set(model.model_fields) == set(section) for model, section in shown)


def test_the_reference_is_narrow_enough_for_a_terminal() -> None:
    lines = REFERENCE.read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if len(line) > 100] == []


def unwrapped(value: object) -> object:
    """Return a schema in the words of pydantic 2.9: 2.8 wraps a reference."""
    match value:
        case {"allOf": [dict(only)], **rest}:
            return unwrapped(rest | only)
        case dict():
            return {key: unwrapped(part) for key, part in value.items()}
        case list():
            return [unwrapped(part) for part in value]
        case _:
            return value


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "ping: ftp://x",
            "ping must be an address that begins with https:// or http://",
        ),
        (
            "heartbeat: https://",
            "heartbeat must be an address that begins with https://",
        ),
        (
            "metrics: figures.txt",
            "metrics must end in .prom, as the node exporter wants",
        ),
        (
            "events: [defects]",
            "must be 'defect_found', 'defect_gone', 'folder_offline'",
        ),
        ("command: tell", "command must be a list"),
        ("command: ['']", "must be text of 1 or more characters"),
        ("pings: https://x.org", "unknown key 'pings': did you mean 'ping'"),
    ],
)
def test_who_is_told_must_be_somebody(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(f"notify: {{{text}}}")

    assert fault in str(error.value)


def test_all_but_the_beginning_of_a_run_is_told_unless_named() -> None:
    everything = read("notify: {command: [tell]}").notify
    one = read("notify: {command: [tell], events: [disk_full]}").notify

    assert set(EventKind) - set(everything.told) == {EventKind.RUN_STARTED}
    assert one.told == (EventKind.DISK_FULL,)


def test_a_report_is_a_page_and_never_named_like_a_photo(tmp_path: Path) -> None:
    place = tmp_path / "hotpixeld.yaml"

    assert load.parse("report: page.HTML", place).report == tmp_path / "page.HTML"
    with pytest.raises(ConfigError, match=r"yaml:1: report must end in \.html"):
        load.parse("report: page.jpg", place)


def test_the_schema_for_editors_is_that_of_the_models() -> None:
    stored = json.loads(SCHEMA.read_text(encoding="utf-8"))

    assert stored == unwrapped(load.schema()), WRITE_ANEW


def test_the_reference_says_what_the_schema_says() -> None:
    reference = runpy.run_path(str(REFERENCE.with_name("reference.py")))["reference"]
    stored = json.loads(SCHEMA.read_text(encoding="utf-8"))

    assert REFERENCE.read_text(encoding="utf-8") == reference(stored), WRITE_ANEW


def test_every_key_in_the_schema_is_described() -> None:
    parts = json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"].values()
    sections = [part for part in parts if "properties" in part]

    assert len(sections) == len(load.SECTIONS) - 1  # all but the top
    for section in sections:
        assert all("description" in key for key in section["properties"].values())


def test_the_reference_names_its_schema() -> None:
    first = REFERENCE.read_text(encoding="utf-8").splitlines()[0]

    assert first == f"# yaml-language-server: $schema={SCHEMA.name}"


def test_every_section_is_known_for_nearest_keys() -> None:
    models = {
        Config,
        Folder,
        CameraConfig,
        Pixel,
        Point,
        Since,
        Detection,
        Repair,
        Copies,
        Limits,
        Notify,
    }

    assert set(load.SECTIONS.values()) == models


KEYS = sorted({key for model in load.SECTIONS.values() for key in model.model_fields})
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5000)
    | st.floats()
    | st.sampled_from(
        ["hot", "skip", "/a", "/a/repaired", "2009-05-01", "{name}", "a"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, "zz"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(list(Config.model_fields)), VALUES))
@example({"folders": [{"camera": {}}]})
def test_any_mapping_is_a_configuration_or_has_faults(value: object) -> None:
    try:
        faults: tuple[str, ...] = ()
        read(yaml.safe_dump(value))
    except ConfigError as error:
        faults = error.problems

    assert all(re.match(rf"{SOURCE}:\d+: ", fault) for fault in faults)


def test_a_long_pixel_list_is_read_in_reasonable_time() -> None:
    pixels = "\n".join(f"      - [{i}, {i // 7}]" for i in range(2_000))
    config = read(f"cameras:\n  - size: [4000, 3000]\n    pixels:\n{pixels}\n")

    assert len(config.cameras[0].pixels) == 2_000
    assert len(yaml_positions.parse(pixels, "x").places) == 6_001
