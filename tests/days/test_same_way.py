"""The same photos give the same list and the same copies, whichever way they came."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from days.world import Body, Home, files
from hotpixeld.engine import session
from sensor import START, scattered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.hotpixel import Zygote

PHOTOS = 40


def body() -> Body:
    """Return a camera with defects of all strengths, some of them hardly there."""
    defects = scattered(9, 88, 120, seed=5, levels=(8, 90))
    return Body(defects=defects, seed=5)


def came_of(home: Home) -> tuple[object, dict[str, str]]:
    """Return the lists and the copies, after a last run that is done once."""
    home.once()
    return home.maps(), files(home.photos)


@pytest.fixture
def at_once(tmp_path: Path, programs: Zygote) -> tuple[object, dict[str, str]]:
    """Return what comes of all photos at once."""
    home = Home(tmp_path / "at-once", programs)
    body().shoot(home.photos, PHOTOS)
    return came_of(home)


def in_batches(home: Home) -> None:
    """Drop some photos, run, drop more."""
    camera = body()
    for count in (9, 8, 1, 22):
        camera.shoot(home.photos, count)
        home.once()


def beside_the_daemon(home: Home) -> None:
    """Drop photos beside the daemon, which is stopped once and killed once."""
    camera = body()
    daemon = home.daemon()
    camera.shoot(home.photos, 25)
    daemon.idle().stop()
    camera.shoot(home.photos, 3)
    daemon = home.daemon()
    camera.shoot(home.photos, 8)
    daemon.idle().kill()
    daemon = home.daemon()
    camera.shoot(home.photos, 4)
    daemon.idle().stop()


def test_copies_stay_as_they_are_until_half_as_many_photos_more_are_there(
    tmp_path: Path, programs: Zygote
) -> None:
    """What is learned of how defects show changes copies, but not with every photo."""
    home, camera = Home(tmp_path / "home", programs), Body()
    camera.shoot(home.photos, 16)
    home.once()
    for count in (1, 6):
        before = files(home.photos)
        camera.shoot(home.photos, count)
        home.once()
        assert before.items() <= files(home.photos).items()
    once = files(home.photos)
    camera.shoot(home.photos, 1)
    home.once()
    other = home.also("state2")
    other.once()
    changed = [name for name in once if files(home.photos)[name] != once[name]]
    assert changed
    assert all(name.startswith("repaired/") for name in changed)
    assert set(home.copies().values()) == set(other.copies().values()) == {"written"}


@pytest.mark.parametrize("way", [in_batches, beside_the_daemon])
def test_photos_that_came_another_way_end_in_the_same_list_and_copies(
    tmp_path: Path,
    programs: Zygote,
    at_once: tuple[object, dict[str, str]],
    way: Callable[[Home], None],
) -> None:
    home = Home(tmp_path / "another-way", programs)
    way(home)
    maps, copies = came_of(home)

    assert maps == at_once[0]
    assert copies == at_once[1]


def test_photos_whose_later_half_came_first_give_the_same_pixels_and_dates(
    tmp_path: Path, programs: Zygote, at_once: tuple[object, dict[str, str]]
) -> None:
    """Not the same scores: the state depends on the order, in its last bits."""
    home, camera = Home(tmp_path / "later-first", programs), body()
    camera.shoot(tmp_path / "card", PHOTOS // 2)
    camera.shoot(home.photos, PHOTOS - PHOTOS // 2)
    home.once()
    for photo in (tmp_path / "card").iterdir():
        home.drop_copy(photo, home.photos / photo.name)
    maps, copies = came_of(home)

    def lives(maps: Any) -> set[tuple[Any, ...]]:
        return {
            (one["x"], one["y"], str(one["since"]), one["until"])
            for one in maps[0]["pixels"]
        }

    assert lives(maps) == lives(at_once[0])
    assert copies == at_once[1]


def test_real_photos_that_came_in_batches_end_in_the_same_list_and_copies(
    tmp_path: Path, programs: Zygote, photo_sets: Path
) -> None:
    """A map that continued the one before would score them by other suspects."""
    photos = session.in_order((photo_sets / "fuji-a200").glob("*.[jJ][pP][gG]"))
    ends = []
    for name, batches in (("at-once", (27,)), ("batches", (16, 3, 8))):
        home, left = Home(tmp_path / name, programs), iter(photos)
        for count in batches:
            for photo in itertools.islice(left, count):
                home.drop_copy(photo, home.photos / photo.name)
            home.once()
        ends.append(came_of(home))

    assert ends[0] == ends[1]
    assert any("repaired" in name for name in ends[0][1])


def test_a_pixel_that_was_mended_long_before_the_first_run_is_listed_with_its_dates(
    tmp_path: Path, programs: Zygote
) -> None:
    """A map looks back on the newest photos, so a long run makes one for each so many."""
    mended, newer, always = scattered(3, 88, 120, seed=3, levels=(90,))
    defects = replace(mended, until=50), replace(newer, onset=70), always
    camera = Body(defects=defects)
    home = Home(tmp_path / "home", programs)
    camera.shoot(home.photos, 180)
    home.once()
    lives = {(one["x"], one["y"]): one for one in home.maps()[0]["pixels"]}

    assert set(lives) == camera.xy
    moment = {number: at(number) for number in (49, 50, 69, 70)}
    assert lives[mended.col, mended.row]["until"] in {moment[49], moment[50]}
    since = lives[newer.col, newer.row]["since"]
    assert since["after"] in {None, moment[69]}
    assert since["by"] >= moment[70]
    assert lives[always.col, always.row]["until"] is None


def test_more_photos_than_a_map_looks_back_on_end_in_the_same_pixels_however_they_came(
    tmp_path: Path, programs: Zygote
) -> None:
    """In batches their dates agree with those of a run over all; relearned, to the byte."""
    mended, newer, always = scattered(3, 88, 120, seed=3, levels=(90,))
    defects = replace(mended, until=50), replace(newer, onset=70), always
    once, batches = (Home(tmp_path / name, programs) for name in ("once", "batches"))
    Body(defects=defects).shoot(once.photos, 150)
    once.once()
    camera = Body(defects=defects)
    for count in (40, 60, 50):
        camera.shoot(batches.photos, count)
        batches.once()
    (expected,), (found,) = once.maps(), batches.maps()

    for one, other in zip(expected["pixels"], found["pixels"], strict=True):
        assert (one["x"], one["y"]) == (other["x"], other["y"])
        assert _overlap(one["since"], other["since"])
        assert one["until"] == other["until"]
    batches.hotpixeld("relearn", found["id"], "--yes")
    batches.once()
    assert batches.maps() == once.maps()


def _overlap(one: dict[str, str | None], other: dict[str, str | None]) -> bool:
    """Return whether a beginning may be the same moment as another: after, up to by."""
    after = max(one["after"] or "", other["after"] or "")
    return after < min(one["by"] or "9", other["by"] or "9")


def at(number: int) -> str:
    """Return when a photo was taken."""
    return f"{START + dt.timedelta(minutes=number):%Y-%m-%dT%H:%M:%S}"
