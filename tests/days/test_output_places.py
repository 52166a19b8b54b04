"""Copies follow the configuration: another folder for them, another name, and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from days.world import files

if TYPE_CHECKING:
    from collections.abc import Callable

    from days.world import Body, Home

    Have = Callable[[Home], None]


def by_once(home: Home) -> None:
    home.once()


def by_restart(home: Home) -> None:
    home.daemon().idle().stop()


WAYS = pytest.mark.parametrize("taken", [by_once, by_restart], ids=["once", "restart"])


def copies_in(folder: Path) -> set[str]:
    return set(files(folder)) if folder.exists() else set()


def names(count: int, prefix: str = "c_") -> set[str]:
    return {f"{prefix}IMG_{index:04d}.JPG" for index in range(count)}


@WAYS
def test_first_a_subfolder_is_watched_then_its_parent(
    home: Home, body: Body, taken: Have
) -> None:
    body.shoot(home.photos / "trip", 16)
    home.configure_folder(path=home.photos / "trip")
    taken(home)
    old = home.photos / "trip" / "repaired"
    before = files(old)
    home.configure_folder(path=home.photos)
    taken(home)

    assert copies_in(home.photos / "repaired") == {f"trip/{one}" for one in names(16)}
    assert files(old) == before, "old copies stay until they are tidied"
    assert home.folded() == 16, "an own copy was learned"
    assert home.status()["former_copies"] == [{"place": str(old), "copies": 16}]
    assert f"16 copies at a former place: {old}" in home.hotpixeld("status").out
    home.hotpixeld("tidy", "--yes")
    assert home.status()["problems"] == [], "what is gone is still listed"


@WAYS
def test_another_folder_for_copies_is_named_and_the_old_one_tidied(
    home: Home, body: Body, taken: Have
) -> None:
    body.shoot(home.photos, 16)
    taken(home)
    home.configure_folder(repaired=home.root / "fixed")
    taken(home)
    assert "16 copies at a former place" in home.once().out
    assert copies_in(home.root / "fixed") == names(16)
    assert copies_in(home.photos / "repaired") == names(16)
    asked = home.hotpixeld("tidy", "--dry-run")
    assert f"{home.photos / 'repaired'}: 16 copies would be removed" in asked.out
    assert "--yes" in home.hotpixeld("tidy", code=2).err
    assert copies_in(home.photos / "repaired") == names(16)
    home.hotpixeld("tidy", "--yes")

    assert copies_in(home.photos / "repaired") == set()
    assert copies_in(home.root / "fixed") == names(16)
    assert home.status()["former_copies"] == []
    assert "no copies at former places" in home.hotpixeld("tidy", "--yes").out
    taken(home)
    assert copies_in(home.root / "fixed") == names(16)


def test_the_old_copies_inside_the_watched_folder_are_no_photos(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    home.configure_folder(repaired=home.root / "fixed")
    moved = home.once().out
    status = home.status()
    body.shoot(home.photos, 2)
    home.once()

    assert "photos: nothing new\n" in moved
    assert "16 copies at a former place" in moved
    assert (status["photos"]["skipped"], status["problems"]) == (0, [])
    assert status["problems_left_out"] == 0

    assert home.folded() == 18
    assert copies_in(home.root / "fixed") == names(18)


@WAYS
def test_another_name_for_copies(home: Home, body: Body, taken: Have) -> None:
    body.shoot(home.photos, 16)
    taken(home)
    home.configure_folder(name="fixed_{name}")
    taken(home)

    assert copies_in(home.photos / "repaired") == names(16) | names(16, "fixed_")
    home.hotpixeld("tidy", "--yes")
    assert copies_in(home.photos / "repaired") == names(16, "fixed_")


def test_the_name_of_copies_is_changed_and_back_and_nothing_is_written(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    old = home.photos / "repaired"
    before = {path: path.stat() for path in old.iterdir()}
    home.configure_folder(name="r_{name}")
    other = home.once().out
    home.configure_folder(name=None)
    back = home.once().out

    assert "copies: 16 written; 16 copies in all" in other
    assert "copies: 16 found as written; 16 copies in all" in back
    for path, status in before.items():
        now = path.stat()
        assert (now.st_ino, now.st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    assert copies_in(old) == names(16) | names(16, "r_")
    assert home.folded() == 16
    assert set(home.copies().values()) == {"written"}


def test_another_folder_and_another_map_at_once(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.once()
    home.configure_folder(repaired=home.root / "fixed")
    home.once()
    camera = {"model": body.model, "pixels": [[60, 30]]}
    home.configure_folder(repaired=None)
    home.configure(cameras=[camera])
    told = home.once().out

    assert "rewritten: other pixels" in told
    assert "the configuration changed" not in told


@WAYS
def test_the_folder_for_copies_is_changed_and_changed_back(
    home: Home, body: Body, taken: Have
) -> None:
    body.shoot(home.photos, 16)
    taken(home)
    old = home.photos / "repaired"
    before = {path: path.stat() for path in old.iterdir()}
    home.configure_folder(repaired=home.root / "fixed")
    taken(home)
    home.configure_folder(repaired=None)
    taken(home)

    for path, status in before.items():
        assert path.stat().st_ino == status.st_ino, "written again"
    assert copies_in(old) == names(16)
    former = [{"place": str(home.root / "fixed"), "copies": 16}]
    assert home.status()["former_copies"] == former
    home.hotpixeld("tidy", "--yes")
    assert copies_in(home.root / "fixed") == set()
    assert copies_in(old) == names(16)
    assert set(home.copies().values()) == {"written"}


def test_the_folder_for_copies_is_changed_and_back_by_reloads(
    home: Home, body: Body
) -> None:
    daemon = home.daemon()
    body.shoot(home.photos, 16)
    daemon.idle()
    home.configure_folder(repaired=home.root / "fixed")
    daemon.reload()
    assert copies_in(home.root / "fixed") == names(16)
    assert home.status()["former_copies"] == [
        {"place": str(home.photos / "repaired"), "copies": 16}
    ]
    home.configure_folder(repaired=None)
    daemon.reload()
    body.shoot(home.photos, 1)
    daemon.idle().stop()

    assert copies_in(home.photos / "repaired") == names(17)
    assert home.folded() == 17


def test_the_parent_is_watched_by_a_reload(home: Home, body: Body) -> None:
    body.shoot(home.photos / "trip", 16)
    home.configure_folder(path=home.photos / "trip")
    daemon = home.daemon().idle()
    home.configure_folder(path=home.photos)
    daemon.reload().stop()

    assert copies_in(home.photos / "repaired") == {f"trip/{one}" for one in names(16)}
    assert home.folded() == 16


def test_old_copies_are_tidied_by_themselves_where_that_is_configured(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    home.configure_folder(repaired=home.root / "fixed")
    home.configure(copies={"tidy": True})
    home.once()

    assert copies_in(home.photos / "repaired") == set()
    assert copies_in(home.root / "fixed") == names(16)


def test_what_cannot_be_tidied_by_itself_is_said_once_a_run(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    home.configure_folder(repaired=home.root / "fixed")
    home.once()
    (home.root / "fixed" / "c_IMG_0001.JPG").unlink()
    home.configure(copies={"tidy": True})
    said = home.once().err

    assert said.count("1 copy at former places not removed, such as") == 1
    assert copies_in(home.photos / "repaired") == {"c_IMG_0001.JPG"}


def test_tidying_is_switched_on_later(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.once()
    home.configure_folder(repaired=home.root / "fixed")
    daemon = home.daemon().idle()
    assert copies_in(home.photos / "repaired") == names(16)
    home.configure(copies={"tidy": True})
    daemon.reload().stop()

    assert copies_in(home.photos / "repaired") == set()
    assert copies_in(home.root / "fixed") == names(16)


@WAYS
@pytest.mark.parametrize("has_exif", [True, False])
@pytest.mark.parametrize("size", [(64, 64), None], ids=["cropped", "whole"])
def test_an_edited_copy_at_a_former_place_is_no_photo(
    home: Home,
    body: Body,
    taken: Have,
    has_exif: bool,
    size: tuple[int, int] | None,
) -> None:
    body.shoot(home.photos, 16)
    home.configure(**home.settings | {"cameras": [{"name": "mine"}]})
    home.configure_folder(camera="mine")
    taken(home)
    copy = home.photos / "repaired" / "c_IMG_0000.JPG"
    with Image.open(copy) as image:
        exif = image.info["exif"] if has_exif else b""
        edited = image.point(lambda level: min(255, level + 20))
        edited.crop((0, 0, *(size or image.size))).save(copy, exif=exif)
    before = copy.read_bytes()
    home.configure_folder(repaired=home.root / "fixed", camera="mine")
    taken(home)

    assert copies_in(home.root / "fixed") == names(16)
    assert copy.read_bytes() == before
    assert home.folded() == 16
    assert home.status()["photos"]["pending"] == 0, "an edited copy is learned from"
    told = {problem["path"]: problem for problem in home.status()["problems"]}
    assert told[str(copy)]["outcome"] == "skipped"
    assert "of an unknown camera" not in home.hotpixeld("status").out
    home.once()  # it is no fault of a run, either


def test_tidy_leaves_what_was_edited_or_has_no_successor(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    old, new = home.photos / "repaired", home.root / "fixed"
    home.configure_folder(repaired=new)
    home.once()
    (old / "c_IMG_0000.JPG").write_bytes(b"edited")
    (new / "c_IMG_0001.JPG").unlink()
    (new / "c_IMG_0002.JPG").write_bytes(b"edited, too")
    (old / "holiday.txt").write_bytes(b"mine")
    said = home.hotpixeld("tidy", "--yes").out

    left = {"c_IMG_0000.JPG", "c_IMG_0001.JPG", "c_IMG_0002.JPG"}
    assert copies_in(old) == left | {"holiday.txt"}
    for name in left:
        assert f"stays: {old / name}: " in said
    (problem,) = home.status()["copy_problems"]
    assert (problem["path"], problem["condition"]) == (
        str(old / "c_IMG_0000.JPG"),
        "former",
    )


def test_the_folder_of_copies_is_moved_by_hand_and_the_configuration_follows(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    shutil.move(home.photos / "repaired", home.root / "fixed")
    before = {path: path.stat() for path in (home.root / "fixed").iterdir()}
    home.configure_folder(repaired=home.root / "fixed")
    told = home.once().out

    assert "copies: 16 found as written; 16 copies in all" in told
    assert set(home.copies().values()) == {"written"}
    assert copies_in(home.photos / "repaired") == set()
    assert home.status()["former_copies"] == []
    for path, status in before.items():
        assert path.stat().st_ino == status.st_ino, "written again"


def test_the_copies_are_deleted_and_another_folder_is_named(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    shutil.rmtree(home.photos / "repaired")
    home.configure_folder(repaired=home.root / "fixed")
    home.once()

    assert copies_in(home.root / "fixed") == names(16)


def test_one_copy_was_deleted_and_stays_so_at_the_new_place(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    (home.photos / "repaired" / "c_IMG_0003.JPG").unlink()
    home.configure_folder(repaired=home.root / "fixed")
    home.once()

    assert copies_in(home.root / "fixed") == names(16) - {"c_IMG_0003.JPG"}


def test_another_file_is_in_the_place_of_a_new_copy(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.once()
    mine = home.root / "fixed" / "c_IMG_0003.JPG"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    home.configure_folder(repaired=home.root / "fixed")
    home.once()
    home.hotpixeld("tidy", "--yes")

    assert mine.read_bytes() == b"mine"
    assert copies_in(home.photos / "repaired") == {"c_IMG_0003.JPG"}


def test_plain_copies_at_a_former_place_are_no_photos(home: Home, body: Body) -> None:
    body.shoot(home.photos / "trip", 16)
    home.configure_folder(path=home.photos / "trip", unchanged="copy")
    home.configure(repair={"pixels": "configured"})
    home.once()
    assert copies_in(home.photos / "trip" / "repaired") == names(16)
    home.configure_folder(path=home.photos)
    home.once()

    assert copies_in(home.photos / "repaired") == {f"trip/{one}" for one in names(16)}


@pytest.mark.parametrize("unchanged", ["link", "copy"])
def test_plain_copies_are_sent_to_and_fro_and_tidied(
    home: Home, body: Body, unchanged: str
) -> None:
    body.shoot(home.photos, 16)
    home.configure(repair={"pixels": "configured"})
    for repaired in ("repaired", "fixed", "repaired", "fixed"):
        home.configure_folder(repaired=repaired, unchanged=unchanged)
        home.once()

    old = home.photos / "repaired"
    assert home.written() == {f"photos/fixed/{one}" for one in names(16)}
    assert home.status()["former_copies"] == [{"place": str(old), "copies": 16}]
    home.hotpixeld("tidy", "--yes")
    assert copies_in(old) == set()
    assert copies_in(home.photos / "fixed") == names(16)


def test_the_new_folder_for_copies_is_the_old_one_by_a_link(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.configure_folder(repaired=home.root / "out" / "fixed")
    home.once()
    (home.root / "link").symlink_to(home.root / "out")
    home.configure_folder(repaired=home.root / "link" / "fixed")
    home.once()
    home.hotpixeld("tidy", "--yes")

    assert copies_in(home.root / "out" / "fixed") == names(16)


def test_the_state_is_moved(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.once()
    before = files(home.photos)
    shutil.move(home.state, home.root / "elsewhere")
    home.state = home.root / "elsewhere"
    home.configure(state=str(home.state))
    again = home.once()

    assert "nothing new" in again.out
    assert files(home.photos) == before
    assert home.listed() == body.xy
    assert set(home.copies().values()) == {"written"}


def test_another_folder_is_watched_in_turn_with_the_same_state(
    home: Home, body: Body
) -> None:
    body.shoot(home.root / "anna", 16)
    body.shoot(home.root / "ben", 6)
    for _ in range(2):
        for name in ("anna", "ben"):
            home.configure_folder(path=home.root / name)
            home.once()

    assert home.folded() == 22
    assert set(home.copies().values()) == {"written"}
    assert len(home.copies()) == 22


def test_tidy_follows_no_link(home: Home, body: Body) -> None:
    body.shoot(home.photos / "day1", 16)
    home.once()
    home.configure_folder(repaired=home.root / "fixed")
    home.once()
    old, safe = home.photos / "repaired" / "day1", home.root / "safe"
    shutil.move(old, safe)
    old.symlink_to(safe)
    said = home.hotpixeld("tidy", "--yes").out

    assert copies_in(safe) == names(16)
    assert said.count("stays: ") == 16


def test_a_second_state_has_its_copies_in_the_same_folder(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    before = {path: path.stat() for path in (home.photos / "repaired").iterdir()}
    other = home.also("state2")
    other.once()

    assert other.folded() == home.folded() == 16
    assert set(other.copies().values()) == {"written"}
    for path, status in before.items():
        assert path.stat().st_ino == status.st_ino, "written again"
    body.shoot(home.photos, 2)
    other.once()
    home.once()
    assert copies_in(home.photos / "repaired") == names(18)
    assert set(home.copies().values()) == {"written"}
    assert home.status()["copy_problems"] == other.status()["copy_problems"] == []


def test_skipped_files_of_a_folder_that_holds_copies_now_are_not_listed(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos / "trip", 16)
    home.configure_folder(path=home.photos / "trip")
    home.once()
    output = home.photos / "trip" / "repaired"
    sent = home.drop_copy(output / "c_IMG_0000.JPG", output / "sent.jpg")
    home.configure_folder(path=home.photos)
    home.once()
    assert [one["path"] for one in home.status()["problems"]] == [str(sent)]
    home.configure_folder(repaired=output)
    home.once()

    listed = [Path(one["path"]) for one in home.status()["problems"]]
    assert not any(path.is_relative_to(output) for path in listed)
    assert home.folded() == 16
