"""What the state folder takes, and whether a pass has room."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from hotpixeld.statistics.generation import generation_bytes
from hotpixeld.store import disk_room, state_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.engine.session import Session
    from sensor import Sensor

HEIGHT, WIDTH = 3000, 4000


def allocated(folder: Path) -> int:
    """Return what `du` says of a folder."""
    paths = [folder, *folder.rglob("*")]
    return sum(path.lstat().st_blocks for path in paths) * 512


def test_a_folder_counts_with_all_below_it_and_no_link_is_followed(
    tmp_path: Path,
) -> None:
    (tmp_path / "outside").write_bytes(bytes(1 << 20))
    folder = tmp_path / "state"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "file").write_bytes(bytes(100_000))
    (folder / "link").symlink_to(tmp_path)

    assert 100_000 <= disk_room.used(folder) < 1 << 20
    assert disk_room.used(folder) == allocated(folder)
    assert disk_room.used(folder / "gone") == 0


def test_a_pass_needs_a_generation_and_what_the_ledger_takes() -> None:
    state = generation_bytes(HEIGHT, WIDTH)

    assert disk_room.needed(HEIGHT, WIDTH) == state + disk_room.LEDGER_RESERVE


@pytest.mark.parametrize("short", [0, 1])
def test_too_little_room_is_told_with_its_place_and_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    wanted = disk_room.needed(HEIGHT, WIDTH)
    status = SimpleNamespace(f_bavail=wanted - short, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _: status)
    if not short:
        disk_room.check(tmp_path, HEIGHT, WIDTH)
        return
    with pytest.raises(OSError, match="no room for the next generation") as caught:
        disk_room.check(tmp_path, HEIGHT, WIDTH)

    assert caught.value.errno == errno.ENOSPC
    assert f"{wanted} bytes needed, {wanted - 1} bytes free" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_each_camera_counts_its_folder_and_its_pending_photos(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    session = open_session()
    for _ in session.take(sensor.write(folder, 18)[:16]):
        pass
    list(session.learning.all_at_once())
    for _ in session.take(sorted(folder.glob("*.JPG"))[16:]):
        pass
    (record,) = session.ledger.images.cameras()
    camera, spool = record.camera.id, state_folder.spool(session.folder)
    (spool / "foreign").write_bytes(bytes(9000))
    found = disk_room.use(session.folder, session.ledger)

    kept = [path for path in spool.iterdir() if path.name != "foreign"]
    assert len(kept) == 2
    assert found.spool == {camera: sum(map(allocated, kept))}
    assert found.folders == {
        camera: allocated(state_folder.camera_folder(session.folder, camera))
    }
    assert found.folders[camera] > generation_bytes(200, 280)
    assert found.total == allocated(session.folder)
