"""States of many cameras under one limit: the same bits, whatever is in memory when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.engine import photos_under_way
from hotpixeld.errors import CheckpointError
from hotpixeld.photo import photo_file
from hotpixeld.statistics.welford import State
from sensor import Sensor, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.config.model import Config
    from hotpixeld.engine.session import Session

    Open = Callable[..., Session]

CAMERAS, EACH = 5, 7
HEIGHT, WIDTH = 40, 56


def interleaved(folder: Path) -> list[Path]:
    """Write photos of five bodies in turn."""
    sensor = Sensor(height=HEIGHT, width=WIDTH)
    paths = []
    for index in range(CAMERAS * EACH):
        path = folder / f"{index:03d}.jpg"
        write_jpeg(path, sensor.frame(index), serial=str(1 + index % CAMERAS))
        paths.append(path)
    return paths


def limited(config: Config, monkeypatch: pytest.MonkeyPatch, states: float) -> Config:
    """Return a configuration whose limit holds so many states."""
    monkeypatch.setattr(photos_under_way, "BASE", 0)
    room = int((27 * states + 12) * HEIGHT * WIDTH)
    limits = config.limits.model_copy(update={"memory": room})
    return config.model_copy(update={"limits": limits})


def expected(paths: list[Path]) -> dict[str, State]:
    """Return the states by serial."""
    found: dict[str, State] = {}
    for index, path in enumerate(paths):
        state = found.setdefault(str(1 + index % CAMERAS), State.empty(HEIGHT, WIDTH))
        state.fold(photo_file.decode(photo_file.examine(path, 10**9, 10**9)), 100)
    return found


def assert_all_there(session: Session, paths: list[Path]) -> None:
    """Hold every camera's state, and the ledger's counts, to what was folded."""
    states = expected(paths)
    records = list(session.ledger.images.cameras())
    assert len(records) == CAMERAS
    for record in records:
        state = session.states.running(record.camera.id).state
        assert state is not None
        assert state.photos == EACH
        np.testing.assert_array_equal(state.mean, states[record.camera.serial].mean)
        np.testing.assert_array_equal(state.m2, states[record.camera.serial].m2)


@pytest.mark.parametrize("chunk", [1, 3, CAMERAS * EACH])
def test_five_cameras_in_turn_with_memory_for_two_come_out_bit_identical(
    open_session: Open,
    folder: Path,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    chunk: int,
) -> None:
    paths = interleaved(folder)
    session = open_session(limited(config, monkeypatch, 2.5))
    loaded = 0
    for start in range(0, len(paths), chunk):
        for _ in session.take(paths[start : start + chunk], once=True):
            loaded = max(loaded, session.memory.states)
    assert_all_there(session, paths)
    session.states.save_all()

    assert 0 < loaded <= 2 * 27 * HEIGHT * WIDTH
    assert session.ledger.images.counts()["folded"] == len(paths)


@pytest.mark.parametrize("stop_after", [11, 24])
def test_a_crash_with_states_out_of_memory_loses_nothing(
    open_session: Open,
    folder: Path,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: int,
) -> None:
    paths = interleaved(folder)
    small = limited(config, monkeypatch, 2.5)
    session = open_session(small)
    for path in paths[:stop_after]:
        for _ in session.take([path], once=True):
            pass
    session = open_session(small)  # without a last checkpoint, as after kill -9
    session.states.recover()
    for path in session.changed(paths):
        for _ in session.take([path], once=True):
            pass

    assert_all_there(session, paths)


def test_photos_under_way_keep_within_the_limit_computed_from_their_headers(
    open_session: Open,
    folder: Path,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sensor = Sensor(height=HEIGHT, width=WIDTH)
    photos = sensor.write(folder, 12)
    session = open_session(limited(config, monkeypatch, 1))
    most = 0
    for _ in session.take(photos, once=True):
        most = max(most, session.memory.under_way)
    frame = HEIGHT * WIDTH * 3

    assert frame < most <= session.memory.limit - 27 * HEIGHT * WIDTH
    assert session.memory.under_way == 0


def test_photos_that_are_not_taken_to_their_end_give_their_memory_back(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    session = open_session()
    taken = session.take(sensor.write(folder, 6), once=True)
    next(taken)
    assert session.memory.under_way > 0
    taken.close()

    assert session.memory.under_way == 0


def test_a_checkpoint_holds_what_was_folded_when_it_began(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 9)
    session = open_session()
    for _ in session.take(photos[:6], once=True):
        pass
    (record,) = session.ledger.images.cameras()
    session.states.begin_save(record.camera.id)
    for _ in session.take(photos[6:], once=True):
        pass
    session.states.save(record.camera.id)
    later = session.states.running(record.camera.id).state
    assert later is not None
    generations = session.ledger.generations.previous(record.camera.id)
    again = open_session().states.running(record.camera.id).state
    assert again is not None

    assert generations is not None
    assert generations.photos == 6
    assert again.photos == 9
    np.testing.assert_array_equal(again.m2, later.m2)


def test_nothing_is_folded_while_the_state_is_read(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 8)
    session = open_session()
    for _ in session.take(photos[:5], once=True):
        pass
    (record,) = session.ledger.images.cameras()
    camera_id = record.camera.id

    def read(state: State) -> tuple[int, float, float]:
        sums = [float(state.mean.sum()) for _ in range(50)]
        return state.photos, min(sums), max(sums)

    future = session.states.read(camera_id, read)
    for _ in session.take(photos[5:], once=True):
        pass
    photos_read, least, most = future.result()

    assert photos_read == 5
    assert least == most
    assert session.states.photos(camera_id) == 8
    state = session.states.running(camera_id).state
    assert state is not None
    assert state.photos == 8


def test_a_camera_without_a_state_cannot_be_read(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    session = open_session()
    for _ in session.take(sensor.write(folder, 2), once=True):
        pass
    (record,) = session.ledger.images.cameras()

    with pytest.raises(CheckpointError, match="no state that could be read"):
        session.states.read(record.camera.id, lambda state: state.photos)
