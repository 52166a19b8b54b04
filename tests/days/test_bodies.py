"""Bodies: several cameras in a folder, bodies of one model, one body at two sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from days.world import Body, files
from sensor import Planted

if TYPE_CHECKING:
    from days.world import Home

XY = set[tuple[int, int]]


def lists(home: Home) -> dict[str, XY]:
    """Return the places in the map of each camera, by what tells its body."""
    return {
        one["serial"] or one["model"]: {(at["x"], at["y"]) for at in one["pixels"]}
        for one in home.maps()
    }


def repaired(home: Home, folder: str) -> XY:
    """Return what is repaired in the copies of photos in a folder."""
    with home.ledger() as ledger:
        copies = [
            ledger.copies.find(path) for path in (home.root / folder).glob("*.JPG")
        ]
    return {
        at for one in copies if one and one.condition == "written" for at in one.pixels
    }


def two_bodies(home: Home) -> tuple[Body, Body]:
    """Return two bodies of one model that write no serial, and watch a folder of each."""
    anna, ben = Body(serial="", seed=1), Body(serial="", seed=2)
    folders = [
        {"path": str(home.root / name), "settle_seconds": 0.1}
        for name in ("anna", "ben")
    ]
    for name in ("anna", "ben"):
        (home.root / name).mkdir()
    home.configure(folders=folders)
    return anna, ben


def name_folders(home: Home) -> None:
    """Say in the configuration whose folder is whose."""
    names = ("anna", "ben")
    home.configure(cameras=[{"name": name, "model": "NIKON D80"} for name in names])
    for number, name in enumerate(names):
        home.configure_folder(number, camera=name)


def test_two_cameras_in_one_folder_are_learned_apart(home: Home) -> None:
    one, two = Body(serial="1", seed=1), Body(serial="2", seed=2)
    one.shoot(home.photos, 16, name="A_{:04d}.JPG")
    two.shoot(home.photos, 16, name="B_{:04d}.JPG")
    home.once()

    assert lists(home) == {"1": one.xy, "2": two.xy}


def test_two_bodies_without_serial_learn_apart_in_folders_that_are_named(
    home: Home,
) -> None:
    anna, ben = two_bodies(home)
    name_folders(home)
    anna.shoot(home.root / "anna", 16)
    ben.shoot(home.root / "ben", 16)
    home.once()

    assert lists(home) == {"anna": anna.xy, "ben": ben.xy}
    assert repaired(home, "anna") == anna.xy
    assert repaired(home, "ben") == ben.xy


def test_bodies_that_were_mixed_up_are_told_apart_by_relearn(home: Home) -> None:
    anna, ben = two_bodies(home)
    anna.shoot(home.root / "anna", 16)
    ben.shoot(home.root / "ben", 16)
    home.once()
    (mixed,) = home.maps()
    assert mixed["photos"] == 32
    # Naming the folders is for new photos; what was folded stays where it is.
    name_folders(home)
    home.once()
    assert [one["photos"] for one in home.maps()] == [32]
    home.hotpixeld("relearn", mixed["id"])
    home.once()

    assert lists(home) == {"anna": anna.xy, "ben": ben.xy}
    assert [one["photos"] for one in home.maps()] == [16, 16]
    assert repaired(home, "anna") == anna.xy
    assert repaired(home, "ben") == ben.xy
    assert "nothing new" in home.once().out


def test_a_folder_is_named_while_the_daemon_runs(home: Home) -> None:
    anna, ben = two_bodies(home)
    daemon = home.daemon()
    name_folders(home)
    daemon.reload()
    anna.shoot(home.root / "anna", 16)
    ben.shoot(home.root / "ben", 16)
    daemon.idle().stop()
    home.once()

    assert lists(home) == {"anna": anna.xy, "ben": ben.xy}


def test_photos_that_lost_their_serial_belong_to_the_body_of_their_folder(
    home: Home,
) -> None:
    whole, without = Body(serial="3012345"), Body(serial="")
    entry = {"name": "anna", "model": "NIKON D80", "serial": "3012345"}
    home.configure(cameras=[entry])
    home.configure_folder(camera="anna")
    without.shoot(home.photos, 8)
    whole.taken = 8
    whole.shoot(home.photos, 8)
    home.once()

    assert lists(home) == {"3012345": whole.xy}


def test_the_status_says_that_two_sizes_are_one_body(home: Home) -> None:
    large, small = Body(), Body(height=64, width=88)
    large.shoot(home.photos, 4, name="L_{:04d}.JPG")
    small.shoot(home.photos, 4, name="S_{:04d}.JPG")
    other = Body(serial="4", seed=4)
    other.shoot(home.photos, 4, name="O_{:04d}.JPG")
    home.once()
    cameras = {(one["serial"], one["width"]): one for one in home.status()["cameras"]}
    one, two = cameras[large.serial, 120], cameras[large.serial, 88]

    assert (one["same_body"], two["same_body"]) == ([two["id"]], [one["id"]])
    assert cameras["4", 120]["same_body"] == []
    text = home.hotpixeld("status").out
    assert f"same body as {one['name']}" in text
    assert f"same body as {two['name']}" in text


def two_sizes() -> tuple[Body, Body]:
    """Return one body that writes photos of two sizes, one twice the other."""
    sites = (20, 30), (50, 90), (65, 15)
    half = tuple(Planted(row, col, 85.0) for row, col in sites)
    full = tuple(Planted(2 * row, 2 * col, 85.0) for row, col in sites)
    large = Body(height=176, width=240, defects=full)
    return large, Body(defects=half, seed=5, taken=100)


def small_map(home: Home) -> list[dict[str, object]]:
    """Return the list of the small size."""
    (pixels,) = (one["pixels"] for one in home.maps() if one["width"] == 120)
    return list(pixels)


def test_photos_of_another_size_of_the_same_body_are_repaired_from_the_first_on(
    home: Home,
) -> None:
    large, small = two_sizes()
    large.shoot(home.photos, 16)
    home.once()
    (home.root / "small").mkdir()
    folders = [*home.settings["folders"], {"path": str(home.root / "small")}]
    home.configure(folders=[{**one, "settle_seconds": 0.1} for one in folders])
    small.shoot(home.root / "small", 1)
    home.once()

    assert repaired(home, "small") == small.xy
    assert {one["prior"] for one in small_map(home)} == {"240x176"}
    assert home.hotpixeld("map").out.count("from the list of 240x176") == 3
    assert "3 from the list of another size" in home.hotpixeld("status").out

    small.shoot(home.root / "small", 15)
    home.once()

    assert {one["prior"] for one in small_map(home)} == {None}
    assert {(one["x"], one["y"]) for one in small_map(home)} == small.xy
    assert repaired(home, "small") == small.xy


def test_what_is_ignored_in_one_size_is_taken_out_of_the_copies_of_another(
    home: Home,
) -> None:
    large, small = two_sizes()
    large.shoot(home.photos, 16)
    small.shoot(home.root / "small", 1)
    home.once()
    folders = [*home.settings["folders"], {"path": str(home.root / "small")}]
    home.configure(folders=[{**one, "settle_seconds": 0.1} for one in folders])
    home.once()
    assert repaired(home, "small") == small.xy
    sound = [{"x": 60, "y": 40}]
    entry = {"model": large.model, "size": [240, 176], "ignore": sound}
    home.configure(cameras=[entry])
    home.once()

    assert repaired(home, "small") == small.xy - {(30, 20)}


def test_taking_a_name_away_from_a_folder_and_giving_it_back_doubles_nothing(
    home: Home,
) -> None:
    anna, ben = two_bodies(home)
    name_folders(home)
    anna.shoot(home.root / "anna", 16)
    home.once()
    before = files(home.root / "anna")
    for name in (None, "anna"):
        home.configure_folder(camera=name)
        home.once()

    assert lists(home) == {"anna": anna.xy}
    assert files(home.root / "anna") == before
    assert home.folded() == 16
    assert ben.taken == 0
