"""The daemon as a process: photos dropped in, signals, kill -9, and start again."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.cli import commands
from hotpixeld.cli.main import main
from hotpixeld.config.load import for_folders
from hotpixeld.engine.session import Session
from hotpixeld.errors import LedgerError
from hotpixeld.service.daemon import STOP, WAKE, Service
from hotpixeld.service.systemd import Notifier
from hotpixeld.store.state_folder import STATUS_NAME, runtime_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sensor import Sensor

DEADLINE = 30.0


class Daemon:
    """`hotpixeld run` on a folder, as a process."""

    def __init__(self, tmp_path: Path, *arguments: str) -> None:
        self.state = tmp_path / "state"
        self.log = tmp_path / "log"
        command = [sys.executable, "-m", "hotpixeld", "run", *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--state", str(self.state)], stderr=log
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def counts(self) -> dict[str, int]:
        try:
            photos: dict[str, int] = commands.status(self.state)["photos"]
        except LedgerError:
            return {}
        return photos

    def until(self, reached: Callable[[], bool], what: str) -> float:
        """Wait until something is so; return how long it took."""
        began = time.monotonic()
        while not reached():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - began < DEADLINE, (
                f"{what}\n{self.log.read_text()}"
            )
            time.sleep(0.02)
        return time.monotonic() - began

    def until_known(self, photos: int) -> None:
        def known() -> bool:
            counts = self.counts()
            return counts.get("folded", 0) + counts.get("pending", 0) == photos

        self.until(known, f"not {photos} photos: {self.counts()}")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start daemons on one state folder; none outlives the test."""
    started: list[Daemon] = []

    def start_one(*arguments: str | Path) -> Daemon:
        started.append(Daemon(tmp_path, *map(str, arguments)))
        return started[-1]

    yield start_one
    for daemon in started:
        daemon.stop(signal.SIGKILL)


def arrays(state: Path) -> tuple[np.ndarray, np.ndarray]:
    (mean,) = state.glob("cameras/*/*/mean.npy")
    return np.load(mean), np.load(mean.with_name("m2.npy"))


