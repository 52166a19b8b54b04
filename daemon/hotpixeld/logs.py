"""Where the log goes: to the journal with fields, else plain lines on standard error."""

from __future__ import annotations

import collections
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotpixeld.messages import plain
from hotpixeld.systemd import journal_handler

if TYPE_CHECKING:
    from collections.abc import Callable

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
