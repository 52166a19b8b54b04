"""Man pages and completion, as the installer and the package bring them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import documents
from days.world import Body
from hotpixeld.cli.main import main, program

ROOT = Path(__file__).parents[2]
WORDS = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))'
ANSWER = '_hotpixeld_completion "$1"; printf "%s\\n" "${COMPREPLY[@]}"'


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the installer puts into /usr/local/share."""
    folder = tmp_path_factory.mktemp("share")
    script = ROOT / "deploy" / "shell_files.py"
    subprocess.run([sys.executable, script, folder], check=True)
    return folder


def completed(share: Path, *words: str, state: Path | None = None) -> list[str]:
    """Return what bash offers at the end of a command line, if this is the state."""
    file = share / "bash-completion" / "completions" / "hotpixeld"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"{WORDS}; {ANSWER}", "bash", file, *words],
        env=os.environ | {"PATH": path, "STATE_DIRECTORY": str(state or share)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_every_command_has_its_man_page(share: Path) -> None:
    pages = {path.stem: path.read_text() for path in share.glob("man/man1/*.1")}

    commands = {
        f"hotpixeld-{words.replace(' ', '-')}": command
        for words, command in documents.all_commands(program).items()
    }
    groups = {"hotpixeld", "hotpixeld-state", "hotpixeld-apply"}
    assert set(pages) == {*commands, *groups}
    for page, command in commands.items():
        text = pages[page].replace("\\-", "-")
        options = [one for one in command.params if isinstance(one, click.Option)]
        assert all(f"{one.opts[-1]}" in text for one in options)
        assert f"\\fB{page}(1)\\fP" in pages[page.replace(f"-{command.name}", "")]
        (about,) = re.findall(r"(?m)^hotpixeld\\-.+? \\- (.+)$", pages[page])
        assert " ".join((command.help or "").split()).startswith(about)
        assert "..." not in about


def test_man_shows_the_pages_without_a_warning(share: Path) -> None:
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    pages = sorted(share.glob("man/man1/*.1"))
    done = subprocess.run(
        ["man", "--warnings", "--local-file", *pages],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        text=True,
    )

    assert done.stderr == ""
    assert done.stdout.count("DESCRIPTION") == len(pages)


def test_bash_completes_commands_and_options(share: Path) -> None:
    assert completed(share, "hotpixeld", "he") == []
    assert completed(share, "hotpixeld", "re") == [
        name for name in program.commands if name.startswith("re")
    ]
    assert completed(share, "hotpixeld", "map", "--form") == ["--format"]


def test_bash_completes_cameras_by_name_and_id(share: Path, tmp_path: Path) -> None:
    photos, state = tmp_path / "photos", tmp_path / "state"
    photos.mkdir()
    Body().shoot(photos, 4)
    config = tmp_path / "hotpixeld.yaml"
    config.write_text(
        "folders: [{path: photos}]\ncameras: [{name: near-d80, serial: '3012345'}]\n"
    )
    assert main(["run", "--once", "--config", str(config), "--state", str(state)]) == 0
    (camera,) = state.glob("cameras/*")
    history = ("hotpixeld", "history", "--config", str(config), "n")

    assert completed(share, *history, state=state) == ["near-d80", camera.name]
    assert completed(share, "hotpixeld", "forget", "x", state=state) == []


def test_completion_offers_nothing_and_says_nothing_without_a_state(
    share: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "hotpixeld.yaml"
    broken.write_text("folders: 7")
    forget = ("hotpixeld", "forget", "--config", str(broken), "n")

    assert completed(share, *forget) == []
    assert completed(share, "hotpixeld", "relearn", "n", state=tmp_path) == []


@pytest.mark.parametrize(
    "place",
    ["zsh/site-functions/_hotpixeld", "fish/vendor_completions.d/hotpixeld.fish"],
)
def test_zsh_and_fish_are_given_what_asks_the_program(share: Path, place: str) -> None:
    shell = place.partition("/")[0]
    text = (share / place).read_text()

    assert f"_HOTPIXELD_COMPLETE={shell}_complete" in text
    if shutil.which(shell):
        subprocess.run([shell, "-n", share / place], check=True)
