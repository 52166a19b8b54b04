"""Fixtures: a seeded camera's photos, sessions on them, and the real photo sets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from hotpixeld.config.load import for_folders
from hotpixeld.engine.session import Session
from sensor import Sensor, scattered
from zoom import Zoomed, worked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hotpixeld.config.model import Config

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

HEIGHT, WIDTH = 200, 280


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the state and the runtime folder of this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg-state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "runtime"))
    for name in ("STATE_DIRECTORY", "NOTIFY_SOCKET", "JOURNAL_STREAM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def photo_sets() -> Path:
    """Return the folder of the real photo sets."""
    folder = os.environ.get("HOTPIXELD_PHOTOS")
    if not folder:
        pytest.skip("HOTPIXELD_PHOTOS names no folder of real photo sets")
    return Path(folder)


@pytest.fixture
def sensor() -> Sensor:
    """Return a camera with three strong defects."""
    return Sensor(
        height=HEIGHT,
        width=WIDTH,
        defects=scattered(3, HEIGHT, WIDTH, levels=(60, 90)),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty import folder."""
    path = tmp_path / "import"
    path.mkdir()
    return path


@pytest.fixture
def config(folder: Path) -> Config:
    """Return the configuration of ``run FOLDER``."""
    return for_folders([folder])


@pytest.fixture
def open_session(tmp_path: Path, config: Config) -> Iterator[Callable[..., Session]]:
    """Open sessions on one state folder, one after the other."""
    opened: list[Session] = []

    def open_one(other: Config | None = None) -> Session:
        for session in opened:
            session.close()
        opened[:] = [Session(other or config, tmp_path / "state", 2, lambda: None)]
        return opened[0]

    yield open_one
    for session in opened:
        session.close()


@pytest.fixture(scope="session")
def zoomed(tmp_path_factory: pytest.TempPathFactory) -> Zoomed:
    """Return a folder after `run --once` of a camera that corrects its lens."""
    return worked(tmp_path_factory.mktemp("zoomed"))
