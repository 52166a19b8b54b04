"""A camera that is not used any more keeps its list and its photos' names, and no state."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

import whole_frames
from hotpixeld.cli import status_text
from hotpixeld.config.model import CameraConfig, Point
from hotpixeld.engine.session import Session
from hotpixeld.errors import LedgerError
from hotpixeld.jpeg import decoder
from hotpixeld.messages import MessageId
from hotpixeld.service import status_file
from hotpixeld.store import generation_files, state_folder
from hotpixeld.store.evidence_tables import SampleTables
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from hotpixeld.config.model import Config
    from hotpixeld.store.images import CameraRecord
    from sensor import Sensor

DAY = 86_400.0
PHOTOS = 24


pytestmark = pytest.mark.slow  # lives of cameras, of many photos each


@pytest.fixture
def forgetful(config: Config) -> Config:
    """Return a configuration that drops a camera after 30 days."""
    after = dt.timedelta(days=30)
    limits = config.limits.model_copy(update={"forget_after": after})
    return config.model_copy(update={"limits": limits})


class World:
    """A state folder, its configuration, and the time."""

    def __init__(self, state: Path, config: Config) -> None:
        self.state, self.config, self.now = state, config, 1e9

    def open(self) -> Session:
        """Open a session, as a daemon does at its start."""
        return Session(self.config, self.state, 1, lambda: None, lambda: self.now)

    @property
    def generations(self) -> set[str]:
        """Return the files of generations that are there."""
        cameras = state_folder.cameras(self.state)
        files = {path for path in cameras.rglob("*") if path.is_file()}
        return {path.name for path in files if path.name != "map.yaml"}


@pytest.fixture
def world(tmp_path: Path, forgetful: Config, sensor: Sensor, folder: Path) -> World:
    """Return one in which a camera has a map, and was not used for 31 days."""
    world = World(tmp_path / "state", forgetful)
    with world.open() as session:
        take(session, sensor.write(folder, 16))
        work_off(session)
        take(session, sensor.write(folder, PHOTOS - 16, 16))
        work_off(session)
        assert only(session).generation == 2
        assert len(session.ledger.defects.of(only(session).camera.id)) == 3
    world.now += 31 * DAY
    return world


def take(session: Session, photos: Sequence[Path]) -> dict[str, int]:
    outcomes = [done.outcome for done in session.take(photos)]
    return {outcome: outcomes.count(outcome) for outcome in outcomes}


def work_off(session: Session) -> None:
    """Do what is due, as the daemon's loop does."""
    session.learning.keep_up()
    while session.learning.is_busy:
        session.learning.keep_up()


def only(session: Session) -> CameraRecord:
    (record,) = session.ledger.images.cameras()
    return record


def samples(session: Session) -> int:
    return len(session.ledger.samples.newest(only(session).camera.id, 1000))


def shown(session: Session) -> str:
    current = {"daemon": None, **status_file.status(session.ledger, session.config)}
    return status_text.text(current)


def test_it_is_dropped_once_and_one_line_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with world.open() as session:
        camera = only(session).camera.id
        published = state_folder.map_file(world.state, camera).read_bytes()
        footprint = state_folder.footprint_file(world.state, camera).exists()
        assert "dropped" not in shown(session)
        for _ in range(3):
            work_off(session)

        assert (only(session).generation, only(session).photos) == (0, 0)
        assert only(session).weight == 0
        assert samples(session) == 0
        assert len(session.ledger.defects.of(camera)) == 3
        assert session.ledger.images.counts()["folded"] == PHOTOS
        assert f"{PHOTOS} photos, 3 defects, dropped to its list" in shown(session)
    said = [one for one in caplog.records if "dropped" in one.getMessage()]
    assert [one.getMessage() for one in said] == [
        f"{camera} dropped to its list of 3 defects: no new photo for 30 days"
    ]
    assert said[0].__dict__["MESSAGE_ID"] == MessageId.CAMERA_DROPPED
    assert world.generations <= {"footprint.json"}
    assert state_folder.map_file(world.state, camera).read_bytes() == published
    assert state_folder.footprint_file(world.state, camera).exists() == footprint


def test_nothing_is_dropped_early_or_without_being_asked(
    world: World, config: Config
) -> None:
    for days, asked in ((29, world.config), (10_000, config)):
        world.config, world.now = asked, 1e9 + days * DAY
        with world.open() as session:
            work_off(session)

            assert only(session).generation == 2


def test_what_is_pending_is_folded_first_and_counts_as_use(
    world: World, sensor: Sensor, folder: Path
) -> None:
    with world.open() as session:
        take(session, sensor.write(folder, 2, PHOTOS))
        world.now += 31 * DAY
        session.learning.keep_up()
        assert session.learning.is_busy
        work_off(session)

        assert session.ledger.images.counts()["folded"] == PHOTOS + 2
        assert not only(session).generation, "both photos are a month old by now"


def test_a_run_that_is_done_once_drops_it_too(world: World) -> None:
    with world.open() as session:
        list(session.learning.all_at_once())

        assert session.ledger.images.is_dropped(only(session))


