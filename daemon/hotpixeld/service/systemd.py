"""Where the log goes: to the journal with fields, else plain lines on standard error.

Systemd: what the service manager and the journal are told, through systemd-python.

Both need the extra ``hotpixeld[systemd]``.  Without it, or outside a service, everything
here does nothing, and says so where it was asked for in vain.
"""

from __future__ import annotations

import collections
import logging
import os
import time
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from hotpixeld.messages import plain

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    from systemd import daemon, journal
except ImportError:  # built from source only, so it is an extra
    daemon = journal = None

_log = logging.getLogger(__name__)

MISSING: Final = (
    "systemd is not told anything, because systemd-python is not installed: install"
    " the extra hotpixeld[systemd] (it needs libsystemd-dev, pkg-config and a C compiler)"
)

EXTEND_MICROSECONDS: Final = 120_000_000
"""Between two signs of progress while starting, reloading or stopping: reading a photo,
or the fsync of a piece of a checkpoint, from or to a slow disk fits in."""

_STANDARD_ERROR = 2

FIELDS: Final = (
    "MESSAGE_ID",
    "PHOTO",
    "PHOTO_SHA256",
    "CAMERA",
    "OUTCOME",
    "REASON",
    "PIXELS",
    "COPY",
    "FOLDER",
)
"""The journal's own fields, and the names under which a log record carries them."""


class Notifier:
    """Tells the service manager how the daemon is; see sd_notify(3).

    Whatever is told, the daemon goes on: a manager that does not listen is logged once.
    """

    def __init__(self) -> None:
        self._is_on = bool(os.environ.get("NOTIFY_SOCKET"))
        if self._is_on and daemon is None:
            _log.warning("%s", MISSING)
            self._is_on = False
        self._has_failed = False
        self._is_settled = False

    @property
    def watchdog_period(self) -> float | None:
        """Return how often to call `progress`, in seconds; None is never.

        Half of the time after which systemd kills who has not called.
        """
        text = os.environ.get("WATCHDOG_USEC", "")
        owner = os.environ.get("WATCHDOG_PID", "")
        is_ours = not owner or owner == str(os.getpid())
        if not (self._is_on and is_ours and text.isascii() and text.isdigit()):
            return None
        return int(text) / 2e6 or None

    def _send(self, **assignments: str | int) -> None:
        # A newline in a status, say from a photo's name, would start an assignment.
        lines = [
            f"{name}={plain(value)}" for name, value in assignments.items() if value
        ]
        if not self._is_on or not lines:
            return
        try:
            daemon.notify("\n".join(lines))
        except OSError as error:
            if not self._has_failed:
                _log.warning("systemd does not listen: %s", error)
            self._has_failed = True

    def ready(self, status: str = "") -> None:
        """Say that the start, or a reload, is over."""
        self._is_settled = True
        self._send(READY=1, STATUS=status)

    def status(self, status: str) -> None:
        """Say in plain words what is going on, for ``systemctl status``."""
        self._send(STATUS=status)

    def reloading(self) -> None:
        """Say that a reload begins; `ready` ends it.

        The time goes with it since systemd 253 (Type=notify-reload); older ones ignore it.
        """
        self._is_settled = False
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(RELOADING=1, MONOTONIC_USEC=microseconds)

    def stopping(self, status: str = "") -> None:
        """Say that the end has begun, and that it may take its time."""
        self._is_settled = False
        self._send(STOPPING=1, STATUS=status, EXTEND_TIMEOUT_USEC=EXTEND_MICROSECONDS)

    def progress(self) -> None:
        """Say that work goes on; with more time for it but in normal operation.

        For whoever sees real progress, never for a thread of its own.
        """
        more = 0 if self._is_settled else EXTEND_MICROSECONDS
        self._send(WATCHDOG=1, EXTEND_TIMEOUT_USEC=more)


def _priority(level: int) -> int:
    """Return the syslog priority of a logging level."""
    steps = ((10, 7), (20, 6), (25, 5), (30, 4), (40, 3))
    return next((priority for most, priority in steps if level <= most), 2)


