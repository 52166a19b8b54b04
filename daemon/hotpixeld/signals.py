"""Signals become words in a queue: the loop takes them out and acts, when it can."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import queue
    from collections.abc import Iterator

STOP, RELOAD, LOOK = "stop", "reload", ""
"""The words; LOOK only wakes the loop."""

MEANING = {signal.SIGTERM: STOP, signal.SIGINT: STOP, signal.SIGHUP: RELOAD}


@contextlib.contextmanager
def handling(words: queue.SimpleQueue[str]) -> Iterator[None]:
    """Put STOP for SIGTERM and SIGINT, RELOAD for SIGHUP, while the block runs."""
    before = {
        number: signal.signal(
            number, lambda got, _frame: words.put(MEANING[signal.Signals(got)])
        )
        for number in MEANING
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
