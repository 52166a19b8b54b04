"""Photos, copies and folders are renamed, moved, deleted and put back."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from days.world import files, sha256
from faults.hotpixel import Fault, Mode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from days.world import Body, Home

    Told = Callable[[Home, Callable[[], object]], None]


def start(home: Home, body: Body) -> Path:
    """Have 16 photos taken and repaired; return the folder of copies."""
    body.shoot(home.photos, 16)
    home.once()
    assert len(home.written()) == 16
    return home.photos / "repaired"


def by_once(home: Home, change: Callable[[], object]) -> None:
    change()
    home.once()


def by_daemon(home: Home, change: Callable[[], object]) -> None:
    daemon = home.daemon().idle()
    change()
    daemon.idle().stop()


WAYS = pytest.mark.parametrize("told", [by_once, by_daemon], ids=["once", "daemon"])


@WAYS
def test_a_renamed_photo_takes_its_copy_along(
    home: Home, body: Body, told: Told
) -> None:
    copies = start(home, body)
    before = (copies / "c_IMG_0003.JPG").read_bytes()
    new = home.photos / "sunset.jpg"
    told(home, lambda: (home.photos / "IMG_0003.JPG").rename(new))

    assert (copies / "c_sunset.jpg").read_bytes() == before
    assert not (copies / "c_IMG_0003.JPG").exists()
    assert len(home.written()) == len(home.copies()) == 16
    assert home.outcomes()["photos/sunset.jpg"] == "image"
    assert len(home.outcomes()) == 16, "the former name is still listed"
    assert home.status()["photos"]["duplicate"] == 0


@WAYS
def test_a_renamed_folder_takes_its_copies_along(
    home: Home, body: Body, told: Told
) -> None:
    body.shoot(home.photos / "day1", 16)
    home.once()
    before = files(home.photos / "repaired" / "day1")
    told(home, lambda: (home.photos / "day1").rename(home.photos / "crete"))

    assert files(home.photos / "repaired" / "crete") == before
    assert not (home.photos / "repaired" / "day1").exists()
    assert home.folded() == 16
    assert home.status()["photos"]["duplicate"] == 0


def test_a_photo_is_renamed_whose_copy_was_edited(home: Home, body: Body) -> None:
    copies = start(home, body)
    edited = copies / "c_IMG_0003.JPG"
    edited.write_bytes(b"edited")
    (home.photos / "IMG_0003.JPG").rename(home.photos / "sunset.jpg")
    home.once()

    assert edited.read_bytes() == b"edited"
    assert (copies / "c_sunset.jpg").exists()
    (problem,) = home.status()["copy_problems"]
    assert problem["path"] == str(edited)


def test_a_photo_is_renamed_whose_copy_was_deleted(home: Home, body: Body) -> None:
    copies = start(home, body)
    (copies / "c_IMG_0003.JPG").unlink()
    (home.photos / "IMG_0003.JPG").rename(home.photos / "sunset.jpg")
    home.once()

    assert not (copies / "c_sunset.jpg").exists()
    assert home.copies()["photos/repaired/c_sunset.jpg"] == "deleted"


def test_photo_and_copy_are_renamed_alike(home: Home, body: Body) -> None:
    copies = start(home, body)
    (home.photos / "IMG_0003.JPG").rename(home.photos / "sunset.jpg")
    (copies / "c_IMG_0003.JPG").rename(copies / "c_sunset.jpg")
    inode = (copies / "c_sunset.jpg").stat().st_ino
    home.once()

    assert (copies / "c_sunset.jpg").stat().st_ino == inode
    assert home.copies()["photos/repaired/c_sunset.jpg"] == "written"
    assert len(home.copies()) == 16


def test_a_photo_is_copied_and_both_have_their_copies(home: Home, body: Body) -> None:
    copies = start(home, body)
    home.drop_copy(home.photos / "IMG_0003.JPG", home.photos / "best" / "one.jpg")
    home.once()

    assert (copies / "c_IMG_0003.JPG").exists()
    assert (copies / "best" / "c_one.jpg").exists()
    assert home.status()["photos"]["duplicate"] == 1


def test_a_photo_takes_the_name_of_another_whose_copy_is_there(
    home: Home, body: Body
) -> None:
    copies = start(home, body)
    (copies / "c_IMG_0004.JPG").unlink()
    (home.photos / "IMG_0004.JPG").replace(home.photos / "IMG_0003.JPG")
    home.once()
    said = home.hotpixeld(
        "diff", home.photos / "IMG_0003.JPG", copies / "c_IMG_0003.JPG"
    )

    assert "identical but for " in said.out
    assert home.copies()["photos/repaired/c_IMG_0003.JPG"] == "written"


@pytest.mark.parametrize("is_blocked", [False, True], ids=["at_once", "blocked_first"])
def test_a_photo_takes_the_name_of_another_as_copies_go_elsewhere(
    home: Home, body: Body, *, is_blocked: bool
) -> None:
    copies, fixed = start(home, body), home.root / "fixed"
    (home.photos / "IMG_0004.JPG").replace(home.photos / "IMG_0003.JPG")
    home.configure_folder(repaired=fixed)
    if is_blocked:
        fixed.write_text("no folder")
        home.once(code=6)
        fixed.unlink()
    home.once()

    assert len(files(fixed)) == 15
    assert home.status()["former_copies"] == [{"place": str(copies), "copies": 16}]
    home.hotpixeld("tidy", "--yes")
    assert not copies.exists() or files(copies) == {}


def test_a_photo_is_copied_elsewhere_and_deleted_later(home: Home, body: Body) -> None:
    copies = start(home, body)
    home.drop_copy(home.photos / "IMG_0003.JPG", home.photos / "best" / "one.jpg")
    home.once()
    (home.photos / "IMG_0003.JPG").unlink()
    home.configure(cameras=[{"model": body.model, "pixels": [[60, 30]]}])
    home.once()

    assert (copies / "c_IMG_0003.JPG").exists()
    assert home.status()["former_copies"] == [{"place": str(copies), "copies": 1}]
    home.hotpixeld("tidy", "--yes")
    assert not (copies / "c_IMG_0003.JPG").exists()
    assert (copies / "best" / "c_one.jpg").exists()


def test_photos_are_moved_to_another_watched_folder(home: Home, body: Body) -> None:
    start(home, body)
    sorted_ = home.root / "sorted"
    sorted_.mkdir()
    folders = [*home.settings["folders"], {"path": str(sorted_), "settle_seconds": 0.1}]
    home.configure(folders=folders)
    home.once()
    for path in sorted(home.photos.glob("IMG_000*")):
        path.rename(sorted_ / path.name)
    home.once()

    assert len(files(sorted_ / "repaired")) == 10
    assert len(files(home.photos / "repaired")) == 6
    assert home.folded() == 16
    assert set(home.copies().values()) == {"written"}


def test_a_photo_is_rated_whose_repair_changes_no_bit(home: Home, body: Body) -> None:
    (photo,) = body.shoot(home.photos)
    home.configure(cameras=[{"model": body.model, "pixels": [[5, 5]]}])
    home.once()
    copy = home.photos / "repaired" / f"c_{photo.name}"
    assert copy.read_bytes() == photo.read_bytes()
    photo.write_bytes(photo.read_bytes() + b"rating")
    home.drop_copy(copy, home.photos / "album" / copy.name)
    home.once()

    assert home.outcomes()[f"photos/{photo.name}"] == "image"
    assert home.outcomes()[f"photos/album/{copy.name}"] == "skipped"
    assert home.folded() == 1


def test_two_photos_swap_their_names(home: Home, body: Body) -> None:
    copies = start(home, body)
    one, two = home.photos / "IMG_0003.JPG", home.photos / "IMG_0004.JPG"
    first, second = (files(copies)[f"c_{path.name}"] for path in (one, two))
    one.rename(home.root / "spare")
    two.rename(one)
    (home.root / "spare").rename(two)
    home.once()

    assert files(copies)["c_IMG_0003.JPG"] == second
    assert files(copies)["c_IMG_0004.JPG"] == first


def test_a_photo_is_replaced_by_another_of_its_name(home: Home, body: Body) -> None:
    copies = start(home, body)
    (photo,) = body.shoot(home.root / "card", 1, name="IMG_0003.JPG")
    photo.replace(home.photos / "IMG_0003.JPG")
    home.once()
    said = home.hotpixeld(
        "diff", home.photos / "IMG_0003.JPG", copies / "c_IMG_0003.JPG"
    )

    assert "identical but for " in said.out
    assert home.folded() == 17


def test_a_photo_and_its_copy_are_replaced_by_another_photo_of_the_name(
    home: Home, body: Body
) -> None:
    """That the former photo's copy is gone is no word about the new one's."""
    copies = start(home, body)
    (photo,) = body.shoot(home.root / "card", 1, name="IMG_0003.JPG")
    (copies / "c_IMG_0003.JPG").unlink()
    photo.replace(home.photos / "IMG_0003.JPG")
    home.once()

    assert home.copies()["photos/repaired/c_IMG_0003.JPG"] == "written"
    assert (copies / "c_IMG_0003.JPG").exists()


def test_a_photo_is_deleted_and_its_copy_stays(home: Home, body: Body) -> None:
    copies = start(home, body)
    (home.photos / "IMG_0003.JPG").unlink()
    body.shoot(home.photos, 4)
    home.once()
    status = home.status()

    assert (copies / "c_IMG_0003.JPG").exists()
    assert status["problems"] == status["copy_problems"] == []
    assert home.copies()["photos/repaired/c_IMG_0003.JPG"] == "written"


def test_a_photo_is_deleted_and_put_back(home: Home, body: Body) -> None:
    copies = start(home, body)
    photo = home.photos / "IMG_0003.JPG"
    data = photo.read_bytes()
    photo.unlink()
    home.configure(cameras=[{"model": body.model, "pixels": [[5, 5]]}])
    home.once()
    photo.write_bytes(data)
    home.once()

    assert home.folded() == 16
    assert "[5, 5]" in pixels_of(home, copies / "c_IMG_0003.JPG")


def pixels_of(home: Home, copy: Path) -> str:
    """Return what the ledger says is repaired in a copy."""
    with home.ledger() as ledger:
        query = "SELECT pixels FROM copies WHERE target = ?"
        (pixels,) = ledger.connection.execute(query, (bytes(copy),)).fetchone()
        return str(pixels)


def test_a_copy_is_deleted_and_stays_so_until_it_is_put_back(
    home: Home, body: Body
) -> None:
    copies = start(home, body)
    copy = copies / "c_IMG_0003.JPG"
    data = copy.read_bytes()
    copy.unlink()
    home.configure(cameras=[{"model": body.model, "pixels": [[5, 5]]}])
    home.once()
    assert not copy.exists()
    copy.write_bytes(data)
    home.configure(cameras=[{"model": body.model, "pixels": [[5, 5], [90, 9]]}])
    home.once()

    assert "[90, 9]" in pixels_of(home, copy)
    assert home.copies()["photos/repaired/c_IMG_0003.JPG"] == "written"


@WAYS
def test_a_copy_is_moved_among_the_photos(home: Home, body: Body, told: Told) -> None:
    copies = start(home, body)
    there = home.photos / "album" / "nice.jpg"
    there.parent.mkdir()
    told(home, lambda: (copies / "c_IMG_0003.JPG").rename(there))
    home.configure(cameras=[{"model": body.model, "pixels": [[5, 5]]}])
    home.once()

    assert there.exists()
    assert not (copies / "c_IMG_0003.JPG").exists(), "made again"
    assert not (copies / "album").exists(), "a copy of a copy"
    assert home.folded() == 16


def test_photos_copies_and_state_are_moved_together(home: Home, body: Body) -> None:
    copies = start(home, body)
    (copies / "c_IMG_0005.JPG").unlink()
    home.configure(cameras=[{"model": body.model, "pixels": [[5, 5]]}])
    home.once()  # it is known to be deleted
    new = home.root / "newdisk"
    shutil.copytree(home.photos, new / "photos", copy_function=shutil.copy)
    shutil.copytree(home.state, new / "state")
    shutil.rmtree(home.photos)
    shutil.rmtree(home.state)
    home.photos, home.state = new / "photos", new / "state"
    home.configure(state=str(home.state))
    home.configure_folder(path=home.photos)
    before = files(home.photos / "repaired")
    home.once()
    status = home.status()

    assert files(home.photos / "repaired") == before
    assert home.folded() == 16
    assert status["photos"]["duplicate"] == 0
    assert status["problems"] == status["copy_problems"] == []
    assert status["former_copies"] == []
    assert set(home.copies().values()) == {"written", "deleted"}
    assert all(path.startswith("newdisk/") for path in home.copies())
    assert all(path.startswith("newdisk/") for path in home.outcomes())


def test_photos_are_moved_and_the_copies_left_behind(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.configure_folder(repaired=home.root / "fixed")
    home.once()
    shutil.move(home.photos, home.root / "archive")
    home.photos = home.root / "archive"
    home.configure_folder(path=home.photos, repaired=None)
    home.once()

    assert len(files(home.photos / "repaired")) == 16
    former = [{"place": str(home.root / "fixed"), "copies": 16}]
    assert home.status()["former_copies"] == former
    home.hotpixeld("tidy", "--yes")
    assert files(home.root / "fixed") == {}


def test_the_drive_with_the_photos_is_unplugged_and_plugged_in(
    home: Home, body: Body
) -> None:
    copies = start(home, body)
    before = files(copies)
    shutil.move(home.photos, home.root / "drive")
    home.photos.mkdir()  # the empty mount point
    home.once()
    home.photos.rmdir()
    shutil.move(home.root / "drive", home.photos)
    home.once()

    assert files(copies) == before
    assert set(home.copies().values()) == {"written"}
    assert home.folded() == 16


def test_undo_works_for_the_copy_of_a_renamed_photo(home: Home, body: Body) -> None:
    copies = start(home, body)
    original = (home.photos / "IMG_0003.JPG").read_bytes()
    (home.photos / "IMG_0003.JPG").rename(home.photos / "sunset.jpg")
    home.once()
    back = home.root / "back.jpg"
    home.hotpixeld("undo", copies / "c_sunset.jpg", "--output", back)

    assert back.read_bytes() == original


def test_the_power_fails_at_any_moment_while_copies_follow(
    home: Home, body: Body
) -> None:
    """One photo is renamed and all copies get another name; killed at some of the calls."""
    body.shoot(home.photos, 3)
    home.configure(cameras=[{"model": body.model, "pixels": [*map(list, body.xy)]}])
    home.once()
    (home.photos / "IMG_0001.JPG").rename(home.photos / "sunset.jpg")
    home.configure_folder(name="fixed_{name}")
    spare, folders = home.root / "spare", (home.photos, home.state)
    for folder in folders:
        shutil.copytree(folder, spare / folder.name)
    trace = home.system / "trace"
    home.once(fault=Fault(roots=folders, trace=str(trace)))
    calls = len(trace.read_text().splitlines())
    wanted = home.written()
    assert calls > 20
    for at in range(calls // 8, calls, calls // 8):
        for folder in folders:
            shutil.rmtree(folder)
            shutil.copytree(spare / folder.name, folder)
        home.once(fault=Fault(Mode.KILL, at, roots=folders), code=None)
        home.once()

        assert home.written() == wanted, at
        assert set(home.copies().values()) == {"written"}
        home.hotpixeld("tidy", "--yes")
        assert len(home.written()) == 3, at


def test_the_power_fails_while_a_copy_is_renewed_and_its_photo_is_deleted(
    home: Home, body: Body
) -> None:
    """The copy is as it was or as it became, and known as that, wherever it was killed."""
    (photo,) = body.shoot(home.photos, 1)
    first, *others = map(list, sorted(body.xy))
    home.configure(cameras=[{"model": body.model, "pixels": [first]}])
    home.once()
    home.configure(cameras=[{"model": body.model, "pixels": [first, *others]}])
    spare, folders = home.root / "spare", (home.photos, home.state)
    for folder in folders:
        shutil.copytree(folder, spare / folder.name)
    trace = home.system / "trace"
    home.once(fault=Fault(roots=folders, trace=str(trace)))
    calls = len(trace.read_text().splitlines())
    conditions = set[str]()
    for at in range(1, calls + 1):
        for folder in folders:
            shutil.rmtree(folder)
            shutil.copytree(spare / folder.name, folder)
        home.once(fault=Fault(Mode.KILL, at, roots=folders), code=None)
        with home.ledger() as ledger:
            conditions |= {one.condition for one in ledger.copies.unfinished()}
        photo.unlink()
        home.once()

        with home.ledger() as ledger:
            assert not ledger.copies.unfinished(), at
            copy = ledger.copies.find(photo)
        assert copy is not None
        assert copy.condition == "written"
        assert copy.sha256 == sha256(copy.target), at
    assert conditions == {"writing"}  # that is what a crash leaves, at some calls
