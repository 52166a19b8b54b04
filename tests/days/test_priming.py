"""Priming: a user who owns lens-cap frames has repaired copies from the first photo on."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pytest

from days.world import HEIGHT, WIDTH, Body, files, maker_note
from sensor import START, Planted, exposed, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from days.world import Home, Json

GONE = Planted(40, 60, 80)
"""What the lens-cap frames show, and no photo: a place apart from the body's own."""


def cap(
    home: Home, count: int = 2, body: Body | None = None, also: Sequence[Planted] = ()
) -> list[Path]:
    """Take lens-cap frames with a body, beside the import folder; return their paths."""
    body = body or Body()
    folder = home.root / "caps"
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(count):
        path = folder / f"CAP_{body.serial}_{len(list(folder.iterdir())):04d}.JPG"
        dark = np.full((body.height, body.width, 3), 3.0)
        rng = np.random.default_rng(number)
        write_jpeg(
            path,
            exposed(dark, rng, 1.5, [*(body.defects or ()), *also]),
            START - dt.timedelta(days=1, minutes=number),
            make="NIKON CORPORATION",
            model=body.model,
            serial=body.serial,
            maker_note=maker_note(body.serial, 900 + number),
        )
        paths.append(path)
    return paths


def apart(body: Body) -> bool:
    return all(
        max(abs(one.row - GONE.row), abs(one.col - GONE.col)) > 9
        for one in body.sensor.defects
    )


def repaired(home: Home) -> list[set[tuple[int, int]]]:
    """Return what is repaired in each copy."""
    with home.ledger() as ledger:
        copies = map(ledger.copies.find, sorted(home.photos.glob("*.JPG")))
        return [
            set(one.pixels) if one and one.condition == "written" else set()
            for one in copies
        ]


def outcomes(home: Home) -> dict[tuple[int, int], str]:
    """Return what became of what was primed, by x, y."""
    with home.ledger() as ledger:
        return {
            (one.pixel.x, one.pixel.y): str(one.outcome)
            for record in ledger.images.cameras()
            for one in ledger.primed.of(record.camera.id)
        }


def sources(home: Home) -> dict[tuple[int, int], str]:
    return {
        (one["x"], one["y"]): one["source"]
        for camera in home.maps()
        for one in camera["pixels"]
    }


def primed_camera(home: Home) -> Json:
    (camera,) = home.status()["cameras"]
    return dict(camera)


def test_the_first_photo_is_repaired_where_lens_cap_frames_say(home: Home) -> None:
    body = Body()
    home.hotpixeld("prime", *cap(home))
    assert sources(home) == dict.fromkeys(body.xy, "primed")
    body.shoot(home.photos, 3)
    home.once()

    assert all(one and one <= body.xy for one in repaired(home))
    assert set.union(*repaired(home)) == body.xy
    assert primed_camera(home)["primed"] == 3
    assert "3 primed" in home.hotpixeld("status").out
    assert "primed" in home.hotpixeld("map").out
    assert home.folded() == 3


def test_photos_confirm_what_they_show_and_drop_what_they_do_not(home: Home) -> None:
    body = Body()
    assert apart(body)
    home.hotpixeld("prime", *cap(home, 3, also=[GONE]))
    body.shoot(home.photos, 24)
    home.once()

    confirmed = dict.fromkeys(body.xy, "confirmed")
    assert outcomes(home) == confirmed | {(GONE.col, GONE.row): "dropped"}
    assert sources(home) == dict.fromkeys(body.xy, "detected")
    assert all(one <= body.xy for one in repaired(home))


def test_earlier_photos_are_repaired_once_the_camera_is_primed(home: Home) -> None:
    body = Body()
    body.shoot(home.photos, 3)
    home.once()
    assert repaired(home) == [set(), set(), set()]
    home.hotpixeld("prime", *cap(home))
    home.once()

    assert all(one and one <= body.xy for one in repaired(home))
    assert set.union(*repaired(home)) == body.xy


def test_the_daemon_is_stopped_for_it_and_repairs_then(home: Home) -> None:
    body = Body()
    daemon = home.daemon()
    frames = cap(home)
    assert "stop" in home.hotpixeld("prime", *frames, code=4).err
    home.hotpixeld("prime", *frames, "--dry-run")
    daemon.stop()
    home.hotpixeld("prime", *frames)
    daemon = home.daemon()
    body.shoot(home.photos, 3)
    daemon.idle().stop()

    assert set.union(*repaired(home)) == body.xy


