"""Our own copies: recognised by what they are, wherever they lie and whoever wrote them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from jpegs import app, with_segment

if TYPE_CHECKING:
    from pathlib import Path

    from days.world import Answer, Body, Home


def reasons(home: Home, *names: str) -> set[str]:
    """Return why photos of these names were not folded."""
    with home.ledger() as ledger:
        records = ledger.paths.with_reason(1000)
        return {one.reason for one in records if one.path.name.startswith(names)}


def assert_learned_from_originals_only(home: Home, body: Body) -> None:
    assert home.folded() == body.taken
    assert home.listed() == body.xy
    assert not [name for name in home.written() if "c_c_" in name]
    for name, outcome in home.outcomes().items():
        is_copy = name.rpartition("/")[2].startswith(("c_", "copy"))
        assert outcome == ("skipped" if is_copy else "image"), name


def test_a_subfolder_is_watched_first_and_then_its_parent(
    home: Home, body: Body
) -> None:
    """The parent's output is elsewhere: the copies in the subfolder are in plain sight."""
    body.shoot(home.photos / "day1", 16)
    home.configure_folder(path=home.photos / "day1")
    home.once()
    home.configure_folder(path=home.photos)
    home.once()

    assert_learned_from_originals_only(home, body)


def test_a_second_state_on_the_same_tree_learns_no_copy(home: Home, body: Body) -> None:
    body.shoot(home.photos / "day1", 16)
    home.configure_folder(path=home.photos / "day1")
    home.once()
    other = home.also("state2")
    other.configure_folder(path=home.photos)
    other.once()

    assert_learned_from_originals_only(other, body)
    assert len(other.outcomes()) == 32
    assert reasons(other, "c_IMG_0003") == {
        f"a repaired copy of {home.photos / 'day1' / 'IMG_0003.JPG'}"
    }


def test_the_state_is_lost_and_made_anew_beside_its_copies(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    shutil.rmtree(home.state)
    home.configure_folder(repaired="out")
    home.once()

    assert_learned_from_originals_only(home, body)


def test_copies_are_renamed_and_put_into_the_import_folder_of_another_state(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    for number, name in enumerate(sorted(home.written())):
        home.drop_copy(home.root / name, home.photos / "a" / f"copy{number}.jpg")
    other = home.also("state2")
    other.configure_folder(repaired="out", unchanged="skip")
    other.once()

    assert_learned_from_originals_only(other, body)


def test_a_copy_comes_back_to_the_state_that_wrote_it(home: Home, body: Body) -> None:
    photos = body.shoot(home.photos, 16)
    home.once()
    home.drop_copy(
        home.photos / "repaired" / f"c_{photos[0].name}", home.photos / "copy.jpg"
    )
    home.once()

    assert_learned_from_originals_only(home, body)
    assert reasons(home, "copy") == {
        f"a repaired copy of {photos[0]}, written by hotpixeld"
    }


def test_a_copy_is_seen_by_another_daemon_before_its_original(
    home: Home, body: Body
) -> None:
    """The original takes the place of its copy, and gets a copy of its own."""
    body.shoot(home.photos, 16)
    home.once()
    other = home.also("state2")
    inbox = home.root / "inbox"
    other.configure_folder(path=inbox)
    inbox.mkdir()
    daemon = other.daemon()
    for name in sorted(home.written()):
        home.drop_copy(home.root / name, inbox / name.rpartition("/")[2])
    daemon.idle()
    assert other.folded() == 16
    for photo in sorted(home.photos.glob("*.JPG")):
        home.drop_copy(photo, inbox / photo.name)
    daemon.idle().stop()
    other.once()

    assert other.folded() == 16
    outcomes = other.outcomes()
    assert {outcomes[f"inbox/c_IMG_{n:04d}.JPG"] for n in range(16)} == {"skipped"}
    assert {outcomes[f"inbox/IMG_{n:04d}.JPG"] for n in range(16)} == {"image"}


def test_a_folder_of_edited_photos_is_folded_and_the_copies_in_it_are_not(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos / "day1", 16)
    home.configure_folder(path=home.photos / "day1")
    home.once()
    other = home.also("state2")
    other.configure_folder(path=home.photos, edited="fold")
    other.once()

    assert_learned_from_originals_only(other, body)


def test_a_copy_alone_is_a_photo(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.once()
    archive = home.root / "archive"
    shutil.copytree(home.photos / "repaired", archive)
    other = home.also("state2")
    other.configure_folder(path=archive)
    other.once()

    assert other.folded() == 16
    assert set(other.outcomes().values()) == {"image"}


def test_a_copy_is_rated_and_comes_back(home: Home, body: Body) -> None:
    """Its file is not what we wrote any more, and its picture still is."""

    body.shoot(home.photos, 16)
    home.once()
    data = (home.photos / "repaired" / "c_IMG_0005.JPG").read_bytes()
    rating = app(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmp:Rating='5'/>")
    (home.photos / "c_best.jpg").write_bytes(with_segment(data, rating))
    other = home.also("state2")
    other.configure_folder(repaired="repaired")
    for one in (home, other):
        one.once()

        assert_learned_from_originals_only(one, body)


def test_a_copy_of_a_copy_comes_back_after_the_copy_was_written_anew(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    copy = home.photos / "repaired" / "c_IMG_0003.JPG"
    kept = home.drop_copy(copy, home.photos / "day2" / "copy.JPG")
    home.once()
    home.configure(cameras=[{"model": body.model, "pixels": [[60, 30]]}])
    home.once()
    assert copy.read_bytes() != kept.read_bytes()
    home.drop_copy(kept, home.photos / "day2" / "copy_again.JPG")
    home.once()

    assert home.outcomes()["photos/day2/copy_again.JPG"] == "skipped"
    assert home.folded() == 16
    assert not (home.photos / "repaired" / "day2").exists()


def test_a_former_copy_comes_back_after_its_photo_was_deleted_and_all_learned_again(
    home: Home, body: Body
) -> None:
    """What it was made of is known, though nothing is learned from that any more."""
    photos = body.shoot(home.photos, 16)
    home.once()
    copy = home.photos / "repaired" / "c_IMG_0003.JPG"
    kept = home.drop_copy(copy, home.root / "kept.JPG")
    home.configure(cameras=[{"model": body.model, "pixels": [[60, 30]]}])
    home.once()
    assert copy.read_bytes() != kept.read_bytes()
    photos[3].unlink()
    (camera,) = home.status()["cameras"]
    home.hotpixeld("relearn", "--yes", camera["id"])
    home.drop_copy(kept, home.photos / "day2" / "copy.JPG")
    home.once()

    assert home.outcomes()["photos/day2/copy.JPG"] == "skipped"
    assert home.folded() == 15


@pytest.mark.parametrize("set_name", ["canon-t5i-2592", "fuji-a200"])
def test_copies_of_real_photos_are_learned_by_no_other_state(
    home: Home, photo_sets: Path, set_name: str
) -> None:
    photos = sorted((photo_sets / set_name).glob("*.JPG"))[:18]
    for photo in photos:
        home.drop_copy(photo, home.photos / "day" / photo.name)
    home.configure_folder(path=home.photos / "day")
    home.once()
    written = home.written()
    other = home.also("state2")
    other.configure_folder(path=home.photos)
    answer: Answer = other.once()

    assert written, "no copies: the set shows nothing"
    assert other.folded() == 18, answer
    assert len(reasons(other, "c_")) == len(written)
    assert all(why.startswith("a repaired copy of ") for why in reasons(other, "c_"))
