"""The report that the daemon keeps current: made by a process of its own, now and then.

What draws it takes 100 MB, which the daemon never loads.  A report that cannot be made is a
warning and nothing else: photos, passes and copies go on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from typing import IO, TYPE_CHECKING

from hotpixeld.errors import said
from hotpixeld.messages import plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.config.model import Config

log = logging.getLogger(__name__)

REPORT_SECONDS = 300.0
"""The report is made at most so often."""
BUSY_SECONDS = 3600.0
"""While there is work, only so often: soon there will be more to tell."""
MOST_SECONDS = 600.0
"""A process that takes longer is ended."""
LOOK_SECONDS = 1.0
"""How often to look whether it is done."""


class ReportProcess:
    """Makes the report of a state when there is news; owned by the loop.

    Parameters
    ----------
    state : Path
        The state folder.
    cache : Path
        Folder for what the drawing library keeps, such as a list of fonts.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, state: Path, cache: Path, clock: Callable[[], float]) -> None:
        self._state = state
        self._cache = cache
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._complaint: IO[bytes] | None = None
        self._begun = float("-inf")
        self._told: tuple[Path | None, object] | None = None
        self._waits = False
        self._fault = ""

    @property
    def is_under_way(self) -> bool:
        """Return whether a report is being made."""
        return self._process is not None

    def tick(self, config: Config, news: object, *, busy: bool) -> None:
        """Begin a report if one is due, and see to the one under way.

        Parameters
        ----------
        config : Config
            Says where the report goes, if there is to be one.
        news : object
            Differs when there is something new to tell.
        busy : bool
            There is work that will change what is told.
        """
        if self._process is not None:
            self._look()
        to_tell = config.report, news
        self._waits = config.report is not None and to_tell != self._told
        pause = BUSY_SECONDS if busy else REPORT_SECONDS
        if self._told is None or self._told[0] != config.report:
            pause = 0.0
        is_early = self._clock() < self._begun + pause
        if self._waits and not is_early and self._process is None:
            self._told, self._waits = to_tell, False
            self._begin(config)

    def next_deadline(self) -> float | None:
        """Return by the clock when to call `tick` again, None if it need not be."""
        if self._process is not None:
            return self._clock() + LOOK_SECONDS
        return self._begun + REPORT_SECONDS if self._waits else None

    def stop(self) -> None:
        """End what is under way; the report stays as it was."""
        if self._process is not None:
            self._process.kill()
            # One that hangs in a dead server's folder ends when that answers.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LOOK_SECONDS)
            self._ended()

    def _begin(self, config: Config) -> None:
        """Start the process; files, not pipes, so that nobody waits for the other."""
        self._begun = self._clock()
        # -P: nothing that lies in the working directory is imported.
        program = (sys.executable, "-P", "-m", "hotpixeld.report.writing")
        try:
            self._complaint = tempfile.TemporaryFile()  # noqa: SIM115 - read at its end
            with tempfile.TemporaryFile() as given:
                given.write(pickle.dumps(config))
                given.seek(0)
                self._process = subprocess.Popen(  # noqa: S603 - our own module
                    [*program, str(self._state), str(config.report)],
                    stdin=given,
                    stdout=subprocess.DEVNULL,
                    stderr=self._complaint,
                    env={**os.environ, "MPLCONFIGDIR": str(self._cache)},
                )
        except OSError as error:
            self._ended()
            self._warn(said(error))

    def _look(self) -> None:
        """See whether the process is done, and how."""
        if self._process is None:
            return
        code = self._process.poll()
        if code is None:
            if self._clock() > self._begun + MOST_SECONDS:
                self.stop()
                self._warn(f"it took longer than {MOST_SECONDS:.0f} s")
            return
        complaint = self._ended()
        if code:
            self._warn(complaint or f"its process ended with {code}")
        elif self._fault:
            self._fault = ""
            log.info("the report is made again")

    def _ended(self) -> str:
        """Return the last line that the process wrote; nothing is under way any more."""
        self._process, file = None, self._complaint
        self._complaint = None
        if file is None:
            return ""
        with file:
            file.seek(0)
            lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _warn(self, fault: str) -> None:
        """Say once why there is no new report."""
        if fault != self._fault:
            self._fault = fault
            log.warning("the report is not made: %s", plain(fault))
