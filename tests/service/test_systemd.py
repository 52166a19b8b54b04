"""The service manager and the journal, on real datagram sockets."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hotpixeld.service import systemd
from hotpixeld.service.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HAS_BINDING = importlib.util.find_spec("systemd") is not None

needs_binding = pytest.mark.skipif(
    not HAS_BINDING, reason="systemd-python is not installed"
)


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """A service manager's socket, named in the environment."""
    name = str(tmp_path / "notify")
    if request.param == "abstract":
        name = f"@hotpixeld-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0", 1))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listening


def received(manager: socket.socket) -> dict[str, str]:
    lines = manager.recv(4096).decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


@needs_binding
def test_the_manager_hears_of_every_step(manager: socket.socket) -> None:
    notifier = Notifier()
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.progress()
    notifier.ready("2 folders, 0 photos waiting")
    notifier.status("1 photo waiting")
    notifier.ready()
    notifier.progress()
    notifier.reloading()
    notifier.progress()
    notifier.ready()
    notifier.stopping("writing the checkpoint")
    notifier.progress()

    more = str(systemd.EXTEND_MICROSECONDS)
    assert received(manager) == {"WATCHDOG": "1", "EXTEND_TIMEOUT_USEC": more}
    assert received(manager) == {"READY": "1", "STATUS": "2 folders, 0 photos waiting"}
    assert received(manager) == {"STATUS": "1 photo waiting"}
    assert received(manager) == {"READY": "1"}
    assert received(manager) == {"WATCHDOG": "1"}
    reloading = received(manager)
    assert reloading.pop("RELOADING") == "1"
    assert 0 <= int(reloading.pop("MONOTONIC_USEC")) - before < 5_000_000
    assert reloading == {}
    assert received(manager) == {"WATCHDOG": "1", "EXTEND_TIMEOUT_USEC": more}
    assert received(manager) == {"READY": "1"}
    stopping = {"STOPPING": "1", "STATUS": "writing the checkpoint"}
    assert received(manager) == {**stopping, "EXTEND_TIMEOUT_USEC": more}
    assert received(manager) == {"WATCHDOG": "1", "EXTEND_TIMEOUT_USEC": more}


@needs_binding
def test_a_status_cannot_smuggle_an_assignment(manager: socket.socket) -> None:
    Notifier().status("folding a\nMAINPID=1\udcff.jpg")

    assert received(manager) == {"STATUS": "folding a\\x0aMAINPID=1\\xff.jpg"}


def test_outside_a_service_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    notifier = Notifier()
    notifier.ready("")

    assert notifier.watchdog_period is None
    assert caplog.messages == []


@needs_binding
def test_a_manager_that_does_not_listen_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notifier = Notifier()
    notifier.ready("")
    notifier.progress()

    assert caplog.messages == [
        "systemd does not listen: [Errno 2] No such file or directory"
    ]


@needs_binding
@pytest.mark.parametrize(
    ("microseconds", "owner", "seconds"),
    [
        ("30000000", None, 15.0),
        ("500000", "own", 0.25),
        ("500000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_period_is_half_the_limit_and_ours_only_if_it_names_us(
    monkeypatch: pytest.MonkeyPatch,
    microseconds: str | None,
    owner: str | None,
    seconds: float | None,
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody")
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", owner)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value.replace("own", str(os.getpid())))

    assert Notifier().watchdog_period == seconds


def test_a_service_without_the_binding_says_what_is_missing() -> None:
    script = (
        "import sys; sys.modules['systemd'] = None\n"
        "from hotpixeld.service.systemd import Notifier\n"
        "notifier = Notifier(); notifier.ready('x')\n"
        "print(notifier.watchdog_period)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "NOTIFY_SOCKET": "@nobody", "WATCHDOG_USEC": "1000000"},
    )

    assert done.stdout == "None\n"
    assert done.stderr == f"{systemd.MISSING}\n"
    assert "hotpixeld[systemd]" in systemd.MISSING
