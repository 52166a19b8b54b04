"""The undo records: found by the copy's bytes, dropped with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hotpixeld.store.ledger import Ledger
from hotpixeld.store.undo_records import KEPT, UndoRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE, OTHER = Path("/photos/caf\udce9.jpg"), Path("/photos/2.jpg")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def record(source: Path, number: int, way: bytes = b"way") -> UndoRecord:
    return UndoRecord(source, f"{number:064x}", f"{number + 1:064x}", way)


def test_a_record_comes_back_by_the_copys_hash(ledger: Ledger) -> None:
    ledger.undo.record(record(SOURCE, 5))

    assert ledger.undo.find(f"{5:064x}") == record(SOURCE, 5)
    assert ledger.undo.find(f"{6:064x}") is None


def test_the_same_copy_again_takes_the_records_place(ledger: Ledger) -> None:
    ledger.undo.record(record(SOURCE, 5))
    ledger.undo.record(record(SOURCE, 5, b"another"))
    (count,) = ledger.connection.execute("SELECT count(*) FROM undo").fetchone()

    assert count == 1
    assert ledger.undo.find(f"{5:064x}") == record(SOURCE, 5, b"another")


def test_the_newest_records_of_a_source_are_kept(ledger: Ledger) -> None:
    ledger.undo.record(record(OTHER, 5))
    for number in range(20, 20 + KEPT + 2):
        ledger.undo.record(record(SOURCE, number))
    ledger.undo.record(record(SOURCE, 22, b"again"))
    ledger.undo.record(record(SOURCE, 99))

    kept = [n for n in range(20, 20 + KEPT + 2) if ledger.undo.find(f"{n:064x}")]
    assert kept == [22, *range(24, 20 + KEPT + 2)]
    assert ledger.undo.find(f"{99:064x}") == record(SOURCE, 99)
    assert ledger.undo.find(f"{5:064x}") == record(OTHER, 5)
