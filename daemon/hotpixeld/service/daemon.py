"""The daemon: one loop that takes new photos, then makes copies of earlier ones.

Signals and news become requests in a queue: the loop reads it between photos.  While a
disk is full or faulty the loop pauses, says so once, and tries again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import queue
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.engine.intake import Intake
from hotpixeld.engine.session import Session
from hotpixeld.errors import ConfigError, LedgerError, said
from hotpixeld.messages import EventKind, MessageId, counted, plain
from hotpixeld.service.report_process import ReportProcess
from hotpixeld.service.sandbox import Access
from hotpixeld.service.status_file import BEAT_SECONDS, Publisher
from hotpixeld.service.systemd import Notifier
from hotpixeld.store import state_folder
from hotpixeld.store.events import Event, new_id
from hotpixeld.watch.survey import ImportFolder
from hotpixeld.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hotpixeld.config.model import Config
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.watch.walk import Closed

log = logging.getLogger(__name__)

PAUSE_SECONDS = 30.0
"""How long to wait before a full or faulty disk is tried again."""
REPAIR_CHUNK = 8
"""Earlier photos whose copies are made in one go, while there is nothing new."""
POLL_SECONDS = 0.05
"""How often to ask whether a pass or a map is done."""
RETRY_COPIES_SECONDS = 300.0
"""How often copies that could not be written are tried again."""

STOP, RELOAD, WAKE = "stop", "reload", ""
"""The requests to the loop; WAKE only ends its waiting."""

_REQUESTS = {signal.SIGTERM: STOP, signal.SIGINT: STOP, signal.SIGHUP: RELOAD}


@contextlib.contextmanager
def signals_as_requests(requests: queue.SimpleQueue[str]) -> Iterator[None]:
    """Put STOP for SIGTERM and SIGINT, RELOAD for SIGHUP, while the block runs."""
    before = {
        number: signal.signal(
            number,
            lambda received, _frame: requests.put(_REQUESTS[signal.Signals(received)]),
        )
        for number in _REQUESTS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Pause:
    """Whether work rests because a disk failed, and why.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.

    Attributes
    ----------
    fault : str
        What failed; empty while all is well.
    until : float
        When to try again, by the clock.
    untold : Event or None
        That it began, as long as the ledger does not hold that: its disk is full, too.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.fault = ""
        self.until = 0.0
        self.untold: Event | None = None
        self._is_told: bool | None = (
            None  # whether the ledger holds a pause; None: unread
        )
        self._clock = clock

    def rests(self) -> bool:
        """Return whether it is too early to try again."""
        return bool(self.fault) and self._clock() < self.until

    @contextlib.contextmanager
    def guarding(self) -> Iterator[None]:
        """Rest if the disk fails in the block: nothing is lost, it is tried again."""
        try:
            yield
        except (OSError, LedgerError) as error:
            words = said(error) if isinstance(error, OSError) else str(error)
            if not self.fault:
                log.error(  # noqa: TRY400 - one line; the disk is at fault, not the code
                    "paused, tried again every %.0f s: %s",
                    PAUSE_SECONDS,
                    words,
                    extra={"MESSAGE_ID": MessageId.DISK_FULL},
                )
            self.fault = words
            self.until = self._clock() + PAUSE_SECONDS

    def end(self) -> None:
        """Log that work goes on: what had failed is done."""
        if self.fault:
            log.warning("resumed", extra={"MESSAGE_ID": MessageId.DISK_RESUMED})
            self.fault = ""

    def tell(self, ledger: Ledger) -> None:
        """Have the ledger hold that it began, and that it ended, once each.

        What it holds says what is told: so does a daemon that was killed meanwhile.  Where
        it cannot be written, `untold` is published with the status.
        """
        if self._is_told is None:
            last = ledger.events.last_of(EventKind.DISK_FULL, EventKind.DISK_RESUMED)
            self._is_told = last is not None and last.kind is EventKind.DISK_FULL
        if self._is_told == bool(self.fault) and self.untold is None:
            return
        if self.fault and self.untold is None:
            kind, words = EventKind.DISK_FULL, plain(f"paused: {self.fault}")
            about = {"reason": self.fault}
            self.untold = Event(0, new_id(), kind, time.time(), words, about)
        with ledger.transaction(durable=True):
            if self.untold is not None:
                ledger.events.keep(self.untold)
            if not self.fault:
                ledger.events.record(EventKind.DISK_RESUMED, "goes on after a pause")
        self.untold, self._is_told = None, bool(self.fault)


