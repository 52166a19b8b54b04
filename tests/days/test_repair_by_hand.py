"""`hotpixeld repair PHOTO`, beside a daemon or without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from days.world import files

if TYPE_CHECKING:
    from pathlib import Path

    from days.world import Body, Home


def pixel(home: Home, number: int = 0) -> str:
    x, y = sorted(home.listed())[number]
    return f"{x},{y}"


def start(home: Home, body: Body) -> tuple[Path, Path]:
    """Have 16 photos taken and repaired; return one, and its copy."""
    body.shoot(home.photos / "day1", 16)
    home.once()
    photo = home.photos / "day1" / "IMG_0003.JPG"
    return photo, home.photos / "repaired" / "day1" / "c_IMG_0003.JPG"


def relist(home: Home, body: Body, *pixels: list[int]) -> None:
    """Have the daemon look at all copies again."""
    home.configure(cameras=[{"model": body.model, "pixels": list(pixels)}])
    home.once()


def test_a_photo_is_repaired_that_has_its_copy(home: Home, body: Body) -> None:
    photo, copy = start(home, body)
    before = files(home.photos)
    said = home.hotpixeld("repair", photo).out

    assert f"{photo} -> {copy}" in said
    assert files(home.photos) == before
    assert home.copies()["photos/repaired/day1/c_IMG_0003.JPG"] == "written"


def test_a_deleted_copy_is_asked_for_again(home: Home, body: Body) -> None:
    photo, copy = start(home, body)
    data = copy.read_bytes()
    copy.unlink()
    relist(home, body, [5, 5])
    relist(home, body)
    assert not copy.exists()
    home.hotpixeld("repair", photo)

    assert copy.read_bytes() == data
    relist(home, body, [60, 30])
    assert copy.read_bytes() != data, "the daemon keeps it again"


def test_fewer_pixels_do_not_replace_the_copy_unless_forced(
    home: Home, body: Body
) -> None:
    photo, copy = start(home, body)
    data = copy.read_bytes()
    said = home.hotpixeld("repair", photo, "--pixel", pixel(home), code=3).err
    assert "more repaired" in said
    assert "--force" in said
    assert copy.read_bytes() == data
    home.hotpixeld("repair", photo, "--pixel", pixel(home), "--force")
    forced = copy.read_bytes()
    assert forced != data
    relist(home, body, [5, 5])
    daemon = home.daemon().idle()
    home.configure(cameras=[])
    daemon.reload().stop()

    assert copy.read_bytes() == forced, "the daemon leaves what was made by hand"
    assert home.status()["copy_problems"] == []
    assert home.folded() == 16
    home.hotpixeld("repair", photo)
    assert copy.read_bytes() == data, "as listed, and the daemon's again"


def test_one_pixel_more_is_repaired_by_hand_beside_the_daemon(
    home: Home, body: Body
) -> None:
    photo, copy = start(home, body)
    before = copy.read_bytes()
    daemon = home.daemon().idle()
    pixels = [
        part for xy in sorted(home.listed()) for part in ("--pixel", f"{xy[0]},{xy[1]}")
    ]
    home.hotpixeld("repair", photo, *pixels, "--pixel", "60,30")
    by_hand = copy.read_bytes()
    assert by_hand != before
    home.configure(cameras=[{"model": body.model, "pixels": [[90, 9]]}])
    daemon.reload().stop()

    assert copy.read_bytes() == by_hand
    assert home.status()["copy_problems"] == []


def test_a_file_that_is_not_ours_is_in_the_place_of_the_copy(
    home: Home, body: Body
) -> None:
    photo, copy = start(home, body)
    copy.write_bytes(b"mine")
    for arguments in ((), ("--pixel", "5,5"), ("--force",)):
        said = home.hotpixeld("repair", photo, *arguments, code=3).err
        assert "not as hotpixeld wrote it" in said
    out = home.root / "out"
    out.mkdir()
    (out / "c_IMG_0003.JPG").write_bytes(b"mine, too")
    home.hotpixeld("repair", photo, "--output", out, code=3)

    assert copy.read_bytes() == b"mine"
    assert (out / "c_IMG_0003.JPG").read_bytes() == b"mine, too"


def test_the_copy_is_put_among_the_photos(home: Home, body: Body) -> None:
    photo, copy = start(home, body)
    daemon = home.daemon().idle()
    home.hotpixeld("repair", photo, "--output", home.photos / "day2")
    there = home.photos / "day2" / "c_IMG_0003.JPG"
    daemon.idle().stop()
    home.once()

    assert there.exists()
    assert home.folded() == 16
    assert not (home.photos / "repaired" / "day2").exists()
    assert copy.exists()


def test_the_copy_would_be_put_among_the_photos_of_a_state_that_cannot_know(
    home: Home, body: Body
) -> None:
    photo, _ = start(home, body)
    other = home.root / "none"
    arguments = "--state", other, "--pixel", "5,5"
    said = home.hotpixeld(
        "repair", photo, "--output", home.photos / "day2", *arguments, code=3
    ).err
    assert "would be taken for a photo" in said
    home.hotpixeld("repair", photo, "--output", home.root / "out", *arguments)

    assert not (home.photos / "day2").exists()
    assert (home.root / "out" / "c_IMG_0003.JPG").exists()
    assert not other.exists()


@pytest.mark.parametrize("pixels", [(), ("--pixel", "5,5", "--force")])
def test_a_photo_is_repaired_while_another_folder_is_tried_out_and_taken_back(
    home: Home, body: Body, pixels: tuple[str, ...]
) -> None:
    photo, copy = start(home, body)
    data = copy.read_bytes()
    home.configure_folder(repaired=home.root / "tried")
    home.hotpixeld("repair", photo, *pixels)
    home.configure_folder(repaired=home.photos / "repaired")
    home.once()

    tried = home.root / "tried" / "day1" / copy.name
    assert home.copies()["photos/repaired/day1/c_IMG_0003.JPG"] == "written"
    assert copy.read_bytes() == data
    home.hotpixeld("tidy", "--yes")
    assert tried.exists() == bool(pixels), "what was told by hand is the user's"
    assert home.folded() == 16


def test_a_copy_is_named_in_place_of_its_original(home: Home, body: Body) -> None:
    photo, copy = start(home, body)
    before = files(home.photos)
    elsewhere = home.drop_copy(copy, home.root / "desk" / "sent.jpg")
    for path in (copy, elsewhere):
        said = home.hotpixeld("repair", path, "--pixel", "5,5", code=3).err
        assert f"a copy that hotpixeld wrote of {photo}: repair that" in said

    assert files(home.photos) == before
    assert list(files(elsewhere.parent)) == ["sent.jpg"]


def test_photos_of_one_name_are_repaired_into_one_folder(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos / "day1", 16)
    home.once()
    photo = home.photos / "day1" / "IMG_0003.JPG"
    (other,) = body.shoot(home.photos / "day2", 1, name="IMG_0003.JPG")
    out = home.root / "out"
    said = home.hotpixeld("repair", photo, other, "--output", out, code=3)

    assert "is the copy of" in said.err
    assert list(files(out)) == ["c_IMG_0003.JPG"]


def test_a_photo_that_nobody_watches_is_repaired_beside_it_and_again(
    home: Home, body: Body
) -> None:
    start(home, body)
    (photo,) = body.shoot(home.root / "desk")
    copy = home.root / "desk" / "repaired" / f"c_{photo.name}"
    home.hotpixeld("repair", photo)
    first = copy.read_bytes()
    home.hotpixeld("repair", photo)
    assert copy.read_bytes() == first
    pixels = [
        part for xy in sorted(home.listed()) for part in ("--pixel", f"{xy[0]},{xy[1]}")
    ]
    home.hotpixeld("repair", photo, *pixels, "--pixel", "5,5")

    assert copy.read_bytes() != first
    home.hotpixeld("repair", photo, code=3)
    home.hotpixeld("repair", photo, "--force")
    assert copy.read_bytes() == first


def test_undo_works_for_a_copy_made_by_hand(home: Home, body: Body) -> None:
    photo, copy = start(home, body)
    home.hotpixeld("repair", photo, "--pixel", pixel(home), "--force")
    back = home.root / "back.jpg"
    home.hotpixeld("undo", copy, "--output", back)

    assert back.read_bytes() == photo.read_bytes()
