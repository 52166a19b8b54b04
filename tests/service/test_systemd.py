"""The service manager and the journal, on real datagram sockets."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from hotpixeld.messages import MessageId
from hotpixeld.service import systemd
from hotpixeld.service.systemd import JournalHandler, Notifier, journal_handler

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


def told(manager: socket.socket) -> dict[str, str]:
    lines = manager.recv(4096).decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


@needs_binding
def test_the_manager_is_told_of_every_step(manager: socket.socket) -> None:
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
    assert told(manager) == {"WATCHDOG": "1", "EXTEND_TIMEOUT_USEC": more}
    assert told(manager) == {"READY": "1", "STATUS": "2 folders, 0 photos waiting"}
    assert told(manager) == {"STATUS": "1 photo waiting"}
    assert told(manager) == {"READY": "1"}
    assert told(manager) == {"WATCHDOG": "1"}
    reloading = told(manager)
    assert reloading.pop("RELOADING") == "1"
    assert 0 <= int(reloading.pop("MONOTONIC_USEC")) - before < 5_000_000
    assert reloading == {}
    assert told(manager) == {"WATCHDOG": "1", "EXTEND_TIMEOUT_USEC": more}
    assert told(manager) == {"READY": "1"}
    stopping = {"STOPPING": "1", "STATUS": "writing the checkpoint"}
    assert told(manager) == {**stopping, "EXTEND_TIMEOUT_USEC": more}
    assert told(manager) == {"WATCHDOG": "1", "EXTEND_TIMEOUT_USEC": more}


@needs_binding
def test_a_status_cannot_smuggle_an_assignment(manager: socket.socket) -> None:
    Notifier().status("folding a\nMAINPID=1\udcff.jpg")

    assert told(manager) == {"STATUS": "folding a\\x0aMAINPID=1\\xff.jpg"}


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


def run_python(script: str, *prefix: str, **environment: str) -> str:
    done = subprocess.run(
        [*prefix, sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_service_without_the_binding_says_what_is_missing() -> None:
    script = (
        "import sys; sys.modules['systemd'] = None\n"
        "from hotpixeld.service.systemd import Notifier, journal_handler\n"
        "notifier = Notifier(); notifier.ready('x')\n"
        "print(notifier.watchdog_period, journal_handler())"
    )
    output = run_python(script, NOTIFY_SOCKET="@nobody", WATCHDOG_USEC="1000000")

    assert output == f"None None\n{systemd.MISSING}\n"
    assert "hotpixeld[systemd]" in systemd.MISSING


@needs_binding
def test_the_journal_gets_records_only_if_standard_error_leads_there() -> None:
    script = (
        "import os, sys\n"
        "status = os.fstat(2)\n"
        "from hotpixeld.service.systemd import journal_handler\n"
        "print(journal_handler())\n"
        "os.environ['JOURNAL_STREAM'] = f'{status.st_dev}:{status.st_ino + 1}'\n"
        "print(journal_handler())\n"
        "os.environ['JOURNAL_STREAM'] = f'{status.st_dev}:{status.st_ino}'\n"
        "print(type(journal_handler()).__name__)\n"
    )

    assert run_python(script, JOURNAL_STREAM="") == "None\nNone\nJournalHandler\n"


def test_without_standard_error_there_is_no_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(systemd, "_STANDARD_ERROR", 10**6)

    assert journal_handler() is None


# In a mount namespace of its own a process can put a socket where the journal's is.
JOURNAL = """
import json, logging, os, pathlib, socket, struct, subprocess
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
os.makedirs("/run/systemd/journal")
listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listening.bind("/run/systemd/journal/socket")
listening.settimeout(5)

def entry():
    data, fields = listening.recv(1 << 16), {}
    while data:
        line, data = data.split(b"\\n", 1)
        name, is_text, value = line.partition(b"=")
        if not is_text:
            size = struct.unpack("<Q", data[:8])[0]
            value, data = data[8 : 8 + size], data[9 + size :]
        fields[name.decode()] = value.decode("latin-1")
    return fields

from hotpixeld.messages import MessageId
from hotpixeld.service.systemd import JournalHandler
log = logging.getLogger("hotpixeld.test")
log.addHandler(JournalHandler())
log.setLevel(logging.DEBUG)
photo = pathlib.Path(os.fsdecode(b"/srv/\\xff\\n.jpg"))
log.info("folded %s", photo, extra={
    "PHOTO": photo, "CAMERA": "canon-1", "OUTCOME": "folded", "PIXELS": 3,
    "PHOTO_SHA256": b"00ff", "MESSAGE_ID": MessageId.PHOTO_DONE, "other": "x",
})
entries = [entry()]
for level in (logging.DEBUG, logging.WARNING, logging.ERROR, logging.CRITICAL):
    log.log(level, "x")
    entries.append(entry())
try:
    raise ValueError("bad \\x1b[31m name")
except ValueError:
    log.exception("failed")
entries.append(entry())
print(json.dumps(entries))
"""


@pytest.fixture(scope="module")
def entries() -> list[dict[str, str]]:
    if not HAS_BINDING:
        pytest.skip("systemd-python is not installed")
    prefix = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    probe = subprocess.run([*prefix, "true"], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip(f"no namespaces: {probe.stderr.decode().strip()}")
    found: list[dict[str, str]] = json.loads(run_python(JOURNAL, *prefix))
    return found


def test_the_journal_gets_the_fields_of_a_photo(entries: list[dict[str, str]]) -> None:
    entry = entries[0]
    fields = {name: entry[name] for name in systemd.FIELDS if name in entry}

    assert fields == {
        "PHOTO": "/srv/\xff\n.jpg",
        "CAMERA": "canon-1",
        "OUTCOME": "folded",
        "PIXELS": "3",
        "PHOTO_SHA256": "00ff",
        "MESSAGE_ID": MessageId.PHOTO_DONE,
    }
    assert entry["MESSAGE"] == "folded /srv/\\xff\\x0a.jpg"
    assert entry["SYSLOG_IDENTIFIER"] == "hotpixeld"
    assert entry["LOGGER"] == "hotpixeld.test"
    assert "other" not in {name.lower() for name in entry}


def test_the_journal_gets_right_priorities(entries: list[dict[str, str]]) -> None:
    priorities = [entry["PRIORITY"] for entry in entries]

    assert priorities == ["6", "7", "4", "3", "2", "3"]


def test_a_traceback_keeps_its_lines_and_nothing_a_terminal_obeys(
    entries: list[dict[str, str]],
) -> None:
    first, *_, last = entries[-1]["MESSAGE"].split("\n")

    assert first == "failed"
    assert last == "ValueError: bad \\x1b[31m name"


@needs_binding
def test_a_record_that_cannot_be_sent_is_no_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments: Any = ("one too many",)
    record = logging.LogRecord("x", 20, "x.py", 1, "text", arguments, None)
    JournalHandler().emit(record)

    assert "not all arguments converted" in capsys.readouterr().err
