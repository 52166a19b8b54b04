"""The log: to the journal with fields, else plain lines on standard error.

The journal needs the extra ``hotpixeld[systemd]``.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from hotpixeld.messages import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

try:
    from systemd import journal
except ImportError:  # built from source only, so it is an extra
    journal = None

log = logging.getLogger(__name__)

_STANDARD_ERROR = 2

FIELDS: Final = (
    "MESSAGE_ID",
    "PHOTO",
    "PHOTO_SHA256",
    "CAMERA",
    "OUTCOME",
    "PIXELS",
)
"""The journal's own fields, and the names under which a log record carries them."""

SAME_SECONDS = 3600.0
"""The same fault is logged again after so long."""
SAME_KEPT = 10_000
"""How many faults are remembered for that."""
BURST_SECONDS, BURST = 600.0, 200
"""Of one kind, at most so many faults are logged in so long."""
SEE_ALL = "`hotpixeld status --problems` has all photos"


@dataclass(slots=True)
class _Burst:
    """How many faults of one kind came since `began`, and the last one held back."""

    began: float
    passed: int = 0
    held_back: int = 0
    example: str = ""


class FaultLimit(logging.Filter):
    """Passes every record but repeated or very frequent faults.

    A photo that fails is logged once, however often it is tried again; a folder full of
    them does not fill the log: the last that passes says so, and the next one, or
    `left_out` at the end, how many were left out.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: collections.OrderedDict[str, float] = collections.OrderedDict()
        self._bursts: dict[tuple[str, str], _Burst] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record; it may get the count of those left out."""
        if record.levelno < logging.WARNING:
            return True
        now = self._clock()
        text = record.getMessage()
        if now - self._seen.get(text, -SAME_SECONDS) < SAME_SECONDS:
            return False
        self._seen[text] = now
        self._seen.move_to_end(text)
        while len(self._seen) > SAME_KEPT:
            self._seen.popitem(last=False)
        return self._limit(record, text, now)

    def _limit(self, record: logging.LogRecord, text: str, now: float) -> bool:
        """Hold back faults that come too often; count them in the next that passes."""
        kind = (record.name, str(record.msg))
        burst = self._bursts.setdefault(kind, _Burst(now))
        held_back = 0
        if now - burst.began >= BURST_SECONDS:
            held_back = burst.held_back
            self._bursts[kind] = burst = _Burst(now)
        if burst.passed >= BURST:
            burst.held_back += 1
            burst.example = text
            return False
        burst.passed += 1
        if held_back:
            record.msg, record.args = "%s (%d more like this)", (text, held_back)
        elif burst.passed == BURST:
            minutes = BURST_SECONDS / 60
            record.msg = "%s (more like this are left out for %.0f minutes: %s)"
            record.args = text, minutes, SEE_ALL
        return True

    def left_out(self) -> list[str]:
        """Return, and forget, how many faults of each kind were left out to this day."""
        lines = [
            f"{burst.held_back:,} more like this were left out: {SEE_ALL}: {burst.example}"
            for burst in self._bursts.values()
            if burst.held_back
        ]
        self._bursts.clear()
        return lines


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
        except (OSError, TypeError, ValueError):  # no journal, or arguments do not fit
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


class PlainFormatter(logging.Formatter):
    """One line a record, with nothing in it that a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback adds its own."""
        first, *rest = super().format(record).split("\n")
        if record.exc_info:
            return "\n".join(map(plain, [first, *rest]))
        return plain("\n".join([first, *rest]))


@contextlib.contextmanager
def sent(level: int) -> Iterator[None]:
    """Send the program's log to where its standard error goes, from `level` on."""
    handler = journal_handler()
    if handler is None:
        handler = logging.StreamHandler()
        line = "%(asctime)s %(levelname)s %(message)s"
        handler.setFormatter(PlainFormatter(line, "%Y-%m-%d %H:%M:%S"))
    limit = FaultLimit()
    handler.addFilter(limit)
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    root.handlers[:] = [handler]
    root.setLevel(level)
    try:
        yield
    finally:
        for line in limit.left_out():
            log.warning("%s", line)
        root.setLevel(before[0])
        root.handlers[:] = before[1]
