"""Workers: threads that work beside their owner, and a check whether each of them makes progress.

The service manager must hear of real progress only.  Decoding one photo may take long, and
so may reading it from a slow disk; a thread that makes progress at either uses processor
time, one that hangs does not.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

LOOK_SECONDS = 0.5
"""How often all workers are checked while one is waited for."""
TASK_SECONDS = 900.0
"""A worker still busy with one photo after so long counts as hung."""


def to_nobody() -> None:
    """Report progress to nobody."""


@dataclass(slots=True)
class Task:
    """What one worker is doing.

    Attributes
    ----------
    began : float
        Monotonic seconds.
    clock : int
        Of the processor time of the worker's thread, for `clock_gettime`.
    used : int
        That time at the last look, in nanoseconds.
    """

    began: float
    clock: int
    used: int

    def progressed(self, now: float) -> bool:
        """Return whether the worker did anything since the last check."""
        used = time.clock_gettime_ns(self.clock)
        has_moved, self.used = used != self.used, used
        return has_moved and now - self.began < TASK_SECONDS


class Workers:
    """Threads of one owner, who alone calls what is public here.

    `count` and `progress` are attributes, too.

    Parameters
    ----------
    count : int
        Threads; each is started when it is first needed.
    progress : callable
        Called every now and then while the owner waits, as long as every worker that has
        something to do makes progress.
    """

    def __init__(self, count: int, progress: Callable[[], None]) -> None:
        self.count = count
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")
        self.progress = progress
        self._tasks: dict[int, Task] = {}

    def submit(
        self,
        work: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """Let a worker do ``work(...)`` when one is free."""
        return self._threads.submit(self._run, partial(work, *args, **kwargs))

    def _run(self, work: Callable[[], Result]) -> Result:
        own = threading.get_ident()
        clock = time.pthread_getcpuclockid(own)
        used = time.clock_gettime_ns(clock)
        self._tasks[own] = Task(time.monotonic(), clock, used)
        try:
            return work()
        finally:
            del self._tasks[own]

    def renew(self) -> None:
        """Begin the time that one step may take anew; called by the worker itself."""
        if task := self._tasks.get(threading.get_ident()):
            task.began = time.monotonic()

    def result(self, future: Future[Result]) -> Result:
        """Return a worker's result; meanwhile check that all make progress.

        Raises
        ------
        Exception
            What the work raised.
        """
        self.wait(future)
        return future.result()

    def wait(self, future: Future[Any]) -> None:
        """Wait until a worker is done, well or not; meanwhile check that all progress."""
        while not wait([future], timeout=LOOK_SECONDS).done:
            if self._tasks and self.all_progressed():
                self.progress()

    def all_progressed(self) -> bool:
        """Return whether each worker that is busy made progress since the last check."""
        now = time.monotonic()
        checks = [task.progressed(now) for task in list(self._tasks.values())]
        return all(checks)  # after every one was checked, whatever the others do

    def close(self) -> None:
        """End, after all that was submitted: an admitted photo has yet to be kept."""
        self._threads.shutdown()
