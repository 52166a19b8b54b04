"""Fixtures: a home to tell a story in."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from days.world import Body, Home
from faults.hotpixel import Zygote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Return what starts commands without the half second that imports take."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc compiles the library that can inject faults into them")
    with Zygote(tmp_path_factory.mktemp("zygote")) as zygote:
        yield zygote


@pytest.fixture
def home(tmp_path: Path, programs: Zygote) -> Iterator[Home]:
    """Return an empty home; no daemon outlives it."""
    home = Home(tmp_path / "home", programs)
    yield home
    programs.end_all()


@pytest.fixture
def body() -> Body:
    """Return a camera with three strong hot pixels."""
    return Body()
