"""An archive of three cameras, learned by two processes and by one local run."""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("distributed", reason="needs the extra `cluster`")

from hotpixeld.cli import run_once
from hotpixeld.cli.main import main
from hotpixeld.cli.progress import without_progress
from hotpixeld.cluster import archive, scheduler, tasks
from hotpixeld.cluster.scheduler import ClusterError
from hotpixeld.cluster.storage import Storage
from hotpixeld.config.load import for_folders
from hotpixeld.config.model import Config, Detection
from hotpixeld.engine.session import Session
from hotpixeld.errors import ExitCode
from hotpixeld.store import state_folder
from hotpixeld.store.ledger import Ledger
from known import Known, check_same, known
from sensor import Sensor, scattered, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from distributed import Client


PHOTOS = 20
BEGAN = dt.datetime(2024, 3, 1)
BODIES = [("Model One", "111"), ("Model One", "222"), ("Model Two", "")]
TOLERANCE = 3e-5
"""Of levels and their squares, relative: float32 has 6e-8, and each fold rounds once."""


def shoot(folder: Path, count: int) -> None:
    """Write photos of three cameras."""
    for number, (model, serial) in enumerate(BODIES):
        height, width = 120 + 16 * number, 168
        defects = scattered(3, height, width, levels=(60, 90))
        body = Sensor(height, width, number, defects, scenes=10)
        for index in range(count):
            path = folder / f"{number}_{index:04}.JPG"
            taken = BEGAN + dt.timedelta(minutes=index)
            write_jpeg(path, body.frame(index), taken, model=model, serial=serial)


