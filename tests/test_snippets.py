"""What README.md and deploy/README.md show is run, in their order, as a reader would."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import documents
from days.world import Body
from hotpixeld.cli import commands, tables
from hotpixeld.config.load import load, parse
from hotpixeld.config.model import Config

PIXEL = min(Body().xy)
"""A defect of the camera here, where the documents name one of another."""
SUBSTITUTES = {
    "deploy/setup && ": "",  # it has made the environment that this runs in
    ".venv/bin/hotpixeld": "hotpixeld",
    "1500,1271": "{},{}".format(*PIXEL),
    "/opt/hotpixeld/share/hotpixeld": str(documents.ROOT / "config"),
    "/etc/hotpixeld/": "~/",
    "/var/lib/hotpixeld-anna": '"$STATE_DIRECTORY"',
    # It watches until it is stopped.
    "~/hotpixeld/bin/hotpixeld run": "watch",
}
"""What stands in for what is not here, in commands that are otherwise run as they are."""


WATCH = """watch() { timeout 3 hotpixeld run "$@" || [ $? -eq 124 ]; }"""


def as_run(command: str) -> str:
    for there, here in SUBSTITUTES.items():
        command = command.replace(there, here)
    return command


def masked(text: str) -> str:
    """Return a text without numbers and paths."""
    return re.sub(r"(?<!\S)/\S+", "PATH", re.sub(r"\d+", "N", text))


@pytest.mark.slow
def test_a_user_runs_all_commands_from_top_to_bottom(tmp_path: Path) -> None:
    photos = tmp_path / "Pictures"
    photos.mkdir()
    Body().shoot(photos, 17, name="DSC_{:04d}.JPG")
    (tmp_path / "hotpixeld.yaml").write_text("folders: [{path: ~/Pictures}]\n")
    lines = list(dict.fromkeys(map(as_run, documents.users_commands())))
    script = "\n".join(
        ["set -e", WATCH, *(f"echo '$ {one}' >&2\n{one}" for one in lines)]
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    places = {"HOME": str(tmp_path), "STATE_DIRECTORY": str(tmp_path / "state")}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=os.environ | places | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lines) > 15
    assert (tmp_path / "original.jpg").read_bytes() == (
        photos / "DSC_0001.JPG"
    ).read_bytes()
    assert (tmp_path / "by-hand" / "c_DSC_0001.JPG").exists()
    (program,) = documents.fenced("python")
    program = program.replace("/var/lib/hotpixeld", str(tmp_path / "state"))
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.startswith("NIKON D80 17 (88, 120, 3) [(")
    listed = (tmp_path / "d80.yaml").read_text()
    camera = parse(listed, tmp_path / "other.yaml").cameras[0]
    assert {(one.x, one.y) for one in camera.pixels} == Body().xy
    (imported,) = load(tmp_path / "hotpixeld.yaml").cameras
    assert {(one.x, one.y) for one in imported.pixels} == Body().xy
    found = commands.camera_pixels(tmp_path / "state", Config(), None)
    ended, table = documents.fenced("")[:2]
    for line in (ended.splitlines()[index] for index in (0, 1, -1)):
        assert masked(as_run(line)) in masked(done.stdout)
    shown = tables.text(found, is_terminal=True)
    assert table.splitlines()[1].split() == shown.splitlines()[1].split()


@pytest.mark.parametrize("number", range(len(documents.yaml_blocks())))
def test_a_configuration_that_is_shown_is_one(number: int, tmp_path: Path) -> None:
    path = tmp_path / "hotpixeld.yaml"
    path.write_text(documents.yaml_blocks()[number])

    assert load(path).warnings() == []


def test_a_script_and_a_unit_that_are_shown_can_be_read() -> None:
    (script,), (unit,) = documents.fenced("sh"), documents.fenced("ini")
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(unit)

    assert parser.sections() == ["Unit"]


def test_what_is_not_run_word_for_word_is_shown_and_says_why() -> None:
    assert set(documents.ELSEWHERE) <= set(documents.commands())
    for command, reason in documents.ELSEWHERE.items():
        print(f"not run here: {command}: {reason}")  # noqa: T201 - the record of it
