"""What README.md and deploy/README.md tell a reader to run or to write.

Not a test: `test_snippets` runs it, and `deploy/test_installed` what needs a machine with a
service.  A snippet is an indented block, or a fenced one with a language.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    name: (ROOT / name).read_text() for name in ("README.md", "deploy/README.md")
}
ADMINISTRATORS = ("sudo ", "systemctl ", "journalctl ")

ELSEWHERE = {
    "deploy/setup test && .venv/bin/pytest -q -n 2 --dist loadfile": (
        "it is what .ci/run calls, word for word (test_docs)"
    ),
    "sudo deploy/install": "deploy/test_installed begins with it",
    "sudo deploy/install remove": "deploy/test_installed ends with it",
    "sudo deploy/install remove --purge": "deploy/test_installed ends with it",
    "hotpixeld status --health": (
        "days/test_what_became_of_it; here no daemon runs, and it says so by its exit code"
    ),
    "deploy/wheels/build": "deploy/test_wheel, with HOTPIXELD_LONG=1",
    "deploy/container/build": "deploy/test_container, with HOTPIXELD_LONG=1",
    "pipx install ./dist/hotpixeld-*_x86_64.whl": "as deploy/wheels/build, by pip",
    "deploy/package": "deploy/test_package, with HOTPIXELD_LONG=1",
    "sudo apt install ./dist/hotpixeld_*.deb": "as deploy/package",
    "sudo systemctl enable --now hotpixeld-notify.path hotpixeld-notify.timer": (
        "deploy/test_installed enables them, and sees what is told"
    ),
    (
        "hotpixeld run --once --quiet --config ~/hotpixeld.yaml;"
        " hotpixeld notify --config ~/hotpixeld.yaml"
    ): "days/test_told does it, with somebody to tell",
    "systemctl --user enable --now hotpixeld": (
        "deploy/test_installed starts it in a session of anna's"
    ),
    "python3 -m venv ~/hotpixeld && ~/hotpixeld/bin/pip install '.[report]'": (
        "it is what deploy/setup does, into another folder"
    ),
    **dict.fromkeys(
        (
            "pip install 'hotpixeld[cluster]'",
            "dask scheduler",
            "dask worker tcp://archive:8786 --nworkers auto --nthreads 1",
            (
                "hotpixeld learn /srv/photos --scheduler tcp://archive:8786"
                " --storage /srv/share/shards"
            ),
            "hotpixeld repair /srv/photos --scheduler tcp://archive:8786",
        ),
        "cluster/test_archive does it, with a scheduler on loopback",
    ),
}
"""Commands that are not run word for word, each with what is checked in its place."""


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def yaml_blocks() -> list[str]:
    """Return the configurations that are shown, in the order of the documents."""
    return [block for text in DOCUMENTS.values() for block in _blocks(text, "(?:yaml)")]


def fenced(language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [block for text in DOCUMENTS.values() for block in _blocks(text, language)]


def commands() -> list[str]:
    """Return the commands that are shown, in order, without comments."""
    return [
        re.sub(r"\s+#.*", "", line)
        for text in DOCUMENTS.values()
        for line in re.findall(
            r"(?m)^    (\S.*)$", re.sub(r"(?ms)^```.*?^```$", "", text)
        )
    ]


def administrators_commands() -> list[str]:
    """Return those that a machine with a service needs."""
    return [
        command
        for command in commands()
        if command.startswith(ADMINISTRATORS) and command not in ELSEWHERE
    ]


def users_commands() -> list[str]:
    """Return those that a user runs, in a checkout or with hotpixeld installed."""
    return [
        command
        for command in commands()
        if not command.startswith(ADMINISTRATORS) and command not in ELSEWHERE
    ]


def all_commands(group: click.Group, *before: str) -> dict[str, click.Command]:
    """Return all commands of the program, those of groups too, by their words."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        words = (*before, name)
        if isinstance(command, click.Group):
            found |= all_commands(command, *words)
        else:
            found[" ".join(words)] = command
    return found
