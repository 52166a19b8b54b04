"""Lists: what a user ignores, lists by hand or has had serviced, and what becomes of it."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import numpy as np

from days.world import HEIGHT, WIDTH, Body, files
from hotpixeld.config.load import load
from sensor import START, Planted, scattered, write_jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from days.world import Home, Json


def pixels(home: Home, command: str = "map") -> dict[tuple[int, int], Json]:
    """Return the lists' pixels by place, as `map` or `history` prints them."""
    options = ("--format", "json") if command == "map" else ("--json",)
    cameras = home.hotpixeld(command, *options).json["cameras"]
    return {(one["x"], one["y"]): one for camera in cameras for one in camera["pixels"]}


def repaired(home: Home) -> set[tuple[int, int]]:
    """Return the pixels that are repaired in any copy, by the ledger."""
    with home.ledger() as ledger:
        found = [ledger.copies.find(path) for path in home.photos.rglob("*.JPG")]
    return {
        xy
        for copy in found
        if copy and copy.condition == "written"
        for xy in copy.pixels
    }


def ignore(home: Home, body: Body, *points: tuple[int, int]) -> None:
    listed = [list(point) for point in points]
    home.configure(cameras=[{"model": body.model, "ignore": listed}])


def the_map(home: Home) -> Path:
    (path,) = home.state.glob("cameras/*/map.yaml")
    return path


