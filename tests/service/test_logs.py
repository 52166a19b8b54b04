"""The log: each fault once, no flood drowns the rest, and the journal gets the fields."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from hotpixeld.messages import MessageId
from hotpixeld.service import logs
from hotpixeld.service.logs import JournalHandler, journal_handler

HAS_BINDING = importlib.util.find_spec("systemd") is not None

needs_binding = pytest.mark.skipif(
    not HAS_BINDING, reason="systemd-python is not installed"
)


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Logged(logging.Handler):
    """Logs a warning as a module would; `texts` is what comes through."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.addFilter(logs.FaultLimit(clock))

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    def __call__(
        self, text: str, *arguments: object, level: int = logging.WARNING
    ) -> None:
        record = logging.LogRecord("hotpixeld", level, "", 0, text, arguments, None)
        self.handle(record)


@pytest.fixture
def log(clock: Clock) -> Logged:
    return Logged(clock)


def test_the_same_fault_is_logged_once_an_hour(log: Logged, clock: Clock) -> None:
    for clock.now in (0.0, 300.0, 3599.0, 3601.0):
        log("%s: no copy", "a.jpg")

    assert log.texts == ["a.jpg: no copy"] * 2


def test_other_faults_are_logged_too(log: Logged) -> None:
    for name in ("a", "b", "a"):
        log("failed %s", name)

    assert log.texts == ["failed a", "failed b"]


def test_what_is_no_fault_is_always_logged(log: Logged) -> None:
    for _ in range(3):
        log("folded", level=logging.INFO)

    assert log.texts == ["folded"] * 3


def test_a_flood_is_cut_and_the_next_line_counts_what_was_left_out(
    log: Logged, clock: Clock
) -> None:
    for number in range(logs.BURST + 50):
        log("failed %d", number)
    log("another kind")
    clock.now = logs.BURST_SECONDS
    log("failed %s", "again")
    log("failed %d", -1)
    texts = log.texts

    assert len(texts) == logs.BURST + 3
    assert texts[-3:] == [
        "another kind",
        "failed again",
        "failed -1 (50 more like this)",
    ]


def test_memory_of_what_was_logged_has_a_bound(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "SAME_KEPT", 3)
    limit = logs.FaultLimit(clock)

    def passes(text: str) -> bool:
        record = logging.LogRecord("x", logging.ERROR, "", 0, text, None, None)
        return limit.filter(record)

    assert [passes(text) for text in "abcdbda"] == [True] * 4 + [False] * 2 + [True]


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


@needs_binding
def test_the_journal_gets_records_only_if_standard_error_leads_there() -> None:
    script = (
        "import os, sys\n"
        "status = os.fstat(2)\n"
        "from hotpixeld.service.logs import journal_handler\n"
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
    monkeypatch.setattr(logs, "_STANDARD_ERROR", 10**6)

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
from hotpixeld.service.logs import JournalHandler
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
    fields = {name: entry[name] for name in logs.FIELDS if name in entry}

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


def test_logging_is_as_it_was_once_the_command_is_done() -> None:
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    with logs.sent(logging.CRITICAL):
        assert root.level == logging.CRITICAL

    assert (root.level, root.handlers) == before
