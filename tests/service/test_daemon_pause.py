"""The pause of a daemon whose disk is full: logged once, until it works again."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import pytest

from hotpixeld.config.load import for_folders
from hotpixeld.engine.session import Session
from hotpixeld.errors import CheckpointError, LedgerError
from hotpixeld.messages import EventKind
from hotpixeld.service.daemon import PAUSE_SECONDS, STOP, Pause, Service
from hotpixeld.service.systemd import Notifier
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_fault_is_logged_once_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    pause = Pause(lambda: now)
    pause.end()
    for fault in (OSError(28, "No space left on device"), LedgerError("disk is full")):
        with pause.guarding():
            raise fault
    assert pause.rests()
    now += PAUSE_SECONDS
    assert not pause.rests()
    assert pause.fault == "disk is full"
    pause.end()
    pause.end()

    full = "No space left on device: free some space there, or name a folder on another"
    assert pause.fault == ""
    assert [one.getMessage() for one in caplog.records] == [
        f"paused, tried again every 30 s: {full} disk",
        "resumed",
    ]


def test_what_is_not_the_disks_fault_goes_through() -> None:
    pause = Pause(lambda: 0.0)
    with pytest.raises(CheckpointError), pause.guarding():
        raise CheckpointError("damaged")

    assert pause.fault == ""


class Requests(queue.SimpleQueue[str]):
    """Ends the daemon when it waits for the first time."""

    def __init__(self) -> None:
        self.waited: list[float | None] = []

    def get(self, block: bool = True, timeout: float | None = None) -> str:
        self.waited.append(timeout if block else 0)
        return STOP

    def get_nowait(self) -> str:
        raise queue.Empty


def test_a_paused_daemon_does_not_wake_for_a_pass_that_waits_for_more_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    config, requests, notifier = for_folders([folder]), Requests(), Notifier()
    with Session(config, tmp_path / "state", 1, notifier.progress) as session:

        def fail(*, coming: bool) -> None:
            session.learning.waits = not coming
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(session.learning, "keep_up", fail)
        Service(lambda: config, session, requests, notifier).run()

    (waited,) = requests.waited
    assert waited is not None
    assert waited > 1


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def told(ledger: Ledger) -> list[EventKind]:
    return [event.kind for event in ledger.events.after(0)]


def fail(pause: Pause) -> None:
    with pause.guarding():
        raise LedgerError("disk is full")


def test_a_pause_and_its_end_are_events_once_each(ledger: Ledger) -> None:
    pause = Pause(lambda: 0.0)
    pause.tell(ledger)
    for _ in range(2):
        fail(pause)
        pause.tell(ledger)
    assert told(ledger) == [EventKind.DISK_FULL]
    for _ in range(2):
        pause.end()
        pause.tell(ledger)

    assert told(ledger) == [EventKind.DISK_FULL, EventKind.DISK_RESUMED]


def test_a_pause_that_the_ledger_cannot_hold_is_kept_for_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = Pause(lambda: 0.0)
    fail(pause)
    with monkeypatch.context() as patch:

        def refuse(*, durable: bool) -> None:
            del durable
            raise LedgerError("disk is full")

        patch.setattr(ledger, "transaction", refuse)
        for _ in range(2):
            with pytest.raises(LedgerError):
                pause.tell(ledger)
    untold = pause.untold
    pause.end()
    pause.tell(ledger)
    full, resumed = ledger.events.after(0)

    assert untold is not None
    assert full.id == untold.id
    assert full.kind is EventKind.DISK_FULL
    assert resumed.kind is EventKind.DISK_RESUMED
    assert pause.untold is None


def test_a_daemon_that_was_killed_in_a_pause_has_its_end_told(ledger: Ledger) -> None:
    killed = Pause(lambda: 0.0)
    fail(killed)
    killed.tell(ledger)
    pause = Pause(lambda: 0.0)
    fail(pause)  # still full
    pause.tell(ledger)
    assert told(ledger) == [EventKind.DISK_FULL]
    pause.end()
    pause.tell(ledger)

    assert told(ledger) == [EventKind.DISK_FULL, EventKind.DISK_RESUMED]
