"""Events are there if and only if what they tell is, in their order, and not for ever."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hotpixeld.messages import EventKind
from hotpixeld.store import events
from hotpixeld.store.events import Event
from hotpixeld.store.ledger import Ledger
from hotpixeld.watch.walk import Closed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def kinds(ledger: Ledger) -> list[str]:
    return [event.kind for event in ledger.events.after(0)]


def test_an_event_of_a_transaction_that_fails_never_was(ledger: Ledger) -> None:
    with contextlib.suppress(KeyError), ledger.transaction():
        ledger.paths.record(Path("/photos/1.jpg"), "failed", reason="empty")
        raise KeyError

    assert kinds(ledger) == []


def test_a_photo_that_fails_is_told_once_for_each_reason(ledger: Ledger) -> None:
    path = Path("/photos/\udcff\n1.jpg")
    for reason in ("empty", "empty", "truncated"):
        with ledger.transaction():
            ledger.paths.record(path, "failed", reason=reason)
    told = ledger.events.after(0)

    assert [event.about["reason"] for event in told] == ["empty", "truncated"]
    assert told[0].message == "/photos/\\xff\\x0a1.jpg: failed: empty"
    assert json.loads(told[0].line)["path"] == str(path)
    assert len({event.id for event in told}) == 2


def test_a_folder_is_told_when_it_goes_and_when_it_is_back(ledger: Ledger) -> None:
    card, disk, below = Path("/card"), Path("/disk"), Path("/disk/closed")
    gone = [Closed(str(card), "offline: it is not there"), Closed(str(below), "no")]
    for closed, watched in (
        ([], [card, disk]),
        (gone, [card, disk]),
        (gone, [card, disk]),
        ([], [card, disk]),
        (gone, [card]),
        ([], [disk]),  # the other one is not watched any more
    ):
        with ledger.transaction():
            ledger.folder_faults.replace(closed, watched)
    told = [(event.kind, event.about["path"]) for event in ledger.events.after(0)]

    assert told == [
        (EventKind.FOLDER_OFFLINE, "/card"),
        (EventKind.FOLDER_ONLINE, "/card"),
        (EventKind.FOLDER_OFFLINE, "/card"),
    ]


def test_the_newest_are_kept_and_go_on_counting(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "KEPT", 3)
    for number in range(5):
        with ledger.transaction():
            ledger.events.record(EventKind.RUN_FINISHED, f"run {number}")
    found = ledger.events.after(0)

    assert [event.message for event in found] == ["run 2", "run 3", "run 4"]
    assert [event.sequence for event in found] == [3, 4, 5]
    assert ledger.events.find(2) is None
    assert ledger.events.last_of(EventKind.DISK_FULL) is None


def test_what_is_told_can_be_read_back() -> None:
    event = Event(0, "a1", EventKind.DISK_FULL, 1.7e9, "paused", {"reason": "full"})

    assert Event.from_json(json.loads(event.line)) == event
    assert "\n" not in event.line


def test_what_others_committed_is_synced_before_it_is_told(
    ledger: Ledger, tmp_path: Path
) -> None:
    with ledger.transaction():
        ledger.events.record(EventKind.RUN_STARTED, "a run began")
    reader = Ledger(tmp_path / "ledger.sqlite3", read_only=True)
    reader.sync()

    assert kinds(reader) == ["run_started"]
    reader.close()
