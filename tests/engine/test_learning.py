"""When passes are due, in which steps photos are folded, and what interrupts them."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import steps
import whole_frames
from hotpixeld.engine import learning, schedule
from hotpixeld.engine import session as engine_session
from hotpixeld.engine.schedule import MOST_WAIT_SECONDS, PATIENCE_SECONDS
from hotpixeld.engine.session import Session
from hotpixeld.jpeg import decoder
from hotpixeld.store import disk_room, generation_files, state_folder
from sensor import Sensor, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hotpixeld.config.model import Config
    from hotpixeld.statistics.generation import State
    from hotpixeld.store.images import CameraRecord

    Open = Callable[..., Session]

CAMERAS, EACH = 5, 7
HEIGHT, WIDTH = 40, 56


def take(session: Session, photos: Sequence[Path]) -> None:
    for _ in session.take(photos, once=True):
        pass


def only_camera(session: Session) -> CameraRecord:
    (record,) = session.ledger.images.cameras()
    return record


def until_idle(session: Session) -> None:
    """Do what is due, as the daemon's loop does."""
    session.learning.keep_up()
    while session.learning.is_busy:
        session.learning.keep_up()


def state_of(session: Session, record: CameraRecord) -> State:
    camera = state_folder.camera_folder(session.folder, record.camera.id)
    return generation_files.opened(
        generation_files.folder_of(camera, record.generation)
    )


def assert_folded(session: Session, record: CameraRecord, photos: list[Path]) -> None:
    """Hold a camera's state to that of whole frames, to the bit."""
    state = state_of(session, record)
    straight = whole_frames.State.empty(*state.mean.shape[:2], traced=True)
    for path in photos:
        straight.fold(decoder.decode(path.read_bytes()), 100)
    assert state.trace is not None
    assert straight.trace is not None
    assert (state.photos, state.weight) == (straight.photos, straight.weight)
    np.testing.assert_array_equal(state.mean, straight.mean)
    np.testing.assert_array_equal(state.m2, straight.m2)
    np.testing.assert_array_equal(state.trace.total, straight.trace.total)


@pytest.mark.parametrize("chunk", [1, 3, CAMERAS * EACH])
def test_five_cameras_in_turn_come_out_bit_identical(
    open_session: Open, folder: Path, chunk: int
) -> None:
    sensor = Sensor(height=HEIGHT, width=WIDTH)
    paths = [folder / f"{index:03d}.jpg" for index in range(CAMERAS * EACH)]
    for index, path in enumerate(paths):
        write_jpeg(path, sensor.frame(index), serial=str(1 + index % CAMERAS))
    session = open_session()
    for start in range(0, len(paths), chunk):
        take(session, paths[start : start + chunk])
        if start % 2:
            list(session.learning.all_at_once())
    list(session.learning.all_at_once())
    records = list(session.ledger.images.cameras())

    assert len(records) == CAMERAS
    for record in records:
        first = int(record.camera.serial) - 1
        assert_folded(session, record, paths[first::CAMERAS])
    assert session.ledger.images.counts()["folded"] == len(paths)


def test_a_first_pass_waits_for_as_many_photos_as_a_map_needs(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 24)
    session = open_session()
    take(session, photos[:15])
    until_idle(session)
    assert only_camera(session).photos == 0
    take(session, photos[15:16])
    until_idle(session)
    assert only_camera(session).photos == 16
    assert session.maps.made == 1
    take(session, photos[16:23])
    until_idle(session)
    assert only_camera(session).photos == 16
    take(session, photos[23:])
    until_idle(session)

    assert_folded(session, only_camera(session), photos)
    assert session.maps.made == 2
    found = session.ledger.defects.of(only_camera(session).camera.id)
    assert {(one.row, one.col) for one in sensor.defects} <= {
        (one.row, one.col) for one in found
    }


@pytest.mark.parametrize(("photos", "folded"), [(3, 0), (4, 4)])
def test_after_a_day_a_few_photos_are_folded_but_no_stray_one(
    config: Config,
    sensor: Sensor,
    folder: Path,
    tmp_path: Path,
    photos: int,
    folded: int,
) -> None:
    now = [1000.0]
    state = tmp_path / "state"
    with Session(config, state, 1, lambda: None, lambda: now[0]) as session:
        take(session, sensor.write(folder, photos))
        now[0] += PATIENCE_SECONDS - 10
        until_idle(session)
        assert only_camera(session).photos == 0
        assert session.learning.schedule.next_deadline() == (10 if folded else None)
        now[0] += 10
        until_idle(session)

        assert only_camera(session).photos == folded


def test_while_photos_come_a_pass_that_is_due_waits_for_more_of_them(
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule, "MOST_WAITING", 24)
    photos = sensor.write(folder, 24)
    session = open_session()
    take(session, photos[:15])
    session.learning.keep_up(coming=True)
    assert not session.learning.waits, "no pass is due yet"
    for begin, end in ((15, 16), (16, 23)):
        take(session, photos[begin:end])
        session.learning.keep_up(coming=True)
        assert (session.learning.waits, session.learning.is_busy) == (True, False)
    take(session, photos[23:])
    session.learning.keep_up(coming=True)

    assert (session.learning.waits, session.learning.is_busy) == (False, True)
    until_idle(session)
    assert_folded(session, only_camera(session), photos)
    assert only_camera(session).generation == 1


