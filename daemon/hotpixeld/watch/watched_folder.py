"""One watched folder over time: when to survey it, and what the findings mean.

Pure but for the log: the clock is passed in.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotpixeld.messages import MessageId, plain
from hotpixeld.watch.walk import Closed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hotpixeld.watch.survey import Findings, Ground, ImportFolder

_log = logging.getLogger(__name__)

ALL = ""
"""The relative path of the watched folder itself."""

_LARGEST_SHARE = 0.1  # of the time may be spent walking one folder
_FAULTS_SHOWN = 3
_LIMIT = (
    "not all of it can be watched, so it is walked every %g s instead: raise the limit"
    " fs.inotify.max_user_watches (or max_user_instances) with sysctl"
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often each thing is looked at, in seconds.

    Attributes
    ----------
    walk : float
        A folder with events is walked again.
    poll : float
        A folder without events is walked again.
    check : float
        Roots and threads are checked, an offline folder is tried; also how long the
        canary's event may take.
    canary : float
        The canary is written: see `events`.
    retry : float
        A folder that could not be watched, for a limit, is tried again.
    start : float
        How long the start waits for folders that do not answer.
    """

    walk: float = 900.0
    poll: float = 60.0
    check: float = 10.0
    canary: float = 60.0
    retry: float = 3600.0
    start: float = 5.0