def test_frames_are_only_read_and_a_dry_run_lists_nothing(home: Home) -> None:
    frames = cap(home)
    before = files(home.root / "caps")
    answer = home.hotpixeld("prime", *frames, "--dry-run")

    assert "3 hot pixels in 2 lens-cap frames" in answer.out
    assert not (home.state / "ledger.sqlite3").exists()
    home.hotpixeld("prime", *frames)
    assert files(home.root / "caps") == before


def test_what_is_no_lens_cap_frame_is_refused_and_the_others_count(home: Home) -> None:
    body = Body()
    (photo,) = body.shoot(home.root / "elsewhere", 1)
    text = home.root / "notes.jpg"
    text.write_text("no photo")
    frames = cap(home)
    missing = home.root / "none.jpg"
    named = [photo, text, *frames, frames[0], missing]
    answer = home.hotpixeld("prime", *named, code=3)

    assert f"{photo}: not dark: its blocks reach level" in answer.err
    assert f"{text}: not a usable JPEG" in answer.err
    assert f"{frames[0]}: named twice" in answer.err
    assert f"{home.root / 'none.jpg'}: gone" in answer.err
    assert set(sources(home)) == body.xy


def test_more_than_ten_frames_are_too_many(home: Home) -> None:
    frames = cap(home)
    assert "name 10 at most" in home.hotpixeld("prime", *frames * 6, code=2).err


def test_frames_of_two_bodies_go_to_their_cameras(home: Home) -> None:
    one, two = Body(serial="1", seed=1), Body(serial="2", seed=2)
    home.hotpixeld("prime", *cap(home, 2, one), *cap(home, 2, two))

    assert {
        camera["serial"]: {(at["x"], at["y"]) for at in camera["pixels"]}
        for camera in home.maps()
    } == {"1": one.xy, "2": two.xy}


def test_what_is_ignored_is_not_repaired(home: Home) -> None:
    body = Body()
    x, y = min(body.xy)
    entry = {"name": "mine", "model": body.model, "ignore": [[x, y]]}
    home.configure(cameras=[entry])
    home.hotpixeld("prime", *cap(home))
    body.shoot(home.photos, 3)
    home.once()

    assert set.union(*repaired(home)) == body.xy - {(x, y)}


@pytest.mark.parametrize("command", ["forget", "relearn"])
def test_forget_drops_it_and_relearn_does_not(home: Home, command: str) -> None:
    body = Body()
    home.hotpixeld("prime", *cap(home))
    body.shoot(home.photos, 16)
    home.once()
    assert set(outcomes(home).values()) == {"confirmed"}
    answer = home.hotpixeld(command, "--yes")

    if command == "forget":
        assert "3 primed pixels" in answer.out
        assert outcomes(home) == {}
    else:
        assert outcomes(home) == dict.fromkeys(body.xy, "open")


def test_priming_again_adds_and_renews(home: Home) -> None:
    body = Body()
    home.hotpixeld("prime", *cap(home, 3, also=[GONE]))
    body.shoot(home.photos, 24)
    home.once()
    assert outcomes(home)[GONE.col, GONE.row] == "dropped"
    new = Planted(60, 30, 70)
    home.hotpixeld("prime", *cap(home, 2, also=[GONE, new]))

    assert outcomes(home)[GONE.col, GONE.row] == "open"
    assert outcomes(home)[new.col, new.row] == "open"


def test_photos_of_another_size_are_repaired_as_well(home: Home) -> None:
    """Until they have a list of their own, which does not have what was gone."""
    sites = (20, 30), (50, 90), (65, 15)
    large = Body(
        height=2 * HEIGHT,
        width=2 * WIDTH,
        defects=tuple(Planted(2 * row, 2 * col, 85.0) for row, col in sites),
    )
    small = Body(defects=tuple(Planted(*site, 85.0) for site in sites), seed=5)
    home.hotpixeld("prime", *cap(home, 3, large))
    small.shoot(home.photos, 3)
    home.once()

    assert all(one and one <= small.xy for one in repaired(home))
    assert set.union(*repaired(home)) == small.xy
    (listed,) = (one["pixels"] for one in home.maps() if one["width"] == WIDTH)
    assert {one["prior"] for one in listed} == {f"{large.width}x{large.height}"}


def test_a_state_that_is_merged_has_what_both_were_primed_with(home: Home) -> None:
    one, two = Body(serial="1", seed=1), Body(serial="2", seed=2)
    home.hotpixeld("prime", *cap(home, 2, one))
    other = home.also("other")
    other.hotpixeld("prime", *cap(home, 2, two))
    home.hotpixeld("state", "import", other.state)

    assert set(outcomes(home)) == one.xy | two.xy


def test_the_sizes_suit() -> None:
    """The generated frames are as large as a dark frame must be."""
    assert min(HEIGHT, WIDTH) >= 64
