"""Forgetting: what a user lets go of, what stays, and how it is learned again."""

from __future__ import annotations

import datetime as dt
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from days.world import files
from hotpixeld.errors import ExitCode
from sensor import START

if TYPE_CHECKING:
    from pathlib import Path

    from days.world import Body, Home


@pytest.fixture
def learned(home: Home, body: Body) -> Home:
    """Return a home where 16 photos were learned and have copies."""
    body.shoot(home.photos, 16)
    home.once()
    return home


def camera(home: Home) -> str:
    ((only, *_),) = ([one["id"] for one in home.status()["cameras"]],)
    return str(only)


def counts(home: Home) -> dict[str, int]:
    photos = home.status()["photos"]
    return {
        what: photos[what]
        for what in ("folded", "pending", "forgotten", "lost")
        if photos[what]
    }


def test_forget_says_in_numbers_what_will_happen_and_does_nothing_unasked(
    learned: Home,
) -> None:
    before = files(learned.photos), learned.listed()
    said = learned.hotpixeld("forget", camera(learned), "--dry-run").out

    assert "to be forgotten: 16 photos" in said
    assert "a map of 3 defects" in said
    assert "stay as they are: 16 photos and 16 copies" in said
    assert "relearn" in said
    assert "brings back 16 of the 16" in said
    asked = learned.hotpixeld("forget", camera(learned), code=ExitCode.USAGE)
    assert "say --yes" in asked.err
    assert (files(learned.photos), learned.listed()) == before
    assert counts(learned) == {"folded": 16}


def test_of_a_camera_without_a_map_forget_names_none(home: Home, body: Body) -> None:
    body.shoot(home.photos, 2)
    home.once()
    body.shoot(home.photos, 1)
    home.once()
    said = home.hotpixeld("forget", camera(home), "--dry-run").out

    assert "to be forgotten: 3 photos" in said
    assert " 0 " not in said


