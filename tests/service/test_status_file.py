"""The status file: news at once, but not too often while there is work, and only one's own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hotpixeld.engine.session import Session
from hotpixeld.service.status_file import (
    HUNG_SECONDS,
    Publisher,
    ailments,
    published,
    status,
    sweep,
    working,
)
from hotpixeld.store import disk_room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotpixeld.config.model import Config
    from hotpixeld.store.ledger import Ledger
    from sensor import Sensor


@pytest.fixture
def session(tmp_path: Path, config: Config) -> Iterator[Session]:
    with Session(config, tmp_path / "state", 1, lambda: None) as opened:
        yield opened


def test_what_is_published_is_read_until_it_is_withdrawn(
    session: Session, tmp_path: Path
) -> None:
    publisher = Publisher(session.folder)
    publisher.publish(session, "1 folder", ["full"], busy=False)
    current = published(session.folder)

    assert current is not None
    assert current["daemon"]["faults"] == ["full"]
    assert published(tmp_path / "another state") is None
    publisher.withdraw()
    assert published(session.folder) is None


def test_work_is_published_every_few_seconds_its_begin_and_end_at_once(
    session: Session,
) -> None:
    now = 100.0
    publisher = Publisher(session.folder, lambda: now)
    seen = []
    for now, text, busy in (  # noqa: B007 - the clock reads it
        (100.0, "first", True),
        (100.1, "second", True),
        (100.2, "third", False),
        (100.3, "third", True),
        (100.4, "fourth", True),
        (106.0, "fifth", True),
    ):
        publisher.publish(session, text, [], busy=busy)
        current = published(session.folder) or {"daemon": {}}
        seen.append((current["daemon"]["status"], current["daemon"]["busy"]))

    assert seen == [
        ("first", True),
        ("first", True),
        ("third", False),
        ("third", True),
        ("third", True),
        ("fifth", True),
    ]


def test_without_news_nothing_is_read_and_each_pass_is_news(
    session: Session, sensor: Sensor, folder: Path
) -> None:
    publisher = Publisher(session.folder)
    publisher.publish(session, "1 folder", [], busy=False)
    statements: list[str] = []
    session.ledger.connection.set_trace_callback(statements.append)
    publisher.publish(session, "1 folder", [], busy=False)
    assert statements == []
    session.ledger.connection.set_trace_callback(None)
    for _ in session.take(sensor.write(folder, 4), once=True):
        pass
    list(session.learning.all_at_once())
    publisher.publish(session, "1 folder", [], busy=False)
    current = published(session.folder)

    assert current is not None
    (camera,) = current["cameras"]
    assert camera["photos"] == 4
    assert current["state_bytes"] > camera["folder_bytes"] > 200 * 280 * 26
    assert camera["spool_bytes"] == 0


def test_a_fault_of_the_runtime_folder_is_logged_once(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(session.folder)
    publisher.folder = publisher.folder / "gone"
    for text in "ab":
        publisher.publish(session, text, [], busy=False)

    assert len(caplog.messages) == 1
    assert "status cannot be published" in caplog.messages[0]


def test_a_damaged_status_file_is_none(session: Session) -> None:
    publisher = Publisher(session.folder)
    publisher.publish(session, "1 folder", [], busy=False)
    (publisher.folder / "status.json").write_text('{"state": ')

    assert published(session.folder) is None


def test_a_killed_daemon_is_told_by_its_lock_and_its_folder_is_swept(
    session: Session, tmp_path: Path
) -> None:
    publisher = Publisher(session.folder)
    publisher.publish(session, "1 folder", [], busy=False)
    other = tmp_path / "other"

    assert working(session.folder) == os.getpid()
    assert working(other) is None
    sweep(other)
    assert published(session.folder) is not None
    assert publisher._alive is not None
    os.close(publisher._alive)  # as the kernel does when a process is killed
    sweep(other)
    assert published(session.folder) is not None
    sweep(other, lambda: time.time() + 86_500)
    assert published(session.folder) is None
    assert not publisher.folder.exists()


def test_a_daemon_is_well_while_it_gives_signs_of_progress_and_has_no_fault(
    session: Session, tmp_path: Path
) -> None:
    now = 100.0
    publisher = Publisher(session.folder, lambda: now)
    assert ailments(session.folder) == ["no daemon: another process works on it"]
    publisher.publish(session, "1 folder", [], busy=False)
    late = time.time() + HUNG_SECONDS + 5
    assert ailments(session.folder) == []
    assert ailments(tmp_path / "other") == ["no daemon: none runs on this state"]
    (told,) = ailments(session.folder, lambda: late)
    assert told.startswith("the daemon hangs: no sign of progress for 18")

    os.utime(publisher.folder / "alive", (1, 1))
    publisher.beat()
    assert ailments(session.folder) == []
    os.utime(publisher.folder / "alive", (1, 1))
    now += 1  # too early for another
    publisher.beat()
    assert ailments(session.folder) != []
    now += 5
    publisher.beat()
    publisher.publish(session, "full", ["disk full"], busy=False)
    assert ailments(session.folder) == ["disk full"]
    publisher.withdraw()
    publisher.beat()
    assert len(ailments(session.folder)) == 1


def test_two_daemons_of_one_user_publish_side_by_side(
    session: Session, tmp_path: Path
) -> None:
    one, two = Publisher(session.folder), Publisher(tmp_path / "other")
    one.publish(session, "one", [], busy=False)
    two.publish(session, "two", [], busy=False)
    two.withdraw()

    current = published(session.folder)
    assert current is not None
    assert current["daemon"]["status"] == "one"


def test_problems_beyond_the_limit_are_counted(session: Session) -> None:
    for number in range(7):
        path = Path(f"/import/{number}.jpg")
        session.ledger.paths.record(path, "failed", reason="no photo")
    some = status(session.ledger, session.config, 5)
    everything = status(session.ledger, session.config, None)

    assert (len(some["problems"]), some["problems_left_out"]) == (5, 2)
    assert (len(everything["problems"]), everything["problems_left_out"]) == (7, 0)


def test_a_camera_that_is_met_while_the_disk_is_measured_has_its_status(
    session: Session, sensor: Sensor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = disk_room.use

    def use(state: Path, ledger: Ledger) -> disk_room.Use:
        measured = measure(state, ledger)
        for _ in session.take(sensor.write(folder, 1)):
            pass
        return measured

    monkeypatch.setattr(disk_room, "use", use)
    (camera,) = status(session.ledger, session.config)["cameras"]

    assert camera["id"]
    assert (camera["folder_bytes"], camera["spool_bytes"]) == (0, 0)
