"""Where the log goes: to the journal with fields, else plain lines on standard error."""

from __future__ import annotations

import logging

from hotpixeld.messages import plain
from hotpixeld.systemd import journal_handler


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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
