"""Memory: who may have how much of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import control_group
import steps
from hotpixeld.config.model import CameraConfig
from hotpixeld.engine import copy_writer
from hotpixeld.engine.memory import BASE, LEAST_BESIDE, Memory
from hotpixeld.engine.repair_pass import Job, _UnderWay
from hotpixeld.repair.pixel_list import PixelList

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotpixeld.config.model import Config
    from hotpixeld.engine.copy_writer import RepairResult
    from hotpixeld.engine.session import Session
    from hotpixeld.photo.photo_file import Photo
    from sensor import Sensor

    Open = Callable[..., Session]

LIMIT = 300_000_000

HEAP = """
from pathlib import Path

from hotpixeld.engine.memory import give_back, share_one_heap


def megabytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("RssAnon")][0] / 1e3


def freed(size, count):
    both = [(b"." * size, b"." * 10_000) for _ in range(count)]
    return [small for _, small in both]


share_one_heap()
print(megabytes())
large = freed(24_000_000, 8)
print(megabytes())
small = freed(4_000_000, 48)
give_back()
print(megabytes())
"""
"""Frees blocks that have small ones between them, which stay."""


@pytest.mark.parametrize("megabytes", [1, 4, 20, 50, 90])
@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_a_pass_and_the_photos_beside_it_fit_together(
    megabytes: int, jobs: int
) -> None:
    memory = Memory(LIMIT, megabytes * 10**6, jobs)

    assert memory.of_pass + memory.beside == LIMIT - BASE
    assert memory.of_pass >= LEAST_BESIDE
    assert 1 <= memory.at_once <= jobs


def test_beside_a_pass_there_is_room_for_the_largest_photo_seen() -> None:
    memory = Memory(LIMIT, 4_000_000, 2)
    small = memory.of_pass
    memory.note(30_000_000)

    assert memory.of_pass < small
    memory.upkeep, memory.photos = memory.of_pass, memory.of_file(30_000_000)
    assert memory.has_room()
    memory.photos += 1
    assert not memory.has_room()


def test_no_pass_begins_beside_a_photo_that_has_nearly_everything() -> None:
    memory = Memory(LIMIT, 4_000_000, 2)
    memory.photos = memory.work - LEAST_BESIDE + 1

    assert memory.of_pass == 0
    memory.photos = 0
    assert memory.of_pass > 0


def test_what_is_freed_between_blocks_that_stay_is_there_for_others() -> None:
    """Files of 24 MB left 220 MB of holes, beside which a pass took what it may."""
    out = subprocess.check_output([sys.executable, "-c", HEAP], text=True)
    before, after_large, after_small = (float(line) for line in out.split())

    assert after_large - before < 10
    assert after_small - before < 10


def test_coefficients_of_several_scans_are_held_one_photo_at_a_time() -> None:
    memory, done = Memory(LIMIT, 0, 2), threading.Event()

    def other() -> None:
        with memory.holding(1):
            done.set()

    with memory.holding(1):
        thread = threading.Thread(target=other)
        thread.start()
        with memory.holding(0):
            assert not done.wait(0.05)
    thread.join()
    assert done.is_set()


def test_without_room_for_two_photos_they_are_repaired_one_by_one_in_their_order(
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = sensor.write(folder, 6)
    entry = CameraConfig.model_validate({"make": None, "pixels": ((9, 5),)})
    session = open_session(config.model_copy(update={"cameras": (entry,)}))
    session.maps.earlier.memory.work = 1
    under_way: list[Path] = []
    most = 0
    repair = copy_writer.repair

    def watched(source: Photo, *args: Any, **kwargs: Any) -> RepairResult:
        nonlocal most
        under_way.append(source.path)
        most = max(most, len(under_way))
        try:
            return repair(source, *args, **kwargs)
        finally:
            under_way.remove(source.path)

    monkeypatch.setattr(copy_writer, "repair", watched)
    done = list(session.take(photos))

    assert [(one.path, one.outcome) for one in done] == [
        (path, "pending") for path in photos
    ]
    assert len(list((folder / "repaired").iterdir())) == 6
    assert most == 1


def test_a_photo_without_room_beside_a_pass_ends_it_and_all_are_folded_later(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 17)
    session = open_session()
    list(session.take(photos[:16]))
    session.learning.yield_to_repairs(now=True)
    session.learning.keep_up()
    before = session.learning.is_busy
    share = session.maps.earlier.memory
    work, share.work = share.work, 1
    (done,) = session.take(photos[16:])
    share.work = work

    assert (before, session.learning.is_busy) == (True, False)
    assert done.outcome == "pending"
    assert share.upkeep == 0
    (record,) = session.ledger.images.cameras()
    while session.ledger.images.counts(record.camera.id)["pending"]:
        steps.fold(session, record.camera.id)
    assert session.ledger.images.counts(record.camera.id)["folded"] == 17


def test_what_is_given_up_is_not_read_and_not_repaired() -> None:
    memory, reading = Memory(LIMIT, 0, 2), Future[Job]()
    under_way = _UnderWay(memory)
    listed = Job(Path("b.jpg"), pixels=PixelList((), (), ""), bytes=7)
    under_way.read.append((Job(Path("a.jpg"), bytes=5), reading))
    under_way.repaired.append((listed, Future[Job]()))
    assert under_way.has_room(Job(Path("c.jpg"), bytes=1))
    assert memory.photos == 13
    under_way.give_up()

    assert reading.cancelled()
    assert listed.pixels is None
    assert memory.photos == 0


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make control groups")
def test_512_mb_and_one_processor_are_enough_for_photos_of_12_megapixels(
    tmp_path: Path,
) -> None:
    """And the limit is a real one: with 30 MB the kernel kills the same command."""
    x, y = control_group.write_large_photos(tmp_path / "photos", 4)
    listed = [{"make": "Maker", "size": [4000, 3000], "pixels": [[x, y]]}]
    settings = tmp_path / "hotpixeld.json"
    folders = [{"path": str(tmp_path / "photos")}]
    settings.write_text(json.dumps({"folders": folders, "cameras": listed}))
    command = [sys.executable, "-m", "hotpixeld", "run", "--once", "--config"]
    command += [str(settings), "--state", str(tmp_path / "state")]
    try:
        starved = control_group.on_a_small_machine(command, 30 << 20)
    except OSError as error:
        pytest.skip(f"no control groups with memory: {error}")
    done = control_group.on_a_small_machine(command)
    copies = sorted(path.name for path in (tmp_path / "photos").rglob("c_*"))

    assert (starved.status, starved.kills) == (-9, 1)
    assert (done.status, done.kills) == (0, 0), done.output
    assert "photos: 4 folded" in done.output, done.output
    assert copies == [f"c_IMG_000{number}.JPG" for number in range(4)]
