"""Photos that a process died of: marked while they are decoded, tried before again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from hotpixeld.engine import decode_trial
from hotpixeld.store import hazards
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sensor import Sensor

ONE, TWO = f"{1:064x}", f"{2:064x}"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    ledger.hazards.open()
    yield ledger
    ledger.close()


def after_a_crash(ledger: Ledger) -> hazards.Hazards:
    """Return the hazards as a process finds them whose predecessor just died."""
    marks = ledger.path.with_name("under-way")
    found = hazards.Hazards(ledger.connection, ledger.transaction, marks)
    found.open()
    return found


def test_what_was_under_way_in_a_crash_is_tried_once(ledger: Ledger) -> None:
    tried: list[bytes] = []

    def try_out(data: bytes) -> str:
        tried.append(data)
        return "crashes the decoder (SIGSEGV)" if data == b"bad" else ""

    with ledger.hazards.under_way(ONE), ledger.hazards.under_way(TWO):
        found = after_a_crash(ledger)

    for _ in range(2):
        assert (
            found.reason(ONE, partial(try_out, b"bad"))
            == "crashes the decoder (SIGSEGV)"
        )
        assert found.reason(TWO, partial(try_out, b"good")) == ""
    assert tried == [b"bad", b"good"]
    found.close()


def test_what_was_done_is_not_suspect(ledger: Ledger) -> None:
    with ledger.hazards.under_way(ONE):
        pass
    found = after_a_crash(ledger)

    def fail() -> str:
        pytest.fail("tried for nothing")

    assert found.reason(ONE, fail) == ""
    found.close()


def test_a_crash_in_the_trial_itself_leaves_it_to_be_tried(ledger: Ledger) -> None:
    with ledger.hazards.under_way(ONE):
        after_a_crash(ledger).close()
    again = after_a_crash(ledger)  # and this one died before it could try
    (row,) = ledger.connection.execute("SELECT identity, reason FROM hazards")

    assert row == (bytes.fromhex(ONE), "")
    again.close()


def test_a_photo_that_cannot_be_marked_is_decoded_all_the_same(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with ledger.hazards.under_way(ONE):
        done = True

    assert done


def test_a_sound_photo_and_a_broken_one_pass_the_trial(
    sensor: Sensor, folder: Path
) -> None:
    (photo,) = sensor.write(folder, 1)

    assert decode_trial.reason(photo.read_bytes()) == ""
    assert decode_trial.reason(b"no photo at all") == ""


def test_a_trial_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_trial, "SECONDS", 0.01)

    assert decode_trial.reason(b"") == "takes longer than 0 s to decode"


def test_a_trial_that_dies_says_of_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\nkill -BUS $$\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(interpreter))

    assert decode_trial.reason(b"photo") == "crashes the decoder (SIGBUS)"