class Service:
    """The running daemon; owned by one thread.

    Parameters
    ----------
    configuration : callable
        Loads the configuration, again at each reload; raises ConfigError.
    session : Session
    requests : queue.SimpleQueue
        STOP, RELOAD and WAKE, from signals and from the watcher.
    notifier : Notifier
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        configuration: Callable[[], Config],
        session: Session,
        requests: queue.SimpleQueue[str],
        notifier: Notifier,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configuration = configuration
        self._session = session
        self._requests = requests
        self._notifier = notifier
        self._clock = clock
        self._intake = Intake(session)
        self._copies_due: list[tuple[Path, str]] = []
        self._is_tidied = not session.config.copies.tidy
        self._next_retry = 0.0
        self._maps_seen = -1
        self._pause = Pause(clock)
        self._refusal = self._last_photo = ""
        self._hinted: tuple[int, Event | None] = 0, None
        self._closed: list[Closed] | None = None  # as the ledger has it
        self._outputs_closed: list[Closed] = []
        self._was_woken = False
        self._stopping = self._reload_wanted = False
        self._publisher = Publisher(session.folder, clock)
        notifier.beat = self._publisher.beat
        self._canary = self._publisher.folder / "canary"
        cache = self._publisher.folder / "matplotlib"
        self._report = ReportProcess(session.folder, cache, clock)
        self._watcher = self._watch(session.config)
        self._access = Access(session.config, os.environ)

    def _watch(self, config: Config) -> Watcher:
        outputs = tuple(folder.repaired for folder in config.folders)
        folders = [
            ImportFolder(folder.path, folder.settle_seconds, outputs)
            for folder in config.folders
        ]
        watcher = Watcher(
            folders,
            lambda: self._requests.put(WAKE),
            self._clock,
            canary=self._canary / "canary",
        )
        watcher.start()
        return watcher

    def run(self) -> None:
        """Work until a STOP.

        Raises
        ------
        HotpixeldError, OSError
            The state cannot be used any more.
        """
        self._session.learning.keep_pending()
        self._check_access()
        with self._pause.guarding():
            self._copies_due = self._find_copies_due()
        self._publish()
        folders = len(self._session.config.folders)
        log.info("watching %s", counted(folders, "folder"))
        self._notifier.ready()
        while not self._stopping:
            self._step()
        self._stop()

    def _step(self) -> None:
        """Do what is due, then wait for the next request or deadline."""
        if self._reload_wanted and not self._pause.rests():
            self._reload()
        now, self._was_woken = self._clock(), False
        self._session.progress()
        self._intake.note(self._watcher.tick(now), now)
        self._publish()  # that it is busy, before what it does can be seen elsewhere
        if not self._pause.rests():
            with self._pause.guarding():
                self._work()
                self._pause.end()
            with contextlib.suppress(LedgerError):  # it is published instead
                self._pause.tell(self._session.ledger)
        self._publish()
        self._hint()
        self._keep_report()
        self._read_requests(self._idle_seconds())

    def _work(self) -> None:
        """Take new photos; when none wait, make copies of earlier ones."""
        if self._pause.fault:
            self._resume()
        if self._intake.backlog:
            self._take_photos()
        self._learn()
        if self._maps_seen != self._session.maps.made:
            self._maps_seen = self._session.maps.made
            self._copies_due = self._find_copies_due()
        if not self._intake.backlog and self._copies_due:
            self._make_copies()
        if not self._copies_due and not self._is_tidied:
            self._tidy_copies()
        if not self._copies_due and self._clock() >= self._next_retry:
            self._next_retry = self._clock() + RETRY_COPIES_SECONDS
            self._check_access()
            self._copies_due = self._find_copies_due()
        self._keep_closed()

    def _take_photos(self) -> None:
        """Take a chunk of new photos to their outcomes."""
        with contextlib.closing(self._session.take(self._intake.chunk())) as under_way:
            for done in under_way:
                self._last_photo = f"{done.outcome} {done.path.name}"
                self._intake.finish(done, self._clock())
                self._learn()
                self._read_requests(0.0)
                if self._stopping:
                    return

    def _learn(self) -> None:
        """Have passes and maps made that are due, if they need not wait for more photos."""
        coming = not self._intake.is_quiet(self._clock())
        self._session.learning.keep_up(coming=coming)

    def _find_copies_due(self) -> list[tuple[Path, str]]:
        """Return the photos whose copies are due and can be written."""
        due = self._session.unrepaired()
        self._outputs_closed = self._access.closed([path for path, _ in due])
        return [photo for photo in due if self._access.is_open(photo[0])]

    def _keep_closed(self) -> None:
        """Keep in the ledger which folders cannot be used, if that has changed."""
        faults = self._session.ledger.folder_faults
        closed = [*self._watcher.closed(), *self._outputs_closed]
        if unknown := self._watcher.unknown():  # what was said of it before still holds
            closed += [one for one in faults.all() if Path(one.path) in unknown]
        if closed != self._closed:
            with self._session.ledger.transaction():
                faults.replace(closed, self._session.config.places)
            self._closed = closed

    def _check_access(self) -> None:
        for fault in self._access.look():
            log.warning("%s", fault, extra={"MESSAGE_ID": MessageId.FOLDER_CLOSED})

    def _make_copies(self) -> None:
        chunk = self._copies_due[:REPAIR_CHUNK]
        del self._copies_due[:REPAIR_CHUNK]
        with contextlib.closing(self._session.repair(chunk)) as under_way:
            for _ in under_way:
                self._read_requests(0.0)
                if self._stopping:
                    return

    def _tidy_copies(self) -> None:
        """Remove copies at former places whose successors were there before."""
        with contextlib.closing(self._session.tidy_copies()) as under_way:
            for _ in under_way:
                self._read_requests(0.0)
                if self._stopping:
                    return
        self._is_tidied = True

    def _resume(self) -> None:
        """Go on from what is durable: a commit that failed may have been made or not."""
        self._session.reset()
        self._copies_due = self._find_copies_due()

    @property
    def _has_work(self) -> bool:
        waits = self._intake.backlog or self._copies_due
        return bool(waits) or not self._is_tidied

    def _idle_seconds(self) -> float:
        """Return for how long there will be nothing to do."""
        now = self._clock()
        if self._was_woken:  # a request came while photos were under way
            return 0.0
        if not self._pause.fault and self._has_work:
            return 0.0
        deadlines = [self._watcher.next_deadline(now), self._intake.next_deadline(now)]
        deadlines.append(self._report.next_deadline())
        if self._pause.fault:
            deadlines.append(self._pause.until)
        else:
            deadlines.append(self._next_retry)
            if (seconds := self._session.learning.schedule.next_deadline()) is not None:
                deadlines.append(now + seconds)
            if self._session.learning.waits:
                deadlines.append(self._intake.quiet_at)
        period = self._notifier.watchdog_period or BEAT_SECONDS
        deadlines.append(now + min(period, BEAT_SECONDS))
        if self._session.learning.is_busy:
            deadlines.append(now + POLL_SECONDS)
        known = [deadline for deadline in deadlines if deadline is not None]
        return max(min(known) - now, 0.0)

    def _read_requests(self, seconds: float) -> None:
        """Wait for a request at most so long, and note all that have come."""
        with contextlib.suppress(queue.Empty):
            request = self._requests.get(block=seconds > 0, timeout=seconds)
            while True:
                self._was_woken = True
                self._stopping |= request == STOP
                self._reload_wanted |= request == RELOAD
                request = self._requests.get_nowait()

    def _reload(self) -> None:
        """Use the configuration as it is now; a faulty one changes nothing."""
        self._notifier.reloading()
        try:
            config = self._configuration()
            self._refusal = ""
            with self._pause.guarding():
                self._session.reconfigure(config)
                self._watcher.stop()
                self._watcher = self._watch(config)
                self._access = Access(config, os.environ)
                self._check_access()
                self._copies_due = self._find_copies_due()
                self._is_tidied = not config.copies.tidy
                self._publish()  # that it is busy, before the line that may be waited for
                folders = counted(len(config.folders), "folder")
                log.info("reloaded: watching %s", folders)
                self._reload_wanted = False
        except ConfigError as error:
            self._reload_wanted = False
            self._refusal = f"configuration refused: {plain(error.problems[0])}"
            for problem in error.problems:
                log.error(  # noqa: TRY400 - the fault is the file's, not the code's
                    "configuration refused, the former one holds: %s",
                    plain(problem),
                    extra={"MESSAGE_ID": MessageId.CONFIGURATION_REFUSED},
                )
        self._notifier.ready()

    def _publish(self) -> None:
        """Report to systemd and in the status file how things are."""
        parts = [counted(len(self._session.config.folders), "folder")]
        parts.append(f"{counted(len(self._intake), 'photo')} waiting")
        if self._copies_due:
            parts.append(f"{len(self._copies_due)} to look at again")
        if self._last_photo:
            parts.append(f"last photo: {self._last_photo}")
        if self._session.maps.last:
            parts.append(f"last map: {self._session.maps.last}")
        faults = [*self._access.faults, *self._watcher.faults()]
        faults += [fault for fault in (self._refusal, self._pause.fault) if fault]
        text = plain("; ".join([", ".join(parts), *faults]))
        if self._publisher.text != text:
            self._notifier.status(text)
        untold = self._pause.untold
        self._publisher.publish(
            *(self._session, text, faults),
            busy=self._is_busy,
            untold=[json.loads(untold.line)] if untold else [],
        )

    @property
    def _is_busy(self) -> bool:
        learning = self._session.learning
        return self._has_work or learning.is_busy or learning.waits

    def _hint(self) -> None:
        """Have `notify` look, whose unit watches this file; it looks now and then anyway."""
        news = self._session.ledger.events.recorded, self._pause.untold
        if news != self._hinted:
            self._hinted = news
            with contextlib.suppress(OSError):
                state_folder.notify_due(self._session.folder).touch()

    def _keep_report(self) -> None:
        """Have the report made anew, if one is wanted and something happened."""
        session = self._session
        news = session.learning.commits, session.maps.made, self._last_photo
        self._report.tick(session.config, news, busy=self._is_busy)

    def _stop(self) -> None:
        """End: what is not folded yet is pending, and a pass under way is given up."""
        self._notifier.stopping("ending what is under way")
        self._watcher.stop()
        self._report.stop()
        self._session.learning.stop()
        if self._pause.fault:
            with contextlib.suppress(OSError, LedgerError):
                self._session.reset()
        self._publisher.withdraw()
        log.info("stopped")


def run(configuration: Callable[[], Config], folder: Path, jobs: int) -> None:
    """Run the daemon until SIGTERM or SIGINT.

    Parameters
    ----------
    configuration : callable
        Loads the configuration, again at each SIGHUP.
    folder : Path
        The state folder.
    jobs : int
        Photos worked on at once.

    Raises
    ------
    HotpixeldError, OSError
        The configuration or the state cannot be used.
    """
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    notifier = Notifier()
    # The watchdog ends a hung daemon with SIGABRT: the log then says where it hung.
    faulthandler.enable()
    with (
        signals_as_requests(requests),
        Session(configuration(), folder, jobs, notifier.progress) as session,
    ):
        Service(configuration, session, requests, notifier).run()
