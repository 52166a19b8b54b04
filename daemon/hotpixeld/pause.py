"""Pause: the daemon rests while a disk is full or faulty, says so once, and tries again."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from hotpixeld.errors import LedgerError
from hotpixeld.messages import MessageId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

PAUSE_SECONDS = 30.0
"""How long to wait before a full or faulty disk is tried again."""


class Pause:
    """Whether work rests, and why.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.

    Attributes
    ----------
    fault : str
        Why; empty while all is well.
    until : float
        When to try again, by the clock.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.fault = ""
        self.until = 0.0
        self._clock = clock

    def rests(self) -> bool:
        """Return whether it is too early to try again."""
        return bool(self.fault) and self._clock() < self.until

    @contextlib.contextmanager
    def guarding(self) -> Iterator[None]:
        """Rest when the disk fails the block: nothing is lost, it is tried again."""
        try:
            yield
        except (OSError, LedgerError) as error:
            if not self.fault:
                log.error(  # noqa: TRY400 - one line; the disk is at fault, not the code
                    "paused, tried again every %.0f s: %s",
                    PAUSE_SECONDS,
                    error,
                    extra={"MESSAGE_ID": MessageId.DISK_FULL},
                )
            self.fault = str(error)
            self.until = self._clock() + PAUSE_SECONDS

    def end(self) -> None:
        """Say that work goes on: what failed has been done."""
        if self.fault:
            log.warning("resumed", extra={"MESSAGE_ID": MessageId.DISK_RESUMED})
            self.fault = ""
