"""What the command says where there is no cluster, and what it takes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import pytest

from hotpixeld.cli.main import main, program
from hotpixeld.errors import ExitCode


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("hotpixeld.cluster", "hotpixeld.cluster.scheduler"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    state = ["--state", str(tmp_path / "state")]
    code = main(["learn", str(tmp_path), "--local-cluster", "2", *state])

    assert code == ExitCode.FAULT
    assert "pip install 'hotpixeld[cluster]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["learn", "--local-cluster", "2"], "no folder to learn"),
        (["learn", "in"], "name --scheduler ADDRESS or --local-cluster N"),
        (["learn", "in", "--scheduler", "tcp://a:1"], "name --storage URL"),
        (
            ["learn", "in", "--scheduler", "tcp://a:1", "--local-cluster", "2"],
            "name --scheduler or --local-cluster, not both",
        ),
    ],
)
def test_what_is_missing_is_named(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == ExitCode.USAGE
    assert reason in capsys.readouterr().err


def studio_commands() -> list[str]:
    """Return the commands of hotpixeld in the example of a studio."""
    text = (Path(__file__).parents[2] / "deploy/studio.md").read_text()
    return re.findall(r"(?m)^    hotpixeld (.+)$", text)


@pytest.mark.parametrize("line", sorted(set(studio_commands())))
def test_the_commands_of_the_studio_are_understood(line: str) -> None:
    command: click.Command = program
    words = line.split()
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]

    assert command.make_context("hotpixeld", words).params