def _field(value: object) -> str | bytes:
    """Return a field's value: paths as the bytes they are, the rest as text."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, PurePath):
        return os.fsencode(value)
    return str(value).encode("utf-8", "backslashreplace").decode()


class JournalHandler(logging.Handler):
    """Sends records to the journal, with `FIELDS` from their ``extra``.

    The message is free of control characters; PHOTO and other paths are the exact bytes.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the message on one line; a traceback, each of its lines made plain."""
        lines = [plain(record.getMessage())]
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            lines += map(plain, text.splitlines())
        return "\n".join(lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; like every handler, without raising."""
        fields = {
            name: _field(value)
            for name in FIELDS
            if (value := getattr(record, name, None)) is not None
        }
        try:
            journal.send(
                self.format(record),
                PRIORITY=str(_priority(record.levelno)),
                SYSLOG_IDENTIFIER="hotpixeld",
                LOGGER=record.name,
                CODE_FILE=record.pathname,
                CODE_LINE=record.lineno,
                CODE_FUNC=record.funcName,
                **fields,
            )
        except (
            OSError,
            TypeError,
            ValueError,
        ):  # no journal, or arguments that do not fit
            self.handleError(record)


def _is_journal(descriptor: int) -> bool:
    """Return whether a descriptor leads to the journal; see JOURNAL_STREAM, systemd.exec(5)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def journal_handler() -> logging.Handler | None:
    """Return a handler for the journal, if that is where our standard error goes.

    Returns
    -------
    logging.Handler or None
        None in the foreground, and without systemd-python.
    """
    if journal is None or not _is_journal(_STANDARD_ERROR):
        return None
    return JournalHandler()


SAME_SECONDS = 3600.0
"""The same fault is told again after so long."""
SAME_KEPT = 10_000
"""So many faults are remembered for that."""
BURST_SECONDS, BURST = 600.0, 200
"""Of one kind, at most so many faults are told in so long."""


@dataclass(slots=True)
class _Burst:
    """How many faults of one kind came since `began`."""

    began: float
    told: int = 0
    untold: int = 0


class FaultLimit(logging.Filter):
    """Lets through what is no fault, and of faults what is news.

    A photo that fails is told once, however often it is tried again; a folder full of
    them does not fill the log, whose next line then says how many were left out.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told: collections.OrderedDict[str, float] = collections.OrderedDict()
        self._bursts: dict[tuple[str, str], _Burst] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to tell a record; it may get the count of those left out."""
        if record.levelno < logging.WARNING:
            return True
        now = self._clock()
        text = record.getMessage()
        if now - self._told.get(text, -SAME_SECONDS) < SAME_SECONDS:
            return False
        self._told[text] = now
        self._told.move_to_end(text)
        while len(self._told) > SAME_KEPT:
            self._told.popitem(last=False)
        return self._limit(record, text, now)

    def _limit(self, record: logging.LogRecord, text: str, now: float) -> bool:
        """Hold back what comes too often; say so when there is room again."""
        kind = (record.name, str(record.msg))
        burst = self._bursts.setdefault(kind, _Burst(now))
        untold = 0
        if now - burst.began >= BURST_SECONDS:
            untold = burst.untold
            self._bursts[kind] = burst = _Burst(now)
        if burst.told >= BURST:
            burst.untold += 1
            return False
        burst.told += 1
        if untold:
            record.msg, record.args = "%s (%d more like this)", (text, untold)
        return True


class PlainFormatter(logging.Formatter):
    """One line a record, with nothing in it that a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback adds its own."""
        first, *rest = super().format(record).split("\n")
        if record.exc_info:
            return "\n".join(map(plain, [first, *rest]))
        return plain("\n".join([first, *rest]))


def set_up(level: int) -> None:
    """Send the program's log to where its standard error goes, from `level` on."""
    handler = journal_handler()
    if handler is None:
        handler = logging.StreamHandler()
        line = "%(asctime)s %(levelname)s %(message)s"
        handler.setFormatter(PlainFormatter(line, "%Y-%m-%d %H:%M:%S"))
    handler.addFilter(FaultLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
