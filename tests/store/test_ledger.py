"""The ledger and its tables: what is committed together, and what a newer one means."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

from hotpixeld.camera import Camera
from hotpixeld.defect import Defect, Kind
from hotpixeld.errors import LedgerError
from hotpixeld.files import Signature
from hotpixeld.messages import EventKind
from hotpixeld.statistics.generation import Counts
from hotpixeld.store import ledger as store_ledger
from hotpixeld.store.copies import Copy
from hotpixeld.store.images import Taken
from hotpixeld.store.ledger import Ledger

CAMERA = Camera("Maker", "One", "0123", 70, 50)
VERSION_1 = (Path(__file__).parent / "ledger_v1.sql").read_text()
CONTENT = (
    "INSERT INTO cameras (id, make, model, serial, width, height, sequence,"
    " generation, folded_to, photos, weight) VALUES"
    " ('c', 'Maker', 'One', '1', 70, 50, 2, 4, 1, 1, 1.0);"
    "INSERT INTO images VALUES (1, x'01', 'c', 1, 'folded', NULL),"
    " (2, x'02', 'c', 2, 'pending', NULL);"
    "INSERT INTO paths (folder, name, outcome, image) VALUES"
    " (x'2f', x'61', 'image', 1), (x'2f', x'62', 'failed', NULL);"
    "INSERT INTO copies (source, target, condition, method) VALUES"
    " (x'2f61', x'2f62', 'written', 'lossless');"
    "INSERT INTO defects VALUES ('c', 1, 2, '{}');"
)
NOON = dt.datetime(2024, 3, 1, 12)
SEEN = Signature(inode=7, size=1000, mtime_ns=1, ctime_ns=2)


def identity(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def admit(ledger: Ledger, *numbers: int) -> None:
    with ledger.transaction():
        for number in numbers:
            when = NOON + dt.timedelta(minutes=number)
            image = ledger.images.admit(identity(number), CAMERA, Taken(when), 9.0)
            path = Path(f"/photos/{number}.jpg")
            ledger.paths.record(path, "image", image=image.id, signature=SEEN)


def test_images_are_pending_in_their_cameras_sequence(ledger: Ledger) -> None:
    admit(ledger, 3, 1, 2)
    pending = ledger.images.pending(CAMERA.id)

    assert [image.sequence for image in pending] == [1, 2, 3]
    assert [image.identity for image in pending] == [*map(identity, (3, 1, 2))]
    assert pending[0].captured == NOON + dt.timedelta(minutes=3)
    assert ledger.images.find(identity(1)) == pending[1]
    assert ledger.images.find(identity(9)) is None


def test_a_checkpoint_marks_what_it_holds_and_no_more(ledger: Ledger) -> None:
    admit(ledger, 1, 2, 3)
    with ledger.transaction(durable=True):
        ledger.images.commit_generation(CAMERA.id, Counts(2, 2.0), sequence=2)
    record = ledger.images.camera(CAMERA.id)

    assert record is not None
    assert record.camera == CAMERA
    assert (record.generation, record.photos, record.weight) == (1, 2, 2.0)
    assert (record.sequence, record.folded_to) == (3, 2)
    assert ledger.images.counts() == {
        "folded": 2,
        "pending": 1,
        "lost": 0,
        "forgotten": 0,
    }
    assert [one.sequence for one in ledger.images.pending(CAMERA.id)] == [3]


def test_a_failed_transaction_leaves_nothing(ledger: Ledger) -> None:
    def interrupted() -> None:
        with ledger.transaction():
            ledger.images.admit(identity(1), CAMERA, Taken(), 9.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert ledger.images.find(identity(1)) is None


def test_the_first_of_the_pending_tells_since_when(ledger: Ledger) -> None:
    assert ledger.images.pending_since(CAMERA.id) is None
    with ledger.transaction():
        for number, when in ((1, 30.0), (2, 20.0)):
            ledger.images.admit(identity(number), CAMERA, Taken(), when)
        ledger.images.mark_lost(ledger.images.pending(CAMERA.id)[1])

    assert ledger.images.pending_since(CAMERA.id) == 30.0


def test_an_image_keeps_how_it_was_taken(ledger: Ledger) -> None:
    taken = Taken(NOON, 0.01, 200, 35.0)
    with ledger.transaction():
        ledger.images.admit(identity(1), CAMERA, taken, 9.0)
    found = ledger.images.find(identity(1))

    assert found is not None
    assert found.taken == taken


def test_a_lost_image_may_come_back(ledger: Ledger) -> None:
    admit(ledger, 1, 2)
    first = ledger.images.pending(CAMERA.id)[0]
    with ledger.transaction():
        ledger.images.mark_lost(first)
    assert ledger.images.counts()["lost"] == 1
    admit(ledger, 1)
    pending = ledger.images.pending(CAMERA.id)

    assert [(one.identity, one.sequence) for one in pending] == [
        (identity(2), 2),
        (identity(1), 3),
    ]


def test_forgetting_since_a_day_leaves_the_earlier_pending(ledger: Ledger) -> None:
    admit(ledger, 1, 2, 3)
    since = NOON + dt.timedelta(minutes=2)
    with ledger.transaction():
        ledger.images.commit_generation(CAMERA.id, Counts(3, 3.0), sequence=3)
        ledger.images.forget(CAMERA.id, since)
    counts = ledger.images.counts(CAMERA.id)
    record = ledger.images.camera(CAMERA.id)

    assert (counts["pending"], counts["forgotten"]) == (1, 2)
    assert record is not None
    assert (record.generation, record.photos) == (0, 0)


def test_what_is_learned_again_is_taken_as_new_perhaps_of_another_camera(
    ledger: Ledger,
) -> None:
    other = replace(CAMERA, serial="anna")
    admit(ledger, 1, 2, 3)
    with ledger.transaction():
        ledger.images.commit_generation(CAMERA.id, Counts(3, 3.0), sequence=3)
        images = ledger.images.of_camera(CAMERA.id)
        ledger.images.relearn(CAMERA.id, [one.id for one in images[:2]])
    outcomes = [one.outcome for one in ledger.images.of_camera(CAMERA.id)]
    with ledger.transaction():
        again = [
            ledger.images.admit(identity(number), other, Taken(), 0.0)
            for number in (2, 1)
        ]

    assert outcomes == ["lost", "lost", "pending"]
    assert [one.id for one in again] == [images[1].id, images[0].id]
    assert all(one.is_unlearned for one in again)
    assert [one.sequence for one in ledger.images.pending(other.id)] == [1, 2]
    assert ledger.images.counts(CAMERA.id)["pending"] == 1
    with ledger.transaction():
        ledger.images.relearn(CAMERA.id, [images[2].id])
        ledger.images.admit(identity(3), other, Taken(), 0.0)
    assert ledger.images.camera(CAMERA.id) is None, "it has no photo left"


def test_paths_keep_names_that_are_not_utf8(ledger: Ledger) -> None:
    path = Path("/photos/caf\udce9\n.jpg")
    ledger.paths.record(path, "failed", reason="no JPEG", signature=SEEN)
    record = ledger.paths.find(path)

    assert record is not None
    assert (record.path, record.signature) == (path, SEEN)
    assert ledger.paths.settled_in(path.parent) == {path.name: SEEN}


def test_waiting_paths_are_looked_at_again(ledger: Ledger) -> None:
    path = Path("/photos/a.jpg")
    ledger.paths.record(path, "waiting", reason="truncated", signature=SEEN)

    assert ledger.paths.settled_in(path.parent) == {}
    assert ledger.paths.counts()["waiting"] == 1
    assert [one.reason for one in ledger.paths.with_reason(9)] == ["truncated"]


def test_photos_are_due_for_repair_until_held_against_the_list(ledger: Ledger) -> None:
    admit(ledger, 1, 2)
    one, two = Path("/photos/1.jpg"), Path("/photos/2.jpg")
    ledger.paths.set_repaired_with(one, "v1")

    def due(version: str, *, past: bool) -> list[Path]:
        found = ledger.paths.to_repair({CAMERA.id: version}, past=past)
        return [path for path, _ in found]

    assert due("v1", past=True) == [two]
    assert due("v2", past=True) == [one, two]
    assert due("v2", past=False) == [two]


def test_another_image_at_a_path_is_due_again(ledger: Ledger) -> None:
    admit(ledger, 1, 2)
    path = Path("/photos/1.jpg")
    ledger.paths.set_repaired_with(path, "v1")
    record, other = ledger.paths.find(path), ledger.images.find(identity(2))
    assert record is not None
    assert other is not None
    ledger.paths.record(path, "image", image=record.image, signature=SEEN)
    assert ledger.paths.to_repair({CAMERA.id: "v1"}, past=True) == [
        (Path("/photos/2.jpg"), "v1")
    ]
    ledger.paths.record(path, "duplicate", image=other.id, signature=SEEN)

    assert len(ledger.paths.to_repair({CAMERA.id: "v1"}, past=True)) == 2


def test_what_is_gone_is_read_when_it_comes_back(ledger: Ledger) -> None:
    admit(ledger, 1)
    path = Path("/photos/1.jpg")
    ledger.paths.mark_unseen(path, "v1")

    assert ledger.paths.settled_in(path.parent) == {}
    assert ledger.paths.to_repair({CAMERA.id: "v1"}, past=True) == []
    record = ledger.paths.find(path)
    assert record is not None
    ledger.paths.record(path, "image", image=record.image, signature=SEEN)
    assert ledger.paths.to_repair({CAMERA.id: "v1"}, past=True) == [(path, "v1")]


def test_a_ledger_that_fails_as_rows_are_read_says_so(tmp_path: Path) -> None:
    """Its first page is good; a scan comes to one that is not."""
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    for number in range(1, 2000):
        ledger.connection.execute(
            "INSERT INTO hazards VALUES (?, ?)", (identity(number), "x" * 99)
        )
    ledger.close()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    ledger = Ledger(path, read_only=True)
    query = "SELECT identity FROM hazards"

    for read in (list, lambda rows: rows.fetchall()):
        rows = ledger.connection.execute(query)
        assert rows.fetchone()
        with pytest.raises(LedgerError, match=r"ledger.sqlite3: cannot be used"):
            read(rows)
    ledger.close()


def test_copies_come_back_as_recorded(ledger: Ledger) -> None:
    copy = Copy(
        source=Path("/photos/1.jpg"),
        target=Path("/photos/repaired/c_1.jpg"),
        condition="written",
        sha256=identity(5),
        former=identity(4),
        identity=identity(6),
        pixels=((3, 4), (5, 6)),
        method="lossless",
        notes="restart markers dropped",
        rewrites=2,
    )
    ledger.copies.record(copy)

    assert ledger.copies.find(copy.source) == copy
    assert ledger.copies.is_own(identity(6))
    assert not ledger.copies.is_own(identity(5))
    assert ledger.copies.counts() == {"lossless": 1}
    assert ledger.copies.with_notes(9) == [copy]
    ledger.copies.record(replace(copy, condition="withdrawn", notes=""))
    assert ledger.copies.counts() == {"withdrawn": 1}


def test_defects_come_back_as_recorded(ledger: Ledger) -> None:
    admit(ledger, 1)
    plain = Defect.at(3, 4)
    known = Defect(
        row=1,
        col=2,
        kind=Kind.STUCK,
        radius=2,
        score=12.5,
        amplitude=(1.0, 2.0, 3.0),
        after=NOON,
        by=NOON + dt.timedelta(days=1),
        until=NOON + dt.timedelta(days=2),
    )
    ledger.defects.replace(CAMERA.id, [plain, known])

    assert ledger.defects.of(CAMERA.id) == [known, plain]
    ledger.defects.replace(CAMERA.id, [plain])
    assert ledger.defects.of(CAMERA.id) == [plain]


def test_a_newer_ledger_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(LedgerError, match="written by a newer hotpixeld"):
        Ledger(path)


def test_a_damaged_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"not a database, and long enough to be looked at" * 100)

    with pytest.raises(LedgerError, match="cannot be used: file is not a database"):
        Ledger(path)


def test_a_reader_sees_what_the_writer_commits(tmp_path: Path, ledger: Ledger) -> None:
    reader = Ledger(tmp_path / "ledger.sqlite3", read_only=True)
    admit(ledger, 1)

    assert reader.images.counts()["pending"] == 1
    with pytest.raises(LedgerError, match="readonly"), reader.transaction():
        reader.paths.record(Path("/photos/1.jpg"), "failed")
    reader.close()


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return what a ledger is made of: columns, indexes and triggers by name."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        run = connection.execute
        found = run("SELECT type, name, sql FROM sqlite_master").fetchall()
        columns = {
            name: run("SELECT * FROM pragma_table_info(?)", (name,)).fetchall()
            for kind, name, _ in found
            if kind == "table"
        }
    plain = {
        name: [(" ".join(str(sql).split()),)]
        for kind, name, sql in found
        if kind != "table"
    }
    return columns | plain


def test_an_older_ledger_becomes_one_of_today_with_all_it_held(tmp_path: Path) -> None:
    old, new = tmp_path / "old.sqlite3", tmp_path / "new.sqlite3"
    with contextlib.closing(sqlite3.connect(old)) as connection:
        connection.executescript(VERSION_1 + CONTENT + "PRAGMA user_version = 1;")
    with pytest.raises(LedgerError, match="written by an older hotpixeld"):
        Ledger(old, read_only=True)
    migrated = Ledger(old)
    Ledger(new).close()

    assert migrated.images.counts("c")["folded"] == 1
    assert migrated.images.counts()["pending"] == 1
    assert migrated.paths.counts()["failed"] == 1
    assert migrated.copies.counts() == {"lossless": 1}
    # When they came was not kept: they count as new, by the clock of today.
    assert (migrated.images.last_admitted("c") or 0) > 1e9
    # Of copies from before, nothing was kept.
    assert migrated.undo.find(identity(5)) is None
    migrated.close()
    assert tables(old) == tables(new)
    Ledger(old, read_only=True).close()


def test_a_migration_that_fails_leaves_the_older_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1 + "PRAGMA user_version = 1;")
    before = tables(path)
    monkeypatch.setattr(
        store_ledger, "STEPS", ("CREATE TABLE new (a); CREATE TABLE images (a);",)
    )
    with pytest.raises(LedgerError, match="already exists"):
        Ledger(path)

    assert tables(path) == before


def test_the_tallies_follow_every_change(ledger: Ledger) -> None:
    admit(ledger, 1, 2, 3)
    with ledger.transaction():
        ledger.images.commit_generation(CAMERA.id, Counts(2, 2.0), sequence=2)
        ledger.paths.record(Path("/photos/1.jpg"), "failed", reason="gone bad")
        ledger.paths.record(Path("/photos/4.jpg"), "skipped", reason="edited")
        source = Path("/photos/1.jpg")
        copy = Copy(source, source, "writing")
        ledger.copies.record(copy)
        ledger.copies.record(replace(copy, condition="written", method="link"))
    run = ledger.connection.execute
    counted = dict(run("SELECT outcome, count(*) FROM images GROUP BY 1").fetchall())

    assert {k: v for k, v in ledger.images.counts().items() if v} == counted
    assert counted == {"folded": 2, "pending": 1}
    assert ledger.images.counts("another camera")["folded"] == 0
    assert ledger.paths.counts() == {
        "duplicate": 0,
        "skipped": 1,
        "failed": 1,
        "waiting": 0,
    }
    assert ledger.copies.counts() == {"link": 1}


def test_falling_back_makes_what_the_checkpoint_before_lacks_pending(
    ledger: Ledger,
) -> None:
    admit(ledger, 1, 2, 3, 4)
    for photos in (2, 3):
        with ledger.transaction(durable=True):
            counts = Counts(photos, float(photos))
            ledger.images.commit_generation(CAMERA.id, counts, sequence=photos)
    with ledger.transaction():
        ledger.images.set_mapped(CAMERA.id, 3, 2.5, "contrast")
    assert ledger.generations.previous(CAMERA.id) == 1
    with ledger.transaction(durable=True):
        assert ledger.generations.fall_back(CAMERA.id) == 1
    record = ledger.images.camera(CAMERA.id)

    assert record is not None
    assert (record.generation, record.photos, record.weight) == (1, 2, 2.0)
    assert (record.folded_to, record.mapped) == (2, 2)
    assert [one.sequence for one in ledger.images.pending(CAMERA.id)] == [3, 4]
    assert ledger.generations.previous(CAMERA.id) is None


def test_a_renewed_log_begins_from_nothing(tmp_path: Path, ledger: Ledger) -> None:
    admit(ledger, 1, 2, 3)
    log = tmp_path / "ledger.sqlite3-wal"
    assert log.stat().st_size > 0
    ledger.renew_log()

    assert log.stat().st_size == 0
    admit(ledger, 4)
    assert ledger.images.counts()["pending"] == 4


def test_after_a_commit_that_failed_the_next_one_begins_a_new_log(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it writes: the log is not synced again, which might seem to succeed."""
    admit(ledger, 1, 2, 3)
    log = tmp_path / "ledger.sqlite3-wal"

    with monkeypatch.context() as broken:
        broken.setattr(type(ledger.connection), "execute", without_commits)
        with pytest.raises(LedgerError, match="disk I/O"):
            admit(ledger, 4)
    assert log.stat().st_size > 0

    with ledger.transaction(durable=True):
        assert log.stat().st_size == 0
        ledger.events.record(EventKind.DISK_FULL, "paused")
    assert ledger.images.counts()["pending"] == 3


def without_commits(self: sqlite3.Connection, statement: str, *given: Any) -> Any:
    """Execute a statement of a connection whose commits fail."""
    if statement == "COMMIT":
        raise LedgerError("disk I/O error")
    return sqlite3.Connection.execute(self, statement, *given)


def test_a_statement_outside_a_transaction_fails_with_our_own_error(
    ledger: Ledger,
) -> None:
    with pytest.raises(LedgerError, match="cannot be used: no such table"):
        ledger.connection.execute("SELECT * FROM nowhere")


def test_copies_under_way_are_told(ledger: Ledger) -> None:
    copy = Copy(Path("/photos/1.jpg"), Path("/photos/repaired/c_1.jpg"), "writing")
    ledger.copies.record(copy)
    ledger.copies.record(replace(copy, source=Path("/a.jpg"), condition="written"))

    assert ledger.copies.unfinished() == [copy]
