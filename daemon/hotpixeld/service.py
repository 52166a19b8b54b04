"""The daemon: one loop that waits for photos, works them off, and keeps its promises.

Signal handlers only put a word into a queue; the loop takes it out and acts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import time
from typing import TYPE_CHECKING

from hotpixeld.errors import ConfigError, LedgerError
from hotpixeld.intake import Intake
from hotpixeld.messages import MessageId, plain
from hotpixeld.publisher import Publisher
from hotpixeld.session import Session
from hotpixeld.systemd import Notifier
from hotpixeld.watch import WatchedFolder, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hotpixeld.config import Config

log = logging.getLogger(__name__)

REPAIR_CHUNK = 8
"""Earlier photos looked at again in one go, while there is nothing new."""
PAUSE_SECONDS = 30.0
"""How long to wait before a full or faulty disk is tried again."""
RETRY_COPIES_SECONDS = 300.0
"""How often copies that could not be written are tried again."""


@contextlib.contextmanager
def handling(words: queue.SimpleQueue[str]) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into "stop", SIGHUP into "reload", while the block runs."""
    meaning = {
        signal.SIGTERM: "stop",
        signal.SIGINT: "stop",
        signal.SIGHUP: "reload",
    }
    before = {
        number: signal.signal(
            number, lambda got, _frame: words.put(meaning[signal.Signals(got)])
        )
        for number in meaning
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Service:
    """The running daemon; owned by one thread.

    Parameters
    ----------
    configuration : callable
        Loads the configuration, again at each reload; raises ConfigError.
    session : Session
    words : SimpleQueue
        "stop", "reload", or "" to look around.
    notifier : Notifier
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        configuration: Callable[[], Config],
        session: Session,
        words: queue.SimpleQueue[str],
        notifier: Notifier,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configuration = configuration
        self._session = session
        self._words = words
        self._notifier = notifier
        self._clock = clock
        self._intake = Intake(session)
        self._repairs: list[tuple[Path, str]] = []
        self._repairs_due = 0.0
        self._maps_seen = -1
        self._paused_until: float | None = None
        self._fault = ""
        self._last = ""
        self._stopping = self._reload_wanted = False
        self._publisher = Publisher(session.folder)
        self._watcher = self._watch(session.config)

    def _watch(self, config: Config) -> Watcher:
        outputs = tuple(folder.repaired for folder in config.folders)
        watched = [
            WatchedFolder(folder.path, folder.settle_seconds, outputs)
            for folder in config.folders
        ]
        canary = self._publisher.folder / f"canary-{os.getpid()}" / "canary"
        watcher = Watcher(
            watched, lambda: self._words.put(""), self._clock, canary=canary
        )
        watcher.start()
        return watcher

    def run(self) -> None:
        """Work until told to stop, then take a last checkpoint.

        Raises
        ------
        HotpixeldError, OSError
            The state cannot be used any more.
        """
        again = self._session.states.recover()
        if again:
            log.info("folded again after an unclean stop: %d photos", again)
        self._notifier.ready()
        log.info("watching %d folders", len(self._session.config.folders))
        while not self._stopping:
            self._step()
        self._stop()

    def _step(self) -> None:
        """Do what there is to do, then wait for the next."""
        if self._reload_wanted:
            self._reload()
        now = self._clock()
        self._notifier.watchdog()
        self._intake.note(self._watcher.tick(now), now)
        if self._paused_until is None or now >= self._paused_until:
            with self._pausing():
                self._work()
        self._publish()
        self._listen(self._wait())

    def _work(self) -> None:
        """Take new photos, or with none waiting, look at an earlier one again."""
        if self._fault:
            self._resume()
        if self._intake.backlog:
            self._take()
        self._session.keep_up()
        if self._maps_seen != self._session.maps.made:
            self._maps_seen = self._session.maps.made
            self._repairs = self._session.unrepaired()
        if not self._intake.backlog and self._repairs:
            self._repair()
        if not self._repairs and self._clock() >= self._repairs_due:
            self._repairs_due = self._clock() + RETRY_COPIES_SECONDS
            self._repairs = self._session.unrepaired()

    def _take(self) -> None:
        """Take a chunk of new photos to their outcomes."""
        with contextlib.closing(self._session.take(self._intake.chunk())) as under_way:
            for done in under_way:
                self._last = f"{done.outcome} {done.path.name}"
                self._intake.settle(done, self._clock())
                self._listen(0.0)
                if self._stopping:
                    return

    def _repair(self) -> None:
        chunk, self._repairs = (
            self._repairs[:REPAIR_CHUNK],
            self._repairs[REPAIR_CHUNK:],
        )
        with contextlib.closing(self._session.repair(chunk)) as under_way:
            for _ in under_way:
                self._listen(0.0)
                if self._stopping:
                    return

    @contextlib.contextmanager
    def _pausing(self) -> Iterator[None]:
        """Pause when the disk is full or faulty: nothing is lost, it is tried again."""
        try:
            yield
        except (OSError, LedgerError) as error:
            if not self._fault:
                log.error(  # noqa: TRY400 - one line; the disk is at fault, not the code
                    "paused, tried again every %.0f s: %s",
                    PAUSE_SECONDS,
                    error,
                    extra={"MESSAGE_ID": MessageId.DISK_FULL},
                )
            self._fault = str(error)
            self._paused_until = self._clock() + PAUSE_SECONDS

    def _resume(self) -> None:
        """Go on from what is durable: a failed commit may or may not have been one."""
        self._session.reset()
        log.warning("resumed", extra={"MESSAGE_ID": MessageId.DISK_RESUMED})
        self._fault, self._paused_until = "", None

    def _wait(self) -> float:
        """Return how many seconds there is nothing to do."""
        now = self._clock()
        if self._intake.backlog or self._repairs:
            return 0.0 if not self._fault else max((self._paused_until or now) - now, 0)
        deadlines = [
            self._watcher.next_deadline(now),
            self._intake.next_deadline(now),
            self._session.states.next_deadline(),
            self._repairs_due,
        ]
        if period := self._notifier.watchdog_period:
            deadlines.append(now + period)
        known = [deadline for deadline in deadlines if deadline is not None]
        return max(min(known) - now, 0.0)

    def _listen(self, seconds: float) -> None:
        """Wait for a word at most so long, and act on all that have come."""
        with contextlib.suppress(queue.Empty):
            word = self._words.get(block=seconds > 0, timeout=seconds)
            while True:
                self._stopping |= word == "stop"
                self._reload_wanted |= word == "reload"
                word = self._words.get_nowait()

    def _reload(self) -> None:
        """Use the configuration as it is now; a faulty one changes nothing."""
        self._reload_wanted = False
        self._notifier.reloading()
        try:
            config = self._configuration()
            with self._pausing():
                self._session.reconfigure(config)
                self._watcher.stop()
                self._watcher = self._watch(config)
                self._repairs = self._session.unrepaired()
                log.info("reloaded: watching %d folders", len(config.folders))
        except ConfigError as error:
            for problem in error.problems:
                log.error(  # noqa: TRY400 - the fault is the file's, not the code's
                    "configuration refused, the former one holds: %s",
                    plain(problem),
                    extra={"MESSAGE_ID": MessageId.CONFIGURATION_REFUSED},
                )
        self._notifier.ready()

    def _publish(self) -> None:
        """Tell systemd and `status` how things are."""
        waiting = len(self._intake)
        faults = [*self._watcher.faults(), *([self._fault] if self._fault else [])]
        text = f"{len(self._session.config.folders)} folders, {waiting} photos waiting"
        if self._repairs:
            text += f", {len(self._repairs)} to look at again"
        if self._last:
            text += f", last: {self._last}"
        text = plain("; ".join([text, *faults]))
        if self._publisher.text != text:
            self._notifier.status(text)
        busy = bool(self._intake.backlog or self._repairs)
        self._publisher.publish(self._session.ledger, text, faults, busy=busy)

    def _stop(self) -> None:
        """Take the last checkpoint; what it does not hold is pending, not lost."""
        self._notifier.stopping()
        self._watcher.stop()
        try:
            self._session.states.save_all()
        except (OSError, LedgerError):
            log.exception("no last checkpoint: pending photos are folded again")
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
    words: queue.SimpleQueue[str] = queue.SimpleQueue()
    notifier = Notifier()
    with (
        handling(words),
        Session(
            configuration(), folder, jobs, time.monotonic, notifier.watchdog
        ) as session,
    ):
        Service(configuration, session, words, notifier).run()
