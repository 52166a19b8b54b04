"""One guest for all tests here: booted once, with hotpixeld installed once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.machine import Machine, NoMachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SOURCE = "/usr/src/hotpixeld"
PARTS = ("daemon", "config", "deploy", "README.md", "LICENSE", "pyproject.toml")


def put_source(machine: Machine, version: str = "") -> None:
    """Put this checkout into the guest, as the given version if any."""
    target = machine.path(SOURCE)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, target / part, ignore=ignore)
        else:
            shutil.copy(ROOT / part, target)
    if version:
        project = target / "pyproject.toml"
        lines = project.read_text().splitlines(keepends=True)
        index = next(i for i, line in enumerate(lines) if line.startswith("version = "))
        lines[index] = f'version = "{version}"\n'
        project.write_text("".join(lines))


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Return a guest that is up, with the user anna and no hotpixeld."""
    try:
        guest = Machine(tmp_path_factory.mktemp("machine"))
    except NoMachineError as error:
        pytest.skip(f"no machine to install on: {error}")
    try:
        guest.boot()
        guest.run("useradd", "--create-home", "anna")
        yield guest
    except NoMachineError as error:
        pytest.skip(f"no machine to install on: {error}")
    finally:
        guest.close()


@pytest.fixture(scope="session")
def installed(machine: Machine) -> Machine:
    """Return the guest with an earlier version installed by the one command."""
    put_source(machine, version="0.0.1")
    machine.run(f"{SOURCE}/deploy/install")
    return machine
