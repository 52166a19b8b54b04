"""A state of version 0.1 becomes one of generations, whatever happens meanwhile.

``state_0_1.tar.xz`` was made by version 0.1: photos of a camera of 26 x 21 pixels came in
9 and 8 with ``run --once``, then 3 to a daemon that was killed before its checkpoint. Its
samples were deleted, and its folder renamed, so that it is small and of no machine.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import logging
import os
import sqlite3
import tarfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hotpixeld.camera import Camera
from hotpixeld.errors import CheckpointError, HotpixeldError
from hotpixeld.statistics.generation import (
    FORMATS,
    M2,
    MEAN,
    TELLING,
    TOTAL,
    Counts,
    Generation,
    Planes,
    strips,
)
from hotpixeld.store.generation_files import (
    MANIFEST,
    GenerationReader,
    folder_of,
    read_manifest,
    tidy,
)
from hotpixeld.store.images import Taken
from hotpixeld.store.ledger import Ledger
from hotpixeld.store.migration import TRACE, complete, formers, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATE_0_1 = Path(__file__).with_name("state_0_1.tar.xz")
ID = "maker-model-one-0123456-26x21-235b45f8"
HEIGHT, WIDTH = 21, 26
NEWEST, BEFORE = 2, 1
OPERATIONS = ("open", "replace", "rename", "unlink", "rmdir", "mkdir", "fsync")


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state folder of version 0.1."""
    folder = tmp_path / "state"
    with tarfile.open(STATE_0_1) as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.fixture
def camera(state: Path) -> Path:
    """Return the camera's folder in it."""
    return state / "cameras" / ID


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for the disk: what is written survives a test without."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@contextlib.contextmanager
def opened(state: Path) -> Iterator[Ledger]:
    ledger = Ledger(state / "ledger.sqlite3")
    try:
        yield ledger
    finally:
        ledger.close()


def start(ledger: Ledger) -> list[str]:
    """Do what a session begins with; return the cameras that were migrated."""
    migrated = migrate(ledger)
    for record in ledger.images.cameras():
        before = ledger.generations.previous(record.camera.id)
        tidy(ledger.folder / "cameras" / record.camera.id, record.generation, before)
    return migrated


