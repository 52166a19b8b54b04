"""How far long work is: a bar on a terminal, elsewhere now and then a line."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Item = TypeVar("Item")


class Show(Protocol):
    """Yields items and shows, or does not show, how far they are: `with_progress`."""

    def __call__(self, items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
        """Yield the items."""


PLAIN_SECONDS = 10.0
"""Seconds between two plain lines."""


class _Rate(TextColumn):
    """The number of photos per second, once a second tells of it."""

    def render(self, task: Task) -> Text:
        """Return the rate since the beginning: photos come many at a time."""
        elapsed = task.elapsed or 0.0
        if elapsed < 1 or not task.completed:
            return Text()
        return Text(f"{task.completed / elapsed:.1f}/s")


class _Above:
    """A stream whose lines appear above a bar, each as long as it is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> None:
        """Print whole lines."""
        line = Text(text.removesuffix("\n"))
        self._progress.console.print(line, soft_wrap=True)

    def flush(self) -> None:
        """Do nothing: what is written is there."""


@contextlib.contextmanager
def _above(progress: Progress) -> Iterator[None]:
    """Have the log's lines appear above a bar, not in it."""
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if type(handler) is logging.StreamHandler and handler.stream is sys.stderr
    ]
    for handler in handlers:
        handler.terminator = ""
        handler.setStream(_Above(progress))
    try:
        yield
    finally:
        for handler in handlers:
            handler.terminator = "\n"
            handler.setStream(sys.stderr)


def _bar(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(""),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    progress = Progress(*columns, console=Console(stderr=True))
    with _above(progress), progress:  # in this order: a bar puts itself before stderr
        task = progress.add_task(label, total=total)
        for item in items:
            yield item
            progress.advance(task)


def _plain(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    began = shown_at = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - shown_at >= PLAIN_SECONDS or done == total:
            shown_at = now
            rate = done / max(now - began, 1e-3)
            left = (total - done) / rate
            line = f"{label}: {done} of {total}, {rate:.1f}/s, {left:.0f} s left\n"
            sys.stderr.write(line)
            sys.stderr.flush()


def with_progress(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield `items` and show how far they are, on standard error.

    Parameters
    ----------
    total : int
        How many there will be.
    label : str
        What is being done with them.
    """
    if not total:
        return iter(items)
    return (_bar if sys.stderr.isatty() else _plain)(items, total, label)


def without_progress(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield `items` and show nothing; takes what `with_progress` takes."""
    del total, label
    return iter(items)
