"""Which state folder it is."""

from __future__ import annotations

import fcntl
import os
import pwd
import threading
from pathlib import Path

import pytest

from hotpixeld.errors import StateInUseError
from hotpixeld.store import state_folder


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

    assert [folder.parent for folder in folders] == [
        Path("/run/x"),
        Path("/run/hotpixeld"),
        Path("/run/user/7/hotpixeld"),
        tmp_path,
    ]
    assert len({folder.name for folder in folders}) == 1
    others = state_folder.runtime_folders(tmp_path / "other", environment)
    assert folders[0].name != others[0].name


def test_the_status_of_a_persons_service_is_found_by_everyone() -> None:
    state = Path("/var/lib/hotpixeld-anna")

    first, *_ = state_folder.runtime_folders(state, {})
    assert first.parent == Path("/run/hotpixeld-anna")


def test_a_services_state_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "system"
    monkeypatch.setattr(state_folder, "SYSTEM_STATE", system)
    home = {"XDG_STATE_HOME": str(tmp_path / "home")}
    closed = state_folder.closed_system_state

    assert closed(None, None, home) is None
    system.mkdir()
    assert closed(None, None, home) is None
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert closed(None, None, home) == system
    assert closed(tmp_path, None, home) is None
    user = pwd.getpwuid(os.getuid()).pw_name
    assert state_folder.as_owner(system) == f"sudo -u {user} "


def test_a_lock_ends_with_its_holder_and_looking_at_it_disturbs_nobody(
    tmp_path: Path,
) -> None:
    path = state_folder.lock_file(tmp_path)
    assert state_folder.holder(path) is None
    held = state_folder.lock(tmp_path)

    assert state_folder.holder(path) == os.getpid()
    with pytest.raises(StateInUseError, match=f"process {os.getpid()}: stop it first"):
        state_folder.lock(tmp_path)
    os.close(held)
    assert state_folder.holder(path) is None
    looks = os.open(path, os.O_RDONLY)
    fcntl.flock(looks, fcntl.LOCK_SH)
    threading.Timer(0.1, os.close, [looks]).start()
    os.close(state_folder.lock(tmp_path))