def content(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(ledger: Ledger) -> list[list[Any]]:
    """Return what the ledger says of the camera, its checkpoints and its images."""
    # When they were admitted is the time of the migration.
    images = "(SELECT id, identity, camera, sequence, outcome, captured FROM images)"
    tables = ("cameras", "previous_checkpoints", images, "paths", "tallies")
    return [
        ledger.connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608
        for name in tables
    ]


def read(folder: Path, generation: Generation) -> dict[str, np.ndarray]:
    """Return a generation as a pass reads it, its checksums verified."""
    planes = Planes(generation.height, generation.width, 16)
    found: dict[str, list[np.ndarray]] = {name: [] for name in FORMATS}
    with GenerationReader(folder, generation) as reader:
        for strip in strips(generation.height, 16):
            reader.read(strip, planes)
            for name, parts in found.items():
                parts.append(planes.of(name, strip).copy())
        reader.check()
    return {name: np.concatenate(parts) for name, parts in found.items()}


def named(ledger: Ledger) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """Return generation, photos, weight and sum of the current one, of that before."""
    what = "SELECT generation, photos, weight, mean_sha256 FROM "
    run = ledger.connection.execute
    current = run(what + "cameras").fetchone()
    return current, run(what + "previous_checkpoints").fetchone()


def damage(path: Path, place: int = 300) -> None:
    octets = bytearray(path.read_bytes())
    octets[place] ^= 4
    path.write_bytes(octets)


def test_all_that_version_0_1_learned_is_there(state: Path, camera: Path) -> None:
    folder, before = (folder_of(camera, each) for each in (NEWEST, BEFORE))
    former = {
        folder: [np.load(folder / name) for name in ("mean.npy", "m2.npy")],
        before: [
            np.load(camera / "previous" / f"00000001.{name}.npy")
            for name in ("mean", "m2")
        ],
    }
    with np.load(folder / TRACE) as saved:
        trace = {TOTAL: saved["total"], TELLING: saved["telling"]}
        assert int(saved["photos"]) == 17
    inodes = {path.stat().st_ino for path in camera.rglob("*.npy")}
    with opened(state) as ledger:
        assert migrate(ledger) == [ID]

        assert named(ledger) == (
            (NEWEST, 17, 17.0, ""),
            (BEFORE, 9, 9.0, ""),
        )
        assert ledger.images.counts()["folded"] == 17
        pending = ledger.images.pending(ID)
        assert [image.sequence for image in pending] == [18, 19, 20]
        assert all(ledger.paths.of_image(image.id) for image in pending)
    assert {path.stat().st_ino for path in camera.rglob("m*.npy")} == inodes
    for place, arrays in former.items():
        found = read(place, read_manifest(place))
        np.testing.assert_array_equal(found[MEAN], arrays[0])
        np.testing.assert_array_equal(found[M2], arrays[1])
    newest, older = read_manifest(folder), read_manifest(before)
    assert newest.counts == Counts(17, 17.0, 17)
    assert older.counts == Counts(9, 9.0, 0)
    for name, array in trace.items():
        np.testing.assert_array_equal(read(folder, newest)[name], array)
        assert array.any()
        assert not read(before, older)[name].any()


def test_only_generations_and_the_map_are_left(state: Path, camera: Path) -> None:
    with opened(state) as ledger:
        start(ledger)
    files = {MANIFEST, *(f"{name}.npy" for name in FORMATS)}

    assert content(camera).keys() == {
        "map.yaml",
        *(f"00000002/{name}" for name in files),
        *(f"previous/00000001.{name}" for name in files),
    }


def test_how_photos_were_taken_is_known_from_their_samples(state: Path) -> None:
    """Otherwise their next samples say nothing of it, and defects are found anew."""
    path = state / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO samples VALUES (1, ?, '2024-03-01T12:00:00', 0.5, 800, 4.3, 1,"
            " x'')",
            (ID,),
        )
    with opened(state) as ledger:
        newest = ledger.images.newest(ID, 99)

    noon = dt.datetime(2024, 3, 1, 12)
    assert newest[-1].taken == Taken(noon, 0.5, 800, 4.3)
    assert newest[0].taken == Taken(newest[0].captured)


def test_the_second_start_has_nothing_to_do(state: Path, camera: Path) -> None:
    with opened(state) as ledger:
        start(ledger)
    before = content(camera)
    with opened(state) as ledger:
        known = rows(ledger)
        assert start(ledger) == []
        assert rows(ledger) == known

    assert content(camera) == before


def interrupt(
    patch: pytest.MonkeyPatch,
    at: int,
    error: Callable[[], BaseException],
    *,
    dead: bool,
) -> list[str]:
    """Raise `error` in place of file operation `at`, and of all after it if `dead`.

    Returns the operations, as they come.
    """
    seen: list[str] = []

    def intercept(owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        def operation(*arguments: Any, **more: Any) -> Any:
            seen.append(name)
            if len(seen) == at + 1 or (dead and len(seen) > at):
                raise error()
            return plain(*arguments, **more)

        patch.setattr(owner, name, operation)

    for name in OPERATIONS:
        intercept(os, name)
    intercept(Ledger, "_commit")
    return seen


@pytest.fixture
def finished(
    state: Path, camera: Path
) -> tuple[dict[str, bytes], list[list[Any]], int]:
    """Return what comes of a start that nothing interrupts, and its operations."""
    aside = state.with_name("aside")
    state.rename(aside)
    with tarfile.open(STATE_0_1) as packed:
        packed.extractall(state, filter="data")
    with opened(state) as ledger:
        with pytest.MonkeyPatch.context() as patch:
            seen = interrupt(patch, 10**6, Killed, dead=True)
            start(ledger)
        result = content(camera), rows(ledger), len(seen)
    state.rename(state.with_name("finished"))
    aside.rename(state)
    return result


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def interrupted(
    state: Path, at: int, error: Callable[[], BaseException], *, dead: bool
) -> bool:
    """Start and be interrupted at an operation; tell whether that ended the start."""
    with opened(state) as ledger, pytest.MonkeyPatch.context() as patch:
        interrupt(patch, at, error, dead=dead)
        try:
            start(ledger)
        except (Killed, OSError, HotpixeldError):
            return True
    return False


@pytest.mark.slow
@pytest.mark.usefixtures("unsynced")
@pytest.mark.parametrize(("error", "dead"), [(Killed, True), (full, False)])
def test_what_is_interrupted_anywhere_is_gone_on_with(
    state: Path,
    camera: Path,
    finished: tuple[dict[str, bytes], list[list[Any]], int],
    error: Callable[[], BaseException],
    dead: bool,
) -> None:
    """Before each file operation and each commit: a kill, or a disk that is full."""
    files, known, operations = finished
    assert operations > 40
    for at in range(operations):
        with tarfile.open(STATE_0_1) as packed:
            packed.extractall(state, filter="data")
        assert interrupted(state, at, error, dead=dead), at
        with opened(state) as ledger:
            start(ledger)
            assert rows(ledger) == known, at
        assert content(camera) == files, at
        state.rename(state.with_name(f"was-{at}"))


@pytest.mark.usefixtures("unsynced")
def test_a_start_that_is_killed_again_and_again_gets_on(
    state: Path,
    camera: Path,
    finished: tuple[dict[str, bytes], list[list[Any]], int],
) -> None:
    """Each start lives for three operations more than the one before."""
    files, known, operations = finished
    for at in range(0, operations, 3):
        interrupted(state, at, Killed, dead=True)
    with opened(state) as ledger:
        start(ledger)
        assert rows(ledger) == known

    assert content(camera) == files


@pytest.mark.parametrize("name", ["mean.npy", "m2.npy"])
@pytest.mark.parametrize("how", ["changed", "missing", "short"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    state: Path, camera: Path, name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder_of(camera, NEWEST) / name
    if how == "missing":
        path.unlink()
    elif how == "short":
        os.truncate(path, 1000)
    else:
        damage(path)
    before = folder_of(camera, BEFORE)
    with opened(state) as ledger:
        assert start(ledger) == [ID]

        assert named(ledger) == ((BEFORE, 9, 9.0, ""), None)
        sequences = [image.sequence for image in ledger.images.pending(ID)]
        assert sequences == list(range(10, 21))
        assert start(ledger) == []
    assert "8 photos are folded again" in caplog.text
    read(before, read_manifest(before))
    assert not folder_of(camera, NEWEST).exists()


def test_with_both_damaged_nothing_is_changed(state: Path, camera: Path) -> None:
    damage(folder_of(camera, NEWEST) / "m2.npy")
    damage(camera / "previous" / "00000001.mean.npy")
    before = content(camera)
    with opened(state) as ledger:
        known = rows(ledger)
        for _ in range(2):
            with pytest.raises(
                CheckpointError, match=f"`hotpixeld relearn {ID}` learns"
            ):
                migrate(ledger)
        assert rows(ledger) == known
        assert content(camera) == before
        with ledger.transaction(durable=True):
            ledger.images.forget(ID, None)
        assert start(ledger) == []

    assert content(camera).keys() == {"map.yaml"}


def test_a_damaged_checkpoint_before_is_given_up(state: Path, camera: Path) -> None:
    damage(camera / "previous" / "00000001.mean.npy")
    with opened(state) as ledger:
        start(ledger)

        assert named(ledger) == ((NEWEST, 17, 17.0, ""), None)
    assert not folder_of(camera, BEFORE).exists()


def test_a_checkpoint_that_was_not_tidied_yet_is_found(
    state: Path, camera: Path
) -> None:
    """Version 0.1 had fallen back, or had taken the newest, and was killed then."""
    folder, before = (folder_of(camera, each) for each in (NEWEST, BEFORE))
    before.mkdir()
    for name in ("mean", "m2"):
        kept = camera / "previous" / f"00000001.{name}.npy"
        kept.rename(before / f"{name}.npy")
        (folder / f"{name}.npy").rename(camera / "previous" / f"00000002.{name}.npy")
    (folder / TRACE).unlink()
    folder.rmdir()
    with opened(state) as ledger:
        migrate(ledger)

        assert named(ledger)[0][:2] == (NEWEST, 17)
    for each in (folder, before):
        read(each, read_manifest(each))


def test_what_cannot_be_read_now_is_not_taken_for_damaged(
    state: Path, camera: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(camera)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with opened(state) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.open", fail)
            with pytest.raises(OSError, match="Too many open files"):
                migrate(ledger)
        assert named(ledger)[0][3] != ""

    assert content(camera) == before


def test_what_the_disk_cannot_read_is_damaged(
    state: Path, camera: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.open

    def fail(path: Path, *arguments: Any, **more: Any) -> Any:
        if path.name == "m2.npy" and path.parent.name == "00000002":
            raise OSError(errno.EIO, "Input/output error")
        return plain(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", fail)
    with opened(state) as ledger:
        migrate(ledger)

        assert named(ledger)[0][0] == BEFORE


@pytest.mark.usefixtures("unsynced")
def test_a_damaged_trace_is_begun_anew(
    state: Path, camera: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever byte of its archive has changed, it is as it was, or empty."""
    caplog.set_level(logging.ERROR)
    folder = folder_of(camera, NEWEST)
    with np.load(folder / TRACE) as saved:
        trace = saved["total"]
    with opened(state) as ledger:
        (current,) = formers(ledger)
    places = range(0, (folder / TRACE).stat().st_size, 19)
    anew = 0
    for place in places:
        damage(folder / TRACE, place)
        generation = complete(camera, current, lambda: None)
        found = read(folder, generation)[TOTAL]
        anew += generation.counts.traced == 0
        assert generation.counts.traced in {0, 17}
        np.testing.assert_array_equal(
            found, trace if generation.counts.traced else np.zeros_like(trace)
        )
        (folder / MANIFEST).unlink()
        damage(folder / TRACE, place)  # once more: as it was

    assert anew > 0.6 * len(places)


@pytest.mark.parametrize("length", [None, 0, 700])
def test_a_missing_or_short_trace_is_begun_anew(
    state: Path, camera: Path, length: int | None
) -> None:
    path = folder_of(camera, NEWEST) / TRACE
    if length is None:
        path.unlink()
    else:
        os.truncate(path, length)
    with opened(state) as ledger:
        start(ledger)
    generation = read_manifest(path.parent)

    assert generation.counts == Counts(17, 17.0, 0)
    assert not read(path.parent, generation)[TOTAL].any()


def test_the_trace_of_another_size_is_begun_anew(state: Path, camera: Path) -> None:
    path = folder_of(camera, NEWEST) / TRACE
    other = np.ones((WIDTH, HEIGHT), np.int16)
    np.savez(path, photos=3, total=other, telling=np.ones((7, 6), np.float32))
    with opened(state) as ledger:
        start(ledger)

    assert read_manifest(path.parent).counts.traced == 0


def sized_state(state: Path, name: str, height: int, width: int) -> str:
    """Add a camera of this size to a state, as version 0.1 had it; return its id."""
    camera = Camera("Maker", name, "1", width, height)
    folder = folder_of(state / "cameras" / camera.id, 1)
    folder.mkdir(parents=True)
    sums = []
    for part in ("mean", "m2"):
        array = np.random.default_rng(len(part)).random((height, width, 3), np.float32)
        np.save(folder / f"{part}.npy", array)
        sums.append(hashlib.sha256((folder / f"{part}.npy").read_bytes()).hexdigest())
    cells = -(-height // 4), -(-width // 4)
    total = np.full((height, width), 7, np.int16)
    np.savez(folder / TRACE, photos=2, total=total, telling=np.ones(cells, np.float32))
    with opened(state) as ledger, ledger.transaction():
        ledger.connection.execute(
            "INSERT INTO cameras (id, make, model, serial, width, height, generation,"
            " photos, weight, mean_sha256, m2_sha256)"
            " VALUES (?, ?, ?, ?, ?, ?, 1, 2, 2, ?, ?)",
            (camera.id, "Maker", name, "1", width, height, *sums),
        )
    return camera.id


def test_every_camera_is_migrated_and_the_memory_stays_flat(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    ids = [sized_state(state, name, 900, 1100) for name in ("One", "Two")]
    with opened(state) as ledger:
        steps: list[None] = []
        tracemalloc.start()
        migrated = migrate(ledger, lambda: steps.append(None))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert migrated == sorted(ids)
    assert peak < 5e6, "an array has 11.9 MB"
    assert len(steps) > 2 * 2 * 11
    for each in ids:
        folder = folder_of(state / "cameras" / each, 1)
        found = read(folder, read_manifest(folder))
        assert (found[TOTAL] == 7).all()


def test_an_array_of_another_size_than_the_cameras_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    sized_state(state, "One", 20, 30)
    with opened(state) as ledger:
        ledger.connection.execute("UPDATE cameras SET width = 20, height = 30")
        message = r"float32 \(20, 30, 3\), not <f4 \(30, 20, 3\)"
        with pytest.raises(CheckpointError, match=message):
            migrate(ledger)


def test_a_state_without_checkpoints_has_nothing_to_migrate(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with opened(tmp_path / "state") as ledger:
        assert start(ledger) == []