@pytest.mark.parametrize(("answer", "is_done"), [("y", True), ("n", False)])
def test_forget_asks_on_a_terminal(
    learned: Home, answer: str, *, is_done: bool
) -> None:
    here, there = pty.openpty()
    command = ["-m", "hotpixeld", "forget", camera(learned)]
    with subprocess.Popen(
        [sys.executable, *command, "--config", str(learned.config)],
        stdin=there,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.write(here, f"{answer}\n".encode())
        out, err = process.communicate(timeout=60)
    os.close(here)
    os.close(there)

    assert "Forget it? [y/N]" in err
    assert process.returncode == (ExitCode.OK if is_done else ExitCode.FAULT)
    assert ("nothing was done" in out) == (not is_done)
    assert counts(learned) == ({"forgotten": 16} if is_done else {"folded": 16})


def test_photos_and_copies_stay_as_they_are_when_their_camera_is_forgotten(
    learned: Home, body: Body
) -> None:
    before = files(learned.photos)
    learned.hotpixeld("forget", camera(learned), "--yes")
    learned.once()
    learned.daemon().idle().reload().stop()

    assert files(learned.photos) == before
    assert learned.listed() == set()
    assert counts(learned) == {"forgotten": 16}
    # New photos are learned from, and speak for themselves only.
    body.shoot(learned.photos, 16)
    learned.once()
    assert learned.listed() == body.xy
    assert before.items() <= files(learned.photos).items()
    assert len(learned.written()) > 16 + 12


def test_what_is_forgotten_is_learned_again_to_the_same_list_and_copies(
    learned: Home, body: Body
) -> None:
    before, maps = files(learned.photos), learned.maps()
    learned.hotpixeld("forget", camera(learned), "--yes")
    said = learned.hotpixeld("relearn", camera(learned)).out
    assert "to be taken again: 16 photos" in said
    assert "(16 forgotten)" in said
    learned.once()

    assert learned.maps() == maps
    assert files(learned.photos) == before
    assert counts(learned) == {"folded": 16}
    assert "nothing new" in learned.once().out


def test_a_daemon_learns_again_and_takes_no_copy_away_meanwhile(
    learned: Home, body: Body
) -> None:
    before, maps = files(learned.photos), learned.maps()
    learned.hotpixeld("relearn", camera(learned))
    daemon = learned.daemon()
    daemon.until(lambda: "map of" in daemon.log, "no map")
    daemon.idle().stop()

    assert {(one["x"], one["y"]) for one in learned.maps()[0]["pixels"]} == {
        (one["x"], one["y"]) for one in maps[0]["pixels"]
    }
    assert counts(learned) == {"folded": 16}
    assert files(learned.photos) == before
    assert "nothing left to repair" not in daemon.log


def test_relearn_tells_how_many_photos_are_gone_and_asks_before_it_loses_them(
    learned: Home,
) -> None:
    for photo in sorted(learned.photos.glob("*.JPG"))[:4]:
        photo.unlink()
    asked = learned.hotpixeld("relearn", camera(learned), code=ExitCode.USAGE)

    assert "16 photos" in asked.out
    assert "but for 4 whose files are in no watched folder now" in asked.out
    assert "what 4 of those have taught is lost" in asked.out
    assert counts(learned) == {"folded": 16}
    learned.hotpixeld("relearn", camera(learned), "--yes")
    learned.once()
    assert counts(learned) == {"folded": 12, "lost": 4}


def test_photos_that_come_back_after_a_relearn_are_folded_after_all(
    learned: Home, tmp_path: Path
) -> None:
    away = learned.photos.rename(tmp_path / "unplugged")
    learned.photos.mkdir()
    learned.hotpixeld("relearn", camera(learned), "--yes")
    learned.once()
    assert counts(learned) == {"lost": 16}
    learned.photos.rmdir()
    away.rename(learned.photos)
    learned.once()

    assert counts(learned) == {"folded": 16}
    assert len(learned.written()) == 16


def test_forgetting_the_last_photos_keeps_the_copies_and_folds_the_others_again(
    learned: Home, body: Body
) -> None:
    body.shoot(learned.photos, 8)
    learned.once()
    before = files(learned.photos)
    since = (START + dt.timedelta(minutes=16)).isoformat()
    said = learned.hotpixeld("forget", camera(learned), "--since", since, "--yes").out
    assert "to be folded again: 16 earlier ones" in said
    daemon = learned.daemon()
    daemon.until(lambda: "map of" in daemon.log, "no map")
    daemon.idle().stop()

    assert counts(learned) == {"folded": 16, "forgotten": 8}
    assert files(learned.photos) == before
    learned.hotpixeld("relearn", camera(learned), "--since", since)
    learned.once()
    assert counts(learned) == {"folded": 24}
    assert files(learned.photos) == before


def test_beside_a_running_daemon_forget_and_relearn_say_that_it_is_to_be_stopped(
    learned: Home,
) -> None:
    daemon = learned.daemon().idle()
    for command in ("forget", "relearn"):
        name = camera(learned)
        refused = learned.hotpixeld(command, name, "--yes", code=ExitCode.STATE)
        assert "stop it first" in refused.err
        assert learned.hotpixeld(command, name, "--dry-run").code == 0
    daemon.stop()
    assert counts(learned) == {"folded": 16}


def checked_with(home: Home) -> list[tuple[object, ...]]:
    with home.ledger() as ledger:
        query = "SELECT name, repaired_with FROM paths ORDER BY name"
        return list(ledger.connection.execute(query))


def test_a_copy_of_a_forgotten_photo_is_deleted_and_is_settled_by_one_run(
    learned: Home,
) -> None:
    learned.hotpixeld("forget", "--yes", camera(learned))
    (learned.photos / "repaired" / "c_IMG_0003.JPG").unlink()
    learned.once()
    before = checked_with(learned)
    learned.once()

    assert checked_with(learned) == before
    assert len(learned.written()) == 15


def test_copies_of_forgotten_photos_still_follow_what_is_ignored(
    learned: Home, body: Body
) -> None:
    learned.hotpixeld("forget", camera(learned), "--yes")
    sound, *others = sorted(body.xy)
    entry = {"model": body.model, "ignore": [list(sound)]}
    learned.configure(cameras=[entry])
    learned.once()

    with learned.ledger() as ledger:
        copies = [ledger.copies.find(one) for one in learned.photos.glob("*.JPG")]
    repaired = {pixel for copy in copies if copy for pixel in copy.pixels}
    assert repaired == set(others)


def test_a_camera_may_be_named_by_the_beginning_of_its_id_or_its_name(
    learned: Home, body: Body
) -> None:
    learned.configure(cameras=[{"name": "anna", "model": body.model}])
    for name in ("nikon", "anna"):
        said = learned.hotpixeld("forget", name, "--dry-run").out
        assert "16 photos" in said
    assert "known: nikon" in learned.hotpixeld("forget", "canon", code=1).err


def test_a_camera_whose_checkpoints_are_damaged_is_learned_again(
    learned: Home, body: Body
) -> None:
    before = files(learned.photos)
    for path in learned.state.rglob("*.npy"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    body.shoot(learned.photos, 1)
    refused = learned.once(code=ExitCode.STATE)
    assert (
        f"`hotpixeld relearn {camera(learned)}` learns the camera anew" in refused.err
    )
    learned.hotpixeld("relearn", camera(learned))
    learned.once()

    assert counts(learned) == {"folded": 17}
    assert before.items() <= files(learned.photos).items()


def test_forgetting_twice_does_nothing_the_second_time_and_relearning_neither(
    learned: Home,
) -> None:
    learned.hotpixeld("forget", camera(learned), "--yes")
    again = learned.hotpixeld("forget", camera(learned))

    assert "that is not forgotten" in again.out
    assert counts(learned) == {"forgotten": 16}
    for _ in range(2):
        learned.hotpixeld("relearn", camera(learned))
    assert "no photo of" in learned.hotpixeld("relearn", camera(learned)).out
    learned.once()
    assert counts(learned) == {"folded": 16}


def test_forgetting_between_relearn_and_the_next_run_holds(learned: Home) -> None:
    before = files(learned.photos)
    learned.hotpixeld("relearn", camera(learned))
    learned.hotpixeld("forget", camera(learned), "--yes")
    learned.once()

    assert counts(learned) == {"forgotten": 16}
    assert files(learned.photos) == before


def test_what_must_not_be_learned_any_more_is_left_out_when_it_is_learned_again(
    home: Home, body: Body
) -> None:
    home.configure_folder(edited="fold")
    (cropped, *_) = body.shoot(home.photos, 17)
    with Image.open(cropped) as image:
        exif = image.getexif()
        exif[0x0131] = "Adobe Photoshop CS6 (Windows)"
        image.save(cropped, quality=95, exif=exif)
    home.once()
    assert counts(home) == {"folded": 17}
    home.configure_folder(edited="skip")
    home.hotpixeld("relearn", camera(home))
    home.once()

    assert counts(home) == {"folded": 16}
    (problem,) = home.status()["problems"]
    assert problem["path"] == str(cropped)
    assert "Photoshop" in problem["reason"]
    assert "nothing new" in home.once().out