def spoil(folder: Path) -> None:
    """Add files that are no photos, or photos that are there already."""
    (folder / "later").mkdir()
    shutil.copy(folder / "0_0003.JPG", folder / "later/again.JPG")
    whole = (folder / "1_0002.JPG").read_bytes()
    (folder / "cut.JPG").write_bytes(whole[: len(whole) // 2])
    noise = whole[: len(whole) // 3] + bytes(len(whole) // 3) + whole[-2:]
    (folder / "spoiled.JPG").write_bytes(noise)
    (folder / "text.JPG").write_text("no photo")
    edited = folder / "edited.JPG"
    write_jpeg(edited, Sensor(60, 80).frame(0), software="Adobe Photoshop 24.0")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with scheduler.local(2, tmp_path_factory.mktemp("scratch")) as connected:
        yield connected


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "photos"
    folder.mkdir()
    shoot(folder, PHOTOS)
    spoil(folder)
    for path in folder.rglob("*.JPG"):
        os.utime(path, (1.7e9, 1.7e9))
    return folder


@pytest.fixture(scope="module")
def locally(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Known:
    """Return what one local run makes of the photos."""
    state = tmp_path_factory.mktemp("local") / "state"
    session_of(photos, state, None)
    return known(state)


def lifelong(photos: Path) -> Config:
    """Return a configuration that forgets nothing: a shard may be of few photos."""
    return for_folders([photos], Config(detection=Detection(memory=0)))


def session_of(
    photos: Path,
    state: Path,
    cluster: archive.Cluster | None,
    show: Any = without_progress,
) -> run_once.Ran:
    """Learn photos here, or on a cluster; write no copy."""
    config, ran = lifelong(photos), run_once.Ran()
    with Session(config, state, 1, lambda: None) as session:
        new = run_once.settled_photos(config, session, ran)
        rest = archive.learn(session, new, cluster, show) if cluster else new
        for done in session.take(rest, once=True):
            ran.outcomes[done.outcome] += 1
        for done in session.learning.all_at_once():
            ran.outcomes[done.outcome] += 1
    return ran


def test_two_workers_come_to_what_one_local_run_does(
    client: Client, photos: Path, locally: Known, tmp_path: Path
) -> None:
    """Several shards of each camera, merged two by two, and bad files among them."""
    cluster = archive.Cluster(client, str(tmp_path / "share"), 5)
    session_of(photos, tmp_path / "state", cluster)

    found = known(tmp_path / "state")
    check_same(found, locally)
    assert sorted(outcome for outcome, *_ in found.files.values()).count("image") == 60
    assert all(found.defects.values())
    for camera, state in found.states.items():
        other = locally.states[camera]
        np.testing.assert_allclose(state.mean, other.mean, rtol=TOLERANCE)
        np.testing.assert_allclose(state.m2, other.m2, rtol=TOLERANCE, atol=1e-2)
    assert list((tmp_path / "share").iterdir()) == []


def test_what_the_state_knows_is_not_learned_again(
    client: Client, photos: Path, tmp_path: Path
) -> None:
    """More photos, a known one under another name, then nothing new at all."""
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder, ignore=shutil.ignore_patterns("[01cs]*"))
    cluster = archive.Cluster(client, str(tmp_path / "share"), 10)
    session_of(folder, tmp_path / "state", cluster)
    for path in sorted(photos.glob("1_000[0-4].JPG")):
        shutil.copy(path, folder)
    shutil.copy(folder / "2_0001.JPG", folder / "known.JPG")
    session_of(folder, tmp_path / "state", cluster)
    session_of(folder, tmp_path / "local", None)

    found, expected = known(tmp_path / "state"), known(tmp_path / "local")
    first = str(folder / "2_0001.JPG")
    assert found.files[str(folder / "known.JPG")] == (
        "duplicate", "", found.files[first][2],
    )  # fmt: skip
    assert found.cameras == expected.cameras
    assert found.images.keys() == expected.images.keys()
    ran = session_of(folder, tmp_path / "state", cluster)
    assert not ran.outcomes
    check_same(known(tmp_path / "state"), found)


def during(label: str, act: Callable[[], None]) -> Callable[..., Iterator[Any]]:
    """Return a `show` that acts as a stage begins."""

    def show(items: Iterable[Any], total: int, name: str) -> Iterator[Any]:
        del total
        if name == label:
            act()
        yield from items

    return show


def test_a_worker_that_is_killed_loses_nothing(
    client: Client, photos: Path, locally: Known, tmp_path: Path
) -> None:
    killed = []

    def kill() -> None:
        pids = client.run(os.getpid)
        killed.append(min(pids.values()))
        os.kill(killed[0], signal.SIGKILL)

    cluster = archive.Cluster(client, str(tmp_path / "share"), 10)
    session_of(photos, tmp_path / "state", cluster, during("learning", kill))

    assert killed
    check_same(known(tmp_path / "state"), locally)


def test_a_file_that_vanishes_is_gone_and_costs_its_shard_nothing(
    client: Client, photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder, ignore=shutil.ignore_patterns("[02lcs]*"))
    vanishing, files = folder / "1_0007.JPG", len(list(folder.iterdir()))

    cluster = archive.Cluster(client, str(tmp_path / "share"), 10)
    session_of(
        folder, tmp_path / "state", cluster, during("learning", vanishing.unlink)
    )

    found = known(tmp_path / "state")
    assert str(vanishing) not in found.files
    assert len(found.files) == files - 1
    assert [photos for photos, *_ in found.cameras.values()] == [PHOTOS - 1]


def test_a_run_that_was_interrupted_goes_on_where_it_was(
    client: Client, photos: Path, tmp_path: Path
) -> None:
    """What was learned is in the storage: no worker does it again."""
    folder, state, share = tmp_path / "photos", tmp_path / "state", tmp_path / "share"
    shutil.copytree(photos, folder, ignore=shutil.ignore_patterns("[02lcs]*"))
    cluster = archive.Cluster(client, str(share), 10)
    times: list[set[tuple[str, int]]] = []

    def look() -> None:
        files = [(path.name, path.stat().st_mtime_ns) for path in share.glob("*.tar")]
        times.append(set(files))

    def interrupt() -> None:
        look()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session_of(folder, state, cluster, during("joining", interrupt))
    session_of(folder, state, cluster, during("joining", look))

    assert len(times[0]) >= 2
    assert times[0] <= times[1]
    assert [photos for photos, *_ in known(state).cameras.values()] == [PHOTOS]


def test_photos_that_no_worker_finds_are_no_lost_photos(
    client: Client, tmp_path: Path
) -> None:
    cluster = archive.Cluster(client, str(tmp_path / "share"))
    nowhere = tmp_path / "elsewhere" / "1.JPG"
    config = for_folders([tmp_path / "elsewhere"])
    with (
        Session(config, tmp_path / "state", 1, lambda: None) as session,
        pytest.raises(ClusterError, match="same paths on all machines"),
    ):
        archive.learn(session, [nowhere], cluster, without_progress)


def test_a_shard_in_memory_storage_is_a_state(photos: Path, tmp_path: Path) -> None:
    """A task is a function: it runs here as on a worker."""
    url, config = f"memory://{tmp_path.name}", for_folders([photos])
    paths = tuple(sorted(photos.glob("0_*.JPG")))
    shard = tasks.Shard("one", url, paths, config)

    assert tasks.learn(shard) == "one"
    (tmp_path / "found").mkdir()
    Storage(url).fetch("one", tmp_path / "found")

    found = known(tmp_path / "found")
    assert [photos for photos, *_ in found.cameras.values()] == [PHOTOS]
    assert not any(found.defects.values())
    assert logging.getLogger("hotpixeld").level != logging.CRITICAL


@dataclass
class Copies:
    """What was made of photos: the files, and what the ledger has of each."""

    files: dict[str, tuple[bytes, int]]
    rows: list[object]
    undo: list[object]


def copies_of(folder: Path, state: Path) -> Copies:
    ledger = Ledger(state_folder.ledger_file(state), read_only=True)
    run = ledger.connection.execute
    files = {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (folder / "repaired").rglob("*")
        if path.is_file()
    }
    rows = run("SELECT * FROM copies ORDER BY source").fetchall()
    undo = run(
        "SELECT source, copy, original, way FROM undo ORDER BY source"
    ).fetchall()
    ledger.close()
    return Copies(files, rows, undo)


def test_workers_write_the_copies_that_one_run_would(
    client: Client, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same bytes, times and records; another's file in a place is left alone."""
    folder, state = tmp_path / "photos", tmp_path / "state"
    shutil.copytree(photos, folder, ignore=shutil.ignore_patterns("[02]*", "spoiled*"))
    foreign = folder / "repaired/c_1_0004.JPG"
    foreign.parent.mkdir()
    foreign.write_text("another's")
    config = lifelong(folder)
    session_of(folder, state, None)
    with Session(config, state, 1, lambda: None) as session:
        for _ in session.repair(session.unrepaired(once=True)):
            pass
    expected = copies_of(folder, state)
    shutil.rmtree(folder / "repaired")
    foreign.parent.mkdir()
    foreign.write_text("another's")
    os.utime(foreign, ns=(expected.files[foreign.name][1],) * 2)
    shutil.rmtree(state)
    address, share = client.scheduler_info()["address"], str(tmp_path / "share")
    machines = ["--scheduler", address, "--state", str(state)]

    assert main(["learn", str(folder), "--storage", share, *machines]) == 0
    assert main(["repair", str(folder), *machines]) == 0

    assert len(expected.files) == PHOTOS
    assert expected == copies_of(folder, state)
    assert "1 left alone" in capsys.readouterr().out
    assert main(["repair", str(folder), *machines]) == 0
    assert "copies: none written; 19 copies in all" in capsys.readouterr().out


def test_no_scheduler_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(ClusterError, match="start one with `dask scheduler`"),
        scheduler.connected("tcp://127.0.0.1:9"),
    ):
        pass


def test_the_command_learns_a_camera_of_one_shard_to_the_bit(
    client: Client,
    photos: Path,
    locally: Known,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    share, state = tmp_path / "share", tmp_path / "state"
    machines = ["--scheduler", client.scheduler_info()["address"]]
    machines += ["--storage", str(share), "--shard-photos", str(PHOTOS)]
    code = main(["learn", str(photos), *machines, "--state", str(state)])
    out, err = capsys.readouterr()

    assert code == ExitCode.OK
    assert "60 folded" in out
    assert "3 failed" in out
    assert "joining: 4 of 4" in err
    assert not any(share.iterdir())
    found = known(state)
    check_same(found, locally)
    for camera, one in found.states.items():
        np.testing.assert_array_equal(one.mean, locally.states[camera].mean)
        np.testing.assert_array_equal(one.m2, locally.states[camera].m2)