def copies(folder: Path) -> set[str]:
    return {path.name for path in (folder / "repaired").glob("*")}


def test_its_list_is_repaired_while_a_new_state_begins_from_nothing(
    world: World, sensor: Sensor, folder: Path
) -> None:
    with world.open() as session:
        work_off(session)
        known = sorted(folder.glob("*.JPG"))
        shutil.copy(known[0], folder / "again.JPG")
        assert take(session, [*known, folder / "again.JPG"]) == {
            "known": PHOTOS,
            "duplicate": 1,
        }
        new = sensor.write(folder, 15, PHOTOS)
        assert take(session, new) == {"pending": 15}
        work_off(session)
        assert {f"c_{path.name}" for path in new} <= copies(folder)
        assert not only(session).generation
        assert "39 photos, 15 of them pending, 3 defects, dropped" in shown(session)
        new += sensor.write(folder, 1, PHOTOS + 15)
        take(session, new[-1:])
        work_off(session)

        record = only(session)
        assert (record.generation, record.photos, record.weight) == (1, 16, 16)
        assert "dropped" not in shown(session)
        listed = session.ledger.defects.of(record.camera.id)
        assert {(one.row, one.col) for one in listed} == {
            (one.row, one.col) for one in sensor.defects
        }
        assert_state_is_that_of(session, new)


def assert_state_is_that_of(session: Session, photos: Sequence[Path]) -> None:
    """Hold the only camera's state to that of whole frames, to the bit."""
    record = only(session)
    camera = state_folder.camera_folder(session.folder, record.camera.id)
    number = generation_files.folder_of(camera, record.generation)
    state = generation_files.opened(number)
    straight = whole_frames.State.empty(200, 280, traced=True)
    for path in photos:
        straight.fold(decoder.decode(path.read_bytes()), 100)
    np.testing.assert_array_equal(state.mean, straight.mean)
    np.testing.assert_array_equal(state.m2, straight.m2)


def test_what_is_ignored_later_leaves_its_map_as_well(
    world: World, forgetful: Config
) -> None:
    with world.open() as session:
        work_off(session)
        camera = only(session).camera
        published = state_folder.map_file(world.state, camera.id)
        one = session.ledger.defects.of(camera.id)[0]
        entry = CameraConfig(
            size=(camera.width, camera.height), ignore=(Point(x=one.x, y=one.y),)
        )
        before = published.read_text()
        session.reconfigure(forgetful.model_copy(update={"cameras": (entry,)}))

        assert "ignore" in published.read_text()
        assert f"from {PHOTOS} photos" in published.read_text()
        session.reconfigure(forgetful)
        assert published.read_text() == before


class KilledError(BaseException):
    """The process ends here."""


def killed(function: Callable[..., Any], at: int, *, after: bool) -> Callable[..., Any]:
    """Return a function that ends the process at a call, before or after it is done."""
    calls = iter(range(1, 1000))

    def call(*arguments: Any, **named: Any) -> Any:
        if (number := next(calls)) == at and not after:
            raise KilledError
        result = function(*arguments, **named)
        if number == at:
            raise KilledError
        return result

    return call


STEPS = [
    (SampleTables, "forget", 1, False),
    (SampleTables, "forget", 1, True),
    (Ledger, "_commit", 1, False),
    (Ledger, "_commit", 1, True),
    (shutil, "rmtree", 1, False),
    (shutil, "rmtree", 1, True),
    (shutil, "rmtree", 2, False),
    (shutil, "rmtree", 2, True),
]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS, ids=range(len(STEPS)))
def test_killed_anywhere_it_is_whole_or_dropped_and_learns_again(
    world: World,
    sensor: Sensor,
    folder: Path,
    step: tuple[Any, str, int, bool],
) -> None:
    owner, name, at, after = step
    session = world.open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, killed(getattr(owner, name), at, after=after))
        with pytest.raises(KilledError):
            work_off(session)
    session.close()

    is_committed = owner is shutil or (owner is Ledger and after)
    with world.open() as session:
        camera = only(session).camera.id
        assert session.ledger.images.is_dropped(only(session)) == is_committed
        assert (samples(session) == 0) == is_committed
        assert bool(world.generations - {"footprint.json"}) != is_committed
        assert len(session.ledger.defects.of(camera)) == 3
        work_off(session)
        assert session.ledger.images.is_dropped(only(session))
        assert world.generations <= {"footprint.json"}
        new = sensor.write(folder, 16, PHOTOS)
        take(session, sorted(folder.glob("*.JPG")))
        work_off(session)

        assert session.ledger.images.counts()["folded"] == PHOTOS + 16
        assert_state_is_that_of(session, new)


def test_a_disk_that_is_full_leaves_the_camera_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Ledger) -> None:
        raise LedgerError("database or disk is full")

    with world.open() as session:
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "_commit", full)
            with pytest.raises(LedgerError):
                session.learning.keep_up()
        assert only(session).generation == 2
        session.reset()
        session.learning.keep_up()

        assert session.ledger.images.is_dropped(only(session))
