"""The ledger's copies that are not current: at former places, or made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hotpixeld.store.copies import Copy
from hotpixeld.store.ledger import Ledger
from hotpixeld.store.undo_records import KEPT, UndoRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path("/photos/1.jpg")


def sha(number: int) -> str:
    return f"{number:064x}"


FORMER = Copy(
    SOURCE,
    Path("/old/c_1.jpg"),
    "former",
    sha256=sha(1),
    identity=sha(2),
    original=sha(3),
    pixels=((4, 5),),
    method="lossless",
    rewrites=2,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def test_a_former_copy_is_kept_by_its_place(ledger: Ledger) -> None:
    others = ledger.other_copies
    others.record(FORMER)

    assert others.find(FORMER.target) == FORMER
    assert others.find(SOURCE) is None
    assert others.of(SOURCE) == others.former() == [FORMER]
    assert others.count_former() == 1
    assert ledger.copies.find(SOURCE) is None
    others.forget(FORMER.target)
    assert others.find(FORMER.target) is None
    assert others.count_former() == 0


def test_former_copies_are_own_and_edited_ones_apart(ledger: Ledger) -> None:
    edited = replace(FORMER, target=Path("/old/c_2.jpg"), condition="edited")
    by_hand = replace(
        FORMER, target=Path("/desk/c_1.jpg"), condition="by hand", identity=sha(9)
    )
    for copy in (FORMER, edited, by_hand):
        ledger.other_copies.record(copy)

    assert ledger.other_copies.former() == [FORMER]
    assert ledger.other_copies.edited(9) == [edited]
    assert ledger.copies.is_own(sha(2))
    assert ledger.copies.is_own(sha(9))
    assert not ledger.copies.is_own(sha(3)), "the photo itself"
    same = replace(FORMER, target=Path("/old/c_3.jpg"), identity=sha(3))
    ledger.other_copies.record(same)
    ledger.copies.record(replace(same, condition="written"))
    assert same.is_plain
    assert not ledger.copies.is_own(sha(3)), "no bit was changed"


def test_the_way_back_from_a_former_copy_is_kept(ledger: Ledger) -> None:
    ledger.other_copies.record(FORMER)
    for number in (1, 7, *range(20, 20 + KEPT)):
        ledger.undo.record(UndoRecord(SOURCE, sha(number), sha(8), b"way"))

    assert ledger.undo.find(sha(1)) is not None
    assert ledger.undo.find(sha(7)) is None


def test_the_places_are_those_of_the_last_configuration(ledger: Ledger) -> None:
    one = (Path("/a"), Path("/a/repaired"), "c_{name}")
    two = (Path("/b\udcff"), Path("/out"), "{name}")
    for places in ([one, two], [two]):
        with ledger.transaction():
            ledger.other_copies.set_places(places)

        assert ledger.other_copies.places() == places


def test_a_renamed_path_is_due_and_takes_the_place_of_what_was_there(
    ledger: Ledger,
) -> None:
    new = Path("/photos/2.jpg")
    ledger.paths.record(SOURCE, "failed", reason="torn")
    ledger.paths.set_repaired_with(SOURCE, "v")
    ledger.paths.record(new, "skipped", reason="no photo")
    with ledger.transaction():
        ledger.paths.rename(SOURCE, new)
    renamed = ledger.paths.find(new)

    assert ledger.paths.find(SOURCE) is None
    assert renamed is not None
    assert (renamed.reason, renamed.repaired_with) == ("torn", None)
    assert ledger.paths.counts()["failed"] == 1
    assert ledger.paths.counts()["skipped"] == 0


def test_what_was_skipped_is_forgotten_in_one_folder_only(ledger: Ledger) -> None:
    inside = [Path("/out/1.jpg"), Path("/out/a/b/1.jpg")]
    outside = [Path("/out.jpg"), Path("/out0/1.jpg"), Path("/outer/1.jpg")]
    for path in inside + outside:
        ledger.paths.record(path, "skipped")
    ledger.paths.record(Path("/out/2.jpg"), "failed")
    ledger.paths.forget_skipped(Path("/out"))

    assert [ledger.paths.find(path) for path in inside] == [None, None]
    assert all(ledger.paths.find(path) for path in outside)
    assert ledger.paths.find(Path("/out/2.jpg"))