def test_an_ignored_pixel_is_taken_out_of_all_copies_by_the_next_run(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    sound, *others = sorted(body.xy)
    assert repaired(home) == body.xy
    ignore(home, body, sound)
    again = home.once()

    assert repaired(home) == set(others)
    assert "2 hot pixels" in again.out
    found = pixels(home)
    assert set(found) == body.xy
    assert {place for place, one in found.items() if one["ignored"]} == {sound}
    assert "ignored" in home.hotpixeld("history").out
    (listed,) = load(the_map(home)).cameras
    assert {(one.x, one.y) for one in listed.pixels} == set(others)
    assert [(one.x, one.y) for one in listed.ignore] == [sound]


def test_a_daemon_ignores_a_pixel_at_its_reload_and_brings_it_back_at_the_next(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    before = files(home.photos / "repaired")
    sound, *others = sorted(body.xy)
    daemon = home.daemon().idle()
    ignore(home, body, sound)
    daemon.reload()

    assert repaired(home) == set(others)
    home.configure(cameras=[])
    daemon.reload().stop()
    assert repaired(home) == body.xy
    assert files(home.photos / "repaired") == before


def test_copies_go_when_all_their_pixels_are_ignored(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.once()
    ignore(home, body, *body.xy)
    home.once()

    assert home.written() == set()
    (camera,) = home.status()["cameras"]
    assert (camera["defects"], camera["ignored"]) == (0, 3)
    home.configure(cameras=[])
    home.once()
    assert repaired(home) == body.xy


def test_new_photos_do_not_bring_an_ignored_pixel_back(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.once()
    sound, *others = sorted(body.xy)
    ignore(home, body, sound)
    body.shoot(home.photos, 16)
    home.once()

    assert repaired(home) == set(others)
    assert pixels(home)[sound]["ignored"]


def test_a_pixel_listed_by_hand_is_shown_as_such(home: Home, body: Body) -> None:
    found, *_ = sorted(body.xy)
    by_hand = (60, 44)
    entry = {"model": body.model, "pixels": [list(by_hand), list(found)]}
    home.configure(cameras=[entry])
    body.shoot(home.photos, 16)
    home.once()

    for command in ("map", "history"):
        sources = {at: one["source"] for at, one in pixels(home, command).items()}
        assert sources.pop(by_hand) == "configured"
        assert sources.pop(found) == "both"
        assert set(sources.values()) == {"detected"}
        _, *lines = home.hotpixeld(command).out.splitlines()
        assert [line.split("\t")[-1] for line in lines].count("yours") == 2


def test_a_list_from_rawtherapee_is_repaired_after_its_import(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    by_eye = (60, 44)
    theirs = home.root / "Nikon D80 3012345.badpixels"
    lines = (f"{x + 9} {y + 4}\n" for x, y in [by_eye, *sorted(body.xy)])
    theirs.write_text("".join(lines))
    written = home.config.read_text()
    command = "import", str(theirs), "--camera", "3012345", "--raw-offset", "9,4"
    shown = home.hotpixeld(*command)
    assert home.config.read_text() == written
    assert home.hotpixeld(*command, "--write").out == shown.out
    home.once()

    assert repaired(home) == {by_eye, *body.xy}
    sources = {at: one["source"] for at, one in pixels(home).items()}
    assert sources.pop(by_eye) == "configured"
    assert set(sources.values()) == {"both"}
    assert home.hotpixeld(*command, "--write").out == ""


def test_a_body_has_its_own_file_for_rawtherapee(home: Home, body: Body) -> None:
    other = Body(serial="3012346", seed=1)
    for one in (body, other):
        one.shoot(home.photos / one.serial, 16)
    home.once()
    export = "map", "--format", "rawtherapee", "--raw-offset", "9,4", "--output"
    refused = home.hotpixeld(*export, home.root / "one", code=1)
    assert "does not say which camera" in refused.err
    home.hotpixeld(*export, f"{home.root}/dark/")

    for one in (body, other):
        file = home.root / "dark" / f"Nikon D80 {one.serial}.badpixels"
        places = {
            tuple(map(int, line.split())) for line in file.read_text().splitlines()
        }
        assert places == {(x + 9, y + 4) for x, y in one.xy}


def test_a_pixel_that_the_service_did_not_mend_is_one_defect(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 48)
    home.once()
    before = home.written()
    when = START + dt.timedelta(minutes=16)
    home.configure(cameras=[{"model": body.model, "serviced": when.isoformat()}])
    home.once()

    assert [one["until"] for one in pixels(home).values()] == [None] * 3
    assert len(home.hotpixeld("history").out.splitlines()) == 1 + 3
    assert home.written() == before


def test_a_pixel_that_the_service_mended_ends_with_it(home: Home) -> None:
    mended, *others = scattered(3, HEIGHT, WIDTH, levels=(70, 90))
    mended = Planted(mended.row, mended.col, mended.level, until=32)
    body = Body(defects=(mended, *others))
    body.shoot(home.photos, 32)
    home.once()
    assert repaired(home) == body.xy
    when = (START + dt.timedelta(minutes=32)).isoformat()
    home.configure(cameras=[{"model": body.model, "serviced": when}])
    body.shoot(home.photos, 32)
    home.once()

    found = pixels(home)
    assert found.pop((mended.col, mended.row))["until"] == when
    assert [one["until"] for one in found.values()] == [None, None]
    assert len(found) == 2
    lines = home.hotpixeld("notify", "--list").out.splitlines()
    (gone,) = [one for one in map(json.loads, lines) if one["event"] == "defect_gone"]
    assert gone["pixels"] == [{"x": mended.col, "y": mended.row}]
    assert (gone["count"], gone["there"]) == (1, 2)


def test_a_service_that_was_known_from_the_first_day_hides_nothing_of_the_past(
    home: Home,
) -> None:
    mended, *others = scattered(3, HEIGHT, WIDTH, levels=(70, 90))
    mended = Planted(mended.row, mended.col, mended.level, until=32)
    body = Body(defects=(mended, *others))
    when = (START + dt.timedelta(minutes=32)).isoformat()
    home.configure(cameras=[{"model": body.model, "serviced": when}])
    body.shoot(home.photos, 64)
    home.once()

    found = pixels(home)
    assert found.pop((mended.col, mended.row))["until"] == when
    assert [one["until"] for one in found.values()] == [None, None]
    assert repaired(home) == body.xy


def test_the_day_of_a_service_is_corrected(home: Home, body: Body) -> None:
    body.shoot(home.photos, 48)
    home.once()
    maps, copies = home.maps(), files(home.photos)
    for minutes in (16, 32):
        when = (START + dt.timedelta(minutes=minutes)).isoformat()
        home.configure(cameras=[{"model": body.model, "serviced": when}])
        home.once()
        assert [one["until"] for one in pixels(home).values()] == [None] * 3
    home.configure(cameras=[])
    home.once()

    assert home.maps() == maps
    assert files(home.photos).keys() == copies.keys()


def test_a_daemon_takes_a_service_into_account_at_its_reload_or_start(
    home: Home,
) -> None:
    mended, *others = scattered(3, HEIGHT, WIDTH, levels=(70, 90))
    mended = Planted(mended.row, mended.col, mended.level, until=32)
    body = Body(defects=(mended, *others))
    body.shoot(home.photos, 64)
    home.once()
    place = mended.col, mended.row
    days = [(START + dt.timedelta(minutes=minutes)).isoformat() for minutes in (40, 32)]
    entries = [{"model": body.model, "serviced": when} for when in days]
    home.configure(cameras=entries[:1])
    daemon = home.daemon()
    daemon.until(lambda: pixels(home)[place]["until"] is not None, "no map")
    daemon.idle()
    home.configure(cameras=entries[1:])
    maps = daemon.log.count("map of")
    daemon.reload()
    daemon.until(lambda: daemon.log.count("map of") > maps, "no map")
    daemon.stop()

    assert pixels(home)[place]["until"] == days[1]
    assert len(pixels(home)) == 3


def test_a_pixel_is_listed_that_is_sound_and_the_photo_is_renamed(home: Home) -> None:
    """Nothing is changed in its copy: the photo is not taken for a copy for that."""
    photo = home.photos / "sky.jpg"
    write_jpeg(photo, np.full((88, 120, 3), 128, np.uint8))
    home.configure(cameras=[{"model": "Model One", "pixels": [[50, 50]]}])
    home.once()
    photo.rename(home.photos / "evening.jpg")
    home.once()

    assert home.outcomes() == {"photos/evening.jpg": "image"}
    assert home.copies() == {"photos/repaired/c_evening.jpg": "written"}
    assert home.written() == {"photos/repaired/c_evening.jpg"}
