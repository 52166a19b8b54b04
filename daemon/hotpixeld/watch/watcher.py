"""The watcher: hints of new photos in a set of folders, whatever happens to them.

Events carry the news, but are only hints; what they miss, a walk of the folder finds: at
the start, at intervals, and whenever something may have been lost.  A folder that cannot
be watched by events is walked every minute; one that is not there is offline until it is.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from hotpixeld.messages import MessageId
from hotpixeld.watch.events import EventKind, Events
from hotpixeld.watch.survey import (
    Findings,
    Ground,
    Hint,
    ImportFolder,
    MountTable,
    Survey,
)
from hotpixeld.watch.walk import identity
from hotpixeld.watch.watched_folder import Pace, WatchedFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hotpixeld.watch.walk import Closed

_log = logging.getLogger(__name__)


class _Event(NamedTuple):
    watched: WatchedFolder
    kind: EventKind
    relative: str


class _Surveyed(NamedTuple):
    watched: WatchedFolder
    parts: tuple[str, ...]
    findings: Findings


class _Lost(NamedTuple):
    """The kernel dropped events."""


class Watcher:
    """Watches folders; one thread owns it, and is woken when `tick` has something to do.

    Parameters
    ----------
    folders : sequence of ImportFolder
    wake : callable
        Called from other threads; must be quick and never raise.
    clock : callable
        Seconds of a monotonic clock, the one that `tick` is given.
    canary : Path, optional
        A file that may be written, in a folder for it alone (which is made): its event
        must come back, or the observer is dead.
    wall : callable
        Seconds since the epoch.
    pace : Pace, optional
    """

    def __init__(
        self,
        folders: Sequence[ImportFolder],
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        canary: Path | None = None,
        wall: Callable[[], float] = time.time,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._folders = [WatchedFolder(folder, self._pace) for folder in folders]
        self._wake = wake
        self._clock = clock
        self._canary = canary
        self._wall = wall
        self._events: Events | None = None
        self._table = MountTable()
        self._news: queue.SimpleQueue[_Event | _Surveyed | _Lost] = queue.SimpleQueue()
        self._batches: queue.Queue[list[Hint]] = queue.Queue(maxsize=4)
        self._stopping = threading.Event()
        self._check_due = 0.0
        self._canary_due = 0.0
        self._is_canary_written = False

    def start(self) -> None:
        """Watch, then begin to walk; returns when all folders that answer are watched."""
        now = self._clock()
        self._check_due = now + self._pace.check
        self._open_events(now)
        attached = [self._survey(watched, now) for watched in self._folders]
        for event in attached:
            event.wait(max(0.0, now + self._pace.start - self._clock()))

    def stop(self) -> None:
        """Stop watching; a survey that hangs is left behind."""
        self._stopping.set()
        if self._events is not None:
            self._events.stop()
        self._table.close()

    def tick(self, now: float) -> list[Hint]:
        """Do what is due, and return the hints that came since the last call."""
        hints: list[Hint] = []
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self._news.get_nowait(), hints, now)
        with contextlib.suppress(queue.Empty):
            while True:
                hints += self._batches.get_nowait()
        if now >= self._check_due:
            self._check_due = now + self._pace.check
            self._check(now)
        for watched in self._folders:
            if not watched.is_surveying and watched.next_survey() <= now:
                self._survey(watched, now)
        return hints

    def next_deadline(self, now: float) -> float:
        """Return when `tick` has something to do, if nothing wakes its caller before."""
        surveys = (
            watched.next_survey()
            for watched in self._folders
            if not watched.is_surveying
        )
        return max(now, min([self._check_due, *surveys]))

    def faults(self) -> list[str]:
        """Return what is wrong with the folders, in plain words, for the status."""
        return [fault for watched in self._folders for fault in watched.faults()]

    def closed(self) -> list[Closed]:
        """Return every place in the folders that is not looked at, for the ledger."""
        return [place for watched in self._folders for place in watched.closed()]

    def unknown(self) -> set[Path]:
        """Return the folders that no look has come back from yet."""
        return {
            watched.folder.path
            for watched in self._folders
            if watched.ground is None and not watched.offline
        }

    # News

    def _take(
        self, news: _Event | _Surveyed | _Lost, hints: list[Hint], now: float
    ) -> None:
        match news:
            case _Event(watched, kind, relative):
                if kind is EventKind.FILE:
                    path = watched.folder.path / relative
                    hints.append(Hint(path.parent, path.name, watched.folder))
                elif kind is EventKind.FOLDER:
                    watched.note_folder(relative, now)
                else:
                    watched.renew(now)
            case _Surveyed(watched, parts, findings):
                watched.judge(findings, parts, now)
            case _Lost():
                _log.warning(
                    "events were lost (the kernel's queue overflowed):"
                    " all watched folders are walked",
                    extra={"MESSAGE_ID": MessageId.EVENTS_LOST},
                )
                self._note_loss(now)

    def _note_loss(self, now: float) -> None:
        for watched in self._folders:
            if not watched.is_polled:
                watched.note_loss(now)

    def _post(self, news: _Event | _Surveyed | _Lost) -> None:
        self._news.put(news)
        self._wake()

    # Surveys

    def _survey(self, watched: WatchedFolder, now: float) -> threading.Event:
        """Start a survey of what is due; return what is set once the folder is watched."""
        attached = threading.Event()
        survey = Survey(
            folder=watched.folder,
            before=watched.ground,
            events=self._events,
            renew=watched.take_renewal(now),
            wanted=watched.wants_events,
            parts=watched.take_parts(now),
            sink=lambda kind, relative: self._post(_Event(watched, kind, relative)),
            deliver=self._deliver,
            attached=attached.set,
            wall=self._wall,
        )
        watched.is_surveying = True
        name = f"survey {watched.folder.path.name}"
        run = partial(self._run, survey, watched)
        threading.Thread(target=run, name=name, daemon=True).start()
        return attached

    def _run(self, survey: Survey, watched: WatchedFolder) -> None:
        findings = Findings(offline="the survey failed, see the log")
        try:
            findings = survey.run()
        finally:
            self._post(_Surveyed(watched, survey.parts, findings))

    def _deliver(self, hints: list[Hint]) -> bool:
        """Hand hints to the owner, who may take long; return whether to go on."""
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Full):
                self._batches.put(hints, timeout=0.5)
                self._wake()
                return True
        return False

    # Checks

    def _open_events(self, now: float) -> None:
        self._is_canary_written, self._canary_due = False, now + self._pace.canary
        try:
            self._events = Events(lambda: self._post(_Lost()), self._canary)
        except OSError as error:  # each folder says that it is walked instead
            _log.debug("no inotify: %s", error)
            self._events, self._canary_due = None, now + self._pace.retry

    def _check(self, now: float) -> None:
        if self._events is None:
            if now >= self._canary_due:
                self._open_events(now)
        elif self._is_dead(self._events, now):
            self._replace(self._events, now)
        has_remounted = self._table.has_changed()
        for watched in self._folders:
            if has_remounted and (watched.is_surveying or watched.offline):
                watched.note_loss(now)
            elif self._events is not None and watched.is_watched:
                self._check_folder(
                    watched, self._events, now, has_remounted=has_remounted
                )

    def _is_dead(self, events: Events, now: float) -> bool:
        """Return whether events stopped coming; write the canary now and then."""
        if self._is_canary_written:
            self._is_canary_written = False
            return not events.canary_came
        if now >= self._canary_due:
            self._canary_due, self._is_canary_written = now + self._pace.canary, True
            events.write_canary()
        return not events.is_alive()

    def _replace(self, events: Events, now: float) -> None:
        _log.error(
            "the observer died: it is replaced, and all watched folders are walked",
            extra={"MESSAGE_ID": MessageId.EVENTS_LOST},
        )
        events.stop(timeout=1.0)
        self._open_events(now)
        self._note_loss(now)

    def _check_folder(
        self, watched: WatchedFolder, events: Events, now: float, *, has_remounted: bool
    ) -> None:
        """Look whether the folder is still the one that is watched."""
        if (before := watched.ground) is None:
            return
        try:
            is_same = identity(watched.folder.path) == before.identity
            if has_remounted:
                is_same = is_same and Ground.of(watched.folder.path) == before
        except OSError:
            is_same = False
        if not is_same or not events.is_alive(before.real):
            watched.note_loss(now)
        elif has_remounted and before.identity not in events.kernel_watches():
            watched.renew(now)
        elif has_remounted and len(before.mounts) > 1:
            watched.note_loss(now)
