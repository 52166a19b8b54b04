"""The rules about copies: when one is written, renewed, withdrawn, left alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from hotpixeld.config.model import Folder, Repair
from hotpixeld.defect import Defect
from hotpixeld.engine.copy_writer import CopyWriter, RepairResult, repair
from hotpixeld.photo import photo_file
from hotpixeld.repair import lossless
from hotpixeld.repair.pixel_list import PixelList
from hotpixeld.store.ledger import Ledger
from sensor import write_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.store.copies import Copy

ONE, TWO = Defect(row=60, col=90, radius=1), Defect(row=100, col=40, radius=1)
SECOND = 1_000_000_000


@pytest.fixture
def source(folder: Path) -> Photo:
    """Return a grey photo that shows both defects."""
    frame = np.full((200, 280, 3), 90, np.uint8)
    for defect in (ONE, TWO):
        frame[defect.row, defect.col] = 220
    path = folder / "sub" / "IMG_1.JPG"
    path.parent.mkdir()
    write_jpeg(path, frame)
    return photo_file.examine(path, 10**9, 10**9)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


@pytest.fixture
def copies(ledger: Ledger) -> CopyWriter:
    return CopyWriter(ledger, 10**9)


@pytest.fixture
def target(folder: Path) -> Path:
    return folder / "repaired" / "sub" / "c_IMG_1.JPG"


def update(
    copies: CopyWriter,
    source: Photo,
    folder: Path,
    *defects: Defect,
    unchanged: str = "skip",
) -> Copy | None:
    """Bring the copy up to date with a list of detected defects."""
    listed = PixelList((), defects, "v")
    settings = Folder.model_validate({"path": str(folder), "unchanged": unchanged})
    known = copies.places.known(source, settings)
    result = repair(source, None, listed, known, Repair())
    copy, _ = copies.update(source, settings, result)
    return copy


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_copy_has_the_defect_mended_and_the_originals_time(
    copies: CopyWriter, source: Photo, folder: Path, target: Path
) -> None:
    before = source.path.read_bytes(), source.path.stat()
    copy = update(copies, source, folder, ONE)
    found = pixels(target)

    assert copy is not None
    assert (copy.condition, copy.pixels, copy.method) == (
        "written",
        ((90, 60),),
        "lossless",
    )
    assert abs(found[60, 90] - 90).max() <= 4
    assert found[100, 40].min() > 180  # not asked for
    assert target.stat().st_mtime_ns == before[1].st_mtime_ns
    assert source.path.read_bytes() == before[0]
    assert source.path.stat().st_mtime_ns == before[1].st_mtime_ns


def test_the_same_pixels_again_write_nothing(
    copies: CopyWriter, source: Photo, folder: Path, target: Path
) -> None:
    update(copies, source, folder, ONE)
    inode = target.stat().st_ino
    update(copies, source, folder, ONE)

    assert target.stat().st_ino == inode


def test_other_pixels_renew_the_copy_a_second_later(
    copies: CopyWriter, source: Photo, folder: Path, target: Path
) -> None:
    update(copies, source, folder, ONE)
    copy = update(copies, source, folder, ONE, TWO)

    assert copy is not None
    assert copy.rewrites == 1
    assert target.stat().st_mtime_ns == source.signature.mtime_ns + SECOND
    assert abs(pixels(target)[100, 40] - 90).max() <= 4


def test_a_copy_without_anything_to_repair_is_withdrawn_and_may_return(
    copies: CopyWriter, source: Photo, folder: Path, target: Path
) -> None:
    update(copies, source, folder, ONE)
    copy = update(copies, source, folder)
    assert copy is not None
    assert copy.condition == "withdrawn"
    assert not target.exists()
    update(copies, source, folder, TWO)

    assert target.exists()


def test_a_deleted_copy_stays_deleted(
    copies: CopyWriter, source: Photo, folder: Path, target: Path
) -> None:
    update(copies, source, folder, ONE)
    target.unlink()
    copy = update(copies, source, folder, ONE, TWO)

    assert copy is not None
    assert copy.condition == "deleted"
    assert not target.exists()


def test_an_edited_copy_is_left_alone(
    copies: CopyWriter, source: Photo, folder: Path, target: Path
) -> None:
    update(copies, source, folder, ONE)
    target.write_bytes(b"edited")
    for wanted in ((ONE, TWO), ()):
        copy = update(copies, source, folder, *wanted)
        assert copy is not None
        assert copy.condition == "foreign"

    assert target.read_bytes() == b"edited"


def test_a_foreign_file_in_its_place_is_left_alone(
    copies: CopyWriter, source: Photo, folder: Path, target: Path
) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(b"somebody's")
    copy = update(copies, source, folder, ONE)

    assert copy is not None
    assert (copy.condition, copy.notes) == ("foreign", "another file is in its place")
    assert target.read_bytes() == b"somebody's"


def test_a_crash_before_the_first_copy_leaves_it_to_be_written(
    copies: CopyWriter,
    source: Photo,
    folder: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("hotpixeld.engine.output_folder.write", killed)
        with pytest.raises(KeyboardInterrupt):
            update(copies, source, folder, ONE)
    copy = update(copies, source, folder, ONE)

    assert copy is not None
    assert copy.condition == "written"
    assert hashlib.sha256(target.read_bytes()).hexdigest() == copy.sha256


def test_a_crash_while_renewing_leaves_it_to_be_renewed(
    copies: CopyWriter,
    source: Photo,
    folder: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    update(copies, source, folder, ONE)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("hotpixeld.engine.output_folder.write", killed)
        with pytest.raises(KeyboardInterrupt):
            update(copies, source, folder, ONE, TWO)
    copy = update(copies, source, folder, ONE, TWO)

    assert copy is not None
    assert (copy.condition, len(copy.pixels)) == ("written", 2)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == copy.sha256


def test_a_crash_after_writing_but_before_the_ledger_knows_is_recognised(
    copies: CopyWriter, ledger: Ledger, source: Photo, folder: Path, target: Path
) -> None:
    copy = update(copies, source, folder, ONE)
    assert copy is not None
    ledger.copies.record(replace(copy, condition="writing"))
    inode = target.stat().st_ino
    again = update(copies, source, folder, ONE)

    assert again is not None
    assert again.condition == "written"
    assert hashlib.sha256(target.read_bytes()).hexdigest() == again.sha256
    assert inode


@pytest.mark.parametrize("unchanged", ["link", "copy"])
def test_a_photo_without_defects_can_have_its_place_in_the_output(
    copies: CopyWriter, source: Photo, folder: Path, target: Path, unchanged: str
) -> None:
    update(copies, source, folder, unchanged=unchanged)
    same = target.stat().st_ino == source.path.stat().st_ino

    assert target.read_bytes() == source.data
    assert same == (unchanged == "link")
    update(copies, source, folder, ONE, unchanged=unchanged)
    assert abs(pixels(target)[60, 90] - 90).max() <= 4
    assert source.path.read_bytes() == source.data


def test_a_detected_defect_is_repaired_only_where_it_is_seen(source: Photo) -> None:
    hidden = Defect(row=30, col=30, radius=1)
    result = repair(source, None, PixelList((), (ONE, hidden), "v"), None, Repair())
    assert result.defects == (ONE,)
    forced = repair(source, None, PixelList((hidden,), (), "v"), None, Repair())

    assert forced.defects == (hidden,)


def with_stray_byte(source: Photo) -> Photo:
    """Return a photo that decoders accept and the walk does not: a byte before its EOI."""
    end = source.structure.scans[0].end
    source.path.write_bytes(source.data[:end] + b"\0" + source.data[end:])
    return photo_file.examine(source.path, 10**9, 10**9)


def test_a_photo_that_cannot_be_walked_is_refused_only_where_a_pixel_shows(
    source: Photo,
) -> None:
    photo = with_stray_byte(source)
    hidden = PixelList((), (Defect(row=20, col=20, radius=1),), "v")
    shown = PixelList((), (ONE,), "v")

    nothing = repair(photo, None, hidden, None, Repair())
    refused = repair(photo, None, shown, None, Repair())
    anew = repair(photo, None, shown, None, Repair(fallback="reencode"))

    assert nothing == RepairResult(())
    assert refused.refused.startswith("more coded data than belongs there, at byte ")
    assert anew.repaired is not None
    assert anew.repaired.method == "reencoded"


def test_a_photo_that_cannot_be_repaired_says_why(
    copies: CopyWriter, source: Photo, folder: Path, target: Path
) -> None:
    outside = PixelList((Defect(row=500, col=1),), (), "v")
    result = repair(source, None, outside, None, Repair())
    copy, _ = copies.update(
        source, Folder.model_validate({"path": str(folder)}), result
    )

    assert isinstance(result, RepairResult)
    assert "outside" in result.refused
    assert copy is not None
    assert (copy.condition, copy.notes) == ("refused", result.refused)
    assert not target.exists()


def test_a_crash_while_withdrawing_is_not_taken_for_the_users_doing(
    copies: CopyWriter,
    source: Photo,
    folder: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    update(copies, source, folder, ONE)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in (
        "hotpixeld.engine.output_folder.remove",
        "hotpixeld.engine.copy_writer.log.info",
    ):
        with monkeypatch.context() as patched:
            patched.setattr(place, killed)
            with pytest.raises(KeyboardInterrupt):
                update(copies, source, folder)
    assert not target.exists()
    copy = update(copies, source, folder, ONE)

    assert copy is not None
    assert copy.condition == "written"
    assert target.exists()


def test_a_crash_before_withdrawing_leaves_it_to_be_withdrawn(
    copies: CopyWriter,
    source: Photo,
    folder: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    update(copies, source, folder, ONE)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("hotpixeld.engine.output_folder.remove", killed)
        with pytest.raises(KeyboardInterrupt):
            update(copies, source, folder)
    copy = update(copies, source, folder)

    assert copy is not None
    assert copy.condition == "withdrawn"
    assert not target.exists()


@pytest.mark.parametrize("unchanged", ["link", "copy"])
def test_a_crash_after_placing_a_photo_is_recognised(
    copies: CopyWriter, ledger: Ledger, source: Photo, folder: Path, unchanged: str
) -> None:
    copy = update(copies, source, folder, unchanged=unchanged)
    assert copy is not None
    ledger.copies.record(replace(copy, condition="writing", method=""))
    again = update(copies, source, folder, unchanged=unchanged)

    assert again is not None
    assert again.condition == "written"


def test_a_copy_that_cannot_be_read_now_is_not_taken_for_foreign(
    copies: CopyWriter,
    ledger: Ledger,
    source: Photo,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    update(copies, source, folder, ONE)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("hotpixeld.engine.output_folder.read_regular", fail)
        with pytest.raises(OSError, match="Input/output"):
            update(copies, source, folder, ONE, TWO)
    known = ledger.copies.find(source.path)

    assert known is not None
    assert known.condition == "written"


def test_a_name_that_would_be_too_long_is_refused_for_good(
    copies: CopyWriter, source: Photo, folder: Path
) -> None:
    path = source.path.with_name("x" * 251 + ".jpg")
    source.path.rename(path)
    copy = update(copies, replace(source, path=path), folder, ONE)

    assert copy is not None
    assert (copy.condition, copy.notes) == (
        "refused",
        "the name of the copy would be too long",
    )


def test_a_link_in_the_output_leads_nowhere(
    copies: CopyWriter, source: Photo, folder: Path, target: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target.parent.parent.mkdir()
    target.parent.symlink_to(elsewhere)
    with pytest.raises(NotADirectoryError, match="where a folder belongs"):
        update(copies, source, folder, ONE)

    assert list(elsewhere.iterdir()) == []


def test_what_a_crash_left_beside_a_copy_is_swept_before_the_next(
    copies: CopyWriter, source: Photo, folder: Path, target: Path
) -> None:
    target.parent.mkdir(parents=True)
    (target.parent / ".hotpixeld-0123.tmp").write_bytes(b"half a copy")
    update(copies, source, folder, ONE)

    assert list(target.parent.iterdir()) == [target]


def test_copies_go_where_the_configuration_says_now(
    copies: CopyWriter, source: Photo, folder: Path, target: Path, tmp_path: Path
) -> None:
    update(copies, source, folder, ONE)
    moved = Folder.model_validate({"path": str(folder), "repaired": "fixed"})
    result = repair(source, None, PixelList((), (ONE, TWO), "v"), None, Repair())
    copy, _ = copies.update(source, moved, result)

    assert copy is not None
    assert copy.target == folder / "fixed" / "sub" / "c_IMG_1.JPG"
    assert copy.target.exists()
    assert target.exists()
    outside = tmp_path / "outside" / "deep"
    moved = Folder.model_validate({"path": str(folder), "repaired": str(outside)})
    copies.update(source, moved, result)
    assert (outside / "sub" / "c_IMG_1.JPG").exists()


def undo_records(ledger: Ledger) -> list[str]:
    rows = ledger.connection.execute("SELECT copy FROM undo").fetchall()
    return [copy.hex() for (copy,) in rows]


def test_what_leads_back_is_kept_of_a_copy_that_was_rewritten_or_withdrawn(
    copies: CopyWriter, ledger: Ledger, source: Photo, folder: Path, target: Path
) -> None:
    """It may lie elsewhere as it was."""
    versions = []
    for pixels in ((ONE,), (ONE, TWO)):
        copy = update(copies, source, folder, *pixels)
        assert copy is not None
        versions.append((copy.sha256, target.read_bytes()))

    update(copies, source, folder)

    assert not target.exists()
    for sha256, content in versions:
        record = ledger.undo.find(sha256)
        assert record is not None
        assert record.source == source.path
        assert record.original == hashlib.sha256(source.data).hexdigest()
        assert lossless.original(content, record.way) == source.data


def test_a_copy_that_somebody_moved_or_edited_can_still_be_undone(
    copies: CopyWriter, ledger: Ledger, source: Photo, folder: Path, target: Path
) -> None:
    copy = update(copies, source, folder, ONE)
    assert copy is not None
    target.rename(folder / "elsewhere.jpg")
    update(copies, source, folder, ONE, TWO)
    assert undo_records(ledger) == [copy.sha256]

    target.write_bytes(b"edited")
    update(copies, source, folder, TWO)

    assert undo_records(ledger) == [copy.sha256]


def test_nothing_is_kept_where_that_is_turned_off(
    ledger: Ledger, source: Photo, folder: Path, target: Path
) -> None:
    update(CopyWriter(ledger, 10**9), source, folder, ONE)
    before = undo_records(ledger)
    assert len(before) == 1
    update(CopyWriter(ledger, 10**9, undo=False), source, folder, TWO)

    assert target.exists()
    assert undo_records(ledger) == before
