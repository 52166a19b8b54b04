"""Long work shows itself: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as Work
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Item = TypeVar("Item")

PLAIN_SECONDS = 10.0
"""Seconds between two plain lines."""


class _Rate(TextColumn):
    """The number of photos per second, as far as they are done."""

    def render(self, task: Work) -> Text:
        """Return the rate, once there is one."""
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


def _bar(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(""),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)
        for item in items:
            yield item
            progress.advance(task)


def _plain(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    began = told = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - told >= PLAIN_SECONDS or done == total:
            told = now
            rate = done / max(now - began, 1e-3)
            left = (total - done) / rate
            line = f"{label}: {done} of {total}, {rate:.1f}/s, {left:.0f} s left\n"
            sys.stderr.write(line)
            sys.stderr.flush()


def shown(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield `items` and show how far they are, on standard error.

    Parameters
    ----------
    total : int
        How many there will be.
    label : str
        What is being done with them.
    """
    return (_bar if sys.stderr.isatty() else _plain)(items, total, label)