def arrive(sensor: Sensor, folder: Path, elsewhere: Path) -> int:
    """Let a photo arrive in each of the seven ways; return how many."""
    photos = sensor.write(elsewhere, 8)
    with (folder / "slow.jpg").open("wb") as file:
        data = photos[0].read_bytes()
        for start in range(0, len(data), len(data) // 4):
            file.write(data[start : start + len(data) // 4])
            file.flush()
            time.sleep(0.1)
    shutil.copy(photos[1], folder)
    photos[2].rename(folder / "renamed_in.jpg")
    shutil.copy(photos[3], folder / ".IMG_3.JPG.tmp")
    (folder / ".IMG_3.JPG.tmp").rename(folder / "IMG_3.JPG")
    (folder / "linked.jpg").hardlink_to(photos[4])
    (elsewhere / "card").mkdir()
    photos[5].rename(elsewhere / "card" / "a.jpg")
    photos[6].rename(elsewhere / "card" / "b.jpg")
    (elsewhere / "card").rename(folder / "card")
    deep = folder / "2024" / "03" / "01" / "raw"
    deep.mkdir(parents=True)
    shutil.copy(photos[7], deep)
    return 8


def test_photos_that_arrive_in_any_way_are_taken_once_each(
    start: Callable[..., Daemon], sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    daemon = start(folder)
    daemon.until(lambda: "watching" in daemon.log.read_text(), "no start")
    count = arrive(sensor, folder, tmp_path / "elsewhere")
    daemon.until_known(count)
    assert daemon.stop() == 0
    counts = daemon.counts()
    (camera,) = commands.status(daemon.state)["cameras"]

    assert counts["pending"] == count, "the first pass waits for 16"
    assert camera["photos"] == 0
    assert sum(counts.values()) == count
    again = start(folder)
    again.until(lambda: again.log.read_text().count("watching") == 2, "no second start")
    time.sleep(0.5)
    assert again.stop() == 0
    assert again.counts() == counts


def test_copies_come_by_themselves_from_the_pixel_list_and_the_map(
    start: Callable[..., Daemon], sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    listed = sensor.defects[0]
    config = tmp_path / "hotpixeld.yaml"
    config.write_text(
        f"folders: [{{path: {folder}, settle_seconds: 0.2}}]\n"
        f"cameras: [{{model: Model One, size: [280, 200],"
        f" pixels: [[{listed.col}, {listed.row}]]}}]\n"
    )
    daemon = start("--config", config)
    daemon.until(lambda: "watching" in daemon.log.read_text(), "no start")
    sensor.write(folder, 1)
    first = folder / "repaired" / "c_IMG_0000.JPG"
    took = daemon.until(first.exists, "no copy of the first photo")
    assert took < 0.2 + 2.0
    sensor.write(folder, 40)
    daemon.until_known(40)

    def repaired() -> bool:
        maps = next(daemon.state.glob("cameras/*/map.yaml"), None)
        return maps is not None and maps.read_text().count("x:") == 3

    daemon.until(repaired, "no map of the three defects")
    assert daemon.stop() == 0


def test_photos_that_come_one_after_the_other_are_folded_together(
    start: Callable[..., Daemon], sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    """In one pass, once no more come: each writes all of the camera's state."""
    photos = sensor.write(tmp_path / "elsewhere", 40)
    config = tmp_path / "hotpixeld.yaml"
    config.write_text(f"folders: [{{path: {folder}, settle_seconds: 0.6}}]\n")
    daemon = start("--config", config)
    for photo in photos:
        photo.rename(folder / photo.name)
        time.sleep(0.05)
    daemon.until_known(40)

    assert daemon.counts()["pending"] == 40
    published = runtime_folders(daemon.state, os.environ)[0] / STATUS_NAME
    assert json.loads(published.read_text())["daemon"]["busy"]
    daemon.until(lambda: daemon.counts()["folded"] == 40, "not folded")
    (manifest,) = daemon.state.glob("cameras/*/*/mean.npy")
    assert int(manifest.parent.name) == 1


@pytest.mark.slow
@pytest.mark.parametrize("after", [5, 30])
def test_kill_9_in_the_middle_ends_with_the_same_bits(
    start: Callable[..., Daemon],
    sensor: Sensor,
    folder: Path,
    tmp_path: Path,
    after: int,
) -> None:
    sensor.write(folder, 40)
    killed = start(folder, "--once", "--jobs", "1")

    def begun() -> bool:
        counts = killed.counts()
        return counts.get("pending", 0) + counts.get("folded", 0) >= after

    with contextlib.suppress(AssertionError):  # a fast machine may be done before
        killed.until(begun, "nothing folded")
    killed.stop(signal.SIGKILL)
    assert start(folder, "--once").process.wait(DEADLINE) == 0
    (camera,) = commands.status(killed.state)["cameras"]
    straight = tmp_path / "straight"
    straight.mkdir()
    shutil.rmtree(folder / "repaired", ignore_errors=True)
    whole = Daemon(straight, str(folder), "--once", "--jobs", "2")
    assert whole.process.wait(DEADLINE) == 0

    assert camera["photos"] == camera["folded"] == 40
    for one, other in zip(arrays(killed.state), arrays(whole.state), strict=True):
        np.testing.assert_array_equal(one, other)


class Requests(queue.SimpleQueue[str]):
    """A request comes while the first photo is under way; the next wait ends in a STOP."""

    def __init__(self) -> None:
        self.came = False
        self.waits: list[bool] = []

    def get(self, block: bool = True, timeout: float | None = None) -> str:
        if self.came:
            self.waits.append(block)
            return STOP
        if block:
            return super().get(timeout=timeout)
        self.came = True
        return WAKE


def test_a_request_that_comes_while_photos_are_under_way_is_not_slept_over(
    sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    (photo,) = sensor.write(folder, 1)
    os.utime(photo, (0, 0))  # settled long ago
    config = for_folders([folder])
    requests, notifier, state = Requests(), Notifier(), tmp_path / "state"
    with Session(config, state, 1, notifier.progress) as session:
        Service(lambda: config, session, requests, notifier).run()
        counts = session.ledger.images.counts()

    assert counts["pending"] == 1
    assert requests.waits == [False]


def test_a_reload_watches_a_new_folder_and_refuses_a_broken_file(
    start: Callable[..., Daemon], sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    second.mkdir()
    config = tmp_path / "hotpixeld.yaml"
    config.write_text(f"folders: [{{path: {folder}, settle_seconds: 0.2}}]\n")
    daemon = start("--config", config)
    daemon.until(lambda: "watching 1" in daemon.log.read_text(), "no start")
    config.write_text("folders: [{pth: /nowhere}]\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: "did you mean" in daemon.log.read_text(), "fault not named")
    config.write_text(
        f"folders: [{{path: {folder}, settle_seconds: 0.2}},"
        f" {{path: {second}, settle_seconds: 0.2}}]\n"
    )
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: "watching 2" in daemon.log.read_text(), "no reload")
    sensor.write(second, 4)
    daemon.until_known(4)

    assert daemon.stop() == 0


def test_a_broken_configuration_at_start_has_its_own_exit_code(
    start: Callable[..., Daemon], tmp_path: Path
) -> None:
    config = tmp_path / "hotpixeld.yaml"
    config.write_text("fodlers: []\n")

    assert start("--config", config).process.wait(DEADLINE) == 78


def test_a_second_daemon_is_refused_and_names_the_first(
    start: Callable[..., Daemon], folder: Path
) -> None:
    first = start(folder)
    first.until(lambda: "watching" in first.log.read_text(), "no start")
    second = start(folder)

    assert second.process.wait(DEADLINE) == 4
    assert f"process {first.process.pid}" in second.log.read_text()


def test_the_daemon_publishes_its_status(
    start: Callable[..., Daemon], sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    daemon = start(folder)
    (runtime, *_) = runtime_folders(
        daemon.state, {"RUNTIME_DIRECTORY": str(tmp_path / "runtime")}
    )
    published = runtime / STATUS_NAME
    daemon.until(published.exists, "nothing published")
    sensor.write(folder, 5)
    daemon.until(
        lambda: json.loads(published.read_text())["photos"]["pending"] == 5, "no news"
    )
    found = json.loads(published.read_text())

    assert found["daemon"]["pid"] == daemon.process.pid
    assert found["state"] == str(daemon.state)
    assert published.stat().st_mode & 0o004
    assert daemon.stop(signal.SIGINT) == 0
    assert not published.exists()


@pytest.fixture
def manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], list[dict[str, str]]]]:
    """Return what hears, as a service manager does, up to what holds a name."""
    pytest.importorskip("systemd", reason="systemd-python is not installed")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(DEADLINE)

        def hear(name: str) -> list[dict[str, str]]:
            heard: list[dict[str, str]] = []
            while not (heard and name in str(heard[-1])):
                lines = listening.recv(4096).decode().splitlines()
                heard.append(dict(line.split("=", 1) for line in lines))
            return heard

        yield hear


def test_a_service_manager_is_told_of_everything_in_its_order(
    start: Callable[..., Daemon],
    manager: Callable[[str], list[dict[str, str]]],
    sensor: Sensor,
    folder: Path,
    tmp_path: Path,
) -> None:
    config = tmp_path / "hotpixeld.yaml"
    good = (
        f"folders: [{{path: {folder}, settle_seconds: 0.2}}]\n"
        "detection: {min_photos: 4}\n"
    )
    config.write_text(good)
    daemon = start("--config", config)
    at_start = manager("READY")
    assert "watching 1 folder" in daemon.log.read_text()
    sensor.write(folder, 4)
    at_work = manager("last map")
    config.write_text("fodlers: []\n")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.process.send_signal(signal.SIGHUP)
    at_reload = manager("RELOADING") + manager("READY")
    refused = manager("STATUS")
    sensor.write(folder, 1, start=4)
    manager("IMG_0004")
    daemon.process.send_signal(signal.SIGTERM)
    at_stop = manager("STOPPING")

    assert [one for one in at_start[:-1] if "STATUS" not in one] == []
    assert {"WATCHDOG": "1"} in at_work
    last = at_work[-1]["STATUS"]
    assert last.startswith("1 folder, 0 photos waiting, last photo: pending IMG_0003")
    assert re.search(r", last map: maker-model-one-.*, \d defects$", last)
    reloading = next(one for one in at_reload if "RELOADING" in one)
    assert int(reloading["MONOTONIC_USEC"]) >= before
    assert "configuration refused: " in refused[-1]["STATUS"]
    assert int(at_stop[-1]["EXTEND_TIMEOUT_USEC"]) > 0
    assert daemon.process.wait(DEADLINE) == 0
    assert (daemon.counts()["folded"], daemon.counts()["pending"]) == (4, 1)


def test_the_commands_work_beside_a_running_daemon(
    start: Callable[..., Daemon], sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    daemon = start(folder)
    (photo, *_) = sensor.write(folder, 5)
    daemon.until_known(5)
    state, listed = ["--state", str(daemon.state)], sensor.defects[0]
    copies = [
        "--pixel",
        f"{listed.col},{listed.row}",
        "--output",
        str(tmp_path / "out"),
    ]

    assert main(["status", *state]) == 0
    assert main(["map", *state]) == 0
    assert main(["history", *state]) == 0
    assert main(["repair", str(photo), *copies, *state]) == 0
    assert (tmp_path / "out" / f"c_{photo.name}").exists()
    assert daemon.stop() == 0
    assert daemon.counts()["pending"] == 5


def test_a_folder_for_copies_that_cannot_be_written_costs_no_photo(
    start: Callable[..., Daemon], sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    listed = sensor.defects[0]
    (folder / "repaired").write_text("a file where the folder should be")
    config = tmp_path / "hotpixeld.yaml"
    config.write_text(
        f"folders: [{{path: {folder}, settle_seconds: 0.2}}]\n"
        f"cameras: [{{model: Model One, size: [280, 200],"
        f" pixels: [[{listed.col}, {listed.row}]]}}]\n"
    )
    daemon = start("--config", config)
    sensor.write(folder, 5)
    daemon.until_known(5)

    assert daemon.stop() == 0
    assert daemon.counts()["pending"] == 5
    assert "its copy waits: " in daemon.log.read_text()
    assert os.path.isfile(folder / "repaired")  # noqa: PTH113 - untouched
