"""The pause of a daemon whose disk is full: logged once, until it works again."""

from __future__ import annotations

import pytest

from hotpixeld.errors import CheckpointError, LedgerError
from hotpixeld.service.daemon import PAUSE_SECONDS, Pause


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
