"""Which state folder it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.store import state_folder

if TYPE_CHECKING:
    import pytest


def test_the_order_is_option_configuration_systemd_system_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option, configured = tmp_path / "option", tmp_path / "configured"
    system = tmp_path / "system"
    monkeypatch.setattr(state_folder, "SYSTEM_STATE", system)
    home = {"XDG_STATE_HOME": str(tmp_path / "home")}
    given = {"STATE_DIRECTORY": f"{tmp_path / 'given'}:{tmp_path / 'second'}"}

    assert state_folder.choose(option, configured, given) == option
    assert state_folder.choose(None, configured, given) == configured
    assert state_folder.choose(None, None, given | home) == tmp_path / "given"
    assert state_folder.choose(None, None, home) == tmp_path / "home" / "hotpixeld"
    system.mkdir()
    assert state_folder.choose(None, None, home) == system


def test_without_xdg_it_is_below_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_folder, "SYSTEM_STATE", Path("/nonexistent"))
    monkeypatch.setenv("HOME", "/home/anna")

    assert state_folder.choose(None, None, {}) == Path(
        "/home/anna/.local/state/hotpixeld"
    )


def test_the_status_is_looked_for_where_a_daemon_may_publish_it(tmp_path: Path) -> None:
    environment = {"RUNTIME_DIRECTORY": "/run/x", "XDG_RUNTIME_DIR": "/run/user/7"}
    folders = state_folder.runtime_folders(tmp_path, environment)

    assert folders == [
        Path("/run/x"),
        Path("/run/hotpixeld"),
        Path("/run/user/7/hotpixeld"),
        tmp_path,
    ]


def test_the_status_of_a_persons_service_is_found_by_everyone() -> None:
    state = Path("/var/lib/hotpixeld-anna")

    assert state_folder.runtime_folders(state, {})[0] == Path("/run/hotpixeld-anna")