@pytest.mark.parametrize("seconds", [MOST_WAIT_SECONDS - 1, MOST_WAIT_SECONDS])
def test_while_photos_come_none_waits_for_more_than_minutes(
    config: Config, sensor: Sensor, folder: Path, tmp_path: Path, seconds: float
) -> None:
    now = [1000.0]
    state = tmp_path / "state"
    with Session(config, state, 1, lambda: None, lambda: now[0]) as session:
        take(session, sensor.write(folder, 1))
        now[0] += seconds
        take(session, sensor.write(folder, 15, 1))
        session.learning.keep_up(coming=True)

        assert session.learning.waits == (seconds < MOST_WAIT_SECONDS)
        assert session.learning.is_busy == (seconds >= MOST_WAIT_SECONDS)


def test_while_photos_come_a_spool_that_fills_up_is_emptied(
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_session, "BOUNDS", (10**9, 34))
    photos = sensor.write(folder, 17)
    session = open_session()
    busy = []
    for part in (photos[:16], photos[16:]):
        assert all(done.outcome == "pending" for done in session.take(part))
        session.learning.keep_up(coming=True)
        busy.append(session.learning.is_busy)

    assert busy == [False, True]


def test_photos_go_on_while_a_map_is_made(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 30)
    session = open_session()
    take(session, photos[:16])
    session.learning.keep_up()
    assert session.learning.is_busy, "the first pass is due at the 16th photo"
    take(session, photos[16:])
    until_idle(session)

    assert session.maps.made == 2
    assert_folded(session, only_camera(session), photos)


def test_a_run_that_is_done_once_ends_passes_at_fixed_places(
    open_session: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it was stopped before: samples depend on the list that stands then."""
    monkeypatch.setattr(learning, "MOST_IN_A_PASS", 16)
    sensor = Sensor(height=HEIGHT, width=WIDTH)
    session = open_session()
    take(session, sensor.write(folder, 40))
    learned = session.learning.all_at_once()
    ends = [only_camera(session).photos for _ in learned]

    assert list(dict.fromkeys(ends)) == [16, 32, 40]
    assert only_camera(session).generation == 3


def test_what_interrupts_a_pass_halves_the_next_and_leaves_nothing(
    open_session: Open, sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    photos = sensor.write(folder, 40)
    session = open_session()
    take(session, photos)
    for most in (20, 10, 5, 4, 4):
        session.learning.yield_to_repairs(now=True)  # it rests at its first border
        session.learning.keep_up()
        session.learning.stop()
        assert only_camera(session).pass_photos == most
        assert not list(tmp_path.glob("state/cameras/*/0*"))
    session.learning.yield_to_repairs(now=False)
    limits = []
    while session.ledger.images.counts()["pending"]:
        steps.fold(session, only_camera(session).camera.id)
        limits.append(only_camera(session).pass_photos)

    assert limits == [8, 16, 32, 64]
    assert_folded(session, only_camera(session), photos)


def test_after_an_interrupted_pass_its_photos_are_due_until_all_are_folded(
    open_session: Open, sensor: Sensor, folder: Path, config: Config
) -> None:
    """Halved passes leave fewer than a new pass would wait for."""
    photos = sensor.write(folder, 12)
    detection = config.detection.model_copy(update={"min_photos": 8})
    early = config.model_copy(update={"detection": detection})
    session = open_session(early)
    take(session, photos)
    session.learning.yield_to_repairs(now=True)  # it rests at its first border
    session.learning.keep_up()
    session.learning.stop()
    session = open_session(early)  # as after a crash
    assert only_camera(session).pass_photos == 6

    session.learning.keep_up(coming=True)
    assert session.learning.is_busy, "what was left by a pass waits for no photo"
    until_idle(session)

    assert session.ledger.images.counts()["pending"] == 0
    assert_folded(session, only_camera(session), photos)


def test_a_pass_rests_while_photos_are_repaired_but_not_for_ever(
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learning, "YIELD_SECONDS", 0.01)
    session = open_session()
    take(session, sensor.write(folder, 16))
    session.learning.yield_to_repairs(now=True)
    until_idle(session)

    assert only_camera(session).photos == 16


def test_a_pass_that_has_no_room_is_not_begun_nor_is_the_next_one_smaller(
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = sensor.write(folder, 24)
    session = open_session()
    take(session, photos[:16])
    until_idle(session)
    take(session, photos[16:])
    before = sorted(tmp_path.glob("state/cameras/*/*/*"))
    wanted = disk_room.needed(200, 280)
    disk = SimpleNamespace(f_bavail=wanted - 1, f_frsize=1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: disk)
        for _ in range(3):
            with pytest.raises(OSError, match=f"{wanted} bytes needed"):
                session.learning.keep_up()
        assert not session.learning.is_busy
        assert only_camera(session).pass_photos == 0
        assert sorted(tmp_path.glob("state/cameras/*/*/*")) == before
    until_idle(session)

    assert_folded(session, only_camera(session), photos)


def test_a_reload_gives_up_the_pass_under_way(
    open_session: Open, sensor: Sensor, folder: Path, config: Config
) -> None:
    photos = sensor.write(folder, 16)
    session = open_session()
    take(session, photos)
    session.learning.keep_up()
    session.reconfigure(config)
    assert threading.active_count() < 20
    assert session.ledger.images.counts()["folded"] in {0, 16}
    until_idle(session)
    until_idle(session)
    steps.fold(session, only_camera(session).camera.id)

    assert_folded(session, only_camera(session), photos)