class WatchedFolder:
    """A watched folder, and what became of it; one owner, no locks.

    Attributes
    ----------
    folder : ImportFolder
    ground : Ground or None
        What it led to when it was last there.
    offline : str
        Why it is offline, else empty.
    is_surveying : bool
        A survey is under way; there is never more than one.
    wants_events : bool
        The survey under way, or the last one, tried to watch it by events.
    """

    def __init__(self, folder: ImportFolder, pace: Pace) -> None:
        self.folder = folder
        self.ground: Ground | None = None
        self.offline = ""
        self.is_surveying = False
        self.wants_events = True
        self._pace = pace
        self._path = plain(folder.path)
        self._due = 0.0  # when all of it is to be walked
        self._walks: set[tuple[float, str]] = set()  # when, and folders in it
        self._parts_after = 0.0  # when folders in it may be walked again
        self._silent = ""
        self._limited_until: float | None = None
        self._was_limit_logged = False
        self._renew = False
        self._was_renewed = False
        self._unwatched: dict[str, float] = {}  # folders in it, and since when
        self._faults: tuple[Closed, ...] = ()
        self._links: tuple[Closed, ...] = ()

    @property
    def is_polled(self) -> bool:
        """Return whether it is known to have no events."""
        return bool(self._silent) or self._limited_until is not None

    @property
    def is_watched(self) -> bool:
        """Return whether events carry its news."""
        return self.ground is not None and not self.offline and not self.is_polled

    # What is due

    def note_folder(self, relative: str, now: float) -> None:
        """Note a new folder in it: walk it after the quiet time.

        What was written to it before it was watched raised no event; by then it is still
        and needs no more waiting.
        """
        due = max(now + self.folder.settle_seconds, self._parts_after)
        self._walks.add((due, relative))

    def note_loss(self, now: float) -> None:
        """Note that anything may have happened: walk all of it, and once more."""
        self._due = now
        self._walks.add((now + max(self.folder.settle_seconds, 1.0), ALL))

    def renew(self, now: float) -> None:
        """Watch it anew, and walk all of it."""
        self._renew = True
        self.note_loss(now)

    def next_survey(self) -> float:
        """Return when the next survey is due."""
        return min([self._due, *(due for due, _ in self._walks)])

    def take_parts(self, now: float) -> tuple[str, ...]:
        """Return, and forget, the folders that are due; none that lies in another."""
        parts = {part for due, part in self._walks if due <= now}
        self._walks = {(due, part) for due, part in self._walks if due > now}
        if now >= self._due or ALL in parts:
            self._due = math.inf  # until it is judged
            return (ALL,)
        outer: list[str] = []
        for part in sorted(parts, key=lambda part: part.split("/")):
            if not outer or not f"{part}/".startswith(f"{outer[-1]}/"):
                outer.append(part)
        return tuple(outer)

    def take_renewal(self, now: float) -> bool:
        """Return, and forget, whether to watch it anew; decide on `wants_events`."""
        self.wants_events = self._limited_until is None or now >= self._limited_until
        renew, self._renew = self._renew, False
        return renew

    # What was found

    def judge(self, findings: Findings, parts: tuple[str, ...], now: float) -> None:
        """Take in what a survey of `parts` found, and say it in the log if it is news."""
        self.is_surveying = False
        if findings.ground is None:
            self._go_offline(findings.offline, now)
            return
        self._come_online()
        self._note_silence(findings.silent)
        self.ground = findings.ground
        rest = findings.seconds / _LARGEST_SHARE
        self._parts_after = now + rest
        if findings.limit is not None:
            self._give_up_events(now)
        if ALL in parts:
            self._judge_whole(findings, rest, now)
        elif findings.is_renewed or findings.unwatched:
            self.note_loss(now)

    def _judge_whole(self, findings: Findings, rest: float, now: float) -> None:
        self._note_faults(findings.faults)
        self._links = tuple(findings.links)
        if self.wants_events and not findings.silent and findings.limit is None:
            self._judge_watches(findings.unwatched, now)
        interval = self._pace.poll if self.is_polled else self._pace.walk
        self._due = min(self._due, now + max(interval, rest))

    def _go_offline(self, reason: str, now: float) -> None:
        wait = self._pace.poll if self._silent else self._pace.check
        self._walks, self._due = set(), now + wait
        self._unwatched = {}
        if not self.offline:
            _log.warning(
                "%s: offline: %s; looking again every %g s",
                self._path,
                reason,
                wait,
                extra={"MESSAGE_ID": MessageId.FOLDER_OFFLINE},
            )
        self.offline = reason

    def _come_online(self) -> None:
        if self.offline:
            self.offline = ""
            _log.info(
                "%s: is there again",
                self._path,
                extra={"MESSAGE_ID": MessageId.FOLDER_ONLINE},
            )

    def _note_silence(self, silent: str) -> None:
        if silent and silent != self._silent:
            _log.info(
                "%s: no events come from %s, so it is walked every %g s",
                self._path,
                silent,
                self._pace.poll,
                extra={"MESSAGE_ID": MessageId.FOLDER_POLLED},
            )
        self._silent = silent

    def _note_faults(self, faults: Iterable[Closed]) -> None:
        faults = tuple(faults)
        news = [fault for fault in faults if fault not in self._faults]
        for path, reason in news[:_FAULTS_SHOWN]:
            where = plain(path)
            _log.warning("%s: %s", where, reason)
        if (more := len(news) - _FAULTS_SHOWN) > 0:
            _log.warning(
                "%s: %d more like this: `hotpixeld status --problems` has all",
                *(self._path, more),
            )
        self._faults = faults

    def _judge_watches(self, unwatched: Iterable[str], now: float) -> None:
        """Decide what to do about folders without a watch.

        A folder may be so new that its watch is not there yet: look again.  Watches go
        with an unmounted file system: watch anew.  If it is neither, it is the limit.
        """
        quiet = max(self.folder.settle_seconds, 0.5)
        self._unwatched = {path: self._unwatched.get(path, now) for path in unwatched}
        if not self._unwatched:
            self._was_renewed = False
            self._end_limit()
        elif all(now - since < quiet for since in self._unwatched.values()):
            self._walks.add((now + quiet, ALL))
        elif self._was_renewed:
            self._give_up_events(now)
        else:
            self._was_renewed, self._unwatched = True, {}
            self.renew(now)

    def _give_up_events(self, now: float) -> None:
        self._limited_until = now + self._pace.retry
        self._unwatched = {}
        self._walks.add((now, ALL))  # that survey gives back the watches it has
        if not self._was_limit_logged:
            self._was_limit_logged = True
            _log.warning(
                f"%s: {_LIMIT}",
                self._path,
                self._pace.poll,
                extra={"MESSAGE_ID": MessageId.FOLDER_POLLED},
            )

    def _end_limit(self) -> None:
        if self._limited_until is not None:
            self._limited_until, self._was_limit_logged = None, False
            _log.info("%s: all of it is watched again", self._path)

    def faults(self) -> list[str]:
        """Return what is wrong with it, in plain words."""
        faults = []
        if self.offline:
            faults.append(f"{self._path}: offline: {self.offline}")
        if self._limited_until is not None:
            faults.append(f"{self._path}: {_LIMIT % self._pace.poll}")
        for path, reason in self._faults[:_FAULTS_SHOWN]:
            faults.append(f"{plain(path)}: {reason}")
        if (more := len(self._faults) - _FAULTS_SHOWN) > 0:
            faults.append(f"{self._path}: {more} more like this")
        return faults

    def closed(self) -> list[Closed]:
        """Return every place in it that is not looked at, itself first."""
        path = str(self.folder.path)
        own = [Closed(path, f"offline: {self.offline}")] if self.offline else []
        return [*own, *self._faults, *self._links]
