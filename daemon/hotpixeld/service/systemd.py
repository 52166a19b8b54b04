"""The service manager: the daemon reports how it is, through systemd-python.

That needs the extra ``hotpixeld[systemd]``.  Without it, or outside a service, nothing is
reported, and that is logged once if a service manager waits for reports.  Signs of progress
go to the published status too, for `status --health`.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Final

from hotpixeld.messages import plain

try:
    from systemd import daemon
except ImportError:  # built from source only, so it is an extra
    daemon = None

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

MISSING: Final = (
    "nothing is reported to systemd, as systemd-python is not installed: install"
    " the extra hotpixeld[systemd] (it needs libsystemd-dev, pkg-config and a C compiler)"
)

EXTEND_MICROSECONDS: Final = 120_000_000
"""Between two signs of progress while starting, reloading or stopping: reading a photo,
or the fsync of a piece of a generation, from or to a slow disk fits in."""


def _nothing() -> None:
    """Stand in for a heart where there is none."""


class Notifier:
    """Reports to the service manager how the daemon is; see sd_notify(3).

    A manager that does not listen is logged once.

    Attributes
    ----------
    beat : callable
        Is called with each sign of progress, too.
    """

    def __init__(self) -> None:
        self.beat: Callable[[], None] = _nothing
        self._is_on = bool(os.environ.get("NOTIFY_SOCKET"))
        if self._is_on and daemon is None:
            _log.warning("%s", MISSING)
            self._is_on = False
        self._has_failed = False
        self._is_settled = False

    @property
    def watchdog_period(self) -> float | None:
        """Return how often to call `progress`, in seconds; None is never.

        Half of the time after which systemd kills a daemon that has not called.
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
        """Say that the daemon stops, and ask for more time."""
        self._is_settled = False
        self._send(STOPPING=1, STATUS=status, EXTEND_TIMEOUT_USEC=EXTEND_MICROSECONDS)

    def progress(self) -> None:
        """Say that work goes on; ask for more time while starting, reloading or stopping.

        For code that makes real progress, never for a thread of its own.
        """
        more = 0 if self._is_settled else EXTEND_MICROSECONDS
        self._send(WATCHDOG=1, EXTEND_TIMEOUT_USEC=more)
        self.beat()
