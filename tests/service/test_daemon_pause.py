"""The pause of a daemon whose disk is full: logged once, until it works again."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import pytest

from hotpixeld.config.load import for_folders
from hotpixeld.engine.session import Session
from hotpixeld.errors import CheckpointError, LedgerError
from hotpixeld.service.daemon import PAUSE_SECONDS, STOP, Pause, Service
from hotpixeld.service.systemd import Notifier

if TYPE_CHECKING:
    from pathlib import Path


def test_a_fault_is_logged_once_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    pause = Pause(lambda: now)
    pause.end()
    for fault in (OSError(28, "No space left on device"), LedgerError("disk is full")):
        with pause.guarding():
            raise fault
    assert pause.rests()
    now += PAUSE_SECONDS
    assert not pause.rests()
    assert pause.fault == "disk is full"
    pause.end()
    pause.end()

    full = "No space left on device: free some space there, or name a folder on another"
    assert pause.fault == ""
    assert [one.getMessage() for one in caplog.records] == [
        f"paused, tried again every 30 s: {full} disk",
        "resumed",
    ]


def test_what_is_not_the_disks_fault_goes_through() -> None:
    pause = Pause(lambda: 0.0)
    with pytest.raises(CheckpointError), pause.guarding():
        raise CheckpointError("damaged")

    assert pause.fault == ""


class Requests(queue.SimpleQueue[str]):
    """Ends the daemon when it waits for the first time."""

    def __init__(self) -> None:
        self.waited: list[float | None] = []

    def get(self, block: bool = True, timeout: float | None = None) -> str:
        self.waited.append(timeout if block else 0)
        return STOP

    def get_nowait(self) -> str:
        raise queue.Empty


def test_a_paused_daemon_does_not_wake_for_a_pass_that_waits_for_more_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    config, requests, notifier = for_folders([folder]), Requests(), Notifier()
    with Session(config, tmp_path / "state", 1, notifier.progress) as session:

        def fail(*, coming: bool) -> None:
            session.learning.waits = not coming
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(session.learning, "keep_up", fail)
        Service(lambda: config, session, requests, notifier).run()

    (waited,) = requests.waited
    assert waited is not None
    assert waited > 1
