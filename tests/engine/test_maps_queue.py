"""Maps are made beside the photos: in steps, with room, and an error ends one map only."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from hotpixeld.engine import photos_under_way
from hotpixeld.engine.maps import MapQueue
from hotpixeld.engine.photos_under_way import Memory
from hotpixeld.engine.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hotpixeld.engine.maps import MapSteps
    from hotpixeld.engine.session import Session
    from sensor import Sensor

PIXELS = 1000


def is_busy(session: Session) -> bool:
    return session.is_busy


@pytest.fixture
def upkeep() -> Iterator[Workers]:
    one = Workers(1, lambda: None)
    yield one
    one.close()


def test_a_step_is_not_waited_for_until_all_is_to_be_finished(upkeep: Workers) -> None:
    release, steps_taken = threading.Event(), list[str]()

    def steps() -> MapSteps:
        steps_taken.append("begun")
        came = yield upkeep.submit(lambda event: event.wait(30) and "read", release)
        steps_taken.append(came)
        yield None
        steps_taken.append("ended")

    queue = MapQueue(Memory(10**9), upkeep, jobs=1)
    queue.add("camera", PIXELS, steps)
    queue.add("camera", PIXELS, steps)  # due all the while
    for _ in range(3):
        queue.step()
    assert steps_taken == ["begun"]
    release.set()
    queue.finish()

    assert steps_taken == ["begun", "read", "ended"]
    assert not queue.is_busy


def test_a_map_begins_when_photos_under_way_leave_room(upkeep: Workers) -> None:
    limit, steps_taken = Memory(photos_under_way.BASE + 12_000), list[str]()

    def steps() -> MapSteps:
        steps_taken.append("begun")
        yield None

    limit.take(2_000)
    queue = MapQueue(limit, upkeep, jobs=1)
    queue.add("camera", PIXELS, steps)
    queue.step()
    assert steps_taken == []
    assert not limit.has_room(1), "no photo begins in the room of a map that waits"
    limit.take(-1_100)
    queue.step()

    assert steps_taken == ["begun"]
    queue.finish()
    assert limit.map_room == 0


def test_an_error_ends_one_map_and_is_raised(upkeep: Workers) -> None:
    def fail(text: str) -> None:
        raise OSError(text)

    def steps() -> MapSteps:
        yield upkeep.submit(fail, "disk full")

    def others() -> MapSteps:
        yield upkeep.submit(str, "fine")

    queue = MapQueue(Memory(10**9), upkeep, jobs=1)
    queue.add("one", PIXELS, steps)
    queue.add("other", PIXELS, others)
    with pytest.raises(OSError, match="disk full"):
        queue.finish()
    assert queue.is_busy
    queue.finish()

    assert not queue.is_busy


def test_photos_go_on_while_their_cameras_map_is_made(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 30)
    session = open_session()
    for _ in session.take(photos[:16]):
        pass
    (record,) = session.ledger.images.cameras()
    assert is_busy(session), "the first map is due at the 16th photo"
    for _ in session.take(photos[16:]):
        pass
    while is_busy(session):
        session.keep_up()
    found = session.ledger.defects.of(record.camera.id)

    assert session.maps.made >= 1
    assert {(one.row, one.col) for one in sensor.defects} <= {
        (one.row, one.col) for one in found
    }
    assert session.states.photos(record.camera.id) == 30
